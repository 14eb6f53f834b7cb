"""What a witness says is what the certified reference says of the same query.

Both have conventions (of complex gradients, of the order of entries and tangents), made apart.
"""

import numpy as np
import pytest
from flint import acb
from invocations import claims, invocation

from gradcheck.graph.lower import lower
from gradcheck.implementations.tensors import home_of
from gradcheck.implementations.translation import translate
from gradcheck.language.parse import parse
from gradcheck.methods import forward, reverse, second, third, value
from gradcheck.query import Port, flatten
from gradcheck.reference.derivative_graphs import DerivativeGraphs, GraphFunction
from gradcheck.reference.enclosures import enclose

Z, W, X = (0.5 - 1.25j), [0.75 + 0.5j, -1.5 + 2j], 0.625
PORTS = {
    "z": Port("z", (), "complex"),
    "w": Port("w", (2,), "complex"),
    "x": Port("x", ()),
}
NUMBERS = {"z": Z, "w": W, "x": X}
FUNCTIONS = {
    "holomorphic": {"": "z**3 * w[0] + exp(w[1])"},
    "of real and complex inputs": {"": "x**2 * z + I*x"},
    "complex of a real input": {"": "exp(I*x**2)"},
    "real of a complex input": {"": "log(1 + abs(z)**2) * re(z) + im(w[0]*w[1])"},
    "with conjugates": {"": "conj(z)*z**2 + conj(w[0])*x"},
    "with an angle": {"": "arg(z) * abs(w[1])"},
    "stopped": {"": "z * stop(z*x) + x**2"},
    "of two real outputs": {"a": "[x**3, sin(x)]", "b": "exp(x)"},
    "of a real and a complex output": {"a": "x * re(z)", "b": "[z**2, x*w[0], conj(z)]"},
    "of an output that is not judged": {"a": "x*z", "b": None, "c": "abs(z)**2"},
}


def posed(texts):
    """The invocation of a formula's own translation, and the formula's graph."""
    trees = {name: None if text is None else parse(text) for name, text in texts.items()}
    used = [name for name in PORTS if any(name in (text or "") for text in texts.values())]
    lowered = lower(
        trees, inputs={name: PORTS[name] for name in used}, names={}, lets={}, conditions=()
    )
    formula = trees.get("", trees)
    home = home_of("complex128", "cpu")
    outputs = tuple(
        None if node is None else port
        for port, node in zip(lowered.outputs, lowered.results, strict=True)
    )
    call = lambda *tensors: translate(formula, {}, dict(zip(used, tensors, strict=True)), home)  # noqa: E731
    numbers = [NUMBERS[name] for name in used]
    settings = {"dtype": "complex128", "outputs": outputs, "order": 3, "thorough": False}
    return invocation(call, *numbers, **settings), lowered


def enclosed(lowered, claim, point):
    """The middles of what encloses the answer to the claim's query."""
    judged = tuple(node for node in lowered.results if node is not None)
    graphs = DerivativeGraphs(GraphFunction(lowered.graph, lowered.inputs, judged))
    rows = flatten([array.astype(complex) for array in point.inputs])
    found = enclose(graphs, claim.query, rows)
    assert (found.status == 0).all()
    middles = [complex(acb(ball).mid()) for ball in found.balls.flat]
    return np.array(middles).reshape(found.balls.shape)


@pytest.mark.parametrize("witness", [value, reverse, forward, second, third])
@pytest.mark.parametrize("texts", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_witness_and_the_reference_answer_the_same_question_alike(texts, witness):
    point, lowered = posed(texts)
    answers = claims(witness.answer(point))
    assert {claim.query.order for claim in answers} == {witness.METHOD.order}
    for claim in answers:
        truth = enclosed(lowered, claim, point)
        assert claim.numbers.shape == truth.shape
        np.testing.assert_allclose(claim.numbers, truth, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("wrong", [np.conj, np.negative, lambda truth: 1.01 * truth.real])
def test_another_answer_is_not_alike(wrong):
    point, lowered = posed(FUNCTIONS["holomorphic"])
    claim, *_ = claims(reverse.answer(point))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(claim.numbers, wrong(enclosed(lowered, claim, point)), rtol=1e-3)

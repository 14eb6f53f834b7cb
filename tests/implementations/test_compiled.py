"""An expression is recorded as PyTorch code, and no text of a user is ever run as Python."""

import math
import sys
from types import SimpleNamespace

import pytest
import torch

from gradcheck.catalog.case import Implementation
from gradcheck.errors import Where
from gradcheck.implementations.compiled import TooLargeError, record_graph, source
from gradcheck.implementations.subject import source_of, subject_of
from gradcheck.implementations.tensors import home_of
from gradcheck.implementations.torch_language import evaluate_torch
from gradcheck.implementations.translation import translate
from gradcheck.language.parse import parse
from gradcheck.query import Port

HERE = Where("cases/a.yaml", 1, 1)
HOME = home_of("float64", "cpu")
X = torch.tensor([[1.0, 2.0], [0.25, 0.75]], dtype=torch.float64)
MEAN = torch.tensor([1.0, 3.0], dtype=torch.float64)


def recorded(text, name="x", shape=(2, 2)):
    tree = parse(text)
    return record_graph(
        lambda values, home: evaluate_torch(tree, values, home),
        [Port(name, shape)],
        {"mean": MEAN},
        HOME,
        most=100,
    )


def lines(compiled):
    """The statements of the generated function, without those that let results go."""
    return [line.partition(";")[0].strip() for line in compiled.module.code.strip().split("\n")]


def run(text):
    names = {}
    exec(text, names)
    return names["subject"]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("torch.softmax(x, dim=0)", ["softmax = torch.softmax(x, dim = 0)", "return softmax"]),
        (
            "F.softmax(x, dim=0)",
            ["softmax = torch.nn.functional.softmax(x, dim = 0)", "return softmax"],
        ),
        ("2 - x", ["sub = 2 - x", "return sub"]),
        ("x.T", ["getattr_1 = x.T", "return getattr_1"]),
        ("x / 3", ["truediv = x / 3", "return truediv"]),
    ],
)
def test_the_generated_function_makes_the_calls_that_are_written_and_no_more(text, statements):
    assert lines(recorded(text)) == ["def forward(self, x):", *statements]


EXPRESSIONS = (
    ("torch.max(x, dim=1)[0]", X.amax(1)),
    ("x[:, ::-1] @ x.mT", X.flip(1) @ X.T),
    ("(-2)**x", torch.tensor(-2.0) ** X),
    ("2**x + x**-2", 2**X + X**-2),
    ("x * inf - 1/x", X * math.inf - 1 / X),
    ("[x[i, i] for i in range(2)]", X.diagonal()),
    ("torch.stack([x[0, 0], 2])", torch.tensor([1.0, 2.0])),
    ("x.to(torch.float32)", X.float()),
    ("x.exp_()", X.exp()),
    ("torch.where(1 < x < 5, x, 0)", torch.where((X > 1) & (X < 5), X, 0)),
    ("F.gelu(x, approximate='tanh')", torch.nn.functional.gelu(X, approximate="tanh")),
    ("torch.einsum('ij->j', x)", X.sum(0)),
    ("x.unbind()[1]", X[1]),
    ("x + mean.add_(1) - mean", X + 1),
)


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS)
def test_the_graph_gives_what_pytorch_gives_each_time(text, expected):
    forward = recorded(text).module.forward
    for _ in range(2):
        torch.testing.assert_close(
            forward(X.clone()), expected, equal_nan=True, check_dtype=False, rtol=1e-7, atol=0
        )
    assert MEAN.tolist() == [1.0, 3.0]


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS)
def test_the_printed_source_runs_without_us(text, expected):
    subject = run(source(recorded(text)))
    torch.testing.assert_close(
        subject(X.clone()), expected, equal_nan=True, check_dtype=False, rtol=1e-7, atol=0
    )


@pytest.mark.parametrize("text", ["x * x.sum().item()", "x[x > 1]", "x.tolist()", "x.ndim", "x.y"])
def test_what_only_numbers_decide_and_what_is_no_tensor_is_not_recorded(text):
    assert recorded(text) is None


def test_what_asks_for_a_shape_holds_for_that_one_alone():
    assert recorded("x * x.shape[0]").only_for == ((2, 2),)
    assert recorded("x * 2").only_for is None


def test_what_needs_numbers_to_have_a_shape_is_recorded_on_drawn_ones():
    text = "torch.masked_select(x, x > 1/2)"
    assert recorded(text).only_for is None
    assert recorded(text).module.forward(X).tolist() == [1.0, 2.0, 0.75]


def test_a_shape_that_may_hang_on_drawn_numbers_is_not_recorded():
    assert recorded("torch.masked_select(x, x > 1/2).size(0)*x") is None


GIANTS = [
    "torch.ones_like(x).expand(2, 2).repeat([2, 15])",
    "torch.masked_select(x, x > -1).repeat([4, 30])",
]


@pytest.mark.parametrize("text", GIANTS)
def test_a_giant_is_refused(text):
    with pytest.raises(TooLargeError, match=r"builds a tensor of shape \[4, \d+\], more than 100"):
        recorded(text)


HOSTILE = (
    "'); raise SystemExit(9)  #",
    '"); raise SystemExit(9)  #',
    "\n    raise SystemExit(9)\n",
    "''' + exec('raise SystemExit(9)') + '''",
    "\\' + exec('raise SystemExit(9)') + \\'",
    "{exit()}",
    "\u2028\r;  x = None",
    "\\",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_in_an_argument_stays_a_text(text):
    call = parse("F.softmax(x, dim=0, _stacklevel='HOSTILE')")
    literal = type(call.keywords[1][1])(text)
    tree = type(call)(call.function, call.arguments, (call.keywords[0], ("_stacklevel", literal)))
    compiled = record_graph(
        lambda v, home: evaluate_torch(tree, v, home), [Port("x", (2, 2))], {}, HOME, most=100
    )
    (node,) = compiled.module.graph.find_nodes(
        op="call_function", target=torch.nn.functional.softmax
    )
    assert node.kwargs["_stacklevel"] == text
    assert torch.equal(compiled.module.forward(X), X.softmax(0))
    assert torch.equal(run(source(compiled))(X), X.softmax(0))


@pytest.mark.parametrize(
    "name", ["x: exit()", "x=exit()", "torch", "self", "slice", "None", "inf", "exit", "é", ""]
)
def test_the_name_of_an_input_neither_runs_nor_hides_anything(name):
    compiled = record_graph(
        lambda values, home: torch.softmax(values[name][:, :], dim=0) * math.inf,
        [Port(name, (2, 2))],
        {},
        HOME,
        most=100,
    )
    assert torch.equal(compiled.module.forward(X), X.softmax(0) * math.inf)
    assert torch.equal(run(source(compiled))(X), X.softmax(0) * math.inf)


@pytest.mark.parametrize("name", ["dim=exit(), x", "lambda", "1"])
def test_the_name_of_an_argument_that_is_none_is_not_written(name):
    def softmax(values, _home):
        return torch.nn.functional.softmax(values["x"], **{"dim": 0, name: 1})

    assert record_graph(softmax, [Port("x", (2, 2))], {}, HOME, most=100) is None


class Declared(SimpleNamespace):
    """Like a case, it equals only itself."""

    __hash__ = object.__hash__


def subject_and_source(formula="x", torch_text=None, function=None):
    case = Declared(
        formula=parse(formula),
        lets={},
        constants={},
        calling=None,
        parameters=(),
    )
    tree = None if torch_text is None else parse(torch_text)
    where = (
        case,
        Declared(values={}, formula=SimpleNamespace(ports=(Port("x", (2, 2)),))),
        Implementation(torch_text or "", HERE, tree=tree, function=function),
        "float64",
        "cpu",
    )
    return subject_of(*where), source_of(*where)


CODE = (
    {"torch_text": "torch.softmax(x, dim=0) * x.shape[1]"},
    {"formula": "gamma(x) + x.T @ inv(x) / 3 + sum([1/3, pi] * x)"},
    {"function": "torch.special:erfc"},
)


@pytest.mark.parametrize("code", CODE)
def test_the_source_of_whatever_is_on_trial_defines_it(code):
    subject, text = subject_and_source(**code)
    assert torch.equal(run(text)(X), subject(X))


KINDS = """
import torch

class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x**3

half = torch.nn.Linear(2, 2, dtype=torch.float16)
"""


@pytest.mark.parametrize("name", ["Cube", "half"])
def test_a_function_of_autograd_and_a_module_are_called_as_they_are_for_the_trial(
    name, tmp_path, monkeypatch
):
    (tmp_path / "my_kinds.py").write_text(KINDS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_kinds", raising=False)
    subject, text = subject_and_source(function=f"my_kinds:{name}")
    assert torch.equal(run(text)(X), subject(X))


@pytest.mark.parametrize("code", CODE[:2])
def test_torch_compile_takes_the_subject_as_one_graph(code):
    subject, _ = subject_and_source(**code)
    compiled = torch.compile(subject, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(X), subject(X))


def test_what_numbers_decide_has_no_source():
    subject, text = subject_and_source(torch_text="x * x.sum().item()")
    assert text is None
    assert torch.equal(subject(X), X * 4.0)


def test_other_shapes_than_asked_for_are_interpreted():
    subject, _ = subject_and_source(torch_text="x * x.shape[0]")
    assert subject(torch.ones(3)).tolist() == [3.0, 3.0, 3.0]


def test_a_formula_is_recorded_as_its_translation():
    tree = parse("exp(x) * where(x > 1, 2, x)")
    compiled = record_graph(
        lambda values, home: translate(tree, {}, values, home),
        [Port("x", (2, 2))],
        {},
        HOME,
        most=None,
    )
    assert torch.equal(compiled.module.forward(X), X.exp() * torch.where(X > 1, 2, X))


@pytest.mark.parametrize("text", ["[x * 2, x.sum()]", "torch.max(x, dim=0)", "[x, 2]"])
def test_several_outputs_are_recorded_in_one_graph(text):
    tree = parse(text)
    compiled = record_graph(
        lambda values, home: evaluate_torch(tree, values, home, several=True),
        [Port("x", (2, 2))],
        {},
        HOME,
        most=100,
    )
    found = compiled.module.forward(X)
    written = run(source(compiled))(X)
    expected = evaluate_torch(tree, {"x": X}, HOME, several=True)
    assert len(found) == len(written) == len(expected) == 2
    assert torch.equal(found[0], expected[0])
    assert torch.equal(written[0], expected[0])


def test_complex_code_is_recorded_and_written_out():
    tree = parse("exp(I*x) * z + conj(z)/3")
    compiled = record_graph(
        lambda values, home: translate(tree, {}, values, home),
        [Port("x", (2, 2)), Port("z", (2, 2), "complex")],
        {},
        home_of("complex128", "cpu"),
        most=None,
    )
    z = X + 2j
    expected = torch.exp(1j * X) * z + z.conj() / 3
    torch.testing.assert_close(compiled.module.forward(X, z), expected)
    torch.testing.assert_close(run(source(compiled))(X, z), expected)

"""What lowering says of a formula that it refuses, whole."""

from fractions import Fraction

import pytest

from gradcheck.errors import ExpressionError
from gradcheck.graph.functions import FORMULA_FUNCTIONS
from gradcheck.graph.lower import Lowered, lower
from gradcheck.language.parse import parse

INPUTS = {"x": (), "v": (3,), "m": (2, 3)}


def lowered(text: str, lets: dict[str, str] | None = None, where: tuple[str, ...] = ()) -> Lowered:
    return lower(
        parse(text),
        inputs=INPUTS,
        names={"k": 2, "half": Fraction(1, 2), "yes": True, "index": [0, 2]},
        lets={name: parse(tree) for name, tree in (lets or {}).items()},
        conditions=tuple(map(parse, where)),
    )


def refusal(*case: object) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        lowered(*case)
    return caught.value


CONDITION = """ a condition
  expected: a number
  fix:      write where(cond, 1, 0) for its number"""
NO_CONDITION = """ a number
  expected: a condition
  fix:      write a comparison"""
NO_INTEGER = """ no constant integer
  expected: a constant integer
  fix:      write one"""
SHAPES = "change the shapes or arguments"
NAMES = "e, half, index, inf, k, m, pi, v, x, yes"

REFUSED = {
    # names
    "x + w": f"""1:5: unknown name 'w'
  expected: one of {NAMES}
  fix:      define 'w' or correct it""",
    "indx[0]": f"""1:1: unknown name 'indx'
  expected: one of {NAMES}
  fix:      write 'index'""",
    "sinn(x)": """1:1: unknown function 'sinn'
  expected: a function of the formula language
  fix:      write sin(x)""",
    "powlog(x, 2)": f"""1:1: unknown function 'powlog'
  expected: a function of the formula language
  fix:      write it out with what the language has: {", ".join(sorted(FORMULA_FUNCTIONS))}""",
    "sech(x)": """1:1: unknown function 'sech'
  expected: a function of the formula language
  fix:      write 1/cosh(x)""",
    "print(x)": f"""1:1: unknown function 'print'
  expected: a function of the formula language
  fix:      write it out with what the language has: {", ".join(sorted(FORMULA_FUNCTIONS))}""",
    "Max(x, 0)": """1:1: unknown function 'Max'
  expected: a function of the formula language
  fix:      write max(x, y)""",
    "ln(x)": """1:1: unknown function 'ln'
  expected: a function of the formula language
  fix:      write log(x)""",
    "sigmoid(x)": """1:1: unknown function 'sigmoid'
  expected: a function of the formula language
  fix:      write 1/(1 + exp(-x))""",
    "SIN(x)": """1:1: unknown function 'SIN'
  expected: a function of the formula language
  fix:      write sin(x)""",
    "torch.sin(x)": """1:1: 'torch.sin', a function of a library
  expected: a function of the formula language
  fix:      write sin(x)""",
    "torch.nn.functional.relu(x)": """1:1: 'torch.nn.functional.relu', a function of a library
  expected: a function of the formula language
  fix:      write max(x, 0)""",
    "2*np.exp(x)": """1:3: 'np.exp', a function of a library
  expected: a function of the formula language
  fix:      write exp(x)""",
    "x*math.pi": """1:3: 'math.pi', a name of a library
  expected: a name of the formula language
  fix:      write pi""",
    "x.sqrt()": """1:1: the method '.sqrt'
  expected: a function of the formula language
  fix:      write sqrt(x)""",
    "(x + 1).sum()": """1:1: the method '.sum'
  expected: a function of the formula language
  fix:      write sum(x)""",
    "x*sin": """1:3: 'sin' without arguments
  expected: a call
  fix:      write sin(x)""",
    "x.exp()": """1:1: the method '.exp'
  expected: a function of the formula language
  fix:      write exp(x)""",
    "x.__class__": """1:1: '.__class__'
  expected: .shape or .T
  fix:      call a function instead""",
    "x*'two'": """1:3: 'two'
  expected: a number
  fix:      leave it out""",
    "x + None": """1:5: None
  expected: a number
  fix:      leave it out""",
    # numbers and conditions
    "x < 1": "1:1:" + CONDITION,
    "[x < 1, x > 1]": "1:1:" + CONDITION,
    "yes + 1": "1:1:" + CONDITION,
    "(x < 1 and x > 0) + 1": "1:2:" + CONDITION,
    "x*(x > 0)": "1:4:" + CONDITION,
    "-(x > 0)": "1:3:" + CONDITION,
    "1 < (x < 2)": "1:6:" + CONDITION,
    "exp(x < 1)": "1:5:" + CONDITION,
    "sum([x < 1])": "1:5:" + CONDITION,
    "where(x, 1, 2)": "1:7:" + NO_CONDITION,
    "where(not x, 1, 2)": "1:11:" + NO_CONDITION,
    "where(x and x > 0, 1, 2)": "1:7:" + NO_CONDITION,
    "where(x > 0 or 1, 1, 2)": "1:16:" + NO_CONDITION,
    "where(x + 1 and x > 0, 1, 2)": "1:7:" + NO_CONDITION,
    "x/0": None,
    "1/0": """1:1: a division of constants by zero
  expected: a number
  fix:      correct it""",
    "x + 0**(-1)": """1:5: a division of constants by zero
  expected: a number
  fix:      correct it""",
    "x*inv([[1, 2], [2, 4]])": """1:3: a division of constants by zero
  expected: a number
  fix:      correct it""",
    # shapes
    "m + [1, 2]": """1:1: shapes [2, 3] and [2]
  expected: shapes that broadcast
  fix:      change the shapes""",
    "max(v, [1, 2])": f"""1:1: shapes [3] and [2]
  expected: shapes that broadcast
  fix:      {SHAPES}""",
    "m @ m": """1:1: [2, 3] @ [2, 3]
  expected: inner dimensions that agree
  fix:      change the shapes""",
    "x @ v": """1:1: [] @ [3]
  expected: inner dimensions that agree
  fix:      change the shapes""",
    "[v, m]": f"""1:1: entries of shapes [3] and [2, 3]
  expected: entries of one shape
  fix:      {SHAPES}""",
    "[[1, 2], [3]]": f"""1:1: entries of shapes [2] and [1]
  expected: entries of one shape
  fix:      {SHAPES}""",
    "det(m)": f"""1:1: det of shape [2, 3]
  expected: a square matrix
  fix:      {SHAPES}""",
    "det(eye(17)*x)": f"""1:1: det of a 17x17 matrix
  expected: at most 16x16
  fix:      {SHAPES}""",
    "trace(v)": f"""1:1: trace of shape [3]
  expected: a matrix
  fix:      {SHAPES}""",
    "dot(m, m)": f"""1:1: dot of [2, 3] and [2, 3]
  expected: two vectors of one length
  fix:      {SHAPES}""",
    "outer(m, v)": f"""1:1: outer of [2, 3] and [3]
  expected: two vectors
  fix:      {SHAPES}""",
    "tril(v)": f"""1:1: a triangle of shape [3]
  expected: a matrix
  fix:      {SHAPES}""",
    "diag(x)": f"""1:1: diag of shape []
  expected: a vector or a matrix
  fix:      {SHAPES}""",
    "reshape(m, [4])": f"""1:1: reshape of [2, 3] to [4]
  expected: as many elements
  fix:      {SHAPES}""",
    "concat([m, v])": f"""1:1: concat of shapes [2, 3] and [3]
  expected: shapes that differ only in dim
  fix:      {SHAPES}""",
    "concat([])": f"""1:1: concat of no arrays
  expected: at least one array
  fix:      {SHAPES}""",
    "concat(x)": """1:8: a single number
  expected: a list of arrays
  fix:      write [x, y]""",
    "sum(m, dim=2)": f"""1:1: dim=2 of an array of 2 dimensions
  expected: -2 <= dim < 2
  fix:      {SHAPES}""",
    "cumsum(x)": f"""1:1: dim=0 of a single number
  expected: an array
  fix:      {SHAPES}""",
    "amax(zeros(0))": f"""1:1: no elements to reduce
  expected: at least one element
  fix:      {SHAPES}""",
    "mean([])": f"""1:1: the mean of no elements
  expected: at least one element
  fix:      {SHAPES}""",
    # arguments
    "exp(x, 2)": """1:1: exp of 2 arguments
  expected: 1 of them
  fix:      give as many arguments""",
    "max(v)": """1:1: max of 1 arguments
  expected: 2 of them
  fix:      write amin(x) or amax(x) for the smallest or largest entry of an array""",
    "sin(x=1)": """1:1: sin(x=...)
  expected: arguments by position
  fix:      leave the keyword out""",
    "sum()": """1:1: sum of no arguments
  expected: an argument
  fix:      write sum(x)""",
    "sum(m, axis=0)": """1:1: sum: got an unexpected keyword argument 'axis'
  expected: sum(x, dim=None, keepdim=False)
  fix:      write dim=0""",
    "dot(v)": """1:1: dot: missing a required argument: 'b'
  expected: dot(a, b)
  fix:      write dot(a, b)""",
    "eye([2])": """1:1: eye with n=[2]
  expected: an integer for n
  fix:      write eye(n)""",
    "zeros(None)": """1:1: zeros with shape=None
  expected: a list of integers for shape
  fix:      write zeros(shape)""",
    "cumsum(m, dim=[0])": """1:1: cumsum with dim=[0]
  expected: an integer for dim
  fix:      write cumsum(x, dim=0)""",
    "cumsum(m, dim=True)": """1:1: cumsum with dim=True
  expected: an integer for dim
  fix:      write cumsum(x, dim=0)""",
    "sum(m, dim=True)": """1:1: sum with dim=True
  expected: an integer, a list of integers or None for dim
  fix:      write sum(x, dim=None, keepdim=False)""",
    "sum(m, keepdim=3)": """1:1: sum with keepdim=3
  expected: True or False for keepdim
  fix:      write sum(x, dim=None, keepdim=False)""",
    "amax(m, keepdim=1)": """1:1: amax with keepdim=1
  expected: True or False for keepdim
  fix:      write amax(x, dim=None, keepdim=False)""",
    "mean(m, dim=[1, 1])": f"""1:1: dim=[1, 1], which names a dimension twice
  expected: each dimension once
  fix:      {SHAPES}""",
    "prod(v, dim=[0, -1])": f"""1:1: dim=[0, -1], which names a dimension twice
  expected: each dimension once
  fix:      {SHAPES}""",
    "sum(m, dim=half)": """1:12: no constant integer
  expected: a constant integer or a list of them
  fix:      write one""",
    "besselj(half, x)": "1:9:" + NO_INTEGER,
    "besselj(x, x)": "1:9:" + NO_INTEGER,
    "besselj(10**7, x)": """1:9: besselj of order 10000000
  expected: a smaller order >= 0
  fix:      correct it""",
    "polygamma(-1, x)": """1:11: polygamma of order -1
  expected: a smaller order >= 0
  fix:      correct it""",
    # indices and loops
    "v[3]": """1:1: the index [3] of an array of shape [3]
  expected: an index inside the array
  fix:      correct the index or the shape""",
    "m[0, 1:, 0]": """1:1: the index [0, 1:, 0] of an array of shape [2, 3]
  expected: an index inside the array
  fix:      correct the index or the shape""",
    "m[[0, 2], ...]": """1:1: the index [[0, 2], ...] of an array of shape [2, 3]
  expected: an index inside the array
  fix:      correct the index or the shape""",
    "v[::0]": """1:1: the index [::0] of an array of shape [3]
  expected: an index inside the array
  fix:      correct the index or the shape""",
    "v[x]": """1:3: an index that is no constant integer
  expected: a constant integer
  fix:      write one""",
    "v[half]": """1:3: an index that is no constant integer
  expected: a constant integer
  fix:      write one""",
    "v[yes]": """1:3: an index that is no constant integer
  expected: a constant integer
  fix:      write one""",
    "v[10**30]": f"""1:1: a huge integer
  expected: at most 2,147,483,647
  fix:      {SHAPES}""",
    "v[half:]": "1:3:" + NO_INTEGER,
    "[i for i in range(x)]": "1:19:" + NO_INTEGER,
    "[i for i in range(v)]": "1:19:" + NO_INTEGER,
    "[i for i in range(0, 3, 0)]": """1:1: range with step 0
  expected: a step that is not 0
  fix:      write 1""",
    "[i for i in range(2)] + [i]": f"""1:26: unknown name 'i'
  expected: one of {NAMES}
  fix:      write 'pi'""",
    # limits
    "zeros([64, 64, 64, 64])": f"""1:1: an array of shape [64, 64, 64, 64]
  expected: at most 4,194,304 elements
  fix:      {SHAPES}""",
    "zeros([-1])": f"""1:1: an array of shape [-1]
  expected: no negative length
  fix:      {SHAPES}""",
    "[" * 17 + "x" + "]" * 17: f"""1:1: an array of 17 dimensions
  expected: at most 16
  fix:      {SHAPES}""",
    "x + 10**10**10": """1:5: a number of more than 10,000 digits
  expected: a smaller formula
  fix:      make it smaller""",
    "[i for i in range(65537)]": """1:1: more than 65,536 steps of comprehensions
  expected: a smaller formula
  fix:      make it smaller""",
}
del REFUSED["x/0"]  # a pole, not a mistake: below


@pytest.mark.parametrize("text", REFUSED)
def test_a_formula_is_refused_with_place_expectation_and_fix(text):
    assert str(refusal(text)) == REFUSED[text]


@pytest.mark.parametrize(
    "text",
    ["x/0", "index[0]*x", "v[index]", "half*x", "where(yes, x, 1)", "e + pi", "m[k - 1, 0]",
     "sum([i for i in range(65536)])", "[" * 16 + "x" + "]" * 16, "x + 10**9999",
     "mean(m, dim=[0, -1], keepdim=yes)"],
)  # fmt: skip
def test_what_is_not_refused_is_lowered(text):
    assert isinstance(lowered(text), Lowered)


@pytest.mark.parametrize(
    ("case", "source", "place"),
    [
        (("x +\n w",), "formula", (2, 2)),
        (("c", {"a": "x", "b": "a + w", "c": "b"}), "let b", (1, 5)),
        (("a", {"a": "b", "b": "x"}), "let a", (1, 1)),
        (("x", None, ("x > 0", "x > w")), "where 1", (1, 5)),
        (("x", None, ("x",)), "where 0", (1, 1)),
        (("x", None, ("v > 0",)), "where 0", (1, 1)),
        (("x > 0",), "formula", (1, 1)),
        (("a + 1", {"a": "x > 0"}), "formula", (1, 1)),
    ],
)
def test_an_error_says_in_which_text_it_stands(case, source, place):
    error = refusal(*case)
    assert (error.source, error.place) == (source, place)


def test_a_condition_is_a_single_one():
    assert (
        str(refusal("x", None, ("v > 0",)))
        == """1:1: no single condition
  expected: a comparison that is true or false at a point
  fix:      write a comparison, and amin(...) or amax(...) over the entries of an array"""
    )


def test_a_let_may_be_a_condition_and_shadow_e():
    program = lowered("where(inside, e, -e)", {"inside": "0 < x < 1", "e": "x + 1"})
    assert program.names == {"inside", "e", "x"}


def test_a_loop_gives_its_name_back():
    program = lowered(
        "sum([x for x in range(3)]) + x + [[i for i in range(2)][i] for i in range(2)]"
    )
    assert program.names >= {"x"}
    assert program.outputs[0].shape == (2,)


def test_the_names_that_are_used_are_known():
    assert lowered("v[k]*a", {"a": "half + m[0, 0]"}).names == {"v", "k", "a", "half", "m"}


def test_inputs_are_numbered_in_their_order():
    program = lowered("[m[0, 0], v[1], x]")
    nodes = [program.graph.nodes[node] for node in program.inputs]
    assert [(node.op, node.attr, node.shape) for node in nodes] == [
        ("input", 0, ()), ("input", 1, (3,)), ("input", 2, (2, 3)),
    ]  # fmt: skip


def test_equal_operations_are_one_node():
    program = lowered("sin(x)*sin(x) + sin(x)")
    assert len([node for node in program.graph.nodes if node.op == "sin"]) == 1


@pytest.mark.parametrize("text", ["2(x + 1)", "(x + 1)(x + 2)", "v[0](x)", "exp(x)(x)"])
def test_a_product_without_its_operator_is_told_to_have_one(text):
    error = refusal(text)
    assert (error.found, error.expected, error.fix) == (
        "a bracket behind what is no name",
        "a function's name there, or an operator between two factors",
        "write '*' for a product, as in 2*(x + 1)",
    )


def test_a_product_with_its_operator_is_taken():
    assert lowered("2*(x + 1)").outputs[0].shape == ()

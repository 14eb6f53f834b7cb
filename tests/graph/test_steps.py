"""A comprehension that is sure to run too long is seen in its text; what is not known is not."""

from fractions import Fraction

import pytest

from gradcheck.errors import ExpressionError
from gradcheck.graph.steps import check_steps
from gradcheck.language.parse import parse

NUMBERS = {"n": Fraction(10**6), "half": Fraction(1, 2)}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[x for i in range(65537)]", "1:1"),
        ("torch.stack([x for i in range(10**9)]).sum()", "1:13"),
        ("x + sum(a=[x for i in range(2*3, -2**300, -1)])", "1:11"),
        ("[x for i in range(10**9000)]", "1:1"),
        ("[x for i in range(256) for j in range(256)]", "1:1"),
        ("[[x for j in range(256)] for i in range(256)]", "1:1"),
        ("[x for i in range(n)]", "1:1"),
        ("x[[0 for i in range(10**9)]]", "1:3"),
        ("[[x for j in range(n)] for i in range(k) for n in range(2)][0] + [x for i in range(n)]",
         "1:66"),
    ],
)  # fmt: skip
def test_a_comprehension_that_passes_the_limit_is_refused(text, place):
    with pytest.raises(ExpressionError) as caught:
        check_steps(parse(text), NUMBERS, lambda _: None)
    assert str(caught.value) == (
        f"{place}: more than 65,536 loop steps\n"
        "  expected: at most 65,536\n"
        "  fix:      loop over less, or write it with array functions"
    )


@pytest.mark.parametrize(
    "text",
    [
        "[x for i in range(65536)]",
        "[x for i in range(255) for j in range(256)]",
        "[[x for j in range(255)] for i in range(256)]",
        "[x for i in range(10**9, 2)]",
        "[x for i in range(0, 10**9, -1)]",
        "[x for i in range(0, 10**9, 10**8)]",
        "[x for i in range(0) for j in range(10**9)]",
        "[[x for j in range(10**9)] for i in range(0)]",
        "[[x for j in range(10**9)] for i in range(x.shape[0])]",
        "[x for n in range(2) for j in range(n)]",
        "[x for i in range(0, 9, 0)]",
        "[x for i in range(k)]",
        "[x for i in range(half)]",
        "[x for i in range(10**10**10)]",
        "[x for i in range(2**-1)]",
        "[x for i in range('a')]",
    ],
)
def test_a_comprehension_that_may_stay_below_the_limit_is_left_alone(text):
    check_steps(parse(text), NUMBERS, lambda _: None)


def test_what_the_bounds_of_loops_take_is_told_one_by_one():
    spent: list[int] = []
    text = "[x for i in range(sum([k for k in range(100)]) - 4950) for j in range(2)]"
    check_steps(parse(text), NUMBERS, spent.append)
    assert len(spent) == 2
    assert spent[0] > 100 > spent[1]

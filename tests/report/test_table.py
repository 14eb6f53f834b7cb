"""Tables for the terminal: no number is cut, and what is too wide keeps its columns if it can."""

import pytest

from gradcheck.report.table import table, to_width

HEADS = ("of", "true value", ">ulps")
ROWS = [["∂²y/∂x[0]∂x[0]", "0.25", "1.5"], ["y", "-0.125", "12"]]


@pytest.fixture
def columns(monkeypatch):
    return lambda number: monkeypatch.setenv("COLUMNS", str(number))


def test_a_table_that_fits_has_a_line_for_each_row(columns):
    columns(80)
    assert table(HEADS, ROWS).splitlines() == [
        "of              true value  ulps",
        "────────────────────────────────",
        "∂²y/∂x[0]∂x[0]  0.25         1.5",
        "y               -0.125        12",
    ]


def test_what_is_too_wide_has_its_names_on_lines_of_their_own(columns):
    columns(20)
    assert table(HEADS, ROWS).splitlines() == [
        "of",
        "  true value  ulps",
        "  ────────────────",
        "∂²y/∂x[0]∂x[0]",
        "  0.25         1.5",
        "y",
        "  -0.125        12",
    ]


def test_what_is_still_too_wide_is_a_list_of_cells(columns):
    columns(20)
    rows = [["y", "111111", "222222", "333333"]]
    assert table(("of", ">a", ">b", ">c"), rows).splitlines() == [
        "of  y",
        "a   111111",
        "b   222222",
        "c   333333",
    ]


def test_the_last_column_is_broken_into_lines_before_anything_else_is_done(columns):
    columns(40)
    rows = [["a", "1", "one two three four five six seven"]]
    assert table(("name", ">n", "what"), rows).splitlines()[2:] == [
        "a     1  one two three four five six",
        "         seven",
    ]


@pytest.mark.parametrize(
    ("formula", "lines"),
    [
        ("y = 2*x[0]/3 - x[1]/3", ["y = 2*x[0]/3 -", "    x[1]/3"]),
        ("y = sin(x)*cos(x)**2", ["y = sin(x)*", "    cos(x)**2"]),
        ("then 0.488 ulps (agree)", ["then 0.488", "    ulps", "    (agree)"]),
    ],
)
def test_a_formula_is_broken_after_operators_and_within_no_quotient_power_or_bracket(
    columns, formula, lines
):
    columns(14)
    assert to_width(formula, 4).splitlines() == lines

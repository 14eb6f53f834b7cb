"""From text to tree and back; nothing on the way is evaluated."""

import ast
import time
from fractions import Fraction
from pathlib import Path

import pytest
from expression_text import TREES, every_node, written
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck import graph, language, reference
from gradcheck.language.nodes import Binary, Call, Literal, Name, Sequence, Subscript
from gradcheck.language.parse import parse

ROOMS = [Path(room.__file__).parent for room in (language, graph, reference)]
MODULES = sorted(each for room in ROOMS for each in room.glob("*.py"))


@settings(max_examples=300)
@given(TREES, st.sampled_from([" ", "\n", "\t", "  \n\n ", "\r\n"]))
def test_a_tree_that_is_written_out_is_read_back(tree, gap):
    assert parse(written(tree, gap)) == tree


@settings(max_examples=100)
@given(TREES, st.sampled_from(["\n", "  ", "\n\n   "]))
def test_every_name_knows_its_place(tree, gap):
    text = written(tree, gap)
    lines = text.split("\n")
    names = [node for node in every_node(parse(text)) if isinstance(node, Name)]
    assert [lines[n.place[0] - 1][n.place[1] - 1 :][: len(n.name)] for n in names] == [
        n.name for n in names
    ]


@pytest.mark.parametrize("text", ["x +\n  sin(\n   target)", "\n\n  [1,\n2, target]", " \ttarget"])
def test_the_place_of_a_name_counts_lines_and_columns_from_one(text):
    (target,) = [n for n in every_node(parse(text)) if n == Name("target")]
    before = text[: text.index("target")]
    assert target.place == (before.count("\n") + 1, len(before) - before.rfind("\n"))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("-x**2", "-(x**2)"),
        ("2**3**2", "2**(3**2)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b * c", "(a / b) * c"),
        ("a + b * c @ d", "a + ((b * c) @ d)"),
        ("a < b + 1 and not c == d or e > f", "((a < (b + 1)) and (not (c == d))) or (e > f)"),
        ("x.T[0]", "(x.T)[0]"),
        ("a and b and c", "(a and b) and c"),
        ("sum(i for i in range(3))", "sum([i for i in range(3)])"),
        ("1_000", "1000"),
        ("0x1F", "31"),
        ("1.50", "1.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("25E-1", "2.5"),
    ],
)
def test_two_spellings_of_one_tree(text, same):
    assert parse(text) == parse(same)


def test_a_chain_of_comparisons_is_no_comparison_of_a_comparison():
    assert parse("a < b < c") != parse("(a < b) < c")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", Fraction(1, 10)),
        ("1e-400", Fraction(1, 10**400)),
        ("1e400", Fraction(10**400)),
        ("9007199254740993", Fraction(2**53 + 1)),
        ("0.1000000000000000055511151231257827", Fraction("0.1000000000000000055511151231257827")),
        ("3.", Fraction(3)),
        ("0b101", Fraction(5)),
    ],
)
def test_a_number_is_exact(text, value):
    assert parse(text) == Literal(value)


def test_a_call_an_index_and_a_list_keep_their_order():
    assert parse("f(a, b, k=c)[0, ...]") == Subscript(
        Call(Name("f"), (Name("a"), Name("b")), (("k", Name("c")),)), (Literal(Fraction(0)), ...)
    )
    assert parse("[a + b, c]") == Sequence((Binary("+", Name("a"), Name("b")), Name("c")))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch {path}')",
        "open('{path}', 'w')",
        "exec(open('{path}', 'w'))",
        "[print(1, file=open('{path}', 'w')) for i in range(9)]",
    ],
)
def test_what_is_parsed_does_not_run(text, tmp_path):
    parse(text.format(path=tmp_path / "trace"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["9**9**9**9", "'a'*10**10", "[0]*10**10", "10**-10**10"])
def test_no_number_is_computed(text):
    start = time.process_time()
    parse(text)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_module_evaluates_text(module):
    calls = [
        node.func
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]
    names = {ast.unparse(function).split(".")[-1] for function in calls} - {"compile"}
    whole = {ast.unparse(function) for function in calls}
    assert names.isdisjoint({"eval", "exec", "sympify", "parse_expr", "literal_eval"})
    assert "compile" not in whole

"""Words and pairs on the command line."""

from decimal import Decimal

import pytest

from gradcheck.cli.arguments import input_of, pairs, typed_constant
from gradcheck.errors import UsageError
from gradcheck.spelling import chosen

KNOWN = ("value", "reverse", "forward")


def test_words_come_in_the_order_of_the_table_and_once():
    assert chosen("--witness", "forward, value,forward", KNOWN) == ("value", "forward")


def test_an_unknown_word_is_told_the_near_one():
    with pytest.raises(UsageError) as error:
        chosen("--witness", "value,revers", KNOWN)
    assert str(error.value) == (
        "--witness revers: unknown name\n"
        "  expected: some of value, reverse, forward, separated by commas\n"
        "  fix:      write reverse"
    )


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["x=3"], {"x": "3"}),
        (["x=3,y=4"], {"x": "3", "y": "4"}),
        (["x=[1, 2], y=[[3], [4]]"], {"x": "[1, 2]", "y": "[[3], [4]]"}),
        (["x=(0, 1)", "y=real"], {"x": "(0, 1)", "y": "real"}),
        (["x = pi/2"], {"x": "pi/2"}),
    ],
)
def test_pairs_are_read(texts, found):
    assert pairs("--at", texts) == found


@pytest.mark.parametrize("texts", [["x"], ["x="], ["=3"], ["x=1", "x=2"], [""]])
def test_what_is_no_pair_or_comes_twice_is_refused(texts):
    with pytest.raises(UsageError, match="--at"):
        pairs("--at", texts)


@pytest.mark.parametrize(
    ("text", "declaration"),
    [
        ("real", {"domain": "real", "shape": []}),
        ("real:3,3", {"domain": "real", "shape": [3, 3]}),
        ("(0, pi/2]:2", {"domain": "(0, pi/2]", "shape": [2]}),
        ("positive_definite:2,2", {"kind": "positive_definite", "shape": [2, 2]}),
        (":4", {"domain": "real", "shape": [4]}),
        ("", {"domain": "real", "shape": []}),
    ],
)
def test_a_declaration_is_a_domain_or_a_kind_and_a_shape(text, declaration):
    assert input_of(text) == declaration


@pytest.mark.parametrize("text", ["real:x", "real:-1", "real:1.5", "real:²", "real:9999999"])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(UsageError, match="no shape"):
        input_of(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", Decimal(3)),
        ("0.1", Decimal("0.1")),
        ("-.5", Decimal("-0.5")),
        ("True", True),
        ("[[0, 2], [1, false]]", [[Decimal(0), Decimal(2)], [Decimal(1), False]]),
    ],
)
def test_a_constant_is_exact_data(text, value):
    assert typed_constant("k", text) == value


@pytest.mark.parametrize(
    "text", ["abc", "NaN", "Infinity", '"text"', "null", "{}", "[1,", "1/3", "[" * 100_000]
)
def test_what_is_no_data_is_refused(text):
    with pytest.raises(UsageError, match="not a constant"):
        typed_constant("k", text)

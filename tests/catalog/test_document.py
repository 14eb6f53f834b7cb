"""Scalars mean what YAML 1.2's core schema says, and nothing else."""

import pytest

from gradcheck.catalog.problems import Complaints
from gradcheck.catalog.yaml_document import compose, describe, kind_of

KINDS = [
    ("null", ["", "~", "null", "Null", "NULL"]),
    ("boolean", ["true", "True", "TRUE", "false", "False", "FALSE"]),
    ("integer", ["0", "-19", "+3", "007", "0o17", "0x1F"]),
    ("number", ["0.", "-0.0", ".5", "+12e03", "-2E+05", "1e-6", ".inf", "-.Inf", ".nan", ".NAN"]),
    ("text", ["yes", "on", "y", "tRUE", "nUll", "0b1", "1_000", "12:30", "2020-01-01", "-", "1e"]),
    ("text", ["-.nan", "0x", "-0x1F", "0o8", "+", ".", "1.5.2", "e5", "inf", "nan", "1 2"]),
]


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in KINDS for text in texts]
)
def test_a_bare_scalar_has_the_kind_that_the_core_schema_gives_it(kind, text):
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [("'3'", "text"), ('"true"', "text"), ("!!str 3", "text"), ("! 3", "text"), ("|\n  3", "text"),
     ("!!int '3'", "integer"), ("!!float 3", "number"), ("!!bool 'true'", "boolean")],
)  # fmt: skip
def test_quotes_and_core_tags_decide_before_the_look_of_a_scalar(text, kind):
    complaints = Complaints("f")
    assert compose(f"a: {text}\n", complaints)["a"].kind == kind
    assert not complaints.problems


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "a list"),
        ("{a: 1}", "a map"),
        ("", "nothing"),
        ("~", "nothing"),
        ("abc", "the text 'abc'"),
        ("1.5", "the number 1.5"),
        ("true", "the boolean true"),
        ("x" * 50, "the text '" + "x" * 37 + "...'"),
    ],
)
def test_messages_call_a_value_by_its_kind(text, words):
    assert describe(compose(f"a: {text}", Complaints("f"))["a"]) == words


def test_the_first_of_two_equal_keys_is_kept():
    complaints = Complaints("f")
    document = compose("a: 1\nb: 2\na: 3\n", complaints)
    assert document["a"].text == "1"
    assert [str(each.where) for each in complaints.problems] == ["f:3:1"]

"""The tables of keys: what a message offers as the fix is what the key's own reader takes."""

import pytest

from gradcheck.catalog.budget import Budget
from gradcheck.catalog.keys import (
    CASE,
    AccuracyKeys,
    CaseKeys,
    InputKeys,
    KnownKeys,
    PointKeys,
    WhenKeys,
)
from gradcheck.catalog.problems import Complaints
from gradcheck.catalog.validation import keys_of, list_of, map_of, validate
from gradcheck.catalog.values import ORDER
from gradcheck.catalog.yaml_document import compose

TABLES = (CaseKeys, InputKeys, PointKeys, AccuracyKeys, KnownKeys, WhenKeys)
KEYS = [
    pytest.param(key, id=f"{table.__name__}.{name}")
    for table in TABLES
    for name, key in keys_of(table).items()
]


def read(kind, text):
    """What the text says, the paths of its faults, and the problems."""
    complaints = Complaints("f.yaml")
    value, faults = validate(kind, compose(text, complaints), complaints, Budget())
    return value, faults, list(complaints.problems)


def test_there_are_keys_to_look_at():
    assert len(KEYS) > len(TABLES)


@pytest.mark.parametrize("key", KEYS)
def test_the_example_of_a_key_is_taken_by_its_reader(key):
    value, faults, problems = read(key.kind, key.example)
    assert value is not None
    assert not faults
    assert not problems


def test_what_is_faulty_is_named_by_its_path_and_nothing_is_returned():
    value, faults, problems = read(map_of(list_of(ORDER)), "{a: [1, 7], b: 2, c: [1, 2]}")
    assert value is None
    assert faults == (("a", 1), ("b",))
    assert [str(each.where) for each in problems] == ["f.yaml:1:9", "f.yaml:1:16"]


def test_a_case_lacks_its_keys_and_has_one_too_many_all_at_once():
    _, faults, problems = read(CASE, "{summary: s, tag: [slow]}")
    assert faults == (("formula",), ("inputs",), ("tag",))
    assert problems[0].fix == "add formula: 3*x**2"
    assert problems[2].fix == "write tags"

"""A mistake inside an expression is found in the file, however the expression is quoted."""

import pytest

from gradcheck.catalog.load import load_text
from gradcheck.catalog.problems import Complaints
from gradcheck.catalog.yaml_document import compose, place_inside
from gradcheck.errors import CatalogError

AS_WRITTEN = [
    ("a: x + ??", "1:8"),
    ("a: 'x + ??'", "1:9"),
    ('a: "x + ??"', "1:9"),
    ("a: 'it''s + ??'", "1:13"),
    ('a: "\\"q\\" + ??"', "1:13"),
    ('a: "\\u0078\\x20+ ??"', "1:17"),
    ("a: !!str x + ??", "1:14"),
    ("a: &b 'x + ??'", "1:12"),
    ("a: |\n  x +\n   ??\n", "3:4"),
    ("a: |2-  # a comment\n    x +\n  ??\n", "3:3"),
    ("a: >\n  x +\n  ??\n", "3:3"),
    ("a: x +\n  ??", "2:3"),
    ("a: 'x +\n\n  ??'", "3:3"),
    ('a: "x + \\\n   ??"', "2:4"),
    ("é: {k: 'é + ??'}", "1:13"),
]


@pytest.mark.parametrize(("text", "place"), AS_WRITTEN)
def test_a_character_is_found_where_it_stands_in_the_file(text, place):
    scalar = next(iter(compose(text, Complaints("f")).values()))
    scalar = scalar if hasattr(scalar, "text") else scalar["k"]
    before, _, _ = scalar.text.partition("??")
    inside = (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert ":".join(map(str, place_inside(scalar, inside))) == place


def test_a_place_after_the_end_is_just_behind_the_last_character():
    scalar = compose("a: 'x + '", Complaints("f"))["a"]
    assert place_inside(scalar, (1, 5)) == (1, 8)


def test_the_beginning_of_an_empty_text_is_the_scalar_itself():
    scalar = compose("a: ''", Complaints("f"))["a"]
    assert place_inside(scalar, (1, 1)) == (1, 4)


MISTAKES = [
    ("formula: x + zz", "f.yaml:3:16"),
    ("formula: 'x + zz'", "f.yaml:3:17"),
    ("formula: |\n    x +\n    zz", "f.yaml:5:5"),
    ("formula: [x, 'zz']", "f.yaml:3:17"),
    ("formula:\n    - x\n    - [zz]", "f.yaml:5:8"),
    ("formula: x\n  where: [x > 0, 'x < zz']", "f.yaml:4:23"),
    ("let: {s: x*zz}\n  formula: s", "f.yaml:3:14"),
]


@pytest.mark.parametrize(("keys", "place"), MISTAKES)
def test_a_name_that_is_not_defined_is_found_in_every_text_of_a_case(keys, place):
    with pytest.raises(CatalogError) as caught:
        load_text(f"c:\n  inputs: {{x: real}}\n  {keys}\n", "f.yaml")
    (problem,) = caught.value.problems
    assert (str(problem.where), problem.found) == (place, "unknown name 'zz'")

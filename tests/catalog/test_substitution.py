"""A text or null of a sweep stands where its name stood, and nowhere else."""

import pytest

from gradcheck.catalog.variants import substitute
from gradcheck.language.parse import parse

CASES = [
    ("sum(x, dim=d)", "sum(x, dim=None)"),
    ("d", "None"),
    ("x[0, d:, ...] + [d, -d]", "x[0, None:, ...] + [None, -None]"),
    ("x < d and not d == 1", "x < None and not None == 1"),
    ("[d*k for k in range(3)]", "[None*k for k in range(3)]"),
    ("[d for d in range(3)]", "[d for d in range(3)]"),
    ("x.T + dd", "x.T + dd"),
]


@pytest.mark.parametrize(("before", "after"), CASES)
def test_names_become_values(before, after):
    assert substitute(parse(before), {"d": None}) == parse(after)


def test_a_substituted_name_keeps_its_place():
    assert substitute(parse("x + d"), {"d": "tanh"}).right.place == (1, 5)

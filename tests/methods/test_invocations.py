"""The helpers of these tests notice a witness that has fallen silent."""

import pytest
from invocations import claims, said

from gradcheck.answer import Finding, Ruling


def test_a_witness_that_says_nothing_is_noticed():
    with pytest.raises(AssertionError, match="the witness said nothing"):
        said(iter(()))


def test_a_witness_that_gives_no_number_is_noticed():
    with pytest.raises(AssertionError, match="the witness gave no number"):
        claims([Finding(Ruling.AGREE, "passes", entries=2)])

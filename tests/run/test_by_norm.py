"""Code that is stable by norm only: its small entries have no digits, and a wrong one is wrong."""

import pytest
import torch

import gradcheck
from gradcheck.answer import Invocation, Ruling
from gradcheck.methods import METHODS
from gradcheck.methods._torch.rounding import Repeated
from gradcheck.query import Port

GRADED = "[[1e6, 2, 3e-6], [2, 5e-3, 7e-9], [3e-6, 7e-9, 4e-12]]"
BY_NORM = {"accuracy": {"normwise": True, "because": "a matrix is rotated, large and small alike"}}


def rotated(a):
    """The matrix itself, after a rotation and back: each entry is off by an ulp of the largest."""
    turn = torch.linalg.qr(torch.arange(9.0, dtype=a.dtype).reshape(3, 3).sin()).Q
    return turn.mT @ (turn @ a)


def rotated_opaquely(a):
    """The same by a kernel that nobody can look into."""
    u, s, v = torch.linalg.svd(a)
    return u @ torch.diag(s) @ v


def first_a_little_off(a):
    """Off by a billionth of the largest entry, at the smallest one."""
    found = rotated(a).clone()
    found[2, 2] = found[2, 2] + 1e-9 * a[0, 0]
    return found


def one_sign_wrong(a):
    found = rotated(a).clone()
    found[0, 1] = -found[0, 1]
    return found


def by_norm_of(code, matrix):
    """Which kernels of the code are known to be stable by norm."""
    shown = Invocation(
        function=code, inputs=(matrix.numpy()[None],), batched=False,
        outputs=(Port("y", tuple(code(matrix).shape)),), order=1, dtype="float64", device="cpu",
        seed=0,
    )  # fmt: skip
    (found,) = Repeated.of(METHODS["value"].answer, shown).in_full().values()
    return found.by_norm


def value_of(code, **keys):
    points = [{"at": {"a": GRADED}}]
    given = {"a": {"shape": [3, 3]}}
    result = gradcheck.verify(
        code, "1*a", given, witness="value", dtype="float64", points=points, order=1, **keys
    )
    (outcome,) = result.outcomes.values()
    return outcome


def test_small_entries_are_right_by_the_norm_of_their_array():
    assert value_of(rotated, **BY_NORM).verdict is Ruling.AGREE


def test_they_have_no_digits_of_their_own():
    assert value_of(rotated).verdict is Ruling.INACCURATE


@pytest.mark.parametrize("code", [first_a_little_off, one_sign_wrong])
def test_what_is_wrong_by_norm_is_convicted(code):
    assert value_of(code, **BY_NORM).verdict is Ruling.DISAGREE


def test_a_kernel_that_is_stable_by_norm_is_named_as_such():
    matrix = torch.eye(3, dtype=torch.float64) + 0.25
    assert "svd" in by_norm_of(rotated_opaquely, matrix)
    assert by_norm_of(rotated, matrix) == "qr"
    assert by_norm_of(lambda a: a.logdet(), matrix) == "slogdet"
    assert by_norm_of(lambda a: a @ a, matrix) == ""


def test_its_small_entries_are_inaccurate_and_not_wrong():
    assert value_of(rotated_opaquely).verdict is Ruling.INACCURATE


def test_it_excuses_no_sign():
    outcome = value_of(lambda a: one_sign_wrong(rotated_opaquely(a)))
    assert outcome.verdict is Ruling.DISAGREE

"""No property test has a deadline, on a developer's machine or in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

CONFTEST = Path(__file__).with_name("conftest.py")
SHOW = f"""
import runpy
from hypothesis import settings
runpy.run_path({str(CONFTEST)!r})
found = settings.default
print(found.deadline, found.derandomize, found.database is None)
"""


@given(st.none())
def test_here_is_one_property_at_least(nothing):
    assert nothing is None


def deadline_of(function):
    chosen = getattr(function, "_hypothesis_internal_use_settings", None)
    return (chosen or settings.default).deadline


def test_no_property_that_was_collected_has_a_deadline(request):
    tests = {item.nodeid: getattr(item, "obj", None) for item in request.session.items}
    found = {
        name: deadline_of(test)
        for name, test in tests.items()
        if getattr(test, "is_hypothesis_test", False)
    }
    here = request.node.nodeid.rpartition("::")[0]
    assert f"{here}::test_here_is_one_property_at_least" in found
    assert {name: deadline for name, deadline in found.items() if deadline is not None} == {}


def test_a_deadline_would_be_noticed():
    limited = settings(deadline=200)(given(st.none())(lambda nothing: None))
    assert deadline_of(limited) is not None


@pytest.mark.parametrize(
    ("variables", "expected"), [({"CI": "true"}, "None True True"), ({}, "None False False")]
)
def test_the_profile_holds_in_ci_and_elsewhere(variables, expected, tmp_path):
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == expected

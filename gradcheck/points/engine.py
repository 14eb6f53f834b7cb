"""How Hypothesis is run here: neither a profile nor a test around it has a say."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, control, currently_in_test_context, settings


def every_setting(examples: int, phases: Sequence[Phase]) -> settings:
    """Return settings that leave nothing to a profile."""
    return settings(
        max_examples=examples,
        derandomize=False,
        database=None,
        verbosity=Verbosity.quiet,
        phases=phases,
        stateful_step_count=1,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        deadline=None,
        print_blob=False,
        backend="hypothesis",
    )


def outside_of_tests() -> AbstractContextManager[Any]:
    """Return a context in which no Hypothesis test is running, whatever test this is called from.

    Hypothesis refuses a run inside a test, for which only the test's author could make an
    exception. A run here has a seed of its own, and draws nothing from the test around it.
    """
    if not currently_in_test_context():
        return nullcontext()
    return control._current_build_context.with_value(None)

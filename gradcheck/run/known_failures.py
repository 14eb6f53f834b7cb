"""Known failures at work: which entries they excuse, and whether each of them still fails.

An entry is looked for at points that hang on no seed: the declared ones and the covering set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np
import torch

from gradcheck.answer import NO_LONGER_FAILS
from gradcheck.catalog.checks import Check
from gradcheck.catalog.known_failures import KnownFailure
from gradcheck.dtypes import Dtype
from gradcheck.points.fixed import FixedPoint
from gradcheck.reference.exact import enclose_constant, nearest_to_ball

Excuse = Callable[[str, int, str], bool]
"""Whether what a call says may fail: by its label, the first point at which it does, and what the
witness says to make it wrong."""


class KnownFailureMatcher:
    """The known failures about one check. It notes which of them excused something."""

    def __init__(self, check: Check, dtype: Dtype) -> None:
        self._dtype = dtype
        self._is_on_request = check.dtype in check.case.on_request
        self.known = [each for each in check.known if each.applies(check, torch.__version__)]
        self.elsewhere = [
            each for each in check.elsewhere if each.applies(check, torch.__version__)
        ]
        self._used: set[int] = set()
        self._drawn: set[int] = set()  # those that excused something at a drawn point
        self._met: set[int] = set()

    @property
    def sought(self) -> bool:
        """Whether one of them must be looked for at the whole covering set."""
        return any(each.at is None for each in self.known)

    def at(self, fixed: FixedPoint | None, *, covering: int = 0) -> Excuse:
        """What is excused at a declared point; None: at others, ``covering`` of the set first."""
        here = self._about(fixed)
        self._met |= {id(each) for each in here}

        def excuse(label: str, point: int, because: str) -> bool:
            about = _of_call(here, label)
            named = [each for each in _of_call(self.elsewhere, label) if _names(because, each)]
            same_everywhere = fixed is not None or point < covering
            (self._used if same_everywhere else self._drawn).update(map(id, about))
            self._used.update(map(id, named))
            return bool(about or named)

        return excuse

    def excused_calls(self, fixed: FixedPoint | None) -> tuple[str, ...]:
        """How the labels begin of the calls that ``at`` excuses, whatever is wrong with them."""
        return tuple(each.when.get("call", "") for each in self._about(fixed))

    def _about(self, fixed: FixedPoint | None) -> list[KnownFailure]:
        return [each for each in self.known if each.at is None or self._pinned(each, fixed)]

    def _pinned(self, known: KnownFailure, fixed: FixedPoint | None) -> bool:
        if fixed is None or known.at is None or known.at.keys() != fixed.at.keys():
            return False
        for name, tree in known.at.items():
            balls = enclose_constant(tree)
            floats = [nearest_to_ball(ball, self._dtype) for ball in balls.ravel().tolist()]
            if balls.shape != fixed.at[name].shape:
                return False
            if not np.array_equal(np.reshape(floats, balls.shape), fixed.at[name]):
                return False
        return True

    def complaints(self) -> list[str]:
        """Entries that match nothing, and entries that no longer fail: the list must not rot."""
        unmet = [
            f"{each.where}: the known failure is pinned to no point of the case: add the point"
            for each in self.known
            if each.at is not None and id(each) not in self._met and not self._is_lenient(each)
        ]
        return unmet + [
            f"{each.where}: {self._stale(each)}"
            for each in self.known
            if id(each) not in self._used
            and (each.at is None or id(each) in self._met)
            and not self._is_lenient(each)
        ]

    def _is_lenient(self, known: KnownFailure) -> bool:
        """Whether it does not name a dtype in which the case runs on request alone."""
        return self._is_on_request and "dtype" not in known.when

    def _stale(self, known: KnownFailure) -> str:
        if id(known) in self._drawn:
            return (
                "the known failure fails at drawn points alone, which change with the seed: "
                "pin it to a point, with `at`"
            )
        return f"{NO_LONGER_FAILS}: remove the entry"

    def reason(self) -> str:
        """Why the check may fail; empty where nothing was excused."""
        used = [each for each in (*self.known, *self.elsewhere) if id(each) in self._used]
        return "; ".join(dict.fromkeys(f"{each.because} ({each.issue})" for each in used))


def _names(because: str, known: KnownFailure) -> bool:
    """Whether a witness says that it is this issue, and none whose number begins so."""
    return re.search(rf"{re.escape(known.issue)}(?!\w)", because) is not None


def _of_call(known: Iterable[KnownFailure], label: str) -> list[KnownFailure]:
    return [each for each in known if label.startswith(each.when.get("call", ""))]

"""Known failures at work: which entries they excuse, and whether each of them still fails."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from gradcheck.catalog.checks import Check
from gradcheck.catalog.known_failures import KnownFailure
from gradcheck.dtypes import Dtype
from gradcheck.points.fixed import FixedPoint
from gradcheck.reference.exact import enclose_constant, nearest_to_ball

Excuse = Callable[[str], bool]
"""Whether what a call says may fail, by the call's label. To be asked of what does fail."""


class KnownFailureMatcher:
    """The known failures about one check. It notes which of them excused something."""

    def __init__(self, check: Check, dtype: Dtype) -> None:
        self._dtype = dtype
        self.known = [each for each in check.known if each.applies(check, torch.__version__)]
        self._used: set[int] = set()
        self._met: set[int] = set()

    def at(self, fixed: FixedPoint | None) -> Excuse:
        """What is excused at a declared point; None: at drawn points."""
        here = [each for each in self.known if each.at is None or self._pinned(each, fixed)]
        self._met |= {id(each) for each in here}

        def excuse(label: str) -> bool:
            about = [each for each in here if label.startswith(each.when.get("call", ""))]
            self._used |= {id(each) for each in about}
            return bool(about)

        return excuse

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
            if each.at is not None and id(each) not in self._met
        ]
        return unmet + [
            f"{each.where}: the known failure no longer fails: remove the entry"
            for each in self.known
            if id(each) not in self._used and (each.at is None or id(each) in self._met)
        ]

    def reason(self) -> str:
        """Why the check may fail; empty where nothing was excused."""
        used = [each for each in self.known if id(each) in self._used]
        return "; ".join(dict.fromkeys(f"{each.because} ({each.issue})" for each in used))

"""What a check needs to be run: the truth, the code under test, and invocations made of points."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch

from gradcheck.answer import FiniteDifferenceSettings, Floats, Invocation, RunOptions
from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.catalog.checks import Check
from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.implementations.comparisons import compared_constants
from gradcheck.implementations.subject import Subject, acts_on_each_point, subject_of
from gradcheck.methods import METHODS
from gradcheck.methods._torch.differences import Box
from gradcheck.points.generate import generate, to_rows
from gradcheck.points.plan import Batch, Site, covering_batch, parts, planned
from gradcheck.query import Array
from gradcheck.reference.reference import Reference

Points = dict[str, Array]
"""For each input an array [count, *shape]."""

FEW_ENTRIES = 2
"""So few that a call for each entry, at all points at once, is cheap."""
_PROBES = 6
_HEARD = 3  # calls of each sort, at which a user's code is listened to


@dataclass(frozen=True, slots=True)
class Session:
    """One check, made ready: everything that does not vary from point to point."""

    check: Check
    dtype: Dtype
    reference: Reference
    subject: Subject
    batched: bool

    @property
    def case(self) -> Case:
        return self.check.case

    @property
    def variant(self) -> Variant:
        return self.check.variant

    def rows(self, points: Points) -> Array:
        """Every point as the entries of all inputs, joined in order.

        Shapes: [count, n].
        """
        return to_rows(self.variant.inputs, points)

    def planned(self, run_options: RunOptions) -> list[Batch]:
        """Points to look at: all in one batch where one call takes them all, else in few."""
        found = _shared(self.variant).planned(self.check, run_options)
        return [found] if self.batched and found.count else parts(found)

    def invocations(
        self, points: Points, *, seed: int, thorough: bool
    ) -> Iterator[tuple[Invocation, list[int]]]:
        """The points as calls, each with the numbers of the points in it."""
        count = len(points[self.variant.inputs[0].name])
        few = self.batched and self.reference.size <= FEW_ENTRIES
        together = self.batched and count > 1
        for numbers in [list(range(count))] if together else [[k] for k in range(count)]:
            inputs = tuple(points[each.name][numbers] for each in self.variant.inputs)
            invocation = self._invocation(inputs, seed + numbers[0], together=together)
            yield replace(invocation, thorough=thorough or few), numbers

    def _invocation(self, inputs: tuple[Floats, ...], seed: int, *, together: bool) -> Invocation:
        first = second = None
        if METHODS[self.check.witness].differences:
            named = {each.name: x for each, x in zip(self.variant.inputs, inputs, strict=True)}
            point = self.rows(named)
            box = None if np.iscomplexobj(point) else Box.at(self.reference, point, self.dtype)
            first = self._inside(inputs, None if box is None else box.first())
            if box is not None and first is not None and self.case.order >= 2:
                second = box.second()
        return Invocation(
            function=self.subject,
            inputs=inputs,
            batched=together,
            outputs=self.variant.formula.ports_on_trial,
            order=self.case.order,
            dtype=self.dtype.name,
            device=self.check.device,
            seed=seed,
            own_code=self.check.implementation.is_own_code,
            first=first,
            second=second,
            elsewhere=self._elsewhere(),
        )

    def _elsewhere(self) -> dict[str, Callable[[], Subject]]:
        """For each other dtype of the case how its implementation is made."""
        where = self.case, self.variant, self.check.implementation
        return {
            dtype: partial(subject_of, *where, dtype, self.check.device)
            for dtype in self.case.dtypes
            if dtype != self.dtype.name
        }

    def _inside(
        self, inputs: tuple[Floats, ...], settings: FiniteDifferenceSettings | None
    ) -> FiniteDifferenceSettings | None:
        """The settings, unless a step leaves the domain of an input."""
        if settings is None:
            return None
        for each, values in zip(self.variant.inputs, inputs, strict=True):
            reach = np.stack([values - settings.step, values + settings.step]).ravel().tolist()
            if not all(each.domain.contains(value) for value in reach):
                return None
        return settings


def session_of(check: Check) -> Session:
    """Make a check ready to be run.

    Errors: CatalogError where the case's ``function`` cannot be loaded.
    """
    where = check.case, check.variant, check.implementation, check.dtype, check.device
    batched = (
        check.variant.is_elementwise
        and not METHODS[check.witness].differences
        and _shared(check.variant).takes_many_points(*where)
    )
    reference = reference_of(check.variant)
    return Session(check, DTYPES[check.dtype], reference, subject_of(*where), batched)


class _Shared:
    """What the checks of a variant share, in whatever order they come; it lives as long as it.

    It fills as checks ask: what is kept hangs on the question alone.
    """

    def __init__(self, variant: Variant) -> None:
        self.reference = Reference(variant.formula)
        self._batched: dict[tuple[Implementation, str, str], bool] = {}
        self._compared: dict[tuple[Implementation, str, str], tuple[float, ...]] = {}
        self._covering: dict[tuple[str, tuple[float, ...]], Batch] = {}
        self._planned: dict[tuple[str, tuple[float, ...], RunOptions], Batch] = {}

    def takes_many_points(
        self, case: Case, variant: Variant, implementation: Implementation, dtype: str, device: str
    ) -> bool:
        """Whether one call takes many points: found by trial."""
        key = implementation, dtype, device
        if key not in self._batched:
            points = generate(variant.inputs, "bulk", 0, _PROBES, DTYPES[dtype])
            probes = [_probe(points[each.name], dtype, device) for each in variant.inputs]
            subject = subject_of(case, variant, implementation, dtype, device)
            self._batched[key] = acts_on_each_point(subject, probes)
        return self._batched[key]

    def planned(self, check: Check, run_options: RunOptions) -> Batch:
        """The points to look at; many numbers are made anew instead of kept."""
        aims = self._aims(check)
        key = check.dtype, aims, run_options
        if key in self._planned:
            return self._planned[key]
        dtype, variant = DTYPES[check.dtype], check.variant
        if (check.dtype, aims) not in self._covering:
            site = Site(variant.inputs, variant.formula, dtype)
            self._covering[check.dtype, aims] = covering_batch(site, aims)
        covering = self._covering[check.dtype, aims]
        found = planned(check.case, variant, dtype, run_options, covering)
        if sum(each.size for each in found.points.values()) <= MOST_KEPT:
            self._planned[key] = found
        return found

    def _aims(self, check: Check) -> tuple[float, ...]:
        """The constants with which a user's code compares, at some ordinary and some large points.

        PyTorch's own kernels do not show theirs.
        """
        if not check.implementation.is_own_code:
            return ()
        key = check.implementation, check.dtype, check.device
        if key not in self._compared:
            where = check.case, check.variant, check.implementation, check.dtype, check.device
            self._compared[key] = compared_constants(subject_of(*where), _calls(check))
        return self._compared[key]


def _calls(check: Check) -> list[list[torch.Tensor]]:
    """Ordinary and large points, one by one, as the code on trial takes them."""
    inputs, dtype = check.variant.inputs, DTYPES[check.dtype]
    found = [generate(inputs, regime, 0, _HEARD, dtype) for regime in ("bulk", "tails")]
    return [
        [_probe(points[each.name][k], check.dtype, check.device) for each in inputs]
        for points in found
        for k in range(len(points[inputs[0].name]))
    ]


MOST_KEPT = 1 << 16
"""Numbers of all points of a variant that are kept for other witnesses."""
_SHARED: WeakKeyDictionary[Variant, _Shared] = WeakKeyDictionary()


def _shared(variant: Variant) -> _Shared:
    if variant not in _SHARED:
        _SHARED[variant] = _Shared(variant)
    return _SHARED[variant]


def reference_of(variant: Variant) -> Reference:
    """Return the truth about a variant's formula, which all its checks share."""
    return _shared(variant).reference


def _probe(numbers: Array, dtype: str, device: str) -> torch.Tensor:
    kind = dtype if np.iscomplexobj(numbers) else DTYPES[dtype].real
    return torch.tensor(numbers, dtype=getattr(torch, kind), device=device)


def stable_seed(*parts: object) -> int:
    """A seed that is the same on every machine and in every process."""
    return zlib.crc32("/".join(map(str, parts)).encode())


def single(points: Points, k: int) -> Points:
    """The k-th point alone, still with an axis for points."""
    return {name: np.asarray(values[k : k + 1]) for name, values in points.items()}

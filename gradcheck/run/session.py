"""What a check needs to be run: the truth, the code under test, and invocations made of points."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from gradcheck.answer import FiniteDifferenceSettings, Invocation, RunOptions
from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.catalog.checks import Check
from gradcheck.devices import dtype_on
from gradcheck.dtypes import DTYPES, FLOAT32, Dtype
from gradcheck.graph.lower import in_real_coordinates
from gradcheck.implementations.in_place import in_place_subject, rewritten_in_place
from gradcheck.implementations.subject import Subject, acts_on_each_point, subject_of
from gradcheck.methods import METHODS
from gradcheck.methods._torch.differences import Boxes, DifferenceSettings
from gradcheck.points.generate import Points, count_of, generate, single, to_coordinates, to_rows
from gradcheck.points.plan import Batch, Site, beginning_with, covering_batch, parts, planned
from gradcheck.query import Array, Query
from gradcheck.reference.enclosures import Enclosures
from gradcheck.reference.reference import Reference
from gradcheck.run.aims import aims_of, departures_of, probe

Kept = TypeVar("Kept")

FEW_ENTRIES = 2
"""So few that a call for each entry, at all points at once, is cheap."""
_PROBES = 6


@dataclass(frozen=True, slots=True)
class Differences:
    """How ``torch.autograd.gradcheck`` and ``gradgradcheck`` testify at a point; None: not."""

    first: FiniteDifferenceSettings | None
    second: FiniteDifferenceSettings | None


NO_DIFFERENCES = Differences(None, None)


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

    @property
    def in_real_coordinates(self) -> Reference:
        """The truth about the same function of real numbers: of a complex entry both parts."""
        return _shared(self.variant).in_real_coordinates

    def derivatives(self, order: int, point: Array) -> Enclosures:
        """All derivatives of an order in real coordinates, at one point, not to be written to.

        Shapes: point [1, n].
        """
        return _shared(self.variant).derivatives(order, point)

    def once(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """What several checks of one implementation ask alike: it is made by the first."""
        check = self.check
        where = check.implementation, check.dtype, check.device, key
        return once_of(self.variant, where, make)

    def rows(self, points: Points) -> Array:
        """Every point as the entries of all inputs, joined in order.

        Shapes: [count, n].
        """
        return to_rows(self.variant.inputs, points)

    def planned(self, run_options: RunOptions) -> list[Batch]:
        """Points to look at: all in one batch where one call takes them all, else in few."""
        found = _shared(self.variant).planned(self.check, run_options)
        return [found] if self.batched and found.count else parts(found)

    @property
    def mapped(self) -> bool:
        """Whether the witness takes many points that the implementation does not."""
        own_code = self.check.implementation.is_own_code
        return METHODS[self.check.witness].mapped and not self.batched and not own_code

    def invocations(
        self,
        points: Points,
        *,
        seed: int,
        thorough: bool,
        differences: Sequence[Differences] | None = None,
        again: frozenset[str] = frozenset(),
    ) -> Iterator[tuple[Invocation, list[int]]]:
        """The points as calls, each with the numbers of the points in it.

        ``differences`` are those at the points, where they are known, and ``again`` the labels of
        the answers that are asked for, where these are not all.
        """
        (differences,) = [differences] if differences else self.differences([points])
        count = count_of(points)
        few = self.batched and self.reference.size <= FEW_ENTRIES
        for numbers in self._called_together(count):
            together = len(numbers) > 1
            invocation = Invocation(
                function=self.subject,
                inputs=tuple(points[each.name][numbers] for each in self.variant.inputs),
                batched=together,
                mapped=together and not self.batched,
                outputs=self.variant.formula.ports_on_trial,
                order=self.case.order,
                dtype=self.dtype.name,
                device=self.check.device,
                seed=seed + numbers[0],
                thorough=thorough or few,
                own_code=self.check.implementation.is_own_code,
                without=self.case.without,
                first=differences[numbers[0]].first,
                second=differences[numbers[0]].second,
                elsewhere=self._elsewhere(),
                in_place=self._in_place,
                again=again,
            )
            yield invocation, numbers

    def _called_together(self, count: int) -> list[list[int]]:
        """The numbers of so many points, by the calls that take them.

        Where ``torch.vmap`` takes them one is called without it, which no other call would do.
        """
        numbers = list(range(count))
        alone = 0 if self.batched else 1 if self.mapped else count
        found = [*([k] for k in numbers[:alone]), numbers[alone:]]
        return [each for each in found if each]

    def differences(self, places: Sequence[Points]) -> list[list[Differences]]:
        """How finite differences testify at each point of some places, asked for together."""
        counts = [count_of(points) for points in places]
        if not METHODS[self.check.witness].differences:
            return [[NO_DIFFERENCES] * count for count in counts]
        inputs = self.variant.inputs
        rows = np.concatenate([to_coordinates(inputs, points) for points in places])
        named = {each.name: np.concatenate([p[each.name] for p in places]) for each in inputs}
        first, second = _shared(self.variant).settings(rows, self.dtype, self.case.order)
        first = [self._inside(single(named, k), settings) for k, settings in enumerate(first)]
        found = [
            Differences(one, None if one is None else other)
            for one, other in zip(first, second, strict=True)
        ]
        ends = np.cumsum(counts).tolist()
        return [found[end - count : end] for end, count in zip(ends, counts, strict=True)]

    def _in_place(self) -> Subject | None:
        """The implementation in its in-place spelling, made anew."""
        check = self.check
        if not check.implementation.is_own_code:
            return partial(rewritten_in_place, self.subject)
        return in_place_subject(
            self.case, self.variant, check.implementation, check.dtype, check.device
        )

    def _elsewhere(self) -> dict[str, Callable[[], Subject]]:
        """For each other dtype of the case how its implementation is made."""
        where = self.case, self.variant, self.check.implementation
        return {
            dtype: partial(_shared(self.variant).subject, *where, dtype, self.check.device)
            for dtype in self.case.dtypes
            if dtype != self.dtype.name
        }

    def _inside(
        self, point: Points, settings: FiniteDifferenceSettings | None
    ) -> FiniteDifferenceSettings | None:
        """The settings, unless a step leaves the domain of an input."""
        if settings is None:
            return None
        for each in self.variant.inputs:
            steps = settings.step * np.array([1, -1, 1j, -1j] if each.domain.complex else [1, -1])
            reach = np.add.outer(steps, point[each.name]).ravel().tolist()
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
    shared = _shared(check.variant)
    return Session(
        check,
        dtype_on(check.device, check.dtype),
        shared.reference,
        shared.subject(*where),
        batched,
    )


class _Shared:
    """What the checks of a variant share, in whatever order they come; it lives as long as it.

    It fills as checks ask: what is kept hangs on the question alone.
    """

    def __init__(self, variant: Variant) -> None:
        self.reference = Reference(variant.formula)
        real = in_real_coordinates(variant.formula)
        self.in_real_coordinates = self.reference if real is variant.formula else Reference(real)
        self._subjects: dict[tuple[Implementation, str, str], Subject] = {}
        self._batched: dict[tuple[Implementation, str, str], bool] = {}
        self._compared: dict[tuple[Implementation, str, str], tuple[float, ...]] = {}
        self._covering: dict[tuple[Dtype, tuple[float, ...]], Batch] = {}
        self._departing: dict[tuple[Implementation, str, str], Points] = {}
        self._planned: dict[Hashable, Batch] = {}
        self.kept: dict[Hashable, Any] = {}
        self._derivatives: dict[tuple[int, bytes], Enclosures] = {}
        self._settings: dict[
            tuple[Dtype, int, bytes], tuple[DifferenceSettings, DifferenceSettings]
        ] = {}

    def derivatives(self, order: int, point: Array) -> Enclosures:
        """All derivatives of an order at one point; many numbers are found anew."""
        key = order, np.asarray(point, dtype=np.float64).tobytes()
        if key in self._derivatives:
            return self._derivatives[key]
        found = self.in_real_coordinates.enclose(Query.of_all(order), point)
        found.balls.setflags(write=False)
        found.status.setflags(write=False)
        if found.balls.size <= MOST_REMEMBERED:
            self._derivatives[key] = found
        return found

    def settings(
        self, rows: Array, dtype: Dtype, order: int
    ) -> tuple[DifferenceSettings, DifferenceSettings]:
        """How finite differences testify at some points, whatever code is on trial.

        Shapes: rows [count, n], in real coordinates.
        """
        key = dtype, order, rows.tobytes()
        if key not in self._settings:
            boxes = Boxes.at(self.in_real_coordinates, rows, dtype)
            self._settings[key] = boxes.settings(order)
        return self._settings[key]

    def subject(
        self, case: Case, variant: Variant, implementation: Implementation, dtype: str, device: str
    ) -> Subject:
        """The implementation, ready to be called: PyTorch's expressions are compiled once.

        A user's code may have a state, so that each check loads it anew.
        """
        where = case, variant, implementation, dtype, device
        if implementation.is_own_code:
            return subject_of(*where)
        key = implementation, dtype, device
        if key not in self._subjects:
            self._subjects[key] = subject_of(*where)
        return self._subjects[key]

    def takes_many_points(
        self, case: Case, variant: Variant, implementation: Implementation, dtype: str, device: str
    ) -> bool:
        """Whether one call takes many points: found by trial."""
        key = implementation, dtype, device
        if key not in self._batched:
            points = generate(variant.inputs, "bulk", 0, _PROBES, DTYPES[dtype])
            probes = [probe(points[each.name], dtype, device) for each in variant.inputs]
            subject = self.subject(case, variant, implementation, dtype, device)
            self._batched[key] = acts_on_each_point(subject, probes)
        return self._batched[key]

    def planned(self, check: Check, run_options: RunOptions) -> Batch:
        """The points to look at; many numbers are made anew instead of kept."""
        aims, dtype, variant = self._aims(check), dtype_on(check.device, check.dtype), check.variant
        if (dtype, aims) not in self._covering:
            site = Site(variant.inputs, variant.formula, dtype)
            self._covering[dtype, aims] = covering_batch(site, aims)
        covering = self._covering[dtype, aims]
        found_at = self._departures(check, covering)
        key = dtype, aims, tuple(each.tobytes() for each in found_at.values()), run_options
        if key in self._planned:
            return self._planned[key]
        if found_at:
            covering = beginning_with(covering, found_at)
        found = planned(check.case, variant, dtype, run_options, covering)
        if sum(each.size for each in found.points.values()) <= MOST_KEPT:
            self._planned[key] = found
        return found

    def _aims(self, check: Check) -> tuple[float, ...]:
        """The constants with which a user's code compares; PyTorch's kernels do not show theirs."""
        if not check.implementation.is_own_code:
            return ()
        key = check.implementation, check.dtype, check.device
        if key not in self._compared:
            self._compared[key] = aims_of(check)
        return self._compared[key]

    def _departures(self, check: Check, covering: Batch) -> Points:
        """Points at which a user's code departs from the formula as PyTorch differentiates it."""
        # Points at which rounding shows most would bias arrays of low precision, judged together.
        is_low = dtype_on(check.device, check.dtype).precision < FLOAT32.precision
        if is_low or not check.implementation.is_own_code:
            return {}
        key = check.implementation, check.dtype, check.device
        if key not in self._departing:
            where = check.case, check.variant, check.implementation, check.dtype, check.device
            together = check.variant.is_elementwise and self.takes_many_points(*where)
            self._departing[key] = departures_of(check, covering, together=together)
        return self._departing[key]


MOST_KEPT = 1 << 16
"""Numbers of all points of a variant that are kept for other witnesses."""
MOST_REMEMBERED = 1 << 10
"""Derivatives of an order at a point that are kept for other witnesses and dtypes."""
_SHARED: WeakKeyDictionary[Variant, _Shared] = WeakKeyDictionary()


def _shared(variant: Variant) -> _Shared:
    if variant not in _SHARED:
        _SHARED[variant] = _Shared(variant)
    return _SHARED[variant]


def once_of(variant: Variant, key: Hashable, make: Callable[[], Kept]) -> Kept:
    """Return what all checks of a variant ask alike: it is made by the first."""
    kept = _shared(variant).kept
    if key not in kept:
        kept[key] = make()
    found: Kept = kept[key]
    return found


def reference_of(variant: Variant) -> Reference:
    """Return the truth about a variant's formula, which all its checks share."""
    return _shared(variant).reference


def real_reference_of(variant: Variant) -> Reference:
    """Return the truth about the same function of real numbers: of a complex entry both parts."""
    return _shared(variant).in_real_coordinates


def stable_seed(*parts: object) -> int:
    """A seed that is the same on every machine and in every process."""
    return zlib.crc32("/".join(map(str, parts)).encode())

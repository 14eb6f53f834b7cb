"""Who says what at one point: each witness's numbers beside the certified truth.

Every direction is 1 here, so that a witness answers with the derivatives themselves, as a reader
expects them, and not with random projections.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from flint import arb

from gradcheck.answer import Agreement, EntryReport, Ruling
from gradcheck.catalog.case import Variant
from gradcheck.catalog.checks import Check
from gradcheck.catalog.inline import NAME
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.query import Array, Port, Query, complex_entries
from gradcheck.reference.digits import digits
from gradcheck.reference.enclosures import Enclosures, Status
from gradcheck.reference.reference import Reference
from gradcheck.report.failure_text import without_zeros
from gradcheck.run.entry_text import THE_CALL, entry_report, input_names, output_names
from gradcheck.run.observation import Entry, Observation, observe
from gradcheck.run.session import session_of

FEW = 4  # derivatives of one order: none of them is left out
_WRONG = 4  # wrong numbers of a witness that have a line each


def heard(check: Check, values: Mapping[str, Array]) -> Iterator[EntryReport]:
    """Everything that the check's witness says of one point, sums of derivatives left out."""
    points = {name: np.asarray(value)[None] for name, value in values.items()}
    observation = observe(session_of(check), points, PLAIN)
    names: dict[int, list[Derivative]] = {}
    for entry in observation.entries:
        if entry.weights.count == 1:
            order = entry.query.order
            of = names.setdefault(order, derivatives_of(check.variant, order))
            place = derivative_place(check.variant, entry)
            yield replace(entry_report(observation, entry), index=of[place].name)
    for finding in observation.findings:
        yield entry_report(observation, finding)
    yield from _agreements(observation, values)


def _agreements(observation: Observation, values: Mapping[str, Array]) -> Iterator[EntryReport]:
    """Agreements without numbers that the judge has nothing to add to."""
    at = {name: value.tolist() for name, value in values.items()}
    nothing = float("nan")
    for remark in observation.remarks:
        if isinstance(remark, Agreement):
            yield EntryReport(
                at, THE_CALL, remark.label, nothing, "", "", nothing, nothing,
                remark.ruling, remark.reason,
            )  # fmt: skip


def title_of(check: Check) -> str:
    """The case's name with its variant; the formula itself where it has none."""
    case, variant = check.case, check.variant
    if case.name == NAME:
        return case.summary
    return f"{case.name}[{variant.name}]" if variant.name else case.name


def with_witness(check: Check, name: str) -> Check:
    return replace(check, witness=name)


def certain(ball: arb, status: Status) -> str:
    """The certified digits of an enclosure; a hull as ``[low, high]``; else empty."""
    is_proved = status <= Status.KINK
    return without_zeros(digits(ball, is_hull=status == Status.KINK)) if is_proved else ""


@dataclass(frozen=True, slots=True)
class Derivative:
    """Which derivative: ``y``, ``∂y/∂x``, ``∂²y/∂x∂x`` or ``∂³y/∂x∂x∂x``.

    ``repeats``: an earlier one is the same with its directions in another order.
    """

    name: str
    order: int
    repeats: bool = False

    def tells(self, *, is_zero: bool) -> bool:
        """Whether it is worth a line: zeros and repetitions are only counted, values never."""
        return not self.order or not (is_zero or self.repeats)


def derivatives_at(reference: Reference, order: int, point: Array) -> Enclosures:
    """All derivatives of an order at one point, one by one, in real coordinates.

    Shapes: point [1, n]; [1, m, n, ...].
    """
    return reference.enclose(Query.of_all(order), point)


def derivatives_of(variant: Variant, order: int) -> list[Derivative]:
    """All derivatives of ``order``, flat, as ``derivatives_at`` has them.

    Of a real y by a complex z PyTorch's gradient is ∂y/∂re z + i ∂y/∂im z.
    """
    return derivatives_by(*coordinate_names(variant), order)


def derivatives_by(names: list[str], inputs: list[str], order: int) -> list[Derivative]:
    """All derivatives of ``order`` of what is called so by what is called so, flat."""
    if order == 0:
        return [Derivative(name, 0) for name in names]
    sign = "∂" if order == 1 else f"∂{'²³'[order - 2]}"
    return [
        Derivative(
            f"{sign}{name}/{''.join(f'∂{inputs[k]}' for k in places)}",
            order,
            repeats=list(places) != sorted(places),
        )
        for name in names
        for places in product(range(len(inputs)), repeat=order)
    ]


def coordinate_names(variant: Variant) -> tuple[list[str], list[str]]:
    """What the real coordinates of outputs and of inputs are called: ``re z``, ``im z``."""
    formula = variant.formula
    outputs = _by_parts(output_names(variant), formula.judged)
    return outputs, _by_parts(input_names(variant), formula.ports)


def _by_parts(names: list[str], ports: Sequence[Port]) -> list[str]:
    return [
        part + name
        for name, kind in zip(names, complex_entries(ports), strict=True)
        for part in (("re ", "im ") if kind else ("",))
    ]


def derivative_place(variant: Variant, entry: Entry) -> int:
    """The flat position, in real coordinates, of the derivative that a number is.

    The number is no sum, and the sides that it was asked for with are 1 or i: the real part of
    conj(i)·y is the imaginary part of y, and a tangent i moves that of z.
    """
    formula, order = variant.formula, entry.query.order
    kinds = complex_entries(formula.judged), *(complex_entries(formula.ports) for _ in range(order))
    ((_, flat),) = entry.terms(1)
    place = np.unravel_index(flat, [kind.size for kind in kinds])
    parts = [
        entry.part if side is None else int(side[k].imag != 0)
        for side, k in zip(entry.weights.sides, place, strict=True)
    ]
    starts = [int((1 + kind[:k]).sum()) for kind, k in zip(kinds, place, strict=True)]
    coordinates = [start + part for start, part in zip(starts, parts, strict=True)]
    return int(np.ravel_multi_index(coordinates, [int((1 + kind).sum()) for kind in kinds]))


@dataclass(frozen=True, slots=True)
class Line:
    """What a witness says, of one derivative or of several about which it says the same.

    ``by`` are the calls that said it, ``worst`` is the entry of largest error among them.
    """

    witness: str
    by: tuple[str, ...]
    entries: int
    worst: EntryReport


def lines_of(statements: Sequence[tuple[str, EntryReport]]) -> list[Line]:
    """One line for each witness's agreement, for each of its reasons to say nothing, and for each
    number that it has wrong, of many the worst.
    """
    groups: dict[tuple[object, ...], list[EntryReport]] = {}
    for witness, said in statements:
        reason = said.reason if said.ruling is Ruling.ABSTAIN else ""
        groups.setdefault((witness, said.ruling, reason), []).append(said)
    return [line for key, group in groups.items() for line in _lines(str(key[0]), group)]


def _lines(witness: str, group: Sequence[EntryReport]) -> Iterator[Line]:
    """The lines of a group that is ruled alike."""
    if group[0].ruling in (Ruling.AGREE, Ruling.ABSTAIN):
        yield _line(witness, group)
        return
    numbers: dict[tuple[str, str], list[EntryReport]] = {}
    for said in group:
        numbers.setdefault((said.index, repr(said.got)), []).append(said)
    ranked = sorted(numbers.values(), key=lambda each: each[0].ulps, reverse=True)
    for each in ranked[:_WRONG]:
        yield _line(witness, each)
    if ranked[_WRONG:]:
        yield _line(witness, [said for each in ranked[_WRONG:] for said in each])


def _line(witness: str, group: Sequence[EntryReport]) -> Line:
    by = tuple(dict.fromkeys(said.label for said in group))
    indices = dict.fromkeys(said.index for said in group if said.true)
    counted = [said for said in group if said.true] or group
    worst = max(counted, key=lambda said: -1.0 if math.isnan(said.ulps) else said.ulps)
    return Line(witness, by, len(indices), worst)

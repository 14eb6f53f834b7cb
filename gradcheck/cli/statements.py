"""Who says what at one point: each witness's numbers beside the certified truth.

Every direction is 1 here, so that a witness answers with the derivatives themselves, as a reader
expects them, and not with random projections.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from gradcheck.answer import Evidence, Floats, Ruling
from gradcheck.catalog.case import Variant
from gradcheck.catalog.checks import Check
from gradcheck.cli.place import entry_names
from gradcheck.formula.evaluate import Enclosure
from gradcheck.run.hearing import Hearing, evidence, hear
from gradcheck.run.scene import scene_of
from gradcheck.witnesses.stand.directions import PLAIN

_DIGITS = 20


def heard(check: Check, values: Mapping[str, Floats]) -> Iterator[Evidence]:
    """Everything that the check's witness says of one point, sums of derivatives left out."""
    points = {name: np.asarray(value)[None] for name, value in values.items()}
    hearing = hear(scene_of(check), points, PLAIN)
    for entry in hearing.entries:
        if entry.expected is None or len(entry.expected.terms) == 1:
            yield evidence(hearing, entry)
    yield from _agreements(hearing, values)


def _agreements(hearing: Hearing, values: Mapping[str, Floats]) -> Iterator[Evidence]:
    """Findings without numbers that the judge has nothing to add to."""
    at = {name: value.tolist() for name, value in values.items()}
    nothing = float("nan")
    for finding in hearing.findings:
        if finding.ruling is Ruling.AGREE:
            yield Evidence(
                at, "the call", finding.label, nothing, "", "", nothing, nothing,
                finding.ruling, finding.reason,
            )  # fmt: skip


def with_witness(check: Check, name: str) -> Check:
    return replace(check, witness=name)


def certain(enclosure: Enclosure) -> str:
    """The certified digits of an enclosure; a hull as ``[low, high]``; else empty."""
    if not enclosure.proves:
        return ""
    ball = enclosure.ball
    if enclosure.status == "kink":
        return _hull(float(ball.lower()), float(ball.upper()))
    return without_zeros(str(ball.str(_DIGITS, radius=False)))


def _hull(low: float, high: float) -> str:
    """Both ends to a millionth of their distance: a ball's radius has no more than 30 bits."""
    if not low < high < math.inf:
        return f"[{low:g}, {high:g}]"
    places = 6 - math.ceil(math.log10(high - low))
    return f"[{round(low, places) + 0.0:g}, {round(high, places) + 0.0:g}]"


def without_zeros(text: str) -> str:
    """A decimal number without the zeros at its end that say nothing."""
    plain = "." in text and "e" not in text and not text.startswith("in ")
    return text.rstrip("0").rstrip(".") if plain else text


def derivative_names(variant: Variant, order: int) -> list[str]:
    """``y``, ``∂y/∂x``, ``∂²y/∂x∂x`` for all derivatives of ``order``, flat as in ``Truth``."""
    shape = variant.program.shape
    inputs = entry_names(variant)
    names = [f"y[{', '.join(map(str, i))}]" if shape else "y" for i in np.ndindex(shape)]
    if order == 0:
        return names
    if order == 1:
        return [f"∂{name}/∂{x}" for name in names for x in inputs]
    return [f"∂²{name}/∂{a}∂{b}" for name in names for a in inputs for b in inputs]

"""The error over the input, in short: for a record, which cannot hold every judged number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.answer import Floats, Ruling
from gradcheck.points.generate import count_of
from gradcheck.run.observation import Observation
from gradcheck.run.session import Session

_BANDS = 48
"""Of the input; of each the worst point is kept, so that no error is hidden."""
MAGNITUDE = "magnitude"


def error_curve(
    session: Session, observations: Sequence[Observation]
) -> tuple[str, tuple[tuple[float, float], ...]]:
    """Return what runs, and for each of some of its numbers the worst error there.

    A single real number runs itself, by its name; of anything else it is the largest magnitude
    among all entries of the input.

    Units: ulps; inf where there was no number that could be compared.
    """
    inputs = session.variant.inputs
    alone = len(inputs) == 1 and inputs[0].shape == () and not inputs[0].domain.complex
    over = inputs[0].name if alone else MAGNITUDE
    errors = [_worst_by_point(each) for each in observations]
    if not errors:
        return over, ()
    found = np.concatenate(errors)
    places = np.concatenate([_places(session, each, alone=alone) for each in observations])
    kept = np.flatnonzero(~np.isnan(found) & np.isfinite(places))
    order = kept[np.argsort(places[kept], kind="stable")]
    bands = np.array_split(order, min(_BANDS, len(order))) if len(order) else []
    worst = [band[np.argmax(found[band])] for band in bands]
    return over, tuple((float(f"{places[k]:.4g}"), float(f"{found[k]:.3g}")) for k in worst)


def _places(session: Session, observation: Observation, *, alone: bool) -> Floats:
    rows = session.rows(observation.points)
    if alone:
        return np.asarray(rows[:, 0], dtype=np.float64)
    sizes = np.abs(rows).astype(np.float64)
    return np.asarray(sizes.max(axis=1, initial=0.0))


def _worst_by_point(observation: Observation) -> Floats:
    """NaN where nothing was judged."""
    worst = np.full(count_of(observation.points), -1.0)
    for finding in observation.findings:
        if finding.ruling is Ruling.DISAGREE:
            worst[finding.point] = np.inf
    for judged in observation.judged:
        ulps = np.where(judged.judgements.is_ruled(Ruling.ABSTAIN), -1.0, judged.judgements.ulps)
        by_row = np.nan_to_num(ulps, nan=np.inf, posinf=np.inf).max(axis=1, initial=-1.0)
        np.maximum.at(worst, judged.points, by_row)
    return np.where(worst < 0, np.nan, worst)

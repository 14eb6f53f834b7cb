"""Planted faults, tried by the workers of a Dask scheduler: a unit is a case with its kinds.

The text of the case's file goes along: workers need no files of their own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from gradcheck.catalog.case import Case
from gradcheck.catalog.load import load_text
from gradcheck.cluster import Cluster, Feed, Unit, done
from gradcheck.mutation.campaign import (
    ALARM,
    KeptResults,
    MutantResult,
    MutationOptions,
    PlantedIn,
    case_id,
    mutant_result_of,
    results,
)
from gradcheck.mutation.kinds import FAULT_KINDS, TWIN

_LOST = "workers died over this case: their logs say of what"


def results_on(
    cluster: Cluster, planted: Sequence[PlantedIn], options: MutationOptions, kept: KeptResults
) -> Iterator[MutantResult]:
    """As ``results``, cases by the workers of a cluster, in the order in which they end.

    A case over which workers die is told as an alarm. Errors: as ``gradcheck.cluster.done``.
    """
    units = (_unit(each, options, kept) for each in planted)
    for each in done(cluster, "gradcheck.mutation.distributed:try_unit", [Feed(units)]):
        if each.answer is None:
            yield MutantResult(each.unit["id"], TWIN.name, TWIN.group, str(TWIN.place),
                               each.unit["dtype"], ALARM, cause=_LOST)  # fmt: skip
            continue
        for told in each.answer:
            found = mutant_result_of(told)
            kept.keep(found)
            yield found


def _unit(planted: PlantedIn, options: MutationOptions, kept: KeptResults) -> Unit:
    case = planted.case
    return {
        "id": case_id(case),
        "case": case.name,
        "shown": case.where.path,
        "text": Path(case.where.path).read_text("utf-8"),
        "dtype": planted.dtype,
        "kinds": [kind.name for kind in planted.kinds],
        "settled": [asdict(each) for each in planted.settled],
        "kept": [asdict(each) for each in kept.of(planted)],
        "ends": None if kept.seconds_left is None else time.time() + kept.seconds_left,
        "options": {**asdict(replace(options, kinds=())), "witnesses": list(options.witnesses)},
    }


def try_unit(unit: Unit) -> list[dict[str, Any]]:
    """On a worker: try the faults of one case, and return the results as plain data."""
    case = _cases(unit["text"], unit["shown"])[unit["case"]]
    options = MutationOptions(
        **{**unit["options"], "witnesses": tuple(unit["options"]["witnesses"])}
    )
    planted = PlantedIn(
        case,
        unit["dtype"],
        tuple(FAULT_KINDS[name] for name in unit["kinds"]),
        tuple(map(mutant_result_of, unit["settled"])),
    )
    left = math.inf if unit["ends"] is None else unit["ends"] - time.time()
    kept = KeptResults(None, options, time.monotonic() + left)
    for told in unit["kept"]:
        kept.keep(mutant_result_of(told))
    return [asdict(each) for each in results([planted], options, kept)]


@lru_cache(maxsize=8)
def _cases(text: str, shown: str) -> dict[str, Case]:
    return {case.name: case for case in load_text(text, shown)}

"""What a run says at its ends: what will run, and what came of it. Text only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from gradcheck.answer import Ruling
from gradcheck.plugin.failures import in_catalog_order
from gradcheck.plugin.ledger import Ledger, ulps
from gradcheck.plugin.options import Settings
from gradcheck.report.causes import Failure, by_cause
from gradcheck.report.records import Record, version

_WORST = 5
_IDS = 3  # of each cause
_REASONS = 8
_LIBRARIES = ("gradcheck", "torch", "sympy", "python-flint", "hypothesis")


def header(
    settings: Settings, *, devices: Sequence[str], threads: str, catalogs: Sequence[str]
) -> list[str]:
    """The lines above a run; ``devices`` are described, ``catalogs`` are folders."""
    run_options = settings.run_options
    strict = "; inaccurate fails" if run_options.strict_accuracy else ""
    part = "; part {} of {}".format(*settings.shard) if settings.shard else ""
    return [
        ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        f"gradcheck devices: {', '.join(devices)}; dtypes: {', '.join(settings.dtypes)}",
        f"gradcheck.methods: {', '.join(settings.witnesses)}",
        f"gradcheck points: {run_options.points}; seed: {run_options.seed}; "
        f"threads: {threads}{strict}{part}",
        f"gradcheck catalogs: {', '.join(catalogs)}",
    ]


def summary(ledger: Ledger) -> Iterator[str]:
    """The lines below a run: counts, losses, faults by cause, and what was not judged and why."""
    counts = [f"{ledger.verdicts[ruling.value]} {ruling.value}" for ruling in Ruling]
    yield f"{sum(ledger.verdicts.values())} checks: {', '.join(counts)}"
    yield f"{ledger.entries:,} gradient entries judged, {ledger.abstained:,} not"
    yield from _worst(ledger)
    yield from _causes(ledger.disagreements)
    yield from _untested(ledger)
    if ledger.path:
        yield f"results: {ledger.path}"


def _worst(ledger: Ledger) -> Iterator[str]:
    ranked = sorted(ledger.worst.values(), key=ulps, reverse=True)[:_WORST]
    if ranked:
        yield "worst accuracy without a disagreement, in ulps:"
    for record in ranked:
        note = "  inaccurate" if record.verdict == "inaccurate" else ""
        yield f"  {ulps(record):>9.3g}  {record.id}  {record.index}{note}"


def _causes(disagreements: Sequence[Record]) -> Iterator[str]:
    causes: defaultdict[str, list[str]] = defaultdict(list)
    for cause in by_cause(in_catalog_order(map(Failure, disagreements))):
        failures = cause.telling, *cause.others
        causes[cause.headline] += [failure.record.id for failure in failures]
    if causes:
        yield "disagreements, by cause:"
    for headline, ids in sorted(causes.items(), key=lambda item: (-len(item[1]), item[0])):
        yield f"  {len(ids)}  {headline}"
        yield from (f"       {name}" for name in ids[:_IDS])
        if len(ids) > _IDS:
            yield f"       and {len(ids) - _IDS} more"


def _untested(ledger: Ledger) -> Iterator[str]:
    ranked = sorted(ledger.untested.items(), key=lambda item: (-item[1], item[0]))
    if ranked:
        yield "not tested, and why:"
    for reason, count in ranked[:_REASONS]:
        yield f"  {count}  {reason}"
    if len(ranked) > _REASONS:
        rest = sum(count for _, count in ranked[_REASONS:])
        yield f"  {rest}  for {len(ranked) - _REASONS} other reasons; -rs lists them"

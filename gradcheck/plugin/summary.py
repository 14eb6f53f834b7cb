"""The header above a run and the summary below it: what runs, what came of it, what that means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from gradcheck.answer import Ruling
from gradcheck.methods import WITNESSES
from gradcheck.plugin.options import Settings
from gradcheck.plugin.results import Ledger
from gradcheck.report.causes import Failure, by_cause, in_catalog_order
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
    dtypes = ", ".join(settings.dtypes) or "those of each case"
    return [
        ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        f"gradcheck devices: {', '.join(devices)}; dtypes: {dtypes}",
        f"gradcheck witnesses: {', '.join(settings.witnesses)}",
        f"gradcheck points: {run_options.points}; seed: {run_options.seed}; "
        f"threads: {threads}{strict}{part}",
        f"gradcheck catalogs: {', '.join(catalogs)}",
    ]


_MEANINGS = {
    Ruling.AGREE: "passed",
    Ruling.ABSTAIN: "neither passed nor failed: nothing was proved, for the reasons listed below",
    Ruling.KNOWN: "failed as known_failures.yaml says that they do",
    Ruling.INACCURATE: "passed, but inaccurate: digits are lost; the worst are listed below",
    Ruling.DISAGREE: "failed, listed below by cause",
}


def summary(ledger: Ledger, settings: Settings) -> Iterator[str]:
    """The lines below a run: counts, losses, faults by cause, and what was not judged and why."""
    counts = [f"{ledger.verdicts[ruling.value]} {ruling.value}" for ruling in Ruling]
    total = sum(ledger.verdicts.values())
    yield f"{total} {'check' if total == 1 else 'checks'}: {', '.join(counts)}"
    yield from _meanings(ledger, settings)
    if ledger.earlier:
        yield f"{len(ledger.earlier):,} of them in the results that were there"
    yield f"{ledger.entries:,} gradient entries judged, {ledger.abstained:,} not"
    if ledger.ill_conditioned:
        yield f"{ledger.ill_conditioned:,} of them ill-conditioned: they agree, and prove nothing"
    for device, count in ledger.varying.items():
        by = f"by up to {ledger.varying_by[device]:,} ulps"
        yield f"{count:,} numbers of {device} vary from call to call, {by}; each was judged"
    yield from _worst(ledger)
    yield from _causes(ledger.disagreements)
    yield from _untested(ledger)
    yield from _not_asked(settings)
    yield from _slowest(ledger)
    if ledger.path:
        yield f"results: {ledger.path}"


def _meanings(ledger: Ledger, settings: Settings) -> Iterator[str]:
    """What each verdict that was met means, unless all is well."""
    if not set(ledger.verdicts) - {Ruling.AGREE.value}:
        return
    for ruling in Ruling:
        meaning = _MEANINGS[ruling]
        if settings.run_options.fails(ruling):
            meaning = meaning.replace("passed, but inaccurate", "failed, as --strict-accuracy asks")
        if ledger.verdicts[ruling.value]:
            yield f"  {ledger.verdicts[ruling.value]:>7,}  {meaning}"


def _worst(ledger: Ledger) -> Iterator[str]:
    ranked = sorted(ledger.worst.values(), key=lambda record: -(record.ulps or 0.0))[:_WORST]
    if ranked:
        yield "worst accuracy without a disagreement, in ulps:"
    for record in ranked:
        note = "  inaccurate" if record.verdict == "inaccurate" else ""
        yield f"  {record.ulps or 0.0:>9.3g}  {record.id}  {record.index}{note}"


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


def _not_asked(settings: Settings) -> Iterator[str]:
    silent = [name for name in WITNESSES if name not in settings.witnesses]
    if silent:
        yield f"not asked: the witnesses {', '.join(silent)}"


def _slowest(ledger: Ledger) -> Iterator[str]:
    if ledger.slowest:
        yield "slowest, in seconds:"
    for record in ledger.slowest:
        yield f"  {record.seconds:>9.1f}  {record.id}"

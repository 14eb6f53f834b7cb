"""Kill rates as tables: by kind, by witness, by case, and the survivors one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gradcheck.mutation.campaign import (
    ALARM,
    EQUIVALENT,
    KILLED,
    SURVIVED,
    WITHIN,
    MutantResult,
)
from gradcheck.mutation.kinds import TWIN
from gradcheck.mutation.rivals import RIVALS
from gradcheck.report.table import table, to_width


@dataclass(frozen=True, slots=True)
class KillRate:
    """How many mutants there are of a sort that are not equivalent, and who convicts how many.

    ``rivals`` counts for each rival the mutants that it convicts. ``settled`` are those that
    change nothing or too little, by proof.
    """

    name: str
    mutants: int
    killed: int
    settled: int
    rivals: dict[str, int]

    @property
    def share(self) -> float:
        """Per cent; 100 where there are none."""
        return 100 * self.killed / self.mutants if self.mutants else 100.0


def kill_rate(name: str, results: Iterable[MutantResult]) -> KillRate:
    """Count results of mutants."""
    found = list(results)
    tried = [each for each in found if each.outcome in (KILLED, SURVIVED)]
    rivals = {rival: sum(each.rivals.get(rival, False) for each in tried) for rival in RIVALS}
    settled = sum(each.outcome in (EQUIVALENT, WITHIN) for each in found)
    killed = sum(each.outcome == KILLED for each in tried)
    return KillRate(name, len(tried), killed, settled, rivals)


def grouped(results: Sequence[MutantResult], what: str) -> list[KillRate]:
    """Kill rates by ``group``, ``kind`` or ``case``, in the order in which they are met."""
    sorts: dict[str, list[MutantResult]] = {}
    for each in _mutants(results):
        name = f"{each.place}, {each.group}" if what == "group" else getattr(each, what)
        sorts.setdefault(name, []).append(each)
    return [kill_rate(name, found) for name, found in sorted(sorts.items())]


def _mutants(results: Iterable[MutantResult]) -> list[MutantResult]:
    return [each for each in results if each.kind != TWIN.name]


def report_text(results: Sequence[MutantResult], *, everything: bool = False) -> Iterator[str]:
    """The report, block by block."""
    groups = grouped(results, "group")
    rows = [*groups, kill_rate("all", _mutants(results))]
    yield table(_HEADS, [_row(each) for each in rows], "per cent of planted faults convicted")
    kinds = grouped(results, "kind")
    shown = kinds if everything else [each for each in kinds if each.killed < each.mutants]
    if shown:
        title = "by kind" if everything else "kinds of which some survive"
        yield table(_HEADS, [_row(each) for each in shown], title)
    yield table(("witness", ">asked", ">convicts", ">per cent"), list(_of_witnesses(results)),
                "by witness, of the mutants that it was asked about")  # fmt: skip
    cases = grouped(results, "case")
    yield table(_HEADS, [_row(each) for each in cases], "by case")
    yield "\n".join(_twins(results))
    yield "\n".join(_survivors(results))


_HEADS = ("", ">mutants", ">settled", ">gradcheck", *(f">{name}" for name in RIVALS))


def _row(rate: KillRate) -> tuple[str, ...]:
    shares = (_per_cent(count, rate.mutants) for count in rate.rivals.values())
    return (
        rate.name, str(rate.mutants), str(rate.settled), _per_cent(rate.killed, rate.mutants),
        *shares,
    )  # fmt: skip


def _per_cent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}" if total else "-"


def _of_witnesses(results: Sequence[MutantResult]) -> Iterator[tuple[str, ...]]:
    tried = [each for each in _mutants(results) if each.outcome in (KILLED, SURVIVED)]
    asked = Counter(name for each in tried for name in each.asked)
    convicts = Counter(name for each in tried for name in each.killed_by)
    for name, count in asked.most_common():
        yield name, str(count), str(convicts[name]), _per_cent(convicts[name], count)


def _twins(results: Sequence[MutantResult]) -> Iterator[str]:
    """Who convicts right code: us first, with each reason, then how often each rival."""
    twins = [each for each in results if each.kind == TWIN.name]
    alarms = [each for each in twins if each.outcome == ALARM]
    yield f"twins without a fault: {len(twins)}, convicted {len(alarms)}"
    yield from (to_width(f"  {each.case}: {each.cause}", 4) for each in alarms)
    told = (f"{name} {sum(each.rivals.get(name, False) for each in twins)}" for name in RIVALS)
    yield to_width(f"  convicted by the others, who tell nothing there: {', '.join(told)}", 4)


def _survivors(results: Sequence[MutantResult]) -> Iterator[str]:
    found = [each for each in results if each.outcome == SURVIVED]
    yield f"survivors: {len(found)}"
    for each in found:
        others = ", ".join(name for name, convicts in each.rivals.items() if convicts)
        told = f"; convicted by {others}" if others else ""
        yield to_width(f"  {each.case}, {each.kind}: {each.cause}{told}", 4)


def kill_rates_json(results: Sequence[MutantResult]) -> dict[str, Any]:
    """All of it as plain data."""
    return {
        "all": asdict(kill_rate("all", _mutants(results))),
        "by": {
            what: [asdict(each) for each in grouped(results, what)]
            for what in ("group", "kind", "case")
        },
        "results": [asdict(each) for each in results],
    }

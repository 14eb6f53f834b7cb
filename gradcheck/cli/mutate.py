"""`gradcheck mutate`: faults planted in the catalog's derivatives, and who notices them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck.catalog.files import shown_folder
from gradcheck.cli.arguments import Paths, PointCount, Quiet, Seed, cases_of
from gradcheck.cli.output import (
    MEANING,
    ExitCode,
    complain,
    counted,
    emit,
    emit_json,
    epilog,
    with_examples,
)
from gradcheck.cli.progress import progress_shown
from gradcheck.cluster import connect
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.methods import DEFAULT_WITNESSES, WITNESSES
from gradcheck.report.progress import Progress
from gradcheck.spelling import chosen, nearest

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case
    from gradcheck.mutation.campaign import MutantResult, MutationOptions
    from gradcheck.mutation.kinds import FaultKind

_CODES = {
    ExitCode.OK: "every mutant is convicted, no twin",
    ExitCode.DISAGREE: "some survive, or a twin is convicted",
    ExitCode.INTERRUPTED: "interrupted, and what ended is told",
    **{code: MEANING[code] for code in (ExitCode.INTERNAL, ExitCode.BAD_USE, ExitCode.NOTHING)},
}
_REAL_DTYPES = [name for name, each in DTYPES.items() if not each.is_complex]


def register(app: typer.Typer) -> None:
    examples = with_examples(
        epilog(_CODES),
        "gradcheck mutate",
        "gradcheck mutate sine tutorial.yaml --each 0",
        "gradcheck mutate --kinds 'second,call: stale saved tensor' --cases 40",
        "gradcheck mutate --cases 0 --each 0 --minutes 600 --report mutants/",
        "gradcheck mutate --cases 0 --scheduler tcp://host:8786",
    )
    app.command("mutate", epilog=examples, short_help="Plant faults, and say who notices.")(
        mutate_command
    )


def mutate_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    paths: Paths = None,
    *,
    kinds: Annotated[
        str,
        typer.Option(metavar="LIST", help="Kinds of fault, their groups or places; else all."),
    ] = "",
    dtype: Annotated[str, typer.Option(metavar="NAME", help="Such as float32.")] = "float64",
    points: PointCount = 64,
    seed: Seed = 0,
    cases: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many cases are drawn; 0: all.")
    ] = 8,
    each: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="How many kinds are drawn in each; 0: all."),
    ] = 16,
    entries: Annotated[
        int, typer.Option(metavar="N", min=0, help="Only cases with an input as large.")
    ] = 0,
    witness: Annotated[
        str, typer.Option(metavar="LIST", help="Those that are asked, such as reverse,second.")
    ] = "",
    every_witness: Annotated[
        bool,
        typer.Option("--every-witness", help="Ask those after the first that convicts too."),
    ] = False,
    minutes: Annotated[
        float, typer.Option(metavar="M", min=0, help="Begin no mutant after so long; 0: no limit.")
    ] = 0.0,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep results there; what is there is taken over."),
    ] = None,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Let the workers of this Dask scheduler try.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="List every kind of fault.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Plant faults in the derivatives of the catalog's implementations, and say who notices.

    Beside the witnesses stand torch.autograd.gradcheck, a check as JAX makes it, and
    assert_close against the right gradient. A twin without a fault must be acquitted.
    """
    if dtype not in _REAL_DTYPES:
        raise UsageError(f"--dtype {dtype}: unknown name", f"one of {', '.join(_REAL_DTYPES)}",
                         nearest(dtype, _REAL_DTYPES, "take one of these"))  # fmt: skip
    known = cases_of(paths or [shown_folder()])
    # What plants faults takes torch, sympy and Hypothesis along, which --help need not wait for.
    from gradcheck.mutation.campaign import MutationOptions
    from gradcheck.mutation.kill_rates import kill_rates_json, report_text

    options = MutationOptions(
        _kinds(kinds), dtype=dtype, points=points, seed=seed, cases=cases, each=each,
        entries=entries, every_witness=every_witness,
        witnesses=chosen("--witness", witness, WITNESSES) or DEFAULT_WITNESSES,
    )  # fmt: skip
    found: list[MutantResult] = []
    try:
        _gather(found, known, options, report, minutes, scheduler=scheduler, quiet=quiet)
    finally:  # after Ctrl-C what ended is told all the same
        if as_json:
            emit_json({"seed": seed, "dtype": dtype, "points": points, **kill_rates_json(found)})
        elif found:
            emit("\n\n".join(report_text(found, everything=everything)))
            emit(_last_line(found, options))
    if not found:
        complain("nothing selected: no case there has PyTorch's own code, this dtype, an input as "
                 "large, no known failure, and a place for one of the kinds")  # fmt: skip
        raise typer.Exit(ExitCode.NOTHING)
    is_bad = any(one.is_bad for one in found)
    raise typer.Exit(ExitCode.DISAGREE if is_bad else ExitCode.OK)


def _kinds(text: str) -> tuple[FaultKind, ...]:
    """The kinds that a list names by their names, groups or places.

    Errors: UsageError for a word that is none of them.
    """
    from gradcheck.mutation.kinds import FAULT_KINDS

    words = [word.strip() for word in text.split(",") if word.strip()]
    sorts = {sort for kind in FAULT_KINDS.values() for sort in (kind.group, str(kind.place))}
    for word in words:
        if word not in FAULT_KINDS and word not in sorts:
            raise UsageError(
                f"--kinds {word}: unknown name",
                f"a kind of fault, or {', '.join(sorted(sorts))}, separated by commas",
                nearest(word, [*sorted(sorts), *FAULT_KINDS], "see `gradcheck mutate --all`"),
            )
    return tuple(
        kind for name, kind in FAULT_KINDS.items()
        if not words or {name, kind.group, str(kind.place)} & {*words}
    )  # fmt: skip


def _gather(  # noqa: PLR0913 - what the command was told
    found: list[MutantResult],
    cases: Sequence[Case],
    options: MutationOptions,
    folder: Path | None,
    minutes: float,
    *,
    scheduler: str,
    quiet: bool,
) -> None:
    """Add each result as it ends, until all are there or time is up."""
    from gradcheck.methods._torch.calling import warm_up
    from gradcheck.mutation.campaign import KeptResults, drawn_mutants, results
    from gradcheck.mutation.distributed import results_on

    cluster = connect(scheduler) if scheduler else None
    warm_up()
    planted = drawn_mutants(cases, _known(cases), options)
    progress = Progress("mutants", limit=60 * minutes or None)
    for one in planted:
        progress.planned[one.dtype] += 1 + len(one.settled) + len(one.kinds)
    until = time.monotonic() + 60 * minutes if minutes else math.inf
    kept = KeptResults(folder, options, until, progress.start)
    tried = results if cluster is None else partial(results_on, cluster)
    with progress_shown(progress, quiet=quiet) as display:
        for result in tried(planted, options, kept):
            found.append(result)
            survives = result.cause if result.is_bad else ""
            name = f"{result.case}, {result.kind}"
            progress.end(
                name, result.dtype, result.outcome, failure=survives, seconds=result.seconds
            )
            display.show()


def _known(cases: Sequence[Case]) -> frozenset[str]:
    """The ids of the cases that known failures are about: their right code is convicted."""
    from gradcheck.catalog.known_failures import load_known

    folders = {Path(each.where.path).parent for each in cases}
    return frozenset(f"{one.file}::{one.case}" for each in folders for one in load_known(each))


def _last_line(found: Sequence[MutantResult], options: MutationOptions) -> str:
    cases = {each.case for each in found}
    seconds = sum(each.seconds for each in found)
    return (
        f"\n{options.dtype}, {options.points} points, seed {options.seed}: "
        f"{counted(len(found), 'result')} of {counted(len(cases), 'case')}, {seconds:.0f} s"
    )

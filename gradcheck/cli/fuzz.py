"""`gradcheck fuzz`: random functions, put to every witness until time is up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradcheck.cache import cache_folder
from gradcheck.catalog.files import catalog_folder
from gradcheck.cli.arguments import Dtypes, Quiet, cases_of
from gradcheck.cli.output import MEANING, ExitCode, counted, emit, emit_json, epilog, with_examples
from gradcheck.cli.progress import progress_shown
from gradcheck.cluster import connect
from gradcheck.dtypes import DTYPES
from gradcheck.report.table import to_width
from gradcheck.spelling import chosen

if TYPE_CHECKING:
    from gradcheck.fuzzing import Campaign

_MOST_REASONS = 8  # that are told

_CODES = {
    ExitCode.OK: "nothing found",
    ExitCode.DISAGREE: "something disagrees",
    ExitCode.INTERRUPTED: "interrupted, and what was found is kept",
    **{code: MEANING[code] for code in (ExitCode.INTERNAL, ExitCode.BAD_USE)},
}


def register(app: typer.Typer) -> None:
    examples = with_examples(
        epilog(_CODES),
        "gradcheck fuzz --minutes 10 --seed 7",
        "gradcheck fuzz --minutes 60 --report found/",
        "gradcheck fuzz --dtype float16,bfloat16",
        "gradcheck fuzz --minutes 60 --scheduler tcp://host:8786",
    )
    app.command("fuzz", epilog=examples, short_help="Put random functions to every witness.")(
        fuzz_command
    )


def fuzz_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    *,
    minutes: Annotated[float, typer.Option(metavar="M", min=0, help="How long to look.")] = 5.0,
    seed: Annotated[
        int, typer.Option(metavar="N", min=0, help="The same seed draws the same functions.")
    ] = 0,
    dtype: Dtypes = "",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FOLDER", help="Where findings are kept, and replayed from first."
        ),
    ] = None,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Let the workers of this Dask scheduler look.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    quiet: Quiet = False,
) -> None:
    """Put random functions to every witness until time is up.

    Scalars, vectors and matrices, real and complex, with shared parts and kinks, in sizes that
    grow. Each failure is made small, printed with its case, and kept; one of a cause that is known
    is counted alone. Without --dtype each is looked at in double and single precision.
    """
    dtypes = chosen("--dtype", dtype, tuple(DTYPES))
    # What judges takes torch, sympy and Hypothesis along: seconds that --help need not wait for.
    from gradcheck.catalog.known_failures import load_known
    from gradcheck.fuzzing import Campaign, excused_by, fuzz, fuzz_on
    from gradcheck.methods._torch.calling import warm_up

    cluster = connect(scheduler) if scheduler else None
    warm_up()
    catalog = catalog_folder()
    excused = excused_by(load_known(catalog), cases_of([str(catalog)]))
    campaign = Campaign(folder or cache_folder() / "fuzz", excused, dtypes)
    campaign.progress.limit = 60 * minutes
    look = fuzz if cluster is None else partial(fuzz_on, cluster)
    until = time.monotonic() + campaign.progress.limit  # from here on, and not from the start-up
    try:
        with progress_shown(campaign.progress, quiet=quiet) as campaign.display:
            for found in look(campaign, seed=seed, until=until):
                if not as_json:
                    campaign.display.step_aside()
                    emit(f"{found.block}\n\nthe case, kept in {found.path}:\n\n{found.case}")
                    campaign.display.show()
    finally:  # after Ctrl-C what was looked at is told all the same
        _tell(campaign, seed, as_json=as_json)
    failed = campaign.found or campaign.lost
    raise typer.Exit(ExitCode.DISAGREE if failed else ExitCode.OK)


def _tell(campaign: Campaign, seed: int, *, as_json: bool) -> None:
    if as_json:
        emit_json(_as_json(campaign, seed))
    else:
        emit("\n".join(_summary(campaign, seed)))


def _as_json(campaign: Campaign, seed: int) -> dict[str, Any]:
    ended = campaign.progress.found
    return {
        "seed": seed,
        "functions": ended.total(),
        "checks": campaign.checks,
        "ended": dict(ended),
        "silent": dict(campaign.silent.most_common()),
        "mended": [str(path) for path in campaign.mended],
        "lost": campaign.lost,
        "found": [
            {"case": each.case, "block": each.block, "path": str(each.path)}
            for each in campaign.found
        ],
    }


def _summary(campaign: Campaign, seed: int) -> Iterator[str]:
    for path in campaign.mended:
        yield f"{path}: agrees now; remove it, or keep it as a test"
    for batch in campaign.lost:
        yield f"workers died over the functions of {batch}: their logs say of what"
    for reason, number in campaign.silent.most_common(_MOST_REASONS):
        yield to_width(f"nothing said, {counted(number, 'time')}: {reason}", 2)
    ended = campaign.progress
    counts = f": {ended.findings()}" if ended.found else ""
    yield (
        f"{counted(ended.found.total(), 'function')} in {counted(campaign.checks, 'check')}"
        f"{counts}; {len(campaign.found)} found (seed {seed})"
    )

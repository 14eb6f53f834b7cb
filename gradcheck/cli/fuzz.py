"""`gradcheck fuzz`: random functions, put to every witness until time is up."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gradcheck.cache import cache_folder
from gradcheck.catalog.files import catalog_folder
from gradcheck.cli.arguments import cases_of
from gradcheck.cli.output import MEANING, ExitCode, counted, emit, emit_json, epilog, with_examples
from gradcheck.cluster import connect

_CODES = {
    ExitCode.OK: "nothing found",
    ExitCode.DISAGREE: "something disagrees",
    ExitCode.INTERRUPTED: "interrupted; what was found is kept",
    **{code: MEANING[code] for code in (ExitCode.INTERNAL, ExitCode.BAD_USE)},
}


def register(app: typer.Typer) -> None:
    examples = with_examples(
        epilog(_CODES),
        "gradcheck fuzz --minutes 10 --seed 7",
        "gradcheck fuzz --minutes 60 --report found/",
        "gradcheck fuzz --minutes 60 --scheduler tcp://host:8786",
    )
    app.command("fuzz", epilog=examples, short_help="Put random functions to every witness.")(
        fuzz_command
    )


def fuzz_command(
    *,
    minutes: Annotated[float, typer.Option(min=0, help="How long to look.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same functions.")] = 0,
    folder: Annotated[
        Path | None,
        typer.Option("--report", help="Where findings are kept, and replayed from first."),
    ] = None,
    scheduler: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Let the workers of this Dask scheduler look.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Put random functions to every witness until time is up.

    Scalars, vectors and matrices, with shared parts and kinks, in sizes that grow. Each failure is
    made small, printed with its case, and kept; one of a cause that is known is counted alone.
    """
    until = time.monotonic() + 60 * minutes
    # What judges takes torch, sympy and Hypothesis along: seconds that --help need not wait for.
    from gradcheck.catalog.known_failures import load_known
    from gradcheck.fuzzing import Campaign, excused_by, fuzz, fuzz_on
    from gradcheck.methods._torch.calling import warm_up

    cluster = connect(scheduler) if scheduler else None
    warm_up()
    cases = catalog_folder()
    excused = excused_by(load_known(cases), cases_of([str(cases)]))
    campaign = Campaign(folder or cache_folder() / "fuzz", excused)
    look = fuzz if cluster is None else partial(fuzz_on, cluster)
    for found in look(campaign, seed=seed, until=until):
        if not as_json:
            emit(f"{found.block}\n\nthe case, kept in {found.path}:\n\n{found.case}")
    if as_json:
        emit_json({
            "seed": seed, "functions": campaign.functions, "known": campaign.known,
            "found": [{"case": each.case, "block": each.block, "path": str(each.path)}
                      for each in campaign.found],
        })  # fmt: skip
    else:
        for path in campaign.mended:
            emit(f"{path}: agrees now; remove it, or keep it as a test")
        for batch in campaign.lost:
            emit(f"workers died over the functions of {batch}: their logs say of what")
        emit(f"{counted(campaign.functions, 'function')}, {len(campaign.found)} found, "
             f"{campaign.known} of known causes (seed {seed})")  # fmt: skip
    failed = campaign.found or campaign.lost
    raise typer.Exit(ExitCode.DISAGREE if failed else ExitCode.OK)

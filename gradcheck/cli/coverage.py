"""`gradcheck coverage`: what of PyTorch's derivatives a catalog reaches, and what not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck.catalog.files import shown_folder
from gradcheck.cli.arguments import Paths, Quiet, Trust, cases_of
from gradcheck.cli.output import READING, emit, emit_json, with_examples
from gradcheck.cli.progress import progress_shown
from gradcheck.errors import UsageError
from gradcheck.implementations.trust import refuse_untrusted
from gradcheck.report.progress import Display, Progress

if TYPE_CHECKING:
    from gradcheck.catalog.case import Case


def register(app: typer.Typer) -> None:
    examples = with_examples(
        READING, "gradcheck coverage tutorial.yaml", "gradcheck coverage --all"
    )
    app.command("coverage", epilog=examples, short_help="Say what of PyTorch a catalog reaches.")(
        coverage_command
    )


def coverage_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    paths: Paths = None,
    *,
    trust: Trust = None,
    everything: Annotated[
        bool, typer.Option("--all", help="List what is impossible too, and why.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the document docs/coverage.md.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Count which of PyTorch's operators and derivative formulas the cases reach.

    Every implementation is called once on the CPU, and PyTorch says what ran: names of its
    operator database, nodes of the backward graph, forward formulas. Nothing is judged.
    """
    if as_json and markdown:
        raise UsageError("both --json and --markdown", "one of them", "leave one out")
    cases = cases_of(paths or [shown_folder()])
    for case in cases:
        refuse_untrusted(case.implementations, trust or ())
    progress = Progress("cases", Counter({"": len(cases)}))
    with progress_shown(progress, quiet=quiet) as display:
        # What measures takes torch along: seconds that a wrong file need not wait for.
        from gradcheck.coverage.figures import as_markdown, as_table, coverage_json
        from gradcheck.coverage.reach import reach_of

        reach = reach_of(_told(cases, progress, display))
    if as_json:
        emit_json(coverage_json(reach))
    elif markdown:
        emit(as_markdown(reach))
    else:
        emit(as_table(reach, len(cases), everything=everything))


def _told(cases: Sequence[Case], progress: Progress, display: Display) -> Iterator[Case]:
    """The cases, each of which is shown while it is called."""
    for case in cases:
        progress.start(case.name)
        yield case
        progress.running.clear()
        progress.add("called")
        display.show()

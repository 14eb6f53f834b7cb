"""`gradcheck bench`: what certified gradients cost, beside finite differences and bare passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck.catalog.files import complete_target, shown_folder
from gradcheck.cli.arguments import Trust, cases_of
from gradcheck.cli.output import READING, complain, emit, emit_json, with_examples
from gradcheck.errors import UsageError
from gradcheck.implementations.trust import refuse_untrusted

if TYPE_CHECKING:
    from gradcheck.benchmark.figures import Figures
    from gradcheck.catalog.case import Case


class Section(StrEnum):
    """What is measured, each by itself."""

    ALL = "all"
    THROUGHPUT = "throughput"
    SCALING = "scaling"
    KERNELS = "kernels"
    STARTUP = "startup"


_FILES = ("polynomials.yaml", "elementary.yaml")


def register(app: typer.Typer) -> None:
    examples = with_examples(
        READING,
        "gradcheck bench throughput cases/mine.yaml --seconds 20",
        "gradcheck bench --markdown > performance.md",
    )
    app.command("bench", epilog=examples, short_help="Measure speed and memory, beside others.")(
        bench_command
    )


def bench_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    section: Annotated[Section, typer.Argument(help="What to measure.")] = Section.ALL,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Of throughput: the cases; else polynomials and elementary functions.",
            autocompletion=complete_target,
        ),
    ] = None,
    *,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=0, help="About how long each section is measured.")
    ] = 60.0,
    points: Annotated[
        int, typer.Option(metavar="N", min=1, help="Of throughput: drawn points of each case.")
    ] = 1000,
    trust: Trust = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the document docs/performance.md.")
    ] = False,
) -> None:
    """Measure what certified gradients cost, beside what one would do without them.

    throughput: entries per second of each witness, of torch.autograd.gradcheck, slow and fast, and
    of bare forward and backward passes. scaling: cost against points, inputs and outputs. kernels:
    attention, norms and losses at the sizes of models. startup: commands, collection and a page of
    10,000, with their memory. What is compared runs in turn, so that ratios hold on a busy machine.
    """
    if as_json and markdown:
        raise UsageError("both --json and --markdown", "one of them", "leave one out")
    if paths and section is not Section.THROUGHPUT:
        raise UsageError(
            f"a PATH of {section}", "PATHs of throughput alone", "write gradcheck bench throughput"
        )
    cases = cases_of(paths or [str(_packaged(name)) for name in _FILES])
    for case in cases:
        refuse_untrusted(case.implementations, trust or ())
    asked = [each for each in Section if each is not Section.ALL and section in (each, Section.ALL)]
    _tell(_measured(asked, cases, points, seconds), as_json=as_json, markdown=markdown)


def _packaged(name: str) -> str:
    return f"{shown_folder()}/{name}"


def _measured(
    asked: Sequence[Section], cases: Sequence[Case], points: int, seconds: float
) -> Iterator[tuple[str, Figures]]:
    # What measures takes torch along: seconds that a wrong file need not wait for.
    import torch

    from gradcheck.benchmark.kernels import kernels
    from gradcheck.benchmark.scaling import scaling
    from gradcheck.benchmark.startup import startup
    from gradcheck.benchmark.throughput import throughput

    torch.set_num_threads(1)
    sections: dict[Section, Callable[[], Iterator[Figures]]] = {
        Section.THROUGHPUT: partial(throughput, cases, points=points, seconds=seconds),
        Section.SCALING: partial(scaling, seconds=seconds),
        Section.KERNELS: kernels,
        Section.STARTUP: partial(startup, cases, seconds=seconds),
    }
    for each in asked:
        complain(f"measuring {each} ...")
        yield from ((str(each), figures) for figures in sections[each]())


def _tell(found: Iterator[tuple[str, Figures]], *, as_json: bool, markdown: bool) -> None:
    from gradcheck.benchmark.figures import as_data, figures_table, machine, performance_page

    if as_json:
        figures = [{"section": section, **as_data(each)} for section, each in found]
        emit_json({"machine": machine(), "figures": figures})
    elif markdown:
        emit(performance_page(list(found)))
    else:
        for _, each in found:
            emit(figures_table(each))

"""`gradcheck compare`: what changed between two runs. It reads results, and loads no torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gradcheck.cli.output import ExitCode, complain, emit, emit_json, epilog, with_examples
from gradcheck.errors import UsageError
from gradcheck.report import records
from gradcheck.report.comparison import RunComparison, compare, comparison_json, on_device
from gradcheck.report.comparison_text import comparison_markdown, comparison_text

_EPILOG = epilog(
    {
        ExitCode.OK: "the same, or better",
        ExitCode.DISAGREE: "worse: newly disagreeing, newly a known failure, or vanished",
        ExitCode.BAD_FILE: "results that cannot be read",
        ExitCode.INTERNAL: "internal error",
        ExitCode.BAD_USE: "bad use",
    }
)


def register(app: typer.Typer) -> None:
    examples = with_examples(
        _EPILOG,
        "gradcheck compare before/ after/",
        "gradcheck compare out/ out/ --devices cpu,cuda",
        "gradcheck compare before/ after/ -o compare.html",
    )
    app.command("compare", epilog=examples, short_help="Say what changed between two runs.")(
        compare_command
    )


def compare_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    before: Annotated[str, typer.Argument(metavar="A", help="Results of a run: a file or folder.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Those of the run to hold against it.")],
    *,
    devices: Annotated[
        str,
        typer.Option(
            metavar="A,B", help="The checks of A on one device, those of B on another: cpu,cuda."
        ),
    ] = "",
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="FILE", help="Write a page, such as compare.html."),
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="List every check that changed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a summary for a pull request.")
    ] = False,
) -> None:
    """Say what changed between two runs: one release of PyTorch and the next, CPU and CUDA.

    Checks are matched by their ids, and but for the device where the runs have none in common.
    """
    if as_json and markdown:
        raise UsageError("both --json and --markdown", "one of them", "leave one out")
    comparison = _compared((before, after), _device_pair(devices))
    if output:
        _write_page(comparison, output)
    if as_json:
        emit_json(comparison_json(comparison))
    elif markdown:
        emit(comparison_markdown(comparison).rstrip("\n"))
    else:
        styled = sys.stdout.isatty()
        emit(comparison_text(comparison, everything=everything, styled=styled))
    raise typer.Exit(ExitCode.DISAGREE if comparison.is_worse else ExitCode.OK)


def _write_page(comparison: RunComparison, output: str) -> None:
    from gradcheck.report.comparison_page import comparison_page  # with jinja2

    try:
        Path(output).write_text(
            comparison_page(comparison), encoding="utf-8", errors="backslashreplace", newline="\n"
        )
    except OSError as error:
        raise UsageError(
            f"{output} cannot be written: {error.strerror}",
            "a file that can be written",
            "name another file",
        ) from None


def _compared(names: tuple[str, str], devices: tuple[str, str]) -> RunComparison:
    """Errors: UsageError where the runs have no check in common."""
    before, after = (_on_device(*each) for each in zip(names, devices, strict=True))
    comparison = compare(before, after, names)
    if not comparison.matched:
        raise UsageError(
            f"{names[0]} and {names[1]} have no check in common",
            "two runs of one catalog",
            f"see their ids, such as {before[0].id} and {after[0].id}",
        )
    return comparison


def _on_device(name: str, device: str) -> list[records.Record]:
    found = _read(name)
    chosen = on_device(found, device) if device else found
    if not chosen:
        there = ", ".join(sorted({each.device for each in found}))
        raise UsageError(
            f"{name}: no check on {device}", f"a device that it has: {there}", "name that one"
        )
    return chosen


def _read(name: str) -> list[records.Record]:
    """All that can be read; what cannot is complained of, with its file and line."""
    try:
        results = records.read_all([Path(name)])
    except UsageError as error:
        complain(str(error))
        raise typer.Exit(ExitCode.BAD_FILE) from None
    for fault in results.faults:
        complain(str(fault))
    return results.records


def _device_pair(text: str) -> tuple[str, str]:
    if not text:
        return "", ""
    first, comma, second = (each.strip() for each in text.partition(","))
    if first and comma and second and "," not in second:
        return first, second
    raise UsageError(f"--devices {text}: not two devices", "A,B", "write --devices cpu,cuda")

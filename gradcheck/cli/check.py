"""`gradcheck check`: one function, written on the command line, put to every witness."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck.answer import RunOptions
from gradcheck.cli.arguments import (
    SHOWN,
    CommandLineError,
    Conditions,
    Constants,
    Function,
    Inputs,
    Let,
    Torch,
    Trust,
    case_of_keys,
    typed_keys,
)
from gradcheck.cli.output import RUNNING, ExitCode, counted, emit, emit_json, short
from gradcheck.devices import choose
from gradcheck.dtypes import DTYPES
from gradcheck.errors import UsageError
from gradcheck.methods import DEFAULT_WITNESSES, WITNESSES
from gradcheck.report import records
from gradcheck.report.records import Record
from gradcheck.spelling import chosen

if TYPE_CHECKING:
    from gradcheck.answer import Outcome
    from gradcheck.catalog.case import Case
    from gradcheck.catalog.checks import Check

_Judged = Sequence[tuple["Check", "Outcome"]]


def register(app: typer.Typer) -> None:
    app.command("check", epilog=RUNNING)(check_command)


def check_command(  # noqa: PLR0913 - one argument an option, as typer reads them
    formula: Annotated[
        str, typer.Argument(metavar="FORMULA", help="The function, in the formula language.")
    ],
    *,
    torch: Torch = None,
    inputs: Inputs = None,
    where: Conditions = None,
    let: Let = None,
    constants: Constants = None,
    function: Function = None,
    trust: Trust = None,
    order: Annotated[int, typer.Option(min=1, max=3, help="The highest derivative.")] = 2,
    device: Annotated[str, typer.Option(metavar="LIST", help="auto, or cpu,cuda:1.")] = "auto",
    dtype: Annotated[str, typer.Option(metavar="LIST", help="Such as float64,float32.")] = "",
    witness: Annotated[str, typer.Option(metavar="LIST", help="Such as reverse,forward.")] = "",
    points: Annotated[int, typer.Option(min=1, max=1_000_000, help="Drawn points.")] = 64,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the drawn points.")] = 0,
    strict_accuracy: Annotated[
        bool, typer.Option("--strict-accuracy", help="An `inaccurate` verdict fails too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Check one function without a file, with every witness in every dtype."""
    declared = {"torch": torch, "function": function, "where": where, "order": order}
    if not inputs:
        raise UsageError(
            "no --input: the function has nothing to be differentiated by",
            "--input NAME=DOMAIN for each input of the formula",
            "write --input x=real",
        )
    keys = typed_keys(formula=formula, inputs=inputs, constants=constants, let=let, **declared)
    witnesses = chosen("--witness", witness, WITNESSES) or DEFAULT_WITNESSES
    dtypes = chosen("--dtype", dtype, tuple(DTYPES))
    case = case_of_keys(keys, trust or ())
    _refuse_unreachable(case)
    run_options = RunOptions(points=points, seed=seed, strict_accuracy=strict_accuracy)
    from gradcheck.catalog.checks import plan  # FLINT, which --help need not wait for
    from gradcheck.run import examine  # torch, which a wrong formula need not wait for

    checks = plan([case], devices=choose(device), dtypes=dtypes, witnesses=witnesses)
    judged = [(each, examine(each, run_options)) for each in checks]
    if as_json:
        emit_json([records.as_json(each) for each in _records(judged, run_options)])
    else:
        emit("\n".join(_report(judged, run_options)))
    raise typer.Exit(_exit_code(judged, run_options))


def _refuse_unreachable(case: Case) -> None:
    from gradcheck.points.feasibility import infeasible

    problems = infeasible([case])
    if problems:
        raise CommandLineError(problems)


def _exit_code(judged: _Judged, run_options: RunOptions) -> ExitCode:
    if any(run_options.fails(outcome.verdict) for _, outcome in judged):
        return ExitCode.DISAGREE
    return ExitCode.OK if judged else ExitCode.NOTHING


def _report(judged: _Judged, run_options: RunOptions) -> Iterator[str]:
    """A table of the verdicts, each cause of failure once, and the counts."""
    from gradcheck.report.causes import Failure, by_cause

    yield _table(judged)
    failures = [
        Failure(record, record.block) for record in _records(judged, run_options) if record.block
    ]
    yield from (f"{cause.text}\n" for cause in by_cause(failures))
    counts: dict[str, int] = {}
    for _, outcome in judged:
        counts[outcome.verdict.value] = counts.get(outcome.verdict.value, 0) + 1
    verdicts = ", ".join(f"{number} {word}" for word, number in counts.items())
    entries = sum(outcome.entries for _, outcome in judged)
    yield f"{counted(len(judged), 'check')}: {verdicts}; {entries:,} gradient entries judged"


def _block(check: Check, outcome: Outcome) -> str:
    from gradcheck.report.failure_text import block, facts_of

    return block(facts_of(check, SHOWN, _again(check)), outcome)


def _table(judged: _Judged) -> str:
    from gradcheck.report.table import table

    several = len({check.implementation.text for check, _ in judged}) > 1
    rows = []
    for check, outcome in judged:
        on_trial = [check.implementation.text] if several else []
        worst = short(outcome.worst.ulps) if outcome.worst else ""
        entries = f"{outcome.entries:,}"
        note = outcome.reason if outcome.verdict.value != "agree" else ""
        place = [check.witness, check.device, check.dtype]
        rows.append([*on_trial, *place, outcome.verdict.value, entries, worst, note])
    heads = ["witness", "device", "dtype", "verdict", ">entries", ">worst ulps", "reason"]
    every = [*(["on trial"] if several else []), *heads]
    return table(every, rows, styled=sys.stdout.isatty())


def _again(check: Check) -> str:
    """The command that was typed, narrowed to one check."""
    options = {"--witness": check.witness, "--device": check.device, "--dtype": check.dtype}
    words = ["gradcheck"]
    typed = iter(sys.argv[1:])
    for word in typed:
        if word in options:
            next(typed, None)
        elif word.partition("=")[0] not in options:
            words.append(word)
    return shlex.join([*words, *(word for option in options.items() for word in option)])


def _records(judged: _Judged, run_options: RunOptions) -> list[Record]:
    facts = {each.device: records.run_facts(SHOWN, run_options, each.device) for each, _ in judged}
    return [
        records.record(
            check,
            outcome,
            facts[check.device],
            _block(check, outcome) if run_options.fails(outcome.verdict) else "",
        )
        for check, outcome in judged
    ]

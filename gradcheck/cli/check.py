"""`gradcheck check`: one function, written on the command line, put to every witness."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gradcheck.answer import RunOptions
from gradcheck.cli.arguments import (
    SHOWN,
    CommandLineError,
    Conditions,
    Constants,
    Devices,
    Dtypes,
    Function,
    Inputs,
    Let,
    Order,
    PointCount,
    Seed,
    Torch,
    Trust,
    Witnesses,
    case_of_keys,
    typed_keys,
)
from gradcheck.cli.output import RUNNING, ExitCode, counted, emit, emit_json, short, with_examples
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

JudgedChecks = Sequence[tuple["Check", "Outcome"]]


def register(app: typer.Typer) -> None:
    examples = with_examples(
        RUNNING,
        "gradcheck check '3*x**2' --torch '3*x*x' --input x=real",
        "gradcheck check 'sum(log(x))' --input 'x=(0, 10):8' --dtype float32",
        "gradcheck check 'x/(1 + exp(-x))' --function my_ops:swish --trust my_ops \\",
        "    --input 'x=(-5, 5)'",
    )
    app.command("check", epilog=examples, short_help="Check one function without a file.")(
        check_command
    )


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
    order: Order = 2,
    device: Devices = "auto",
    dtype: Dtypes = "",
    witness: Witnesses = "",
    points: PointCount = 64,
    seed: Seed = 0,
    strict_accuracy: Annotated[
        bool, typer.Option("--strict-accuracy", help="An `inaccurate` verdict fails too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Check one function without a file, with every witness in every dtype.

    FORMULA is the truth. What is on trial is the PyTorch code of --torch, your own of --function,
    or else the formula's own translation. Its derivatives are compared with certified ones, at
    fixed and at drawn points, and each cause of failure is explained once.
    """
    declared = {"torch": torch, "function": function, "where": where, "order": order}
    refuse_no_input(inputs)
    keys = typed_keys(formula=formula, inputs=inputs, constants=constants, let=let, **declared)
    choice = chosen_checks(device, dtype, witness)
    run_options = RunOptions(points=points, seed=seed, strict_accuracy=strict_accuracy)
    judged = judge_case(case_of_keys(keys, trust or ()), choice, run_options)
    if as_json:
        emit_json([records.as_json(each) for each in _records(judged, run_options)])
    else:
        emit("\n".join(report(judged, run_options)))
    raise typer.Exit(exit_code(judged, run_options))


def refuse_no_input(inputs: Sequence[str] | None) -> None:
    """Errors: UsageError where no input is declared."""
    if not inputs:
        raise UsageError(
            "no --input: the function has nothing to be differentiated by",
            "--input NAME=DOMAIN for each input of the formula",
            "write --input x=real",
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """Which checks of a case are made: ``device`` is as it was typed."""

    device: str
    dtypes: tuple[str, ...]
    witnesses: tuple[str, ...]


def chosen_checks(device: str, dtype: str, witness: str) -> Choice:
    """Errors: UsageError for names that are none."""
    witnesses = chosen("--witness", witness, WITNESSES) or DEFAULT_WITNESSES
    return Choice(device, chosen("--dtype", dtype, tuple(DTYPES)), witnesses)


def judge_case(case: Case, choice: Choice, run_options: RunOptions) -> JudgedChecks:
    """Every check of a case that is declared on the command line, one after the other.

    Errors: CommandLineError where no input meets its conditions; UsageError for a device that is
            not there.
    """
    _refuse_unreachable(case)
    from gradcheck.catalog.checks import plan  # FLINT, which --help need not wait for
    from gradcheck.diagnosis import examine  # torch, which a wrong formula need not wait for

    devices = choose(choice.device)
    checks = plan([case], devices=devices, dtypes=choice.dtypes, witnesses=choice.witnesses)
    return [(each, examine(each, run_options)) for each in checks]


def _refuse_unreachable(case: Case) -> None:
    from gradcheck.points.feasibility import infeasible

    problems = infeasible([case])
    if problems:
        raise CommandLineError(problems)


def exit_code(judged: JudgedChecks, run_options: RunOptions) -> ExitCode:
    if any(run_options.fails(outcome.verdict) for _, outcome in judged):
        return ExitCode.DISAGREE
    return ExitCode.OK if judged else ExitCode.NOTHING


def report(judged: JudgedChecks, run_options: RunOptions) -> Iterator[str]:
    """A table of the verdicts, each cause of failure once, and the counts."""
    from gradcheck.report.causes import Failure, by_cause

    yield _table(judged)
    failures = [
        Failure(record, record.block) for record in _records(judged, run_options) if record.block
    ]
    yield from (f"{cause.text}\n" for cause in by_cause(failures))
    yield counts_of(judged)


def counts_of(judged: JudgedChecks) -> str:
    """One line: how many checks, their verdicts, and how many entries were judged."""
    counts = Counter(outcome.verdict.value for _, outcome in judged)
    verdicts = ", ".join(f"{number} {word}" for word, number in counts.items())
    entries = sum(outcome.entries for _, outcome in judged)
    return f"{counted(len(judged), 'check')}: {verdicts}; {entries:,} gradient entries judged"


def _block(check: Check, outcome: Outcome) -> str:
    from gradcheck.report.failure_text import block, facts_of

    return block(facts_of(check, SHOWN, _again(check)), outcome)


def _table(judged: JudgedChecks) -> str:
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


def _records(judged: JudgedChecks, run_options: RunOptions) -> list[Record]:
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

"""`gradcheck check`: verdicts, exit codes, and messages, for one function without a file."""

import json
import sys

import pytest
from default_witnesses import ALL_NAMES, asked

QUICK = ("--points", "6", "--device", "cpu")


def test_a_right_function_agrees_and_ends_with_code_0(command):
    ended = command("check", "x**3", "--torch", "x * x * x", "--input", "x=(-10, 10)", *QUICK)
    assert ended.code == 0
    assert ended.err == ""
    head, _, *rows = [line.split() for line in ended.out.splitlines() if line.strip()]
    assert head == ["witness", "device", "dtype", "verdict", "entries", "worst", "ulps"]
    assert [row[:4] for row in rows[:-1]] == [
        [witness, "cpu", dtype, "agree"] for witness in asked() for dtype in ("float64", "float32")
    ]
    count = str(2 * len(asked()))
    assert rows[-1][:4] == [count, "checks:", count, "agree;"]


def test_a_wrong_function_disagrees_and_ends_with_code_1(command):
    arguments = ("sin(x)", "--torch", "torch.cos(x)", "--input", "x=(-3, 3)")
    ended = command("check", *arguments, "--witness", "value", "--dtype", "float64", *QUICK)
    assert ended.code == 1
    assert "\ndisagree: another function than the formula is computed" in ended.out
    assert "\n  where: <command line>\n" in ended.out
    assert "on trial: torch.cos(x)" in ended.out
    assert ended.out.splitlines()[-1].startswith("1 check: 1 disagree; ")


def test_one_cause_is_told_once_and_the_other_checks_in_a_line_each(command):
    ended = command("check", "3*x**2", "--input", "x=real", "--torch", "3*x**3", *QUICK)
    assert ended.out.count("to run just this:") == 1
    wrong = [name for name in asked() if name not in ("value", "gradcheck")]
    count = 2 * len(wrong) + 1
    told = ended.out.partition(f"the same cause, in {count} more checks:\n")[2].splitlines()
    assert [line.split(":")[0].strip() for line in told[:count]] == [
        "inline[value-cpu-float32]",
        *(
            f"inline[{witness}-cpu-{dtype}]"
            for witness in wrong
            for dtype in ("float64", "float32")
        ),
    ]
    assert told[count + 1].startswith(f"{count + 3} checks: {count + 1} disagree, 2 agree; ")
    assert len(told) == count + 2


def test_every_implementation_is_on_trial(command):
    code = ("--torch", "torch.exp(x)", "--torch", "x.exp()")
    choice = ("--witness", "reverse", "--dtype", "float64", "--json")
    ended = command("check", "exp(x)", *code, "--input", "x=(-3, 3)", *choice, *QUICK)
    records = json.loads(ended.out)
    assert [each["implementation"] for each in records] == ["torch.exp(x)", "x.exp()"]
    assert {each["verdict"] for each in records} == {"agree"}
    assert {each["file"] for each in records} == {"<command line>"}


def test_shapes_constants_lets_and_conditions_are_taken(command):
    ended = command(
        *("check", "sum(w * e) / k", "--input", "x=(-2, 2):3", "--let", "e=exp(x)"),
        *("--constant", "w=[1, 2, 3]", "--constant", "k=4", "--where", "x[0] < x[1]"),
        *("--witness", "value", "--dtype", "float64", *QUICK),
    )
    assert (ended.code, ended.err) == (0, "")


def test_a_loss_of_accuracy_passes_and_fails_where_accuracy_is_strict(command):
    arguments = ("expm1(x)", "--input", "x=(-60, -30)", "--witness", "reverse", *QUICK)
    assert command("check", *arguments).code == 0
    strict = command("check", *arguments, "--strict-accuracy")
    assert strict.code == 1
    assert "inaccurate" in strict.out


REFUSED = {
    ("x**2",): (
        "no --input: the function has nothing to be differentiated by\n"
        "  expected: --input NAME=DOMAIN for each input of the formula\n"
        "  fix:      write --input x=real\n"
    ),
    ("x**2 + ", "--input", "x=real"): (
        "<command line> FORMULA:1:7: the end of the text\n"
        "  expected: an expression in Python's syntax (invalid syntax)\n"
        "  fix:      write what is missing after the last operator or word, or remove that\n"
    ),
    ("x**2", "--input", "x=reel"): (
        "<command line> --input x:1:1: the unknown domain 'reel'\n"
        "  expected: one of real, positive, negative, nonnegative, nonzero, complex, an interval"
        " such as (0, pi/2], or several joined by |\n"
        "  fix:      write real\n"
    ),
    ("x**2", "--input", "x=real", "--torch", "torch.load(x)"): (
        "<command line> --torch:1:1: 'torch.load', which the torch language does not allow\n"
        "  expected: a function on tensors that PyTorch lists as overridable\n"
        "  fix:      write it with functions such as torch.exp\n"
    ),
    ("x**2", "--input", "x=positive", "--where", "x < 0"): (
        "<command line>:1:1: case inline: no drawn input meets its `where`\n"
        "  expected: a condition that holds on a set of inputs that can be drawn\n"
        "  fix:      loosen `where`, narrow the domains of the inputs, or write the constraint"
        " into the formula\n"
    ),
    ("x**2", "--input", "x=real", "--witness", "revers"): (
        "--witness revers: unknown name\n"
        f"  expected: some of {ALL_NAMES}, separated by commas\n"
        "  fix:      write reverse\n"
    ),
    ("x**2", "--input", "x"): (
        "--input x: no value for a name\n  expected: NAME=VALUE\n  fix:      write --input x=...\n"
    ),
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_is_no_function_is_refused_by_one_message(command, arguments):
    ended = command("check", *arguments)
    assert (ended.code, ended.out, ended.err) == (4, "", REFUSED[arguments])


@pytest.mark.parametrize("points", ["0", "-1", "many", "1000001"])
def test_a_number_of_points_out_of_range_is_bad_use(command, points):
    assert command("check", "x", "--input", "x=real", "--points", points).code == 4


def test_the_users_own_function_needs_trust(command, tmp_path, monkeypatch):
    (tmp_path / "own_functions.py").write_text("def square(x):\n    return x * x\n")
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ("check", "x**2", "--input", "x=(-3, 3)", "--function", "own_functions:square")
    refused = command(*arguments, "--witness", "value", *QUICK)
    assert refused.code == 4
    assert refused.err.startswith("the function own_functions:square is not trusted\n")
    allowed = command(*arguments, "--trust", "own_functions", "--witness", "value", *QUICK)
    assert (allowed.code, allowed.err) == (0, "")


@pytest.mark.parametrize("typed", [("--witness", "reverse"), ("--witness=reverse,forward",)])
def test_the_command_that_repeats_a_failure_has_each_option_once(command, monkeypatch, typed):
    words = ("check", "sin(x)", "--torch", "torch.cos(x)", "--input", "x=real", *typed)
    words += ("--dtype", "float64", "--points", "4")
    monkeypatch.setattr(sys, "argv", ["gradcheck", *words])
    out = command(*words).out
    assert (
        "  gradcheck check 'sin(x)' --torch 'torch.cos(x)' --input x=real --points 4"
        " --witness reverse --device cpu --dtype float64\n"
    ) in out

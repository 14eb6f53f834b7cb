"""What is told without waiting for torch, sympy and Hypothesis: seconds, on a slow machine."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from gradcheck.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(*{"torch", "sympy", "hypothesis"} & sys.modules.keys(), "end", file=sys.stderr)
"""


def answered(folder, *arguments):
    """The exit code, what is printed, and the heavy libraries that were loaded for it."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    text, _, loaded = done.stderr.rstrip("\n").rpartition("\n")
    return done.returncode, done.stdout + text, loaded.split()[:-1]


WRONG = {
    ("check", "x**2 + y", "--input", "x=real"): (4, "unknown name 'y'"),
    ("check", "x**2", "--input", "x=postive"): (4, "write positive"),
    ("check", "x**2", "--input", "x=real", "--torch", "sin(x)"): (4, "write torch.sin"),
    ("check", "x", "--input", "x=real", "--where", "x > x"): (4, "no drawn input meets"),
    ("check", "x", "--input", "x=real", "--witness", "nobody"): (4, "unknown name"),
    ("check", "x", "--input", "x=real", "--function", "my_ops:f"): (4, "not trusted"),
    ("explain", "3x^2", "--at", "x=3"): (4, "write '*' between"),
    ("explain", "sin x", "--at", "x=3"): (4, "breaks off"),
    ("explain", "no_such_case"): (4, "neither a case"),
    ("plot", "3x^2", "-o", "a.svg"): (4, "write '*' between"),
    ("validate", "bad.yaml"): (2, "sine"),
    ("list", "bad.yaml"): (2, "sine"),
}


@pytest.mark.parametrize(("arguments", "answer"), WRONG.items(), ids=map(" ".join, WRONG))
def test_a_mistake_is_told_before_anything_heavy_is_loaded(tmp_path, arguments, answer):
    (tmp_path / "bad.yaml").write_text("f: {formula: sine(x), inputs: {x: real}}\n")
    code, text, loaded = answered(tmp_path, *arguments)
    assert (code, loaded) == (answer[0], [])
    assert answer[1] in text


@pytest.mark.parametrize("arguments", [("list",), ("validate", "good.yaml"), ("schema",)])
def test_what_only_reads_loads_nothing_heavy(tmp_path, arguments):
    (tmp_path / "good.yaml").write_text("f: {formula: x, inputs: {x: real}, where: x > 1}\n")
    code, _, loaded = answered(tmp_path, *arguments)
    assert (code, loaded) == (0, [])


def test_a_sound_formula_is_judged_with_what_that_takes(tmp_path):
    quick = ("--witness", "value", "--points", "1", "--dtype", "float64")
    code, text, loaded = answered(tmp_path, "check", "x", "--input", "x=real", *quick)
    assert "1 agree" in text
    assert (code, "torch" in loaded) == (0, True)

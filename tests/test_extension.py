"""What CONTRIBUTING.md says of adding something works, step by step, in a copy.

Each test takes the steps of one section in their order: the files that a contributor would write,
the rows that go into tables, and what is run at the end.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


class Checkout:
    """A copy of the repository, in which a contributor works."""

    def __init__(self, path):
        self.path = path
        for name in ("gradcheck", "tests", "cases"):  # with the bytecode, which takes long to make
            shutil.copytree(REPOSITORY / name, path / name)
        for name in ("pyproject.toml", "conftest.py"):
            shutil.copy2(REPOSITORY / name, path / name)

    def write(self, file, text):
        (self.path / file).write_text(text, encoding="utf-8")

    def add(self, file, text, *, above):
        """Put ``text`` above the first line that begins with ``above``."""
        before, line, after = (self.path / file).read_text("utf-8").partition(f"\n{above}")
        assert line, f"{file} has no line {above!r}"
        self.write(file, f"{before}\n{text}{line}{after}")

    def replace(self, file, old, new):
        before = (self.path / file).read_text("utf-8")
        assert before.count(old) == 1
        self.write(file, before.replace(old, new))

    def pytest(self, *arguments):
        """Run pytest here, on this copy; the records of the checks by witness, dtype, verdict."""
        given = {
            name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
        }
        environment = {**given, "PYTHONPATH": str(self.path), "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
             "--points", "8", "--report", "out", *arguments],
            cwd=self.path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        (results,) = (self.path / "out").glob("*.jsonl")
        lines = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
        assert all(line["entries"] for line in lines if line["verdict"] == "agree")
        return Counter((line["witness"], line["dtype"], line["verdict"]) for line in lines)


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


PULLBACK = '''
"""Reverse mode, by ``torch.func.vjp``."""

import torch

from gradcheck.answer import Answer
from gradcheck.query import Query
from gradcheck.methods import Method
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    cotangent_tensors, gradient_rows, input_leaves, judged_ports, result_of
)
from gradcheck.methods._torch.exceptions import guarded

METHOD = Method(
    name="pullback", order=1, share=0.5, share_alone=0.125, subject="the pullback"
)
LABEL = "torch.func.vjp"


def answer(invocation):
    yield from guarded(LABEL, _row, invocation)


def _row(invocation):
    inputs = input_leaves(invocation, requires_grad=False)
    ports = judged_ports(invocation)
    cotangent = directions.dense(invocation, ports, directions.COTANGENT)
    _, pull = torch.func.vjp(lambda *tensors: result_of(invocation, tensors), *inputs)
    rows = pull(cotangent_tensors(cotangent, invocation))
    yield Answer(LABEL, Query(1, cotangent, (None,)), gradient_rows(rows, invocation, inputs))
'''

PULLBACK_TEST = '''
"""The witness ``pullback``: a culprit and its twin."""

import pytest
from invocations import Sine, SineOfWrongSign

from gradcheck import verify


def result_of(function):
    return verify(function, formula="sin(x)", inputs={"x": "real"}, witness="pullback", points=8)


def test_right_code_is_acquitted():
    result = result_of(Sine.apply)
    assert result.verdict == "agree"
    assert all(outcome.entries > 0 for outcome in result.outcomes.values())


def test_a_culprit_is_convicted():
    result = result_of(SineOfWrongSign.apply)
    assert result.verdict == "disagree"
    assert "torch.func.vjp" in result.blocks[0]
    assert "pullback" in result.blocks[0]


def test_who_is_wrong_before_it_is_blamed_as_before():
    result = verify(
        SineOfWrongSign.apply, formula="sin(x)", inputs={"x": "real"}, witness="reverse", points=8
    )
    assert "pullback" in result.blocks[0]
    assert "the backward is wrong" in result.blocks[0]
'''


def test_a_witness_convicts_a_culprit_and_acquits_its_twin(checkout):
    checkout.write("gradcheck/methods/pullback.py", PULLBACK)
    checkout.write("tests/methods/test_witness_pullback.py", PULLBACK_TEST)
    found = checkout.pytest(
        "tests/methods/test_witness_names.py",
        "tests/methods/test_witness_pullback.py",
        "cases/tutorial.yaml::square",
    )
    assert found["pullback", "float64", "agree"] == found["forward", "float64", "agree"] > 0
    assert found["pullback", "float32", "agree"] == found["forward", "float32", "agree"] > 0


def test_an_operator_stands_in_a_formula_and_is_verified(checkout):
    checkout.add(
        "gradcheck/ops/table.py",
        '    Operator("versine", "1 - cos(x)", lambda x: 2 * (x / 2).sin() ** 2,\n'
        '             lambda x: 2 * (x / 2).sin() ** 2, ("sin(x)",), REAL, "DLMF 4.21.28",\n'
        "             series=lambda x: 1 - x.cos()),",
        above=")  # fmt: skip\n\nOPERATORS",
    )
    points = "tests/reference/operator_points.py"
    checkout.replace(points, '    "tan": _ANY,\n', '    "tan": _ANY,\n    "versine": _ANY,\n')
    checkout.replace(
        points, '    "tan": mpmath.tan,\n',
        '    "tan": mpmath.tan,\n    "versine": lambda x: 2 * mpmath.sin(x / 2) ** 2,\n',
    )  # fmt: skip
    checkout.add(points, '    "versine": _EXTREME,', above='    "tan": (*_EX')
    checkout.add(
        "tests/reference/known_values.py",
        '    "versine": ((0.0,), "0", "exact"),',
        above='    "tan": ',
    )
    with (checkout.path / "cases/elementary.yaml").open("a", encoding="utf-8") as file:
        file.write(
            "\nversine:\n"
            "  formula: versine(x)\n"
            "  inputs: {x: '(-10, 10)'}\n"
            "  torch: [2 * torch.sin(x / 2)**2]\n"
            "  source: DLMF 4.21.28\n"
        )
    found = checkout.pytest(
        "tests/reference/test_operator_table.py",
        "cases/elementary.yaml::versine",
        "-k",
        "versine or every",
    )
    assert {verdict for _, _, verdict in found} == {"agree"}
    assert found["second", "float64", "agree"] == 1


def test_an_array_function_stands_in_a_formula_and_is_verified(checkout):
    checkout.replace(
        "gradcheck/graph/functions.py",
        '    ArrayFunction("sum", _sum),',
        '    ArrayFunction("sum", _sum),\n    ArrayFunction("total", _sum),',
    )
    checkout.replace(
        "gradcheck/implementations/translation.py",
        '    "sum": _reduction(torch.sum),',
        '    "total": _reduction(torch.sum),\n    "sum": _reduction(torch.sum),',
    )
    checkout.replace(
        "tests/graph/test_array_functions.py",
        "ALIKE = {\n",
        'ALIKE = {\n    "total(x)": lambda v: v.x.sum(),\n',
    )
    checkout.write(
        "cases/total.yaml",
        "total:\n"
        "  formula: total(x*x)\n"
        "  inputs: {x: {domain: '(-8, 8)', shape: [3]}}\n"
        "  source: the definition\n",
    )
    found = checkout.pytest(
        "tests/graph/test_array_functions.py",
        "tests/implementations/test_translation.py",
        "cases/total.yaml",
        "-k",
        "total or array_function",
    )
    assert {verdict for _, _, verdict in found} == {"agree"}
    assert found["reverse", "float64", "agree"] == 1  # of the formula's own translation


SIGN = """    away = np.abs(truth.middle) > truth.radius
    sheet.rule(away & (got * truth.middle < 0), _DISAGREE, Why.SIGN)
"""

SIGN_TEST = '''
"""The rule of the sign: a number on either side of it."""

from hand_made import how, ruled, settled

from gradcheck.answer import Grade, Ruling


def test_a_wrong_sign_is_no_rounding():
    judgement = ruled(-1.0, settled(1.0))
    assert (how(judgement), judgement.reason) == (Ruling.DISAGREE, "the sign is wrong")


def test_the_right_sign_is_judged_as_before():
    assert how(ruled(1.0, settled(1.0))) == Grade.FAITHFUL
'''


def test_a_rule_of_the_judge_rules_and_leaves_right_code_alone(checkout):
    judge = "gradcheck/judge/judge.py"
    checkout.add(judge, "    SIGN = 99", above="    OFF = 11")
    checkout.add(judge, '    Why.SIGN: "the sign is wrong",', above="    Why.GREY: ")
    checkout.add(judge, SIGN.rstrip(), above="    sheet.rule(faithful, ")
    checkout.write("tests/judge/test_sign.py", SIGN_TEST)
    found = checkout.pytest("tests/judge/test_sign.py", "cases/tutorial.yaml::square")
    assert {verdict for _, _, verdict in found} == {"agree"}
    assert found["reverse", "float64", "agree"] > 0


HALF = """
square_in_half_precision:
  formula: x**2 + x*y
  inputs: {x: '(-8, 8)', y: positive}
  torch: [x**2 + x*y]
  dtypes: [float16, bfloat16]
  points:
    - {at: {x: 0.5, y: 3}, value: 1.75, gradient: {x: 4, y: 0.5}}
"""

HALF_TEST = '''
"""Half precision: a culprit and its twin."""

import pytest
import torch

from gradcheck import verify
from gradcheck.catalog.points import numbers_of
from gradcheck.language.parse import parse


# 2049 is halfway between two numbers of float16: to even.
@pytest.mark.parametrize(("dtype", "near"), [("float16", 2048), ("bfloat16", 2048)])
def test_an_integer_that_the_dtype_lacks_is_rounded(dtype, near):
    assert list(numbers_of(parse("2049")).rounded(dtype)) == [near]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("witness", ["value", "reverse", "forward"])
@pytest.mark.parametrize(("factor", "verdict"), [(1, "agree"), (1.5, "disagree")])
def test_a_factor_is_seen(dtype, witness, factor, verdict):
    result = verify(
        lambda x: factor * torch.sin(x), formula="sin(x)", inputs={"x": "(-3, 3)"},
        dtypes=[dtype], dtype=dtype, witness=witness, points=32,
    )
    assert result.verdict == verdict
'''


def test_dtypes_have_points_and_verdicts_of_their_own(checkout):
    checkout.replace("gradcheck/dtypes.py", "FLOAT16, BFLOAT16, ", "*HALF, ")
    checkout.add(
        "gradcheck/dtypes.py",
        'HALF = Dtype("float16", 11, -14, 15), Dtype("bfloat16", 8, -126, 127)',
        above="DTYPES = {",
    )
    checkout.write("cases/half.yaml", HALF)
    checkout.write("tests/run/test_half.py", HALF_TEST)
    found = checkout.pytest(
        "tests/run/test_half.py", "cases/half.yaml", "--dtype", "float16,bfloat16"
    )
    verdicts = {
        **dict.fromkeys(
            ("value", "reverse", "functional", "forward", "contract", "second"), "agree"
        ),
        "gradcheck": "abstain",  # its differences have no settings in these
    }
    assert found == {
        (witness, dtype, verdict): 1
        for witness, verdict in verdicts.items()
        for dtype in ("float16", "bfloat16")
    }

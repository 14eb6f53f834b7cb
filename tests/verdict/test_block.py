"""The block under a failed check: whole texts, so that they cannot rot."""

import math
import re
from dataclasses import replace

import pytest
import yaml

from gradcheck.answer import Evidence, Outcome, Ruling
from gradcheck.verdict.block import CheckFacts, block, format_error, point_as_yaml

FACTS = CheckFacts(
    place="cases/elementary.yaml:12",
    name="expm1[reverse-cpu-float64]",
    implementation="torch.expm1(x)",
    command="pytest 'cases/elementary.yaml::expm1[reverse-cpu-float64]' --seed 7",
)

AT_MINUS_40 = Evidence(
    at={"x": -40.0},
    index="∂/∂x",
    label="autograd.grad",
    got=0.0,
    true="4.24835425529159e-18",
    radius="1.2e-33",
    ulps=5515226464682442.0,
    relative=1.0,
    ruling=Ruling.DISAGREE,
    reason="beyond what rounding explains",
)

OUTCOME = Outcome(
    ruling=Ruling.DISAGREE,
    reason="beyond what rounding explains",
    entries=64,
    abstained=0,
    points=64,
    seconds=0.25,
    counts={"agree": 62, "disagree": 2},
    worst=AT_MINUS_40,
    failures=(AT_MINUS_40,),
    smallest=(replace(AT_MINUS_40, at={"x": -38.0}, true="3.139132792048e-17", ulps=42.0),),
    statements=(
        ("symbolic", "3.139132792048e-17"),
        ("reverse", "0.0"),
        ("forward", "3.139132792048e-17"),
    ),
    blame="PyTorch's backward is wrong",
    guess="lost accuracy",
)

WHOLE = """\
cases/elementary.yaml:12: disagree: PyTorch's backward is wrong (looks like: lost accuracy)
  check: expm1[reverse-cpu-float64]
  on trial: torch.expm1(x)
  reason: beyond what rounding explains

smallest failing input:
  x = -38.0
    ∂/∂x
      PyTorch  0.0  (autograd.grad)
      true     3.139132792048e-17  ± 1.2e-33
      error    42 ulps, relative 1
worst failing input:
  x = -40.0
    ∂/∂x
      PyTorch  0.0  (autograd.grad)
      true     4.24835425529159e-18  ± 1.2e-33
      error    5.5e+15 ulps, relative 1

who says what at the smallest failing input:
  symbolic  3.139132792048e-17
  reverse   0.0
  forward   3.139132792048e-17
  therefore: PyTorch's backward is wrong

to run just this:
  pytest 'cases/elementary.yaml::expm1[reverse-cpu-float64]' --seed 7
to keep this input, under the case's `points`:
    - at: {x: -38.0}"""


def at(value):
    """The outcome, failing at one input alone."""
    entry = replace(AT_MINUS_40, at={"x": value})
    return replace(OUTCOME, smallest=(entry,), failures=(entry,), worst=entry)


def test_the_block_says_everything_a_reader_needs():
    assert block(FACTS, OUTCOME) == WHOLE


def test_an_outcome_without_numbers_gives_its_reason_and_the_command():
    misconduct = replace(
        OUTCOME,
        reason="RuntimeError: no kernel",
        worst=None,
        failures=(),
        smallest=(),
        statements=(),
        blame="",
        guess="",
    )
    assert block(replace(FACTS, implementation=""), misconduct) == (
        "cases/elementary.yaml:12: disagree: RuntimeError: no kernel\n"
        "  check: expm1[reverse-cpu-float64]\n"
        "  on trial: the formula, translated to PyTorch\n"
        "\n"
        "to run just this:\n"
        "  pytest 'cases/elementary.yaml::expm1[reverse-cpu-float64]' --seed 7"
    )


def test_a_call_that_gave_no_number_is_told_once_and_without_one():
    call = replace(AT_MINUS_40, index="the call", true="", radius="", got=math.nan)
    text = block(FACTS, replace(OUTCOME, smallest=(call, call), failures=(call,)))
    assert "  x = -40.0\n    the call  (autograd.grad)\n\nwho says" in text


def test_one_input_that_is_smallest_and_worst_is_printed_once():
    text = block(FACTS, at(-40.0))
    assert "smallest failing input, and the worst:" in text
    assert text.count("x = -40.0") == 1


def test_inputs_that_differ_in_the_sign_of_zero_alone_are_two():
    smallest, worst = at(0.0), at(-0.0)
    text = block(FACTS, replace(smallest, failures=worst.failures))
    assert "smallest failing input:\n  x = 0.0\n" in text
    assert "worst failing input:\n  x = -0.0\n" in text


def test_only_entries_of_the_worst_input_stand_under_it():
    elsewhere = replace(AT_MINUS_40, at={"x": 1.0}, index="∂/∂x elsewhere")
    second = replace(AT_MINUS_40, index="∂/∂x of another output", reason="NaN")
    text = block(FACTS, replace(OUTCOME, failures=(AT_MINUS_40, elsewhere, second)))
    assert "∂/∂x elsewhere" not in text
    assert "∂/∂x of another output" in text
    assert "      reason   NaN" in text


def test_a_negative_zero_is_told_apart_as_a_case_file_cannot():
    assert block(FACTS, at(-0.0)).endswith(
        "    - at: {x: -0.0}\n    # a zero here is negative; a case file cannot say so"
    )
    assert "a zero here" not in block(FACTS, at(0.0))


def test_a_large_input_is_elided_and_its_shape_told():
    text = block(FACTS, at([[0.5] * 100, [0.25] * 100]))
    assert "  x = [[0.5, ..., 0.5], [0.25, ..., 0.25]]  (shape [2, 100])" in text
    assert "the input holds 200 numbers, too many to print" in text
    assert len(text.splitlines()) <= 40


@pytest.mark.parametrize("count", [1, 4, 64])
def test_the_yaml_gives_the_same_floats_back(count):
    values = [math.pi * 10.0 ** (-5 * k % 300 - 150) for k in range(count)]
    written = {"x": values, "y": 1e-05}
    assert yaml_floats(point_as_yaml(written)) == [{"at": written}]


def test_long_yaml_is_broken_at_blanks_alone():
    lines = point_as_yaml({"x": [1.0000000000000002e-05] * 64}).splitlines()
    assert lines[0] == "- at:"
    assert max(map(len, lines)) <= 100
    assert not any(line.endswith("-") for line in lines)


def test_the_point_of_a_large_input_that_is_printed_is_complete():
    values = [float(k) / 7 for k in range(64)]
    text = block(FACTS, at(values))
    assert all(repr(value) in text for value in values)


@pytest.mark.parametrize(
    ("ulps", "relative", "text"),
    [
        (1.0, 2.2e-16, "1 ulp, relative 2.2e-16"),
        (16.5, 0.25, "16 ulps, relative 0.25"),
        (9999.0, 1.0, "9999 ulps, relative 1"),
        (123456.0, 1e-9, "1.2e+05 ulps, relative 1e-09"),
        (math.inf, math.inf, "inf ulps, relative inf"),
        (math.nan, math.nan, "not a number"),
    ],
)
def test_an_error_is_told_in_ulps_and_relatively(ulps, relative, text):
    assert format_error(replace(AT_MINUS_40, ulps=ulps, relative=relative)) == text


def yaml_floats(text):
    """YAML 1.2 reads ``1e-05`` as a number; PyYAML's default, which is 1.1, wants a point."""

    class Loader(yaml.SafeLoader):
        pass

    def number(loader, node):
        return float(loader.construct_scalar(node))

    Loader.yaml_implicit_resolvers = {
        key: [(tag, rule) for tag, rule in rules if not tag.endswith(("float", "int"))]
        for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_constructor("tag:number", number)
    Loader.add_implicit_resolver(
        "tag:number", re.compile(r"[-+]?[0-9][0-9.]*([eE][-+]?[0-9]+)?$"), list("-+0123456789")
    )
    return yaml.load(text, Loader=Loader)

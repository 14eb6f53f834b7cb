"""The block under a failed check: whole texts, so that they cannot rot."""

import math
import re
import textwrap
from dataclasses import replace

import pytest
import torch
import yaml

from gradcheck.answer import EntryReport, Guess, GuessKind, Outcome, Ruling, Statement
from gradcheck.report.failure_text import (
    CheckFacts,
    block,
    format_error,
    format_number,
    point_as_yaml,
    statement,
)

FACTS = CheckFacts(
    place="cases/elementary.yaml:12",
    name="expm1[reverse-cpu-float64]",
    implementation="torch.expm1(x)",
    command="pytest 'cases/elementary.yaml::expm1[reverse-cpu-float64]' --seed 7",
)

AT_MINUS_40 = EntryReport(
    at={"x": -40.0},
    index="∂y/∂x",
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
    verdict=Ruling.DISAGREE,
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
        Statement("symbolic", Ruling.AGREE, note="1 of 1 derivatives enclosed"),
        Statement("value", Ruling.AGREE, replace(AT_MINUS_40, index="y", got=-1.0)),
        Statement("reverse", Ruling.DISAGREE, AT_MINUS_40),
        Statement("forward", Ruling.ABSTAIN, note="it lacks the means"),
    ),
    stated_at={"x": -38.0},
    blame="PyTorch's backward is wrong",
    guess=Guess(GuessKind.PRECISION, "lost accuracy"),
)

WHOLE = """\
disagree: PyTorch's backward is wrong
  looks like: lost accuracy
  where: cases/elementary.yaml:12
  check: expm1[reverse-cpu-float64]
  on trial: torch.expm1(x)
  reason: beyond what rounding explains

smallest failing input:
  x = -38.0
    ∂y/∂x  (autograd.grad)
      PyTorch  0.0
      true     3.139132792048e-17  ± 1.2e-33
      error    42 ulps, relative 1
worst failing input:
  x = -40.0
    ∂y/∂x  (autograd.grad)
      PyTorch  0.0
      true     4.24835425529159e-18  ± 1.2e-33
      error    5.5e+15 ulps, relative 1

who says what at the smallest failing input:
  symbolic  1 of 1 derivatives enclosed
  value     agrees: y = -1.0
  reverse   disagrees: ∂y/∂x = 0.0, true 4.24835425529e-18  (autograd.grad)
  forward   abstains: it lacks the means
  therefore: PyTorch's backward is wrong

to run just this:
  pytest 'cases/elementary.yaml::expm1[reverse-cpu-float64]' --seed 7
to keep this input, under the case's `points`:
    - at: {x: -38.0}"""


def at(value):
    """The outcome, failing at one input alone."""
    entry = replace(AT_MINUS_40, at={"x": value})
    return replace(
        OUTCOME, smallest=(entry,), failures=(entry,), worst=entry, stated_at={"x": value}
    )


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
        guess=None,
    )
    assert block(replace(FACTS, implementation=""), misconduct) == (
        "disagree: RuntimeError: no kernel\n"
        "  where: cases/elementary.yaml:12\n"
        "  check: expm1[reverse-cpu-float64]\n"
        "  on trial: the formula, translated to PyTorch\n"
        "\n"
        "to run just this:\n"
        "  pytest 'cases/elementary.yaml::expm1[reverse-cpu-float64]' --seed 7"
    )


def test_a_fault_of_the_case_itself_is_told_with_its_reason_once():
    reason = "the known value 10 is not the formula's, 9"
    text = block(FACTS, replace(OUTCOME, blame="the case itself", guess=None, reason=reason))
    assert text.startswith(f"disagree: the case itself: {reason}\n  where: ")
    assert text.partition("\n\n")[0].count(reason) == 1


def test_a_call_that_gave_no_number_is_told_without_one():
    call = replace(AT_MINUS_40, index="the call", true="", radius="", got=math.nan)
    outcome = replace(OUTCOME, smallest=(call,), failures=(call,), stated_at={"x": -40.0})
    text = block(FACTS, outcome)
    assert "  x = -40.0\n    the call  (autograd.grad)\n\nwho says" in text


def test_what_is_said_at_another_input_is_told_with_that_input():
    text = block(FACTS, replace(OUTCOME, stated_at={"x": -39.5}))
    title = "\nwho says what at another failing input, where more shows:\n  x = -39.5\n  symbolic"
    assert title in text
    assert title not in block(FACTS, OUTCOME)


def test_the_directions_of_a_contraction_are_told():
    weighed = replace(AT_MINUS_40, directions=(("cotangent", (0.875,)),), only_so=True)
    text = block(FACTS, replace(OUTCOME, smallest=(weighed,)))
    assert "    ∂y/∂x  (autograd.grad, only with the cotangent [0.875])\n" in text


@pytest.mark.parametrize(
    ("directions", "text"),
    [
        ((("cotangent", (0.875, -1.0)),), "the cotangent [0.875, -1]"),
        ((("tangent", (1.0,) * 12),), "the tangent of ones"),
        ((("tangent", (0.5,) * 12),), "the tangent [0.5, ..., 0.5]"),
        (
            (("cotangent", (2.0,)), ("tangent", (1.0, 0.0))),
            "the cotangent [2] and the tangent [1, 0]",
        ),
    ],
)
def test_a_statement_tells_its_directions(directions, text):
    said = Statement("reverse", Ruling.DISAGREE, replace(AT_MINUS_40, directions=directions))
    whole = f"disagrees: ∂y/∂x = 0.0, true 4.24835425529e-18  (autograd.grad, with {text})"
    assert statement(said) == whole


@pytest.mark.parametrize(
    ("true", "text"),
    [
        ("6.0000000000000000000", "6"),
        ("1200.0000000000000000", "1200"),
        ("0", "0"),
        ("-0.11111111111111111111", "-0.111111111111"),
        ("2.1056975313054404645e+65", "2.10569753131e+65"),
        ("[-1, 1]", "[-1, 1]"),
        ("-inf", "-inf"),
    ],
)
def test_a_true_number_is_rounded_in_a_statement(true, text):
    said = Statement("value", Ruling.INACCURATE, replace(AT_MINUS_40, label="value", true=true))
    assert statement(said) == f"is inaccurate: ∂y/∂x = 0.0, true {text}"


def test_an_exact_truth_is_told_in_few_digits():
    exact = replace(AT_MINUS_40, true="6.0000000000000000000", radius="0")
    assert "      true     6\n" in block(FACTS, replace(OUTCOME, smallest=(exact,)))


def test_entries_that_are_left_out_are_counted():
    several = tuple(replace(AT_MINUS_40, index=f"∂y/∂x[{k}]") for k in range(5))
    text = block(FACTS, replace(OUTCOME, smallest=several))
    assert "∂y/∂x[2]" in text
    assert "∂y/∂x[3]" not in text
    assert "\n    and 2 more entries\n" in text


def test_the_worst_input_is_left_out_where_it_is_no_worse():
    same = replace(AT_MINUS_40, at={"x": -38.0})
    text = block(FACTS, replace(OUTCOME, smallest=(same,)))
    assert "smallest failing input, and the worst:\n  x = -38.0\n" in text
    assert "worst failing input:\n  x = -40.0" not in text


def test_a_reason_that_several_witnesses_give_is_told_once():
    missing = {"ruling": Ruling.DISAGREE, "note": "an argument is missing"}
    said = tuple(Statement(witness, **missing) for witness in ("value", "reverse"))
    text = block(FACTS, replace(OUTCOME, statements=said))
    assert "  value    disagrees: an argument is missing\n  reverse  disagrees: the same\n" in text


def test_what_fails_beside_other_points_alone_is_not_called_the_smallest():
    text = block(FACTS, replace(OUTCOME, smallest=()))
    assert "\nwho says what at the input, asked alone:\n  x = -38.0\n" in text
    assert "smallest" not in text


def test_the_lines_of_the_text_fit_into_80_columns():
    long = " ".join(["something"] * 40)
    said = (Statement("reverse", Ruling.DISAGREE, note=long),)
    text = block(FACTS, replace(OUTCOME, blame=long, reason=long, statements=said))
    assert max(map(len, text.splitlines())) <= 80


def test_one_input_that_is_smallest_and_worst_is_printed_once():
    text = block(FACTS, at(-40.0))
    assert "smallest failing input, and the worst:" in text
    assert text.count("x = -40.0") == 1


def test_inputs_that_differ_in_the_sign_of_zero_alone_are_two():
    smallest, worst = at(0.0), at(-0.0)
    failures = (replace(worst.failures[0], ulps=1e16),)
    text = block(FACTS, replace(smallest, failures=failures))
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
    assert "the input holds 200 numbers, too many to print;" in text
    assert len(text.splitlines()) <= 40


@pytest.mark.parametrize("count", [1, 4, 64])
def test_the_yaml_gives_the_same_floats_back(count):
    values = [math.pi * 10.0 ** (-5 * k % 300 - 150) for k in range(count)]
    written = {"x": values, "y": 1e-05}
    assert yaml_floats(point_as_yaml(written)) == [{"at": written}]


COMPLEX = [
    (1 - 2j, "1.0 - 2.0*I"),
    (1e-30 + 0.1j, "1e-30 + 0.1*I"),
    (2.5j, "2.5*I"),
    (-1.5 + 0j, "-1.5"),
    (complex(-0.0, -3), "-0.0 - 3.0*I"),
    (complex(1, -0.0), "1.0 - 0.0*I"),
    (complex(math.inf, math.nan), "inf + nan*I"),
]


@pytest.mark.parametrize(("number", "text"), COMPLEX)
def test_a_complex_number_is_written_as_a_case_says_it(number, text):
    assert format_number(number) == text


@pytest.mark.parametrize("number", [number for number, _ in COMPLEX[:5]])
def test_a_complex_number_reads_back_as_the_same_number(number):
    assert eval(format_number(number), {"I": 1j}) == number


def test_complex_inputs_are_printed_to_be_pasted():
    text = block(FACTS, at([[1 - 2j, 0.5j], [-1 + 0j, complex(0.1, 1e-300)]]))
    assert "  x = [[1.0 - 2.0*I, 0.5*I], [-1.0, 0.1 + 1e-300*I]]" in text
    pasted = point_as_yaml({"z": [0.1 + 1j / 3] * 8, "x": 2.0})
    assert max(map(len, pasted.splitlines())) <= 80
    (read,) = yaml.safe_load(pasted)
    assert read == {"at": {"z": ["0.1 + 0.3333333333333333*I"] * 8, "x": 2.0}}


def test_a_large_complex_input_is_elided():
    text = block(FACTS, at([0.5 + 1j / 3] * 200))
    assert "  x = [0.5 + 0.33*I, ..., 0.5 + 0.33*I]  (shape [200])" in text
    assert "the input holds 400 numbers, too many to print;" in text


@pytest.mark.parametrize("zero", [complex(-0.0, 1), complex(1, -0.0)])
def test_a_negative_zero_in_a_complex_number_is_told(zero):
    told = "    # a zero here is negative; a case file cannot say so"
    assert told in block(FACTS, at(zero))
    assert told not in block(FACTS, at(1 + 1j))


@pytest.mark.parametrize(
    ("number", "kind"),
    [(0.1, torch.float16), (6e-8, torch.float16), (0.1, torch.bfloat16), (1e-30, torch.bfloat16)],
)
def test_a_number_of_half_precision_is_printed_in_digits_that_identify_it_in_every_dtype(
    number, kind
):
    held = torch.tensor(number, dtype=kind).item()
    (printed,) = re.findall(r"^  x = (.*)$", block(FACTS, at(held)), flags=re.MULTILINE)
    assert float(printed) == held == torch.tensor(float(printed), dtype=kind).item() != number


def test_the_directions_of_complex_numbers_are_told_in_short():
    entry = replace(AT_MINUS_40, label="backward", directions=(("cotangent", (0.5 - 1.25j,)),))
    outcome = replace(OUTCOME, failures=(entry,), smallest=(entry,))
    assert "(backward, with the cotangent [0.5 - 1.25*I])" in block(FACTS, outcome)


def test_long_yaml_is_broken_at_blanks_alone():
    lines = point_as_yaml({"x": [1.0000000000000002e-05] * 64}).splitlines()
    assert lines[0] == "- at:"
    assert max(map(len, lines)) <= 80
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


SWISH = """\
import torch

def subject(x, b):
    mul = b * x
    sigmoid = torch.sigmoid(mul)
    return x * sigmoid
"""


def script_in(text):
    """The script at the end of a block, without its indentation."""
    return textwrap.dedent(text.partition("without gradcheck:\n")[2])


def test_the_script_gives_what_pytorch_gives_without_us(capsys):
    facts = replace(FACTS, source=SWISH, dtype="float32")
    entry = replace(AT_MINUS_40, at={"x": [1.0, -0.0], "b": math.inf})
    script = script_in(block(facts, replace(OUTCOME, smallest=(entry,))))
    scope = {}
    exec(script, scope)
    x = torch.tensor([1.0, -0.0], requires_grad=True)
    b = torch.tensor(math.inf, requires_grad=True)
    y = x * torch.sigmoid(b * x)
    gradient = torch.autograd.grad(y, [x, b], torch.ones_like(y))
    assert str(scope["y"]) == str(y)
    assert capsys.readouterr().out == f"{y} {gradient}\n"


def test_an_input_called_y_keeps_its_name_in_the_script(capsys):
    facts = replace(FACTS, source=SWISH.replace("(x, b)", "(x, y)").replace("b *", "y *"))
    entry = replace(AT_MINUS_40, at={"x": 1.0, "y": 0.0})
    exec(script_in(block(facts, replace(OUTCOME, smallest=(entry,)))), {})
    assert "(tensor(0.5000, dtype=torch.float64), tensor(0.2500" in capsys.readouterr().out


def test_complex_inputs_keep_the_signs_of_their_zeros_in_the_script(capsys):
    facts = replace(FACTS, source=SWISH, dtype="complex64")
    entry = replace(AT_MINUS_40, at={"x": [complex(-4.0, -0.0)], "b": 0.0})
    scope = {}
    exec(script_in(block(facts, replace(OUTCOME, smallest=(entry,)))), scope)
    assert (scope["x"].dtype, scope["b"].dtype) == (torch.complex64, torch.float32)
    assert math.copysign(1, scope["x"].imag.item()) == -1
    assert "grad_fn" in capsys.readouterr().out


def test_code_without_a_source_and_a_long_one_have_no_script():
    long = SWISH + "# one line\n" * 20
    texts = [block(replace(FACTS, source=source), OUTCOME) for source in ("", long)]
    assert not any("without gradcheck" in text for text in texts)

"""The plan: which checks there are, what they are called, and that it costs no import of torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.catalog.checks import count, plan
from gradcheck.catalog.load import load_text
from gradcheck.methods import DEFAULT_WITNESSES

PLAIN = "c: {formula: x, inputs: {x: real}}"
SWEPT = (
    "c: {formula: x*d, inputs: {x: real}, sweep: {d: [0, 1]}, torch: [x*d, d*x], dtypes: [float32]}"
)


def names(text: str, **chosen) -> list[str]:
    everything = {
        "devices": ("cpu",),
        "dtypes": ("float64", "float32"),
        "witnesses": DEFAULT_WITNESSES,
    }
    return [check.name for check in plan(load_text(text, "f.yaml"), **{**everything, **chosen})]


@pytest.mark.parametrize("text", [PLAIN, SWEPT, PLAIN.replace("}}", "}, order: 1}")])
def test_the_count_of_a_case_is_that_of_its_plan_on_one_device(text):
    (case,) = load_text(text, "f.yaml")
    assert count(case) == len(names(text))


def test_every_witness_has_a_check_in_every_dtype():
    assert names(PLAIN) == [
        "c[value-cpu-float64]",
        "c[value-cpu-float32]",
        "c[reverse-cpu-float64]",
        "c[reverse-cpu-float32]",
        "c[functional-cpu-float64]",
        "c[functional-cpu-float32]",
        "c[forward-cpu-float64]",
        "c[forward-cpu-float32]",
        "c[contract-cpu-float64]",
        "c[contract-cpu-float32]",
        "c[second-cpu-float64]",
        "c[second-cpu-float32]",
        "c[gradcheck-cpu-float64]",
        "c[gradcheck-cpu-float32]",
    ]


def test_variants_and_implementations_are_named_where_there_are_several():
    assert names(SWEPT, witnesses=("reverse",)) == [
        "c[d=0-0-reverse-cpu-float32]",
        "c[d=0-1-reverse-cpu-float32]",
        "c[d=1-0-reverse-cpu-float32]",
        "c[d=1-1-reverse-cpu-float32]",
    ]


def test_devices_are_planned_in_the_order_they_are_given():
    chosen = {"witnesses": ("value",), "dtypes": ("float64",)}
    assert names(PLAIN, devices=("cuda:1", "cpu"), **chosen) == [
        "c[value-cuda:1-float64]",
        "c[value-cpu-float64]",
    ]


def test_witnesses_are_planned_in_one_order_however_they_are_asked_for():
    one = names(PLAIN, witnesses=("reverse", "value"))
    assert one == names(PLAIN, witnesses=("value", "reverse"))


def test_second_derivatives_are_planned_only_where_the_case_goes_so_far():
    first = PLAIN.replace("}}", "}, order: 1}")
    assert names(first, witnesses=("second",)) == []
    assert len(names(PLAIN, witnesses=("second",))) == 2


@pytest.mark.parametrize("dtypes", [("float64",), ("float16", "complex64")])
def test_dtypes_that_the_case_does_not_have_are_not_planned(dtypes):
    assert names(SWEPT, dtypes=dtypes) == []


HALF = ("float16", "bfloat16")
TINY = "c: {formula: x, inputs: {x: '[1e-30, 1e-20]'}}"
COMPLEX = "c: {formula: z, inputs: {z: complex}}"


@pytest.mark.parametrize(
    ("text", "asked", "found"),
    [
        (PLAIN, (), ["float64", "float32"]),
        (PLAIN, HALF, ["float16", "bfloat16"]),
        (PLAIN, ("float32", "bfloat16"), ["float32", "bfloat16"]),
        (TINY, HALF, ["bfloat16"]),
        (COMPLEX, HALF, []),
        (PLAIN.replace("}}", "}, dtypes: [float32]}"), HALF, []),
        (PLAIN.replace("}}", "}, dtypes: [float32, bfloat16]}"), (), ["float32", "bfloat16"]),
    ],
)
def test_a_case_that_names_no_dtypes_has_half_precision_where_it_is_asked_for(text, asked, found):
    planned = names(text, dtypes=asked, witnesses=("value",))
    assert planned == [f"c[value-cpu-{dtype}]" for dtype in found]


def test_a_witness_that_a_case_is_without_is_planned_all_the_same():
    text = PLAIN.replace("}}", "}, without: {forward: no jvp}}")
    assert len(names(text, witnesses=("forward",))) == 2


def test_names_are_unique_and_the_same_in_another_process():
    text = (
        "c: {formula: x, inputs: {x: real}, sweep: {d: ['a b', a_b, A-B]},"
        " torch: ['F.gelu(x, approximate=d)', x]}"
    )
    mine = names(text)
    assert len(set(mine)) == len(mine)
    code = (
        "from gradcheck.catalog.checks import plan\n"
        "from gradcheck.catalog.load import load_text\n"
        f"cases = load_text({text!r}, 'f.yaml')\n"
        "checks = plan(cases, devices=('cpu',), dtypes=('float64', 'float32'),"
        " witnesses=('value', 'reverse', 'functional', 'forward', 'contract', 'second',"
        " 'gradcheck'))\n"
        "print('|'.join(check.name for check in checks))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip().split("|") == mine

"""What is too large to be certified is refused at load, with the nearest size that fits."""

import pytest

from gradcheck.catalog.load import load_text
from gradcheck.errors import CatalogError

SILU = "c: {{formula: x/(1 + exp(-x)), inputs: {{x: {{shape: {shape}}}}}, order: {order}}}"
SOFTMAX = (
    "c: {{let: {{e: exp(x)}}, formula: 'e / sum(e, dim=-1, keepdim=True)', "
    "inputs: {{x: {{shape: {shape}}}}}, order: {order}}}"
)
LINEAR = (
    "c: {{formula: x @ w.T + b, inputs: {{x: {{shape: {shape}}}, w: {{shape: [32, 32]}}, "
    "b: {{shape: [32]}}}}, order: {order}}}"
)
ATTENTION = (
    "c: {{let: {{e: exp(q @ transpose(k) / sqrt(8))}}, "
    "formula: 'e / sum(e, dim=-1, keepdim=True) @ v', inputs: {{q: {{shape: {shape}}}, "
    "k: {{shape: {shape}}}, v: {{shape: {shape}}}}}, order: {order}}}"
)
DET = "c: {{formula: det(A), inputs: {{A: {{shape: {shape}}}}}, order: {order}}}"


def problem_of(text):
    with pytest.raises(CatalogError) as caught:
        load_text(text, "f.yaml")
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("text", "shape", "order", "found", "fix"),
    [
        (
            SILU, [32, 32], 1,
            "1,048,576 derivatives of order 1 (1,024 outputs, 1,024 input entries, "
            "5,121 operations)",
            "make the shapes smaller: x: [21, 21] fits",
        ),
        (
            SILU, [8, 8], 2,
            "262,144 derivatives of order 2 (64 outputs, 64 input entries, 321 operations)",
            "write order: 1, which fits, or make the shapes smaller: x: [7, 7] fits",
        ),
        (
            SOFTMAX, [16, 64], 1,
            "1,048,576 derivatives of order 1 (1,024 outputs, 1,024 input entries, "
            "4,080 operations)",
            "make the shapes smaller: x: [16, 16] fits",
        ),
        (
            LINEAR, [32], 2,
            "37,879,808 derivatives of order 2 (32 outputs, 1,088 input entries, "
            "3,136 operations)",
            "write order: 1, which fits, or make the shapes smaller: "
            "x: [10], w: [10, 10], b: [10] fit",
        ),
        (
            ATTENTION, [2, 4, 16, 8], 1,
            "3,145,728 derivatives of order 1 (1,024 outputs, 3,072 input entries, "
            "73,602 operations)",
            "make the shapes smaller: q: [2, 3, 3, 3], k: [2, 3, 3, 3], v: [2, 3, 3, 3] fit",
        ),
        (
            ATTENTION, [8, 4], 1,
            "more than 200,000 operations for derivatives of order 1 (32 outputs, "
            "96 input entries, 1,274 operations)",
            "make the shapes smaller: q: [4, 4], k: [4, 4], v: [4, 4] fit",
        ),
        (
            ATTENTION, [8, 8], 2,
            "2,359,296 derivatives of order 2 (64 outputs, 192 input entries, "
            "2,362 operations)",
            "make the shapes smaller: q: [2, 2], k: [2, 2], v: [2, 2] fit",
        ),
        (
            ATTENTION, [16, 8], 1,
            "more than 200,000 operations for derivatives of order 1 (128 outputs, "
            "384 input entries, 9,202 operations)",
            "make the shapes smaller: q: [4, 4], k: [4, 4], v: [4, 4] fit",
        ),
        (
            DET, [8, 8], 2,
            "more than 200,000 operations for derivatives of order 2 (1 output, "
            "64 input entries, 1,849 operations)",
            "write order: 1, which fits, or make the shapes smaller: A: [6, 6] fits",
        ),
    ],
)  # fmt: skip
def test_a_case_that_is_too_large_says_what_would_fit(text, shape, order, found, fix):
    text = text.format(shape=shape, order=order)
    column = text.index("formula: ") + len("formula: ") + 1
    assert str(problem_of(text)) == (
        f"f.yaml:1:{column}: {found}\n"
        "  expected: at most 200,000 derivatives, written in 200,000 operations\n"
        f"  fix:      {fix}"
    )


@pytest.mark.parametrize(
    ("text", "shape", "order"),
    [
        (SILU, [21, 21], 1),
        (SILU, [7, 7], 2),
        (SOFTMAX, [16, 16], 1),
        (LINEAR, [32], 1),
        (ATTENTION, [4, 4], 1),
        (ATTENTION, [2, 3, 3, 3], 1),
        (ATTENTION, [2, 2], 2),
        (DET, [8, 8], 1),
        (DET, [6, 6], 2),
    ],
)
def test_what_is_said_to_fit_is_taken(text, shape, order):
    (case,) = load_text(text.format(shape=shape, order=order), "f.yaml")
    assert case.order == order


def test_a_formula_too_large_to_be_written_out_says_what_would_fit():
    text = ATTENTION.format(shape=[16, 16, 16], order=1)
    problem = problem_of(text)
    assert problem.found == "more than 200,000 scalar operations"
    assert problem.fix == ("make the shapes smaller: q: [3, 3, 3], k: [3, 3, 3], v: [3, 3, 3] fit")


def test_a_formula_that_other_shapes_do_not_suit_is_refused_without_a_size():
    text = "c: {formula: 'reshape(sin(x), [32, 32])', inputs: {x: {shape: [16, 64]}}, order: 1}"
    assert problem_of(text).fix == "make the shapes smaller"


def test_one_of_several_variants_is_named_and_the_others_are_not_repeated():
    text = (
        "c: {formula: x*a, inputs: {x: {shape: [64, 64]}}, sweep: {a: [2, 3]}, order: 1, "
        "torch: x*a}"
    )
    assert problem_of(text).found == (
        "16,777,216 derivatives of order 1 (4,096 outputs, 4,096 input entries, "
        "8,193 operations) (in the variant a=2)"
    )

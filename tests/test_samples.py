"""PyTorch's samples: how one is bound to a formula; a wrong formula or mode is convicted."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gradcheck.answer import Ruling
from gradcheck.catalog.load import load_text


def loaded(name):
    """A benchmark as a module; it stands in no package."""
    path = Path(__file__).parent.parent / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


loaded("linear_operators")
samples, hunts = loaded("samples"), loaded("hunts")


def sample(*values, **keywords):
    tensors = [torch.tensor(each, dtype=torch.float64, requires_grad=True)
               if isinstance(each, list) else each for each in values]  # fmt: skip
    return SimpleNamespace(input=tensors[0], args=tuple(tensors[1:]), kwargs=keywords)


def operator(function):
    return SimpleNamespace(op=function, name=function.__name__)


def rules(call, formula):
    return samples.written_rules({"rules": {"any": [{"call": call, "formula": formula}]}})["any"]


SOFTMAX = rules("softmax(x, d)", "exp(x)/sum(exp(x), dim=d, keepdim=True)")
WRONG = rules("softmax(x, d)", "exp(x)/sum(exp(x), dim=0, keepdim=True)")
ROWS = [[1.0, 2.0, 0.5], [0.25, 1.5, -1.0]]


def held(op, one, some):
    found = samples.hold(operator(op), one, some)
    return found.ruling if isinstance(found, samples.Held) else found.reason


def test_a_sample_of_another_shape_is_held_and_agrees():
    assert held(torch.softmax, sample(ROWS, 1), SOFTMAX) is Ruling.AGREE
    assert held(torch.softmax, sample([1.0, 2.0], dim=-1), SOFTMAX) is Ruling.AGREE


def test_a_sample_whose_formula_is_wrong_is_convicted():
    assert held(torch.softmax, sample(ROWS, 1), WRONG) is Ruling.DISAGREE
    assert held(torch.softmax, sample(ROWS, 0), WRONG) is Ruling.AGREE


def test_what_a_call_writes_out_must_be_what_the_sample_says():
    some = rules("softmax(x, 0)", "exp(x)/sum(exp(x), dim=0, keepdim=True)")
    assert held(torch.softmax, sample(ROWS, 0), some) is Ruling.AGREE
    assert held(torch.softmax, sample(ROWS, 1), some) == "no formula is stated for dim=1"


def test_a_default_is_what_the_function_declares():
    some = rules("add(x, y, alpha=a)", "x + a*y")
    assert held(torch.add, sample([1.0], [2.0]), some) is Ruling.AGREE
    assert held(torch.add, sample([1.0], [2.0], alpha=3), some) is Ruling.AGREE


def test_an_empty_sample_and_a_large_one_are_not_held():
    sine = rules("sin(x)", "sin(x)")
    assert held(torch.sin, sample([]), sine) == "without entries"
    assert held(torch.sin, sample([1.0] * 500), sine) == "more than 400 entries"


CASES = """
for_all: {formula: sin(x), inputs: {x: {shape: [2]}}, torch: torch.sin(x)}
for_its_own: {formula: "[cos(x[0]), cos(x[1])]", inputs: {x: {shape: [2]}}, torch: torch.cos(x)}
in_part: {formula: log(x), inputs: {x: "[1, 2]"}, torch: torch.log(x)}
"""
BY_FUNCTION = samples.catalog_rules(load_text(CASES, "cases.yaml"), ())


@pytest.mark.parametrize(
    ("function", "numbers", "expected"),
    [
        (torch.sin, [1.0, 2.0, 3.0], Ruling.AGREE),
        (torch.cos, [1.0, 2.0], Ruling.AGREE),
        (torch.cos, [1.0, 2.0, 3.0], "the formula is stated for other shapes"),
        (torch.log, [1.5], Ruling.AGREE),
        (torch.log, [3.0], "outside of the case's domain"),
    ],
)
def test_a_case_of_the_catalog_holds_samples_where_its_formula_says_something(
    function, numbers, expected
):
    assert held(function, sample(numbers), BY_FUNCTION[function]) == expected


def plain(function, *arguments, **keywords):
    return function(*arguments, **keywords)


def database_entry(function, *some, wrapper=plain):
    """An operator with samples, as the hunt asks PyTorch's database for it."""
    given = [SimpleNamespace(**vars(each), output_process_fn_grad=lambda result: result,
                             summary=lambda: "a sample") for each in some]  # fmt: skip
    names = {"name": "planted", "variant_test_name": "", "gradcheck_wrapper": wrapper}
    return SimpleNamespace(op=function, sample_inputs=lambda *_, **__: given, **names)


def hunted(function, *some, **more):
    count, found = hunts.hunt(database_entry(function, *some, **more), 10)
    return count, {each.mode for each in found}


def square_of(reverse, forward):
    """x**2 with slopes of its own in reverse and forward mode."""

    class Square(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x**2

        @staticmethod
        def setup_context(ctx, inputs, _output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, cotangent):
            return reverse * cotangent * ctx.saved_tensors[0]

        @staticmethod
        def jvp(ctx, tangent):
            return forward * tangent * ctx.saved_tensors[0]

    return Square.apply


SOME = (sample([1.0, 2.0]), sample([[0.5, -3.0]]), sample([4.0]))


PYTORCHS_OWN = {"jacfwd of jacfwd"}  # of any Function with a jvp: pytorch/pytorch#197867


def test_a_planted_tangent_that_is_wrong_is_hunted_down():
    count, modes = hunted(square_of(reverse=2, forward=3), *SOME)
    assert (count, modes - PYTORCHS_OWN) == (3, {"jacfwd", "dual tensors", "jacrev of jacfwd"})


def test_its_twin_is_acquitted():
    assert hunted(square_of(reverse=2, forward=2), *SOME) == (3, PYTORCHS_OWN)
    assert hunted(torch.square, *SOME) == (3, set())


def triangle(function, matrix):
    return function(matrix + matrix.mT)


triangle.__name__ = "gradcheck_wrapper_hermitian_input"
SYMMETRIC = sample([[2.0, 0.5], [0.5, 1.0]])


@pytest.mark.parametrize(
    ("function", "one", "held"),
    [
        (torch.abs, sample([0.0, 1.0]), 1),
        (torch.relu, sample([0.0, 0.0]), 0),
        (torch.sqrt, sample([-1.0, 4.0]), 1),
        (torch.sqrt, sample([-1.0]), 0),
        (torch.exp, sample([float("-inf"), 1.0]), 0),
    ],
)
def test_where_there_is_no_derivative_nothing_is_compared(function, one, held):
    assert hunted(function, one) == (held, set())


def test_what_rounding_makes_of_a_derivative_that_is_0_is_no_difference():
    assert hunted(torch.nn.functional.normalize, sample([[3.1, 2.7, 0.3]], p=1.3, dim=0)) == (
        1,
        set(),
    )


def test_a_write_that_is_lost_is_no_difference_and_one_that_stays_is_held():
    places = [torch.tensor([[[0, 0]]]), torch.tensor([[[0, 3]]])]
    lost, kept = (sample([[[1.0, 2.0]]], each, 2) for each in places)
    assert hunted(torch.nn.functional.max_unpool1d, lost) == (0, set())
    assert hunted(torch.nn.functional.max_unpool1d, kept) == (1, set())


def test_an_operator_of_symmetric_matrices_is_asked_of_symmetric_matrices():
    assert hunted(torch.linalg.cholesky, SYMMETRIC, wrapper=triangle) == (1, set())
    assert hunted(torch.linalg.cholesky, SYMMETRIC)[1]


MET = [hunts.Difference("exp", "jacrev", "2.0", "a sample")]


@pytest.mark.parametrize(
    ("known", "counts"),
    [
        ({}, (1, 0, 0)),
        ({("exp", "jacrev"): "torch.exp"}, (0, 1, 0)),
        ({("exp", "jacfwd"): "torch.exp"}, (1, 0, 1)),
    ],
)
def test_what_is_known_is_so_by_operator_and_mode_and_must_be_met(known, counts):
    report = hunts.report_of(MET, known)
    titles = ("new", "known", "known, and not met")
    assert tuple(len(report[title]) for title in titles) == counts


def test_each_known_difference_is_a_finding():
    found = {each.what for each in loaded("findings").findings()}
    assert set(hunts.known_differences().values()) <= found


MOVED = sample([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dims=[1])


def linear_operator(function, name="flip"):
    return SimpleNamespace(op=function, name=name)


@pytest.mark.parametrize(
    ("function", "ruling"),
    [(torch.flip, Ruling.AGREE), (lambda x, dims: torch.flip(x, [0]), Ruling.DISAGREE)],
)
def test_a_linear_operator_is_held_against_numpys_matrix(function, ruling):
    assert samples.hold(linear_operator(function), MOVED, []).ruling is ruling


@pytest.mark.parametrize(
    ("keywords", "ruling"),
    [({"stride": 1}, Ruling.AGREE), ({"stride": 2, "return_indices": True}, Ruling.AGREE)],
)
def test_a_maximum_over_windows_is_held(keywords, ruling):
    pool = linear_operator(torch.nn.functional.max_pool1d, "nn.functional.max_pool1d")
    one = sample([[[1.0, 4.0, 2.0, 3.0]]], 2, **keywords)
    assert samples.hold(pool, one, []).ruling is ruling


def test_a_function_of_pythons_is_bound_though_it_has_types():
    some = rules("elu(x, a)", "where(x > 0, x, a*expm1(x))")
    assert held(torch.nn.functional.elu, sample([-1.0, 2.0]), some) is Ruling.AGREE


def test_the_page_is_what_the_generator_writes():
    page = samples.PAGE.read_text("utf-8")
    assert page.startswith(samples._HEAD.partition("PyTorch {torch}")[0])
    head = page.partition("\n| operator")[0]
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    asked, held_ones = (sum(int(row[k]) for row in rows) for k in (1, 2))
    assert f"{asked:,} were asked" in head
    assert f"and {held_ones:,} of {sum(row[2] != '0' for row in rows):,} entries" in head

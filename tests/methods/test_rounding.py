"""What moves under the mode and what does not, and that nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from invocations import batch, invocation

from gradcheck.methods import METHODS
from gradcheck.methods._torch.rounding import Repeated, keyed
from gradcheck.query import Port

ULP = 2.0**-52


def asked(function, *inputs, witness="value", many=False, **options):
    """Every answer with what rounding does to it, by key."""
    call = (batch if many else invocation)(function, *inputs, **options)
    repeated = Repeated.of(METHODS[witness].answer, call)
    assert repeated.answers
    return repeated.answers, repeated.in_full()


def first(function, *inputs, **options):
    return next(iter(asked(function, *inputs, **options)[1].values()))


def spread(function, *inputs, **options):
    return first(function, *inputs, **options).spread.reshape(-1).tolist()


@pytest.mark.parametrize("function", [torch.exp, torch.sqrt, lambda x: x * 3, lambda x: 1 / x])
def test_one_operation_moves_by_two_ulps_from_end_to_end(function):
    value = function(torch.tensor(1.3, dtype=torch.float64)).item()
    assert spread(function, 1.3) == [pytest.approx(2 * np.spacing(value), rel=1e-9)]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.clone(),
        lambda x: x.detach(),
        lambda x: -x,
        lambda x: x.abs(),
        lambda x: x.reshape(1)[0],
        lambda x: torch.where(x > 0, x, 0),
        lambda x: x.clamp(min=1.0),
        lambda x: x.expand(3).max(),
        lambda x: torch.stack([x, x])[1],
        lambda x: torch.select_copy(torch.stack([x, x]), 0, 1),
        lambda x: torch.stack([x, x]).unique()[0],
        lambda x: torch.zeros(2, dtype=x.dtype).scatter_reduce(
            0, torch.tensor([0, 0]), torch.stack([x, x]), "amax"
        )[0],
        lambda x: x.float().double(),
    ],
)
def test_what_only_moves_numbers_rounds_nothing(function):
    assert spread(function, 1.5) == [0.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_that_the_dtype_holds_do_not_move(dtype):
    """Else an answer beside a kink would count as rounding of the one at the kink."""
    assert spread(lambda x: (x > 2).to(x.dtype), 2.0, dtype=dtype) == [0.0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kernel", [torch.log_softmax, torch.softmax])
def test_kernels_that_compute_in_float32_round_their_result(kernel, dtype):
    (found,) = spread(lambda x: kernel(torch.stack([x, 2 * x]), 0)[0], 1.25, dtype=dtype)
    value = kernel(torch.tensor([1.25, 2.5]), 0)[0].to(getattr(torch, dtype))
    ulp = torch.finfo(value.dtype).eps * 2.0 ** value.abs().log2().floor()
    assert found >= 2 * ulp.item()


@pytest.mark.parametrize("given", [float, torch.tensor])
@pytest.mark.parametrize(("number", "moves"), [(0.2, True), (0.1875, False)])
def test_a_number_that_half_precision_does_not_hold_moves_where_a_sum_takes_it_in(
    number, moves, given
):
    def code(x):
        return (torch.stack([x, x]) - given(number))[0]

    (found,) = spread(code, 0.25, dtype="float16")
    assert (found > 2.0**-13) is moves  # an ulp of the number


def test_a_number_that_a_product_keeps_in_float32_does_not_move():
    (found,) = spread(lambda x: x * 0.1, 1.25, dtype="float16")
    assert found <= 2 * 2.0**-13


def test_no_number_is_moved_to_zero():
    assert spread(lambda x: (x * 1.0 > 0).to(x.dtype), 5e-324) == [0.0]


def test_inputs_that_are_cast_move_where_that_rounds():
    (found,) = spread(lambda x: (x.double() * 3).float(), 1.1, dtype="float32")
    assert found > 0


def test_a_difference_that_cancels_keeps_the_ulps_of_its_terms():
    (found,) = spread(lambda x: 1 - x.cos(), 1e-9)
    assert ULP <= found <= 4 * ULP


@pytest.mark.parametrize("witness", ["value", "reverse", "forward", "second", "third"])
def test_every_witness_is_moved(witness):
    function = lambda x: (x.exp() * x).sin()  # noqa: E731
    found = first(function, 1.3, witness=witness, order=3)
    assert 0 < found.spread.max() < 1e-11
    assert found.opaque == ""


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.softmax(x, 0),
        lambda x: torch.nn.functional.layer_norm(x, (3,)),
        torch.nn.functional.gelu,
        torch.nn.functional.silu,
        lambda x: x.var().expand(3),
        lambda x: torch.log_softmax(x, 0),
    ],
)
@pytest.mark.parametrize("witness", ["value", "reverse", "second"])
def test_a_kernel_that_is_known_is_taken_apart(function, witness):
    found = first(function, [1.0, 2.0, 4.0], output_shape=(3,), witness=witness)
    assert found.opaque == ""
    assert 0 < found.spread.max() < 1e-12


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (torch.digamma, "digamma"),
        (lambda x: torch.as_tensor(np.sin(x.detach().numpy())), "Tensor.numpy"),
        (lambda x: torch.tensor([x.tolist()] * 2, dtype=torch.float64)[0], "Tensor.tolist"),
    ],
)
def test_what_cannot_be_looked_into_is_named(function, name):
    assert first(function, 1.3).opaque == name


@torch.library.custom_op("rounding_tests::difference", mutates_args=())
def _difference(x: torch.Tensor) -> torch.Tensor:
    return x.exp() - 1


def test_what_pytorch_makes_of_other_operators_is_looked_into():
    def inferred(x):
        with torch.inference_mode():
            return torch.true_divide(x.clone(), 3.0)

    assert first(inferred, 1.3).opaque == ""
    assert spread(inferred, 1.3) == [pytest.approx(2 * np.spacing(1.3 / 3), rel=1e-9)]


def test_a_custom_operator_of_python_is_looked_into():
    found = first(_difference, 1e-9)
    assert found.opaque == ""
    assert ULP <= found.spread.item() <= 4 * ULP


# traps


def test_in_place_operations_move_what_they_write_and_count_one_version():
    versions = []

    def function(x):
        y = x.clone()
        y.mul_(1.7)
        y.exp_()
        versions.append(y._version)
        return y

    assert 0 < spread(function, 1.3)[0] < 1e-13
    assert set(versions) == {2}


def test_a_view_that_is_written_moves_its_base():
    def function(x):
        y = torch.stack([x, x])
        y[0].mul_(1.7)
        return y

    found = first(function, 1.3, output_shape=(2,)).spread.reshape(-1)
    assert found[0] > 0 == found[1]


def test_autograd_records_the_same():
    graphs = []

    def function(x):
        y = (x * 2).exp() + x.detach()
        graphs.append((y.grad_fn.name(), y.grad_fn.next_functions[0][0].name(), y.requires_grad))
        return y

    found = first(function, 1.3, witness="reverse")
    assert set(graphs) == {("AddBackward0", "ExpBackward0", True)}
    assert found.opaque == ""


def test_what_was_saved_is_what_was_moved():
    """The exponential's backward uses its result: both move as one."""
    (both,) = spread(lambda x: x.exp(), 1.3, witness="reverse")
    assert both > 0


def test_zero_tensors_without_memory_are_let_be():
    found = first(lambda x: torch.nn.functional.gelu(x * torch.ones(2, dtype=x.dtype)),
                  [1.0, 2.0], output_shape=(2,), witness="second")  # fmt: skip
    assert np.isfinite(found.spread).all()


def test_random_code_is_not_measured_and_leaves_the_generator_alone():
    call = invocation(lambda x: x * torch.rand((), dtype=x.dtype), 1.3)
    repeated = Repeated.of(METHODS["value"].answer, call)
    before = torch.get_rng_state()
    (found,) = repeated.in_full().values()
    assert found.opaque == "code that says something else when it is asked again"
    assert torch.equal(before, torch.get_rng_state())


def test_code_with_a_memory_is_not_measured():
    calls = []

    def function(x):
        calls.append(0)
        return x * (2.0 if len(calls) % 7 == 1 else 1.5)

    assert "asked again" in first(function, 1.3).opaque


def test_an_operator_that_goes_another_way_where_it_is_looked_at_is_measured():
    """Under a mode the backward of a running product divides nowhere, and rounds otherwise."""
    question = {"witness": "second", "output_shape": (3,), "order": 2}
    found = asked(lambda x: 1 / x.cumprod(0), [0.3, 0.6, 1.9], **question)[1]
    assert {each.opaque for each in found.values()} == {""}


def test_another_way_that_is_off_by_more_than_rounding_is_not_measured():
    calls = []

    def function(x):
        calls.append(0)
        return x * (1.5 + 1e-13 * (len(calls) == 1))

    assert "asked again" in first(function, 1.3).opaque


def test_whole_numbers_and_conditions_do_not_move():
    def function(x):
        return x * (torch.arange(4).sum() == 6) * torch.tensor(3)

    assert first(function, 1.0).spread.item() < 1e-14


def test_measuring_leaves_no_trace():
    originals = [vars(torch.Tensor).get(name) for name in ("numpy", "tolist", "__dlpack__")]
    first(torch.exp, 1.3)
    assert [vars(torch.Tensor).get(name) for name in ("numpy", "tolist", "__dlpack__")] == originals


def test_two_measurements_say_the_same():
    function = lambda x: torch.softmax(x, 0).log()  # noqa: E731
    inputs = [1.0, 2.0, 4.0]
    assert spread(function, inputs, output_shape=(3,)) == spread(
        function, inputs, output_shape=(3,)
    )


# range


def test_what_overflows_is_told_for_its_own_point():
    found = first(lambda x: x / (1 + x * x), [1e200, 1.0], many=True)
    assert found.left == ("float64 overflows in mul at x = 1e+200, y = 1e+200", "")
    assert found.spread[0] == 0 < found.ranged[0]
    assert found.spread[1] == found.ranged[1]


@pytest.mark.parametrize(
    ("function", "at", "told"),
    [
        (torch.exp, 100.0, "float32 overflows in exp at x = 100"),
        (torch.exp, -200.0, "float32 underflows in exp at x = -200"),
        (lambda x: x * x, 1e-30, "float32 underflows in mul at x = 1e-30, y = 1e-30"),
        (lambda x: x.expand(2) @ x.expand(2), 1e-30, "float32 underflows in dot"),
        (lambda x: x.expand(2) @ torch.stack([x, -x]), 1.0, ""),  # that cancels
        (lambda x: x * 2e30, 1e30, "float32 overflows in mul at x = 1e+30"),
        (
            lambda x: x.double().square().float(),
            1e-30,
            "float32 underflows in _to_copy at x = 1e-60",
        ),
        (lambda x: (x.double() - x).float(), 1.0, ""),  # that is 0
        (lambda x: 1 / x, 0.0, ""),  # a pole
        (torch.log, 0.0, ""),
        (lambda x: x * 0, 1.0, ""),
        (torch.exp, -torch.inf, ""),
    ],
)
def test_how_the_range_is_left(function, at, told):
    assert first(function, at, dtype="float32").left == (told,)


def test_complex_numbers_move_by_ulps_of_the_larger_part():
    found = first(lambda z: z * z, [1 + 1e-9j], output_shape=(1,), dtype="complex128",
                  outputs=(Port("", (1,), "complex"),))  # fmt: skip
    (number,) = found.spread.reshape(-1)
    assert 1e-17 < number.imag < 1e-15
    assert 1e-17 < number.real < 1e-15


def test_the_modulus_of_a_complex_number_rounds_and_that_of_a_real_one_does_not():
    assert spread(torch.abs, -1.3) == [0.0]
    assert spread(torch.abs, 1 - 2j, dtype="complex128")[0] > 0
    outputs = (Port("", (), "complex"),)
    assert abs(spread(torch.sgn, 1 - 2j, dtype="complex128", outputs=outputs)[0]) > 0


def test_what_is_coarser_than_the_dtype_under_test_does_not_move():
    assert spread(lambda x: (x.float() * 1.1).double(), 1.3) == [0.0]
    assert spread(lambda x: (x.double() * 1.1).float(), 1.3, dtype="float32") != [0.0]


def calls_made(labels):
    """How often the function is called when the answers of these labels are asked for again."""
    made = []

    def function(x):
        made.append(x)
        return x.exp() * x

    call = invocation(function, 1.3, order=2)
    ask = METHODS["second"].answer
    answers = {key: said for key, said in keyed(ask(call)) if key is not None}
    found = [key for key in answers if key[0] in labels]
    assert len(found) == len(labels)
    repeated = Repeated(ask, call)
    repeated.answers.update(answers)
    made.clear()
    repeated.ask_until(found, lambda _key, _rounding: False)
    return len(made), [repeated.rounding(key).spread.max() > 0 for key in found]


def test_only_the_calls_in_question_are_made_again():
    first, last = "reverse over reverse", "forward over forward"
    (one, moved), (other, moved_too), (both, _) = map(calls_made, ([first], [last], [first, last]))
    assert one + other == both
    assert moved == moved_too == [True]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.select_copy(x, 0, 1),
        lambda x: x[None].to_sparse_csr().to_dense(),
        lambda x: x.sparse_mask(torch.tensor([1.0, 0.0, 2.0]).to_sparse()).to_dense(),
        lambda x: torch.nn.functional.hardshrink(x, 0.5),
        lambda x: torch.nn.functional.softshrink(x, 0.5),
        lambda x: torch.nn.functional.adaptive_max_pool2d(x[None, :, None], 1),
        lambda x: torch.nn.functional.pad(x[None, :], (1, 1), "replicate"),
        lambda x: torch.nn.functional.avg_pool3d(x.reshape(1, 3, 1, 1), (3, 1, 1)),
        lambda x: torch.ops.aten.slow_conv_dilated2d(
            x.reshape(1, 1, 1, 3), x.reshape(1, 1, 1, 3), [1, 3]
        ),
    ],
)
def test_gradients_of_what_copies_chooses_or_adds_up_can_be_looked_into(function):
    def total(x):
        return function(x).sum()

    _, found = asked(total, [1.0, 2.0, 0.25], witness="reverse")
    assert {each.opaque for each in found.values()} == {""}


def test_what_is_known_of_an_answer_whose_moves_lie_far_apart_is_not_asked_again():
    made = []

    def cancelling(x):
        made.append(x)
        return (x + 1e16) - 1e16

    call = invocation(cancelling, 1.3)
    repeated = Repeated.of(METHODS["value"].answer, call)
    (key,) = repeated.in_full()
    known = len(made)
    repeated.left(key)
    repeated.moved(key)
    assert len(made) == known


@pytest.mark.parametrize("clause", ["for strided inputs", "on the second backward"])
def test_a_clause_that_is_asked_for_again_answers_though_it_gives_the_bits_of_the_first(clause):
    call = invocation(lambda x: x * x.exp(), [1.3, 2.0], output_shape=(2,), again={clause})
    assert clause in {said.label for said in METHODS["contract"].answer(call)}
    everything = METHODS["contract"].answer(replace(call, again=frozenset()))
    assert clause not in {said.label for said in everything}


IN_ONE_BINADE = [1032.0 + 8 * k for k in range(64)]


def moved_means(subtracted):
    """By how many ulps the difference of 64 bfloat16 numbers in one binade moves in the mean."""
    call = invocation(lambda x, y: x - y, IN_ONE_BINADE, subtracted, dtype="bfloat16",
                      outputs=(Port("", (64,)),))  # fmt: skip
    repeated = Repeated.of(METHODS["value"].answer, call)
    (key, answer), *_ = repeated.answers.items()
    return ((repeated.moved(key) - answer.numbers) / 8).mean(axis=-1).ravel().tolist()


def test_what_a_number_loses_beside_many_of_one_grid_is_the_same_for_all():
    """1032 - 3 and 1040 - 3 round by one error: both are multiples of 8, as their differences."""
    assert sorted(moved_means([3.0])) == [-1, -1, -1, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("subtracted", [[3.0] * 64, [8.0]])
def test_numbers_of_their_own_and_exact_differences_move_one_by_one(subtracted):
    assert max(map(abs, moved_means(subtracted))) < 0.5


def test_two_operations_that_cancel_in_all_patterns_but_for_little_are_asked_for_in_more():
    """In one of 180 numbers they do, and what is left is the rounding of a small difference."""
    points = (1e-6 * np.arange(1, 2049)).tolist()
    moved = spread(lambda x: 2 * (x + 1) - 2, points, many=True)
    assert min(moved) >= 2 * ULP


def test_what_counts_in_all_patterns_is_not_widened_by_more():
    assert spread(lambda x: x + 1, (1e-4 * np.arange(1, 65)).tolist(), many=True) == [2 * ULP] * 64

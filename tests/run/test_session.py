"""A check made ready: its points, its calls, and the names of its numbers."""

import numpy as np
import pytest
import torch
from culprits import PLANE, VECTOR, case_of, check_of

from gradcheck.answer import Ruling, RunOptions
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.points.generate import single
from gradcheck.run.entry_text import index_text
from gradcheck.run.joint_query import NO_PROMISES
from gradcheck.run.observation import Entry, observe
from gradcheck.run.ruling import rule
from gradcheck.run.session import session_of, stable_seed
from gradcheck.run.stated_values import promised

EFFORT = RunOptions(points=8)


def session(declaration, witness="reverse", function=None):
    return session_of(check_of(case_of(declaration, function), witness))


def names(declaration, witness, seed=PLAIN, **at):
    """What the numbers of a witness's first answer are called."""
    points = {name: np.array([value]) for name, value in at.items()}
    observation = observe(session(declaration, witness), points, seed)
    first = observation.judged[0]
    return [index_text(observation, Entry(first, 0, k)) for k in range(first.got.shape[1])]


def test_the_seed_is_the_same_on_every_machine():
    assert stable_seed("softmax", "d=0", 7) == 1835448914


def test_what_acts_on_each_point_takes_all_points_in_one_call():
    plane = session(PLANE.declaration)
    (batch,) = plane.planned(EFFORT)
    ((invocation, numbers),) = plane.invocations(batch.points, seed=3, thorough=False)
    assert (invocation.batched, invocation.count, invocation.seed) == (True, 8, 3)
    assert numbers == list(range(8))


def test_what_mixes_points_takes_them_one_by_one_each_with_a_seed_of_its_own():
    mixing = session(
        "{formula: x, inputs: {x: real}}", function=lambda x: x + 0 * x.sum() - x.mean()
    )
    assert not mixing.batched
    invocations = list(mixing.invocations({"x": np.arange(3.0)}, seed=3, thorough=True))
    assert [
        (invocation.seed, invocation.batched, numbers) for invocation, numbers in invocations
    ] == [
        (3, False, [0]),
        (4, False, [1]),
        (5, False, [2]),
    ]


def test_vmap_takes_what_takes_one_point_at_a_time_but_for_the_first():
    vector = session("{formula: x, inputs: {x: {shape: [3]}}, torch: x}", "functional")
    points = {"x": np.arange(12.0).reshape(4, 3)}
    invocations = vector.invocations(points, seed=3, thorough=False)
    assert [(each.seed, each.mapped, numbers) for each, numbers in invocations] == [
        (3, False, [0]),
        (4, True, [1, 2, 3]),
    ]


def test_vmap_takes_no_points_of_a_users_code():
    vector = session(VECTOR.declaration, "functional", lambda x: x.sin() + 2)
    points = {"x": np.arange(6.0).reshape(2, 3)}
    invocations = vector.invocations(points, seed=3, thorough=False)
    assert [numbers for _, numbers in invocations] == [[0], [1]]


def test_a_vector_is_not_a_batch():
    assert not session(VECTOR.declaration).batched


def test_finite_differences_go_point_by_point_and_bring_their_settings():
    plane = session(PLANE.declaration, "gradcheck")
    points = {"x": np.array([1.0, 1e30]), "y": np.array([0.5, 0.5])}
    benign, far = (invocation for invocation, _ in plane.invocations(points, seed=0, thorough=True))
    assert (benign.first is not None, far.first) == (True, None)
    assert (benign.batched, benign.count) == (False, 1)


def test_differences_that_leave_the_domain_do_not_testify():
    inside = session("{formula: sin(x), inputs: {x: '[0, 1]'}}", "gradcheck")
    points = {"x": np.array([0.5, 1.0, 0.0, 1e-9])}
    settings = [
        invocation.first for invocation, _ in inside.invocations(points, seed=0, thorough=True)
    ]
    assert [each is None for each in settings] == [False, True, True, True]


def test_cases_of_one_formula_keep_points_of_their_own():
    (one,) = session("{formula: 1/x, inputs: {x: '(1, 2)'}}").planned(EFFORT)
    (other,) = session("{formula: 1/x, inputs: {x: '(-3, -2)'}}").planned(EFFORT)
    assert one.count == other.count == EFFORT.points
    assert min(one.points["x"]) > 0 > max(other.points["x"])


def test_every_witness_of_a_case_sees_the_same_points():
    case = case_of(PLANE.declaration)
    (one,), (other,) = (
        session_of(check_of(case, witness)).planned(EFFORT) for witness in ("value", "second")
    )
    assert one.count == EFFORT.points
    assert one.points["x"].tobytes() == other.points["x"].tobytes()


def test_a_point_is_a_row_of_all_input_entries():
    two = session("{formula: sum(x) + y, inputs: {x: {shape: [2]}, y: real}}")
    points = {"x": np.array([[1.0, 2.0], [3.0, 4.0]]), "y": np.array([5.0, 6.0])}
    assert two.rows(points).tolist() == [[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]]
    assert two.rows(single(points, 1)).tolist() == [[3.0, 4.0, 6.0]]


def test_every_number_of_a_batch_is_judged_at_its_own_point():
    plane = session(PLANE.declaration)
    points = {"x": np.array([1.0, 2.0]), "y": np.array([3.0, 0.5])}
    found = observe(plane, points, seed=0)
    assert len(found.entries) == 8  # by grad and by backward, at two points, in two inputs
    assert {entry.point for entry in found.entries} == {0, 1}
    assert {entry.judgement.ruling.value for entry in found.entries} == {"agree"}


# what a number is called


def test_the_entries_of_derivatives_have_names():
    table = "{formula: '[x[0, 2] * y, y]', inputs: {x: {shape: [2, 3]}, y: real}}"
    at = {"x": np.ones((2, 3)), "y": 1.0}
    assert names(table, "value", **at) == ["y[0]", "y[1]"]
    forward = names(table, "forward", **at)  # along all inputs at once
    assert forward == ["∂y[0]/∂x[0, 2] + ∂y[0]/∂y", "∂y[1]/∂y"]
    product = "{formula: x*y**2, inputs: {x: real, y: real}}"
    assert names(product, "reverse", x=2.0, y=3.0) == ["∂y/∂x", "∂y/∂y"]
    assert names(product, "second", x=2.0, y=3.0) == ["∂²y/∂x∂x", "∂²y/∂x∂y"]


def test_a_weighted_derivative_is_named_with_its_weight():
    (name,) = names("{formula: x**2, inputs: {x: real}}", "reverse", seed=7, x=2.0)
    assert name.endswith("·∂y/∂x")
    assert float(name.removesuffix("·∂y/∂x")) not in (0.0, 1.0)


def test_a_long_sum_is_told_by_its_beginning():
    nine = "{formula: 'sum(x)**2', inputs: {x: {shape: [9]}}}"
    (name,) = names(nine, "forward", x=np.ones(9))
    assert name == "∂y/∂x[0] + ∂y/∂x[1] + ... (9 terms)"


# what a case states


def promises(declaration):
    case = case_of(declaration)
    return promised(case.points[0], case.variants[0])


def floats(answers):
    return {k: float(ball) for k, ball in answers.items()}


def test_a_convention_is_stated_of_the_entries_of_its_inputs():
    found = promises(
        "{formula: '[abs(x), y]', inputs: {x: real, y: real}, points: [{at: {x: 0, y: 1},"
        " convention: {x: [0, 0]}, because: documented}]}"
    )
    assert floats(found.conventions) == {0: 0.0, 2: 0.0}
    assert found.written == {}


def test_written_answers_are_stated_by_order_and_position():
    found = promises(
        "{formula: x*y**2, inputs: {x: real, y: real}, points: [{at: {x: 3, y: 5}, value: 75,"
        " gradient: {y: 30}, hessian: {x: {y: 10}, y: {y: 6}}}]}"
    )
    assert {order: floats(answers) for order, answers in found.written.items()} == {
        0: {0: 75.0},
        1: {1: 30.0},
        2: {1: 10.0, 3: 6.0},
    }
    assert found.conventions == {}


def test_a_point_without_answers_promises_nothing():
    found = promises("{formula: abs(x), inputs: {x: real}, points: [{at: {x: 1}}]}")
    assert found == NO_PROMISES


IN_A_WINDOW = [
    pytest.param("{formula: x**2, inputs: {x: real}, order: 1}", id="number"),
    pytest.param("{formula: sum(x**2), inputs: {x: {shape: [3]}}, order: 1}", id="array"),
]


def squared(wrong):
    """A square whose gradient is ``wrong`` times the right one in a narrow window."""

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            context.save_for_backward(x)
            return (x * x).sum() if x.dim() else x * x

        @staticmethod
        def backward(context, cotangent):
            (x,) = context.saved_tensors
            inside = (x > 31.25) & (x < 31.375)
            return cotangent * torch.where(inside, wrong * 2 * x, 2 * x)

    return Square.apply


@pytest.mark.parametrize("declaration", IN_A_WINDOW)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("wrong", "ruling"), [(1.01, Ruling.DISAGREE), (1.0, Ruling.AGREE)])
def test_points_are_aimed_at_the_comparisons_of_a_users_code(declaration, seed, wrong, ruling):
    check = check_of(case_of(declaration, squared(wrong)), "reverse")
    outcome = rule(check, RunOptions(seed=seed))
    assert outcome.verdict is ruling
    assert outcome.visited["aimed"] >= 4  # where it goes wrong, points `found` take their share


def test_no_point_is_aimed_at_what_is_made_of_pytorchs_functions_alone():
    declaration = "{formula: 'max(x, 3.5)', inputs: {x: real}, torch: 'torch.clamp(x, min=3.5)'}"
    assert "aimed" not in rule(check_of(case_of(declaration), "reverse"), RunOptions()).visited

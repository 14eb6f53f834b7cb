"""Everything that the format names is taken, and means what it says."""

import pytest

from gradcheck.catalog.answers import answers, contradicted
from gradcheck.catalog.load import load_text
from gradcheck.query import Port


def case(text):
    (found,) = load_text(text, "f.yaml")
    return found


def excluded(text):
    return [problem.found for problem in contradicted(load_text(text, "f.yaml"))]


COMPLEX = "c: {formula: abs(z)**2 + re(I*w)*arg(conj(z)), inputs: {z: complex, w: complex}}"


def test_a_complex_input_enters_by_a_complex_port_and_runs_in_complex_dtypes():
    found = case(COMPLEX)
    assert found.variants[0].formula.ports == (Port("z", (), "complex"), Port("w", (), "complex"))
    assert found.variants[0].formula.judged == (Port("", (), "real"),)
    assert found.dtypes == ("complex128", "complex64")


def test_half_precision_and_the_third_order_are_taken():
    found = case("c: {formula: x**4, inputs: {x: real}, order: 3, dtypes: [float16, bfloat16]}")
    assert (found.order, found.dtypes) == (3, ("float16", "bfloat16"))


def test_outputs_keep_their_order_and_one_may_be_null():
    found = case("c: {formula: {out: exp(x), aux: null, lse: '[x, 2*x]'}, inputs: {x: real}}")
    formula = found.variants[0].formula
    assert [port.name for port in formula.outputs] == ["out", "aux", "lse"]
    assert formula.judged == (Port("out", ()), Port("lse", (2,)))
    assert list(found.formula) == ["out", "aux", "lse"]
    assert found.formula["aux"] is None


def test_each_variant_has_the_shapes_and_the_domains_that_its_sweep_gives():
    found = case(
        "c: {formula: sum(x), inputs: {x: {shape: [n, 2*n], domain: '(0, n)'}}, sweep: {n: [1, 3]}}"
    )
    assert [variant.inputs[0].shape for variant in found.variants] == [(1, 2), (3, 6)]
    assert [variant.inputs[0].domain.contains(2.0) for variant in found.variants] == [False, True]
    assert found.inputs == found.variants[0].inputs


def test_a_stopped_value_has_no_derivative():
    points = "points: [{at: {x: 1.3}, value: 1, gradient: {x: %s}}]"
    text = "c: {formula: x + stop(round(x) - x), inputs: {x: real}, " + points + "}"
    assert excluded(text % 1) == []
    assert excluded(text % 0) == ["the gradient in x 0"]


@pytest.mark.parametrize(
    ("formula", "known", "wrong"),
    [
        # d|z|²/dx + i d|z|²/dy = 2z, d arg(z) = (-y + ix)/|z|² : PyTorch's convention
        ("abs(z)**2", "value: 25, gradient: {z: 6 + 8*I}", "gradient: {z: 6 - 8*I}"),
        ("arg(z)", "gradient: {z: (-4 + 3*I)/25}", "gradient: {z: (-4 - 3*I)/25}"),
        ("re(z)*im(z)", "value: 12, gradient: {z: 4 + 3*I}", "gradient: {z: 3 + 4*I}"),
        ("z**2", "value: -7 + 24*I", "value: -7 - 24*I"),
        ("'[re(z), im(z)]'", "jacobian: {z: [1, I]}", "jacobian: {z: [1, -I]}"),
    ],
)
def test_answers_about_complex_inputs_are_held_against_the_formula(formula, known, wrong):
    text = (
        f"c: {{formula: {formula}, inputs: {{z: complex}}, points: [{{at: {{z: 3 + 4*I}}, %s}}]}}"
    )
    assert excluded(text % known) == []
    assert len(excluded(text % wrong)) == 1


def test_a_complex_result_of_real_inputs_has_a_complex_jacobian():
    text = (
        "c: {formula: exp(I*x), inputs: {x: {shape: [2]}}, points: [{at: {x: [0, pi/2]},"
        " value: [1, I], jacobian: {x: [[I, 0], [0, %s]]}}]}"
    )
    assert excluded(text % "-1") == []
    assert excluded(text % "1") == ["the jacobian in x 1.0000000000000000"]


SEVERAL = (
    "c: {formula: {out: '[u*v, u]', lse: log(v)}, inputs: {u: real, v: positive}, points: "
    "[{at: {u: 2, v: 3}, value: {out: [6, 2], lse: log(3)}, "
    "jacobian: {out: {u: [3, 1], v: [2, %s]}, lse: {v: %s}}}]}"
)


def test_answers_are_given_output_by_output():
    assert excluded(SEVERAL % (0, "1/3")) == []
    assert excluded(SEVERAL % (1, "1/3")) == ["the jacobian of out in v 1.0000000000000000"]
    assert excluded(SEVERAL % (0, "1/2")) == ["the jacobian of lse in v 0.50000000000000000"]


def test_positions_of_answers_count_through_all_judged_outputs_and_all_inputs():
    found = case(SEVERAL % (0, "1/3"))
    said = {
        str(each): each.positions for each in answers(found.points[0], found.variants[0].formula)
    }
    assert said == {
        "value of out": (0, 1),
        "value of lse": (2,),
        "jacobian of out in u": (0, 2),
        "jacobian of out in v": (1, 3),
        "jacobian of lse in v": (5,),
    }


HESSIAN = (
    "c: {formula: sum(x)*y**2, inputs: {x: {shape: [2]}, y: real}, points: [{at: {x: [1, 2], y: 3},"
    " gradient: {x: [9, 9], y: 18}, hessian: {x: {y: [6, %s]}, y: {x: [6, 6], y: 6}}}]}"
)


def test_a_hessian_is_held_against_the_formula_entry_by_entry():
    assert excluded(HESSIAN % 6) == []
    assert excluded(HESSIAN % 5) == ["the hessian in x, y 5.0000000000000000"]


def test_of_several_points_each_wrong_one_is_named_once_at_its_place():
    text = (
        "c: {formula: x**2, inputs: {x: real}, points: [{at: {x: 1}, value: 1}, "
        "{at: {x: 2}, value: 5, gradient: {x: 5}}, {at: {x: 3}, gradient: {x: 7}}]}"
    )
    problems = list(contradicted(load_text(text, "f.yaml")))
    assert [str(problem.where) for problem in problems] == ["f.yaml:1:72", "f.yaml:1:114"]
    assert problems[0].expected == "the formula's, 4.0000000000000000"

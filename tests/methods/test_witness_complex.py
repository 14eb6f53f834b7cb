"""Complex numbers: every witness speaks PyTorch's convention, with directions of both parts."""

import cmath

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from invocations import FINE, batch, claims, invocation, said

from gradcheck.answer import Ruling
from gradcheck.methods import forward, gradcheck, reverse, second, third, value
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import input_ports
from gradcheck.query import Port

Z, X = 0.5 - 1.25j, 0.75
COMPLEX, REAL = (Port("", (), "complex"),), (Port("", ()),)


def point(function, *inputs, outputs=COMPLEX, dtype="complex128", **options):
    return invocation(function, *inputs, outputs=outputs, dtype=dtype, **options)


def sides(claim):
    """The cotangent and the tangents that a claim is about, each as plain numbers."""
    query = claim.query
    given_ = (query.cotangent, *query.tangents)
    return [None if side is None else side[0].tolist() for side in given_]


def far(answers, cotangent_form=None, tangent_form=None):
    """How far the numbers are from a derivative, given by hand for a cotangent or for tangents."""
    found = []
    for claim in claims(answers):
        cotangent, *tangents = sides(claim)
        known = [t for t in tangents if t is not None]
        expected = tangent_form(*known) if cotangent is None else cotangent_form(cotangent, *known)
        assert claim.numbers.shape == (1, len(expected))
        found.append(np.abs(claim.numbers[0] - np.array(expected)).max())
    return max(found)


# The gradient of a real L by z = a + bi is dL/da + i dL/db, and a cotangent c of y stands for
# L = Re(conj(c) y). For y = z^2 and c = 1: L = a^2 - b^2, so 2a - 2bi = conj(2z).


def test_the_gradient_of_a_square_is_the_conjugate_derivative_times_the_cotangent():
    answers = said(reverse.answer(point(lambda z: z * z, Z)))
    assert len(answers) == (1 + 2) + 1  # dense, along 1 and along i; and by backward
    assert far(answers, lambda c: [(2 * Z).conjugate() * c[0]]) < 1e-15


def test_a_cotangent_of_one_gives_the_gradient_of_the_real_part():
    plain = said(reverse.answer(point(lambda z: z * z, Z, seed=directions.PLAIN)))
    one, along_one, along_i, _ = plain
    assert sides(one)[0] == sides(along_one)[0] == [1]
    assert sides(along_i)[0] == [1j]
    assert one.numbers.tolist() == [[2 * Z.real - 2j * Z.imag]]
    assert along_i.numbers.tolist() == [[2 * Z.imag + 2j * Z.real]]  # of 2ab


def test_the_tangent_of_a_square_is_not_conjugated():
    answers = said(forward.answer(point(lambda z: z * z, Z)))
    assert len(answers) == 1 + 2
    assert far(answers, tangent_form=lambda t: [2 * Z * t[0]]) < 1e-15


def test_what_is_not_holomorphic_is_differentiated_by_both_coordinates():
    backward = said(reverse.answer(point(lambda z: z.conj() * z.real, Z)))
    # y = a^2 - abi: for c = p + qi, L = p a^2 - q a b
    gradient = lambda p, q: [2 * p * Z.real - q * Z.imag - 1j * q * Z.real]  # noqa: E731
    assert far(backward, lambda c: gradient(c[0].real, c[0].imag)) < 1e-15
    push = said(forward.answer(point(lambda z: z.conj() * z.real, Z)))
    slope = lambda t: [t.conjugate() * Z.real + Z.conjugate() * t.real]  # noqa: E731
    assert far(push, tangent_form=lambda t: slope(t[0])) < 1e-15


def test_a_complex_input_of_a_real_output_has_a_complex_gradient():
    answers = said(reverse.answer(point(lambda z: (z * z.conj()).real, Z, outputs=REAL)))
    assert far(answers, lambda c: [2 * Z * c[0]]) < 1e-15
    assert all(np.isrealobj(claim.query.cotangent) for claim in answers)
    push = said(forward.answer(point(lambda z: (z * z.conj()).real, Z, outputs=REAL)))
    assert far(push, tangent_form=lambda t: [2 * (Z.conjugate() * t[0]).real]) < 1e-15
    assert all(np.isrealobj(claim.numbers) for claim in push)


def test_a_real_input_of_a_complex_output_has_a_real_gradient():
    turn = lambda x: torch.exp(1j * x)  # noqa: E731
    answers = said(reverse.answer(point(turn, X)))
    gradient = lambda c: [((1j * cmath.exp(1j * X)).conjugate() * c).real]  # noqa: E731
    assert far(answers, lambda c: gradient(c[0])) < 1e-15
    assert all(np.isrealobj(claim.numbers) for claim in answers)
    push = said(forward.answer(point(turn, X)))
    assert far(push, tangent_form=lambda t: [1j * cmath.exp(1j * X) * t[0]]) < 1e-15


def test_real_and_complex_inputs_stand_side_by_side():
    answers = said(reverse.answer(point(lambda z, x: z * x, Z, X)))
    gradient = lambda c: [X * c, (Z.conjugate() * c).real]  # noqa: E731
    assert far(answers, lambda c: gradient(c[0])) < 1e-15
    push = said(forward.answer(point(lambda z, x: z * x, Z, X)))
    assert len(push) == 1 + 2 + 1
    assert far(push, tangent_form=lambda t: [t[0] * X + Z * t[1].real]) < 1e-15
    assert {side[1].imag for claim in push for side in sides(claim)[1:]} == {0}


def test_a_complex_output_of_real_dtypes_is_complex():
    (claim,) = said(value.answer(point(lambda x: torch.exp(1j * x), X, dtype="float32")))
    assert claim.numbers.dtype == np.complex128
    assert abs(claim.numbers[0, 0] - cmath.exp(1j * X)) < 1e-6


def test_second_derivatives_of_a_cube_by_all_compositions():
    answers = said(second.answer(point(lambda z: z**3, Z)))
    assert len(answers) == 2 + 2 + 2 + 3
    assert (
        far(
            answers,
            lambda c, t: [(6 * Z * t[0]).conjugate() * c[0]],
            lambda t, u: [6 * Z * t[0] * u[0]],
        )
        < 1e-14
    )


def test_second_derivatives_of_what_is_not_holomorphic():
    answers = said(second.answer(point(lambda z: (z * z.conj()).real ** 2, Z, outputs=REAL)))
    # L = |z|^4, its gradient 4|z|^2 z
    inner = lambda a, b: (a.conjugate() * b).real  # noqa: E731
    row = lambda c, t: [c * (4 * inner(Z, Z) * t + 8 * inner(Z, t) * Z)]  # noqa: E731
    both = lambda t, u: [4 * inner(Z, Z) * inner(t, u) + 8 * inner(Z, t) * inner(Z, u)]  # noqa: E731
    assert far(answers, lambda c, t: row(c[0], t[0]), lambda t, u: both(t[0], u[0])) < 1e-13


def test_third_derivatives_of_a_fourth_power():
    answers = said(third.answer(point(lambda z: z * z * z * z, Z)))
    assert len(answers) == 3 * 3
    assert far(answers, lambda c, t, u: [(24 * Z * t[0] * u[0]).conjugate() * c[0]]) < 1e-13


def test_a_batch_of_complex_points_is_told_apart():
    z = np.array([1 + 2j, -0.5j, 3.0])
    for claim in reverse.answer(batch(lambda z: z * z, z, outputs=COMPLEX, dtype="complex128")):
        expected = (2 * z).conj()[:, None] * claim.query.cotangent
        assert np.abs(claim.numbers - expected).max() == 0


class Square(torch.autograd.Function):
    """Right."""

    @staticmethod
    def forward(context, z):
        context.save_for_backward(z)
        return z * z

    @staticmethod
    def slope(z):
        return (2 * z).conj()

    @classmethod
    def backward(cls, context, cotangent):
        return cls.slope(context.saved_tensors[0]) * cotangent


class ConjugateForgotten(Square):
    @staticmethod
    def slope(z):
        return 2 * z


class WrongInTheImaginaryPart(Square):
    @classmethod
    def backward(cls, context, cotangent):
        gradient = Square.slope(context.saved_tensors[0]) * cotangent
        return torch.complex(gradient.real, 2 * gradient.imag)


class RealPartOnly(Square):
    @classmethod
    def backward(cls, context, cotangent):
        return (Square.slope(context.saved_tensors[0]) * cotangent).real + 0j


CULPRITS = [ConjugateForgotten, WrongInTheImaginaryPart, RealPartOnly]


def gradient_of_square(c):
    return [(2 * Z).conjugate() * c[0]]


@pytest.mark.parametrize("culprit", CULPRITS)
def test_a_backward_that_is_wrong_of_complex_numbers_gives_other_numbers(culprit):
    answers = list(reverse.answer(point(culprit.apply, Z)))
    assert far(answers, gradient_of_square) > 0.1


def test_their_twin_gives_the_right_ones():
    assert far(said(reverse.answer(point(Square.apply, Z))), gradient_of_square) < 1e-15


@pytest.mark.parametrize(
    ("function", "ruling"),
    [*((each.apply, Ruling.DISAGREE) for each in CULPRITS), (Square.apply, Ruling.AGREE)],
    ids=lambda each: getattr(getattr(each, "__self__", each), "__name__", str(each)),
)
def test_finite_differences_step_along_both_coordinates(function, ruling):
    (said_,) = gradcheck.answer(point(function, Z, first=FINE, order=1))
    assert said_.ruling is ruling


def test_finite_differences_count_real_coordinates():
    (held,) = gradcheck.answer(point(lambda z, x: z * x, Z, X, first=FINE, order=1))
    assert held.entries == 2 * (2 + 1)


@given(st.integers(0, 2**63), st.integers(0, 2))
def test_complex_directions_have_two_dyadic_parts_and_real_ports_one(seed, stream):
    points = point(None, [1 + 1j, 2.0], 3.0, seed=seed)
    found = directions.dense(points, input_ports(points), stream)
    assert found[0, 2].imag == 0
    parts = np.abs([*found[0].real, *found[0, :2].imag])
    assert ((parts * 8) % 1 == 0).all()
    assert ((parts >= 0.5) & (parts <= 2)).all()


def test_the_real_parts_are_those_of_a_real_direction():
    is_complex = np.array([True, False, True])
    found = directions.drawn(3, directions.COTANGENT, (2, 3), is_complex)
    assert (found.real == directions.drawn(3, directions.COTANGENT, (2, 3))).all()
    assert (found.imag[:, 1] == 0).all()
    assert not (found.imag == found.real).all()


def test_a_complex_entry_has_a_unit_along_each_coordinate():
    points = point(None, 1 + 1j, 3.0)
    ports = input_ports(points)
    along_one, along_i, beside = directions.units(directions.dense(points, ports, 0), ports)
    assert [(z.real != 0, z.imag != 0) for z in along_one[0]] == [(True, False), (False, False)]
    assert [(z.real != 0, z.imag != 0) for z in along_i[0]] == [(False, True), (False, False)]
    assert [(z.real != 0, z.imag != 0) for z in beside[0]] == [(False, False), (True, False)]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda z: z.real, "the result has dtype torch.float64, expected torch.complex128"),
        (
            lambda z: z.to(torch.complex64),
            "the result has dtype torch.complex64, expected torch.complex128",
        ),
    ],
)
def test_a_result_of_the_other_kind_is_misconduct(function, reason):
    answers = said(value.answer(point(function, Z)))
    assert {(each.ruling, each.reason) for each in answers} == {(Ruling.DISAGREE, reason)}

"""Declared points are rounded to the dtype, and kept to the dtypes they are declared for."""

import numpy as np
from input_samples import BRAIN, COMPLEX_SINGLE, DOUBLE, HALF, HERE, SINGLE, case, variable

from gradcheck.catalog.case import Point
from gradcheck.catalog.load import load
from gradcheck.language.parse import parse
from gradcheck.points.fixed import fixed_points

INPUTS = (variable("x"), variable("v", shape=(2,)))


def point(x, v, dtypes=()):
    return Point(HERE, {"v": parse(v), "x": parse(x)}, {}, "", dtypes)


def fixed(dtype, *points):
    chosen = case("x + v", INPUTS, points=points)
    return fixed_points(chosen, chosen.variants[0], dtype)


def test_exact_constants_are_rounded_to_the_dtype():
    (single,), (double,) = (fixed(dtype, point("1/3", "[pi, -2]")) for dtype in (SINGLE, DOUBLE))
    assert double.at["x"] == 1 / 3
    assert single.at["x"] == np.float64(np.float32(1 / 3))
    assert double.at["v"].tolist() == [np.pi, -2.0]
    assert single.at["v"].shape == (2,)
    assert list(double.at) == ["x", "v"]


def test_a_point_for_other_dtypes_is_left_out():
    points = (point("1", "[1, 2]", ("float64",)), point("2", "[1, 2]"))
    assert [each.at["x"].item() for each in fixed(SINGLE, *points)] == [2.0]
    assert [each.at["x"].item() for each in fixed(DOUBLE, *points)] == [1.0, 2.0]


def test_a_point_may_be_for_half_precision_in_which_its_case_runs_on_request(tmp_path):
    file = tmp_path / "f.yaml"
    points = "[{at: {x: 1}}, {at: {x: 2}, dtypes: [bfloat16]}]"
    file.write_text(f"c: {{formula: x, inputs: {{x: real}}, points: {points}}}", "utf-8")
    (chosen,) = load(file)
    for dtype, known in ((DOUBLE, [1.0]), (BRAIN, [2.0]), (HALF, [])):
        found = fixed_points(chosen, chosen.variants[0], dtype)
        assert [each.at["x"].item() for each in found] == known


def test_complex_coordinates_are_rounded_part_by_part():
    inputs = (variable("z", "complex", (2,)), variable("x"))
    at = {"z": parse("[1/3 + pi*I, 2]"), "x": parse("1/3")}
    chosen = case("re(z[0])*x", inputs, points=(Point(HERE, at, {}, "", ()),))
    (found,) = fixed_points(chosen, chosen.variants[0], COMPLEX_SINGLE)
    third, turn = float(np.float32(1 / 3)), float(np.float32(np.pi))
    assert found.at["z"].tolist() == [complex(third, turn), 2]
    assert found.at["z"].dtype == np.complex128
    assert (found.at["x"].item(), found.at["x"].dtype) == (third, np.float64)


def test_half_precision_is_rounded_on_its_own_grid():
    # one third in binary is 0.0101...: 11 and 8 digits of it
    (half,), (brain,) = (fixed(dtype, point("1/3", "[65519, 1]")) for dtype in (HALF, BRAIN))
    assert (half.at["x"], brain.at["x"]) == (1365 / 4096, 171 / 512)
    assert half.at["v"][0] == 65504

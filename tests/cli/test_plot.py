"""`gradcheck plot`: what the picture of a case or a formula holds."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gradcheck.answer import Ruling
from gradcheck.explanation.curves import Course, survey
from gradcheck.explanation.request import Asker, Request, check_of

SVG = "{http://www.w3.org/2000/svg}"


def seen(subject, line=None, at=None, running="", **keys):
    request = Request(subject, Asker("test"), at or {}, keys, running=running)
    return survey(check_of(request, "", "cpu"), line or Course(points=41), request.at)


def test_the_picture_of_a_case_is_written(command, tmp_path):
    file = tmp_path / "out.svg"
    ended = command("plot", "square_times_three", "-o", file)
    assert (ended.code, ended.out) == (0, f"wrote {file}\n")
    root = ET.parse(file).getroot()
    assert root.find(f"{SVG}title").text == "square_times_three: 3 * x**2"


def test_the_same_plot_twice_has_the_same_bytes(command):
    first = command("plot", "exp(x)", "-o", "-", "--points", "20")
    assert first == command("plot", "exp(x)", "-o", "-", "--points", "20")
    assert ET.fromstring(first.out).tag == f"{SVG}svg"


def test_value_and_derivative_are_the_true_ones():
    picture = seen("3*x**2", Course(start="0", end="3", points=4))
    assert picture.x.tolist() == [0, 1, 2, 3]
    assert [curve.label for curve in picture.curves] == ["y", "∂y/∂x"]
    assert picture.curves[0].numbers.tolist() == [0, 3, 12, 27]
    assert picture.curves[1].numbers.tolist() == [0, 6, 12, 18]
    assert picture.ulps.tolist() == [0, 0, 0, 0]
    assert set(picture.rulings) == {Ruling.AGREE}


def test_a_wrong_gradient_is_seen():
    picture = seen("sin(x)", torch=["torch.cos(x)"])
    assert Ruling.DISAGREE in picture.rulings


def test_a_nan_of_pytorch_is_an_infinite_error():
    picture = seen("sin(x)/x", Course(start="-1", end="1", points=3))
    assert np.isposinf(picture.ulps[1])
    assert picture.rulings[1] is Ruling.DISAGREE


@pytest.mark.parametrize("formula", ["log(x)", "1/x + sqrt(x)"])
def test_where_nothing_is_defined_there_is_a_gap(formula):
    picture = seen(formula, Course(start="-1", end="1", points=21))
    assert np.isnan(picture.curves[0].numbers[:11]).all()
    assert np.isfinite(picture.curves[0].numbers[11:]).all()


def test_outside_of_the_domain_there_is_a_gap():
    picture = seen("x**2", Course("x", "-1", "1", 21), inputs={"x": "positive"}, running="x")
    assert np.isnan(picture.curves[0].numbers[:11]).all()


def test_one_of_several_inputs_runs_and_the_others_are_fixed():
    picture = seen("u**3 + v**2 + 4*u*v", Course("v", "0", "2", 3), {"u": "3"})
    assert picture.variable == "v"
    assert picture.curves[1].label == "∂y/∂v"
    assert picture.curves[1].numbers.tolist() == [12, 14, 16]  # 2v + 4u
    assert "u = 3.0" in picture.subtitle


def test_one_entry_of_an_array_runs_and_one_output_is_drawn():
    line = Course("x[1]", "0", "2", 3, output=1)
    picture = seen("x**2", line, {"x": "[5, 7]"})
    assert [curve.label for curve in picture.curves] == ["y[1]", "∂y[1]/∂x[1]"]
    assert picture.curves[1].numbers.tolist() == [0, 2, 4]
    assert picture.ulps.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("domain", "ends"),
    [
        ("real", (-5, 5)),
        ("nonnegative", (0, 10)),
        ("[2, inf)", (2, 12)),
        ("(-inf, 3]", (-7, 3)),
        ("[-1, 1]", (-1, 1)),
        ("[-1000, 1000]", (-1000, 1000)),
    ],
)
def test_the_domain_says_what_is_shown(domain, ends):
    picture = seen("x**2", inputs={"x": domain}, running="x")
    assert (picture.x[0], picture.x[-1]) == ends


COMPLEX = {"inputs": {"z": "complex"}, "running": "z"}


@pytest.mark.parametrize(
    ("part", "label", "values", "slopes"),
    [
        # (1 + bi)² = 1 - b² + 2bi, and (a + 1i)² = a² - 1 + 2ai
        ("im z", "im z", ([1, 0, -3], [0, 2, 4]), ([0, -2, -4], [2, 2, 2])),
        ("z", "re z", ([-1, 0, 3], [0, 2, 4]), ([0, 2, 4], [2, 2, 2])),
    ],
)
def test_one_part_of_a_complex_number_runs_and_both_of_the_result_are_drawn(
    part, label, values, slopes
):
    picture = seen("z**2", Course(part, "0", "2", 3), {"z": "1 + I"}, **COMPLEX)
    names = ["re y", "im y", f"∂re y/∂{label}", f"∂im y/∂{label}"]
    assert [curve.label for curve in picture.curves] == names
    assert [curve.numbers.tolist() for curve in picture.curves] == [*values, *slopes]
    assert picture.variable == label
    assert "z = 1.0 + 1.0*I" in picture.subtitle
    assert set(picture.rulings) == {Ruling.AGREE}


def test_a_slope_that_is_wrong_in_the_imaginary_part_alone_is_seen():
    torch = ["torch.complex((z**2).real, (z**2).imag.detach())"]
    picture = seen("z**2", Course("z", "1", "2", 3), {"z": "1 + I"}, torch=torch, **COMPLEX)
    assert set(picture.rulings) == {Ruling.DISAGREE}


def test_a_complex_picture_is_written(command, tmp_path):
    file = tmp_path / "out.svg"
    ended = command("plot", "abs(z)**2", "--input", "im z=|z| < 2", "--at", "z=1", "-o", file)
    assert (ended.code, ended.err) == (0, "")
    assert "∂y/∂im z" in file.read_text(encoding="utf-8")


REFUSED = {
    ("--input", "z"): (
        "--input z: no such single number of an input\n"
        "  expected: one of u, v\n"
        "  fix:      name one number that runs; --at fixes the others\n"
    ),
    ("--entry", "3"): (
        "--entry 3: the function has 1 output entries\n"
        "  expected: a number from 0 to 0\n"
        "  fix:      leave it out for the first\n"
    ),
    ("--from", "3", "--to", "1"): (
        "--from 3 --to 1: an empty range\n  expected: --from below --to\n  fix:      swap them\n"
    ),
    ("--from", "abc"): (
        "--from=abc: unknown name 'abc'\n"
        "  expected: a number, a constant such as pi/2, or nested lists of them\n"
        "  fix:      define 'abc' or correct it\n"
    ),
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_cannot_be_drawn_is_refused_by_one_message(command, tmp_path, arguments):
    file = tmp_path / "out.svg"
    ended = command("plot", "partial_derivatives", "-o", file, *arguments)
    assert (ended.code, ended.out, ended.err) == (4, "", REFUSED[arguments])
    assert not file.exists()


def test_a_file_that_cannot_be_written_is_refused_before_the_work(command, tmp_path):
    ended = command("plot", "x**2", "-o", tmp_path / "nowhere" / "out.svg")
    assert ended.code == 4
    assert ended.err.endswith(
        ": its folder is not there\n"
        "  expected: a file in a folder that is there\n"
        "  fix:      write -o out.svg\n"
    )


def test_a_picture_is_not_written_under_the_name_of_another_format(command, tmp_path):
    ended = command("plot", "x**2", "-o", tmp_path / "out.png")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        f"-o {tmp_path}/out.png: the picture is an SVG, and .png another format\n"
        "  expected: a file whose name ends in .svg\n"
        f"  fix:      write -o {tmp_path}/out.svg\n"
    )
    assert not list(tmp_path.iterdir())


def test_the_names_of_cases_are_completed():
    from gradcheck.catalog.files import complete_case

    assert complete_case("square_times") == ["square_times_three"]
    assert complete_case("no_such_case") == []
    assert json.dumps(complete_case(""))  # all of them

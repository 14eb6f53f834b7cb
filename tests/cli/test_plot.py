"""`gradcheck plot`: what the picture of a case or a formula holds."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gradcheck.answer import Ruling
from gradcheck.explanation.curves import Course
from gradcheck.explanation.request import Asker, Request, check_of, checks_like
from gradcheck.explanation.surfaces import picture_of

SVG = "{http://www.w3.org/2000/svg}"


def seen(subject, line=None, at=None, running="", dtype="", **keys):
    request = Request(subject, Asker("test"), at or {}, keys, running=(running,))
    checks = checks_like(check_of(request, "", "cpu"), dtype, ["cpu"])
    return picture_of(checks, line or Course(points=41), request.at)


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
    ended = command("plot", "x**2", "-o", tmp_path / "out.gif")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        f"-o {tmp_path}/out.gif: pictures are not written as .gif\n"
        "  expected: a file whose name ends in .svg, .png or .pdf\n"
        f"  fix:      write -o {tmp_path}/out.svg\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_papers_get_their_formats(command, tmp_path, ending, begins):
    file = tmp_path / f"out.{ending}"
    arguments = ("--points", "9", "--order", "2", "--tangent", "x=1", "--dtype", "float64,float32")
    ended = command("plot", "sin(x)", "--torch", "torch.cos(x)", *arguments, "-o", file)
    assert (ended.code, ended.out) == (0, f"wrote {file}\n")
    assert file.read_bytes().startswith(begins)


def test_a_surface_is_written_for_papers(command, tmp_path):
    file = tmp_path / "out.png"
    both = ("--input", "u", "--input", "v", "--points", "4")
    assert command("plot", "u*v", *both, "-o", file).code == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_is_said_what_to_install(command, tmp_path, monkeypatch):
    monkeypatch.setattr("gradcheck.explanation.request.find_spec", lambda name: None)
    ended = command("plot", "x**2", "-o", tmp_path / "out.png")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        f"-o {tmp_path}/out.png: drawn by matplotlib, which is not installed\n"
        "  expected: the package matplotlib\n"
        "  fix:      run: pip install matplotlib, or draw an SVG, which needs no package\n"
    )
    assert command("plot", "x**2", "--points", "3", "-o", tmp_path / "out.svg").code == 0


def legend(picture):
    return {each.text for each in ET.fromstring(picture.svg()).iter(f"{SVG}text")}


def test_the_tutorials_picture_has_each_equation_in_its_legend():
    line = Course(start="-5", end="5", points=11, order=2, tangents=(("x", "3"),))
    picture = seen("3*x**2", line)
    assert [curve.label for curve in picture.curves] == ["y", "∂y/∂x", "∂²y/∂x∂x"]
    assert picture.curves[2].numbers.tolist() == [6] * 11
    assert {"y = 3x²", "dy/dx = 6x", "d²y/dx² = 6", "tangent at x = 3, slope 18"} <= legend(picture)
    assert [(each.x, each.y, each.slope) for each in picture.tangents] == [(3, 27, 18)]


def test_the_place_of_what_runs_asks_for_a_tangent():
    picture = seen("x**2", Course(points=3), {"x": "2"})
    assert [(each.x, each.y, each.slope) for each in picture.tangents] == [(2, 4, 4)]


def test_the_options_of_the_command_reach_the_picture(command):
    arguments = ("--order", "2", "--tangent", "x=3", "--dtype", "float64,bfloat16", "--points", "5")
    drawn = ET.fromstring(command("plot", "3*x**2", *arguments, "-o", "-").out)
    shown = " ".join(each.text for each in drawn.iter(f"{SVG}text"))
    assert "tangent at x = 3, slope 18" in shown
    assert "d²y/dx² = 6" in shown
    assert "error of PyTorch's dy/dx in bfloat16 on cpu" in shown


def test_each_dtype_has_its_own_errors_and_allowance():
    picture = seen("exp(x)", Course(points=22), dtype="float64, float32")
    assert [each.setting for each in picture.errors] == ["float64 on cpu", "float32 on cpu"]
    assert all((each.ulps <= each.allowed).all() for each in picture.errors)
    assert all((each.allowed >= 4).all() for each in picture.errors)
    assert picture.errors[0].x.tolist() != picture.errors[1].x.tolist()  # rounded to float32


def test_an_error_beyond_the_allowance_stands_above_the_band():
    picture = seen("sin(x)", Course(points=21), torch=["torch.sin(x) + 1e-9*x"])
    wrong = [ruling is Ruling.DISAGREE for ruling in picture.rulings]
    assert (picture.ulps > picture.errors[0].allowed).tolist() == wrong
    assert any(wrong)


def test_a_wrong_gradient_is_in_the_picture_and_a_right_one_is_not_drawn_twice():
    # The value is right, and the slope that autograd sees is sigmoid(x).
    torch = ["x*torch.sigmoid(x).detach()"]
    picture = seen("x/(1 + exp(-x))", Course(start="1", end="3", points=3), torch=torch)
    (claim,) = picture.claims
    assert (claim.of, claim.dtype, claim.order) == ("∂y/∂x", "float64", 1)
    # 1/(1 + e⁻ˣ) at 1, 2 and 3, by bc
    assert claim.numbers == pytest.approx(
        [0.7310585786300049, 0.8807970779778823, 0.9525741268224334]
    )
    assert "PyTorch's dy/dx in float64, where it differs" in legend(picture)
    assert seen("x/(1 + exp(-x))", Course(points=3)).claims == ()


def test_a_wrong_value_and_a_wrong_second_derivative_are_in_the_picture_too():
    picture = seen("x**3", Course(start="1", end="2", points=2, order=2), torch=["2*x**3"])
    assert [claim.of for claim in picture.claims] == ["y", "∂y/∂x", "∂²y/∂x∂x"]
    assert [claim.numbers.tolist() for claim in picture.claims] == [[2, 16], [6, 24], [12, 24]]


def test_where_nothing_is_said_nothing_is_claimed():
    points = Course(start="-1", end="1", points=5)
    picture = seen("sqrt(x)", points, torch=["2*torch.sqrt(x)"])
    (_, slope) = picture.claims
    assert np.isnan(slope.numbers[:3]).all()
    assert np.isfinite(slope.numbers[3:]).all()


def test_the_output_entry_that_depends_on_what_runs_is_chosen():
    picture = seen("x**2", Course("x[2]", "0", "2", 3), {"x": "[5, 7, 9]"})
    assert [curve.label for curve in picture.curves] == ["y[2]", "∂y[2]/∂x[2]"]
    assert picture.curves[1].numbers.tolist() == [0, 2, 4]


def test_what_runs_is_the_first_number_that_has_no_value():
    assert seen("u*v", Course(points=3), {"u": "2"}).variable == "v"
    assert seen("u*v", Course(points=3), {"v": "2"}).variable == "u"


def test_over_two_inputs_there_is_a_surface():
    line = Course("u", "0", "2", 3, other="v")
    surface = seen("u**3 + v**2 + 4*u*v", line)
    assert (surface.variables, surface.x.tolist()) == (("u", "v"), [0, 1, 2])
    value, by_u, by_v = (each.numbers for each in surface.fields)
    assert value.tolist() == [[0, 1, 8], [1, 6, 17], [4, 13, 28]]  # rows are those of v
    assert by_u.tolist() == [[0, 3, 12], [4, 7, 16], [8, 11, 20]]  # 3u² + 4v
    assert by_v.tolist() == [[0, 4, 8], [2, 6, 10], [4, 8, 12]]  # 2v + 4u
    assert (surface.errors == 0).all()
    assert {"∂y/∂u = 3u² + 4v", "u", "v", "ulps in float64 on cpu: 9 of 9 judged"} <= legend(
        surface
    )


def test_a_wrong_gradient_is_seen_in_a_surface():
    line = Course("u", "1", "2", 2, other="v")
    wrong, right = seen("u*v", line, torch=["u*v.detach()"]), seen("u*v", line)
    assert (wrong.errors > 1e10).all()
    assert (wrong.disagrees.all(), right.disagrees.any()) == (True, False)
    assert "ulps in float64 on cpu: 4 judged, 4 disagree" in legend(wrong)
    crosses = "M472.0"  # around the first point of the fourth map
    assert (crosses in wrong.svg(), crosses in right.svg()) == (True, False)
    gaps = seen("sqrt(u)*v", Course("u", "-1", "1", 3, other="v")).errors
    assert np.isnan(gaps).all(axis=0).tolist() == [True, False, False]
    assert np.isnan(gaps).any(axis=0).tolist() == [True, False, False]


def test_a_surface_of_two_entries_of_an_array_is_drawn_by_the_command(command, tmp_path):
    file = tmp_path / "out.svg"
    both = ("--input", "x[0]", "--input", "x[2]", "--at", "x=[1, 2, 3]", "--points", "5")
    assert command("plot", "exp(x)/sum(exp(x))", *both, "-o", file).code == 0
    shown = {each.text for each in ET.parse(file).getroot().iter(f"{SVG}text")}
    assert {"x[0]", "x[2]"} <= shown


SURFACES_REFUSED = {
    ("--input", "u", "--input", "v", "--input", "w"): (
        "--input w: a third number that runs\n"
        "  expected: one for a curve, two for a surface\n"
        "  fix:      fix it by --at\n"
    ),
    ("--input", "u", "--input", "u"): (
        "--input u: twice\n  expected: two numbers that run\n  fix:      name another one\n"
    ),
    ("--input", "u", "--input", "v", "--order", "2"): (
        "--order 2 of a surface\n  expected: one --input, for a curve\n  fix:      leave it out\n"
    ),
    ("--input", "u", "--input", "v", "--dtype", "float64,float32"): (
        "--dtype several of a surface\n"
        "  expected: one --input, for a curve\n"
        "  fix:      leave it out\n"
    ),
    ("--input", "u", "--input", "v", "--points", "500"): (
        "--points 500 a side of a surface\n  expected: at most 201\n  fix:      leave it out\n"
    ),
    ("--tangent", "v=1"): (
        "--tangent v=1: v does not run\n"
        "  expected: the name of what runs, u\n"
        "  fix:      write --tangent 'u=1'\n"
    ),
    ("--dtype", "float64,float99"): (
        "--dtype float99: unknown name\n"
        "  expected: one of float64, float32, float16, bfloat16, complex128, complex64\n"
        "  fix:      leave it out\n"
    ),
    ("--device", "nonsense"): (
        "--device nonsense: no such device here\n"
        "  expected: one or more of cpu, or auto\n"
        "  fix:      write auto to run on what is there\n"
    ),
}


@pytest.mark.parametrize("arguments", SURFACES_REFUSED, ids=" ".join)
def test_what_no_picture_shows_is_refused_by_one_message(command, monkeypatch, arguments):
    monkeypatch.setattr("gradcheck.devices.there", lambda: ("cpu",))
    ended = command("plot", "partial_derivatives", "-o", "-", *arguments)
    assert (ended.code, ended.out, ended.err) == (4, "", SURFACES_REFUSED[arguments])


def test_at_a_kink_there_is_no_tangent(command):
    ended = command("plot", "abs(x)", "--tangent", "x=0", "-o", "-", "--points", "3")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        "--tangent x=0: the function has no derivative there\n"
        "  expected: a place inside of the domain, and no kink\n"
        "  fix:      name another place, or leave it out\n"
    )


def test_the_names_of_cases_are_completed():
    from gradcheck.catalog.files import complete_case

    assert complete_case("square_times") == ["square_times_three"]
    assert complete_case("no_such_case") == []
    assert json.dumps(complete_case(""))  # all of them

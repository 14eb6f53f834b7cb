"""`gradcheck explain`: the tutorial's numbers, the graph, kinks, and what is refused."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from default_witnesses import asked

from gradcheck.answer import Ruling
from gradcheck.catalog.files import CaseName, load_case
from gradcheck.catalog.inline import case_of
from gradcheck.explanation import at_point
from gradcheck.explanation.blocks import _reason
from gradcheck.explanation.formulas import formula_text, formulas_of
from gradcheck.explanation.statements import Line, title_of
from gradcheck.language.parse import parse
from gradcheck.ops.table import CALLABLE, OPERATORS


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def rows(out, witness):
    """The cells of one witness's rows; no cell of these holds two blanks."""
    lines = [line.strip() for line in out.splitlines()]
    return [
        [cell for cell in line.split("  ") if cell.strip()]
        for line in lines
        if line.startswith(f"{witness} ")
    ]


def test_the_tutorials_first_derivative_is_explained(command):
    ended = command("explain", "3*x**2", "--at", "x=3")
    assert ended.code == 0
    assert ended.out.startswith(
        "3*x**2  at x = 3.0  (float64 on cpu)\n"
        "on trial: the formula, translated to PyTorch\n"
        "\n"
        "       2\n"
        "y = 3⋅x\n"
        "\n"
        "∂y/∂x = 6⋅x\n"
        "\n"
        "∂²y/∂x∂x = 6\n"
    )
    cells = [[cell.strip() for cell in row] for row in rows(ended.out, "reverse")]
    assert cells == [["reverse", "∂y/∂x", "18.0", "0", "agree"]]
    assert len(rows(ended.out, "value")) == 1


def test_finite_differences_are_named_by_their_call_and_one_reason_is_told_once(command):
    out = command("explain", "expm1(x)", "--at", "x=-40").out
    assert [row[1].strip() for row in rows(out, "gradcheck") if len(row) > 2] == [
        "gradgradcheck",
        "gradcheck",
    ]
    words = " ".join(out.split())
    told = "reverse, functional, forward, contract and second inaccurate: within the rounding"
    assert words.count("within the rounding") == words.count(told) == 1


def test_many_calls_of_one_witness_are_counted():
    said = SimpleNamespace(ruling=Ruling.DISAGREE, reason="off by 1")
    calls = tuple(f"call {number}" for number in range(9))
    assert _reason(Line("functional", calls, 1, said)) == (
        "functional disagree: off by 1 (call 0, call 1, call 2, call 3 and 5 other ways)"
    )


def test_with_all_every_call_of_a_witness_has_its_row(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # the calls of torch.func have long names
    out = command("explain", "3*x**2", "--at", "x=3", "--all").out
    assert [[cell.strip() for cell in row] for row in rows(out, "reverse")] == [
        ["reverse", "torch.autograd.grad", "∂y/∂x", "18.0", "18", "0", "agree"],
        ["reverse", "Tensor.backward", "∂y/∂x", "18.0", "18", "0", "agree"],
    ]


def test_a_case_of_the_catalog_is_explained_at_its_first_point(command):
    ended = command("explain", "partial_derivatives", "--json")
    found = json.loads(ended.out)
    assert found["at"] == {"u": 3.0, "v": 4.0}
    assert found["formulas"]["∂y/∂u"] == "3*u**2 + 4*v"
    true = {each["what"]: each["true"] for each in found["true"]}
    # The tutorial's answers, 43 and 20; the Hessian by hand: 6u, 4 and 2.
    assert (true["∂y/∂u"], true["∂y/∂v"]) == ("43", "20")
    assert (true["∂²y/∂u∂u"], true["∂²y/∂u∂v"], true["∂²y/∂v∂v"]) == ("18", "4", "2")
    said = {each["witness"] for each in found["statements"]}
    assert said == set(asked())
    assert {each["verdict"] for each in found["statements"]} == {"agree"}


def test_the_graph_shows_what_the_tutorial_prints(command):
    found = json.loads(command("explain", "x**2", "--at", "x=3", "--graph", "--json").out)
    output, leaf = found["graph"]
    assert output == {
        "name": "output",
        "grad_fn": "PowBackward0",
        "is_leaf": False,
        "requires_grad": True,
        "data": 9.0,
        "grad": 1.0,
        "parents": [1],
        "expression": "x ** 2",
        "saved": {"exponent": 2, "self": 3.0},
    }
    assert leaf == {
        "name": "x",
        "grad_fn": "None",
        "is_leaf": True,
        "requires_grad": True,
        "data": 3.0,
        "grad": 6.0,
        "parents": [],
        "expression": "",
        "saved": {},
    }


def test_the_graph_is_a_tree_with_each_attribute_and_each_node_once(command):
    out = command("explain", "x**2 + x*y", "--at", "x=3", "--at", "y=2", "--graph").out
    assert out.partition("and backward() from the output\n")[2] == (
        "#0 output: x ** 2 + x * y = 15.0\n"
        "│   grad_fn AddBackward0; is_leaf False; requires_grad True; .grad 1.0\n"
        "├─ #3 x ** 2 = 9.0\n"
        "│  │   grad_fn PowBackward0; is_leaf False; requires_grad True; .grad 1.0; "
        "saved exponent 2, self 3.0\n"
        "│  #4 x = 3.0\n"
        "│      grad_fn None; is_leaf True; requires_grad True; .grad 8.0\n"
        "└─ #1 x * y = 6.0\n"
        "   │   grad_fn MulBackward0; is_leaf False; requires_grad True; .grad 1.0; "
        "saved other 2.0, self 3.0\n"
        "   ├─ #4 x (see above)\n"
        "   └─ #2 y = 2.0\n"
        "          grad_fn None; is_leaf True; requires_grad True; .grad 3.0\n\n"
    )


def test_at_a_kink_the_truth_is_a_hull(command):
    arguments = ("max(x, 0)", "--torch", "torch.relu(x)", "--at", "x=0", "--json")
    found = json.loads(command("explain", *arguments).out)
    slope = next(each for each in found["true"] if each["what"] == "∂y/∂x")
    assert (slope["true"], slope["status"]) == ("[0, 1]", "kink")


def test_a_wrong_gradient_is_shown_as_one(command):
    arguments = ("sin(x)", "--torch", "torch.cos(x)", "--at", "x=1", "--json")
    ended = command("explain", *arguments)
    said = json.loads(ended.out)["statements"]
    assert ended.code == 0
    assert {each["verdict"] for each in said if each["witness"] == "reverse"} == {"disagree"}


def test_matrices_and_other_dtypes_are_explained(command):
    found = json.loads(
        command("explain", "sum(A @ x)", "--at", "A=[[1, 2], [3, 4]]", "--at", "x=[1, 1/3]",
                "--dtype", "float32", "--json").out
    )  # fmt: skip
    assert found["dtype"] == "float32"
    assert found["at"]["x"] == [1.0, pytest.approx(1 / 3, rel=1e-7)]
    true = {each["what"]: each["true"] for each in found["true"]}
    assert (true["∂y/∂x[0]"], true["∂y/∂x[1]"], true["∂y/∂A[1, 0]"]) == ("4", "6", "1")


def test_a_variant_and_an_implementation_can_be_chosen(command, catalog):
    found = json.loads(
        command("explain", "cases/small.yaml::power[k=3]", "--at", "x=2", "--json").out
    )
    assert found["case"] == "power[k=3]"
    assert next(each["true"] for each in found["true"] if each["what"] == "∂y/∂x") == "12"
    arguments = ("cases/small.yaml::square", "--implementation", "1", "--json")
    assert json.loads(command("explain", *arguments).out)["implementation"] == "x * x"


def test_a_point_outside_of_the_domain_is_noted(command):
    ended = command("explain", "x**2", "--at", "x=-1", "--input", "x=positive")
    assert ended.code == 0
    assert "note: this point lies outside of the case's domain" in ended.out


REFUSED = {
    ("sofmax",): (
        "sofmax: neither a case of the packaged catalog nor an input of a formula\n"
        "  expected: CASE, FILE.yaml::CASE, or a formula whose inputs --at or --input declares\n"
        "  fix:      write softmax\n"
    ),
    ("x**2",): "no value for the input x\n  expected: a value\n  fix:      write --at x=1\n",
    ("x^2", "--at", "x=3"): (
        "<command line> FORMULA:1:1: '^'\n"
        "  expected: '**' for a power\n"
        "  fix:      write x**2 for x to the power of 2\n"
    ),
    ("x**2", "--at", "x=[1"): (
        "--at x=[1: '[1', where the expression breaks off\n"
        "  expected: a number, a constant such as pi/2, or nested lists of them\n"
        "  fix:      close the bracket\n"
    ),
    ("x**2", "--at", "x=1e999"): (
        "--at x=1e999: not finite in float64\n"
        "  expected: a number, a constant such as pi/2, or nested lists of them\n"
        "  fix:      write a finite number\n"
    ),
    ("square_times_three", "--at", "x=[1]"): (
        "--at x=[1]: a value of shape [1]\n"
        "  expected: a number, a constant such as pi/2, or nested lists of them\n"
        "  fix:      write a value of shape []\n"
    ),
    ("x**2", "--at", "x=3", "--at", "q=2"): (
        "--at q=2: q is no input of the function\n"
        "  expected: one of x\n"
        "  fix:      correct the name\n"
    ),
    ("x**2", "--at", "x=3", "--torch", "torch.sqare(x)"): (
        "<command line> --torch:1:1: 'torch.sqare', which the torch language does not allow\n"
        "  expected: a function on tensors that PyTorch lists as overridable\n"
        "  fix:      write torch.square\n"
    ),
    ("square_times_three", "--torch", "torch.load('x')"): (
        "--torch torch.load('x'): 'torch.load', which the torch language does not allow\n"
        "  expected: a function on tensors that PyTorch lists as overridable\n"
        "  fix:      write it with functions such as torch.exp\n"
    ),
    ("square_times_three", "--constant", "k=3"): (
        "--constant beside the case square_times_three\n"
        "  expected: a formula, where it is given\n"
        "  fix:      leave it out, or write the formula instead of the case's name\n"
    ),
    ("square_times_three", "--implementation", "9"): (
        "--implementation 9: the case has 3\n"
        "  expected: a number from 0 to 2\n"
        "  fix:      leave it out for the first\n"
    ),
    ("square_times_three[d=1]",): (
        "case square_times_three has no variant d=1\n"
        "  expected: no variant: the case has no sweep\n"
        "  fix:      leave the brackets out for the first\n"
    ),
    ("nope.yaml::square",): (
        "no such file or folder: nope.yaml\n"
        "  expected: a YAML file or a folder\n"
        "  fix:      check the spelling; paths are taken from the current folder\n"
    ),
    ("x**2", "--at", "x=3", "--dtype", "float8"): (
        "--dtype float8: unknown name\n"
        "  expected: one of float64, float32, float16, bfloat16, complex128, complex64\n"
        "  fix:      leave it out\n"
    ),
    ("z**2", "--at", "z=1+I", "--dtype", "float32"): (
        "--dtype float32 for a complex input\n"
        "  expected: one of complex128, complex64\n"
        "  fix:      leave it out\n"
    ),
    ("x**2", "--at", "x=1", "--dtype", "complex64"): (
        "--dtype complex64 for real inputs alone\n"
        "  expected: one of float64, float32, float16, bfloat16\n"
        "  fix:      leave it out\n"
    ),
    ("x**2", "--input", "x=real", "--at", "x=1+I"): (
        "--at x=1+I: a complex number\n"
        "  expected: a number, a constant such as pi/2, or nested lists of them\n"
        "  fix:      write a real one, or declare the input complex: --input x=complex\n"
    ),
    ("x**2", "--at", "x=3", "--device", "nonsense"): (
        "--device nonsense: no such device here\n"
        "  expected: one or more of cpu, or auto\n"
        "  fix:      write auto to run on what is there\n"
    ),
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_cannot_be_explained_is_refused_by_one_message(command, monkeypatch, arguments):
    monkeypatch.setattr("gradcheck.devices.there", lambda: ("cpu",))
    ended = command("explain", *arguments)
    assert (ended.code, ended.out, ended.err) == (4, "", REFUSED[arguments])


def truths_and_numbers(command, *arguments):
    """The certified numbers, and what PyTorch gives, each under the name of its derivative."""
    found = json.loads(command("explain", *arguments, "--json").out)
    true = {each["what"]: each["true"] for each in found["true"]}
    return true, {said["index"]: said["got"] for said in found["statements"]}, found


def test_a_complex_function_is_explained_by_real_and_imaginary_parts(command):
    true, got, found = truths_and_numbers(command, "z**2", "--at", "z=3+4*I")
    assert found["at"] == {"z": "3.0 + 4.0*I"}
    assert found["dtype"] == "complex128"
    # By the equations of Cauchy and Riemann from 2z, which is 6 + 8i.
    jacobian = {"∂re y/∂re z": 6, "∂re y/∂im z": -8, "∂im y/∂re z": 8, "∂im y/∂im z": 6}
    expected = {"re y": -7, "im y": 24, **jacobian}
    assert {what: float(true[what]) for what in expected} == expected
    assert {what: got[what] for what in expected} == expected
    assert {each["verdict"] for each in found["statements"]} == {"agree"}


def test_the_gradient_of_a_real_function_by_a_complex_number_stands_by_its_parts(command):
    true, got, _ = truths_and_numbers(command, "re(z)**2 + im(z)**2", "--at", "z=3+4*I")
    assert (true["∂y/∂re z"], true["∂y/∂im z"]) == ("6", "8")
    assert (got["∂y/∂re z"], got["∂y/∂im z"]) == (6, 8)


def test_of_a_conjugated_gradient_the_imaginary_part_is_told(command):
    torch = "z.abs().square().detach() + 2*(z.detach()*(z - z.detach())).real"
    out = command("explain", "re(z)**2 + im(z)**2", "--at", "z=3+4*I", "--torch", torch).out
    (told,) = [row for row in rows(out, "reverse") if row[-1] == "disagree"]
    assert [cell.strip() for cell in told[1:3]] == ["∂y/∂im z", "-8.0"]


def test_the_graph_of_a_complex_function_is_shown(command):
    found = json.loads(command("explain", "z**2", "--at", "z=1+I", "--graph", "--json").out)
    assert found["graph"][-1]["data"] == "1.0 + 1.0*I"
    assert found["graph"][-1]["grad"] == "2.0 - 2.0*I"  # the conjugate of 2z


def test_a_function_is_refused_unless_its_module_is_trusted(command):
    ended = command("explain", "x**2", "--at", "x=3", "--function", "os:system")
    assert ended.code == 4
    assert ended.err.startswith("the function os:system is not trusted\n")
    assert "--trust os" in ended.err


def in_the_folder(tmp_path, monkeypatch, folder):
    (tmp_path / "ops_in_a_folder.py").write_text("def square(x):\n    return x * x\n")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / folder)
    return ("explain", "x**2", "--at", "x=3", "--function", "ops_in_a_folder:square", "--trust",
            "ops_in_a_folder")  # fmt: skip


def test_a_trusted_module_is_found_in_the_current_folder(command, tmp_path, monkeypatch):
    ended = command(*in_the_folder(tmp_path, monkeypatch, "."))
    assert (ended.code, ended.err) == (0, "")
    assert "on trial: ops_in_a_folder:square" in ended.out
    assert "ops_in_a_folder" not in sys.modules


def test_a_trusted_module_that_is_nowhere_is_told(command, tmp_path, monkeypatch):
    ended = command(*in_the_folder(tmp_path, monkeypatch, "empty"))
    assert ended.code == 2
    assert ended.err == (
        "<command line>:4:5: importing 'ops_in_a_folder' raised ModuleNotFoundError: "
        "No module named 'ops_in_a_folder'\n"
        "  expected: a module that can be imported\n"
        "  fix:      install it, or correct the name; the current folder (of pytest: its rootdir) "
        "and sys.path are searched\n"
    )


def test_the_enclosure_stands_beside_the_true_value(command):
    out = command("explain", "sin(x)/3", "--at", "x=1").out
    line = next(line for line in out.splitlines() if line.startswith("y  "))
    _, digits, radius, got = line.split()
    # sin(1)/3 by mpmath at 45 digits
    assert abs(Decimal(digits) - Decimal("0.2804903282692988355508341072101")) < Decimal("1e-20")
    assert 0 < float(radius) < 1e-30
    assert got == "0.2804903282692988"


def figures(command, *arguments):
    found = json.loads(command("explain", *arguments, "--json").out)["allowances"]
    return {each.pop("of"): each for each in found}


def test_where_the_allowance_comes_from_is_told(command):
    told = figures(command, "x**2", "--at", "x=3")
    # S of y is |x²| + |x·2x| = 27, three times y, and of ∂y/∂x |2x| + |x·2| = 12, twice 6.
    assert (told["y"]["condition"], told["∂y/∂x"]["condition"]) == (3, 2)
    # ½ ulp + 16 u S: u S is 27·2⁻⁵³, and an ulp of 9 is 2⁻⁴⁹.
    assert told["y"]["by_conditioning"] == pytest.approx(0.5 + 16 * 27 / 16)
    assert {each["agrees"] >= each["by_conditioning"] for each in told.values()} == {True}


def test_a_function_that_is_ill_conditioned_may_be_far_off(command):
    good, bad = (figures(command, "sin(x)", "--at", at)["y"] for at in ("x=1", "x=1e6"))
    assert bad["condition"] > 1e5 * good["condition"]
    assert bad["agrees"] > 1e4 * good["agrees"]


def test_what_the_codes_own_steps_round_is_told(command):
    arguments = ("(exp(x) + exp(-x))/2", "--at", "x=1e-3")
    smooth = figures(command, *arguments)["∂y/∂x"]
    torch = "(torch.exp(x + 1000.0 - 1000.0) + torch.exp(-x))/2"  # loses digits on its way
    loses = figures(command, *arguments, "--torch", torch)["∂y/∂x"]
    assert loses["by_moves"] > 100 * smooth["by_moves"]


def test_the_same_number_in_each_precision_has_its_own_error(command):
    found = json.loads(command("explain", "x**2/3", "--at", "x=1/3", "--json").out)["precisions"]
    slopes = {each["dtype"]: each for each in found if each["index"] == "∂y/∂x"}
    assert list(slopes) == ["float64", "float32", "float16", "bfloat16"]
    assert {each["verdict"] for each in slopes.values()} == {"agree"}
    # 1/3 in bfloat16 is 171/512, two thirds of which are 57/256 = 0.22265625.
    assert float(slopes["bfloat16"]["true"]) == 0.22265625
    far = [abs(each["got"] - 2 / 9) for each in slopes.values()]
    assert far == sorted(far)
    assert far[0] < 1e-16 < 1e-5 < far[2]


def test_a_point_that_a_dtype_does_not_reach_is_noted(command):
    out = command("explain", "x/3", "--at", "x=1e6").out
    assert "float16: --at x=1e6: not finite in float16\n" in out
    assert "bfloat16  y" in out


def test_a_written_point_is_rounded_to_each_precision(command, catalog):
    (catalog / "third.yaml").write_text(
        "third: {formula: x/3, inputs: {x: real}, dtypes: [float64], points: [{at: {x: 1/3}}]}\n"
    )
    found = json.loads(command("explain", "cases/third.yaml::third", "--json").out)["precisions"]
    assert {each["dtype"]: each["note"] for each in found} == dict.fromkeys(
        ("float64", "float32", "float16", "bfloat16"), ""
    )
    assert [float(each["true"]) for each in found if each["dtype"] == "bfloat16"] == [
        pytest.approx(171 / 512 / 3, rel=1e-15),
        pytest.approx(1 / 3, rel=1e-15),
    ]


def test_of_complex_numbers_both_precisions_are_told(command):
    found = json.loads(command("explain", "z**2", "--at", "z=1+I", "--json").out)["precisions"]
    assert {each["dtype"] for each in found} == {"complex128", "complex64"}


def test_of_many_numbers_the_worst_of_each_precision_is_told(command):
    out = command("explain", "x**2/3", "--at", "x=[1, 2, 3, 4, 5, 6]").out
    assert "worst of 36" in out.partition("the same in each precision")[2]


def test_third_derivatives_are_told_where_they_are_asked_for(command):
    arguments = ("x**4", "--at", "x=2", "--json")
    found = json.loads(command("explain", *arguments, "--order", "3").out)
    true = {each["what"]: each["true"] for each in found["true"]}
    assert true["∂³y/∂x∂x∂x"] == "48"  # 24x
    assert found["formulas"]["∂³y/∂x∂x∂x"] == "24*x"
    assert found["orders"] == [0, 1, 2, 3]
    assert "third" in {each["witness"] for each in found["statements"]}
    fewer = json.loads(command("explain", *arguments, "--order", "1").out)
    assert [each["what"] for each in fewer["true"]] == ["y", "∂y/∂x"]


def test_second_derivatives_of_an_array_are_told_where_they_are_asked_for(command):
    found = json.loads(command("explain", "x**3", "--at", "x=[1, 2]", "--order", "2", "--json").out)
    true = {each["what"]: each["true"] for each in found["true"]}
    assert (true["∂²y[1]/∂x[1]∂x[1]"], true["∂²y[1]/∂x[0]∂x[1]"]) == ("12", "0")


def test_too_many_derivatives_are_refused(command):
    numbers = ", ".join(map(str, range(20)))
    ended = command("explain", "x**2", "--at", f"x=[{numbers}]", "--order", "3")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        "--order 3: 160,000 derivatives\n  expected: at most 4,096\n  fix:      write --order 2\n"
    )


@pytest.mark.parametrize("arguments", [("explain",), ("plot", "-o", "-")], ids=" ".join)
def test_a_function_of_nothing_is_refused(command, arguments):
    name, *others = arguments
    ended = command(name, "2*x", "--at", "x=[]", *others)
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        "a function whose inputs have no entries\n"
        "  expected: one entry at least, of which something can be told\n"
        "  fix:      give an array with entries\n"
    )


def test_the_formulas_are_printed_in_latex(command):
    assert command("explain", "3*x**2", "--at", "x=3", "--order", "3", "--latex").out == (
        "$$\\begin{aligned}\n"
        "y &= 3 x^{2} = 27 \\\\\n"
        "\\frac{\\partial y}{\\partial x} &= 6 x = 18 \\\\\n"
        "\\frac{\\partial^2 y}{\\partial x\\partial x} &= 6 \\\\\n"
        "\\frac{\\partial^3 y}{\\partial x\\partial x\\partial x} &= 0\n"
        "\\end{aligned}$$\n"
    )


def test_of_many_formulas_the_first_are_derived_and_the_rest_are_counted(command):
    numbers = ", ".join(map(str, range(1, 12)))
    out = command("explain", "sin(x)*sum(x)", "--at", f"x=[{numbers}]").out
    assert "∂y[0]/∂x[0] = " in out.replace("\n", " ")
    assert "57 more of order 1 are not derived as formulas" in out


def test_a_complex_formula_is_that_of_both_parts_of_its_number(command):
    out = command("explain", "z**2", "--input", "z=complex", "--at", "z=1+2*I").out
    assert "∂y/∂z = 2⋅z" in out
    assert "not derived" not in out


# in a terminal

POINTS = {
    "an irrational number": ("sin(x)/3", "--at", "x=1"),
    "two inputs": ("u**3 + v**2 + 4*u*v", "--at", "u=1/3", "--at", "v=pi"),
    "lost digits": ("expm1(x)", "--at", "x=-40"),
    "a large and a small number": ("exp(x)/y", "--at", "x=300", "--at", "y=-1e-200"),
    "a kink": ("max(x, 0)", "--at", "x=0"),
    "a vector": ("x**2/7", "--at", "x=[-20, -1/3, 0, 3]"),
    "softmax": ("exp(x)/sum(exp(x))", "--at", "x=[0.1, 0.2, 0.3]"),
    "a wrong gradient": ("sin(x)", "--torch", "torch.cos(x)", "--at", "x=1/3"),
}
WIDTHS = [40, 80, 120]


@pytest.fixture(scope="module")
def kept():
    return {}


@pytest.fixture
def explained_once(monkeypatch, kept):
    """What a point's text is made of is worked out for the first width alone."""
    explain_at = at_point.explain_at

    def explain_once(check, at, **options):
        key = title_of(check), check.implementation.text, tuple(at.items()), *options.items()
        if key not in kept:
            kept[key] = explain_at(check, at, **options)
        return kept[key]

    monkeypatch.setattr(at_point, "explain_at", explain_once)


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("flags", [(), ("--all",)], ids=["", "all"])
@pytest.mark.parametrize("arguments", POINTS.values(), ids=POINTS)
@pytest.mark.usefixtures("explained_once")
def test_no_line_is_longer_than_the_terminal(command, monkeypatch, arguments, flags, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    out = command("explain", *arguments, "--graph", *flags).out
    assert max(map(len, out.splitlines())) <= columns
    assert "…" not in out


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("arguments", POINTS.values(), ids=POINTS)
@pytest.mark.usefixtures("explained_once")
def test_every_digit_of_every_number_is_printed(command, monkeypatch, arguments, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    found = json.loads(command("explain", *arguments, "--json").out)
    out = command("explain", *arguments, "--all").out
    got = {str(said["got"]) for said in found["statements"] if said["true"]}
    true = {each["true"] for each in found["true"]}
    assert {number for number in got | true if number not in out} == set()


def read_until_the_end(controller):
    with os.fdopen(controller, encoding="utf-8") as lines, contextlib.suppress(OSError):
        yield from lines  # Linux ends a terminal's text with an error


def test_a_terminal_without_columns_in_its_environment_has_its_own_width():
    columns = 50
    controller, terminal = pty.openpty()
    size = f"stty cols {columns} rows 50 && exec {sys.executable} -m gradcheck"
    environment = {name: text for name, text in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen(
        ["sh", "-c", f"{size} explain 'sin(x)/3' --at x=1"],
        stdin=terminal, stdout=terminal, stderr=terminal, env={**environment, "NO_COLOR": "1"},
    )  # fmt: skip
    os.close(terminal)
    printed = "".join(read_until_the_end(controller)).replace("\r", "")
    assert process.wait(120) == 0
    plain = printed.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert max(map(len, plain.splitlines())) <= columns
    assert "0.2804903282692988" in plain  # sin(1)/3 to 16 digits, by bc


# one line for what is alike


def statement_rows(out):
    table = out.partition("what each witness says")[2].partition("how many ulps")[0]
    return [line for line in table.splitlines()[3:] if line.strip()]


@pytest.mark.parametrize(
    "arguments",
    [
        ("u*v + v*w", "--at", "u=1", "--at", "v=2", "--at", "w=3"),
        ("x**2", "--at", "x=[1, 2, 3, 4]"),
        ("a*d - b*c", "--at", "a=1", "--at", "b=2", "--at", "c=3", "--at", "d=5"),
    ],
)
def test_a_witness_that_agrees_everywhere_has_one_line(command, arguments):
    names = [line.split()[0] for line in statement_rows(command("explain", *arguments).out)]
    assert len(names) == len(set(names))
    asked = set(names) - {"second", "contract", "functional"}  # of arrays those ask for sums alone
    assert asked == {"value", "reverse", "forward", "gradcheck"}


def test_a_witness_that_is_wrong_shows_each_wrong_number(command):
    arguments = ("a*b", "--torch", "a*a*b", "--at", "a=2", "--at", "b=3")
    wrong = rows(command("explain", *arguments).out, "reverse")
    cells = [[cell.strip() for cell in row][1:3] for row in wrong if len(row) > 2]
    assert cells == [["∂y/∂a", "12.0"], ["∂y/∂b", "4.0"]]


def test_of_many_wrong_numbers_the_worst_are_shown(command):
    arguments = ("sum(x)", "--torch", "2*x.sum()", "--at", "x=[1, 2, 3, 4, 5, 6]")
    table = rows(command("explain", *arguments).out, "reverse")
    assert [row[1].strip() for row in table[:5]] == [
        "∂y/∂x[0]", "∂y/∂x[1]", "∂y/∂x[2]", "∂y/∂x[3]", "2 entries",
    ]  # fmt: skip
    assert len(table) == 6  # and the reason, once


def test_zeros_are_not_printed_one_by_one(command):
    out = command("explain", "squares_of_a_vector").out
    assert "∂y[2]/∂x[2] = 2⋅x[2]\n" in out
    assert "every other first derivative is 0\n" in out
    assert "∂y[0]/∂x[1]" not in out


def test_with_all_zeros_are_printed(command):
    assert "∂y[0]/∂x[1] = 0\n" in command("explain", "squares_of_a_vector", "--all").out


def test_a_long_formula_is_cut_unless_all_is_asked_for(command):
    long = "+".join(f"{k}*where(x > {k}, x, 0)" for k in range(1, 20))
    assert "--all prints them)" in command("explain", long, "--at", "x=1").out.replace("\n", " ")
    out = " ".join(command("explain", long, "--at", "x=1", "--all").out.split())
    assert "19*where(x > 19, x, 0)" in out
    assert "letters" not in out


# outside of the domain

OUTSIDE = {
    ("log(x)", "--at", "x=-1"): "-1 is outside the domain of log: y has no value there",
    ("1/x", "--at", "x=0"): "0 is outside the domain of division: y has no value there",
    ("1 + sqrt(x - 2)", "--at", "x=1"): "-1 is outside the domain of sqrt: y has no value there",
    ("x**y", "--at", "x=-2", "--at", "y=1/2"): (
        "-2 is outside the domain of the power 0.5: y has no value there"
    ),
    ("where(x > 0, log(x), log(x - 1))", "--at", "x=-1"): (
        "-2 is outside the domain of log: y has no value there"
    ),
}


@pytest.mark.parametrize("arguments", OUTSIDE, ids=" ".join)
def test_outside_of_the_domain_one_sentence_says_why(command, arguments):
    out = command("explain", *arguments).out
    assert f"\n{OUTSIDE[arguments]}, and no derivative\n" in out
    assert "no number is right there, so none is judged" in out.replace("\n", " ")
    assert "what each witness says" not in out


def test_where_one_entry_of_a_vector_is_outside_the_others_are_explained(command):
    out = command("explain", "log(x)", "--at", "x=[-1, 1]").out
    assert "-1 is outside the domain of log: y[0] has no value there" in out
    assert "what each witness says" in out


def test_inside_of_the_domain_nothing_is_said_of_it(command):
    assert "domain" not in command("explain", "log(x)", "--at", "x=1").out


# notation


def test_a_hull_is_written_alike_everywhere(command):
    arguments = ("max(x, 0)", "--at", "x=0")
    found = json.loads(command("explain", *arguments, "--json").out)
    kinks = {said["true"] for said in found["statements"] if said["index"] == "∂y/∂x"}
    assert kinks == {"[0, 1]"}
    assert "+/-" not in command("explain", *arguments, "--all").out


def test_a_true_value_of_zero_is_written_as_0(command):
    found = json.loads(command("explain", "sin(x)**2 + cos(x)**2", "--at", "x=1", "--json").out)
    assert {said["true"] for said in found["statements"] if said["index"] == "∂y/∂x"} == {"0"}


CALLS = sorted(CALLABLE - {"where", "zeta"})  # sympy states no derivative of zeta by its order


def call_of(name):
    entry = OPERATORS[name]
    arguments = ["1"] if entry.parameter else []
    return f"{name}({', '.join([*arguments, *'uvw'[: entry.arity]])})"


@pytest.mark.parametrize("name", CALLS)
def test_formulas_are_printed_in_the_formula_language(name):
    inputs = dict.fromkeys("uvw"[: OPERATORS[name].arity], "(1/4, 1/2)")
    case = case_of({"formula": call_of(name), "inputs": inputs, "order": 1}, shown="", labels={})
    for _, expression in formulas_of(case.variants[0], (0, 1)):
        parse(formula_text(expression))
        unknown = names_of(formula_text(expression)) - {*OPERATORS, *inputs, "pi", "e"}
        assert unknown == set()


def names_of(text):
    word = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in text)
    return {each for each in word.split() if not each[0].isdigit()} - {"and", "or", "not"}


@pytest.mark.parametrize(
    ("formula", "slope"),
    [
        ("max(x, 0)", "heaviside(x, 1/2)"),
        ("abs(x)", "sign(x)"),
        ("where(x < 0, -x, x**2)", "where(x < 0, -1, 2*x)"),
        ("cbrt(x)", "1/(3*cbrt(x)**2)"),
        ("lgamma(x)", "digamma(x)"),
    ],
)
def test_a_derivative_has_the_names_of_the_formula_language(command, formula, slope):
    assert f"∂y/∂x = {slope}\n" in command("explain", formula, "--at", "x=1").out


@pytest.mark.parametrize("name", ["tutorial.yaml::sum_of_squares", "multivariate.yaml::himmelblau"])
def test_a_file_of_the_packaged_catalog_is_found_by_its_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    file, _, case = name.partition("::")
    found, _ = load_case(CaseName(file, case, ""))
    assert (found.name, Path(found.where.path).name) == (case, file)


def test_a_file_that_lies_here_comes_before_the_packaged_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tutorial.yaml").write_text("f: {formula: x**2, inputs: {x: real}}\n")
    found, _ = load_case(CaseName("tutorial.yaml", "f", ""))
    assert found.where.path == "tutorial.yaml"

"""`gradcheck explain`: the tutorial's numbers, the graph, kinks, and what is refused."""

import json
from pathlib import Path

import pytest

from gradcheck.cli.selection import Reference, load_case


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
    assert cells == [
        ["reverse", "torch.autograd.grad", "∂y/∂x", "18.0", "18", "0", "agree"],
        ["reverse", "Tensor.backward", "∂y/∂x", "18.0", "18", "0", "agree"],
    ]
    assert {row[0] for row in rows(ended.out, "value")} == {"value"}


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
    assert said == {"value", "reverse", "forward", "second", "gradcheck"}
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
    }
    assert leaf == {
        "name": "x",
        "grad_fn": "None",
        "is_leaf": True,
        "requires_grad": True,
        "data": 3.0,
        "grad": 6.0,
        "parents": [],
    }


def test_the_graph_as_a_table_names_the_attributes(command):
    out = command("explain", "x**2", "--at", "x=3", "--graph").out
    (head,) = [line for line in out.splitlines() if "is_leaf" in line]
    heads = ["#", "name", "grad_fn", "is_leaf", "requires_grad", "data", ".grad", "next"]
    assert head.split() == heads


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
        "  fix:      write torch.log\n"
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
    ("x**2", "--at", "x=3", "--dtype", "float16"): (
        "--dtype float16: unknown name\n"
        "  expected: one of float64, float32\n"
        "  fix:      leave it out\n"
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


def test_a_function_is_refused_unless_its_module_is_trusted(command):
    ended = command("explain", "x**2", "--at", "x=3", "--function", "os:system")
    assert ended.code == 4
    assert ended.err.startswith("the function os:system is not trusted\n")
    assert "--trust os" in ended.err


@pytest.mark.parametrize("name", ["tutorial.yaml::sum_of_squares", "multivariate.yaml::himmelblau"])
def test_a_file_of_the_packaged_catalog_is_found_by_its_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    file, _, case = name.partition("::")
    found, _ = load_case(Reference(file, case, ""))
    assert (found.name, Path(found.where.path).name) == (case, file)


def test_a_file_that_lies_here_comes_before_the_packaged_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tutorial.yaml").write_text("f: {formula: x**2, inputs: {x: real}}\n")
    found, _ = load_case(Reference("tutorial.yaml", "f", ""))
    assert found.where.path == "tutorial.yaml"

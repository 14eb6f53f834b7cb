"""What a catalog reaches of PyTorch: measured, counted, and held against what is shipped."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gradcheck.catalog.files import catalog_folder
from gradcheck.catalog.load import load
from gradcheck.coverage.figures import as_markdown, as_table, coverage_json, figures, unreached
from gradcheck.coverage.inventory import (
    BACKWARD_NODE,
    DOUBLE_BACKWARD_NODE,
    FORWARD_FORMULA,
    OPERATOR,
    items,
    listed,
    reason_for,
    reasons,
)
from gradcheck.coverage.reach import reach_of

REPOSITORY = Path(__file__).parents[2]
RELEASE = tuple(int(part) for part in torch.__version__.split(".")[:2])
for_this_release = pytest.mark.skipif(RELEASE != (2, 13), reason="the lists are those of 2.13")

FLOOR = {"operator": 471, "core": 188, "backward": 485, "double backward": 64, "forward": 416}
"""What the shipped catalog has reached; it is raised, never lowered."""


def cases_in(folder):
    files = sorted(path for path in folder.rglob("*.yaml") if path.name != "known_failures.yaml")
    return [case for path in files for case in load(path, shown=path.name)]


@pytest.fixture(scope="module")
def shipped():
    return reach_of(cases_in(catalog_folder()))


def below(reach, floor):
    """The figures that are lower than they were."""
    found = {figure.kind: figure.reached for figure in figures(reach)}
    return {kind: found[kind] for kind, least in floor.items() if found[kind] < least}


def without(reach, file):
    left = {
        item: tuple(case for case in cases if not case.startswith(f"{file}::"))
        for item, cases in reach.cases.items()
    }
    return replace(reach, cases=left)


@for_this_release
def test_no_figure_of_the_shipped_catalog_falls(shipped):
    assert below(shipped, FLOOR) == {}


@for_this_release
def test_a_catalog_that_has_lost_a_file_is_noticed(shipped):
    assert below(without(shipped, "fourier.yaml"), FLOOR).keys() == {
        "operator",
        "core",
        "backward",
        "forward",
    }


@for_this_release
@pytest.mark.skipif(sys.platform != "linux", reason="other builds have other kernels")
def test_the_document_says_what_is_measured(shipped):
    assert (REPOSITORY / "docs" / "coverage.md").read_text("utf-8") == as_markdown(shipped) + "\n"


def test_every_implementation_is_measured_that_pytorch_does_not_refuse(shipped):
    refused = "does not support automatic differentiation"
    unexpected = {name for name, reason in shipped.failed.items() if refused not in reason}
    assert unexpected == {"regressions.yaml::kronecker_product_of_a_transpose[-0]"}  # a finding


def test_nothing_is_reached_that_is_called_impossible(shipped):
    assert not [
        (item.kind, item.name, cases)
        for item, cases in shipped.cases.items()
        if cases and reason_for(item).impossible
    ]


@for_this_release
def test_every_reason_is_about_something():
    assert not [each for each in reasons() if not any(map(each.matches, items()))]


DATABASE = """
import json, sys, types, unittest, warnings
warnings.simplefilter("ignore")
# All that the database takes of this package, which PyTorch does not require, is a base class.
sys.modules["expecttest"] = types.SimpleNamespace(TestCase=unittest.TestCase)
from torch.testing._internal.common_methods_invocations import op_db
found = {}
for entry in op_db:
    if entry.supports_autograd:
        found.setdefault(entry.name, set()).update(alias.name for alias in entry.aliases)
print(json.dumps({name: sorted(aliases - found.keys()) for name, aliases in found.items()}))
"""


@for_this_release
def test_the_list_of_operators_is_the_installed_database():
    done = subprocess.run(
        [sys.executable, "-c", DATABASE], capture_output=True, text=True, check=True
    )
    database = {name: tuple(aliases) for name, aliases in json.loads(done.stdout).items()}
    assert {each.name: each.aliases for each in listed()} == database


def test_the_list_of_operators_is_sorted_so_that_it_can_be_reviewed():
    names = [each.name for each in listed()]
    assert names == sorted(set(names))


@for_this_release
def test_formulas_are_those_of_the_installed_release():
    kinds = [item.kind for item in items()]
    assert {
        kind: kinds.count(kind) for kind in (BACKWARD_NODE, DOUBLE_BACKWARD_NODE, FORWARD_FORMULA)
    } == {
        BACKWARD_NODE: 649,
        DOUBLE_BACKWARD_NODE: 80,
        FORWARD_FORMULA: 463,
    }


# one case at a time


@pytest.fixture
def reached(tmp_path):
    """What a case reaches, by kind."""

    def measure(text, kind):
        (tmp_path / "one.yaml").write_text(f"one: {text}\n")
        reach = reach_of(cases_in(tmp_path))
        return {item.name for item, cases in reach.cases.items() if item.kind == kind and cases}

    return measure


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("torch.exp(x)", "exp"),
        ("x.exp()", "exp"),
        ("x.exp_()", "exp"),
        ("F.relu(x)", "nn.functional.relu"),
        ("torch.special.expm1(x)", "expm1"),  # an alias
        ("x.sin().cos()", "sin"),
        ("x + x", "add"),
        ("2 - x", "__rsub__"),
        ("x.reshape(1, 1).T.sum()", "T"),
        ("x.reshape(1)[0]", "__getitem__"),
    ],
)
def test_a_name_counts_where_it_is_called(reached, code, name):
    case = f"{{formula: x, inputs: {{x: '(1, 2)'}}, torch: '{code}'}}"
    assert name in reached(case, OPERATOR)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("{formula: exp(x), inputs: {x: real}, summary: as torch.sin(x), torch: torch.exp(x)}",
         "sin"),  # in a text
        ("{formula: x, inputs: {x: real}, torch: torch.relu(x)}", "nn.functional.relu"),
        ("{formula: x, inputs: {x: real}, torch: torch.special.expm1(x)}", "special.erfcx"),
        ("{formula: x, inputs: {x: '(1, 2)'}, torch: F.softplus(x)}", "exp"),  # within
    ],
)  # fmt: skip
def test_a_name_does_not_count_where_another_is_called(reached, case, name):
    assert name not in reached(case, OPERATOR)


SINE = "{formula: sin(x), inputs: {x: real}}"


def test_nodes_of_the_result_and_of_its_gradient_count(reached):
    assert reached(SINE, BACKWARD_NODE) == {"SinBackward0", "CosBackward0", "MulBackward0"}


def test_a_case_of_order_one_has_no_gradient_that_is_differentiated(reached):
    assert reached(SINE.replace("}}", "}, order: 1}"), BACKWARD_NODE) == {"SinBackward0"}


def test_the_derivative_of_a_backward_is_a_double_backward(reached):
    assert reached("{formula: tanh(x), inputs: {x: real}}", DOUBLE_BACKWARD_NODE) == {
        "TanhBackwardBackward0"
    }


def test_forward_formulas_are_those_of_the_call_and_of_its_gradient(reached):
    assert reached(SINE, FORWARD_FORMULA) == {"sin", "cos", "mul.Tensor"}


def test_what_acts_on_constants_alone_is_no_forward_formula(reached):
    case = "{formula: x, inputs: {x: real}, constants: {c: [2.0]}, torch: 'x + torch.exp(c)[0]'}"
    assert "exp" not in reached(case, FORWARD_FORMULA)


def test_code_that_raises_is_told_and_reaches_nothing(tmp_path):
    (tmp_path / "one.yaml").write_text(
        "one: {formula: x, inputs: {x: real}, torch: 'torch.exp(x, nope=1)'}\n"
    )
    reach = reach_of(cases_in(tmp_path))
    assert not any(reach.cases.values())
    assert list(reach.failed) == ["one.yaml::one[-0]"]
    assert "nope" in as_table(reach, 1, everything=False)


# as it is shown


def test_the_figures_add_up(shipped):
    for figure in figures(shipped):
        assert figure.reached <= figure.possible
    assert sum(one.possible + one.impossible for one in figures(shipped)) == len(items()) + 188


def test_every_name_is_reached_or_has_a_reason(shipped):
    told = {
        name
        for impossible in (False, True)
        for names in unreached(shipped, OPERATOR, impossible=impossible).values()
        for name in names
    }
    reached = {
        item.name for item, cases in shipped.cases.items() if item.kind == OPERATOR and cases
    }
    assert told | reached == {each.name for each in listed()}
    assert not told & reached


def test_the_table_fits_eighty_columns(shipped):
    lines = as_table(shipped, 500, everything=True).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].split() == ["reached", "possible", "impossible"]


def test_json_has_each_item_with_its_state(shipped):
    found = coverage_json(shipped)
    by_name = {(item["kind"], item["name"]): item for item in found["items"]}
    assert by_name["operator", "exp"]["state"] == "reached"
    assert "elementary.yaml::exponential" in by_name["operator", "exp"]["cases"]
    assert by_name["operator", "bernoulli"]["state"] == "impossible"
    assert by_name["operator", "bernoulli"]["reason"].startswith("random")
    assert len(found["items"]) == len(items())

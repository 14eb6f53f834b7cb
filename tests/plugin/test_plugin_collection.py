"""Which files are catalogs, what their items are called, and how they are selected."""

import subprocess
import sys

import pytest
from default_witnesses import asked

VARIANTS = """
softmax:
  inputs: {x: {shape: [2, 3]}}
  sweep: {d: [0, 1]}
  formula: exp(x) / sum(exp(x), dim=d, keepdim=True)
  torch: ["torch.softmax(x, dim=d)", x.softmax(d)]
softmaxed:
  formula: x
  inputs: {x: real}
  tags: [gentle]
"""


def test_ids_name_case_witness_device_and_dtype(project):
    project.cases("agrees")
    ids = project.ids("--witness", "reverse,value", "--device", "cpu")
    assert ids == [
        "cases/small.yaml::agrees[value-cpu-float64]",
        "cases/small.yaml::agrees[value-cpu-float32]",
        "cases/small.yaml::agrees[reverse-cpu-float64]",
        "cases/small.yaml::agrees[reverse-cpu-float32]",
    ]


def test_ids_name_variant_and_implementation_where_there_are_several(project):
    project.write("cases/several.yaml", VARIANTS)
    ids = project.ids("--witness", "reverse", "--device", "cpu", "--dtype", "float64")
    assert ids == [
        "cases/several.yaml::softmax[d=0-0-reverse-cpu-float64]",
        "cases/several.yaml::softmax[d=0-1-reverse-cpu-float64]",
        "cases/several.yaml::softmax[d=1-0-reverse-cpu-float64]",
        "cases/several.yaml::softmax[d=1-1-reverse-cpu-float64]",
        "cases/several.yaml::softmaxed[reverse-cpu-float64]",
    ]


def test_ids_of_a_file_in_a_folder_of_a_catalog_have_its_path(project):
    project.cases("agrees")
    project.cases("agrees", file="cases/kernels/small.yaml")
    options = ("--witness", "value", "--device", "cpu", "--dtype", "float64")
    within = "cases/kernels/small.yaml::agrees[value-cpu-float64]"
    assert project.ids(*options) == [within, "cases/small.yaml::agrees[value-cpu-float64]"]
    assert project.ids("cases/kernels", *options) == [within]


UNMATCHED = """
- case: small.yaml::nowhere
  issue: not reported
  because: it is about this folder's file, which has no such case
"""


def test_a_folder_of_a_catalog_has_known_failures_of_its_own(project):
    project.cases("agrees")
    project.cases("agrees", file="cases/kernels/small.yaml")
    project.write("cases/kernels/known_failures.yaml", UNMATCHED)
    options = ("--witness", "value", "--device", "cpu", "--dtype", "float64")
    assert "cases/kernels/small.yaml::known-failures" in project.ids("cases/kernels", *options)
    assert project.ids("cases/small.yaml", *options) == [
        "cases/small.yaml::agrees[value-cpu-float64]"
    ]


def test_a_case_named_on_the_command_line_is_taken_with_all_its_variants(project):
    project.write("cases/several.yaml", VARIANTS)
    ids = project.ids("cases/several.yaml::softmax", "--witness", "value", "--dtype", "float64")
    assert [name.partition("::")[2].partition("-")[0] for name in ids] == [
        "softmax[d=0",
        "softmax[d=0",
        "softmax[d=1",
        "softmax[d=1",
    ]


def test_a_file_whose_name_ends_like_that_of_the_list_is_a_file_of_cases(project):
    project.cases("agrees", file="cases/old_known_failures.yaml")
    assert len(project.ids("--device", "cpu")) == 2 * len(asked())


def test_one_check_is_selected_by_its_id(project):
    project.cases("agrees")
    name = "cases/small.yaml::agrees[reverse-cpu-float32]"
    assert project.ids(name) == [name]


def test_a_case_that_is_not_there_is_bad_use(project):
    project.cases("agrees")
    result = project.run("cases/small.yaml::agree")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("softmaxed", 1),
        ("gentle", 1),
        ("softmax", 5),
        ("not softmaxed", 4),
    ],
)
def test_k_selects_by_name_and_tag(project, expression, count):
    project.write("cases/several.yaml", VARIANTS)
    one = ("--witness", "value", "--dtype", "float64", "--device", "cpu")
    assert len(project.ids("-k", expression, *one)) == count


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("gentle", 2 * len(asked())),
        ("float32", 5 * len(asked())),
        ("cpu", 10 * len(asked())),
        ("cuda", 0),
        ("reverse", 10),
        ("order2", 10 * (len(asked(2)) - len(asked(1)))),
        ("order1", 10 * (len(asked(1)) - 1)),
        ("order0", 10),
        ("order0 and not value", 0),
    ],
)
def test_m_selects_by_marker(project, expression, count):
    project.write("cases/several.yaml", VARIANTS)
    ids = project.ids("-m", expression, "--strict-markers", "--device", "cpu")
    assert len(ids) == count


def test_a_tag_that_pytest_refuses_as_a_marker_is_left_to_k(project):
    project.cases("agrees", extra="  tags: [_quiet]\n")
    assert len(project.ids("-k", "_quiet", "--device", "cpu")) == 2 * len(asked())


def test_catalogs_lie_in_folders_named_cases_at_any_depth(project):
    project.cases("agrees", file="deep/cases/deeper/a.yaml")
    project.cases("agrees", file="elsewhere/b.yaml")
    ids = project.ids("--witness", "value", "--dtype", "float64")
    assert ids == ["deep/cases/deeper/a.yaml::agrees[value-cpu-float64]"]


def test_a_file_named_on_the_command_line_is_taken_wherever_it_lies(project):
    project.cases("agrees", file="elsewhere/b.yaml")
    ids = project.ids("elsewhere/b.yaml", "--witness", "value", "--dtype", "float64")
    assert ids == ["elsewhere/b.yaml::agrees[value-cpu-float64]"]


def test_the_ini_file_says_which_folders_are_catalogs(project):
    project.pytester.makeini("[pytest]\ngradcheck_catalogs = elsewhere\n")
    project.cases("agrees", file="elsewhere/below/b.yaml")
    assert len(project.ids("--witness", "value", "--dtype", "float64")) == 1


def test_known_failures_are_no_cases(project):
    project.cases("agrees")
    project.write(
        "cases/known_failures.yaml",
        "- case: small.yaml::agrees\n  issue: https://example.org/1\n  because: an example\n",
    )
    assert {name.partition("::")[0] for name in project.ids()} == {"cases/small.yaml"}


@pytest.mark.parametrize("name", ["known_failures.yaml", "known_failures.yml"])
def test_a_known_failure_of_no_case_is_an_error(project, name):
    project.cases("agrees")
    project.write(
        f"cases/{name}",
        "- case: small.yaml::agreed\n  issue: https://example.org/1\n  because: an example\n",
    )
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"cases/{name}:1:*: the case 'agreed'*"])


def test_a_condition_that_no_input_meets_is_an_error(project):
    project.cases("agrees", extra="  where: x > x\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["cases/small.yaml:1:1: *no drawn input meets its `where`"])


def test_a_bad_file_gives_its_problems_without_a_traceback(project):
    project.write("cases/bad.yaml", "wrong:\n  formula: sine(x)\n  inputs: {x: real}\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.re_match_lines(
        [r"cases/bad\.yaml:2:\d+: .*sine.*", r" +expected: .*", r" +fix: .*"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*gradcheck/plugin*")


def test_a_bad_file_fails_in_a_run_with_workers_likewise(project):
    project.write("cases/bad.yaml", "wrong:\n  formula: sine(x)\n  inputs: {x: real}\n")
    project.cases("agrees")
    assert project.run_alone("-n", "2").ret == pytest.ExitCode.TESTS_FAILED


FUNCTION = """
mine:
  formula: x**2
  inputs: {x: real}
  function: my_package.ops:square
"""


def test_a_function_of_an_untrusted_module_is_refused(project):
    project.write("cases/mine.yaml", FUNCTION)
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "cases/mine.yaml:?:*: function 'my_package.ops:square' is refused",
            "  expected: a function of a trusted module",
            "  fix: *--trust my_package*",
        ]
    )


@pytest.mark.parametrize(
    "allowance",
    [
        {"arguments": ("--trust", "other", "--gradcheck-trust", "my_package")},
        {"ini": "[pytest]\ngradcheck_trust = my_package\n"},
        {"project": '[tool.gradcheck]\ntrust = ["my_package"]\n'},
    ],
    ids=["option", "ini", "pyproject"],
)
def test_a_trusted_module_is_allowed(project, allowance):
    project.write("cases/mine.yaml", FUNCTION)
    project.write("pytest.ini", allowance.get("ini", "[pytest]\n"))
    project.write("pyproject.toml", allowance.get("project", ""))
    assert len(project.ids("-m", "value", *allowance.get("arguments", ()))) == 2


def test_a_trust_that_is_no_list_is_bad_use(project):
    project.cases("agrees")
    project.write("pyproject.toml", '[tool.gradcheck]\ntrust = "my_package"\n')
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*trust = 'my_package' under [[]tool.gradcheck[]]"])


LAZY = """
import sys, pytest
code = pytest.main([*{flags!r}, "--collect-only", "-q", "--device", "auto"])
heavy = {{"torch", "sympy", "hypothesis.strategies"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else int(code))
"""


def test_collecting_imports_neither_torch_nor_sympy(project):
    (project.path / "conftest.py").unlink()
    project.cases("agrees")
    flags = ("-p", "gradcheck.plugin", "-p", "gradcheck.plugin.short", "-p", "no:hypothesispytest")
    command = [sys.executable, "-c", LAZY.format(flags=flags)]
    result = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "agrees[value-cpu-float64]" in result.stdout


def test_an_item_stands_at_the_line_of_its_case(project):
    project.cases("agrees", "abstains")
    result = project.run("-rs", "--witness", "value", "--dtype", "float64")
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]] cases/small.yaml:5: abstains for*"])


ORDER = """
import os, pytest
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    with open(f"order-{worker}.txt", "w") as file:
        file.write("\\n".join(item.nodeid for item in items))
"""


def test_ids_and_their_order_are_the_same_in_every_process(project):
    project.write(
        "cases/several.yaml",
        VARIANTS.replace("softmaxed", "agrees_too").replace("softmax:", "agrees:"),
    )
    project.cases("agrees", file="more/cases/a.yaml")
    project.add_to_conftest(ORDER)
    project.run("-k", "nothing")
    project.run_alone("-n", "2", "-k", "nothing")
    orders = {(project.path / f"order-{name}.txt").read_text() for name in ("alone", "gw0", "gw1")}
    (order,) = orders
    assert len(order.splitlines()) == 84

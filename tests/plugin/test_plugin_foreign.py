"""What a catalog, or what looks like one, does to the other tests of a project: nothing."""

import itertools

import pytest

ONE = ("--witness", "value", "--dtype", "float64", "--device", "cpu")

FOREIGN = {
    "cases/config.yaml": "model: {name: resnet50}\n",
    "tests/cases/petstore.yaml": "openapi: 3.0.0\ninfo: {title: Petstore}\npaths: {/pets: {}}\n",
    "cases/stack.yml": "Resources:\n  Bucket: {Type: AWS::S3::Bucket, Name: !Ref Name}\n",
    "cases/k8s.yaml": "kind: Service\nmetadata: {name: a}\n---\nkind: Pod\n",
    "cases/empty.yaml": "",
}
REASON = "no top-level value is a map with 'formula' or 'inputs'"


@pytest.fixture
def foreign(project):
    """A project with a test of its own, and with YAML that is none of ours."""
    project.write("test_plain.py", "def test_plain():\n    assert True\n")
    for name, text in FOREIGN.items():
        project.write(name, text)
    return project


@pytest.mark.parametrize(
    "arguments", [(), (".",), ("--strict-markers", "--import-mode=importlib"), ("-W", "error")]
)
def test_foreign_yaml_is_passed_over_in_silence(foreign, arguments):
    result = foreign.run(*arguments)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*passes over*")


def test_foreign_yaml_is_passed_over_by_workers(foreign):
    result = foreign.run_alone("-n", "2")
    assert (result.ret, result.parseoutcomes()["passed"]) == (pytest.ExitCode.OK, 1)


def test_a_line_for_each_foreign_file_is_printed_where_pytest_is_verbose(foreign):
    lines = foreign.run("-v").outlines
    assert [line for line in lines if line.startswith("gradcheck passes over")] == [
        f"gradcheck passes over cases/config.yaml: {REASON}",
        "gradcheck passes over cases/empty.yaml: it is empty",
        f"gradcheck passes over cases/k8s.yaml: {REASON}",
        f"gradcheck passes over cases/stack.yml: {REASON}",
        f"gradcheck passes over tests/cases/petstore.yaml: {REASON}",
    ]


@pytest.mark.parametrize("file", ["cases/small.yaml", "cases/small.yml", "tests/cases/a.yml"])
def test_a_catalog_beside_foreign_yaml_is_collected(foreign, file):
    foreign.cases("agrees", file=file)
    foreign.run(*ONE).assert_outcomes(passed=2)


@pytest.mark.parametrize("file", FOREIGN)
def test_a_foreign_file_named_on_the_command_line_is_an_error_of_its_own(foreign, file):
    result = foreign.run("test_plain.py", file)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"FAILED {file}::case-file*"])


def test_a_folder_of_cases_named_on_the_command_line_is_taken_whole(foreign):
    foreign.cases("agrees")
    result = foreign.run("cases", *ONE)
    result.assert_outcomes(passed=1, failed=4)


def test_a_folder_named_on_the_command_line_is_a_catalog_if_it_holds_one(project):
    project.cases("agrees", file="elsewhere/below/a.yaml")
    project.write("elsewhere/config.yaml", FOREIGN["cases/config.yaml"])
    project.run("elsewhere", *ONE).assert_outcomes(passed=1, failed=1)


def test_a_folder_named_on_the_command_line_is_no_catalog_if_it_holds_none(project):
    project.write("elsewhere/config.yaml", FOREIGN["cases/config.yaml"])
    assert project.run("elsewhere").ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize("folder", ["tests", "tests/cases"])
def test_a_folder_with_tests_of_python_is_named_for_these(foreign, folder):
    foreign.write("tests/cases/test_more.py", "def test_more():\n    assert True\n")
    foreign.cases("agrees", file="tests/cases/a.yaml")
    foreign.cases("agrees", file="tests/data/b.yaml")
    foreign.run(folder, *ONE).assert_outcomes(passed=2)


def test_folders_of_the_ini_file_are_not_named_on_the_command_line(foreign):
    foreign.pytester.makeini("[pytest]\ntestpaths = cases\n")
    foreign.cases("agrees")
    foreign.run(*ONE).assert_outcomes(passed=1)
    foreign.run_alone(*ONE, "-n", "1").assert_outcomes(passed=1)


@pytest.mark.parametrize("value", ["", "elsewhere"])
def test_the_ini_file_replaces_the_folders_named_cases(foreign, value):
    foreign.pytester.makeini(f"[pytest]\ngradcheck_catalogs = {value}\n")
    foreign.cases("agrees")
    foreign.run(*ONE).assert_outcomes(passed=1)


def test_an_empty_list_in_a_project_file_switches_collection_off(foreign):
    foreign.write("pyproject.toml", "[tool.pytest.ini_options]\ngradcheck_catalogs = []\n")
    foreign.cases("agrees")
    result = foreign.run(*ONE)
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("gradcheck*")


def test_a_file_named_on_the_command_line_is_taken_though_collection_is_off(foreign):
    foreign.pytester.makeini("[pytest]\ngradcheck_catalogs =\n")
    foreign.cases("agrees")
    foreign.run("cases/small.yaml", *ONE).assert_outcomes(passed=1)


BAD = "square:\n  formula: sine(x)\n  inputs: {x: real}\nother:\n  formula: x**2\n  inputs: {}\n"


@pytest.fixture
def faulty(project):
    """A project with a test of its own, a sound file, and one in which two cases are faulty."""
    project.write("test_plain.py", "def test_plain():\n    assert True\n")
    project.cases("agrees")
    project.write("cases/bad.yaml", BAD)
    return project


def test_a_faulty_file_fails_one_item_with_all_its_problems(faulty):
    result = faulty.run(*ONE)
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["cases/bad.yaml:2:*sine*", "  expected: *", "  fix: *", "cases/bad.yaml:6:3: no inputs"]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*gradcheck/plugin*")


def test_the_short_summary_begins_with_what_is_wrong_and_not_with_the_place(faulty):
    lines = faulty.run("-rf", "--tb=no").outlines
    (line,) = [line for line in lines if line.startswith("FAILED ")]
    place, _, reason = line.partition(" - ")
    assert place == "FAILED cases/bad.yaml::case-file"
    assert reason.startswith("unknown function 'sine': write ")


def test_the_same_item_fails_in_a_run_with_workers(faulty):
    faulty.run_alone(*ONE, "-n", "2").assert_outcomes(passed=2, failed=1)


def test_a_faulty_file_is_listed_and_marked_like_checks(faulty):
    assert "cases/bad.yaml::case-file" in faulty.ids("-m", "float32 and cpu", "--strict-markers")


@pytest.mark.parametrize("name", ["square", "square[value-cpu-float64]", "nowhere"])
def test_a_case_of_a_faulty_file_fails_with_the_problems_of_the_file(faulty, name):
    result = faulty.run(f"cases/bad.yaml::{name}", *ONE)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["cases/bad.yaml:2:*sine*", "cases/bad.yaml:6:*"])


def test_a_shard_holds_a_faulty_file_or_does_not(faulty):
    shards = [faulty.ids("--shard", f"{part}/2") for part in (1, 2)]
    assert sum("cases/bad.yaml::case-file" in shard for shard in shards) == 1


def test_a_defect_of_our_own_in_reading_fails_an_item_and_stops_nothing(faulty, monkeypatch):
    def broken(file):
        raise ZeroDivisionError("a defect of our own")

    monkeypatch.setattr("gradcheck.plugin.collect.CaseFile.cases", broken)
    faulty.run(*ONE).assert_outcomes(passed=1, failed=2)


FUNCTIONS = """
first:
  formula: x**2
  inputs: {x: real}
  function: my_ops:square
agrees:
  formula: x**2
  inputs: {x: real}
second:
  formula: x**3
  inputs: {x: real}
  function: my_ops.deep:cube
"""


def test_of_a_file_with_untrusted_code_the_other_cases_run(project):
    project.write("cases/mine.yaml", FUNCTIONS)
    result = project.run(*ONE)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["FAILED *mine.yaml::first*", "FAILED *mine.yaml::second*"])


def failures(result):
    """The lines below the heads of the failures."""
    lines = result.outlines
    start = next(k for k, line in enumerate(lines) if "= FAILURES =" in line)
    below = itertools.takewhile(lambda line: not line.startswith("==="), lines[start + 1 :])
    return [line for line in below if not line.startswith("___")]


ASKED = [
    "cases/mine.yaml:5:13: function 'my_ops:square' is refused",
    "  expected: a function of a trusted module",
    "  fix:      importing 'my_ops' runs its code, and the module is not trusted: allow it by "
    "--trust my_ops (in a project of your own --gradcheck-trust my_ops), or by "
    'trust = ["my_ops"] under [tool.gradcheck] in the pyproject.toml of pytest\'s rootdir',
]


def test_trust_is_asked_for_once_a_module(project):
    project.write("cases/mine.yaml", FUNCTIONS)
    project.write("cases/other.yaml", FUNCTIONS.replace("my_ops", "more_ops"))
    assert failures(project.run(*ONE)) == [
        *ASKED,
        "cases/mine.yaml:12:13: function 'my_ops.deep:cube' is refused: 'my_ops' is not trusted, "
        "see cases/mine.yaml::first",
        *(line.replace("my_ops", "more_ops").replace("mine", "other") for line in ASKED),
        "cases/other.yaml:12:13: function 'more_ops.deep:cube' is refused: 'more_ops' is not "
        "trusted, see cases/other.yaml::first",
    ]


def test_trust_is_asked_for_where_the_first_case_is_left_out(project):
    project.write("cases/mine.yaml", FUNCTIONS)
    result = project.run("cases/mine.yaml::second[value-cpu-float64]", *ONE)
    result.assert_outcomes(failed=1)
    assert len(failures(result)) == 3


@pytest.mark.parametrize("order", [("cases", "tests"), ("tests", "cases")], ids=" then ".join)
@pytest.mark.parametrize("installed", [True, False], ids=["installed", "not installed"])
def test_trust_changes_nothing_for_the_tests_of_a_project(project, monkeypatch, installed, order):
    project.write("my_ops.py", "square = None\n")
    project.write("cases/mine.yaml", FUNCTIONS.replace("first:", "imports:").replace(".deep", ""))
    project.write("tests/test_own.py", "def test_own():\n    import my_ops\n")
    if installed:
        monkeypatch.syspath_prepend(project.path)
    own = {"passed": 1} if installed else {"failed": 1}
    flags = ("--import-mode=importlib", *ONE)
    project.run(*flags, "tests").assert_outcomes(**own)
    project.run(*flags, "tests", "--trust", "my_ops").assert_outcomes(**own)
    both = project.run(*flags, *order, "-k", "imports or own", "--trust", "my_ops")
    both.assert_outcomes(passed=1 + installed, failed=1 - installed)


LIST = """
- case: small.yaml::agreed
  issue: https://example.org/1
  because: a name that is not there
- case: small.yaml::agrees
  because: no issue
"""


def test_faulty_known_failures_fail_one_item_of_the_folder(project):
    project.cases("agrees")
    project.cases("agrees", file="cases/zweite.yaml")
    project.write("cases/known_failures.yaml", LIST)
    result = project.run(*ONE)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "cases/known_failures.yaml:2:*: the case 'agreed', which is not in small.yaml",
            "cases/known_failures.yaml:5:*: no 'issue'",
            "FAILED cases/small.yaml::known-failures*",
        ]
    )

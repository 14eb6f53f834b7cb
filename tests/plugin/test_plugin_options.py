"""Every option with a value that is not its default, in both spellings and in the ini file."""

import pytest

ONE = ("--witness", "value", "--dtype", "float64", "--device", "cpu")


@pytest.mark.parametrize("prefix", ["--", "--gradcheck-"])
def test_lists_restrict_what_is_collected(project, prefix):
    project.cases("agrees")
    options = (f"{prefix}witness", "forward, reverse", f"{prefix}dtype", "float32")
    assert project.ids(*options, f"{prefix}device", "cpu") == [
        "cases/small.yaml::agrees[reverse-cpu-float32]",
        "cases/small.yaml::agrees[forward-cpu-float32]",
    ]


def test_the_ini_file_gives_what_the_command_line_leaves_open(project):
    project.pytester.makeini(
        "[pytest]\ngradcheck_witness = reverse\ngradcheck_dtype = float32\ngradcheck_device = cpu\n"
        "gradcheck_points = 3\ngradcheck_seed = 9\ngradcheck_strict_accuracy = true\n"
        "gradcheck_report = out\n"
    )
    project.cases("inaccurate")
    result = project.run("--seed", "11")
    result.assert_outcomes(failed=1)
    (record,) = project.results()
    assert (record["witness"], record["dtype"]) == ("reverse", "float32")
    assert record["reason"] == "inaccurate for 3 points and seed 11"


def test_points_and_seed_reach_the_examination(project):
    project.cases("agrees")
    project.run("--points", "1000", "--gradcheck-seed", "7", "--report", "out", *ONE)
    (record,) = project.results()
    assert record["reason"] == "agrees for 1000 points and seed 7"
    assert record["seed"] == 7


@pytest.mark.parametrize("options", [("--strict-accuracy",), ("--gradcheck-strict-accuracy",)])
def test_inaccuracy_fails_only_where_that_is_asked_for(project, options):
    project.cases("inaccurate")
    assert project.run(*ONE).ret == pytest.ExitCode.OK
    assert project.run(*ONE, *options).ret == pytest.ExitCode.TESTS_FAILED


def test_shards_are_disjoint_and_together_everything(project):
    project.cases(*(f"agrees_{number}" for number in range(10)))
    shards = [project.ids("--shard", f"{part}/3") for part in (1, 2, 3)]
    whole = project.ids()
    assert sorted(name for shard in shards for name in shard) == sorted(whole)
    assert min(map(len, shards)) > 0
    assert len(whole) == 140


def test_a_shard_is_the_same_on_every_machine(project):
    project.cases(*(f"agrees_{number}" for number in range(5)))
    assert project.ids("--shard", "2/5", *ONE) == ["cases/small.yaml::agrees_1[value-cpu-float64]"]


def test_what_a_shard_leaves_out_is_reported(project):
    project.cases(*(f"agrees_{number}" for number in range(10)))
    project.write("test_plain.py", "def test_plain():\n    assert True\n")
    result = project.run("--shard", "1/2")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] + outcomes["deselected"] == 141
    result.stdout.fnmatch_lines(["*test_plain.py .*"])


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (
            ("--dtype", "float46"),
            [
                "ERROR: --dtype float46: unknown name",
                "  expected: some of float64, float32, float16, bfloat16, complex128, *",
                "  fix:      write float64",
            ],
        ),
        (("--witness", "revers"), ["ERROR: --witness revers: unknown name", "*", "*write reverse"]),
        (("--witness", "symbolic"), ["ERROR: --witness symbolic: symbolic is the reference*"]),
        (
            ("--points", "0"),
            [
                "ERROR: --points 0: not such a number",
                "  expected: a whole number from 1 to 1000000",
                "  fix:      leave it out, which means 64",
            ],
        ),
        (("--points", "1e3"), ["ERROR: --points 1e3: not such a number"]),
        (("--seed", "9" * 5000), ["ERROR: --seed 999*: not such a number"]),
        (("--seed=-1",), ["ERROR: --seed -1: not such a number"]),
        (("--shard", "6/5"), ["ERROR: --shard 6/5: no part of a whole"]),
        (("--shard", "0/5"), ["ERROR: --shard 0/5: no part of a whole"]),
        (("--shard", "half"), ["ERROR: --shard half: no part of a whole"]),
        (
            ("--device", "cuda:9999"),
            [
                "ERROR: --device cuda:9999: no such device here",
                "  expected: one or more of cpu*, or auto",
            ],
        ),
        (("--device", "toaster"), ["ERROR: --device toaster: no such device here"]),
        (("--device", "meta"), ["ERROR: --device meta: no such device here"]),
        (
            ("--time-limit", "long"),
            [
                "ERROR: --time-limit long: no limit",
                "  expected: a number such as 60 or 0.5; 0 for no limit",
                "  fix:      leave it out, which means 300",
            ],
        ),
        (("--memory-limit=-1",), ["ERROR: --memory-limit -1: no limit"]),
        (("--resume", "nowhere"), ["ERROR: *nowhere cannot be read: No such file or directory"]),
        (("--report", "conftest.py"), ["ERROR: the report folder *conftest.py: File exists"]),
    ],
)
def test_a_bad_value_is_bad_use_and_says_what_is_expected(project, options, lines):
    project.cases("agrees")
    result = project.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(lines)


def test_a_bad_value_in_the_ini_file_names_its_key(project):
    project.pytester.makeini("[pytest]\ngradcheck_points = many\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: gradcheck_points many: not such a number"])


def test_a_bad_value_is_named_by_the_spelling_of_the_project(pytester):
    flags = ("-p", "gradcheck.plugin", "--gradcheck-device", "toaster")
    result = pytester.runpytest_inprocess(*flags)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --gradcheck-device toaster: no such device here"])


def test_no_short_spelling_exists_in_a_project_of_its_own(pytester):
    result = pytester.runpytest_inprocess("-p", "gradcheck.plugin", "--shard", "1/2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_the_help_lists_every_option_and_says_what_comes_later(project):
    text = project.run("--help").stdout.str()
    assert all(f"--{name}" in text for name in NAMES)
    assert all(f"--gradcheck-{name}" in text for name in NAMES)
    assert all(f"gradcheck_{name.replace('-', '_')}" in text for name in NAMES)
    assert "report.html comes at a later stage" in " ".join(text.split())


NAMES = (
    "device",
    "dtype",
    "witness",
    "points",
    "seed",
    "strict-accuracy",
    "shard",
    "report",
    "resume",
    "time-limit",
    "memory-limit",
    "in-process",
    "trust",
)


OWNER = """
def pytest_addoption(parser):
    parser.addoption("--device")
"""
LOADS = 'pytest_plugins = ["gradcheck.plugin.short"]\n'


@pytest.mark.parametrize(
    ("files", "arguments", "place"),
    [
        ({"conftest.py": LOADS + OWNER}, (), "*conftest.py"),
        ({"conftest.py": OWNER}, ("-p", "gradcheck.plugin.short"), "-p gradcheck.plugin.short"),
        ({"conftest.py": LOADS, "tests/conftest.py": OWNER}, ("tests",), "*conftest.py"),
        (
            {"mine.py": OWNER},
            ("-p", "mine", "-p", "gradcheck.plugin.short"),
            "-p gradcheck.plugin.short",
        ),
    ],
    ids=["one conftest", "before a conftest", "a conftest below", "another plugin"],
)
def test_a_second_owner_of_a_short_option_is_bad_use(project, files, arguments, place):
    for name, text in files.items():
        project.write(name, text)
    result = project.pytester.runpytest_subprocess("-p", "gradcheck.plugin", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            f"ERROR: {place}: gradcheck.plugin.short adds the option --device, which another "
            "plugin or conftest.py adds too",
            "  expected: one owner of each option",
            "  fix:      leave gradcheck.plugin.short out: --gradcheck-device does the same",
        ]
    )
    result.stderr.no_fnmatch_line("*Traceback*")


def test_options_of_a_project_beside_the_long_spellings_are_its_own(project):
    project.write("conftest.py", OWNER)
    project.write("test_plain.py", "def test_plain():\n    assert True\n")
    flags = ("-p", "gradcheck.plugin", "--device", "mine")
    assert project.pytester.runpytest_subprocess(*flags).ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        (
            '[tool.gradcheck]\ntrus = ["my_ops"]\n',
            ("the unknown key 'trus' under [tool.gradcheck]", "the key trust", "write trust"),
        ),
        (
            '[tool.gradcheck]\ntrust = ["my_ops"]\npoints = 8\n',
            (
                "the unknown key 'points' under [tool.gradcheck]",
                "the key trust",
                "write gradcheck_points under [tool.pytest.ini_options]",
            ),
        ),
        (
            "[tool.gradcheck.colour]\nred = 1\n",
            ("the unknown key 'colour' under [tool.gradcheck]", "the key trust", "remove it"),
        ),
        (
            '[tool.gradcheck]\ntrust = ["my_ops", 3]\n',
            (
                "trust = ['my_ops', 3] under [tool.gradcheck]",
                "a list of module names",
                'write trust = ["my_package"]',
            ),
        ),
        (
            '[tool]\ngradcheck = "my_ops"\n',
            (
                "gradcheck = 'my_ops' under [tool]",
                "a table with the key trust",
                'write trust = ["my_package"] under [tool.gradcheck]',
            ),
        ),
    ],
    ids=["misspelt", "another table's", "nobody's", "wrong items", "no table"],
)
def test_what_the_project_file_says_wrongly_is_bad_use(project, table, lines):
    path = project.write("pyproject.toml", table)
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    found, expected, fix = lines
    assert result.errlines[:3] == [
        f"ERROR: {path}: {found}",
        f"  expected: {expected}",
        f"  fix:      {fix}",
    ]


@pytest.mark.parametrize("text", ["", "[tool.gradcheck]\n", "[tool.other]\na = 1\n"])
def test_a_project_file_that_trusts_nobody_is_no_mistake(project, text):
    project.write("pyproject.toml", text)
    project.write("pytest.ini", "[pytest]\n")
    assert project.run().ret == pytest.ExitCode.NO_TESTS_COLLECTED

"""`gradcheck list`: cases, variants, and how many checks."""

import json

import pytest
from default_witnesses import asked

from gradcheck.catalog.files import catalog_folder


def test_the_list_says_each_case_its_checks_and_the_sums(command, catalog):
    # Two implementations in two dtypes; two variants in two dtypes.
    square, power = 4 * len(asked(2)), 4 * len(asked(1))
    assert command("list", "cases").out == (
        "cases/small.yaml\n"
        f"  square     {square} checks                the square\n"
        f"  power      {power} checks    2 variants\n"
        "\n"
        f"1 file, 2 cases, 3 variants, {square + power} checks on the CPU\n"
    )


def test_the_list_as_json_holds_the_same(command, catalog):
    square, power = json.loads(command("list", "cases", "--json").out)
    assert square == {
        "file": "cases/small.yaml",
        "line": 1,
        "case": "square",
        "summary": "the square",
        "variants": 1,
        "implementations": 2,
        "checks": 4 * len(asked()),
        "order": 2,
        "dtypes": ["float64", "float32"],
        "tags": [],
    }
    assert (power["case"], power["variants"], power["order"]) == ("power", 2, 1)


def test_without_a_path_the_packaged_catalog_is_listed(command):
    ended = command("list")
    assert ended.code == 0
    assert f"{catalog_folder().name}/tutorial.yaml\n" in ended.out


def test_a_broken_file_is_reported_and_nothing_is_listed(command, catalog):
    (catalog / "broken.yaml").write_text("f: {formula: x^2, inputs: {x: real}}\n")
    ended = command("list", "cases")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("cases/broken.yaml:1:")


BAD_PATHS = {
    "-": (
        "'-' stands for standard input, which gradcheck does not read\n"
        "  expected: a YAML file or a folder\n"
        "  fix:      write the cases into a file and name it\n"
    ),
    "nope": (
        "no such file or folder: nope\n"
        "  expected: a YAML file or a folder\n"
        "  fix:      check the spelling; paths are taken from the current folder\n"
    ),
    "cases/small": (
        "no such file or folder: cases/small\n"
        "  expected: a YAML file or a folder\n"
        "  fix:      write cases/small.yaml\n"
    ),
    "notes.txt": (
        "not a YAML file: notes.txt\n"
        "  expected: a file whose name ends in .yaml or .yml\n"
        "  fix:      name a case file\n"
    ),
    "empty": (
        "no case files in empty\n"
        "  expected: a folder with .yaml or .yml files\n"
        "  fix:      name another folder\n"
    ),
}


@pytest.mark.parametrize("name", ["list", "validate"])
@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_holds_no_cases_is_bad_use(command, catalog, name, path):
    (catalog.parent / "notes.txt").write_text("not a case")
    (catalog.parent / "empty").mkdir()
    ended = command(name, path)
    assert (ended.code, ended.out, ended.err) == (4, "", BAD_PATHS[path])


def test_of_a_project_only_the_folders_named_cases_are_taken(command, catalog):
    (catalog.parent / "settings.yaml").write_text("unrelated: [1, 2]\n")
    assert command("validate", ".").out == "1 file, 2 cases: no problems\n"


def test_a_folder_without_such_a_folder_is_itself_a_catalog(command, tmp_path):
    (tmp_path / "mine.yaml").write_text("f: {formula: x**2, inputs: {x: real}}\n")
    assert command("validate", tmp_path).out == "1 file, 1 case: no problems\n"


@pytest.mark.parametrize("name", ["mine.yml", "."])
def test_yml_counts_like_yaml(command, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yml").write_text("f: {formula: x**2, inputs: {x: real}}\n")
    assert "1 file, 1 case," in command("list", name).out
    assert command("validate", name).out == "1 file, 1 case: no problems\n"


def names(ended):
    return [entry["case"] for entry in json.loads(ended.out)]


@pytest.mark.parametrize(
    ("paths", "cases"),
    [
        (["cases/small.yaml::square"], ["square"]),
        (["cases/small.yaml::power[k=2]"], ["power"]),
        (["cases/small.yaml::power", "cases/small.yaml::square"], ["square", "power"]),
        (["cases/small.yaml::power", "cases"], ["square", "power"]),
        (["tutorial.yaml::sum_of_squares"], ["sum_of_squares"]),
        (["square_times_three"], ["square_times_three"]),
    ],
)
def test_a_case_is_listed_by_the_name_that_run_takes(command, catalog, paths, cases):
    assert names(command("list", "--json", *paths)) == cases


def test_a_case_that_the_file_does_not_have_is_bad_use(command, catalog):
    ended = command("list", "cases/small.yaml::squares")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        "cases/small.yaml has no case squares\n"
        "  expected: a case of that file\n"
        "  fix:      write square\n"
    )

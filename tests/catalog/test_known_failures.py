"""Known failures are read as carefully as cases, and are about exactly the checks they name."""

import pytest

from gradcheck.catalog.budget import Budget
from gradcheck.catalog.checks import plan
from gradcheck.catalog.known_failures import check_known, load_known
from gradcheck.catalog.load import load
from gradcheck.errors import CatalogError

CASES = """\
expm1:
  formula: exp(x) - 1
  inputs: {x: real}
  torch: [torch.expm1(x), torch.exp(x) - 1]
  points: [{at: {x: -40}}, {at: {x: 1/2}}]
scaled:
  formula: x*k
  inputs: {x: real}
  sweep: {k: [1, 2]}
"""
REST = "  issue: not reported\n  because: so\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tutorial.yaml").write_text(CASES)
    return tmp_path


@pytest.fixture
def entries(folder):
    def read(text: str):
        (folder / "known_failures.yaml").write_text(text)
        return load_known(folder, shown="known_failures.yaml")

    return read


def entry(entries, when: str = "", case: str = "expm1"):
    (found,) = entries(f"- case: tutorial.yaml::{case}\n{when}{REST}")
    return found


def checks(folder, known=(), devices=("cpu",)):
    return plan(
        load(folder / "tutorial.yaml"),
        devices=devices,
        dtypes=("float64", "float32"),
        witnesses=("value", "reverse", "second"),
        known=known,
    )


def test_the_example_of_the_format_is_read(entries):
    (found,) = entries(
        "- case: tutorial.yaml::expm1\n"
        "  at: {x: -40}                       # the point of the case that shows it\n"
        '  when: {witness: reverse, dtype: float64, device: cpu, torch: ">=2.0"}\n'
        "  issue: https://github.com/pytorch/pytorch/issues/192406\n"
        "  because: the backward multiplies by result + 1, which cancels\n"
    )
    assert (found.file, found.case, str(found.where)) == (
        *("tutorial.yaml", "expm1", "known_failures.yaml:1:3"),
    )
    assert found.when == {
        **{"witness": "reverse", "dtype": "float64", "device": "cpu", "torch": ">=2.0"}
    }
    assert found.because == "the backward multiplies by result + 1, which cancels"


@pytest.mark.parametrize("text", ["", "# nothing known\n", "[]\n"])
def test_a_list_may_be_empty(entries, text):
    assert entries(text) == ()


def test_a_folder_without_the_file_knows_of_nothing(tmp_path):
    assert load_known(tmp_path) == ()


ABOUT = [
    ("", 12),
    ("  when: {witness: reverse}\n", 4),
    ("  when: {dtype: float32}\n", 6),
    ("  when: {dtype: float32, witness: value}\n", 2),
    ("  when: {device: cpu}\n", 12),
    ("  when: {device: cuda}\n", 0),
    ("  when: {implementation: 1}\n", 6),
    ("  when: {implementation: torch.expm1(x)}\n", 6),
]


@pytest.mark.parametrize(("when", "count"), ABOUT)
def test_an_entry_is_planned_with_the_checks_it_names_and_no_others(folder, entries, when, count):
    known = [entry(entries, when)]
    assert sum(bool(check.known) for check in checks(folder, known)) == count


def test_an_entry_for_a_variant_is_about_that_variant(folder, entries):
    known = [entry(entries, "  when: {variant: k=2}\n", "scaled")]
    names = {check.variant.name for check in checks(folder, known) if check.known}
    assert names == {"k=2"}


def test_an_entry_for_cuda_is_about_every_cuda_device(folder, entries):
    known = [entry(entries, "  when: {device: cuda}\n")]
    planned = checks(folder, known, devices=("cpu", "cuda:0", "cuda:1"))
    assert {check.device for check in planned if check.known} == {"cuda:0", "cuda:1"}


@pytest.mark.parametrize(
    ("specifier", "version", "applies"),
    [
        (">=2.0", "2.13.0+cpu", True),
        ("<2.13", "2.13.0+cpu", False),
        ("==2.13.*", "2.13.1", True),
        (">=2.13", "2.14.0a0+git1234", True),
    ],
)
def test_an_entry_holds_for_the_versions_it_names(folder, entries, specifier, version, applies):
    found = entry(entries, f"  when: {{torch: '{specifier}'}}\n")
    assert found.applies(checks(folder)[0], version) is applies


def test_an_entry_may_name_the_call_that_shows_it(entries):
    found = entry(entries, "  when: {call: reverse over forward}\n")
    assert found.when == {"call": "reverse over forward"}


def test_an_entry_that_holds_everywhere_reaches_all_others_and_is_about_its_own(entries, folder):
    (found,) = entries(
        "- case: tutorial.yaml::expm1\n"
        "  when: {witness: reverse, implementation: 0}\n"
        "  everywhere: true\n"
        "  issue: https://github.com/pytorch/pytorch/issues/1\n"
        "  because: so\n"
    )
    planned = [each for each in checks(folder, [found]) if each.witness == "reverse"]
    assert sum(bool(each.known) for each in planned) == 2  # in two dtypes
    assert all(bool(each.known) is not bool(each.elsewhere) for each in planned)
    others = [each for each in checks(folder, [found]) if each.witness != "reverse"]
    assert others
    assert not any(each.known or each.elsewhere for each in others)


def test_an_entry_shows_itself_at_its_own_point_however_that_is_written(folder, entries):
    points = load(folder / "tutorial.yaml")[0].points
    assert [entry(entries, "  at: {x: 0.5}\n").shows(point) for point in points] == [False, True]
    assert [entry(entries, "  at: {x: -40.0}\n").shows(point) for point in points] == [True, False]
    assert [entry(entries).shows(point) for point in points] == [True, True]


WRONG = [
    (
        "- case: tutorial.yaml::expm1\n  everywhere: true\n" + REST,
        "k.yaml:3:10: no issue\n"
        "  expected: the issue that a witness names\n"
        "  fix:      report it, or leave `everywhere` out",
    ),
    (
        "case: tutorial.yaml::expm1\n",
        "k.yaml:1:1: a map\n"
        "  expected: a list of known failures\n"
        "  fix:      write '- case: tutorial.yaml::expm1' and its keys below",
    ),
    (
        "- case: tutorial.yaml::expm1\n  because: so\n",
        "k.yaml:1:3: no 'issue'\n"
        "  expected: the URL of the report, or 'not reported'\n"
        "  fix:      add issue: not reported",
    ),
    (
        "- case: tutorial.yaml::expm1\n  issue: pytorch 12\n  because: so\n",
        "k.yaml:2:10: the text 'pytorch 12'\n"
        "  expected: a URL, or 'not reported'\n"
        "  fix:      write it like https://github.com/pytorch/pytorch/issues/192406",
    ),
    (
        "- case: expm1\n" + REST,
        "k.yaml:1:9: the text 'expm1'\n"
        "  expected: file::case\n"
        "  fix:      write it like tutorial.yaml::expm1",
    ),
    (
        "- case: tutorials.yaml::expm1\n" + REST,
        "k.yaml:1:9: the file 'tutorials.yaml', which is not there\n"
        "  expected: a file beside this one\n"
        "  fix:      write tutorial.yaml",
    ),
    (
        "- case: tutorial.yaml::expm1\n  when: {witnes: reverse, dtype: f32}\n" + REST,
        "k.yaml:2:10: the unknown key 'witnes'\n"
        "  expected: one of witness, dtype, device, torch, call, implementation, variant\n"
        "  fix:      write witness\n"
        "k.yaml:2:34: the unknown dtype 'f32'\n"
        "  expected: one of float64, float32, float16, bfloat16, complex128, complex64\n"
        "  fix:      write float32",
    ),
    (
        "- case: tutorial.yaml::expm1\n  when: {torch: two, device: 'cuda 0'}\n" + REST,
        "k.yaml:2:17: the text 'two'\n"
        "  expected: a version specifier\n"
        "  fix:      write it like >=2.0\n"
        "k.yaml:2:30: the text 'cuda 0'\n"
        "  expected: a device\n"
        "  fix:      write it like cuda",
    ),
    (
        "- case: tutorial.yaml::expm1\n  at: {x: y}\n" + REST,
        "k.yaml:2:11: unknown name 'y'\n"
        "  expected: one of e, inf, pi\n"
        "  fix:      define 'y' or correct it",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_mistake_in_the_list_is_named_with_its_place_and_its_fix(folder, text, message):
    (folder / "known_failures.yaml").write_text(text)
    with pytest.raises(CatalogError) as caught:
        load_known(folder, shown="k.yaml")
    assert str(caught.value) == message


STALE = [
    (
        "- case: tutorial.yaml::expm2\n" + REST,
        "k.yaml:1:3: the case 'expm2', which is not in tutorial.yaml\n"
        "  expected: one that is\n"
        "  fix:      write expm1",
    ),
    (
        "- case: tutorial.yaml::expm1\n  at: {x: 2}\n" + REST,
        "k.yaml:1:3: a point that expm1 does not have\n"
        "  expected: a point of the case\n"
        "  fix:      add it under 'points' of the case",
    ),
    (
        "- case: tutorial.yaml::scaled\n  when: {variant: k=3}\n" + REST,
        "k.yaml:1:3: the variant 'k=3', which scaled does not have\n"
        "  expected: one of k=1, k=2\n"
        "  fix:      correct it",
    ),
    (
        "- case: tutorial.yaml::expm1\n  when: {implementation: 2}\n" + REST,
        "k.yaml:1:3: the implementation '2', which expm1 does not have\n"
        "  expected: its text, or a number below 2\n"
        "  fix:      correct it",
    ),
]


@pytest.mark.parametrize(("text", "message"), STALE)
def test_an_entry_that_matches_nothing_is_an_error(folder, text, message):
    (folder / "known_failures.yaml").write_text(text)
    known = load_known(folder, shown="k.yaml")
    with pytest.raises(CatalogError) as caught:
        check_known(known, {"tutorial.yaml": load(folder / "tutorial.yaml")})
    assert str(caught.value) == message


def test_entries_about_files_that_were_not_loaded_are_passed_over(entries):
    check_known([entry(entries, case="nowhere")], {})


def test_entries_that_match_are_no_error(folder, entries):
    loaded = {"tutorial.yaml": load(folder / "tutorial.yaml")}
    check_known([entry(entries, "  at: {x: -40}\n"), entry(entries)], loaded)


def test_a_list_and_its_catalog_may_end_in_yml(folder):
    (folder / "tutorial.yaml").rename(folder / "tutorial.yml")
    (folder / "known_failures.yml").write_text("- case: tutorial.yml::expm1\n" + REST)
    (found,) = load_known(folder)
    assert (found.file, found.case) == ("tutorial.yml", "expm1")


def test_two_lists_in_a_folder_are_refused(folder):
    for name in ("known_failures.yaml", "known_failures.yml"):
        (folder / name).write_text("- case: tutorial.yaml::expm1\n" + REST)
    with pytest.raises(CatalogError) as caught:
        load_known(folder, shown="k.yaml")
    assert str(caught.value) == (
        "k.yaml:1:1: a second list, known_failures.yml, beside this one\n"
        "  expected: one list in a folder\n"
        "  fix:      move its entries to known_failures.yaml"
    )


def test_points_of_a_list_are_refused_when_they_cost_more_than_a_file_may(folder, monkeypatch):
    monkeypatch.setattr("gradcheck.catalog.known_failures.Budget", lambda: Budget(work=10_000))
    point = "  at: {x: 'sum([k for k in range(3000)])'}\n"
    (folder / "known_failures.yaml").write_text("- case: tutorial.yaml::expm1\n" + point + REST)
    with pytest.raises(CatalogError) as caught:
        load_known(folder, shown="k.yaml")
    assert str(caught.value) == (
        "k.yaml:1:3: points that take too long to read\n"
        "  expected: at most 1,600,000 steps of computation "
        "for all cases of a file\n"
        "  fix:      leave entries out, or write shorter numbers"
    )

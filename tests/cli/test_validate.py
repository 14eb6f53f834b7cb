"""`gradcheck validate`: every problem of every file, and what it says of sound ones."""

import json

import pytest

BROKEN = "f:\n  formula: x^2\n  inputs: {x: real}\ng:\n  formula: sine(x)\n  inputs: {x: real}\n"


def test_a_sound_catalog_has_no_problems(command, catalog):
    ended = command("validate", "cases")
    assert (ended.code, ended.out, ended.err) == (0, "1 file, 2 cases: no problems\n", "")


def test_all_problems_of_all_files_are_reported(command, catalog):
    (catalog / "a.yaml").write_text(BROKEN)
    (catalog / "b.yaml").write_text("h: {formula: y, inputs: {x: real}}\n")
    ended = command("validate", "cases")
    assert ended.code == 2
    places = [line.split(": ")[0] for line in ended.out.splitlines() if line[:5] == "cases"]
    assert [place.rpartition(":")[0] for place in places][:2] == [
        "cases/a.yaml:2",
        "cases/a.yaml:5",
    ]
    assert any(place.startswith("cases/b.yaml:1") for place in places)
    assert ended.out.splitlines()[-1] == f"{len(places)} problems in 2 of 3 files"


def test_one_problem_is_told_whole(command, catalog):
    (catalog / "small.yaml").write_text("f:\n  formula: x^2\n  inputs: {x: real}\n")
    assert command("validate", "cases").out == (
        "cases/small.yaml:2:12: '^'\n"
        "  expected: '**' for a power\n"
        "  fix:      write x**2 for x to the power of 2\n"
        "1 problem in 1 of 1 file\n"
    )


def test_the_problems_as_json_name_the_same_places(command, catalog):
    (catalog / "small.yaml").write_text("f:\n  formula: x^2\n  inputs: {x: real}\n")
    ended = command("validate", "cases", "--json")
    assert ended.code == 2
    assert json.loads(ended.out) == [
        {
            "file": "cases/small.yaml",
            "line": 2,
            "column": 12,
            "found": "'^'",
            "expected": "'**' for a power",
            "fix": "write x**2 for x to the power of 2",
        }
    ]


def test_a_condition_that_no_drawn_input_meets_is_a_problem(command, catalog):
    (catalog / "small.yaml").write_text(
        "f:\n  formula: x**2\n  inputs: {x: positive}\n  where: x < 0\n"
    )
    ended = command("validate", "cases")
    assert ended.code == 2
    assert "no drawn input meets its `where`" in ended.out


def test_a_condition_that_is_met_is_none(command, catalog):
    (catalog / "small.yaml").write_text(
        "f:\n  formula: x**2\n  inputs: {x: real}\n  where: x > 0\n"
    )
    assert command("validate", "cases").code == 0


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"f: [", b"just text", b"a: &a [*a]"])
def test_what_is_no_case_file_is_one_message_and_code_2(command, catalog, content):
    (catalog / "small.yaml").write_bytes(content)
    ended = command("validate", "cases")
    assert ended.code == 2
    assert "cases/small.yaml" in ended.out
    assert "Traceback" not in ended.out + ended.err


@pytest.mark.parametrize("name", ["known_failures.yaml", "known_failures.yml"])
def test_a_list_of_known_failures_is_read_too(command, catalog, name):
    (catalog / name).write_text("- {case: small.yaml::square, nope: 1}\n")
    ended = command("validate", "cases")
    assert ended.code == 2
    assert f"{name}:1" in ended.out


ENTRY = "- {{case: {}, issue: not reported, because: it does{}}}\n"
STALE = [
    (
        ENTRY.format("small.yaml::cube", ""),
        "cases/known_failures.yaml:1:3: the case 'cube', which is not in small.yaml\n"
        "  expected: one that is\n"
        "  fix:      correct it\n",
    ),
    (
        ENTRY.format("small.yaml::square", ", at: {x: 4}"),
        "cases/known_failures.yaml:1:3: a point that square does not have\n"
        "  expected: a point of the case\n"
        "  fix:      add it under 'points' of the case\n",
    ),
    (
        ENTRY.format("small.yaml::power", ", when: {variant: k=4}"),
        "cases/known_failures.yaml:1:3: the variant 'k=4', which power does not have\n"
        "  expected: one of k=2, k=3\n"
        "  fix:      correct it\n",
    ),
    (
        ENTRY.format("small.yaml::square", ", when: {implementation: 2}"),
        "cases/known_failures.yaml:1:3: the implementation '2', which square does not have\n"
        "  expected: its text, or a number below 2\n"
        "  fix:      correct it\n",
    ),
]
NAMED = [["cases"], ["cases/small.yaml"], ["cases/small.yaml", "cases/known_failures.yaml"]]


@pytest.mark.parametrize("paths", NAMED)
@pytest.mark.parametrize(("text", "message"), STALE)
def test_a_known_failure_that_matches_nothing_is_one_problem(
    command, catalog, paths, text, message
):
    (catalog / "known_failures.yaml").write_text(text)
    ended = command("validate", *paths)
    assert (ended.code, ended.out) == (2, message + "1 problem in 1 of 2 files\n")


@pytest.mark.parametrize("paths", NAMED)
def test_known_failures_that_match_are_no_problem(command, catalog, paths):
    entries = [
        ENTRY.format("small.yaml::square", ", at: {x: 3}, when: {implementation: 1}"),
        ENTRY.format("small.yaml::power", ", when: {variant: k=3}"),
    ]
    (catalog / "known_failures.yaml").write_text("".join(entries))
    assert command("validate", *paths).out == "2 files, 2 cases: no problems\n"


def test_known_failures_of_a_file_that_cannot_be_read_are_no_further_problems(command, catalog):
    (catalog / "small.yaml").write_text("f: {formula: x^2, inputs: {x: real}}\n")
    (catalog / "known_failures.yaml").write_text(ENTRY.format("small.yaml::cube", ""))
    ended = command("validate", "cases")
    assert ended.out.splitlines()[0] == "cases/small.yaml:1:14: '^'"
    assert ended.out.splitlines()[-1] == "1 problem in 1 of 2 files"


def test_a_case_whose_condition_nothing_meets_is_there_for_known_failures(command, catalog):
    (catalog / "small.yaml").write_text("f: {formula: x, inputs: {x: positive}, where: x < 0}\n")
    entries = ENTRY.format("small.yaml::f", "") + ENTRY.format("small.yaml::g", "")
    (catalog / "known_failures.yaml").write_text(entries)
    ended = command("validate", "cases")
    assert "known_failures.yaml:2:3: the case 'g', which is not in small.yaml" in ended.out
    assert ended.out.splitlines()[-1] == "2 problems in 2 of 2 files"


def test_the_schema_is_draft_07_and_knows_the_keys_of_a_case(command):
    ended = command("schema")
    assert ended.code == 0
    schema = json.loads(ended.out)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "formula" in json.dumps(schema["definitions"])


ZEROS = "0" * 12
ANSWER = "f:\n  formula: 3*x**2\n  inputs: {{x: real}}\n  points:\n    - {{at: {{x: 3}}, {}}}\n"


@pytest.mark.parametrize(
    ("answer", "found", "truth"),
    [
        ("gradient: {x: 17}", "the gradient in x 17.000", "18.000"),
        ("value: 28", "the value 28.000", "27.000"),
        ("hessian: {x: {x: 5}}", "the hessian in x, x 5.0000", "6.0000"),
    ],
)
def test_a_written_answer_that_the_formula_excludes_is_a_problem(
    command, catalog, answer, found, truth
):
    (catalog / "small.yaml").write_text(ANSWER.format(answer))
    ended = command("validate", "cases/small.yaml")
    assert ended.code == 2
    assert ended.out == (
        f"cases/small.yaml:5:7: {found}{ZEROS}\n"
        f"  expected: the formula's, {truth}{ZEROS}\n"
        "  fix:      correct the answer, or the formula\n"
        "1 problem in 1 of 1 file\n"
    )


@pytest.mark.parametrize(
    "answer", ["value: 27, gradient: {x: 18}, hessian: {x: {x: 6}}", "convention: {x: 5}"]
)
def test_an_answer_that_the_formula_allows_is_none(command, catalog, answer):
    (catalog / "small.yaml").write_text(ANSWER.format(answer))
    assert command("validate", "cases/small.yaml").code == 0


@pytest.mark.parametrize("gradient", ["-1", "0.5", "1"])
def test_an_answer_within_the_hull_at_a_kink_is_allowed(command, catalog, gradient):
    point = f"{{at: {{x: 0}}, gradient: {{x: {gradient}}}}}"
    (catalog / "small.yaml").write_text(
        f"f:\n  formula: abs(x)\n  inputs: {{x: real}}\n  points: [{point}]\n"
    )
    assert command("validate", "cases/small.yaml").code == 0


def test_answers_that_take_too_long_to_check_are_refused(command, catalog, monkeypatch):
    monkeypatch.setattr("gradcheck.catalog.answers.MOST_ANSWER_STEPS", 20)
    points = ", ".join(
        f"{{at: {{x: {n}}}, value: {n}**2, gradient: {{x: 2*{n}}}}}" for n in range(9)
    )
    (catalog / "small.yaml").write_text(
        f"f:\n  formula: x**2\n  inputs: {{x: real}}\n  points: [{points}]\n"
    )
    ended = command("validate", "cases/small.yaml")
    assert (ended.code, ended.out) == (
        2,
        "cases/small.yaml:4:12: answers that take too long to check, from this point on\n"
        "  expected: at most 6,000,000 operations on balls for the answers of a file\n"
        "  fix:      leave points out, or split the file\n"
        "1 problem in 1 of 1 file\n",
    )


def test_code_of_the_users_own_is_said_not_to_be_looked_at(command, catalog):
    (catalog / "small.yaml").write_text(
        "f: {formula: x**2, inputs: {x: real}, function: 'my_ops:swishh'}\n"
    )
    ended = command("validate", "cases/small.yaml")
    assert (ended.code, ended.out) == (
        0,
        "not looked at: my_ops:swishh; importing my_ops would run its code\n"
        "1 file, 1 case: no problems\n",
    )

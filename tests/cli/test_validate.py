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


def test_a_list_of_known_failures_is_read_too(command, catalog):
    (catalog / "known_failures.yaml").write_text("- {case: small.yaml::square, nope: 1}\n")
    ended = command("validate", "cases")
    assert ended.code == 2
    assert "known_failures.yaml:1" in ended.out


def test_the_schema_is_draft_07_and_knows_the_keys_of_a_case(command):
    ended = command("schema")
    assert ended.code == 0
    schema = json.loads(ended.out)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "formula" in json.dumps(schema["definitions"])

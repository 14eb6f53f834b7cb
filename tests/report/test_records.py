"""A record holds what was found, survives JSON, and is read back after a kill."""

import json
import math
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from gradcheck.answer import EntryReport, Guess, GuessKind, Outcome, Ruling, RunOptions
from gradcheck.catalog.checks import plan
from gradcheck.catalog.load import load
from gradcheck.errors import UsageError
from gradcheck.methods import METHODS
from gradcheck.report import records

FACTS = records.RunFacts(
    file="cases/small.yaml",
    seed=7,
    device_name="a processor",
    torch="2.13.0",
    gradcheck="0.1.0",
    python="3.11.7",
    platform="Linux",
)

EVIDENCE = EntryReport(
    at={"x": [-40.0, 2.0]},
    index="∂/∂x[0]",
    label="autograd.grad",
    got=math.nan,
    true="4.248e-18",
    radius="1e-33",
    ulps=math.inf,
    relative=1.0,
    ruling=Ruling.DISAGREE,
    reason="NaN",
)

OUTCOME = Outcome(
    verdict=Ruling.DISAGREE,
    reason="NaN",
    entries=12,
    abstained=3,
    points=6,
    seconds=0.25,
    counts={"agree": 11, "disagree": 1},
    worst=EVIDENCE,
    blame="PyTorch's backward is wrong",
    guess=Guess(GuessKind.SIGN, "the sign", "in x"),
    route="symbolic+forward",
    visited={"plain": 4, "declared": 2},
    errors=((-40.0, 0.5), (2.0, math.inf)),
    errors_over="magnitude",
    failures=(EVIDENCE,),
)

RECORD = {
    "format": 1,
    "id": "cases/small.yaml::square[d=1-1-second-cpu-float32]",
    "case": "square",
    "file": "cases/small.yaml",
    "line": 2,
    "variant": "d=1",
    "implementation": "torch.square(x) * d",
    "witness": "second",
    "order": 2,
    "device": "cpu",
    "dtype": "float32",
    "verdict": "disagree",
    "reason": "NaN",
    "entries": 12,
    "abstained": 3,
    "counts": {"agree": 11, "disagree": 1},
    "points": 6,
    "visited": {"plain": 4, "declared": 2},
    "ulps": "inf",
    "relative": 1.0,
    "at": {"x": [-40.0, 2.0]},
    "index": "∂/∂x[0]",
    "got": "nan",
    "true": "4.248e-18",
    "radius": "1e-33",
    "route": "symbolic+forward",
    "blame": "PyTorch's backward is wrong",
    "guess": "the sign, only in x",
    "guess_kind": "sign",
    "seconds": 0.25,
    "torch": "2.13.0",
    "device_name": "a processor",
    "gradcheck": "0.1.0",
    "python": "3.11.7",
    "platform": "Linux",
    "seed": 7,
    "summary": "a square",
    "formula": "d*s\nwhere s = x**2",
    "tags": ["short"],
    "errors": [[-40.0, 0.5], [2.0, "inf"]],
    "errors_over": "magnitude",
    "block": "disagree: NaN",
    "failures": [
        {
            "at": {"x": [-40.0, 2.0]},
            "index": "∂/∂x[0]",
            "call": "autograd.grad",
            "got": "nan",
            "true": "4.248e-18",
            "ulps": "inf",
            "relative": 1.0,
            "verdict": "disagree",
            "reason": "NaN",
        }
    ],
}

LINE = json.dumps(RECORD, ensure_ascii=False)
KEPT = records.decoded(LINE)

CATALOG = """
square:
  summary: a square
  tags: [short]
  let: {s: x**2}
  formula: d*s
  inputs: {x: {shape: [2]}}
  sweep: {d: [1]}
  torch: [x**2 * d, torch.square(x) * d]
"""


@pytest.fixture
def check(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(CATALOG)
    cases = load(path)
    return plan(cases, devices=["cpu"], dtypes=["float32"], witnesses=["second"])[1]


def test_a_record_holds_every_field(check):
    assert records.as_json(records.record(check, OUTCOME, FACTS, "disagree: NaN")) == RECORD


def test_where_nothing_was_judged_the_worst_entry_is_null(check):
    record = records.record(check, replace(OUTCOME, worst=None), FACTS)
    empty = ("ulps", "relative", "at", "index", "got", "true", "radius")
    assert {name: getattr(record, name) for name in empty} == dict.fromkeys(empty)


def test_written_lines_are_read_back(tmp_path):
    path = tmp_path / "results.jsonl"
    with path.open("w", encoding="utf-8") as file:
        records.write(KEPT, file)
        records.write(replace(KEPT, seed=8), file)
        written = path.read_text(encoding="utf-8")  # before the file is closed
    assert [json.loads(line) for line in written.splitlines()] == [RECORD, {**RECORD, "seed": 8}]
    assert [records.as_json(each) for each in records.read(path)] == [RECORD, {**RECORD, "seed": 8}]


def test_a_number_that_json_lacks_is_written_as_text_and_read_as_a_number():
    assert (RECORD["ulps"], RECORD["got"]) == ("inf", "nan")
    assert KEPT.ulps == math.inf
    assert math.isnan(KEPT.got)


def test_a_complex_input_is_written_as_a_case_says_it_and_read_back_so(tmp_path):
    path = tmp_path / "results.jsonl"
    at = {"z": [1 - 2j, complex(math.inf, 0)], "x": 0.5}
    with path.open("w", encoding="utf-8") as file:
        records.write(replace(KEPT, at=at), file)
    (read,) = records.read(path)
    assert read.at == {"z": ["1.0 - 2.0*I", "inf"], "x": 0.5}
    assert records.as_json(read) == records.as_json(replace(KEPT, at=at))


@pytest.mark.parametrize("kept", [0, 1, 40, -1, -3])
def test_a_last_line_that_a_kill_cut_off_is_left_out(tmp_path, kept):
    line = LINE.encode()
    path = tmp_path / "results.jsonl"
    path.write_bytes(line + b"\n" + line[:kept])
    assert [records.as_json(each) for each in records.read(path)] == [RECORD]


def test_a_line_cut_within_a_character_is_left_out(tmp_path):
    line = LINE.encode()
    path = tmp_path / "results.jsonl"
    path.write_bytes(line + b"\n" + line[: line.index("∂".encode()) + 1])
    assert [records.as_json(each) for each in records.read(path)] == [RECORD]


FOREIGN = [
    "{",
    "[]",
    '{"format": 0}',
    '{"format": 1}',
    "\x00",
    "[" * 100_000,
    LINE.replace('"line": 2', '"line": "2"'),
    LINE.replace('"line": 2', '"line": true'),
    LINE.replace('{"agree": 11, "disagree": 1}', '{"agree": "11"}'),
    LINE.replace('"verdict": "disagree"', '"verdict": "perhaps"'),
    LINE.replace('"seconds": 0.25', '"seconds": "soon"'),
    LINE.replace('["short"]', '"short"'),
    LINE.replace('[2.0, "inf"]', '[2.0, "far"]'),
    LINE.replace('[2.0, "inf"]', "[2.0]"),
    LINE.replace('"case": "square", ', ""),
]


def complaint_of(line, folder):
    """A file of a line that is refused and of a record, and what is said of it."""
    path = folder / "results.jsonl"
    path.write_text(f"{line}\n{json.dumps(RECORD)}\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        records.read(path)
    return path, str(caught.value)


@pytest.mark.parametrize("line", FOREIGN, ids=range(len(FOREIGN)))
def test_another_line_that_is_no_record_is_named(tmp_path, line):
    path, said = complaint_of(line, tmp_path)
    assert said == (
        f"{path}:1: {line[:40]!r} is no record\n"
        "  expected: a JSON object with format 1\n"
        "  fix:      remove the line, or run the checks again with --report"
    )


def test_a_line_of_a_newer_format_says_that_a_newer_release_reads_it(tmp_path):
    path, said = complaint_of(json.dumps({**RECORD, "format": 2}), tmp_path)
    assert said == (
        f"{path}:1: a record of format 2\n"
        "  expected: a JSON object with format 1\n"
        "  fix:      a newer gradcheck wrote it: install that"
    )


def test_a_line_of_an_older_version_has_no_new_fields_and_is_read():
    new = ("summary", "formula", "tags", "errors", "errors_over", "block", "failures")
    old = {name: value for name, value in RECORD.items() if name not in new}
    read = records.decoded(json.dumps(old))
    assert [getattr(read, name) for name in new] == ["", "", [], [], "", "", []]
    assert records.as_json(replace(read, **{name: RECORD[name] for name in new})) == RECORD


def test_of_many_failures_the_worst_are_kept_and_of_a_large_input_none_of_its_numbers(check):
    large = replace(EVIDENCE, at={"x": [[1.0] * 13] * 5})
    kept = records.record(check, replace(OUTCOME, failures=(large, *[EVIDENCE] * 9)), FACTS)
    assert [each["at"] for each in kept.failures] == [None, *[{"x": [-40.0, 2.0]}] * 4]


def test_what_a_newer_version_adds_to_a_line_is_left_out():
    assert records.decoded(json.dumps({**RECORD, "ulps": 1.0, "got": 2.0, "colour": "red"})) == (
        replace(KEPT, ulps=1.0, got=2.0)
    )


def test_what_is_no_record_is_named_and_the_rest_is_read(tmp_path):
    out, other = tmp_path / "out", tmp_path / "other.jsonl"
    out.mkdir()
    (out / "results-1.jsonl").write_text(f"{LINE}\nfoo\n{LINE}\n{LINE[:50]}", encoding="utf-8")
    (out / "results-2.jsonl").write_text("PNG\n1\n2\n", encoding="utf-8")
    other.write_text(f"{LINE}\n" + "bad\n" * 5, encoding="utf-8")
    results = records.read_all([out, other, out / "results-1.jsonl"])
    assert {Path(name).name: len(found) for name, found in results.files.items()} == {
        "results-1.jsonl": 2,
        "results-2.jsonl": 0,
        "other.jsonl": 1,
    }
    assert [record.case for record in results.records] == ["square"] * 3
    assert [str(fault).partition("\n")[0] for fault in results.faults] == [
        f"{out}/results-1.jsonl:2: 'foo' is no record",
        f"{out}/results-1.jsonl:4: {LINE[:40]!r} is cut off",
        f"{out}/results-2.jsonl: no line is a record",
        f"{other}:2: 'bad' is no record",
        f"{other}:3: 'bad' is no record",
        f"{other}:4: 'bad' is no record",
        f"{other}: 2 more lines are no records",
    ]


def test_a_sound_file_has_no_fault(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(f"{LINE}\n{LINE}", encoding="utf-8")
    assert records.read_all([path]).faults == ()


def test_the_text_of_a_fault_says_what_to_do(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text(f"foo\n{LINE}\nbar", encoding="utf-8")
    assert "\n".join(map(str, records.read_all([path]).faults)) == (
        f"{path}:1: 'foo' is no record\n"
        "  expected: a JSON object with format 1\n"
        "  fix:      remove the line, or run the checks again with --report\n"
        f"{path}:3: 'bar' is cut off\n"
        "  expected: a JSON object with format 1\n"
        "  fix:      the check that it is of is left out; `--resume` runs what lacks a record"
    )


def test_files_without_any_record_are_refused(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text("foo\nbar\n")
    with pytest.raises(UsageError) as caught:
        records.read_all([path])
    assert str(caught.value) == (
        f"{path}: no record of a check\n"
        "  expected: the results of a run\n"
        "  fix:      name a file that `pytest cases --report FOLDER` wrote, or its folder"
    )


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        records.read(tmp_path / "results.jsonl")


def test_each_run_has_a_file_of_its_own(tmp_path):
    opened = [records.begin(tmp_path / "out", shard) for shard in (None, (1, 2), (1, 2), (2, 2))]
    for number, file in enumerate(opened):
        with file:
            records.write(replace(KEPT, seed=number), file)
    names = [file.name for file in opened]
    assert names == sorted(set(names))
    assert [record.seed for record in records.read(tmp_path / "out")] == [0, 1, 2, 3]


def test_a_file_of_the_same_name_is_never_overwritten(tmp_path, monkeypatch):
    monkeypatch.setattr("gradcheck.report.records.secrets.token_hex", lambda _: "00")
    monkeypatch.setattr("gradcheck.report.records.datetime", FixedTime)
    records.begin(tmp_path, (1, 2)).close()
    with pytest.raises(FileExistsError):
        records.begin(tmp_path, (1, 2))


class FixedTime(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 27, 2, 15, 41, 7, tzinfo=tz)


def test_the_name_of_a_run_says_when_it_began_and_which_shard_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("gradcheck.report.records.datetime", FixedTime)
    with records.begin(tmp_path, (1, 2)) as file:
        name = Path(file.name).name
    assert re.fullmatch(r"results-20261127T021541\.000007Z-1of2-[0-9a-f]{8}\.jsonl", name)


def test_a_line_for_a_file_that_was_removed_is_an_error(tmp_path):
    with records.begin(tmp_path, None) as file:
        records.write(KEPT, file)
        Path(file.name).unlink()
        with pytest.raises(FileNotFoundError):
            records.write(KEPT, file)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(UsageError) as caught:
        records.read(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds no results\n"
        "  expected: a folder with the results of a run, files results*.jsonl\n"
        "  fix:      name the FOLDER of `pytest cases --report FOLDER`"
    )


@pytest.mark.parametrize(("witness", "order"), [("value", 0), ("reverse", 1), ("second", 2)])
def test_the_order_is_that_of_the_derivatives_a_witness_answers_for(witness, order):
    assert METHODS[witness].order == order


def test_text_without_utf8_is_kept_readable(check, tmp_path):
    record = records.record(check, replace(OUTCOME, reason="bad \ud800 text"), FACTS)
    with (tmp_path / "results.jsonl").open("w", encoding="utf-8") as file:
        records.write(record, file)
    assert records.read(tmp_path / "results.jsonl")[0].reason == "bad \\ud800 text"


def test_the_facts_of_this_process_name_versions_without_importing():
    facts = records.run_facts("cases/small.yaml", RunOptions(seed=3), "a processor")
    assert (facts.file, facts.seed, facts.device_name) == ("cases/small.yaml", 3, "a processor")
    assert facts.torch.startswith("2.")
    assert records.version("no such distribution") == "unknown"

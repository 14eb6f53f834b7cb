"""`gradcheck new`: what it writes is right, complete and agrees, and no file is ever damaged."""

import re

import pytest
import yaml

from gradcheck.catalog.files import catalog_folder
from gradcheck.catalog.load import load, load_text

FEW = ("--points", "4", "--device", "cpu", "--dtype", "float64,complex128",
       "--witness", "value,reverse")  # fmt: skip
SWISH = ("--formula", "x / (1 + exp(-b*x))", "--input", "x=(-5, 5)", "--input", "b=(1/10, 3)")
CUBE = ("--formula", "x**3", "--input", "x=real", "--torch", "x*x*x")
RIGHT = ("--torch", "x * torch.sigmoid(b*x)")


def test_a_case_is_written_whole_with_certified_answers(command):
    ended = command("new", "cube", *CUBE, *FEW)
    assert (ended.code, ended.err) == (0, "2 checks: 2 agree; 54 gradient entries judged\n")
    (case,) = load_text(ended.out, "cube.yaml")
    assert (case.name, case.summary, case.implementations[0].text) == ("cube", "x**3", "x*x*x")
    (point,) = yaml.safe_load(ended.out)["cube"]["points"]
    assert point == {"at": {"x": 2}, "value": 8, "gradient": {"x": 12}, "hessian": {"x": {"x": 12}}}


CASES = {
    "vector": ("--formula", "[r*cos(t), r*sin(t)]", "--input", "r=positive,t=(-4, 4)"),
    "matrix": ("--formula", "det(A)", "--input", "A=positive_definite:3,3"),
    "constants": ("--formula", "mean((w*x - y)**2)", "--input", "w=real", "--constant",
                  "x=[1.0, 2.0]", "--constant", "y=[0.5, -1.5]"),
    "conditions": ("--formula", "sqrt(a - b) * c", "--input", "a=real,b=real,c=(0, 1)",
                   "--where", "a > b", "--where", "c < a"),
    "let": ("--formula", "e / sum(e)", "--input", "x=(-2, 2):3", "--let", "e=exp(x)"),
    "complex": ("--formula", "exp(z)", "--input", "z=complex"),
    "of real parts": ("--formula", "re(z)**2 + im(z)", "--input", "z=|z| < 2"),
    "a kink": ("--formula", "max(x, 0)", "--input", "x=real", "--torch", "torch.relu(x)"),
    "quotes": ("--formula", "x**2", "--summary", "it's \"so\": a # b", "--input", "x=real"),
    "a number as words": ("--formula", "x**2", "--summary", "2026", "--input", "x=real"),
    "several spellings": ("--formula", "x**2", "--torch", "x*x", "--torch", "torch.pow(x, 2)",
                          "--input", "x=real"),
    "large": ("--formula", "sum(x**2)", "--input", "x=real:100"),
    "a value of one's own": ("--formula", "sin(x)", "--input", "x=real", "--at", "x=pi/6"),
}  # fmt: skip


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_what_is_written_validates_and_agrees(command, tmp_path, options):
    file = tmp_path / "new.yaml"
    written = command("new", "it", *options, *FEW, "-o", file)
    assert written.code == 0, written
    assert command("validate", file).out.endswith("1 file, 1 case: no problems\n")
    (case,) = load(file)
    assert [bool(point.known) for point in case.points] == [True] * (len(case.points))
    assert command("new", "it", *options, *FEW).out == file.read_text("utf-8")


def test_an_answer_is_exact_where_the_point_is_written_exactly(command):
    out = command("new", "sine", *CASES["a value of one's own"], *FEW).out
    assert "- at: {x: pi/6}\n      value: 0.5\n" in out
    assert "gradient: {x: 0.86602540378443864676}" in out  # half the root of 3


def test_of_large_arrays_no_answers_are_written(command):
    assert "points" not in yaml.safe_load(command("new", "it", *CASES["large"], *FEW).out)["it"]


def test_a_run_of_what_is_written_agrees(command, pytester):
    pytester.mkdir("cases")
    assert command("new", "swish", *SWISH, *RIGHT, *FEW, "-o", "cases/mine.yaml").code == 0
    options = ("--gradcheck-points", "4", "--gradcheck-witness", "reverse")
    done = pytester.runpytest_subprocess("cases", "-p", "no:cacheprovider", *options)
    done.assert_outcomes(passed=2)


def test_wrong_code_is_shown_and_nothing_is_written(command, tmp_path):
    file = tmp_path / "mine.yaml"
    ended = command("new", "swish", *SWISH, "--torch", "x * torch.sigmoid(x)", *FEW, "-o", file)
    assert (ended.code, ended.err, file.exists()) == (1, "swish is not written\n", False)
    assert "disagree: another function than the formula is computed" in ended.out
    assert "check: swish[value-cpu-float64]" in ended.out


def test_each_further_key_that_is_offered_is_one_of_the_format(command):
    text = command("new", "cube", *CUBE, *FEW).out
    offered = re.findall(r"^  # (\w+: .*?) +# ", text.partition("What else")[2], re.MULTILINE)
    assert len(offered) > 8
    keys = dict(line.split(": ", 1) for line in offered)
    used = {"formula": "k*part**n", "let": keys["let"], "constants": keys["constants"]}
    whole = {**keys, **used, "inputs": "{x: real}"}
    (case,) = load_text("c:\n" + "".join(f"  {k}: {v}\n" for k, v in whole.items()), "c.yaml")
    assert len(case.variants) == 2


OLD = "# mine\nsquare:   {formula: x**2, inputs: {x: real}}   # kept as it is\n"
OLDS = {
    "plain": OLD.encode(),
    "without an end of line": OLD.rstrip("\n").encode(),
    "with a mark and carriage returns": b"\xef\xbb\xbf" + OLD.replace("\n", "\r\n").encode(),
    "comments alone": b"# nothing yet\n",
    "empty": b"",
}


@pytest.mark.parametrize("old", OLDS.values(), ids=OLDS)
def test_a_file_that_is_there_is_added_to_and_else_kept_byte_for_byte(command, tmp_path, old):
    file = tmp_path / "mine.yaml"
    file.write_bytes(old)
    file.chmod(0o640)
    assert command("new", "cube", *CUBE, *FEW, "-o", file).code == 0
    assert file.read_bytes().startswith(old)
    assert [case.name for case in load(file)] == ["square"] * (b"square" in old) + ["cube"]
    assert (file.stat().st_mode & 0o777, list(tmp_path.iterdir())) == (0o640, [file])
    assert (b"\n" in file.read_bytes().replace(b"\r\n", b"")) == (b"\r\n" not in old)


REFUSED = {
    "a name that is there": ("square", OLD, 4, "it has a case square already"),
    "a map in braces": ("cube", "{square: {formula: x**2, inputs: {x: real}}}\n", 4,
                        "nothing can be added at its end"),
    "a bad file": ("cube", "square: {formula: x^2, inputs: {x: real}}\n", 2, "'^'"),
    "no map": ("cube", "- 1\n", 2, "a list"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "old", "code", "found"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_added_to_stays_as_it_is(  # noqa: PLR0913 - a row of the table
    command, tmp_path, name, old, code, found
):
    file = tmp_path / "mine.yaml"
    file.write_text(old)
    ended = command("new", name, *CUBE, *FEW, "-o", file)
    assert (ended.code, file.read_text(), list(tmp_path.iterdir())) == (code, old, [file])
    assert found in ended.err


def test_the_message_of_a_name_that_is_there_is_whole(command, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(OLD)
    assert command("new", "square", *CUBE, *FEW, "-o", file).err == (
        f"-o {file}: it has a case square already\n"
        "  expected: a name that is not there\n"
        "  fix:      choose another name, or remove that case first\n"
    )


def test_a_disk_that_fails_leaves_the_file_as_it_was(command, tmp_path, monkeypatch):
    file = tmp_path / "mine.yaml"
    file.write_text(OLD)

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    ended = command("new", "cube", *CUBE, *FEW, "-o", file)
    assert (ended.code, file.read_text(), list(tmp_path.iterdir())) == (4, OLD, [file])
    assert "No space left on device" in ended.err


def test_a_link_stays_a_link_and_its_file_is_added_to(command, tmp_path):
    (tmp_path / "real.yaml").write_text(OLD)
    link = tmp_path / "link.yaml"
    link.symlink_to("real.yaml")
    assert command("new", "cube", *CUBE, *FEW, "-o", link).code == 0
    assert link.is_symlink()
    assert "cube:" in (tmp_path / "real.yaml").read_text()


def test_the_folder_of_a_new_file_is_made(command, tmp_path):
    assert command("new", "cube", *CUBE, *FEW, "-o", tmp_path / "cases" / "mine.yaml").code == 0
    assert "cube:" in (tmp_path / "cases" / "mine.yaml").read_text()


BAD = {
    ("it", "-o", "mine.txt"): "no case file",
    ("it", "-o", "known_failures.yaml"): "a list of known failures",
    ("it", "-o", "no/such/folder.yaml"): "its folder is not there",
    ("lambda",): "<command line> NAME:1:1: the keyword 'lambda' as a name",
    ("a b",): "<command line> NAME:1:1: the name 'a b'",
    ("it", "--at", "x=1/0"): "--at",
    ("it", "--at", "y=1"): "--at",
}


@pytest.mark.parametrize(("options", "found"), BAD.items(), ids=map(" ".join, BAD))
def test_bad_use_is_told_before_anything_is_run(command, tmp_path, monkeypatch, options, found):
    monkeypatch.chdir(tmp_path)
    name, *rest = options
    ended = command("new", name, *CUBE, *FEW, *rest)
    assert (ended.code, ended.out) == (4, "")
    assert found in ended.err


def test_a_new_file_names_the_schema_that_lies_above_it(command, tmp_path):
    (tmp_path / "gradcheck.json").write_text(command("schema").out)
    (tmp_path / "cases").mkdir()
    command("new", "cube", *CUBE, *FEW, "-o", tmp_path / "cases" / "mine.yaml")
    first = (tmp_path / "cases" / "mine.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../gradcheck.json"
    assert (catalog_folder().parent / "schema" / "case.json").is_file()


def test_a_new_file_names_no_schema_where_there_is_none(command, tmp_path):
    (tmp_path / "gradcheck.json").write_text("{}")
    command("new", "cube", *CUBE, *FEW, "-o", tmp_path / "mine.yaml")
    assert (tmp_path / "mine.yaml").read_text().startswith("cube:\n")

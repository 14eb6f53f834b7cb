"""Case files by a stranger: each of the corpus has its exact complaint, and none does anything."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.catalog.load import load, load_text
from gradcheck.catalog.text import decode
from gradcheck.errors import CatalogError

CORPUS = Path(__file__).parent / "hostile.yaml"
FILES = yaml.load(CORPUS.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def content(entry):
    if "bytes" in entry:
        return bytes.fromhex(entry["bytes"])
    repeated = re.sub(
        r"<<(.*?)\*(\d+)>>", lambda match: match[1] * int(match[2]), entry["text"], flags=re.DOTALL
    )
    return repeated.encode("utf-8")


def said_of(data):
    """What is found, with line and column; nothing of a file that is read."""
    try:
        load_text(decode(data, "f.yaml"), "f.yaml")
    except CatalogError as error:
        return [f"{each.where.line}:{each.where.column}: {each.found}" for each in error.problems]
    return []


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_told_what_is_wrong_with_it(name):
    assert said_of(content(FILES[name])) == FILES[name]["says"]


def test_the_corpus_is_large_and_knows_what_is_only_odd():
    refused = [name for name, entry in FILES.items() if entry["says"]]
    assert len(refused) > 300
    assert len(FILES) - len(refused) > 10


@pytest.mark.parametrize("name", ["a\x1b[2J.yaml", "a\u202e.yaml", "a\n.yaml"])
def test_a_file_whose_name_steers_a_terminal_is_refused_and_not_printed(name, tmp_path):
    (tmp_path / name).write_text("c: {formula: x, inputs: {x: real}}")
    with pytest.raises(CatalogError) as caught:
        load(tmp_path / name, shown=name)
    assert str(caught.value) == (
        f"{name!a}:1:1: a file name with control characters\n"
        "  expected: a printable name\n"
        "  fix:      rename the file"
    )


def test_a_file_whose_name_is_foreign_is_read(tmp_path):
    (tmp_path / "größe.yaml").write_text("c: {formula: x, inputs: {x: real}}")
    assert [case.name for case in load(tmp_path / "größe.yaml")] == ["c"]


WATCHED = """
import json, sys
from gradcheck.catalog.load import load_text
from gradcheck.catalog.text import decode
from gradcheck.errors import CatalogError
done, watching = [], False
TOUCHES = ("open", "exec", "os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pickle.")
def watch(event, arguments):
    if watching and event.startswith(TOUCHES):
        done.append(event)
sys.addaudithook(watch)
for data in map(bytes.fromhex, json.load(sys.stdin)):
    for watching in (False, True):  # the first time loads modules that only some messages need
        try:
            load_text(decode(data, "f.yaml"), "f.yaml")
        except CatalogError:
            pass
watching = True
eval(sys.argv[1])
watching = False
print(json.dumps(done))
"""


@pytest.mark.parametrize(
    ("then", "done"),
    [("None", ["exec"]), ("open('/dev/null')", ["exec", "open"])],
    ids=["nothing", "a file"],
)
def test_reading_them_opens_nothing_runs_nothing_and_calls_nobody(then, done):
    """The last thing done is the test's own: the watch sees what there is."""
    given = json.dumps([content(entry).hex() for entry in FILES.values()])
    command = [sys.executable, "-c", WATCHED, then]
    ended = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == done


WORDS = """
c: x 'x' [ ] { } formula: inputs: torch: torch.sin(x) !!python/name:os &a *a ** 10**9 1e9 range(9)
for i in sum([ ]) __class__ . lambda real shape: [3] points: at: sweep: let: where: - | ? % # "
"""
PIECES = st.one_of(
    st.sampled_from(WORDS.split()),
    st.sampled_from(["\n", "\n  ", "\n    ", " ", ", ", ": ", "\t", "\0", "\x1b[31m", "\ufeff"]),
    st.text(max_size=5),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_text_is_read_or_refused(text):
    said_of(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_damaged_file_is_read_or_refused(name, data):
    whole = content(FILES[name])[:2000]
    start, end = sorted(data.draw(st.integers(0, len(whole))) for _ in range(2))
    said_of(whole[:start] + data.draw(st.binary(max_size=4)) + whole[end:])

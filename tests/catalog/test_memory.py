"""What is kept of a case file: it is the same, it is data, and what is damaged is made anew."""

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from flint import acb, arb, ctx
from hypothesis import given
from hypothesis import strategies as st

from gradcheck import cache
from gradcheck.catalog import memory
from gradcheck.catalog.files import catalog_folder
from gradcheck.catalog.load import CaseFile, load
from gradcheck.errors import CatalogError, Problem, Where

TEXT = "square:\n  formula: x**2 + pi\n  inputs: {x: '(-pi/2, pi/2)'}\n  where: x > -1\n"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder of the cache, which is in use."""
    monkeypatch.delenv(cache.OFF)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gradcheck" / "loaded"


@pytest.fixture
def made():
    """Counts what is made, and makes a number each time another."""
    calls = []

    def make():
        calls.append(1)
        return (Where("a.yaml", len(calls), 1),)

    return make


def files_in(folder):
    return [path for path in folder.iterdir() if path.is_file()]


def test_what_was_made_is_fetched(kept, made):
    first = memory.remembered(("a", "b"), made)
    assert memory.remembered(("a", "b"), made) == first
    assert memory.remembered(("ab", ""), made) != first
    assert memory.remembered(("a", "c"), made) != first


def test_where_the_cache_is_off_nothing_is_kept(kept, made, monkeypatch):
    monkeypatch.setenv(cache.OFF, "1")
    assert memory.remembered(("a",), made) != memory.remembered(("a",), made)
    assert not kept.exists()


def test_other_code_keeps_its_own(kept, made, monkeypatch):
    first = memory.remembered(("a",), made)
    monkeypatch.setattr(cache, "_code", lambda: "another version")
    assert memory.remembered(("a",), made) != first


DAMAGED = {
    "cut off": lambda data: data[:-1],
    "changed": lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_is_made_anew(kept, made, damage):
    first = memory.remembered(("a",), made)
    (file,) = files_in(kept)
    file.write_bytes(damage(file.read_bytes()))
    second = memory.remembered(("a",), made)
    assert second != first
    assert memory.remembered(("a",), made) == second


def test_a_folder_that_others_may_write_is_not_used(kept, made):
    first = memory.remembered(("a",), made)
    kept.chmod(0o777)
    assert memory.remembered(("a",), made) != first


def test_where_nothing_can_be_written_it_is_made_each_time(kept, made):
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert memory.remembered(("a",), made) != memory.remembered(("a",), made)


def test_what_cannot_be_kept_is_given_all_the_same(kept):
    assert memory.remembered(("a",), lambda: (arb.nan(),))[0].is_nan()
    assert files_in(kept) == []


class _Hostile:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


HOSTILE = [
    _Hostile(os.system, "touch found"),
    _Hostile(getattr, "", "join"),
    _Hostile(print, "found"),
    _Hostile(Path, "found"),
    _Hostile(cache.keep, "0" * 64, b"found"),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda each: each.call.__name__)
def test_a_file_whose_digest_is_right_can_still_call_nothing(kept, made, tmp_path, hostile):
    memory.remembered(("a",), made)
    (file,) = files_in(kept)
    cache.keep(file.name, pickle.dumps((hostile,)))
    with pytest.raises(pickle.UnpicklingError, match="is no part of a case"):
        memory._Reader(io.BytesIO(pickle.dumps(hostile))).load()
    assert isinstance(memory.remembered(("a",), made)[0], Where)


def test_the_oldest_go_when_there_are_too_many(kept, made, monkeypatch):
    monkeypatch.setattr(cache, "MOST_FILES", 2)
    for number, key in enumerate("abc"):
        cache.keep(key, b"content")
        os.utime(kept / key, ns=(number, number))
    cache.keep("d", b"content")
    assert {path.name for path in files_in(kept)} == {"c", "d"}


# balls


@given(
    st.integers(-(2**90), 2**90),
    st.integers(-1500, 1500),
    st.integers(1, 1000),
    st.integers(53, 300),
)
def test_a_ball_is_kept_as_it_is(man, exp, by, bits):
    before, ctx.prec = ctx.prec, bits
    ball = arb((man, exp)) / by + arb.pi()
    ctx.prec = before
    found = memory._ball(*memory._parts(ball))
    assert (found.mid() == ball.mid(), found.rad() == ball.rad()) == (True, True)


@pytest.mark.parametrize("number", [arb("inf"), arb("-inf"), arb(0), acb(1, 2)], ids=str)
def test_infinities_and_exact_numbers_too(kept, number):
    memory.remembered(("a",), lambda: (number,))
    (found,) = memory.remembered(("a",), lambda: ())
    assert found == number


# files of cases


def test_a_graph_that_was_kept_goes_on_as_any_other(kept, tmp_path):
    (tmp_path / "a.yaml").write_text(TEXT)
    load(tmp_path / "a.yaml")
    graph = load(tmp_path / "a.yaml")[0].variants[0].formula.graph
    nodes = list(graph.nodes)
    again = [graph.put(each.op, each.args, each.attr, each.shape, each.kind) for each in nodes]
    assert again == list(range(len(nodes)))


PROGRAM = """
import sys
from pathlib import Path
from gradcheck.catalog.load import load
from gradcheck.graph.graph import Frozen
cases = load(Path(sys.argv[1]))
nodes = [node for case in cases for each in case.variants for node in each.formula.graph.nodes]
arrays = [node.attr for node in nodes if isinstance(node.attr, Frozen)]
print([case.inputs for case in cases], nodes)
print({hash(Frozen(each.array)) == hash(each) for each in arrays})
"""


def in_a_process(hash_seed, *arguments):
    """What a process that has its own hashes reads of a case."""
    env = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", ["sequences.yaml", "complex.yaml"])
def test_another_process_reads_the_same(kept, monkeypatch, name):
    asked = str(catalog_folder() / name)
    first = in_a_process(1, asked)
    assert first.endswith("{True}\n")
    assert len(files_in(kept)) == 1
    assert in_a_process(2, asked) == first
    monkeypatch.setenv(cache.OFF, "1")
    assert in_a_process(3, asked) == first


def test_a_file_that_was_changed_is_read_anew(kept, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(TEXT)
    assert load(path)[0].name == "square"
    path.write_text(TEXT.replace("square", "other"))
    assert load(path)[0].name == "other"


def test_a_file_under_another_name_says_where_it_is(kept, tmp_path):
    (tmp_path / "a.yaml").write_text(TEXT)
    names = [load(tmp_path / "a.yaml", shown=name)[0].where.path for name in ("a", "b", "a")]
    assert names == ["a", "b", "a"]


def test_a_faulty_file_is_told_each_time_and_nothing_of_it_is_kept(kept, tmp_path):
    (tmp_path / "a.yaml").write_text(TEXT.replace("x**2", "x^2"))
    with pytest.raises(CatalogError, match="for a power") as first:
        load(tmp_path / "a.yaml")
    with pytest.raises(CatalogError, match="for a power") as second:
        load(tmp_path / "a.yaml")
    assert str(first.value) == str(second.value)
    assert files_in(kept) == []


def test_what_a_check_finds_in_a_file_is_kept_by_the_check(kept):
    file = CaseFile(TEXT, "a.yaml")
    cases, problem = file.cases(), Problem(Where("a.yaml", 1, 1), "found", "expected", "fix")

    def one(cases):
        return [problem]

    def none(cases):
        return []

    assert file.problems(one, cases) == file.problems(one, ()) == (problem,)
    assert file.problems(none, cases) == ()

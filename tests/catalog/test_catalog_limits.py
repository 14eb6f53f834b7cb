"""Nothing that a file holds is executed, and nothing makes reading it long or large."""

import itertools
import re
import time
from pathlib import Path

import pytest

import gradcheck
from gradcheck.catalog.budget import Budget
from gradcheck.catalog.load import load, load_text
from gradcheck.catalog.values import MOST_IN_A_DIMENSION
from gradcheck.catalog.variants import MOST_VARIANTS
from gradcheck.errors import CatalogError
from gradcheck.graph.indexing import MOST_STEPS
from gradcheck.graph.shapes import MOST_BETWEEN, MOST_ELEMENTS
from gradcheck.language.limits import (
    DEEPEST_NESTING,
    LONGEST_CHAIN,
    MOST_CHARACTERS,
    MOST_DIGITS,
    MOST_WRITTEN_DIGITS,
)
from gradcheck.reference.size import MOST_COUNTING, MOST_NUMBERS, MOST_OPERATIONS

CASE = "c: {{formula: {}, inputs: {{x: {{shape: [3]}}}}}}"
LAUGHS = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [{','.join(['*' + chr(97 + k)] * 10)}]\n" for k in range(9)
)


def problems_of(text: str) -> str:
    with pytest.raises(CatalogError) as caught:
        load_text(text, "f.yaml")
    return str(caught.value)


HUGE = [
    pytest.param(LAUGHS, "f.yaml:5:29: a file that expands past 100,000 YAML nodes", id="laughs"),
    pytest.param("[" + "1," * 300_000 + "]", "past 100,000 YAML nodes", id="nodes"),
    pytest.param(
        "c:\n  formula: [" + "x," * 4_097 + "]", "more than 4,096 entries in one list", id="formula"
    ),
    pytest.param(
        "c:\n  where: [" + "x," * 4_097 + "]",
        "more than 4,096 entries in one list",
        id="conditions",
    ),
    pytest.param(
        "c:\n  inputs: {" + "".join(f"x{n}: real, " for n in range(4_097)) + "}",
        "more than 4,096 entries in one map",
        id="inputs",
    ),
    pytest.param(
        "c: {formula: x*sum(a), inputs: {x: real}, constants: {a: " + "[" * 17 + "]" * 17 + "}}",
        "f.yaml:1:58: a list of 0 elements in 17 dimensions\n"
        "  expected: at most 1,048,576 elements in 16 dimensions",
        id="constant",
    ),
    pytest.param("a: &a [*a]", "f.yaml:1:8: the alias *a inside of what it", id="recursion"),
    pytest.param("[" * 100_000, "f.yaml:1:65: YAML nested deeper than 64 levels", id="lists"),
    pytest.param("{a: " * 100_000, "f.yaml:1:257: YAML nested deeper than 64", id="maps"),
    pytest.param("- " * 100_000, "f.yaml:1:129: YAML nested deeper than 64", id="dashes"),
    pytest.param("a: " + "x" * 2**20, "f.yaml:1:1: a file larger than 1 MiB", id="1 MiB"),
    pytest.param(
        "a0: &a0 [1]\n" + "".join(f"a{k + 1}: &a{k + 1} [*a{k}]\n" for k in range(99)),
        "f.yaml:64:12: YAML nested deeper than 64 levels",
        id="depth through aliases",
    ),
    pytest.param(CASE.format("9" * 20_000), "an expression of 20,000 characters", id="integer"),
    pytest.param(CASE.format("x + " + "9" * 9_000), "a number of more than", id="literal"),
    pytest.param(CASE.format("x + 1e99999999"), "a number of more than 10,000 digits", id="e"),
    pytest.param(CASE.format("x + 10**10**10"), "more than 10,000 digits", id="tower"),
    pytest.param(CASE.format("'" + "(" * 500 + "x" + ")" * 500 + "'"), "nesting", id="brackets"),
    pytest.param(CASE.format("'" + "-" * 9_000 + "x'"), "nesting", id="minuses"),
    pytest.param(CASE.format("'zeros([4096, 4096])'"), "at most", id="array"),
    pytest.param(
        CASE.format("'x[0] * ones([1024, 1025])'"),
        "a result of shape [1024, 1025], 1,049,600 elements",
        id="result",
    ),
    pytest.param(
        CASE.format("'sum(x[0] * ones([4096, 1025]))'"),
        "an array of shape [4096, 1025]\n  expected: at most 4,194,304 elements",
        id="intermediate result",
    ),
    pytest.param(CASE.format("'sum([i for i in range(10**9)]) + x'"), "comprehensions", id="steps"),
]


@pytest.mark.parametrize(("text", "message"), HUGE)
def test_what_is_too_large_is_refused_by_name_and_within_what_a_file_may_cost(
    text, message, monkeypatch
):
    budgets = []
    monkeypatch.setattr(
        "gradcheck.catalog.load.Budget", lambda: budgets.append(Budget()) or budgets[-1]
    )
    assert message in problems_of(text)
    spent = [Budget().work - budget.work for budget in budgets]
    assert all(work < Budget().work // 2 for work in spent)  # 1 s or so, not the 10 s allowed


def test_reading_stops_at_a_thousand_problems():
    text = "c:\n  formula: x\n  inputs: {x: real}\n" + "".join(f"  k{n}: 1\n" for n in range(3000))
    with pytest.raises(CatalogError) as caught:
        load_text(text, "f.yaml")
    *problems, last = caught.value.problems
    assert len(problems) == 1000
    assert str(last) == (
        "f.yaml:1003:3: 1,000 problems; reading stopped here\n"
        "  expected: fewer problems\n"
        "  fix:      correct these first"
    )


def test_a_file_beyond_the_limit_is_not_even_read_to_its_end(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"# " + b"x" * 2**21)
    with pytest.raises(CatalogError, match="a file larger than 1 MiB"):
        load(path, shown="large.yaml")


def test_a_file_of_exactly_the_limit_is_read():
    text = "c: {formula: x, inputs: {x: real}}\n#"
    (case,) = load_text(text + " " * (2**20 - len(text)), "f.yaml")
    assert case.name == "c"


def test_as_many_variants_as_allowed_are_taken_and_one_more_is_not():
    text = "c: {{formula: x*a, inputs: {{x: real}}, sweep: {{a: {}}}}}"
    assert len(load_text(text.format(list(range(256))), "f.yaml")[0].variants) == 256
    assert "a sweep of 257 variants" in problems_of(text.format(list(range(257))))


def test_variants_beyond_what_python_writes_out_are_refused_with_a_message():
    names = ", ".join(f"a{n}: {list(range(14))}" for n in range(4_000))  # 14**4000 of them
    assert problems_of(f"c: {{formula: x, inputs: {{x: real}}, sweep: {{{names}}}}}") == (
        "f.yaml:1:36: a sweep of over 1,000,000,000,000 variants\n"
        "  expected: at most 256\n"
        "  fix:      leave values out, or split the case"
    )


def test_a_sweep_is_refused_when_it_costs_more_than_a_file_may(monkeypatch):
    monkeypatch.setattr("gradcheck.catalog.load.Budget", lambda: Budget(work=300))
    text = (
        "c: {formula: 'sum([cos(x + k*a) for k in range(20)])',"
        " inputs: {x: real}, sweep: {a: [1, 2, 3]}}"
    )
    assert problems_of(text) == (
        "f.yaml:1:5: formulas that take too long or too much memory to write out\n"
        "  expected: at most 1,600,000 steps of computation for all cases of a file\n"
        "  fix:      make shapes, loops or the sweep smaller, or split the file"
    )


def test_points_are_refused_when_they_cost_more_than_a_file_may(monkeypatch):
    monkeypatch.setattr("gradcheck.catalog.load.Budget", lambda: Budget(work=140))
    text = "c: {formula: x, inputs: {x: real}, points: [{at: {x: 1}}, {at: {x: 2}}, {at: {x: 3}}]}"
    assert problems_of(text) == (
        "f.yaml:1:59: a file that takes too long to check, up to this point\n"
        "  expected: at most 1,600,000 steps of computation for all cases of a file\n"
        "  fix:      leave points out, make shapes smaller, or split the file"
    )


COSTLY_ZERO = "0*sum([k for k in range(1000 + {})])"  # which is 0, after a thousand steps


def with_domains(end: str) -> str:
    inputs = ", ".join(f"x{n}: '({end.format(n)}, 1)'" for n in range(5))
    return f"c: {{formula: '[x0, x1, x2, x3, x4]', inputs: {{{inputs}}}}}"


def with_loops(bound: str) -> str:
    loops = ", ".join(f"[x for i in range({bound.format(n)})]" for n in range(5))
    return f"c: {{formula: x, inputs: {{x: real}}, torch: 'torch.stack({loops})'}}"


def test_domains_are_refused_when_they_cost_more_than_a_file_may(monkeypatch):
    monkeypatch.setattr("gradcheck.catalog.load.Budget", lambda: Budget(work=20_000))
    assert problems_of(with_domains(COSTLY_ZERO)).startswith(
        "f.yaml:1:195: domains that take too long to read\n"
        "  expected: at most 1,600,000 steps of computation for all cases of a file\n"
        "  fix:      write shorter ends, or split the file"
    )
    assert load_text(with_domains("0*{}"), "f.yaml")


def test_bounds_of_loops_are_refused_when_they_cost_more_than_a_file_may(monkeypatch):
    monkeypatch.setattr("gradcheck.catalog.load.Budget", lambda: Budget(work=20_000))
    assert (
        "f.yaml:1:36: loops whose bounds take too long to read\n"
        "  expected: at most 1,600,000 steps of computation for all cases of a file\n"
        "  fix:      write shorter bounds, or split the file"
    ) in problems_of(with_loops(COSTLY_ZERO))
    assert load_text(with_loops("0*{}"), "f.yaml")


def test_a_budget_is_spent_by_work():
    assert not Budget().spent()
    assert Budget(work=-1).spent()


def with_points(value: str) -> str:
    points = ", ".join(f"{{at: {{x: '{value} + {n}'}}}}" for n in range(400))
    return f"c: {{formula: x, inputs: {{x: real}}, points: [{points}]}}"


SUM = "sum([exp(i/100) for i in range(3000)])"
LONG = "sum([sum([i*j for i in range(100)]) for j in range(40)])"
SWEPT = f"c: {{formula: 'x*{LONG}+k', inputs: {{x: real}}, sweep: {{k: {[*range(256)]}}}}}"
COSTLY = [
    pytest.param(SWEPT, "formulas that take too long", id="a sweep of constants"),
    pytest.param(with_points(SUM), "a file that takes too long to check", id="points"),
    pytest.param(
        with_points(f"{SUM}/0"), "a file that takes too long", id="points without a value"
    ),
]


@pytest.mark.parametrize(("text", "message"), COSTLY)
def test_what_is_costly_is_refused_at_the_same_place_however_slow_the_machine_is(
    text, message, monkeypatch
):
    monkeypatch.setattr("gradcheck.catalog.load.Budget", lambda: Budget(work=160_000))
    first = problems_of(text)
    assert message in first
    clock = itertools.count(step=1000)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert problems_of(text) == first


def test_what_a_file_may_cost_does_not_depend_on_what_was_read_before(monkeypatch):
    monkeypatch.setattr("gradcheck.catalog.load.Budget", lambda: Budget(work=160_000))
    text = with_points(f"{SUM}*0")
    assert problems_of(text) == problems_of(text)  # the second time from the cache of constants


def test_no_clock_decides_what_is_valid():
    package = Path(gradcheck.__file__).parent
    reads = [
        path.relative_to(package).as_posix()
        for path in sorted(package.rglob("*.py"))
        if re.search(r"^(import time|from time import)", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert reads == [
        "benchmark/kernels.py",  # what is measured
        "benchmark/throughput.py",
        "benchmark/timing.py",
        "cli/fuzz.py",  # how long to look for failures
        "cli/mutate.py",
        "cluster.py",  # how often to look for workers
        "diagnosis/examination.py",  # the `seconds` of a record
        "fuzzing.py",
        "interruption.py",  # whether workers heard of it too
        "mutation/campaign.py",  # how long to look, and the `seconds` of a mutant
        "mutation/distributed.py",
        "plugin/isolation.py",  # the time limit of a check
        "report/mathematics.py",  # how long a page waits for derivatives to print
        "report/progress.py",  # what is left, and how often that is said
    ]


EVIL = [
    "c: !!python/object/apply:os.system ['touch {}']",
    "c: !!python/name:os.system ''",
    "!!python/object/new:os.system ['touch {}']",
    'c: {{formula: \'__import__("os").system("touch {}")\', inputs: {{x: real}}}}',
    'c: {{formula: \'open("{}", "w")\', inputs: {{x: real}}}}',
    "c: {{formula: '(lambda: x)()', inputs: {{x: real}}}}",
    "c: {{formula: x, inputs: {{x: real}}, torch: 'torch.save(x, \"{}\")'}}",
    "c: {{formula: x, inputs: {{x: real}}, torch: 'x.numpy().tofile(\"{}\")'}}",
    'c: {{formula: x, inputs: {{x: \'(0, open("{}", "w"))\'}}}}',
]


@pytest.mark.parametrize("text", EVIL)
def test_nothing_in_a_file_is_ever_executed(text, tmp_path):
    target = tmp_path / "touched"
    problems_of(text.format(target))
    assert not target.exists()


def test_a_function_is_not_imported_when_its_case_is_read(tmp_path, monkeypatch):
    target = tmp_path / "touched"
    (tmp_path / "evil_module.py").write_text(f"open({str(target)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    load_text("c: {formula: x, inputs: {x: real}, function: 'evil_module:f'}", "f.yaml")
    assert not target.exists()


UNREADABLE = [
    (b"c: \xff\xfe", "f.yaml:1:4: the byte 0xff, which is not UTF-8"),
    (b"a: 1\nc: \xc3\xa9 \xe9", "f.yaml:2:6: the byte 0xe9, which is not UTF-8"),
    (b"a: 1\nc: a\x00b", "f.yaml:2:5: the control character U+0000"),
    ("c: \ufffe".encode(), "f.yaml:1:4: the control character U+FFFE"),
]


@pytest.mark.parametrize(("data", "message"), UNREADABLE)
def test_what_is_no_text_is_refused_with_its_place(data, message, tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(data)
    with pytest.raises(CatalogError) as caught:
        load(path, shown="f.yaml")
    assert str(caught.value).startswith(message)


def test_a_lone_surrogate_in_a_text_is_refused():
    assert "not UTF-8" in problems_of("c: \ud800")


def test_a_file_that_is_not_there_is_a_problem(tmp_path):
    with pytest.raises(CatalogError) as caught:
        load(tmp_path / "none.yaml", shown="none.yaml")
    assert str(caught.value) == (
        "none.yaml:1:1: a file that cannot be read: No such file or directory\n"
        "  expected: a readable YAML file\n"
        "  fix:      check the path and its permissions"
    )


def test_a_folder_is_no_catalog_file(tmp_path):
    with pytest.raises(CatalogError, match="no regular file"):
        load(tmp_path, shown="folder")


DOCUMENT = Path(__file__).parents[2] / "docs" / "writing-cases.md"


@pytest.mark.parametrize(
    "row",
    [
        f"| an expression | {MOST_CHARACTERS:,} characters, nesting {DEEPEST_NESTING} |",
        f"| one chain of operators, as `a + b + c` | {LONGEST_CHAIN} operators |",
        f"| literals and integer exponents | no number over {MOST_DIGITS:,} digits"
        f" (a literal is written with at most {MOST_WRITTEN_DIGITS:,}) |",
        f"| a tensor | {MOST_ELEMENTS:,} elements, each dimension 0 to {MOST_IN_A_DIMENSION:,} |",
        f"| variants of a case | {MOST_VARIANTS} |",
        f"| a comprehension | {MOST_STEPS:,} steps |",
        f"| an intermediate result | {MOST_BETWEEN:,} elements |",
        f"| a derivative of the highest order of a case | {MOST_OPERATIONS:,} operations on balls, "
        f"{MOST_NUMBERS:,} numbers at once, written in {MOST_COUNTING:,} steps |",
    ],
)
def test_a_limit_is_documented_as_it_is(row):
    assert row in DOCUMENT.read_text("utf-8").split("## Limits")[1].splitlines()

"""What changed between two runs: each kind of change is shown a culprit, and acquits its twin."""

import itertools
import math
from dataclasses import replace

import pytest
from made_records import check, stale, wrong

from gradcheck.report.comparison import (
    ChangeKind,
    compare,
    comparison_json,
    on_device,
)
from gradcheck.report.comparison_text import comparison_markdown, comparison_text, conclusion


def kinds(before, after):
    return [change.kind for change in compare([before], [after]).changes]


OTHERS = [
    check(),
    check(verdict="inaccurate", ulps=1e6),
    check(verdict="abstain", ulps=None),
    check(verdict="known", ulps=1e9),
]


@pytest.mark.parametrize("before", OTHERS, ids=lambda record: record.verdict)
def test_a_check_that_disagrees_and_did_not_is_newly_disagreeing(before):
    assert kinds(before, wrong()) == [ChangeKind.DISAGREES]


@pytest.mark.parametrize("record", [*OTHERS, wrong(), stale()], ids=lambda record: record.verdict)
def test_a_check_that_is_as_it_was_has_not_changed(record):
    assert kinds(record, record) == []


@pytest.mark.parametrize("after", [check(), check(verdict="inaccurate", ulps=9e9), stale()])
@pytest.mark.parametrize("before", [wrong(), check(verdict="known", ulps=1e9)])
def test_a_check_that_failed_and_is_right_is_fixed(before, after):
    assert kinds(before, after) == [ChangeKind.FIXED]


def test_a_right_check_that_is_newly_listed_as_failing_is_not_fixed():
    assert kinds(check(), stale()) == [ChangeKind.DISAGREES]


def test_a_known_failure_with_another_fault_of_its_list_is_not_fixed():
    other = replace(stale(), reason="known_failures.yaml:9:3: it is pinned to no point")
    assert kinds(check(verdict="known"), other) == [ChangeKind.DISAGREES]


@pytest.mark.parametrize("before", [check(), check(verdict="abstain"), stale()])
def test_a_known_failure_that_was_none_is_worse(before):
    assert kinds(before, check(verdict="known")) == [ChangeKind.KNOWN]


def test_a_failure_that_was_entered_as_known_has_not_changed():
    assert kinds(wrong(), check(verdict="known")) == []


@pytest.mark.parametrize("before", [check(), wrong(), check(verdict="known")])
def test_a_check_that_proves_nothing_any_more_is_told(before):
    assert kinds(before, check(verdict="abstain", ulps=None)) == [ChangeKind.ABSTAINS]


def test_a_check_that_proves_something_again_is_told():
    assert kinds(check(verdict="abstain", ulps=None), check()) == [ChangeKind.JUDGED]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (1.0, 8.01, ChangeKind.LESS_ACCURATE),
        (100.0, 200.1, ChangeKind.LESS_ACCURATE),
        (None, 9.0, ChangeKind.LESS_ACCURATE),
        (8.01, 1.0, ChangeKind.MORE_ACCURATE),
        (200.1, 100.0, ChangeKind.MORE_ACCURATE),
    ],
)
def test_twice_the_error_and_half_of_it_are_told(before, after, kind):
    assert kinds(check(ulps=before), check(ulps=after)) == [kind]


@pytest.mark.parametrize(("one", "other"), [(1.0, 3.0), (0.0, 8.0), (100.0, 200.0), (None, 2.0)])
def test_noise_of_a_few_ulps_and_less_than_twice_the_error_are_no_news(one, other):
    assert kinds(check(ulps=one), check(ulps=other)) == []
    assert kinds(check(ulps=other), check(ulps=one)) == []


def test_what_became_inaccurate_is_less_accurate_whatever_its_error():
    assert kinds(check(ulps=9.0), check(verdict="inaccurate", ulps=9.0)) == [
        ChangeKind.LESS_ACCURATE
    ]


def test_errors_of_checks_that_failed_are_not_compared():
    assert kinds(wrong(), replace(wrong(), ulps=math.inf)) == []


def test_twice_the_time_and_a_second_more_is_slower():
    assert kinds(check(seconds=0.9), check(seconds=2.0)) == [ChangeKind.SLOWER]


@pytest.mark.parametrize(("before", "after"), [(0.1, 1.0), (10.0, 19.9), (2.0, 0.1)])
def test_less_than_a_second_or_less_than_twice_is_not_slower(before, after):
    assert kinds(check(seconds=before), check(seconds=after)) == []


def many(seconds, count=20, **facts):
    return [check(f"case{k}", seconds=seconds, **facts) for k in range(count)]


def test_a_file_whose_checks_take_twice_the_time_together_is_slower_as_a_whole():
    comparison = compare(many(0.1), many(0.3))
    assert [family.is_slower for family in comparison.families] == [True]
    assert comparison.changes == ()
    assert conclusion(comparison) == "no worse: 1 of the files slower as a whole"


def test_a_file_that_takes_little_longer_is_not():
    assert [each.is_slower for each in compare(many(0.1), many(0.19)).families] == [False]


def test_a_check_of_one_run_alone_is_vanished_or_new():
    before, after = [check("a"), check("b")], [check("b"), check("c")]
    found = [(each.kind, each.record.case) for each in compare(before, after).changes]
    assert found == [(ChangeKind.VANISHED, "a"), (ChangeKind.NEW, "c")]


WORSE = [([check()], [wrong()]), ([check()], [check(verdict="known")]), (many(1), many(1)[:-1])]
NO_WORSE = [
    ([wrong()], [check()]),
    ([check()], [check(verdict="abstain")]),
    ([check()], [check(verdict="inaccurate", ulps=1e9)]),
    (many(1)[:-1], many(9)),
]


@pytest.mark.parametrize("pair", WORSE)
def test_a_new_failure_and_a_lost_check_are_worse(pair):
    assert compare(*pair).is_worse
    assert conclusion(compare(*pair)).startswith("worse: ")


@pytest.mark.parametrize("pair", NO_WORSE)
def test_what_got_better_slower_or_less_certain_is_no_worse(pair):
    assert not compare(*pair).is_worse
    assert conclusion(compare(*pair)).startswith("no worse: ")


def test_two_equal_runs_are_the_same():
    assert conclusion(compare(many(1), many(1))) == "the same: nothing changed"


def test_a_cpu_is_held_against_a_gpu_check_by_check():
    before = [check(), check(dtype="float32")]
    after = [replace(wrong(device="cuda")), check(device="cuda", dtype="float32")]
    comparison = compare(before, after)
    assert comparison.matched == 2
    assert [each.kind for each in comparison.changes] == [ChangeKind.DISAGREES]


def test_where_a_device_is_in_both_runs_the_other_device_is_none_of_its_checks():
    comparison = compare([check()], [check(), wrong(device="cuda")])
    assert [each.kind for each in comparison.changes] == [ChangeKind.NEW]


def test_one_run_on_two_devices_is_parted_by_the_device():
    both = [check(), check(device="cuda:0"), check(device="cuda:1")]
    assert [each.device for each in on_device(both, "cuda")] == ["cuda:0", "cuda:1"]
    assert [each.device for each in on_device(both, "cuda:1")] == ["cuda:1"]
    assert compare(on_device(both, "cpu"), on_device(both, "cuda")).matched == 2


def test_of_a_check_that_was_run_twice_the_last_record_counts():
    assert compare([wrong(), check()], [check()]).changes == ()
    assert compare([check(), wrong()], [check()]).counts == {ChangeKind.FIXED: 1}


@pytest.mark.parametrize(
    ("other", "note"),
    [
        (
            check(seed=7),
            "the seeds differ (0 and 7): other points were drawn, so errors may differ by chance",
        ),
        (
            check(points=8),
            "1 of 1 checks had another number of points, so errors and times may differ by "
            "that alone",
        ),
        (
            check(gradcheck="0.2.0"),
            "the releases of gradcheck differ (0.1.0 and 0.2.0): so may the judge",
        ),
    ],
)
def test_what_hampers_the_comparison_is_noted(other, note):
    assert compare([check()], [other]).notes == (note,)


def test_another_release_of_torch_is_what_is_compared_and_no_note():
    assert compare([check()], [check(torch="2.14.1")]).notes == ()


BEFORE = [
    check("swish", file="cases/small.yaml"),
    check("mish", seconds=1.0),
    check("gone"),
    check("cube", verdict="known", reason="a defect of PyTorch"),
    check("sine", witness="value"),
]
AFTER = [
    replace(wrong(), torch="2.14.1"),
    check("mish", seconds=2.5, torch="2.14.1"),
    check("cube", torch="2.14.1"),
    check("sine", witness="value", ulps=20.0, torch="2.14.1"),
]

TEXT = """\
before  old: torch 2.13.0; cpu (a processor); seed 0; 5 checks
after   new: torch 2.14.1; cpu (a processor); seed 0; 4 checks

          before  after
───────────────────────
checks         5      4
in both        4      4
agree          4      3
known          1      0
disagree       0      1

file              checks in both        seconds  what changed
────────────────────────────────────────────────────────────────────────────────
cases/small.yaml               4  1.8, then 3.2  1 newly disagreeing; 1
                                                 vanished; 1 less accurate; 1
                                                 slower; 1 fixed

newly disagreeing: 1 check (a gradient is wrong that was not)
  cases/small.yaml
    swish[reverse-cpu-float64]: agree, then disagree: the backward is wrong

vanished: 1 check (only the earlier run has it)
  cases/small.yaml
    gone[reverse-cpu-float64]: agree

less accurate: 1 check (more than twice the error, beyond a few ulps)
  cases/small.yaml
    sine[value-cpu-float64]: 1 ulps, then 20 ulps

slower: 1 check (more than twice the time, and a second)
  cases/small.yaml
    mish[reverse-cpu-float64]: 1.00 s, then 2.50 s

fixed: 1 check (it failed, and is right)
  cases/small.yaml
    cube[reverse-cpu-float64]: known: a defect of PyTorch, then agree

worse: 1 newly disagreeing, 1 vanished; beside that 1 less accurate, 1 slower, 1
fixed"""


def test_the_text_says_what_changed_worst_first(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert comparison_text(compare(BEFORE, AFTER, ("old", "new")), styled=False) == TEXT


def test_what_is_fixed_and_still_listed_is_said_so():
    text = comparison_text(
        compare([check(verdict="known", reason="a defect")], [stale()]), styled=False
    )
    assert "known: a defect, then right, and still listed in" in text


def test_a_case_has_one_line_unless_all_are_asked_for():
    witnesses = ("reverse", "forward", "contract")
    before = [check(witness=witness) for witness in witnesses]
    comparison = compare(before, [wrong(witness=witness) for witness in witnesses])
    assert "swish[contract-cpu-float64] and 2 more: agree" in comparison_text(
        comparison, styled=False
    )
    all_of_them = comparison_text(comparison, everything=True, styled=False)
    assert [f"swish[{witness}-cpu-float64]: agree" in all_of_them for witness in witnesses] == [
        True
    ] * 3


def test_many_cases_are_cut_and_counted():
    text = comparison_text(compare(many(1), [replace(each, verdict="abstain", reason="no jvp")
                                             for each in many(1)]), styled=False)  # fmt: skip
    assert "  and 12 more cases or files; --all lists every check" in text


def test_a_file_that_is_new_as_a_whole_has_one_line():
    new = many(1, file="cases/new.yaml")
    text = comparison_text(compare([check()], [check(), *new]), styled=False)
    assert "    case0[reverse-cpu-float64] and 19 more: agree" in text


def test_the_markdown_shows_hostile_text_as_it_is():
    hostile = "<img src=x onerror=alert(1)> | **bold** `code`"
    after = replace(wrong(), blame=hostile)
    text = comparison_markdown(compare([check()], [after], ("a|b", "c`d")))
    assert "\\<img src=x onerror=alert(1)\\> \\| \\*\\*bold\\*\\* \\`code\\`" in text
    assert "`a|b`" in text
    assert "c\\`d" in text
    assert "<details><summary>newly disagreeing: 1 check, a gradient is wrong that was not" in text


def test_the_json_holds_every_change_with_both_sides():
    found = comparison_json(compare(BEFORE, AFTER, ("old", "new")))
    assert found["worse"] is True
    assert found["counts"] == {
        "newly disagreeing": 1,
        "vanished": 1,
        "less accurate": 1,
        "slower": 1,
        "fixed": 1,
    }
    first = found["changes"][0]
    assert (first["kind"], first["worse"], first["case"]) == ("newly disagreeing", True, "swish")
    assert first["before"]["verdict"] == "agree"
    assert first["after"]["headline"] == "the backward is wrong"
    assert found["changes"][1]["after"] is None


def test_no_pair_of_verdicts_has_two_kinds():
    every = [*OTHERS, wrong(), stale()]
    counts = [len(kinds(one, other)) for one, other in itertools.product(every, every)]
    assert max(counts) == 1

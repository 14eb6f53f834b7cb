"""Which failed checks share a cause, which one tells it, and what is said of the others."""

import itertools

import pytest

from gradcheck.report.causes import Failure, by_cause
from gradcheck.report.records import Record


def failure(witness="reverse", dtype="float64", **facts):
    """A failed check, as far as its record matters here."""
    device, variant = facts.get("device", "cpu"), facts.get("variant", "")
    record = {
        "id": f"cases/small.yaml::swish[{variant}{witness}-{device}-{dtype}]",
        "file": "cases/small.yaml",
        "case": "swish",
        "variant": variant,
        "implementation": "mine:swish",
        "witness": witness,
        "order": {"value": 0, "second": 2}.get(witness, 1),
        "device": device,
        "dtype": dtype,
        "verdict": "disagree",
        "reason": "off by 1",
        "blame": "the backward is wrong",
        "guess": "",
        "guess_kind": "",
        "line": 2,
        "entries": 1,
        "abstained": 0,
        "counts": {"disagree": 1},
        "points": 1,
        "visited": {"bulk": 1},
        "seconds": 0.25,
        "seed": 0,
        **dict.fromkeys(("torch", "device_name", "gradcheck", "python", "platform"), ""),
        **dict.fromkeys(("ulps", "relative", "at", "index", "got", "true", "radius", "route")),
    }
    return Failure(Record(**{**record, **facts}), f"the block of {witness} in {dtype}")


def names(causes):
    """For each cause its checks, the telling one first."""
    return [
        [each.record.id.partition("[")[2] for each in (cause.telling, *cause.others)]
        for cause in causes
    ]


ALL = [
    failure(witness, dtype)
    for witness in ("value", "reverse", "forward", "contract", "second", "gradcheck")
    for dtype in ("float64", "float32")
]


def test_all_that_one_implementation_does_wrong_is_one_cause():
    (cause,) = by_cause(ALL)
    assert cause.telling is ALL[0]
    assert list(cause.others) == ALL[1:]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (failure("value"), failure("reverse")),
        (failure("reverse", "float64"), failure("value", "float32")),
        (failure("reverse", "float32"), failure("second", "float64")),
        (failure("reverse", "float32"), failure("gradcheck", "float64")),
        (failure("second", "float32"), failure("gradcheck", "float64")),
        (failure("of-a-plugin", "float32"), failure("gradcheck")),
        (failure("second"), failure("value", verdict="inaccurate")),
    ],
)
def test_the_most_telling_check_tells_the_cause_in_any_order(first, second):
    for given in itertools.permutations([first, second]):
        (cause,) = by_cause(given)
        assert cause.telling is first


@pytest.mark.parametrize(
    "other",
    [
        {"case": "another"},
        {"file": "cases/another.yaml"},
        {"implementation": "mine:another"},
        {"blame": "nothing judged"},
        {"blame": "known_failures.yaml"},
        {"variant": "d=1-", "blame": "the value is wrong"},
        {"device": "cuda", "blame": "the value is wrong"},
    ],
)
def test_what_is_plainly_another_fault_is_another_cause(other):
    assert len(by_cause([failure(), failure(**other)])) == 2


@pytest.mark.parametrize("other", [{"variant": "d=1-"}, {"device": "cuda"}])
def test_variants_and_devices_with_the_same_fault_share_a_cause(other):
    assert len(by_cause([failure(), failure(**other)])) == 1


@pytest.mark.parametrize(("kind", "count"), [("sign", 1), ("", 1), ("factor", 2)])
def test_variants_whose_errors_are_not_of_a_kind_have_causes_of_their_own(kind, count):
    given = [failure(guess_kind="sign"), failure(variant="d=1-", guess_kind=kind)]
    assert len(by_cause(given)) == count
    assert len(by_cause(given[::-1])) == count


def test_the_words_of_a_guess_are_nothing_to_tell_causes_by():
    """A factor of 2 in one variant and of 3 in another: 1/n says as much."""
    of_two = failure(guess="a constant factor of 2", guess_kind="factor")
    of_three = failure(variant="d=1-", guess="a constant factor of 3", guess_kind="factor")
    assert len(by_cause([of_two, of_three])) == 1


def test_a_fault_of_the_case_itself_is_one_for_all_implementations():
    blamed = {"blame": "the case itself"}
    both = [failure(implementation=name, **blamed) for name in ("mine:a", "mine:b")]
    assert len(by_cause(both)) == 1


def test_two_faults_of_a_case_itself_are_two():
    both = [failure(blame="the case itself", reason=reason) for reason in ("one", "two")]
    assert len(by_cause(both)) == 2


def test_causes_come_in_the_order_of_their_first_checks():
    given = [failure(case="b"), failure(case="a"), failure("forward", case="b")]
    assert names(by_cause(given)) == [
        ["reverse-cpu-float64]", "forward-cpu-float64]"],
        ["reverse-cpu-float64]"],
    ]


def test_the_text_is_one_block_and_a_line_for_each_other_check():
    jvp = failure("forward", blame="the forward mode is wrong", reason="off\nby 2")
    second = failure("second")
    (cause,) = by_cause([failure(), failure(dtype="float32", reason="off by 3"), jvp, second])
    assert cause.text == (
        "the block of reverse in float64\n"
        "\n"
        "the same cause, in 3 more checks:\n"
        "  swish[reverse-cpu-float32]: off by 3\n"
        "  swish[forward-cpu-float64]: the forward mode is wrong; off by 2\n"
        "  swish[second-cpu-float64]: the same"
    )


def test_a_long_reason_of_another_check_is_cut_at_the_width_of_a_terminal():
    long = failure("gradcheck", reason=f"Jacobian mismatch for output 0: {'1.0, ' * 40}")
    (cause,) = by_cause([failure(), long])
    *_, line = cause.text.splitlines()
    assert line == ("  swish[gradcheck-cpu-float64]: Jacobian mismatch for output 0: 1.0, 1.0, ...")


def test_a_single_failure_is_its_block_alone():
    (cause,) = by_cause([failure()])
    assert cause.text == "the block of reverse in float64"


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "the backward is wrong"),
        ({"guess": "the sign"}, "the backward is wrong (looks like: the sign)"),
        ({"blame": ""}, "off by 1"),
        ({"blame": "the case itself"}, "the case itself: off by 1"),
        (
            {"blame": "the case itself", "reason": "cases/small.yaml:1:3: no such module"},
            "the case itself: no such module",
        ),
        ({"blame": "the case itself", "reason": "a\n  fix: b"}, "the case itself: a"),
        ({"blame": "nothing judged", "reason": "nothing was judged: x"}, "nothing was judged: x"),
    ],
)
def test_the_headline_is_who_is_wrong_or_else_why(facts, text):
    (cause,) = by_cause([failure(**facts)])
    assert cause.headline == text

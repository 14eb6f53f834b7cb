"""Who is wrong, from who agrees with whom; what fails is told in derivatives where it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from gradcheck.answer import Agreement, EntryReport, Ruling, Statement, Violation
from gradcheck.methods import METHODS
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.points.generate import Points, to_coordinates
from gradcheck.query import Query
from gradcheck.reference.enclosures import Status
from gradcheck.reference.reference import Reference
from gradcheck.run.entry_text import entry_report
from gradcheck.run.joint_query import NO_PROMISES, Promises
from gradcheck.run.observation import Entry, Finding, Observation, observe
from gradcheck.run.session import Session, session_of

_IN_ORDER = sorted(METHODS.values(), key=lambda method: method.order)
_MOST_CALLS = 3  # that are named
_MOST_DERIVATIVES = 4_096
"""As many are enclosed one by one to be counted."""
_HIGHEST = max(method.order for method in METHODS.values())


Statements = tuple[Statement, ...]
"""What every witness says at one input."""


def cross_check(session: Session, points: Points, seed: int, promises: Promises) -> Statements:
    """Return what every witness says at one input: of its numbers the worst.

    A derivative itself is told before a contraction of several, which ``seed`` draws.
    """
    said = [_symbolic(session, points)]
    for method in _IN_ORDER:
        asked = method.by_default or method.name == session.check.witness
        if method.order > session.case.order or not asked:
            continue
        other = session_of(replace(session.check, witness=method.name))
        said.append(_worst_of(other, points, (PLAIN, seed), promises))
    return tuple(said)


def observed(
    session: Session, points: Points, seed: int, promises: Promises = NO_PROMISES
) -> Observation:
    """What the witness says at one input, asked once: checks of one implementation fail alike."""
    ask = partial(observe, session, points, seed, promises=promises)
    if promises is not NO_PROMISES:
        return ask()
    key = "observed", session.check.witness, seed, *(each.tobytes() for each in points.values())
    return session.once(key, ask)


def _worst_of(
    session: Session, points: Points, seeds: Sequence[int], promises: Promises
) -> Statement:
    """The first of the worst statements by some seeds; nothing is worse than to disagree."""
    found: list[Statement] = []
    for seed in seeds:
        observation = observed(session, points, seed, promises)
        found.append(_statement(session.check.witness, observation))
        if found[-1].ruling is Ruling.DISAGREE:
            break
    return max(found, key=lambda each: each.ruling.severity)


def _symbolic(session: Session, points: Points) -> Statement:
    reference = session.in_real_coordinates
    query, of = _asked_of(reference)
    found = reference.enclose(query, to_coordinates(session.variant.inputs, points))
    proved = int((found.status <= Status.KINK).sum())
    note = reference.note(1)
    told = f"{proved} of {found.status.size} {of} enclosed, by {found.route}"
    if note:
        told += f": {note}"
    return Statement("symbolic", Ruling.AGREE, note=told)


def _asked_of(reference: Reference) -> tuple[Query, str]:
    """All derivatives, or of many those of the sum of the outputs."""
    if not reference.size:
        return Query(0), "derivatives"
    if reference.outputs * reference.size <= _MOST_DERIVATIVES:
        return Query.of_all(1), "derivatives"
    return Query(1, np.ones((1, reference.outputs)), (None,)), "derivatives of the sum"


def _statement(name: str, observation: Observation) -> Statement:
    worst = observation.worst(plain_first=True)
    if worst is None:
        agreed = [each.reason for each in observation.remarks if isinstance(each, Agreement)]
        if agreed:
            return Statement(name, Ruling.AGREE, note=agreed[0])
        return Statement(name, Ruling.ABSTAIN, note=observation.silence())
    if isinstance(worst, Finding):
        return Statement(name, worst.ruling, note=worst.judgement.reason)
    return Statement(name, worst.ruling, entry_report(observation, worst))


def failing_entries(
    session: Session,
    points: Points,
    seed: int,
    promises: Promises,
    failing: Callable[[Observation], list[Entry | Finding]],
) -> list[EntryReport]:
    """Return what fails at one input, each number once, worst first.

    The derivatives themselves, where they fail; else contractions of several, by ones or else by
    what ``seed`` draws.
    """
    contractions: list[EntryReport] = []
    only_so = False
    for each in (PLAIN, seed):
        observation = observed(session, points, each, promises)
        found = sorted(failing(observation), key=_badness, reverse=True)[:_MOST_TOLD]
        plain = [each for each in found if isinstance(each, Finding) or each.is_plain]
        if plain:
            return _each_once([entry_report(observation, entry) for entry in plain])
        only_so |= observation.judges_plain()
        contractions = contractions or [entry_report(observation, entry) for entry in found]
    return _each_once([replace(entry, only_so=only_so) for entry in contractions])


_MOST_TOLD = 64
"""Entries of one input, worst first: more are worded for nobody."""


def _badness(failing: Entry | Finding) -> tuple[bool, float]:
    """What is plain first, of these what is farthest off."""
    plain = isinstance(failing, Finding) or failing.is_plain
    return plain, failing.judgement.ulps


def _each_once(found: Sequence[EntryReport]) -> list[EntryReport]:
    """One entry for what several calls say alike, under the names of all of them."""
    alike: dict[object, list[EntryReport]] = {}
    for each in found:
        key = each.index, repr(each.got), each.true, each.reason, each.directions
        alike.setdefault(key, []).append(each)
    once = [
        replace(same[0], label=" and ".join(dict.fromkeys(each.label for each in same)))
        for same in alike.values()
    ]
    return sorted(once, key=lambda each: each.ulps, reverse=True)


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who is wrong, in words, and the number of the place where it shows."""

    text: str
    place: int


@dataclass(frozen=True, slots=True)
class WrongCalls:
    """Which calls of a witness are wrong, in words, and the highest order of what they answer."""

    text: str = ""
    order: int = 0


def attribute(
    witness: str, ruling: Ruling, *places: Statements, calls: WrongCalls = WrongCalls()
) -> Attribution:
    """Return what the pattern of agreement allows to conclude, over what was said at some places.

    At the smallest input a fault may not show in all modes, so the place that tells most decides;
    of places that tell the same the first. ``ruling`` is that of the witness's check: where that
    lost accuracy alone, nobody is called wrong. ``calls`` tells which of its calls are wrong, where
    its usual one is right: that says more than who else is wrong.
    """
    told = [_told(witness, ruling, said, calls) for said in places]
    place = min(range(len(told)), key=lambda k: told[k][0])
    return Attribution(told[place][1], place)


def _told(witness: str, ruling: Ruling, said: Statements, calls: WrongCalls) -> tuple[int, str]:
    """The conclusion from one place, and its rank: who is wrong first hides what follows."""
    if ruling is Ruling.INACCURATE:
        losing = [each.witness for each in said if each.ruling is Ruling.INACCURATE]
        # what is lost in the usual call is lost in all others
        lost = [name for name in losing if not METHODS[name].usual_call or "reverse" not in losing]
        if not lost:
            return 1, _ELSEWHERE.format(_subject(witness))
        return 0, _lost([_subject(name) for name in lost])
    wrong = {each.witness for each in said if each.ruling is Ruling.DISAGREE}
    if calls.text and METHODS[witness].eager:
        return 0, calls.text
    eager = [METHODS[name] for name in wrong if METHODS[name].eager]
    if calls.text and not any(method.order <= calls.order for method in eager):
        return 0, f"right in eager mode, {calls.text}"
    misconduct = next((each.note for each in said if each.witness == "value"
                       and each.witness in wrong and not each.entry_report), None)  # fmt: skip
    if misconduct is not None:
        return 0, _ALWAYS if not _anybody_agrees(said) else misconduct
    alone = (witness,), f"only {witness} disagrees"
    for rank, (names, text) in enumerate((*_PATTERNS, alone), start=1):
        if wrong.issuperset(names):
            return rank, text
    return len(_PATTERNS) + 2, _ELSEWHERE.format(_subject(witness))


def wrong_calls(witness: str, failing: Sequence[Entry | Finding]) -> WrongCalls:
    """Return which calls failed, where the witness names them and its usual one is right.

    None elsewhere. The usual one of a witness that is not about eager mode is that mode's.
    """
    usual = METHODS[witness].usual_call
    if METHODS[witness].eager and not usual:
        return WrongCalls()
    if usual and any(each.label == usual and _call(each)[0] for each in failing):
        return WrongCalls()
    told = list(dict.fromkeys(map(_call, failing)))
    sentences = [text for how, text in told if not how]
    for how in dict.fromkeys(how for how, _ in told if how):
        calls = [text for each, text in told if each == how]
        more = len(calls) - _MOST_CALLS
        named = [*calls[:_MOST_CALLS], *([f"in {more} other calls"] if more > 0 else [])]
        sentences.append(f"{how} {' and '.join(named)}")
    orders = [each.query.order if isinstance(each, Entry) else _HIGHEST for each in failing]
    return WrongCalls("; ".join(sentences), max(orders, default=0))


def _call(failing: Entry | Finding) -> tuple[str, str]:
    """What a call does, and which it is; nothing and a sentence where the sentence tells both."""
    if isinstance(failing, Entry):
        return "wrong", failing.label
    remark = failing.remark
    raised = isinstance(remark, Violation) and remark.raised
    return ("fails", failing.label) if raised else ("", remark.reason)


def _anybody_agrees(said: Statements) -> bool:
    return any(each.ruling is Ruling.AGREE for each in said if each.witness != "symbolic")


def _subject(witness: str) -> str:
    return METHODS[witness].subject if witness in METHODS else witness


def _lost(subjects: Sequence[str]) -> str:
    *most, last = subjects
    listed = f"{', '.join(most)} and {last}" if most else last
    return f"accuracy is lost in {listed}: no formula is wrong"


_ALWAYS = "the implementation itself fails, whatever is asked of it"
_ELSEWHERE = "{} is wrong, but only where several derivatives or points are asked for at once"
_PATTERNS = (
    (
        ("value", "reverse"),
        "another function than the formula is computed: value and gradient are both off",
    ),
    (("value",), "the value is wrong: the forward computation is not the formula's"),
    (("reverse", "forward"), "the backward and the forward mode (jvp) are both wrong"),
    (("reverse",), "the backward is wrong"),
    (("forward",), "the forward mode (jvp) is wrong"),
    (("second",), "the second derivative is wrong"),
    (("contract",), "the backward is right only as it is usually called"),
    (
        ("functional", "gradcheck"),
        "the derivative under torch.func is wrong, and finite differences disagree",
    ),
    (
        ("gradcheck",),
        "only finite differences disagree: the implementation is not smooth in its rounding",
    ),
)
"""Whose disagreement says what: the first row fits all of whose witnesses disagree."""

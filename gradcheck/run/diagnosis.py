"""Who is wrong, from who agrees with whom; and what the error looks like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gradcheck.answer import Agreement, EntryReport, Ruling, Statement, Violation
from gradcheck.judge.contraction import Term
from gradcheck.methods import METHODS
from gradcheck.methods._torch.directions import PLAIN
from gradcheck.query import Query
from gradcheck.reference.enclosures import Status
from gradcheck.run.observation import (
    Entry,
    Finding,
    Observation,
    Promises,
    entry_report,
    observe,
)
from gradcheck.run.session import Points, Session, session_of

_IN_ORDER = sorted(METHODS.values(), key=lambda method: method.order)
_CLOSE = 1e-4
_SHARE = 1e-2
_SMALL = 1e-3
_MOST_CALLS = 3  # that are named


Statements = tuple[Statement, ...]
"""What every witness says at one input."""


def cross_check(session: Session, points: Points, seed: int, promises: Promises) -> Statements:
    """Return what every witness says at one input: of its numbers the worst.

    A derivative itself is told before a contraction of several, which ``seed`` draws.
    """
    said = [_symbolic(session, points)]
    for method in _IN_ORDER:
        if method.order > session.case.order:
            continue
        name = method.name
        other = session_of(replace(session.check, witness=name))
        plain = observe(other, points, PLAIN, promises=promises)
        drawn = observe(other, points, seed, promises=promises)
        found = _statement(name, plain), _statement(name, drawn)
        said.append(max(found, key=lambda each: each.ruling.severity))
    return tuple(said)


def _symbolic(session: Session, points: Points) -> Statement:
    query = Query(1, None, (None,)) if session.reference.size else Query(0)
    found = session.reference.enclose(query, session.rows(points))
    proved = int((found.status <= Status.KINK).sum())
    note = session.reference.note(1)
    told = f"{proved} of {found.status.size} derivatives enclosed, by {found.route}"
    if note:
        told += f": {note}"
    return Statement("symbolic", Ruling.AGREE, note=told)


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
        observation = observe(session, points, each, promises=promises)
        found = failing(observation)
        plain = [each for each in found if isinstance(each, Finding) or each.is_plain]
        if plain:
            return _each_once([entry_report(observation, entry) for entry in plain])
        only_so |= observation.judges_plain()
        contractions = contractions or [entry_report(observation, entry) for entry in found]
    return _each_once([replace(entry, only_so=only_so) for entry in contractions])


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


def attribute(witness: str, ruling: Ruling, *places: Statements, calls: str = "") -> Attribution:
    """Return what the pattern of agreement allows to conclude, over what was said at some places.

    At the smallest input a fault may not show in all modes, so the place that tells most decides;
    of places that tell the same the first. ``ruling`` is that of the witness's check: where that
    lost accuracy alone, nobody is called wrong. ``calls`` tells which of its calls are wrong, where
    its usual one is right: that says more than who else is wrong.
    """
    told = [_told(witness, ruling, said, calls) for said in places]
    place = min(range(len(told)), key=lambda k: told[k][0])
    return Attribution(told[place][1], place)


def _told(witness: str, ruling: Ruling, said: Statements, calls: str) -> tuple[int, str]:
    """The conclusion from one place, and its rank: who is wrong first hides what follows."""
    if ruling is Ruling.INACCURATE:
        lost = [_subject(each.witness) for each in said
                if each.ruling is Ruling.INACCURATE]  # fmt: skip
        return (0, _lost(lost)) if lost else (1, _ELSEWHERE.format(_subject(witness)))
    if calls:
        return 0, calls
    wrong = {each.witness for each in said if each.ruling is Ruling.DISAGREE}
    misconduct = next((each.note for each in said if each.witness == "value"
                       and each.witness in wrong and not each.entry_report), None)  # fmt: skip
    if misconduct is not None:
        return 0, _ALWAYS if not _anybody_agrees(said) else misconduct
    alone = (witness,), f"only {witness} disagrees"
    for rank, (names, text) in enumerate((*_PATTERNS, alone), start=1):
        if wrong.issuperset(names):
            return rank, text
    return len(_PATTERNS) + 2, _ELSEWHERE.format(_subject(witness))


def wrong_calls(witness: str, failing: Sequence[Entry | Finding]) -> str:
    """Return which calls failed, where the witness names them and its usual one is right.

    Empty elsewhere.
    """
    usual = METHODS[witness].usual_call
    if not usual or any(each.label == usual and _call(each)[0] for each in failing):
        return ""
    told = list(dict.fromkeys(map(_call, failing)))
    sentences = [text for how, text in told if not how]
    for how in dict.fromkeys(how for how, _ in told if how):
        calls = [text for each, text in told if each == how]
        more = len(calls) - _MOST_CALLS
        named = [*calls[:_MOST_CALLS], *([f"in {more} other calls"] if more > 0 else [])]
        sentences.append(f"{how} {' and '.join(named)}")
    return "; ".join(sentences)


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
        ("gradcheck",),
        "only finite differences disagree: the implementation is not smooth in its rounding",
    ),
)
"""Whose disagreement says what: the first row fits all of whose witnesses disagree."""


def classify_error(
    failing: Sequence[Entry | Finding], elsewhere: Sequence[Entry | Finding] = ()
) -> str:
    """Return what kind of error failing entries look like; empty where nothing fits them all.

    Entries of two points tell more than those of one: ``elsewhere`` are failing entries of other
    inputs, which can show a factor that the first ones leave open.
    """
    told = _numbers(failing)
    factor = _factor(told) or _factor([*told, *_numbers(elsewhere)])
    for name, fits in _KINDS:
        if told and all(map(fits, told)) and not (factor and name == _LOST):
            return name
    if told and _are_misplaced(told):
        return "transposed: the right numbers in the wrong places"
    return factor or _term(told)


def _numbers(said: Sequence[Entry | Finding]) -> list[_Number]:
    entries = (each for each in said if isinstance(each, Entry))
    return [
        _Number(entry.got, entry.true, _only_term(entry), entry)
        for entry in entries
        if math.isfinite(entry.true)
    ]


def _only_term(entry: Entry) -> Term | None:
    """The derivative that the number is a multiple of, unless it adds up several."""
    return entry.terms(1)[0] if entry.weights.count == 1 else None


@dataclass(frozen=True, slots=True)
class _Number:
    """One wrong number beside the true one, and the derivative that it is a multiple of."""

    got: float
    true: float
    term: Term | None
    entry: Entry

    @property
    def weight(self) -> float:
        """The cotangent's or tangent's weight, where only one entry was asked for."""
        return float(self.term[0].real) if self.term else 1.0

    @property
    def cotangent(self) -> float:
        """The weight of the one output at the one point, where there are no others."""
        given = self.entry.query.cotangent
        return float(given.item().real) if given is not None and given.size == 1 else 1.0

    def ignores(self, weight: float) -> bool:
        return weight != 1 and _near(self.got * weight, self.true)


def _near(a: float, b: float) -> bool:
    return math.isfinite(a) and abs(a - b) <= _CLOSE * abs(b) and b != 0


_LOST = "lost accuracy, as if computed in lower precision"
_KINDS: tuple[tuple[str, Callable[[_Number], bool]], ...] = (
    ("not a number", lambda it: math.isnan(it.got)),
    ("infinite", lambda it: math.isinf(it.got)),
    ("zero, where the truth is not", lambda it: it.got == 0 != it.true),
    ("not zero, where the truth is", lambda it: it.true == 0 != it.got),
    ("the sign", lambda it: _near(-it.got, it.true)),
    ("ignores the cotangent", lambda it: it.ignores(it.weight) or it.ignores(it.cotangent)),
    (_LOST, lambda it: abs(it.got - it.true) <= 1e-6 * abs(it.true)),
)


def _are_misplaced(told: list[_Number]) -> bool:
    """Whether every answer holds the right numbers in another order."""
    answers: dict[int, list[_Number]] = {}
    for number in told:
        answers.setdefault(id(number.entry.judged), []).append(number)
    return all(
        len(each) > 1
        and all(
            got == true or _near(got, true)
            for got, true in zip(
                sorted(number.got for number in each),
                sorted(number.true for number in each),
                strict=True,
            )
        )
        for each in answers.values()
    )


def _factor(told: list[_Number]) -> str:
    """A factor that several derivatives share; of one number alone it would say nothing."""
    ratios = _ratios(told)
    alone = {(number.term[1], number.true / number.weight) for number in told if number.term}
    if not ratios or len(alone) < 2:
        return ""
    first, excess = ratios[0], ratios[0] - 1
    # What rounding did to the ratios is far below their distance from 1.
    most = min(_CLOSE * abs(first), _SHARE * abs(excess))
    if not all(abs(ratio - first) <= most for ratio in ratios):
        return ""
    small = f"1 {'-' if excess < 0 else '+'} {abs(excess):.3g}"
    return f"a constant factor of {small if abs(excess) < _SMALL else f'{first:.6g}'}"


def _term(told: list[_Number]) -> str:
    ratios = _ratios(told)
    alike = all(_near(ratio, ratios[0]) for ratio in ratios)
    return "" if alike else "a missing or an extra term"


def _ratios(told: list[_Number]) -> list[float]:
    """What was given over the truth; nothing where some truth is 0."""
    if not all(number.true for number in told):
        return []
    return [number.got / number.true for number in told]

"""What kind of error failing numbers look like: the simplest alternative that explains them all.

A guess is tested: it must give every failing number to within its rounding, and so many that no
accident does. Where nothing does, nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gradcheck.answer import Floats, Guess, GuessKind
from gradcheck.diagnosis.alternatives import alternatives, of_each_entry
from gradcheck.diagnosis.evidence import Alternative, Evidence
from gradcheck.diagnosis.places import wrong_place
from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.floats import round_to
from gradcheck.judge.judge import Mask
from gradcheck.query import Array, Query, owners
from gradcheck.run.factors import NEAR_ONE, factor_text, term_text

_ROUNDING = 64.0
"""Units of rounding by which an explained number may be off its alternative."""
_SHARE = 1 / 16
"""Of its error, that an explained number may be off: the rest is explained."""
_BITS = 32.0
"""What a guess must explain beyond its own number: one accident in 2**32 does as well."""
_MOST_BITS = 50.0
_FEWEST_POINTS = 2
_FEWEST_IMPRECISE = 4


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """An alternative that explains all that is ``wrong``; at ``right`` it is not at work."""

    alternative: Alternative
    factor: float
    doubt: float
    wrong: list[Mask]
    right: list[Mask]


def guess_kind(evidence: Sequence[Evidence]) -> Guess | None:
    """Return what kind of error it looks like; None where nothing fits."""
    failing = [each for each in evidence if each.fails.any()]
    tried = _Remembered(_of_all(failing))
    ports = _Ports(failing, tried)
    with np.errstate(all="ignore"):  # alternatives may leave the range
        if not failing:
            return _of_low_precision(evidence)
        return (
            _without_number(failing)
            or _left_over(failing)
            or _undivided(failing)
            or _explained(failing, tried)
            or _of_low_precision(evidence)
            or ports.guess(partly=False)
            or _explained(failing, _of_each_entry(failing))
            or _roughly(failing, tried)
            or _not_zero(failing)
            or _imprecise(failing)
            or _region(failing)
            or ports.guess(partly=True)
        )


class _Remembered:
    """Alternatives, each made when it is first come to: hence it changes."""

    def __init__(self, source: Iterator[_Tried]) -> None:
        self._source, self._made = source, list[_Tried]()

    def __iter__(self) -> Iterator[_Tried]:
        yield from self._made
        for each in self._source:
            self._made.append(each)
            yield each


_Tried = Sequence[Alternative]
"""One alternative, in each of the evidence."""


# what is no number


def _without_number(evidence: Sequence[Evidence]) -> Guess | None:
    """What fails because it is no finite number at all."""
    for kind, text, is_so in (
        (GuessKind.ABSENT, "no gradient", [each.absent for each in evidence]),
        (GuessKind.NOT_A_NUMBER, "not a number", [np.isnan(each.got) for each in evidence]),
        (GuessKind.INFINITE, "infinite", [np.isinf(each.got) for each in evidence]),
    ):
        if all(mask[each.fails].all() for each, mask in zip(evidence, is_so, strict=True)):
            wrong = [each.fails for each in evidence]
            right = [_untouched(each) for each in evidence]
            return Guess(kind, text, wrong_place(evidence, wrong, right) or "")
    return None


# what another call left


def _left_over(evidence: Sequence[Evidence]) -> Guess | None:
    """What is wrong only where another call comes in between."""
    labels = {label for each in evidence for label in each.labels[each.fails.any(axis=1)]}
    if labels and labels <= _IN_BETWEEN:
        place = " and ".join(sorted(labels))
        return Guess(GuessKind.STALE, "stale: it belongs to another call", place)
    return None


_IN_BETWEEN = {"after another forward in between", "after an update of the inputs in place"}

# ties


def _undivided(evidence: Sequence[Evidence]) -> Guess | None:
    """Whether each of several equal numbers has the gradient of the one that is chosen."""
    points = set()
    for each in evidence:
        rows = np.flatnonzero(each.fails.any(axis=1))
        if each.parts.any() or each.query.cotangent is None or each.query.order != 1:
            return None
        whole = _of_the_chosen(each, rows)
        if whole is None:
            return None
        fails, got = each.fails[rows], each.got[rows]
        if not (np.abs(got - whole) <= _ALIKE * np.abs(whole))[fails].all():
            return None
        points |= {row.tobytes() for row in each.points[rows]}
    if len(points) < _FEWEST_POINTS:
        return None
    return Guess(GuessKind.TIES, "ties are not shared: each has the whole gradient", "at ties")


def _of_the_chosen(evidence: Evidence, rows: Array) -> Floats | None:
    """What each entry would have if it alone were a little larger, or smaller, than it is.

    None where no number is equal to another, or that changes nothing. Shapes: [rows, k].
    """
    points, query = evidence.points[rows], evidence.query.mapped(lambda side: side[rows])
    count, size = points.shape
    if size > _MOST_TIED:
        return None
    gradient = Query(1, query.cotangent, (None,))
    step = _STEP * np.maximum(np.abs(points), 1.0)
    found = np.zeros((count, size))
    least = np.full((count, size), math.inf)
    for entry in range(size):
        for sign in (1.0, -1.0):
            moved = points.copy()
            moved[:, entry] += sign * step[:, entry]
            slope = evidence.session.reference.in_floats(gradient, moved).reshape(count, size)
            slope = slope[:, entry]
            larger = np.abs(slope) > np.abs(found[:, entry])
            found[:, entry] = np.where(larger, slope, found[:, entry])
            least[:, entry] = np.minimum(least[:, entry], np.abs(slope))
    if not (least < _ALIKE * np.abs(found)).any(axis=1).all():  # nothing was chosen there
        return None
    tangent = evidence.query.tangents[0]
    if tangent is None:
        return found[:, evidence.slots]
    return np.asarray((found * tangent[rows]).sum(axis=1, keepdims=True))


_STEP, _ALIKE, _MOST_TIED = 2.0**-12, 1e-2, 64


# alternatives


def _of_low_precision(evidence: Sequence[Evidence]) -> Guess | None:
    """What explains, beside the few numbers that fail there by themselves, all that are far off."""
    if not evidence:
        return None
    dtype = evidence[0].session.dtype
    if dtype.unit_roundoff < _LOW:
        return None
    off = [
        each.usable & (np.abs(each.got - each.true) > _FAR * dtype.unit_roundoff * _row_size(each))
        for each in evidence
    ]
    pairs = zip(evidence, off, strict=True)
    wider = [replace(each, fails=each.fails | far) for each, far in pairs]
    wider = [each for each in wider if each.fails.any()]
    return _explained(wider, _of_all(wider)) if wider else None


_LOW = 2.0**-12
"""The unit roundoff of half precision is larger, that of float32 smaller."""
_FAR = 16.0
"""Units of rounding of a row's largest number, beyond which right code is rarely off."""


def _roughly(evidence: Sequence[Evidence], tried: Iterable[_Tried]) -> Guess | None:
    """A simple alternative that explains most of each error: what is left is small."""
    simple = ([*several] for several in tried if not several[0].fitted)
    for fit in _fits(evidence, simple, roughly=True):
        if wrong_place(evidence, fit.wrong, fit.right) == "":
            found = _told(fit, evidence, "")
            return replace(found, text=f"{found.text}, and lost accuracy")
    return None


def _explained(evidence: Sequence[Evidence], tried: Iterable[_Tried]) -> Guess | None:
    """The simplest alternative that explains all that fails, first of those that hold anywhere."""
    placed: list[tuple[_Fit, str | None]] = []
    for fit in _fits(evidence, tried):
        if fit.alternative.far_fetched and any(place is not None for _, place in placed):
            break
        place = wrong_place(evidence, fit.wrong, fit.right)
        if place == "" or (place and fit.alternative.simple):
            return _told(fit, evidence, place)
        placed.append((fit, place))
    for fit, place in placed:
        if place is not None:
            return _told(fit, evidence, place)
    simple = (fit for fit, _ in placed if fit.alternative.simple)
    return next((_told(fit, evidence, "at some numbers") for fit in simple), None)


def _fits(
    evidence: Sequence[Evidence], tried: Iterable[_Tried], *, roughly: bool = False
) -> Iterator[_Fit]:
    for several in tried:
        fit = _fit(evidence, several, roughly=roughly)
        if fit is not None:
            yield fit


def _of_all(evidence: Sequence[Evidence]) -> Iterator[_Tried]:
    """Alternatives that all of the evidence has, by their texts."""
    if len(evidence) == 1:
        for each in alternatives(evidence[0]):
            yield [each]
        return
    found = [{(one.kind, one.text): one for one in alternatives(each)} for each in evidence]
    for key in found[0]:
        if all(key in each for each in found):
            yield [each[key] for each in found]


def _of_each_entry(evidence: Sequence[Evidence]) -> Iterator[_Tried]:
    """Alternatives with numbers of each entry's own."""
    if len(evidence) == 1:
        yield from ([each] for each in of_each_entry(evidence[0]))


def _fit(
    evidence: Sequence[Evidence], several: Sequence[Alternative], *, roughly: bool = False
) -> _Fit | None:
    factor, doubt = _fitted(evidence, several)
    if math.isnan(factor):
        return None
    wrong, right, bits = [], [], []
    points = set()
    for each, one in zip(evidence, several, strict=True):
        told = _is_told(each, one)
        asked = each.asked & told
        line = one.base if one.slope is None else one.base + factor * one.slope
        known = np.isfinite(line)
        rest = np.abs(each.got - line)
        asked = asked & known if one.partial else asked
        if not _is_met(each, one, line, asked, roughly=roughly):
            return None
        apart = np.abs(line - each.true) > _slack(each, line)
        untouched = each.right & apart & known & told
        if untouched.any():
            untouched &= np.abs(line - each.true) > _ROUNDING * _own_rounding(one, line)
        wrong.append(asked)
        right.append(untouched)
        bits.append(_told_bits(each, one, rest, asked))
        points |= {row.tobytes() for row in each.points[asked.any(axis=1)]}
    found = np.concatenate(bits)
    spent = found.max(initial=0.0) if several[0].slope is not None else 0.0
    if len(points) < _FEWEST_POINTS or found.sum() - spent < _BITS:
        return None
    return _Fit(several[0], factor, doubt, wrong, right)


def _is_met(
    evidence: Evidence, one: Alternative, line: Floats, asked: Mask, *, roughly: bool
) -> bool:
    """Whether all numbers meet an alternative: to within what it may be off by its own rounding."""
    rest = np.abs(evidence.got - line)
    if (rest <= _tolerance(evidence, line, roughly=roughly))[asked].all():
        return True
    share = _tolerance(evidence, line, roughly=True)
    if one.beside is None or roughly or not (rest <= share)[asked].all():
        return False
    own = np.minimum(_own_rounding(one, line), share)
    return bool((rest <= np.fmax(_tolerance(evidence, line), own))[asked].all())


def _own_rounding(one: Alternative, line: Floats) -> Floats:
    """How far an alternative moves with the last bits of its points; 0 where that is not known."""
    beside = None if one.beside is None else one.beside()
    if beside is None:
        return np.zeros(line.shape)
    moved = np.abs(beside.reshape(line.shape) - line)
    return np.asarray(np.where(np.isnan(moved), 0.0, moved))


def _told_bits(evidence: Evidence, one: Alternative, rest: Floats, asked: Mask) -> Floats:
    """Of how many bits different numbers are explained, but for those that were fitted."""
    _, columns = np.nonzero(asked)
    bits = _bits(evidence, rest)[asked]
    numbers = np.stack([evidence.got[asked], evidence.true[asked]])
    different = np.unique(numbers, axis=1, return_index=True)[1]
    bits, columns = bits[different], columns[different]
    order = np.lexsort((-bits, columns))  # of each entry the best first
    _, starts, counts = np.unique(columns[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(starts, counts)
    return np.asarray(bits[order][place >= one.fitted])


def _is_told(evidence: Evidence, alternative: Alternative) -> Mask:
    """Of which numbers an alternative says anything."""
    return evidence.in_floats | np.bool_(not alternative.in_floats)


def _fitted(evidence: Sequence[Evidence], several: Sequence[Alternative]) -> tuple[float, float]:
    """The number of a line that meets what fails best, and its doubt; 0 where there is none.

    k minimizes sum(w (got - base - k slope)**2), w = 1 / tolerance**2, and its doubt is what the
    rest of that sum leaves open.
    """
    if several[0].slope is None:
        return 0.0, 0.0
    slopes, errors = [], []
    for each, one in zip(evidence, several, strict=True):
        asked = each.asked & _is_told(each, one)
        tolerance = _tolerance(each, each.got)[asked]
        slopes.append(one.slope[asked] / tolerance)  # type: ignore[index]
        errors.append((each.got - one.base)[asked] / tolerance)
    slope, error = np.concatenate(slopes), np.concatenate(errors)
    told = np.isfinite(slope) & np.isfinite(error)
    slope, error = slope[told], error[told]
    below = float(np.vdot(slope, slope).real)  # they may be complex, and k is real
    if not 0 < below < math.inf:
        return math.nan, 0.0
    k = float(np.vdot(slope, error).real) / below
    rest = error - k * slope
    return k, math.sqrt(float(np.vdot(rest, rest).real) / max(1, len(rest) - 1) / below)


def _tolerance(evidence: Evidence, line: Floats, *, roughly: bool = False) -> Floats:
    """How far an explained number may be off: by rounding, and a share of its error at most.

    Half an ulp it may always be off: no answer is nearer.
    """
    dtype = evidence.session.dtype
    size = np.maximum(np.abs(line), np.abs(evidence.got))
    rounding = np.fmax(_ROUNDING * dtype.unit_roundoff * size, evidence.allowed)
    least = np.maximum(dtype.unit_roundoff * np.abs(evidence.got), dtype.underflow_step)
    share = _SHARE * np.abs(evidence.got - evidence.true)
    if roughly:
        return np.asarray(share)
    return np.asarray(np.maximum(np.minimum(rounding, share), least))


def _slack(evidence: Evidence, line: Floats) -> Floats:
    """How far an alternative may be off a number that is right and yet be the same."""
    dtype = evidence.session.dtype
    size = np.maximum(np.abs(line), np.abs(evidence.true))
    rounding = _ROUNDING * dtype.unit_roundoff * np.maximum(size, _row_size(evidence))
    rounding = np.maximum(rounding, 2 * dtype.underflow_step)
    error = np.abs(evidence.got - evidence.true)
    return np.asarray(np.fmax(np.fmax(rounding, evidence.allowed), 8 * error))


def _row_size(evidence: Evidence) -> Floats:
    """The largest true number of each row. Shapes: [rows, 1]."""
    sizes = np.where(evidence.usable, np.abs(evidence.true), 0.0)
    return np.asarray(sizes.max(axis=1, keepdims=True, initial=0.0))


def _bits(evidence: Evidence, rest: Floats) -> Floats:
    """Of how many bits of its error each number is explained."""
    error = np.abs(evidence.got - evidence.true)
    least = evidence.session.dtype.unit_roundoff * np.abs(evidence.got)
    ratio = error / np.maximum(np.maximum(rest, least), evidence.session.dtype.underflow_step)
    return np.clip(np.log2(np.maximum(ratio, 1.0)), 0.0, _MOST_BITS)


@dataclass(slots=True)
class _Ports:
    """A guess for each input by itself, made when it is first asked for: hence it changes."""

    evidence: Sequence[Evidence]
    tried: Iterable[_Tried]
    _made: dict[int, Guess | None] = field(default_factory=dict)

    def guess(self, *, partly: bool) -> Guess | None:
        """What is guessed where each failing input has its own guess; ``partly`` where one has."""
        if len(self.evidence) != 1:
            return None
        (found,) = self.evidence
        ports = found.session.variant.formula.ports
        if found.query.free_inputs == () or found.query.cotangent is None or len(ports) < 2:
            return None
        owner = owners(ports)[found.slots]
        failing = [k for k in range(len(ports)) if (found.fails & (owner == k)).any()]
        if len(failing) < 2 or not (partly or all(self._of(k, owner) for k in failing)):
            return None
        guesses = {ports[k].name: self._of(k, owner) for k in failing}
        kinds = [guess.kind for guess in guesses.values() if guess is not None]
        if not kinds:
            return None
        told = {name: guess.text if guess else "something else" for name, guess in guesses.items()}
        return Guess(kinds[0], "; ".join(f"in {name} {text}" for name, text in told.items()))

    def _of(self, port: int, owner: Array) -> Guess | None:
        if port not in self._made:
            (found,) = self.evidence
            mine = found.fails & (owner == port)
            part = replace(found, fails=mine, usable=found.usable & ~(found.fails & ~mine))
            self._made[port] = _explained([part], self.tried)
        return self._made[port]


# in words


def _told(fit: _Fit, evidence: Sequence[Evidence], place: str) -> Guess:
    one, k, doubt = fit.alternative, fit.factor, fit.doubt
    if one.slope is None:
        return Guess(one.kind, one.text, place)
    if one.kind is GuessKind.FACTOR:
        return Guess(one.kind, f"{one.text} of {factor_text(k, doubt, evidence[0].session)}", place)
    if one.kind is GuessKind.TERM:
        return Guess(one.kind, term_text(one.text, k, doubt, evidence[0].session), place)
    number = f"{k:.6g}"
    return Guess(one.kind, f"{one.text}: {number}", place)


# where the truth is zero


def _not_zero(evidence: Sequence[Evidence]) -> Guess | None:
    """Numbers where there are to be none."""
    if all((each.true[each.asked] == 0).all() for each in evidence):
        return Guess(GuessKind.NOT_ZERO, "not zero, where the truth is")
    return None


# precision


def _imprecise(evidence: Sequence[Evidence]) -> Guess | None:
    """What is right to some digits: as many as a lower precision has, or others."""
    dtype, errors = evidence[0].session.dtype, []
    for each in evidence:
        asked = each.asked
        got, true = each.got[asked], each.true[asked]
        if (true == 0).any():
            return None
        errors.append((got - true) / true)
    signed = np.concatenate(errors)
    relative = np.abs(signed)
    if len(_failing_points(evidence)) < _FEWEST_IMPRECISE or relative.max() < 2 * relative.min():
        return None
    typical, most = float(np.median(relative)), float(relative.max())
    for name in _LADDER:
        u = DTYPES[name].unit_roundoff
        least, largest = (share * u for share in _TYPICAL)
        told = u > 4 * dtype.unit_roundoff and least <= typical <= largest
        alike = name == "float32" and _are_like_rounding(signed)
        if told and (alike or _are_of(evidence, DTYPES[name])):
            text = f"lost accuracy, as if computed in {name}"
            return Guess(GuessKind.PRECISION, text, _place(evidence))
    if most < NEAR_ONE:
        digits = math.floor(-math.log10(most))
        text = f"lost accuracy: right to {digits} digits"
        return Guess(GuessKind.PRECISION, text, _place(evidence))
    return None


def _are_like_rounding(errors: Floats) -> bool:
    """Whether relative errors have both signs, or are few, and are mostly of one size."""
    one_sided = abs(float(np.sign(errors).sum())) == len(errors) >= _FEWEST_SIGNED
    low, high = np.quantile(np.abs(errors), (0.1, 0.9))
    return not one_sided and bool(high <= _ONE_SIZE * low)


_FEWEST_SIGNED = 8  # of one sign once in 128 times
_ONE_SIZE = 256.0  # of errors that are even up to some size nine tenths of them are in 18
_LADDER = ("bfloat16", "float16", "float32")
_TYPICAL = 2.0**-5, 2.0**4
"""Typical errors of numbers computed in a precision, in its unit roundoff."""


def _are_of(evidence: Sequence[Evidence], dtype: Dtype) -> bool:
    """Whether the numbers are floats of a dtype, or its floats times the direction.

    An error as large as that of half precision is else no sign of it.
    """
    found = []
    for each in evidence:
        asked, own = each.asked, np.zeros(each.got.shape, dtype=bool)
        for along in each.directions():
            numbers = each.got / np.where(along == 0, 1.0, along)
            own |= round_to(numbers, dtype) == numbers
        found.append(own[asked])
    return bool(np.concatenate(found).mean() > _MOST_OF_THEM)


_MOST_OF_THEM = 0.9


def _failing_points(evidence: Sequence[Evidence]) -> set[bytes]:
    return {row.tobytes() for each in evidence for row in each.points[each.asked.any(axis=1)]}


def _place(evidence: Sequence[Evidence]) -> str:
    wrong = [each.fails & each.usable for each in evidence]
    return wrong_place(evidence, wrong, [_untouched(each) for each in evidence]) or ""


def _untouched(evidence: Evidence) -> Mask:
    """Right numbers that a fault would have changed."""
    return np.asarray(evidence.right & (evidence.true != 0))


# places alone

_ABRUPT = 100.0


def _region(evidence: Sequence[Evidence]) -> Guess | None:
    """Where it is wrong, if no one knows how.

    An error that fades to nothing ends where rounding hides it, which is no place of its own.
    """
    least = [
        np.abs(each.got - each.true)[each.asked] / each.allowed[each.asked] for each in evidence
    ]
    abrupt = bool(np.nanmin(np.concatenate(least), initial=math.inf) > _ABRUPT)
    wrong = [each.fails & each.usable for each in evidence]
    right = [_untouched(each) for each in evidence]
    place = wrong_place(evidence, wrong, right, whole=False, by_numbers=abrupt)
    return Guess(GuessKind.REGION, "wrong", place) if place else None

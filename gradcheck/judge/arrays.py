"""Arrays judged as such: what entry by entry passes for rounding may be none in the mean.

Entries of low precision show errors of percents only. The errors of an array together show what is
wrong in the mean, by a factor, in a row or in a block, to within what samples of right code's
rounding allow (``reference.rounded``). Every constant is derived in docs/judge.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats, GuessKind
from gradcheck.dtypes import Dtype
from gradcheck.floats import round_to

MOST_SIGMA = 16.0
NEAR_SIGMA = 4.0
MOST_SIGMA_IN_A_MEAN = 8.0
MOST_ERRORS = 8.0
MOST_ERRORS_OF_A_PART = 10.0
MOST_SCATTER = 3.0
MOST_MOVES = 3.0
CHANCE = 2.5
OF_WORST = 1 / 16
"""Of the last level's variance, so much is added to that by which an entry weighs in means."""
NOT_ZERO = 8.0
_RMS_OF_A_ROUNDING = 0.42  # in units of roundoff
STAGNANT = _RMS_OF_A_ROUNDING**2 / 3
BLOCK = 16
FEWEST_PARTS = 16
FEWEST_IN_A_PART = 16
FEWEST_ENTRIES = 32
"""Fewer have no statistics: an array has that many, or the answers at several points have."""
_NORMAL_MEDIAN = 0.6745  # of the magnitude of a normal number
_LEAST_MEDIAN = 0.3  # where most results are exact, their median says nothing
_RMS_OF_A_GRID = 0.29  # of a rounding error, in steps of an even grid
_FLUSHED = 2.0**-126  # what float32 has no normal number for, kernels may take for 0
_STEPS = 20  # of the ways from a level to the next


@dataclass(frozen=True, slots=True, eq=False)
class TermError:
    """What a term of the derivative, or a constant, that is a little off would add, per its size.

    Shapes: numbers [*shape].
    """

    kind: GuessKind
    text: str
    numbers: Floats


@dataclass(frozen=True, slots=True, eq=False)
class SampledArray:
    """The numbers of an array, the truth, and samples of right code's errors, by level.

    ``terms`` is how many the longest sum has that it is computed from. ``lines`` are asked for
    where nothing simpler is wrong.

    Shapes: [*shape] each; samples [count, *shape].
    """

    got: Floats
    true: Floats
    samples: tuple[Floats, ...]
    dtype: Dtype
    terms: int = 0
    lines: Callable[[], Iterator[TermError]] = lambda: iter(())

    @property
    def error(self) -> Floats:
        return self.got - self.true


@dataclass(frozen=True, slots=True, eq=False)
class Oddity:
    """What of an array rounding does not explain.

    ``statistic`` is 0 where nothing is wrong: what the code's own moves make of it excuses it, and
    where there is none nothing does.
    """

    text: str
    statistic: Callable[[Floats], float] | None = None

    def is_explained(self, error: Floats, moved: Floats) -> bool:
        """Whether it is small beside the scatter of answers of the code that rounds otherwise.

        What is not finite, and what moves take there, is no part of either.

        Shapes: error [*shape]; moved [patterns, *shape].
        """
        if self.statistic is None or not len(moved):
            return False
        counts = np.isfinite(error) & np.isfinite(moved).all(axis=0)
        error, moved = np.where(counts, error, 0.0), np.where(counts, moved, 0.0)
        apart = moved - moved.mean(axis=0)
        squares = [self.statistic(each) ** 2 for each in apart]
        return abs(self.statistic(error)) <= MOST_MOVES * math.sqrt(np.mean(squares))


def without_lost(array: SampledArray, moved: Floats) -> SampledArray:
    """The array without the zeros of which the code's own moves make numbers as large as the truth.

    What is rounded to 0 is off by all of its size, always to the same side: of ``exp(x) - exp(-x)``
    no mean tells anything where x is less than half an ulp of 1.

    Shapes: moved [patterns, *shape].
    """
    if not len(moved):
        return array
    with np.errstate(invalid="ignore", over="ignore"):
        squares = ((moved - moved.mean(axis=0)) ** 2).mean(axis=0)
        is_lost = (array.got == 0) & (squares >= array.true**2)
    return replace(array, true=np.where(is_lost, np.nan, array.true))


def oddities(array: SampledArray, *, ordinary: bool) -> Iterator[Oddity]:
    """Yield what rounding does not explain; of inputs that are not ``ordinary`` by entry alone.

    Shapes: as ``SampledArray``.
    """
    fit = _fitted(array)
    stagnant = list(stagnation(array))
    yield from stagnant
    if stagnant:
        return
    yield from _entries(array, fit)
    once = replace(fit, weight=np.where(are_said_once(array.true, array.error), fit.weight, 0.0))
    if ordinary and np.count_nonzero(once.weight) >= FEWEST_ENTRIES:
        yield from _scattered(array, once)
        yield from _whole(array, once)
        yield from _parts(array, once)
        yield from _terms_off(array, once)
    yield from _rows_off(array, fit)


def are_said_once(true: Floats, error: Floats) -> NDArray[np.bool_]:
    """All entries but those that repeat one of the first slice, where all slices' truths do.

    What is computed from the same numbers errs alike: the gradient of a sum, with the same row for
    each input row, has one row's rounding, not that of many. A row that errs otherwise counts.

    Shapes: alike.
    """
    found = np.ones(true.shape, dtype=bool)
    numbers: NDArray[np.intp]
    for axis, numbers in enumerate(np.indices(true.shape, sparse=True)):
        if numbers.size > 1 and (true == true.take([0], axis)).all():
            found &= (numbers == 0) | (error != error.take([0], axis))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Which variance each entry's errors have, at the level that their scatter shows.

    ``place`` is that level, in the mean of all entries: 1.5 lies half way between the second and
    the third. ``scatter`` is how much larger the errors still are, and ``most`` where that is most,
    ``there``, in flat places.
    Shapes: as the array; ``worst`` that of the last level.
    """

    variance: Floats
    worst: Floats
    weight: Floats
    place: float
    scatter: float
    most: float
    there: NDArray[np.intp]


def _fitted(array: SampledArray) -> _Fit:
    """The level that scatter shows, apart for the largest entries and for smaller ones.

    In a peaked softmax few entries matter, and these may be rounded otherwise than the rest.
    """
    floor = (_RMS_OF_A_GRID * _least(array.dtype)) ** 2
    given = (_RMS_OF_A_ROUNDING * array.dtype.unit_roundoff * array.got) ** 2  # it was rounded too
    variances = [np.maximum(_mean_squares(each) + floor, given) for each in array.samples]
    worst, size = variances[-1], np.abs(array.true)
    live = np.isfinite(array.error) & np.isfinite(worst) & (worst > floor)
    live &= size <= array.dtype.largest
    error, true = (np.where(live, each, 0.0) for each in (array.error, array.true))
    rest = np.abs(error - _factor(error, true, 1 / np.where(live, worst, np.inf)) * true)
    # Of plain numbers most sums are exact: what the dtype holds shows no rounding.
    showing = live & ((error != 0) | (round_to(array.true, array.dtype) != array.true))
    order = np.argsort(-np.where(showing, size, -1.0), axis=None, kind="stable")[: showing.sum()]
    cuts = [order.size // part for part in (256, 64, 16, 4) if order.size // part >= BLOCK]
    variance, found, there = worst.copy(), [(1e-300, len(variances) - 1.0, 0.0)], order
    for chosen in np.split(order, cuts):
        if chosen.size < BLOCK:  # of whole numbers those alone show that are off
            continue
        some = [each.reshape(-1)[chosen] for each in variances]
        typical = [_typical(each.reshape(len(each), -1)[:, chosen], v)
                   for each, v in zip(array.samples, some, strict=True)]  # fmt: skip
        place, scatter = _level_of(rest.reshape(-1)[chosen], some, typical)
        there = chosen if scatter > max(each[2] for each in found) else there
        found.append((chosen.size, place, scatter))
        variance.reshape(-1)[chosen] = _between(some, place) * max(scatter, 0.3) ** 2
    weight = np.where(live, 1 / np.maximum(variance + worst * OF_WORST, 1e-300), 0.0)
    sizes, places, scatters = np.transpose(found)
    place, scatter = (float(np.average(each, weights=sizes)) for each in (places, scatters))
    return _Fit(variance, worst, weight, place, scatter, float(scatters.max()), there)


def _mean_squares(samples: Floats) -> Floats:
    """Of each entry over all samples; not finite where one is far out of the dtype's range."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray((samples**2).mean(axis=0))


def _least(dtype: Dtype) -> float:
    """The step at the end of a dtype's range, as coarse as a kernel may make it."""
    return max(float(dtype.underflow_step), _FLUSHED)


def _typical(samples: Floats, variance: Floats) -> float:
    """The median of right code's errors, in standard deviations: 0.67 if these are normal.

    That of a single rounding is 0.83, since it lies evenly between the ends of a step.
    """
    found = np.median(np.abs(samples) / np.sqrt(variance))
    return max(float(found), _LEAST_MEDIAN)


def _level_of(
    errors: Floats, variances: Sequence[Floats], typical: Sequence[float]
) -> tuple[float, float]:
    """The first level that has such a scatter, and how much larger the scatter is than its."""
    by_chance = 1 + CHANCE / math.sqrt(errors.size)
    medians = [np.asarray(each) for each in typical]
    for step in range(_STEPS * (len(variances) - 1) + 1):
        level, part = divmod(step, _STEPS)
        place = level + (part / _STEPS) ** 2  # variances of levels lie far apart
        off = float(np.median(errors / np.sqrt(_between(variances, place))))
        scatter = off / float(_between(medians, place))
        if scatter <= by_chance:
            break
    return place, scatter


def _between(levels: Sequence[Floats], place: float) -> Floats:
    """Variances between two levels."""
    low = min(int(place), len(levels) - 2)
    found: Floats = levels[low] + (place - low) * (levels[low + 1] - levels[low])
    return found


def _median(errors: Floats) -> float:
    return float(np.median(errors)) / _NORMAL_MEDIAN


def _factor(error: Floats, true: Floats, weight: Floats) -> float:
    """The slope of errors against the truth: by how much the answers are too large."""
    total = float((true * true * weight).sum())
    return float((error * true * weight).sum()) / total if total > 0 else 0.0


# by entry


def _entries(array: SampledArray, fit: _Fit) -> Iterator[Oddity]:
    error, size = np.abs(array.error), np.abs(array.true)
    least = 8 * _least(array.dtype)
    near = error <= NEAR_SIGMA * np.sqrt(fit.worst)
    for what, sigma in (("any right code", fit.worst), ("its array", fit.variance)):
        off = _sigmas(error, sigma, fit)
        off = np.where(near, 0.0, off / np.maximum(1.0, _of_rows(off)))
        place = _unravelled(int(off.argmax()), off.shape)
        if off[place] > MOST_SIGMA and error[place] > least:
            yield Oddity(
                f"{_named(place)} is off by {error[place]:.3g}, {off[place]:.0f} times the scatter "
                f"of {what}",
                partial(_at, place),
            )
            return
    certain = size > NOT_ZERO * np.sqrt(fit.worst) + least
    zeros = (array.got == 0) & certain & (fit.weight > 0)
    if zeros.any():
        place, count = _unravelled(int(zeros.argmax()), zeros.shape), int(zeros.sum())
        others = f", one of {count:,} such entries" if count > 1 else ""
        text = f"{_named(place)} is 0 where the truth is {array.true[place]:.3g}{others}"
        yield Oddity(text, partial(_at, place))


def _rows_off(array: SampledArray, fit: _Fit) -> Iterator[Oddity]:
    """An entry beside which its whole row is as wrong, so that it does not stand out there."""
    error = np.abs(array.error)
    off = _sigmas(error, fit.worst, fit)
    row = np.where(error > 8 * _least(array.dtype), np.minimum(off, _of_rows(off)), 0.0)
    place = _unravelled(int(row.argmax()), row.shape)
    if row[place] > MOST_SIGMA:
        yield Oddity(
            f"the row of {_named(place)} is off by {row[place]:.0f} times the scatter of any right "
            "code",
            partial(_at, place),
        )


def _sigmas(error: Floats, variance: Floats, fit: _Fit) -> Floats:
    """How many standard deviations an error is; 0 of entries that do not count. Shapes: alike."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(fit.weight > 0, error / np.sqrt(variance), 0.0)


def may_stagnate(got: Floats, true: Floats) -> bool:
    """Whether an entry is short of half the truth, or more. Shapes: alike."""
    return bool(((got * true > 0) & (np.abs(got) <= np.abs(true) / 2)).any())


def stagnation(array: SampledArray) -> Iterator[Oddity]:
    """Yield a sum that stopped growing: its terms were lost in a sum of the dtype.

    That takes 1/u terms or more: half an ulp of the sum is then as much as one term. A kernel may
    take each term for 0 that is at the end of the range.
    """
    u, size = array.dtype.unit_roundoff, np.abs(array.true)
    if len(array.samples) < 3 or array.terms * u < 1:
        return
    middle, last = (_mean_squares(each) for each in array.samples[1:])
    long = last > STAGNANT * u * size**2
    short = (array.got * array.true > 0) & (np.abs(array.got) <= size / 2)
    far = np.maximum(MOST_SIGMA * np.sqrt(middle), NEAR_SIGMA * np.sqrt(last))
    far = np.maximum(far, array.terms * _least(array.dtype))
    stopped = long & short & (np.abs(array.error) > far)
    if stopped.any():
        place = _unravelled(int(np.argmax(np.where(stopped, size, 0.0))), size.shape)
        yield Oddity(
            f"a sum stagnates: {_named(place)} is {array.got[place]:.6g} where the truth is "
            f"{array.true[place]:.6g}; added up in {array.dtype.name}, its terms become too small "
            "beside it"
        )


def _of_rows(off: Floats) -> Floats | float:
    """How much larger the scatter of each row is, where rows are long."""
    if off.ndim < 2 or off.shape[-1] < BLOCK:
        return 1.0
    found: Floats = np.median(off, axis=-1, keepdims=True) / _NORMAL_MEDIAN
    return found


def _at(place: tuple[int, ...], errors: Floats) -> float:
    return float(errors[place])


def _scattered(array: SampledArray, fit: _Fit) -> Iterator[Oddity]:
    if fit.most <= MOST_SCATTER:
        return
    weight = np.where(fit.weight > 0, 1 / fit.worst, 0.0)
    true, worst = _zeroed(array.true, weight), np.sqrt(fit.worst.reshape(-1)[fit.there])

    def scatter(errors: Floats) -> float:
        live = _zeroed(errors, weight)
        rest = live - _factor(live, true, weight) * true
        return _median(np.abs(rest.reshape(-1)[fit.there]) / worst)

    text = f"errors scatter {fit.most:.1f} times as far as those of any right code"
    yield Oddity(text, scatter)


def _counted(errors: float) -> str:
    """A number of standard errors; where right code has none these are of no count."""
    return f"{errors:.0f}" if errors < 1e6 else "over a million"


def _unravelled(place: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(place, shape))


def _named(place: Sequence[int]) -> str:
    return f"entry [{', '.join(map(str, place))}]"


# the whole


def _whole(array: SampledArray, fit: _Fit) -> Iterator[Oddity]:
    """The factor of all answers, and the mean of all errors."""
    weight, root = fit.weight, np.sqrt(fit.weight)
    true = np.where(weight > 0, array.true, 0.0)
    error = np.where(weight > 0, array.error, 0.0)
    count = int(np.count_nonzero(weight))
    norm = float((true * true * weight).sum())
    mean = float(np.abs(true * root).sum())
    if min(norm, mean) <= 0:
        return

    def slope(errors: Floats) -> float:
        return float((errors * true * weight).sum()) / norm

    def signed(errors: Floats) -> float:
        return float((errors * root).sum()) / mean

    for statistic, what in ((slope, "the mean signed error"), (signed, "the mean offset")):
        spread = _spread_of([[statistic(_zeroed(each, weight)) for each in samples]
                             for samples in array.samples], fit.place)  # fmt: skip
        value = statistic(error)
        if abs(value) > MOST_ERRORS * spread * max(1.0, fit.scatter):
            yield Oddity(
                f"{what} over {count:,} entries is {value:+.2g} of their size, "
                f"{_counted(abs(value) / spread)} standard errors",
                statistic,
            )


# terms


def _terms_off(array: SampledArray, fit: _Fit) -> Iterator[Oddity]:
    """The term of the derivative, or the constant, that stands out most: wrong by a factor."""
    found = _leading(array, array.lines(), fit)
    if found is None or found.errors <= MOST_ERRORS:
        return
    near, weight = _near(fit), fit.weight

    def statistic(errors: Floats) -> float:
        return _along(found.line.numbers, weight, np.clip(errors, -near, near))

    errors = found.errors * abs(statistic(_zeroed(array.error, weight)) / found.value)
    if errors > MOST_ERRORS:
        yield Oddity(f"{found.text}, {_counted(errors)} standard errors", statistic)


def _near(fit: _Fit) -> Floats:
    """As far off as an entry counts in the mean of a part, or along a term: 8 σ.

    What few entries do is told of them. Shapes: as the array.
    """
    return np.where(fit.weight > 0, MOST_SIGMA_IN_A_MEAN * np.sqrt(fit.variance), 0.0)


def resemblance(array: SampledArray) -> Resemblance | None:
    """Return the one factor, of all answers, or else of a term or constant, that is all that is
    wrong; None where what it leaves would be convicted too.
    """
    fit = _fitted(array)
    factor = TermError(GuessKind.FACTOR, "a constant factor", array.true)
    for lines in ([factor], array.lines()):
        found = _leading(array, lines, fit)
        if found is not None and found.errors > MOST_ERRORS:
            left = oddities(replace(found.rest, lines=lambda: iter(())), ordinary=True)
            if not any(True for _ in left):
                return found
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Resemblance:
    """A line that errors have much of: ``value`` of it, so many standard ``errors``.

    ``rest`` is the array beside a truth that has as much of it.
    """

    line: TermError
    value: float
    errors: float
    rest: SampledArray

    @property
    def doubt(self) -> float:
        """A standard error of the value."""
        return abs(self.value) / self.errors

    @property
    def text(self) -> str:
        text = self.line.text
        if self.line.kind is GuessKind.DIGITS:
            return f"{text} is off by {abs(self.value):.1g} of it"
        return f"a factor of {1 + self.value:.4g} in a term: {text}"


def _leading(array: SampledArray, lines: Iterable[TermError], fit: _Fit) -> Resemblance | None:
    """The line of which the errors have most, in standard errors; of lines alike the first.

    How right code would scatter is read off the errors less what that line explains.
    """
    samples = _cleared(array.samples, fit.weight)
    measured = [(line, *_measured(array, line, fit, samples)) for line in lines]
    line, value, errors = max(
        measured, key=lambda each: round(each[2], 6), default=(None, 0.0, 0.0)
    )
    if line is None or not errors:
        return None
    rest = replace(array, true=array.true + value * line.numbers)
    fit = _fitted(rest)
    value, errors = _measured(array, line, fit, _cleared(array.samples, fit.weight))
    return Resemblance(line, value, errors, rest)


def _measured(
    array: SampledArray, line: TermError, fit: _Fit, samples: Sequence[Floats]
) -> tuple[float, float]:
    """How much of a line the errors have, and how many standard errors that is.

    Shapes: samples as those of the array, with zeros where nothing weighs.
    """
    value = _along(line.numbers, fit.weight, array.error)
    if not math.isfinite(value):
        return 0.0, 0.0
    weighted, norm = _weighted(line.numbers, fit.weight)
    slopes = [[float((each * weighted).sum()) / norm for each in level] for level in samples]
    return value, abs(value) / _spread_of(slopes, fit.place) / max(1.0, fit.scatter)


def _along(numbers: Floats, weight: Floats, errors: Floats) -> float:
    """The slope of errors against numbers; NaN where these vanish."""
    weighted, norm = _weighted(numbers, weight)
    return float((_zeroed(errors, weight) * weighted).sum()) / norm if norm > 0 else math.nan


def _weighted(numbers: Floats, weight: Floats) -> tuple[Floats, float]:
    """Numbers times their weights, and the sum of the numbers' weighted squares."""
    numbers = _zeroed(numbers, weight)
    weighted = numbers * weight
    return weighted, float((numbers * weighted).sum())


def _cleared(samples: Sequence[Floats], weight: Floats) -> Sequence[Floats]:
    """Samples with zeros where nothing weighs."""
    return samples if (weight > 0).all() else [_zeroed(level, weight) for level in samples]


def _zeroed(errors: Floats, weight: Floats) -> Floats:
    found: Floats = np.where(weight > 0, errors, 0.0)
    return found


def _spread_of(values: Sequence[Sequence[float]], place: float) -> float:
    variances = [np.mean(np.square(each)) for each in values]
    return math.sqrt(float(_between([np.asarray(v) for v in variances], place))) + 1e-300


# rows, columns, channels, heads, and blocks of them


def _parts(array: SampledArray, fit: _Fit) -> Iterator[Oddity]:
    """The part of an array whose factor or mean stands out most, of each way to cut it.

    A large part that is wrong widens the scatter by which it is measured, so that the one which
    explains most is measured once more, by the scatter of what it leaves.
    """
    found = [part for cut in _cuts(array.true.shape) for part in _measured_parts(array, fit, cut)]
    told = [part for part in found if part.errors > MOST_ERRORS_OF_A_PART]
    if found and not told:
        leading = max(found, key=lambda part: part.explained)
        cut, number = leading.cut, leading.number
        fit = _fitted(replace(array, true=array.true + leading.own))
        again = _measured_parts(array, fit, cut)
        told = [part for part in again
                if part.number == number and part.errors > MOST_ERRORS_OF_A_PART]  # fmt: skip
    for part in told:
        yield Oddity(part.text, part.statistic)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A part of an array, the sum of its weighed errors, and how many standard errors that is.

    ``near`` is as far off as an entry counts, ``factor`` what each entry is multiplied by, ``own``
    the mean error, and ``explained`` how much smaller the sum of the weighed squares is without it.
    Shapes: as the array.
    """

    cut: _Cut
    number: int
    text: str
    errors: float
    explained: float
    factor: Floats
    near: Floats
    own: Floats

    def statistic(self, errors: Floats) -> float:
        """Shapes: as the array."""
        near = np.clip(errors, -self.near, self.near)
        return float(self.cut.summed(near * self.factor)[self.number])


def _measured_parts(array: SampledArray, fit: _Fit, cut: _Cut) -> Iterator[_Part]:
    """The part that stands out most by its factor, and by its mean offset."""
    weight = fit.weight
    true = np.where(weight > 0, array.true, 0.0)
    error = np.where(weight > 0, array.error, 0.0)
    rest = error - _factor(error, true, weight) * true
    near = _near(fit)
    many = cut.summed((weight > 0).astype(float)) >= FEWEST_IN_A_PART
    sigma = np.where(weight > 0, 1 / np.sqrt(np.maximum(weight, 1e-300)), 0.0)
    for what, size in (("mean signed error", true), ("mean offset", sigma)):
        factor = size * weight
        norm = cut.summed(np.abs(true * factor))
        samples = [cut.each_summed(level * factor) for level in _cleared(array.samples, weight)]
        whole, sums = cut.each_summed(np.stack([rest, np.clip(rest, -near, near)]) * factor)
        spread, worst = _spreads(samples, sums, fit.place)
        off = np.abs(sums) / np.maximum(spread * max(1.0, fit.scatter), 1e-300)
        off[(np.abs(whole) <= worst) | ~many | (norm <= 0)] = 0.0
        part = int(off.argmax())
        if off[part] > 0:
            squares = cut.summed(size * factor)[part]
            mean = cut.summed(error * factor)[part] / squares
            own = mean * np.where(cut.members(part).reshape(size.shape), size, 0.0)
            text = (
                f"the {what} of {cut.named(part)} is {whole[part] / norm[part]:+.2g} of its size, "
                f"{_counted(off[part])} standard errors"
            )
            explained = float(whole[part] ** 2 / squares)
            yield _Part(cut, part, text, float(off[part]), explained, factor, near, own)


def _spreads(samples: Sequence[Floats], sums: Floats, place: float) -> tuple[Floats, Floats]:
    """How far sums of right code lie apart, at a level and at the last one.

    Where parts are many they show themselves how far, between the first level and the last.
    Shapes: samples [count, parts] each; sums [parts]; [parts] each.
    """
    variances = [_pooled(each) for each in samples]
    spread = np.sqrt(_between(variances, place))
    least, worst = np.sqrt(variances[0]), np.sqrt(variances[-1])
    if len(sums) >= FEWEST_PARTS:
        shown = _median(np.abs(sums) / np.maximum(spread, 1e-300)) * spread
        spread = np.minimum(np.maximum(shown, least), np.maximum(worst, least))
    return spread, worst


def _pooled(sums: Floats) -> Floats:
    """Variances of parts, each mixed with that of all: few samples tell one badly."""
    count = len(sums)
    each: Floats = (sums**2).mean(axis=0)
    found: Floats = (count * each + 16 * each.mean()) / (count + 16)
    return found


@dataclass(frozen=True, slots=True)
class _Cut:
    """An array, seen in a shape, cut along an axis into parts of so many indices."""

    shape: tuple[int, ...]
    axis: int
    size: int
    name: str

    def summed(self, numbers: Floats) -> Floats:
        """Shapes: the array's; [parts]."""
        found: Floats = self.each_summed(numbers[None])[0]
        return found

    def each_summed(self, arrays: Floats) -> Floats:
        """Shapes: [count, *the array's]; [count, parts]."""
        count, length = len(arrays), self.shape[self.axis]
        moved = np.moveaxis(arrays.reshape(count, *self.shape), self.axis + 1, 1)
        sums = moved.reshape(count, length, -1).sum(axis=2)
        found: Floats = np.add.reduceat(sums, np.arange(0, length, self.size), axis=1)
        return found

    def members(self, part: int) -> NDArray[np.bool_]:
        """Which entries are of a part. Shapes: as the view."""
        found = np.zeros(self.shape, dtype=bool)
        np.moveaxis(found, self.axis, 0)[part * self.size : (part + 1) * self.size] = True
        return found

    def named(self, part: int) -> str:
        first = part * self.size
        last = min(first + self.size, self.shape[self.axis]) - 1
        return self.name.format(first if first == last else f"{first} to {last}")


def _cuts(shape: tuple[int, ...]) -> Iterator[_Cut]:
    """Along each axis, and along rows and matrices numbered throughout; alone and in blocks."""
    views = [(shape, axis, f"index {{}} of axis {axis}") for axis in range(len(shape))]
    for kept, name in ((1, "row {}"), (2, "matrix {}")):
        lead = shape[: len(shape) - kept]
        if len(lead) > 1 or (lead and kept == 1):
            views.append(((math.prod(lead), *shape[len(lead) :]), 0, name))
    for view, axis, name in views:
        for size in (1, BLOCK):
            if view[axis] > size and len(view) + size > 2:
                yield _Cut(view, axis, size, name)

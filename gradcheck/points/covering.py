"""The covering set: points at which every check looks, whatever its seed, order and witness.

Each kind has a list of points, and the kinds take turns, so that every beginning of the set holds
points of as many kinds as it can. What is random in them (which ordinary numbers stand beside a
special one) hangs on the inputs alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from gradcheck.answer import Floats
from gradcheck.catalog.case import Input
from gradcheck.catalog.domain import Plane
from gradcheck.dtypes import Dtype
from gradcheck.floats import float_at, largest_ordinal, ordinal, round_to
from gradcheck.graph.lower import Lowered
from gradcheck.points.correlated import (
    Columns,
    Field,
    Fields,
    ordinary,
    related,
)
from gradcheck.points.generate import fields_of, generate, have_numbers, shaped, within
from gradcheck.points.kinks import breakpoints, kinks
from gradcheck.points.matrices import MADE, SCALED
from gradcheck.query import Array
from gradcheck.randomness import derive_key, golden_shares, random_below, random_words

_KEY = derive_key("covering")
_ORDINARY, _LARGE = np.nan, np.inf
_PLAIN = np.array([
    1.0, 0.0, _ORDINARY, -1.0, 2.0, 0.5, _LARGE, -2.0, _ORDINARY,
    3.0, -0.5, _ORDINARY, -3.0, 1.5, -_LARGE, _ORDINARY,
])  # fmt: skip
"""Numbers at which code may branch, the likelier the earlier; large ones lie beyond 10."""
_SIMPLE = tuple(sorted((n / 4 for n in range(-64, 65)), key=lambda x: (x % 1, x % 0.5, abs(x))))
"""What stands in for those of the numbers above that a narrow domain leaves out."""
_BEYOND_10 = 3  # the binade from 8, of which the upper two thirds are drawn from
_LARGE_BINADES = (_BEYOND_10, 10, 7, 17, 27, 40, 63)
_SMALL_BINADES = (-4, -10, -7, -17, -27, -40, -63)
_EVEN = 128
"""So many numbers are spread evenly, over as few points as hold them but at least ``_RELATED``."""
_EVEN_REACH = 10.0  # from the domain's number nearest to 0: there code has its branches
_EVEN_TURNS = 3
_FAR = 32  # binades on either side of 1, over which candidates are spread
_KINKS = 12  # points on breakpoints or beside them
_RELATED = 4  # points of each relation
_AIMED_TURNS = 6


def covering(
    inputs: tuple[Input, ...], formula: Lowered, dtype: Dtype, aims: tuple[float, ...] = ()
) -> tuple[tuple[str, ...], dict[str, Array]]:
    """Return the points and the kind of each, in an order whose every beginning covers most.

    ``aims`` are numbers with which the code on trial compares: they and their neighbours come too.
    Shapes: [count, *shape] for each input.
    """
    fields = fields_of(inputs, dtype)
    lists = _lists(inputs, formula, fields, aims) if have_numbers(fields) else {}
    turns: list[tuple[str, int]] = []
    numbered = [[(kind, n) for n in range(len(_first(points)))] for kind, points in lists.items()]
    for turn in zip_longest(*numbered):
        turns += [each for each in turn if each is not None]
    if not turns:
        return (), generate(inputs, "bulk", _KEY, 0, dtype)
    points = {
        field.name: np.stack([lists[kind][field.name][number] for kind, number in turns])
        for field in fields
    }
    return tuple(kind.partition(":")[0] for kind, _ in turns), points


def candidates(inputs: tuple[Input, ...], dtype: Dtype, count: int) -> dict[str, Array]:
    """Return many points, spread evenly near 0 and by magnitude, for whoever looks where to look.

    Shapes: [found, *shape] for each input, at most ``count``.
    """
    fields = fields_of(inputs, dtype)
    if not have_numbers(fields):
        return generate(inputs, "bulk", _KEY, 0, dtype)
    makers = (
        partial(_even_rows, count // 2),
        partial(_of_any_binade, count // 4),
        partial(_simple, min(count // 4, len(_SIMPLE))),
    )
    lists = [_made(inputs, fields, f"candidates:{n}", make) for n, make in enumerate(makers)]
    return {name: np.concatenate([each[name] for each in lists]) for name in lists[0]}


def _first(points: dict[str, Array]) -> Array:
    return next(iter(points.values()))


def _lists(
    inputs: tuple[Input, ...], formula: Lowered, fields: Fields, aims: tuple[float, ...]
) -> dict[str, dict[str, Array]]:
    """Return the points of each kind; plain and aimed ones have several lists, and so turns."""
    dtype = fields[0].dtype
    plain, plain_more = _dealt(_made(inputs, fields, "plain", _plain), 2)
    even, *more_even = _dealt(_made(inputs, fields, "even", _even), _EVEN_TURNS)
    free = tuple(field for field in fields if field.size and field.kind not in MADE)
    tied = {name: generate(inputs, name, _KEY, _RELATED, dtype) for name in related(free)}
    found = {"bulk": generate(inputs, "bulk", _KEY, 2, dtype), "plain": plain}
    if "slices" in tied:
        found["slices"] = tied["slices"]
    found["even"] = even
    if aims:
        aimed = _dealt(_made(inputs, fields, "aimed", partial(_aimed, aims)), _AIMED_TURNS)
        found |= {f"aimed:{turn}": points for turn, points in enumerate(aimed)}
    for kind, make in (("large", _large), ("edges", _edges), ("zeros", _zeros)):
        found[kind] = _made(inputs, fields, kind, make)
    found["plain:more"] = plain_more
    found |= {f"even:{turn}": points for turn, points in enumerate(more_even)}
    if kinks(formula):
        found["breakpoints"] = breakpoints(inputs, formula, _KEY, _KINKS, dtype)
    found |= tied
    found["small"] = _made(inputs, fields, "small", _small)
    if any(field.size and field.kind in SCALED for field in fields):
        found["tails"] = generate(inputs, "tails", _KEY, _RELATED, dtype)
    return found


def _dealt(points: dict[str, Array], turns: int) -> list[dict[str, Array]]:
    """Return the points in lists of their own, so that more of them come early."""
    return [{name: values[turn::turns] for name, values in points.items()} for turn in range(turns)]


_Maker = Callable[[Fields], tuple[Floats, NDArray[np.bool_]]]
"""Numbers for the entries of all fields, joined, and where they belong: both [count, n]."""


def _made(inputs: tuple[Input, ...], fields: Fields, kind: str, make: _Maker) -> dict[str, Array]:
    """Return the points whose numbers lie in the domains somewhere; the rest is ordinary there."""
    numbers, wanted = make(fields)
    columns, touched = _overlaid(fields, derive_key(_KEY, kind), numbers, wanted)
    points = shaped(fields, kind, derive_key(_KEY, kind), columns)
    good = touched & within(inputs, points, fields[0].dtype)
    return {name: values[good] for name, values in points.items()}


def _overlaid(
    fields: Fields, key: int, numbers: Floats, wanted: NDArray[np.bool_]
) -> tuple[Columns, NDArray[np.bool_]]:
    """Return ordinary columns with the numbers laid over, and in which rows any were."""
    columns = ordinary(fields, key, len(numbers))
    touched = np.zeros(len(numbers), dtype=np.bool_)
    start = 0
    for place, field in enumerate(fields):
        part = slice(start, start := start + field.size)
        given: Array = round_to(numbers[:, part], field.dtype)
        if field.is_complex:
            given = _turned(given, start)
        good = wanted[:, part] & field.contains(given)
        columns[place] = np.where(good, given, columns[place])
        if field.kind not in MADE:
            touched |= good.any(axis=1)
    return columns, touched


def _turned(values: Floats, start: int) -> Array:
    """Return the numbers times 1, i, -1, -i or 1 + i, as row and column have it."""
    count, size = values.shape
    which = (np.arange(count)[:, None] // 2 + np.arange(size) + start) % 5
    turned: Array = (
        np.where(np.isfinite(values), values, 0.0) * np.array([1, 1j, -1, -1j, 1 + 1j])[which]
    )
    return np.where(np.isfinite(values), turned, np.nan)


# the kinds whose numbers are given one by one


def _entries(fields: Fields) -> int:
    return sum(field.size for field in fields)


def _by_field(fields: Fields, joined: Array) -> Iterator[tuple[Field, Array]]:
    """Return each field with its part of what is joined. Shapes: joined [count, n]."""
    ends = np.cumsum([field.size for field in fields])
    return zip(fields, np.split(joined, ends[:-1], axis=1), strict=True)


def _plain(fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    """Return a Latin square: each entry meets each number once, its neighbours others."""
    rows, size = len(_PLAIN), _entries(fields)
    places = (np.arange(rows)[:, None] + np.arange(size)) % rows
    columns = [_plain_numbers(field)[part] for field, part in _by_field(fields, places)]
    numbers = np.concatenate(columns, axis=1)
    large = _of_binade(_BEYOND_10, derive_key(_KEY, "plain"), numbers.shape)
    numbers = np.where(np.isinf(numbers), np.copysign(large, numbers), numbers)
    return numbers, ~np.isnan(numbers)


def _plain_numbers(field: Field) -> Floats:
    """Return the plain numbers, with others in place of those that are outside of the domain."""
    there = field.contains(np.nan_to_num(_PLAIN, nan=0.0, posinf=12.0, neginf=-12.0))
    there |= np.isnan(_PLAIN)
    others = [x for x in _SIMPLE if x not in _PLAIN and field.contains(np.array([x]))[0]]
    found = _PLAIN.copy()
    for place, other in zip(np.flatnonzero(~there), others, strict=False):
        found[place] = other
    return found


def _even(fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    """Return numbers of which every beginning leaves no wide gap in the domains near 0.

    They are placed by the multiples of the golden ratio, modulo 1; those of a point stand in
    random order.
    """
    size = max(_entries(fields), 1)
    return _even_rows(max(_RELATED, -(-_EVEN // size)), fields)


def _even_rows(rows: int, fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    size = _entries(fields)
    order = np.argsort(random_words(derive_key(_KEY, "even"), (rows, size)), axis=1)
    shares = golden_shares(np.arange(rows)[:, None] * size + order)
    columns = [_placed(part, field) for field, part in _by_field(fields, shares)]
    numbers = np.concatenate(columns, axis=1)
    return numbers, ~np.isnan(numbers)


def _placed(shares: Floats, field: Field) -> Floats:
    """Return what lies at those shares of the way through the field's intervals near 0.

    Near 0 they lie closer together, with the distance to the power of 3/2: bands in which code
    goes its own way are narrower there. NaN where a domain has no interval.
    """
    spans = field.spans.real if isinstance(field.spans, Plane) else field.spans
    centre = min((float(np.clip(0.0, *span)) for span in spans), key=abs)
    low, high = centre - _EVEN_REACH, centre + _EVEN_REACH
    parts = [(max(a, low), min(b, high)) for a, b in spans if max(a, low) < min(b, high)]
    left = sum(max(min(b, centre) - a, 0.0) for a, b in parts)
    whole = sum(b - a for a, b in parts)
    way = shares * whole - left
    reach = np.where(way < 0, left, whole - left)
    way = left + way * np.sqrt(np.abs(way) / np.maximum(reach, 1e-300))
    found = np.full(shares.shape, np.nan)
    for a, b in parts:
        found = np.where(np.isnan(found) & (way < b - a), np.minimum(a + way, b), found)
        way = way - (b - a)
    return found


def _aimed(aims: tuple[float, ...], fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the numbers aimed at, each in turn on two of three entries; negated ones last.

    They are the constants, what lies between them and beyond them, their two neighbours, and what
    is a thousandth smaller or larger.
    """
    dtype, size = fields[0].dtype, _entries(fields)
    both = np.array([*aims, *(-aim for aim in aims)])
    constants = round_to(both, dtype)[np.isfinite(round_to(both, dtype))]
    ends = np.sort(constants)
    between = np.concatenate([(ends[1:] + ends[:-1]) / 2, 1.5 * ends[[0, -1]]])
    places = ordinal(constants, dtype)
    largest = largest_ordinal(dtype)
    beside = [float_at(np.clip(places + step, -largest, largest), dtype) for step in (1, -1)]
    far = [constants * (1 + 2.0**-10), constants * (1 - 2.0**-10)]
    numbers = np.concatenate([constants, round_to(between, dtype), *beside, *far])
    numbers = np.array(list(dict.fromkeys(numbers.tolist())))
    rows = np.arange(len(numbers))[:, None]
    chosen = numbers[(rows + np.arange(size)) % len(numbers)]
    return chosen, (np.arange(size) + rows) % 3 != 2 if size > 1 else np.isfinite(chosen)


def _of_binade(exponent: int | NDArray[np.int64], key: int, shape: tuple[int, ...]) -> Floats:
    """Return numbers from the upper two thirds of a binade."""
    share = (22 + random_below(42, key, shape)) / 64
    return np.ldexp(1.0 + share, exponent)


def _of_any_binade(rows: int, fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    """Return numbers of both signs whose logarithms are spread evenly; in every other row alike."""
    shape = rows, _entries(fields)
    reach = min(_FAR, fields[0].dtype.emax - 1)
    row, entry = np.arange(rows)[:, None], np.arange(shape[1])
    apart = golden_shares(row * max(shape[1], 1) + entry)
    alike = golden_shares(row // 2) + apart / reach
    exponent = (2 * np.where(row % 2 == 0, apart, alike % 1.0) - 1) * reach
    whole = np.floor(exponent)
    # Sums and products alone: every machine rounds them alike.
    numbers = np.ldexp(1.0 + (exponent - whole), whole.astype(np.int32))
    numbers = np.where(random_below(2, derive_key(_KEY, "sign"), shape) == 0, numbers, -numbers)
    return numbers, np.ones(shape, dtype=np.bool_)


def _simple(rows: int, fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the simple numbers, each in turn on every entry."""
    places = (np.arange(rows)[:, None] + np.arange(_entries(fields))) % len(_SIMPLE)
    numbers = np.array(_SIMPLE)[places]
    return numbers, np.ones(numbers.shape, dtype=np.bool_)


def _zeros(fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    """Return zeros of both signs everywhere, and then on every other entry."""
    size = _entries(fields)
    zeros = np.repeat([0.0, -0.0, 0.0, -0.0], size).reshape(4, size)
    alternate = np.arange(size) % 2 == np.array([[0], [1]])
    everywhere = np.ones((2, size), dtype=np.bool_)
    wanted = np.concatenate([everywhere, alternate]) if size > 1 else np.ones((4, 1), np.bool_)
    kept = 4 if size > 1 else 2
    return zeros[:kept], wanted[:kept]


def _large(fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    dtype = fields[0].dtype
    top = dtype.emax
    return _magnitudes(fields, (*_LARGE_BINADES, top // 4, top // 2 - 1, top - 1))


def _small(fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    dtype = fields[0].dtype
    last = dtype.emin - dtype.precision + 2
    return _magnitudes(
        fields, (*_SMALL_BINADES, dtype.emin // 4, dtype.emin // 2, dtype.emin, last)
    )


def _magnitudes(fields: Fields, exponents: tuple[int, ...]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return numbers of each binade, from the ordinary to the extreme: twice, in two layouts.

    One holds them everywhere, with mixed signs; the other in one entry, with the other sign.
    """
    dtype, size = fields[0].dtype, _entries(fields)
    able = [each for each in dict.fromkeys(exponents) if abs(each) <= dtype.emax + dtype.precision]
    order = np.array([each for n in range(0, len(able), 2) for each in 2 * able[n : n + 2]])
    count = len(order)
    rows = np.arange(count)[:, None]
    numbers = _of_binade(order[:, None], derive_key(_KEY, "binade"), (count, size))
    turns = (rows + rows // 2) % 2  # 0, 1, 1, 0: each binade meets both layouts
    signs = np.where((turns + np.arange(size)) % 2 == 0, 1.0, -1.0)
    one = np.arange(size) == rows % max(size, 1)
    return numbers * signs, (turns == 0) | one


def _edges(fields: Fields) -> tuple[Floats, NDArray[np.bool_]]:
    """Return ends of domains, neighbours within, and what lies a thousandth in; then one alone."""
    ends = [_ends_of(field) for field in fields]
    most = max(map(len, ends), default=0)
    size = _entries(fields)
    numbers, start = np.full((2 * most, size), np.nan), 0
    for field, own in zip(fields, ends, strict=True):
        if own:
            places = np.arange(most)[:, None] + np.arange(field.size)
            part = np.array(own)[places % len(own)]
            numbers[0::2, start : start + field.size] = part
            numbers[1::2, start : start + field.size] = part
        start += field.size
    rows = np.arange(2 * most)[:, None]
    one = np.arange(size) == (rows // 2) % max(size, 1)
    wanted = ((rows % 2 == 0) | one) & ~np.isnan(numbers)
    return (numbers, wanted) if size > 1 else (numbers[::2], wanted[::2])


def _ends_of(field: Field) -> list[float]:
    """Return the bounded ends of the intervals, then what lies an ulp and a thousandth within."""
    if isinstance(field.spans, Plane):
        return [end for spans in (field.spans.real, field.spans.imaginary)
                for end in _near_ends(spans, field.dtype)]  # fmt: skip
    return _near_ends(field.spans, field.dtype)


def _near_ends(spans: tuple[tuple[float, float], ...], dtype: Dtype) -> list[float]:
    found: list[tuple[int, float]] = []
    for low, high in spans:
        for end, other in ((low, high), (high, low)):
            if abs(end) < dtype.largest:
                found += [(n, x) for n, x in enumerate(_steps_in(end, other, dtype))]
    return list(dict.fromkeys(x for _, x in sorted(found, key=lambda pair: pair[0])))


def _steps_in(end: float, other: float, dtype: Dtype) -> Iterator[float]:
    """Return the end, its neighbour within, and what lies a thousandth of the way in, or of 1."""
    yield end
    place, last = ordinal([end, other], dtype).tolist()
    if place != last:
        yield float(float_at(place + (1 if last > place else -1), dtype))
        width = min(abs(other - end), max(1.0, abs(end)))
        yield float(round_to(end + np.copysign(width, other - end) / 1024, dtype))

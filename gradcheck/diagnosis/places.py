"""Where numbers are wrong and where not: in which input, entry or block, beyond which number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.answer import Floats
from gradcheck.diagnosis.evidence import Evidence
from gradcheck.judge.judge import Mask
from gradcheck.query import Array, Shape, owners

_BITS = 16.0
"""A place that as many accidents would make as rarely as heads so many times in a row."""
_MOST_FEATURES = 64


def wrong_place(
    evidence: Sequence[Evidence],
    wrong: Sequence[Mask],
    right: Sequence[Mask],
    *,
    whole: bool = True,
    by_numbers: bool = True,
) -> str | None:
    """Return where the wrong numbers are and the right ones are not, in words.

    Empty where none are right, None where no words tell it. ``whole``: all of the place is wrong;
    else it is the one that holds all that is. ``by_numbers``: it may hang on the inputs' values.

    Shapes: [rows, k] for each of the evidence.
    """
    if not any(mask.any() for mask in right):
        return ""
    if len(evidence) != 1:
        return None
    (found,), (inside,), (outside,) = evidence, wrong, right
    told = []
    for part, beside in _by_ports(found, inside, outside):
        told.append(part)
        outside = outside & beside
    if not outside.any():
        return " and ".join(told) or None
    for words in (_by_entries, *([_by_numbers] if by_numbers else []), _by_calls):
        place = words(found, inside, outside)
        if place is not None:
            named = told if words is not _by_entries else []
            return ", ".join([*named, place])
    return None if whole else " and ".join(told) or None


def _is_telling(inside: Mask, outside: Mask) -> bool:
    """Whether an accident would hardly part as many numbers so."""
    a, b = int(inside.sum()), int(outside.sum())
    ways = math.lgamma(a + b + 1) - math.lgamma(a + 1) - math.lgamma(b + 1)
    return ways / math.log(2) >= _BITS


def _by_ports(evidence: Evidence, inside: Mask, outside: Mask) -> Iterator[tuple[str, Mask]]:
    """The inputs or outputs that alone have wrong numbers; and which numbers are still of them."""
    ports = evidence.free_ports
    if len(ports) < 2 or not _is_telling(inside, outside):
        return
    owner = owners(ports)[evidence.slots]
    wrong = sorted(set(np.broadcast_to(owner, inside.shape)[inside].tolist()))
    if len(wrong) < len(ports):
        names = [ports[k].name or "y" for k in wrong]
        yield f"in {' and '.join(names)}", np.broadcast_to(np.isin(owner, wrong), inside.shape)


# entries of an array


def _by_entries(evidence: Evidence, inside: Mask, outside: Mask) -> str | None:
    ports = evidence.free_ports
    if not _is_telling(inside, outside):
        return None
    owner = owners(ports)[evidence.slots] if ports else np.zeros(0)
    wrong = set(np.broadcast_to(owner, inside.shape)[inside].tolist()) if ports else set()
    if len(wrong) != 1:
        return None
    (k,) = wrong
    port = ports[k]
    mine = np.flatnonzero(owner == k)
    if not port.shape or outside[:, owner != k].any():
        return None
    # A complex entry is wrong where one of its parts is, and right where both are.
    wrong_entries = _of_entries(np.logical_or, evidence.slots[mine], inside[:, mine])
    right_entries = _of_entries(np.logical_and, evidence.slots[mine], outside[:, mine])
    bad, good = (each.any(axis=0).reshape(port.shape) for each in (wrong_entries, right_entries))
    if (bad & good).any():
        return None
    for text, block in _regions(port.name or "y", port.shape, bad):
        if block[bad].all() and not block[good].any():
            return f"in {text}"
    return None


def _of_entries(united: np.ufunc, slots: Array, parts: Mask) -> Mask:
    """What is so of the parts of each entry, united. Shapes: [rows, k]; [rows, entries]."""
    order = np.argsort(slots, kind="stable")
    _, starts = np.unique(slots[order], return_index=True)
    return np.asarray(united.reduceat(parts[:, order], starts, axis=1))


def _regions(name: str, shape: tuple[int, ...], bad: Mask) -> Iterator[tuple[str, Mask]]:
    """Blocks of an array that hold all bad entries, and their names; the smallest box first."""
    spans = []
    for axis in range(len(shape)):
        others = tuple(k for k in range(len(shape)) if k != axis)
        lines = np.flatnonzero(bad.any(axis=others))
        spans.append((int(lines[0]), int(lines[-1]) + 1))
    box = np.zeros(shape, dtype=bool)
    box[tuple(slice(*span) for span in spans)] = True
    texts = [_span(span, length) for span, length in zip(spans, shape, strict=True)]
    yield f"{name}[{', '.join(texts)}]", box
    if len(shape) >= 2:
        i, j = np.indices(shape)[-2:]
        yield f"the diagonal of {name}", i == j
        yield f"{name} above the diagonal", i < j
        yield f"{name} below the diagonal", i > j
        yield f"{name} off the diagonal", i != j


def _span(span: tuple[int, int], length: int) -> str:
    start, stop = span
    if span == (0, length):
        return ":"
    if stop == start + 1:
        return "-1" if stop == length and length > 2 else str(start)
    return f"{start or ''}:{stop if stop < length else ''}"


# inputs


@dataclass(frozen=True, slots=True, eq=False)
class _Feature:
    """A number that each entry has. Shapes: [rows, k]."""

    name: str
    numbers: Floats


def _features(evidence: Evidence) -> Iterator[_Feature]:
    """The inputs of an entry: its own entry of each array of its shape, and scalars."""
    shape, ports = evidence.true.shape, evidence.session.variant.formula.ports
    starts = np.cumsum([0, *(math.prod(port.shape) for port in ports)])
    own = _own_place(evidence)
    for port, start in zip(ports, starts, strict=False):
        size = math.prod(port.shape)
        if size == 1:
            numbers = evidence.points[:, [start]]
            yield _Feature(port.name, np.broadcast_to(numbers, shape))
        elif own is not None and own[0] == port.shape:
            yield _Feature(port.name, evidence.points[:, start + own[1]])


def _own_place(evidence: Evidence) -> tuple[Shape, Array] | None:
    """The shape of the array that the entries are of, if all have one, and their place in it."""
    ports = evidence.free_ports
    shapes = {port.shape for port in ports}
    if len(shapes) != 1 or evidence.parts.any():
        return None
    (shape,) = shapes
    return shape, evidence.slots % max(1, math.prod(shape))


def _by_numbers(evidence: Evidence, inside: Mask, outside: Mask) -> str | None:
    features = list(_features(evidence))[:_MOST_FEATURES]
    for one, other in _pairs(features):
        tie = one.numbers == other.numbers
        if tie[inside].all() and not tie[outside].any():
            return f"where {one.name} = {other.name}"
    for feature in features:
        place = _beyond(feature.name, feature.numbers[inside], feature.numbers[outside])
        if place is None:
            sizes = np.abs(feature.numbers)
            place = _beyond(f"|{feature.name}|", sizes[inside], sizes[outside])
        zero = (feature.numbers[inside] == 0).all() and not (feature.numbers[outside] == 0).any()
        if zero:
            return f"where {feature.name} = 0"
        if place is not None and _is_telling(inside, outside):
            return f"where {place}"
    return None


def _pairs(features: Sequence[_Feature]) -> Iterator[tuple[_Feature, _Feature]]:
    for k, one in enumerate(features):
        for other in features[k + 1 :]:
            yield one, other


def _beyond(name: str, inside: Floats, outside: Floats) -> str | None:
    """The roundest threshold between two sets of numbers, if there is one, near to both."""
    if inside.min() > outside.max():
        sign, low, high = ">", outside.max(), inside.min()
    elif inside.max() < outside.min():
        sign, low, high = "<", inside.max(), outside.min()
    else:
        return None
    if low > 0 and high / low > _WIDEST:
        return None
    return f"{name} {sign} {_round(low, high):g}"


_WIDEST = 1e3
"""How far apart two numbers may be between which a threshold is said to lie."""


def _round(low: float, high: float) -> float:
    """The number of fewest digits in [low, high]."""
    if low <= 0 <= high:
        return 0.0
    sign = -1.0 if high < 0 else 1.0
    small, large = sorted((abs(low), abs(high)))
    exponent = math.floor(math.log10(large)) if math.isfinite(large) and large > 0 else 0
    for digits in range(16):
        unit = 10.0 ** (exponent - digits)
        number = math.floor(large / unit) * unit
        if number >= small:
            return sign * number
    return sign * large


# calls


def _by_calls(evidence: Evidence, inside: Mask, outside: Mask) -> str | None:
    labels = np.broadcast_to(evidence.labels[:, None], inside.shape)
    wrong, right = set(labels[inside].tolist()), set(labels[outside].tolist())
    if wrong & right or not _is_telling(inside, outside):
        return None
    named = sorted(label for label in wrong if label.split()[0] not in _CIRCUMSTANCES)
    told = [f"by {' and '.join(named)}"] if named else []
    return " and ".join([*told, *sorted(wrong - set(named))])


_CIRCUMSTANCES = {"after", "at", "for", "in", "into", "on", "under", "where", "with"}
"""How labels begin that tell in what circumstances a call is made; others name it."""

"""What was worked out of a case file, kept from process to process: data, whatever is done to it.

It can make nothing but the types that a case is made of.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import flint
import numpy as np
import yaml
from flint import acb, arb

from gradcheck.cache import digest_of, fetch, keep

_T = TypeVar("_T")

_VERSIONS = repr((sys.version, np.__version__, flint.__version__, yaml.__version__))
_MAKERS = frozenset({
    ("builtins", "Ellipsis"),
    ("fractions", "Fraction"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
    (__name__, "_ball"),
    (__name__, "_complex_ball"),
})  # fmt: skip
_TYPES = frozenset({
    "gradcheck.catalog.case",
    "gradcheck.catalog.domain",
    "gradcheck.catalog.intervals",
    "gradcheck.errors",
    "gradcheck.graph.graph",
    "gradcheck.graph.lower",
    "gradcheck.language.nodes",
    "gradcheck.query",
})  # fmt: skip
"""Whose types a case is made of."""


def remembered(parts: Sequence[str], make: Callable[[], _T]) -> _T:
    """Return what ``make`` gives, which hangs on ``parts`` alone; fetched where it was made before.

    Errors: those of ``make``, of which nothing is kept.
    """
    key = digest_of(_VERSIONS, *parts)
    content = fetch(key)
    if content is not None:
        try:
            found: _T = _Reader(io.BytesIO(content)).load()
            return found
        except Exception:  # another release's, say: it is made anew
            pass
    made = make()
    written = io.BytesIO()
    try:
        _Writer(written, protocol=5).dump(made)
    except (RecursionError, pickle.PicklingError, TypeError):
        return made
    keep(key, written.getvalue())
    return made


class _Writer(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        kind = type(value)
        if kind.__module__ in _TYPES and hasattr(kind, "__dataclass_fields__"):
            # By its constructor: dataclasses' own way with slots takes four times as long.
            return kind, tuple(getattr(value, name) for name in kind.__dataclass_fields__)
        if kind is arb:
            parts = _parts(value)
            return _ball, parts
        if kind is acb:
            return _complex_ball, (value.real, value.imag)
        return NotImplemented


Exactly = tuple[int, int] | str


_RADIUS_BITS = 64  # more than the 30 of a radius


def _parts(ball: arb) -> tuple[Exactly, Exactly]:
    """Middle and radius, from which the same ball is made.

    Errors: PicklingError where it would be another.
    """
    mid, rad = _exactly(ball.mid()), _exactly(ball.rad())
    if not isinstance(rad, str) and rad[0]:  # FLINT rounds a radius up when it takes it
        rad = (rad[0] << _RADIUS_BITS) - 1, rad[1] - _RADIUS_BITS
    if _is_same(_ball(mid, rad), ball):
        return mid, rad
    raise pickle.PicklingError(f"{ball} would be another")


def _exactly(number: arb) -> Exactly:
    """A ball of radius 0 as it is: m * 2**e, or what is no number."""
    if not number.is_finite():
        return str(float(number))
    man, exp = number.man_exp()
    return int(man), int(exp)


def _ball(mid: Exactly, rad: Exactly) -> arb:
    return arb(mid, rad) if rad != (0, 0) else arb(mid)


def _is_same(one: arb, other: arb) -> bool:
    if other.is_finite():
        return bool(one.mid() == other.mid() and one.rad() == other.rad())
    return bool(one == other)  # infinities alone; no NaN


def _complex_ball(real: arb, imag: arb) -> acb:
    return acb(real, imag)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if self._is_allowed(module, name) else None
        if found is None or (module in _TYPES and not isinstance(found, type)):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a case")
        return found

    @staticmethod
    def _is_allowed(module: str, name: str) -> bool:
        return (module, name) in _MAKERS or (module in _TYPES and "." not in name)

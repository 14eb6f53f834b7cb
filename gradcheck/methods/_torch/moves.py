"""A mode that moves every number that an operation rounds by an ulp, and tells what it sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch.utils._pytree import tree_map

from gradcheck.answer import Invocation
from gradcheck.methods._torch.dispatch import DispatchMode
from gradcheck.methods._torch.kernels import (
    CASTS,
    CONTRACTIONS,
    MATRIX_PRODUCTS,
    NEVER_OVERFLOW,
    NEVER_ZERO,
    POLES,
    ROUND_NUMBERS,
    SINGLE,
    SINGLE_IN_HALF,
    is_composed,
    is_plain,
    is_readable,
    known_error,
    loses_nothing,
    operator_name,
    python_kernel,
    rounds_nothing,
    single_values,
    written_by,
)
from gradcheck.methods._torch.underflow import OperatorCall, flushed, vanished
from gradcheck.methods._torch.zero_tensors import with_memory
from gradcheck.randomness import derive_key, random_below, random_words

_MOVES = (-1, -1, 0, 0, 1, 1)
"""In units in the last place: after a move and its mirror image, in the first two patterns, each
number moves so in an order of its own. One that moves the answer alone does it both ways from the
start, and no two cancel in all patterns, but for one time in 180."""
PATTERNS = 2 + len(_MOVES)
FREE_PATTERNS = 4
"""In which each number moves as it likes; they count for answers alone that the patterns before do
not explain, as what matters cancels there. Two that matter alike do in all one time in 14,000."""
RANGE_PATTERNS = 4
"""How many of them are repeated with what overflowed or underflowed brought back."""
_POOL = 1 << 16
"""So many numbers have an order of their own; an operation takes a stretch of them."""
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_STRIDE = 40_503  # odd, so that the stretches of operations begin all over the pool


class Moves(DispatchMode):
    """Moves results by an ulp, in a pattern that hangs on its number alone; none without one.

    It changes while operations come: ``opaque`` names kernels that cannot be looked into, ``left``
    says for each point how an operation left the range first, and ``decomposed`` whether a kernel
    was replaced by its parts. Numbers of a dtype that is coarser than the one under test are let
    be: to compute in such a one is no rounding.
    """

    def __init__(
        self,
        invocation: Invocation,
        pattern: int | None,
        *,
        into_range: bool = False,
    ) -> None:
        super().__init__()
        self.dtype, self.count, self.batched = (
            invocation.dtype,
            invocation.count,
            invocation.batched,
        )
        self.finest = torch.finfo(getattr(torch, invocation.dtype)).eps
        self._own_code = invocation.own_code
        self._is_half = self.finest > torch.finfo(torch.float32).eps
        self._single = SINGLE | SINGLE_IN_HALF if self._is_half else SINGLE
        self.pattern, self.into_range = pattern, into_range
        self.opaque: dict[str, None] = {}
        self.left = [""] * invocation.count
        self.decomposed = False
        self.operations = 0
        self._within: torch.dtype | None = None  # a kernel of half precision, taken apart

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        args, kwargs = with_memory(function, args, kwargs or {})
        name = operator_name(function)
        if rounds_nothing(function, name, args, kwargs):
            return function(*args, **kwargs)
        # of PyTorch itself it is a fault, of a user's code none
        error = known_error(name, args) if self._own_code else 0.0
        is_single = name in self._single and kwargs.get("alpha", 1) in (1, -1)
        is_single |= error > self.finest
        if not is_single and name not in CONTRACTIONS:
            found = self._taken_apart(function, args, kwargs)
            if found is not NotImplemented:
                return found
            self.opaque.setdefault(name, None)
        written = written_by(function, args, kwargs)
        leaves = single_values((*args, *kwargs.values()))
        before = _Operands.of(leaves, written) if self._watches_range else None
        storages = {_storage(each) for each in leaves if isinstance(each, Tensor)}
        terms = _terms(name, args, written) if self.pattern is not None else ()
        if self.pattern is not None:
            args = self._constants(name, args)
            args, kwargs = self._given(args, kwargs, None if is_single else written)
        result = function(*args, **kwargs)
        if name in CASTS and loses_nothing(function, args, result):
            return result
        results = written or single_values((result,))
        gone = self._gone(name, (function, args, kwargs), results)
        for tensor, where in zip(results, gone, strict=True):
            if self._is_rounded(tensor) and (written or _storage(tensor) not in storages):
                seen = before and replace(before, vanished=where)
                self._round(tensor, name, seen, terms, error)
        return result

    def _gone(
        self, name: str, call: OperatorCall, results: Sequence[Any]
    ) -> Sequence[Tensor | None]:
        """Where each sum of products vanished; what a matrix product flushed of it is moved."""
        if self.pattern is not None and name in MATRIX_PRODUCTS:
            for tensor, lost in flushed(call, results):
                if self._is_rounded(tensor):  # all alike: a kernel flushes, or does not
                    tensor.add_(lost * self._directions(lost.new_zeros(1)))
        if self._watches_range and name in CONTRACTIONS:
            return vanished(call, results)
        return [None] * len(results)

    @property
    def _watches_range(self) -> bool:
        """Whether it matters what leaves the range: it is told once, without moves."""
        return self.pattern is None or self.into_range

    def _taken_apart(self, function: Any, args: Any, kwargs: Any) -> Any:
        """What a kernel is made of, step by step; NotImplemented where that is not known."""
        if function.namespace not in ("aten", "prims"):
            rule = python_kernel(function, args, kwargs)
        else:
            rule = None if function._schema.is_mutable else decomposition_table.get(function)
            if rule is None and is_composed(function):
                rule = function.decompose
            self.decomposed |= rule is not None
        if rule is None:
            return NotImplemented
        outside = self._within
        if function.namespace in ("aten", "prims"):
            self._within = outside or self._half_among((*args, *kwargs.values()))
        try:
            with self:
                return rule(*args, **kwargs)
        except Exception:  # the kernel itself says what is wrong
            return NotImplemented
        finally:
            self._within = outside

    def _half_among(self, values: Iterable[Any]) -> torch.dtype | None:
        """The dtype under test, if it is of half precision and among those of some tensors.

        PyTorch's decompositions compute such a kernel in float32. The kernel itself may keep any
        of its numbers in the dtype, as that of ``glu`` keeps the sigmoid that it takes from 1.
        """
        own = getattr(torch, self.dtype)
        tensors = (each for each in single_values(values) if isinstance(each, Tensor))
        return own if self._is_half and any(each.dtype == own for each in tensors) else None

    # moves

    def _given(self, args: Any, kwargs: Any, written: Sequence[Tensor] | None) -> tuple[Any, Any]:
        """What an operation is given, moved where it is known what is written to."""
        if written is None:
            return args, kwargs
        found: tuple[Any, Any] = tree_map(lambda each: self._operand(each, written), (args, kwargs))
        return found

    def _constants(self, name: str, args: Any) -> Any:
        """The arguments, with numbers moved that a kernel may round to half precision."""
        kept = self._within
        if kept is not None:
            return tuple(
                self._constant(each, kept) if type(each) is float else each for each in args
            )
        own = self._half_among(args) if name in ROUND_NUMBERS else None
        return args if own is None else tuple(self._beside_half(each, own) for each in args)

    def _beside_half(self, value: Any, dtype: torch.dtype) -> Any:
        """An argument beside tensors of half precision; a number of a wider dtype is moved."""
        if type(value) in (float, int):
            return self._constant(value, dtype)
        if not is_plain(value) or value.ndim or value.dtype == dtype:
            return value
        return value.new_tensor(self._constant(value.item(), dtype))

    def _constant(self, number: float, dtype: torch.dtype) -> float:
        """A number of a half-precision kernel, which may keep it in the dtype, moved by as much."""
        kept = torch.empty(1, dtype=dtype).fill_(number)
        if kept.double() == number:
            return number
        moved = number * (1 + int(self._directions(kept)) * self.finest / 2)
        return moved if math.isfinite(moved) else number

    def _operand(self, value: Any, written: Sequence[Tensor]) -> Any:
        """An operand, moved; what is written to stays itself."""
        if not self._is_rounded(value) or any(value is each for each in written):
            return value
        copy = value.clone()
        self._shift(copy)
        return copy

    def _is_rounded(self, value: Any) -> bool:
        """Whether a value holds numbers that the dtype under test rounds, or a finer one."""
        return (
            isinstance(value, Tensor)
            and is_readable(value)
            and (value.is_floating_point() or value.is_complex())
            and torch.finfo(value.dtype).eps <= self.finest
            and not (value.is_conj() or value.is_neg())
        )

    def _round(
        self,
        tensor: Tensor,
        name: str,
        before: _Operands | None,
        terms: Sequence[Tensor],
        error: float,
    ) -> None:
        lost, grown = (None, None) if before is None else self._left_range(tensor, name, before)
        if self.pattern is None:
            return
        kept = tensor.dtype if self._within is None else self._within
        self._shift(tensor, _erring_alike(terms, tensor, kept), error)
        if self.into_range and not tensor.is_complex():
            limits = torch.finfo(tensor.dtype)
            if lost is not None:
                tensor[lost] = limits.smallest_normal  # which later operations do not lose again
            if grown is not None:
                tensor[grown] = tensor[grown].nan_to_num(nan=limits.max)

    def _shift(self, tensor: Tensor, alike: Tensor | None = None, error: float = 0.0) -> None:
        """Move each number by an ulp, in place, or by what it is known to be off, relatively.

        0, the largest and what is not finite stay, and the smallest of all, which a third of it
        may have been rounded to, moves up alone.
        """
        if tensor.is_complex():
            self._shift_parts(torch.view_as_real(tensor))
            return
        size, limits = tensor.abs(), torch.finfo(tensor.dtype)
        smallest = limits.smallest_normal * limits.eps
        directions = self._directions(tensor, alike)
        moves = (size < limits.max) & ((size > smallest) | ((size == smallest) & (directions > 0)))
        bits = tensor.view(_INTEGERS[tensor.element_size()])
        step = 1 if self._within is None else round(self.finest / limits.eps)
        step = max(step, math.ceil(2 * error / limits.eps))
        bits.add_(directions * moves, alpha=step)

    def _shift_parts(self, parts: Tensor) -> None:
        """Both parts of a complex number move by an ulp of the larger: so a product is rounded."""
        larger = parts.abs().amax(dim=-1, keepdim=True)
        ulp = torch.nextafter(larger, torch.full_like(larger, math.inf)) - larger
        step = ulp * self._directions(parts)
        still = (parts == 0) | ~torch.isfinite(step) | ~torch.isfinite(parts + step)
        parts.add_(step.masked_fill_(still, 0))

    def _directions(self, like: Tensor, alike: Tensor | None = None) -> Tensor:
        """-1, 0 or 1 for each number of a tensor; for all alike where they are one number.

        ``alike`` has one number for all that move alike, and -1 elsewhere.
        """
        self.operations += 1
        start = self.operations * _STRIDE % _POOL
        pool = _pool(like.device)[self.pattern or 0]
        rows = like.reshape(self.count if self._has_rows(like) else 1, -1)
        if rows.shape[1] > 1 and torch.equal(rows, rows[:, :1].expand_as(rows)):
            one = pool.roll(-start)[: len(rows), None].expand_as(rows)
            return one.reshape(like.shape)
        taken = pool[start : start + like.numel()]
        if len(taken) < like.numel():
            taken = pool.roll(-start).repeat(like.numel() // _POOL + 1)[: like.numel()]
        taken = taken.reshape(like.shape)
        if alike is None:
            return taken
        together = pool[(start + alike) % _POOL] * like.sign().to(pool.dtype)  # by magnitude
        return torch.where(alike < 0, taken, together)

    # range

    def _left_range(
        self, tensor: Tensor, name: str, before: _Operands
    ) -> tuple[Tensor | None, Tensor | None]:
        """Where a result has underflowed to 0, and where it has overflowed."""
        lost = grown = None
        if name in NEVER_ZERO and (tensor == 0).any():
            lost = (tensor == 0) & before.ordinary(tensor, self._rows_of, not_zero=True)
            self._note(lost, "underflows", name, before)
        if before.vanished is not None and before.vanished.any():
            lost = before.vanished
            self._note(lost, "underflows", name, before)
        # sums of products may be infinity less infinity, as the product of complex numbers is
        inner = tensor.is_complex() or name in CONTRACTIONS
        large = ~torch.isfinite(tensor) if inner else torch.isinf(tensor)
        if name not in NEVER_OVERFLOW and large.any():
            grown = large & before.ordinary(tensor, self._rows_of, not_zero=name in POLES)
            self._note(grown, "overflows", name, before)
        return lost, grown

    def _note(self, where: Tensor, what: str, name: str, before: _Operands) -> None:
        """Keep for each point what left the range first."""
        if not where.any():
            return
        by_point = self._rows_of(where)
        rows = None if by_point is None else _plain(by_point.any(dim=1))
        for row in range(self.count):
            if not self.left[row] and (rows is None or rows[row]):
                at = before.told(where, None if rows is None else row)
                self.left[row] = f"{self.dtype} {what} in {name}{at}"

    def _rows_of(self, tensor: Tensor) -> Tensor | None:
        """A tensor as a row for each point of a batch; None where it has none."""
        return tensor.reshape(self.count, -1) if self._has_rows(tensor) else None

    def _has_rows(self, tensor: Tensor) -> bool:
        return self.batched and tensor.ndim > 0 and tensor.shape[0] == self.count


@lru_cache(maxsize=4)
def _pool(device: torch.device) -> Tensor:
    """Shapes: [pattern, stretch]."""
    first = 2 * random_below(2, derive_key("mirrored"), (1, _POOL)) - 1
    order = random_words(derive_key("rounding"), (len(_MOVES), _POOL)).argsort(axis=0)
    free = random_below(3, derive_key("free"), (FREE_PATTERNS, _POOL)) - 1
    moves = np.concatenate([first, -first, np.array(_MOVES)[order], free])
    return torch.from_numpy(moves.astype(np.int8)).to(device)


def _terms(name: str, args: Sequence[Any], written: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The two terms of a sum or difference, one of which is added to many numbers; else none."""
    terms = args[:2] if name in ("add", "sub", "rsub") else ()
    if not all(is_plain(each) or type(each) in (int, float) for each in terms):
        return ()
    tensors = [torch.as_tensor(each) for each in terms]
    if len({each.shape for each in tensors}) < 2:
        return ()
    return tuple(each.clone() if any(each is one for one in written) else each for each in tensors)


def _erring_alike(terms: Sequence[Tensor], total: Tensor, kept: torch.dtype) -> Tensor | None:
    """Which numbers of a sum have one rounding error: alike where they do, and -1 elsewhere.

    What rounding takes from a + b, where a lies on the grid of the sum, is what b has below that
    grid: beside one b it is the same for all a whose sums have one exponent. ``kept`` is the dtype
    in which a kernel may keep a and the sum, though they are given in another.

    Shapes: terms, which spread to that of the total.
    """
    if not terms:
        return None
    wide = total.double() if total.dtype == torch.float64 else total.float()
    exponents = torch.frexp(wide).exponent.long()
    digits = 1 - round(math.log2(torch.finfo(kept).eps))
    grids = torch.ldexp(torch.ones_like(wide), exponents - digits)
    first, second = (torch.fmod(each.to(kept).to(wide.dtype), grids) != 0 for each in terms)
    found = torch.full(total.shape, -1, device=total.device)
    for term, is_fine in ((terms[0], first & ~second), (terms[1], second & ~first)):
        if term.numel() < total.numel():
            numbered = torch.arange(term.numel(), device=total.device).reshape(term.shape)
            found = torch.where(is_fine, numbered * _STRIDE + exponents % _POOL, found)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Operands:
    """What an operation was given, as it was before."""

    tensors: tuple[Tensor, ...]
    numbers: tuple[float, ...]
    zeros: bool
    vanished: Tensor | None = None  # where all products of a sum of products are lost

    @classmethod
    def of(cls, leaves: Sequence[Any], written: Sequence[Tensor]) -> _Operands:
        tensors = [each for each in leaves if isinstance(each, Tensor) and is_readable(each)]
        return cls(
            tuple(
                each.clone() if any(each is one for one in written) else each for each in tensors
            ),
            tuple(each for each in leaves if type(each) in (int, float)),
            any(isinstance(each, Tensor) and each._is_zerotensor() for each in leaves),
        )

    def ordinary(
        self, like: Tensor, rows_of: Callable[[Tensor], Tensor | None], *, not_zero: bool
    ) -> Tensor:
        """Where all operands of a result are finite, and not 0 either.

        Of what is not computed entry by entry, whether all are of the same point.
        """
        found = torch.full_like(like, not (not_zero and self.zeros), dtype=torch.bool)
        for each in self.tensors:
            fit = torch.isfinite(each) & ((each != 0) | (not not_zero))
            found = found & (fit if _spreads(each, like) else _of_all(fit, like, rows_of))
        numbers = all(math.isfinite(each) and (each != 0 or not not_zero) for each in self.numbers)
        return found & numbers

    def told(self, where: Tensor, row: int | None) -> str:
        """The operands at the first place, or in a row the first, in words."""
        if not self.tensors or not all(_spreads(each, where) for each in self.tensors):
            return ""
        places = _plain(torch.nonzero(where))
        place = tuple(next(each for each in places if row is None or each[0] == row))
        values = [each.expand(where.shape)[place].item() for each in self.tensors]
        return " at " + ", ".join(
            f"{name} = {value:.6g}" for name, value in zip("xyzw", values, strict=False)
        )


def _storage(tensor: Tensor) -> int:
    """Where its memory is; 0 where it has none that may be looked at."""
    return tensor.untyped_storage().data_ptr() if is_readable(tensor) else 0


def _plain(tensor: Tensor) -> Any:
    """A tensor as lists; not as code under test is watched."""
    return torch._C.TensorBase.tolist(tensor)


def _of_all(fit: Tensor, like: Tensor, rows_of: Callable[[Tensor], Tensor | None]) -> Tensor:
    """Whether all are fit: of each point where both hold a row for each, else of all points."""
    rows = rows_of(fit)
    if rows is None or rows_of(like) is None:
        return fit.all()
    return rows.all(dim=1).reshape(-1, *(1,) * (like.ndim - 1))


def _spreads(operand: Tensor, like: Tensor) -> bool:
    try:
        return operand.expand(like.shape).shape == like.shape
    except RuntimeError:
        return False

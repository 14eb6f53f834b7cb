"""How far right code may be off: a witness is asked again while every operation rounds otherwise.

Below autograd each operation's floating result is moved by one unit in the last place, up or down.
Backward, tangents and derivatives of derivatives are moved too, and what autograd records is not
changed. How far the answers then lie apart is what rounding does to *this* code: a wrong formula
moves by rounding only, and one that cancels by all that it loses. docs/judge.md has the argument.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._decomp import decomposition_table
from torch._library.custom_ops import OPDEFS
from torch.utils._pytree import tree_leaves, tree_map

from gradcheck.answer import Answer, Floats, Invocation, Question, Said
from gradcheck.judge.judge import MOVES_FACTOR
from gradcheck.methods._torch.calling import are_close
from gradcheck.methods._torch.dispatch import DispatchMode
from gradcheck.methods._torch.exceptions import eagerly
from gradcheck.methods._torch.zero_tensors import with_memory
from gradcheck.query import Array
from gradcheck.randomness import derive_key, random_below, random_words

_MOVES = (-1, -1, 0, 0, 1, 1)
"""In units in the last place: after a move and its mirror image, in the first two patterns, each
number moves so in an order of its own. One that moves the answer alone does it both ways from the
start, and no two cancel in all patterns, but for one time in 180."""
PATTERNS = 2 + len(_MOVES)
_FREE_PATTERNS = 4
"""In which each number moves as it likes; they count for answers alone that no pattern before has
moved. Two that matter alike cancel in these too one time in 14,000."""
RANGE_PATTERNS = 4
"""How many of them are repeated with what overflowed or underflowed brought back."""
_POOL = 1 << 16
"""So many numbers have an order of their own; an operation takes a stretch of them."""
AnswerKey = tuple[str, int]
"""Which of a witness's answers: its label, and its number among those of that label."""


@dataclass(frozen=True, slots=True, eq=False)
class Rounding:
    """What rounding does to one answer.

    ``spread`` is the distance between the farthest answers whose operations were moved, and
    ``ranged`` the same where also what left the dtype's range was brought back. ``left`` says, for
    each point, how an operation left the range first, or nothing. ``opaque`` names what cannot be
    looked into, so that the distances mean nothing, and ``by_norm`` which of it is stable by norm.

    Shapes: spread, ranged [count, *free], complex where the numbers are; left [count].
    """

    spread: Array
    ranged: Array
    left: tuple[str, ...]
    opaque: str
    by_norm: str = ""


def keyed(said: Iterator[Said]) -> Iterator[tuple[AnswerKey | None, Said]]:
    """What a witness says, each answer with its key."""
    seen: Counter[str] = Counter()
    for each in said:
        if isinstance(each, Answer):
            yield (each.label, seen[each.label]), each
            seen[each.label] += 1
        else:
            yield None, each


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """The numbers of one repetition, and the mode that it was made under."""

    mode: _Moves
    numbers: dict[AnswerKey, Array]


@dataclass(slots=True, eq=False)
class Repeated:
    """One invocation of a witness, and what it says when it is asked again.

    It grows: a repetition costs more than the call did, and most rounding shows in the first two.
    One ends with the last answer that is asked about (``keys``); asked about others, all begin
    again. Code that says something else when nothing is moved is opaque, unless that is rounding:
    some operators of PyTorch go another way where a mode looks on (``cumprod_backward``).
    """

    ask: Question
    invocation: Invocation
    answers: dict[AnswerKey, Answer] = field(default_factory=dict)
    _keys: set[AnswerKey] = field(default_factory=set)
    _still: list[_Heard] = field(default_factory=list)
    _moved: list[_Heard] = field(default_factory=list)
    _ranged: list[_Heard] = field(default_factory=list)

    @classmethod
    def of(cls, ask: Question, invocation: Invocation) -> Repeated:
        """The invocation, and what the witness answers at first."""
        found = cls(ask, invocation)
        for key, said in keyed(ask(invocation)):
            if key is not None and isinstance(said, Answer):
                found.answers[key] = said
        return found

    def in_full(self) -> dict[AnswerKey, Rounding]:
        """What rounding does to each answer, from all repetitions."""
        self.ask_until(list(self.answers), lambda _key, _rounding: False)
        return {key: self.rounding(key) for key in self.answers}

    def ask_until(
        self, keys: Sequence[AnswerKey], explained: Callable[[AnswerKey, Rounding], bool]
    ) -> None:
        """Repeat the call until rounding explains the answers, or all patterns were seen."""
        if not self._keys.issuperset(keys):
            self._keys.update(keys)
            self._still, self._moved, self._ranged = [], [], []
        with eagerly():
            if not self._still:
                self._still.append(self._by(None))
                if not all(map(self._repeats, keys)):  # else the answers themselves are as good
                    self._still.append(self._by(None))
            while not all(self._is_explained(key, explained) for key in keys) and self._grows():
                pass
            if any(_are_far(self._still[0], each) for each in self._moved):
                self._still.append(self._by(None))  # was it the moves, or the calls?

    @property
    def patterns(self) -> int:
        """By how many patterns the call was repeated."""
        return len(self._moved)

    def _repeats(self, key: AnswerKey) -> bool:
        """Whether the code gave the very numbers again as it was looked at."""
        found = self._still[0].numbers.get(key)
        return found is not None and np.array_equal(
            found, self.answers[key].numbers, equal_nan=True
        )

    def _is_explained(
        self, key: AnswerKey, explained: Callable[[AnswerKey, Rounding], bool]
    ) -> bool:
        rounding = self.rounding(key)
        return explained(key, rounding) and rounding.opaque != _SAYS_ELSE

    def moved(self, key: AnswerKey) -> Array:
        """An answer by each pattern; none from code that is opaque.

        Shapes: [patterns, *shape of the answer].
        """
        self.ask_until([key], lambda _key, _rounding: False)
        shape = self.answers[key].numbers.shape
        moved = self._moved[:PATTERNS]
        found = [each.numbers[key] for each in moved if key in each.numbers]
        if self.rounding(key).opaque or any(each.shape != shape for each in found):
            found = []
        return np.stack(found) if found else np.zeros((0, *shape))

    def _grows(self) -> bool:
        if len(self._moved) < PATTERNS or self._stays_in_all_patterns():
            self._moved.append(self._by(len(self._moved)))
        elif any(self._still[0].mode.left) and len(self._ranged) < RANGE_PATTERNS:
            self._ranged.append(self._by(len(self._ranged), into_range=True))
        else:
            return False
        return True

    def _stays_in_all_patterns(self) -> bool:
        """Whether free patterns are left, and some number has not moved in any before."""
        if len(self._moved) == PATTERNS + _FREE_PATTERNS:
            return False
        return any((self.rounding(key).spread == 0).any() for key in self._keys)

    def _by(self, pattern: int | None, *, into_range: bool = False) -> _Heard:
        labels = frozenset(label for label, _ in self._keys)
        invocation = replace(self.invocation, again=labels)
        mode = _Moves(invocation, pattern, into_range=into_range)
        numbers = {}
        with _same_randomness(invocation.device), _watched(mode.opaque), mode:
            for key, said in keyed(self.ask(invocation)):
                mode.operations = 0  # so that calls that do the same move alike
                if isinstance(said, Answer) and key is not None:
                    numbers[key] = said.numbers
                if self._keys <= numbers.keys():
                    break
        return _Heard(mode, numbers)

    def rounding(self, key: AnswerKey) -> Rounding:
        """What rounding does to an answer, as far as the call was repeated."""
        mode, answer = self._still[0].mode, self.answers[key].numbers
        left, opaque = tuple(mode.left), ", ".join(mode.opaque)
        by_norm = ", ".join(dict.fromkeys(_BY_NORM[k] for k in mode.opaque if k in _BY_NORM))
        nothing = np.zeros(answer.shape)
        still, moved, ranged = (
            [each.numbers.get(key, nothing[:0]) for each in heard]
            for heard in (self._still, self._moved, self._ranged)
        )
        if any(each.shape != answer.shape for each in (*still, *moved, *ranged)):
            return Rounding(nothing, nothing, left, opaque or "code that cannot be asked again")
        spread = _range_of(moved[:PATTERNS]) if moved else nothing
        if len(moved) > PATTERNS:
            spread = np.where(spread == 0, _range_of(moved), spread)
        same = all(np.array_equal(still[0], each, equal_nan=True) for each in still[1:])
        if not same or not (mode.decomposed or _is_rounding(still[0], answer, spread)):
            return Rounding(nothing, nothing, left, opaque or _SAYS_ELSE)
        if not ranged:
            return Rounding(spread, spread, left, opaque, by_norm)
        stays = np.array([not each for each in left]).reshape(-1, *(1,) * (answer.ndim - 1))
        both = _range_of([*moved, *ranged])
        return Rounding(spread, np.where(stays, spread, both), left, opaque, by_norm)


_SAYS_ELSE = "code that says something else when it is asked again"


def _is_rounding(numbers: Array, answer: Array, spread: Array) -> bool:
    """Whether moves explain all that lies between two answers.

    Shapes: all alike.
    """
    if np.iscomplexobj(spread):
        parts = zip(*((each.real, each.imag) for each in (numbers, answer, spread)), strict=True)
        return all(_is_rounding(*each) for each in parts)
    if not are_close(numbers, answer):  # what moves explain there may be the code's memory
        return False
    with np.errstate(invalid="ignore"):
        near = np.abs(numbers - answer) <= MOVES_FACTOR * spread
    same = (numbers == answer) | (np.isnan(numbers) & np.isnan(answer))
    return bool(np.all(near | same))


def _are_far(heard: _Heard, other: _Heard) -> bool:
    return not all(
        are_close(other.numbers[key], numbers)
        for key, numbers in heard.numbers.items()
        if key in other.numbers and other.numbers[key].shape == numbers.shape
    )


def _range_of(numbers: Sequence[Array]) -> Array:
    """The distance between the farthest of several numbers; infinite where some are not finite.

    Where all are the same infinity, or none is a number, they do not move.
    """
    if np.iscomplexobj(numbers[0]):
        parts = [[each.real for each in numbers], [each.imag for each in numbers]]
        return _range_of(parts[0]) + 1j * _range_of(parts[1])
    stacked = np.stack(numbers)
    special = ~np.isfinite(stacked)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = stacked.max(axis=0) - stacked.min(axis=0)
    found: Floats = np.where(special.all(axis=0), 0.0,
                             np.where(special.any(axis=0), math.inf, distance))  # fmt: skip
    return found


@contextmanager
def _same_randomness(device: str) -> Iterator[None]:
    """Let what happens within draw the same numbers each time, and leave no trace."""
    where = torch.device(device)
    forked: dict[str, Any] = {"devices": []}
    if where.type != "cpu":
        forked = {"devices": [where.index or 0], "device_type": where.type}
    with torch.random.fork_rng(**forked):
        yield


_EXITS = ("numpy", "tolist", "data_ptr", "__dlpack__")


@contextmanager
def _watched(opaque: dict[str, None]) -> Iterator[None]:
    """Note what takes numbers out of tensors, to compute with them where nobody can look."""
    own = {name: vars(torch.Tensor)[name] for name in _EXITS if name in vars(torch.Tensor)}

    def noting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            opaque.setdefault(f"Tensor.{name}", None)
            return original(*args, **kwargs)

        return call

    try:
        for name in _EXITS:
            setattr(torch.Tensor, name, noting(name, getattr(torch.Tensor, name)))
        yield
    finally:
        for name in _EXITS:
            if name in own:
                setattr(torch.Tensor, name, own[name])
            else:
                delattr(torch.Tensor, name)


# the mode


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXACT = _names("""
_conj_physical _efficientzerotensor _has_same_storage_numel _local_scalar_dense _unique _unique2
_unsafe_index _unsafe_view abs adaptive_max_pool2d adaptive_max_pool3d all allclose amax amin
aminmax any arange argmax argmin argsort bincount bitwise_and bitwise_not bitwise_or bitwise_xor
broadcast_in_dim bucketize cat ceil clamp clamp_max clamp_min clone collapse_view complex
conj_physical constant_pad_nd copysign cummax cummin diag diag_embed diagonal_backward
diagonal_scatter embedding empty empty_like empty_permuted empty_strided eq equal eye fill flip
floor fmax fmin fmod fractional_max_pool2d fractional_max_pool3d frexp full full_like gather ge gt
hardtanh hardtanh_backward heaviside im2col index index_copy index_fill index_select iota
is_same_size isfinite isin isinf isnan isneginf isposinf kthvalue ldexp le lift lift_fresh
lift_fresh_copy linspace logical_and logical_not logical_or logical_xor lt masked_fill
masked_scatter masked_select max max_pool2d_with_indices max_pool3d_with_indices max_unpool2d
max_unpool3d maximum median min minimum mode nan_to_num nanmedian ne neg new_empty
new_empty_strided new_full new_ones new_zeros nextafter nonzero nonzero_static ones ones_like pad
relu repeat repeat_interleave resize resolve_conj resolve_neg rev roll round scalar_tensor scatter
searchsorted select_backward select_scatter set sgn sign signbit slice_backward slice_scatter sort
stack take threshold threshold_backward topk tril tril_indices triu triu_indices trunc
unique_consecutive unique_dim unique_dim_consecutive where zero zeros zeros_like
""")
"""They move numbers or choose among them, and round none."""

_OF_COMPLEX = frozenset({"abs", "sgn"})
"""They round complex numbers only."""
_CASTS = frozenset({"_to_copy", "convert_element_type", "copy", "to"})
"""``to`` comes from PyTorch's decompositions: elsewhere autograd has made a copy of it."""

_SINGLE = _CASTS | _names("""
abs acos acosh add angle asin asinh atan atan2 atanh cos cosh deg2rad div erf erfc exp exp2 expm1
hypot log log10 log1p log2 mul pow rad2deg reciprocal rsqrt rsub sigmoid sin sinh sqrt square sub
tan tanh
""")
"""One operation each: a result is off by a few units in the last place, whatever the operands."""

_CHOOSING = frozenset({"scatter_reduce", "index_reduce"})
"""They choose among numbers where they are asked for the largest or smallest."""

_CONTRACTIONS = _names("""
_embedding_bag _fft_c2c _fft_c2r _fft_r2c adaptive_avg_pool2d addbmm addmm addmv addr
avg_pool2d avg_pool2d_backward baddbmm bmm convolution convolution_backward cumprod cumsum dot
embedding_dense_backward index_add index_put linalg_cross linear logcumsumexp matmul
max_pool2d_with_indices_backward mean mm mv prod remainder scatter_add scatter_reduce sgn std sum
trace unfold_backward var var_mean vdot
""")
"""Sums and products of many: what they round is as if each operand had been an ulp away."""

_BY_NORM = {
    "_linalg_det": "det",
    "_linalg_eigh": "eigh",
    "_linalg_eigvals": "eigvals",
    "_linalg_slogdet": "slogdet",
    "_linalg_solve_ex": "solve",
    "_linalg_svd": "svd",
    "cholesky_inverse": "cholesky_inverse",
    "cholesky_solve": "cholesky_solve",
    "geqrf": "geqrf",
    "linalg_cholesky_ex": "cholesky",
    "linalg_eig": "eig",
    "linalg_eigvals": "eigvals",
    "linalg_householder_product": "householder_product",
    "linalg_inv_ex": "inv",
    "linalg_ldl_factor_ex": "ldl_factor",
    "linalg_ldl_solve": "ldl_solve",
    "linalg_lstsq": "lstsq",
    "linalg_lu": "lu",
    "linalg_lu_factor_ex": "lu_factor",
    "linalg_lu_solve": "lu_solve",
    "linalg_matrix_exp": "matrix_exp",
    "linalg_pinv": "pinv",
    "linalg_qr": "qr",
    "ormqr": "ormqr",
}
"""Kernels that answer nearly right, by the norm of the matrix, at a matrix that is nearly right by
its norm; a small entry beside large ones may have no digit.

Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.: LU and what is solved by it
        9.4, 14.3; Cholesky 10.4; LDLᵀ 11.1; QR and Householder products 19.4; least squares 20.1;
        the exponential by scaling and squaring, Functions of Matrices 10.5. SVD and eigenvalues:
        Golub and Van Loan, Matrix Computations, 4th ed., 5.4.4, 7.5.6, 8.3.
"""
_NEVER_OVERFLOW = frozenset({  # what they make infinite is a pole
    "log", "log2", "log10", "log1p", "atanh", "angle"
})  # fmt: skip
_POLES = frozenset({"div", "reciprocal", "pow", "rsqrt"})
_NEVER_ZERO = frozenset({
    "div", "erfc", "exp", "exp2", "mul", "pow", "reciprocal", "sigmoid", "square"
})  # fmt: skip
"""Of operands that are finite and not 0 a result of 0 has underflowed."""
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_STRIDE = 40_503  # odd, so that the stretches of operations begin all over the pool


class _Moves(DispatchMode):
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
        name = _name_of(function)
        if _is_exact(function, name, args, kwargs):
            return function(*args, **kwargs)
        is_single = name in _SINGLE and kwargs.get("alpha", 1) in (1, -1)
        if not is_single and name not in _CONTRACTIONS:
            found = self._taken_apart(function, args, kwargs)
            if found is not NotImplemented:
                return found
            self.opaque.setdefault(name, None)
        written = _written(function, args, kwargs)
        leaves = _leaves((*args, *kwargs.values()))
        before = _Operands.of(leaves, written) if self._watches_range else None
        storages = {_storage(each) for each in leaves if isinstance(each, Tensor)}
        if self.pattern is not None:
            args, kwargs = self._given(args, kwargs, None if is_single else written)
        result = function(*args, **kwargs)
        before = _seeing_lost(before, name, (function, args, kwargs), result)
        if name in _CASTS and _loses_nothing(function, args, result):
            return result
        for tensor in written or _leaves((result,)):
            if self._is_rounded(tensor) and (written or _storage(tensor) not in storages):
                self._round(tensor, name, before)
        return result

    @property
    def _watches_range(self) -> bool:
        """Whether it matters what leaves the range: it is told once, without moves."""
        return self.pattern is None or self.into_range

    def _taken_apart(self, function: Any, args: Any, kwargs: Any) -> Any:
        """What a kernel is made of, step by step; NotImplemented where that is not known."""
        if function.namespace not in ("aten", "prims"):
            rule = _own_kernel(function, args, kwargs)
        else:
            rule = None if function._schema.is_mutable else decomposition_table.get(function)
            if rule is None and _is_composed(function):
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
        is_half = self.finest > torch.finfo(torch.float32).eps
        tensors = (each for each in _leaves(values) if isinstance(each, Tensor))
        return own if is_half and any(each.dtype == own for each in tensors) else None

    # moves

    def _given(self, args: Any, kwargs: Any, written: Sequence[Tensor] | None) -> tuple[Any, Any]:
        """What an operation is given, moved; tensors only where it is known what is written to."""
        if self._within is not None:
            args = tuple(self._constant(each) if type(each) is float else each for each in args)
        if written is None:
            return args, kwargs
        found: tuple[Any, Any] = tree_map(lambda each: self._operand(each, written), (args, kwargs))
        return found

    def _constant(self, number: float) -> float:
        """A number of a half-precision kernel, which may keep it in the dtype, moved by an ulp."""
        kept = torch.empty(1, dtype=self._within).fill_(number)
        if kept.double() == number:
            return number
        moved = number * (1 + int(self._directions(kept)) * self.finest)
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
            and _is_readable(value)
            and (value.is_floating_point() or value.is_complex())
            and torch.finfo(value.dtype).eps <= self.finest
            and not (value.is_conj() or value.is_neg())
        )

    def _round(self, tensor: Tensor, name: str, before: _Operands | None) -> None:
        lost, grown = (None, None) if before is None else self._left_range(tensor, name, before)
        if self.pattern is None:
            return
        self._shift(tensor)
        if self.into_range and not tensor.is_complex():
            limits = torch.finfo(tensor.dtype)
            if lost is not None:
                tensor[lost] = limits.smallest_normal  # which later operations do not lose again
            if grown is not None:
                tensor[grown] = tensor[grown].nan_to_num(nan=limits.max)

    def _shift(self, tensor: Tensor) -> None:
        """Move each number by an ulp, in place; 0, the largest and what is not finite stay, and the
        smallest of all, which a third of it may have been rounded to, moves up alone."""
        if tensor.is_complex():
            self._shift_parts(torch.view_as_real(tensor))
            return
        size, limits = tensor.abs(), torch.finfo(tensor.dtype)
        directions, smallest = self._directions(tensor), limits.smallest_normal * limits.eps
        moves = (size < limits.max) & ((size > smallest) | ((size == smallest) & (directions > 0)))
        bits = tensor.view(_INTEGERS[tensor.element_size()])
        step = 1 if self._within is None else round(self.finest / limits.eps)
        bits.add_(directions * moves, alpha=step)

    def _shift_parts(self, parts: Tensor) -> None:
        """Both parts of a complex number move by an ulp of the larger: so a product is rounded."""
        larger = parts.abs().amax(dim=-1, keepdim=True)
        ulp = torch.nextafter(larger, torch.full_like(larger, math.inf)) - larger
        step = ulp * self._directions(parts)
        still = (parts == 0) | ~torch.isfinite(step) | ~torch.isfinite(parts + step)
        parts.add_(step.masked_fill_(still, 0))

    def _directions(self, like: Tensor) -> Tensor:
        """-1, 0 or 1 for each number of a tensor; for all alike where they are one number."""
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
        return taken.reshape(like.shape)

    # range

    def _left_range(
        self, tensor: Tensor, name: str, before: _Operands
    ) -> tuple[Tensor | None, Tensor | None]:
        """Where a result has underflowed to 0, and where it has overflowed."""
        lost = grown = None
        if name in _NEVER_ZERO and (tensor == 0).any():
            lost = (tensor == 0) & before.ordinary(tensor, self._rows_of, not_zero=True)
            self._note(lost, "underflows", name, before)
        if before.vanished is not None and before.vanished.any():
            lost = before.vanished
            self._note(lost, "underflows", name, before)
        # sums of products may be infinity less infinity, as the product of complex numbers is
        inner = tensor.is_complex() or name in _CONTRACTIONS
        large = ~torch.isfinite(tensor) if inner else torch.isinf(tensor)
        if name not in _NEVER_OVERFLOW and large.any():
            grown = large & before.ordinary(tensor, self._rows_of, not_zero=name in _POLES)
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
    free = random_below(3, derive_key("free"), (_FREE_PATTERNS, _POOL)) - 1
    moves = np.concatenate([first, -first, np.array(_MOVES)[order], free])
    return torch.from_numpy(moves.astype(np.int8)).to(device)


@dataclass(frozen=True, slots=True, eq=False)
class _Operands:
    """What an operation was given, as it was before."""

    tensors: tuple[Tensor, ...]
    numbers: tuple[float, ...]
    zeros: bool
    vanished: Tensor | None = None  # where all products of a sum of products are lost

    @classmethod
    def of(cls, leaves: Sequence[Any], written: Sequence[Tensor]) -> _Operands:
        tensors = [each for each in leaves if isinstance(each, Tensor) and _is_readable(each)]
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


def _seeing_lost(
    before: _Operands | None, name: str, call: tuple[Any, Any, Any], result: Any
) -> _Operands | None:
    """The operands, with where a sum of products of them vanished."""
    if before is None or name not in _CONTRACTIONS or not isinstance(result, Tensor):
        return before
    return replace(before, vanished=_vanished(*call, result))


def _vanished(function: Any, args: Any, kwargs: Any, result: Tensor) -> Tensor | None:
    """Where a sum of products is 0 though some have no factor 0: no number is large enough.

    The same sum of magnitudes is 0 there, and that of a 1 for each number that is not 0 is not.
    """
    floats = [each for each in _leaves((*args, *kwargs.values())) if _is_plain(each)]
    if function._schema.is_mutable or not _is_plain(result) or not (result == 0).any():
        return None
    least = torch.finfo(result.dtype).smallest_normal ** 0.5
    if not any(((each != 0) & (each.abs() < least)).any() for each in floats):
        return None
    sizes, ones = (
        function(*tree_map(change, args), **tree_map(change, kwargs))
        for change in (
            lambda each: each.abs() if _is_plain(each) else each,
            lambda each: (each != 0).to(each.dtype) if _is_plain(each) else each,
        )
    )
    found: Tensor = (sizes == 0) & (ones > 0)
    return found


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and _is_readable(value)


def _leaves(values: Any) -> list[Any]:
    """What an operation is given or returns, one by one: it knows of lists alone."""
    found: list[Any] = []
    for each in values:
        if isinstance(each, tuple | list):
            found += _leaves(each)
        else:
            found.append(each)
    return found


def _storage(tensor: Tensor) -> int:
    """Where its memory is; 0 where it has none that may be looked at."""
    return tensor.untyped_storage().data_ptr() if _is_readable(tensor) else 0


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


def _is_readable(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers that may be looked at.

    One that PyTorch gives for a zero derivative has no memory: to read it ends the process.
    """
    return (
        tensor.layout is torch.strided
        and tensor.device.type != "meta"
        and not tensor._is_zerotensor()
        and tensor.numel() > 0
    )


@lru_cache(maxsize=1024)
def _name_of(function: Any) -> str:
    """The operator's name, the same for the one that works in place."""
    name: str = function._schema.name.partition("::")[2]
    return name.rstrip("_")


def _is_exact(function: Any, name: str, args: Any, kwargs: Any) -> bool:
    """Whether an operation rounds nothing, or draws its numbers."""
    if name in _CASTS:
        return not _narrows(function, args, kwargs)
    if name in _OF_COMPLEX:
        return not args[0].is_complex()
    if name in _CHOOSING:
        return "amax" in args or "amin" in args
    if name == "index_put":
        return not (kwargs.get("accumulate") or args[3:4] == (True,))
    return _is_always_exact(function) or kwargs.get("rounding_mode") is not None


@lru_cache(maxsize=1024)
def _is_always_exact(function: Any) -> bool:
    """Whether it chooses, moves or draws numbers, or returns a view of them."""
    return (
        _name_of(function) in _EXACT
        or torch.Tag.nondeterministic_seeded in function.tags
        or any(each.alias_info and not each.alias_info.is_write
               for each in function._schema.returns)
    )  # fmt: skip


def _narrows(function: Any, args: Any, kwargs: Any) -> bool:
    """Whether a cast rounds."""
    if function._schema.is_mutable:  # copy_(target, source)
        source, target = args[1].dtype, args[0].dtype
    else:
        if not isinstance(args[0], Tensor):  # under vmap a number is cast too
            return False
        source = args[0].dtype
        target = _dtype_among((kwargs.get("dtype"), *args[1:])) or source
    if not target.is_floating_point:
        return False
    return not source.is_floating_point or torch.finfo(source).eps < torch.finfo(target).eps


def _dtype_among(values: Iterable[Any]) -> torch.dtype | None:
    """The dtype that is named, or that of a tensor."""
    dtypes = (each.dtype if isinstance(each, Tensor) else each for each in values)
    return next((each for each in dtypes if isinstance(each, torch.dtype)), None)


def _loses_nothing(function: Any, args: Any, result: Any) -> bool:
    """Whether a cast gave the very numbers that it was given."""
    source = args[1] if function._schema.is_mutable else args[0]
    return bool(_is_readable(source) and torch.equal(result.to(source.dtype), source))


def _written(function: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that an operation writes to."""
    values = [
        args[number] if number < len(args) else kwargs.get(name)
        for number, name in _places_written(function)
    ]
    return [leaf for leaf in _leaves(values) if isinstance(leaf, Tensor)]


@lru_cache(maxsize=1024)
def _places_written(function: Any) -> tuple[tuple[int, str], ...]:
    """The arguments that an operation writes to, by number and name."""
    return tuple(
        (number, each.name)
        for number, each in enumerate(function._schema.arguments)
        if each.alias_info is not None and each.alias_info.is_write
    )


@lru_cache(maxsize=1024)
def _is_composed(function: Any) -> bool:
    """Whether PyTorch makes an operator of others: without autograd some come here unmade."""
    return bool(function._can_decompose())


def _own_kernel(function: Any, args: Any, kwargs: Any) -> Callable[..., Any] | None:
    """The Python that a custom operator runs, so that it can be seen; None where there is none."""
    definition = OPDEFS.get(function._schema.name)
    devices = (each.device.type for each in tree_leaves((args, kwargs))
               if isinstance(each, Tensor))  # fmt: skip
    kernels = {} if definition is None else definition._backend_fns
    return kernels.get(next(devices, None)) or kernels.get(None)

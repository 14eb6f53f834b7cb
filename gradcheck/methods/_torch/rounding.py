"""How far right code may be off: a witness is asked again while every operation rounds otherwise.

Below autograd each operation's floating result is moved by one unit in the last place, up or down.
Backward, tangents and derivatives of derivatives are moved too, and what autograd records is not
changed. How far the answers then lie apart is what rounding does to *this* code: a wrong formula
moves by rounding only, and one that cancels by all that it loses. docs/judge.md has the argument.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from gradcheck.answer import Answer, Floats, Invocation, Question, Said
from gradcheck.judge.judge import MOVES_FACTOR
from gradcheck.methods._torch.calling import CLOSE, are_close
from gradcheck.methods._torch.exceptions import eagerly
from gradcheck.methods._torch.kernels import STABLE_BY_NORM
from gradcheck.methods._torch.moves import FREE_PATTERNS, PATTERNS, RANGE_PATTERNS, Moves
from gradcheck.query import Array

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

    mode: Moves
    numbers: dict[AnswerKey, Array]


@dataclass(slots=True, eq=False)
class Repeated:
    """One invocation of a witness, and what it says when it is asked again.

    It grows: a repetition costs more than the call did, and most rounding shows in the first two.
    One ends with the last answer that is asked about (``keys``); asked about others, all begin
    again. Code that says something else when nothing is moved is opaque, unless that is rounding:
    some operators of PyTorch go another way where a mode looks on (``cumprod_backward``). What a
    witness ``compiles`` is asked again as it was written: that may say something else, of which the
    code is no less known.
    """

    ask: Question
    invocation: Invocation
    compiles: bool = False
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
            known = self.patterns
            while not all(self._is_explained(key, explained) for key in keys) and self._grows():
                pass
            if any(_are_far(self._still[0], each) for each in self._moved[known:]):
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
        """An answer by each pattern; none from code that says something else when asked again.

        A kernel that cannot be looked into errs as if each number it is given were an ulp away.

        Shapes: [patterns, *shape of the answer].
        """
        self.ask_until([key], lambda _key, _rounding: self.patterns >= PATTERNS)
        shape = self.answers[key].numbers.shape
        moved = self._moved[:PATTERNS]
        found = [each.numbers[key] for each in moved if key in each.numbers]
        if self.rounding(key).opaque == _SAYS_ELSE or any(each.shape != shape for each in found):
            found = []
        return np.stack(found) if found else np.zeros((0, *shape))

    def left(self, key: AnswerKey) -> tuple[str, ...]:
        """How an operation left the dtype's range first, for each point of the call, or nothing."""
        self.ask_until([key], lambda _key, _rounding: True)
        return tuple(self._still[0].mode.left)

    def _grows(self) -> bool:
        if len(self._moved) < PATTERNS + FREE_PATTERNS:
            self._moved.append(self._by(len(self._moved)))
        elif any(self._still[0].mode.left) and len(self._ranged) < RANGE_PATTERNS:
            self._ranged.append(self._by(len(self._ranged), into_range=True))
        else:
            return False
        return True

    def _by(self, pattern: int | None, *, into_range: bool = False) -> _Heard:
        labels = frozenset(label for label, _ in self._keys)
        invocation = replace(self.invocation, again=labels)
        mode = Moves(invocation, pattern, into_range=into_range)
        numbers = {}
        with same_randomness(invocation.device), _watched(mode.opaque), mode:
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
        by_norm = ", ".join(
            dict.fromkeys(STABLE_BY_NORM[k] for k in mode.opaque if k in STABLE_BY_NORM)
        )
        nothing = np.zeros(answer.shape)
        still, moved, ranged = (
            [each.numbers.get(key, nothing[:0]) for each in heard]
            for heard in (self._still, self._moved, self._ranged)
        )
        if any(each.shape != answer.shape for each in (*still, *moved, *ranged)):
            return Rounding(nothing, nothing, left, opaque or "code that cannot be asked again")
        spread = _range_of(moved[:PATTERNS]) if moved else nothing
        if len(moved) > PATTERNS:
            spread = _beside_free_patterns(spread, _range_of(moved))
        same = all(np.array_equal(still[0], each, equal_nan=True) for each in still[1:])
        other_way = mode.decomposed or self.compiles
        if not same or not (other_way or _is_rounding(still[0], answer, spread)):
            return Rounding(nothing, nothing, left, opaque or _SAYS_ELSE)
        if not ranged:
            return Rounding(spread, spread, left, opaque, by_norm)
        stays = np.array([not each for each in left]).reshape(-1, *(1,) * (answer.ndim - 1))
        both = _range_of([*moved, *ranged])
        return Rounding(spread, np.where(stays, spread, both), left, opaque, by_norm)


def _beside_free_patterns(spread: Array, wider: Array) -> Array:
    """The distance in the patterns that count; with the free ones where it does not explain theirs.

    Shapes: alike.
    """
    if np.iscomplexobj(spread):
        parts = (spread.real, wider.real), (spread.imag, wider.imag)
        real, imag = (_beside_free_patterns(*each) for each in parts)
        return real + 1j * imag
    cancelled = np.isfinite(wider) & (wider > MOVES_FACTOR * spread)
    return np.where(cancelled, wider, spread)


_SAYS_ELSE = "code that says something else when it is asked again"


def _is_rounding(numbers: Array, answer: Array, spread: Array) -> bool:
    """Whether moves explain all that lies between two answers.

    Shapes: all alike.
    """
    if np.iscomplexobj(spread):
        parts = zip(*((each.real, each.imag) for each in (numbers, answer, spread)), strict=True)
        return all(_is_rounding(*each) for each in parts)
    sizes = np.where(np.isfinite(answer), np.abs(answer), 0.0).reshape(len(answer), -1)
    largest = sizes.max(axis=1, initial=0.0).reshape(-1, *(1,) * (answer.ndim - 1))
    with np.errstate(invalid="ignore"):
        distance = np.abs(numbers - answer)
        # farther apart, what moves explain may be the code's memory; what a sum leaves of large
        # numbers is held against these
        near = (distance <= MOVES_FACTOR * spread) & (distance <= CLOSE * largest)
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
def same_randomness(device: str) -> Iterator[None]:
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

"""The tree of an expression, as the formula language and the torch language share it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from fractions import Fraction

Place = tuple[int, int]
"""Line and column within the expression's own text, from 1."""

START: Place = (1, 1)


class Pointed(Fraction):
    """An exact number that was written with a point or an exponent.

    Python code is given it as a float, and in a list of constants it makes a tensor of the dtype
    under test, where integers make int64.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Literal:
    """A number (exact), a boolean, a string or None."""

    value: Fraction | bool | str | None
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """``base.name``; a dotted name such as ``torch.linalg.det`` is a chain of these."""

    base: Node
    name: str
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """``operator`` is one of ``- + not``."""

    operator: str
    operand: Node
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """``operator`` is one of ``+ - * / ** @ and or``."""

    operator: str
    left: Node
    right: Node
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A chain: ``operands`` is one longer than ``operators`` (of ``< <= > >= == !=``)."""

    operators: tuple[str, ...]
    operands: tuple[Node, ...]
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """``function`` is a Name or an Attribute."""

    function: Node
    arguments: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...] = ()
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list, or a tuple, which to PyTorch and to a formula is the same."""

    items: tuple[Node, ...]
    place: Place = field(default=START, compare=False)
    is_tuple: bool = False


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A map from texts, which only what a user's own function takes and gives can be."""

    keys: tuple[str, ...]
    values: tuple[Node, ...]
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Slice:
    start: Node | None
    stop: Node | None
    step: Node | None
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Subscript:
    """An index is a Node, a Slice or ``...``."""

    base: Node
    indices: tuple[Node | Slice | ellipsis, ...]  # noqa: F821 - the type of `...`, for mypy
    place: Place = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Loop:
    """``for name in range(*bounds)``, with one to three bounds."""

    name: str
    bounds: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Comprehension:
    """``[body for ... in range(...) ... if condition]``; the outermost loop comes first."""

    body: Node
    loops: tuple[Loop, ...]
    place: Place = field(default=START, compare=False)


Node = (
    Literal
    | Name
    | Attribute
    | Unary
    | Binary
    | Comparison
    | Call
    | Sequence
    | Dictionary
    | Subscript
    | Comprehension
)


def library_of(node: Node, known: Collection[str]) -> str | None:
    """The whole of ``np.linalg.det``, where ``np`` is not ``known``; else None."""
    root, rest = whole_name(node)
    return root + rest if root and root not in known else None


def whole_name(node: Node) -> tuple[str, str]:
    """The name before the first dot, and the rest with its dots; empty for what is no name."""
    rest = ""
    while isinstance(node, Attribute):
        rest = f".{node.name}{rest}"
        node = node.base
    return (node.name, rest) if isinstance(node, Name) else ("", "")

"""A case as it is declared: what a catalog file says, checked, with every place kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradcheck.catalog.domain import Domain
from gradcheck.errors import Where
from gradcheck.graph.lower import Lowered
from gradcheck.language.nodes import Node
from gradcheck.query import Port


@dataclass(frozen=True, slots=True)
class Input:
    """A differentiable variable. ``kind`` says which matrices are drawn, or is None."""

    name: str
    domain: Domain
    shape: tuple[int, ...]
    kind: str | None = None

    @property
    def port(self) -> Port:
        """The port of the formula's graph that it enters by."""
        return Port(self.name, self.shape, "complex" if self.domain.complex else "real")


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A fixed input, and what is known there. Like a case and a variant, it equals only itself.

    Every number is an expression without inputs (``1/3``, ``pi``, nested lists of them).
    ``known`` maps ``value``, ``gradient``, ``jacobian``, ``hessian`` and ``convention`` to what
    the author wrote. ``value`` is a mapping from outputs to expressions, ``hessian`` one from an
    input to mappings from an input, and the others one from outputs to mappings from an input.
    The only output of a formula without names for its outputs is called "".
    """

    where: Where
    at: dict[str, Node]
    known: dict[str, Any]
    because: str
    dtypes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Implementation:
    """PyTorch code on trial: an expression of the torch language, or a ``module:name``.

    ``text`` is what the author wrote, and is empty where the formula's own translation is on
    trial. Exactly one of ``tree`` (torch language), ``function`` and ``given`` is set otherwise;
    ``given`` is a callable that a Python program hands over, and that no file can name.
    """

    text: str
    where: Where
    tree: Node | None = None
    function: str | None = None
    given: Callable[..., Any] | None = None

    @property
    def is_own_code(self) -> bool:
        """Whether a user wrote it in Python; else it is made of PyTorch's functions alone."""
        return self.function is not None or self.given is not None


@dataclass(frozen=True, slots=True)
class Calling:
    """How a user's own code is called, where that is not with the inputs in their order.

    ``tree`` is of the torch language, in which ``f`` is the code; ``text`` is what the author
    wrote.
    """

    text: str
    where: Where
    tree: Node


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a module, by its ``name`` there, in whose place an input is put."""

    name: str
    input: str
    where: Where


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a case says of how accurate its code can be, and why.

    ``ulps`` is a wider allowance, 0 where none is stated; with ``normwise`` an error is measured
    against the norm of its array, and not against its own entry.
    """

    because: str
    ulps: int = 0
    normwise: bool = False


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Variant:
    """One choice of the sweep's values. ``name`` is ``d=0`` or ``d=0,k=1``, empty without sweep.

    ``inputs`` have the shapes and ``formula`` is the array graph for these values.
    """

    name: str
    values: dict[str, object]
    inputs: tuple[Input, ...]
    formula: Lowered

    @property
    def is_scalar(self) -> bool:
        """Whether there is one output, a single number."""
        return [port.shape for port in self.formula.judged] == [()]

    @property
    def is_elementwise(self) -> bool:
        """Whether every input and every output is a single number."""
        return all(port.shape == () for port in (*self.formula.ports, *self.formula.judged))


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One mathematical function, where it lives, and the code that claims to compute it.

    ``formula`` is one tree, or a mapping from the names of several outputs to theirs, None for one
    that is not judged. ``inputs`` are those of the first variant: with symbols in shapes each
    variant has its own.
    """

    name: str
    where: Where
    summary: str
    formula: Node | dict[str, Node | None]
    inputs: tuple[Input, ...]
    constants: dict[str, object]  # numbers, booleans or nested lists; numbers are Fractions
    lets: dict[str, Node]
    conditions: tuple[Node, ...]  # `where`
    variants: tuple[Variant, ...]
    implementations: tuple[Implementation, ...]
    points: tuple[Point, ...]
    order: int
    dtypes: tuple[str, ...]
    accuracy: dict[str, Accuracy]  # by dtype
    without: dict[str, str]  # witness: reason
    tags: tuple[str, ...]
    source: tuple[str, ...]
    calling: Calling | None = None
    parameters: tuple[Parameter, ...] = ()
    requires: tuple[str, ...] = ()  # witnesses that must be able to say something
    on_request: tuple[str, ...] = ()  # dtypes that it does not name, in which it runs when asked
    written: str = ""

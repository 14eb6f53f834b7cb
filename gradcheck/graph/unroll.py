"""From tree to scalar program: every array unrolled, every name resolved, every shape checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from gradcheck.errors import ExpressionError
from gradcheck.graph.arithmetic import binary, comparison, unary
from gradcheck.graph.arrays import Array, Misuse, array_of
from gradcheck.graph.calls import call
from gradcheck.graph.lists import comprehension, sequence, subscript
from gradcheck.graph.names import FUNCTIONS
from gradcheck.graph.tape import (
    MOST_WORK,
    Operation,
    Program,
    Scalar,
    Tape,
    TooLarge,
    is_condition,
    node_of,
)
from gradcheck.graph.unknown import UnknownName, foreign_constant, foreign_name
from gradcheck.language.nodes import (
    Attribute,
    Binary,
    Call,
    Comparison,
    Comprehension,
    Literal,
    Name,
    Node,
    Place,
    Sequence,
    Subscript,
    Unary,
)


class TooLargeText(ExpressionError):
    """A text whose program would pass a limit."""


def unroll(  # noqa: PLR0913 - what a case says of its formula, each by its name
    formula: Node,
    *,
    inputs: dict[str, tuple[int, ...]],
    names: dict[str, object],
    lets: dict[str, Node],
    conditions: tuple[Node, ...],
    translated: bool = False,
    tape: Tape | None = None,
) -> Program:
    """The formula as a scalar program, for one choice of constants and sweep values (``names``).

    A formula that is ``translated`` for its trial may name only what PyTorch has too. It is written
    on ``tape``, whose ``work`` says afterwards what it took, even if it is refused.

    Errors: ExpressionError with a ``source`` that says which text it stands in: ``formula``,
            ``let NAME`` or ``where N`` (from 0).
    """
    tape = Tape(MOST_WORK) if tape is None else tape
    scope: dict[str, Array] = {name: array_of(_exact(value)) for name, value in names.items()}
    position = 0
    for name, shape in inputs.items():
        count = int(np.prod(shape, dtype=int))
        scope[name] = _inputs(tape, position, count).reshape(shape)
        position += count
    reader = Unroller(tape, scope)
    reader.translates = translated
    for name, tree in lets.items():
        scope[name] = reader.text(tree, f"let {name}")
    result = reader.text(formula, "formula")
    reader.refuse_conditions(result, formula)
    reader.translates = False
    nodes = [reader.condition(tree, f"where {k}") for k, tree in enumerate(conditions)]
    tape.allowance = math.inf  # derivatives are written on it too: ``size`` counts them before
    return Program(
        inputs=tuple(inputs.items()),
        shape=result.shape,
        outputs=tuple(node_of(tape, value) for value in result.flat),
        conditions=tuple(nodes),
        tape=tape,
        names=frozenset(reader.used),
    )


def _inputs(tape: Tape, start: int, count: int) -> Array:
    entries = np.empty(count, dtype=object)
    for k in range(count):
        entries[k] = Scalar(tape, tape.put(Operation("input", (), start + k)))
    return entries


def _exact(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    return value if isinstance(value, bool) else Fraction(value)


class Unroller:
    """The fold over the tree. It changes in the names used, the steps counted, and its source."""

    def __init__(
        self, tape: Tape, scope: dict[str, Array], *, private: Collection[str] = ()
    ) -> None:
        self.tape, self.scope = tape, scope
        self.functions = FUNCTIONS | set(private)
        self.used: set[str] = set()
        self.steps = 0
        self.translates = False
        self.source = "formula"

    def text(self, tree: Node, source: str) -> Array:
        """The value of one text of a case; an error is marked with its ``source``."""
        self.source = source
        try:
            return self.value(tree)
        except ExpressionError as error:
            error.source = source  # type: ignore[attr-defined]
            raise

    def condition(self, tree: Node, source: str) -> int:
        value = self.text(tree, source)
        if value.shape != () or not is_condition(value.item()):
            error = ExpressionError(
                getattr(tree, "place", (1, 1)),
                "no single condition",
                "a comparison that is true or false at a point",
                "write a comparison, and amin(...) or amax(...) over the entries of an array",
            )
            error.source = source  # type: ignore[attr-defined]
            raise error
        return node_of(self.tape, value.item())

    def refuse_conditions(self, value: Array, tree: Node) -> None:
        if any(map(is_condition, value.flat)):
            error = ExpressionError(
                tree.place, "a condition", "a number", "write where(cond, 1, 0) for its number"
            )
            error.source = self.source  # type: ignore[attr-defined]
            raise error

    def value(self, tree: Node) -> Array:
        try:
            self.tape.spend(1)
            result: Array = _RULES[type(tree)](self, tree)
        except Misuse as error:
            self.refuse(tree.place, error.found, error.expected, "change the shapes or arguments")
        except TooLarge as error:
            raise TooLargeText(
                tree.place, str(error), "a smaller formula", "make it smaller"
            ) from None
        except ZeroDivisionError:
            self.refuse(tree.place, "a division of constants by zero", "a number", "correct it")
        return result

    def refuse(self, place: Place, found: str, expected: str, fix: str) -> NoReturn:
        raise ExpressionError(place, found, expected, fix) from None

    # names and numbers

    def _literal(self, node: Literal) -> Array:
        if isinstance(node.value, str) or node.value is None:
            self.refuse(node.place, repr(node.value), "a number", "leave it out")
        return array_of(node.value)

    def _name(self, node: Name) -> Array:
        if node.name in self.scope:
            self.used.add(node.name)
            return self.scope[node.name]
        if node.name in ("pi", "e", "inf"):
            return array_of(Scalar(self.tape, self.tape.put(Operation("constant", (), node.name))))
        if node.name == "I":
            self.refuse_complex(node.place, "the imaginary unit I")
        if node.name in self.functions:
            self.refuse(
                node.place, f"{node.name!r} without arguments", "a call", f"write {node.name}(x)"
            )
        raise UnknownName(node.place, node.name, [*self.scope, "pi", "e", "inf"])

    def refuse_complex(self, place: Place, found: str) -> NoReturn:
        self.refuse(
            place,
            found,
            "a real formula: complex numbers are in the format but not judged in this version",
            "write the real and imaginary parts as real inputs",
        )

    def _attribute(self, node: Attribute) -> Array:
        if foreign_name(node, self.scope):
            raise foreign_constant(node)
        base = self.value(node.base)
        if node.name not in ("T", "shape"):
            self.refuse(node.place, f"'.{node.name}'", ".shape or .T", "call a function instead")
        return base.T if node.name == "T" else array_of([Fraction(n) for n in base.shape])

    # numbers and conditions

    def numbers(self, tree: Node) -> Array:
        return self.must_be_numbers(self.value(tree), tree)

    def must_be_numbers(self, value: Array, tree: Node) -> Array:
        self.tape.spend(value.size // 8)
        if any(map(is_condition, value.flat)):
            self.refuse(
                tree.place, "a condition", "a number", "write where(cond, 1, 0) for its number"
            )
        return value

    def conditions(self, tree: Node) -> Array:
        return self.must_be_conditions(self.value(tree), tree)

    def must_be_conditions(self, value: Array, tree: Node) -> Array:
        self.tape.spend(value.size // 8)
        if not all(map(is_condition, value.flat)):
            self.refuse(tree.place, "a number", "a condition", "write a comparison")
        return value


_RULES: dict[type, Callable[[Unroller, Any], Array]] = {
    Literal: Unroller._literal,
    Name: Unroller._name,
    Attribute: Unroller._attribute,
    Unary: unary,
    Binary: binary,
    Comparison: comparison,
    Sequence: sequence,
    Comprehension: comprehension,
    Subscript: subscript,
    Call: call,
}

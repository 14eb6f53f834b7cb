"""From tree to scalar program: every array unrolled, every name resolved, every shape checked."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from gradcheck.errors import ExpressionError
from gradcheck.formula.arrays import (
    Array,
    Misuse,
    array_of,
    bounded,
    broadcast,
    elementwise,
    stacked,
)
from gradcheck.formula.calls import call, integer_or_none, small_integer
from gradcheck.formula.matrices import matmul
from gradcheck.formula.names import FUNCTIONS
from gradcheck.formula.nodes import (
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
    Slice,
    Subscript,
    Unary,
)
from gradcheck.formula.program import Program
from gradcheck.formula.steps import MOST_STEPS
from gradcheck.formula.tape import (
    MOST_WORK,
    Number,
    Operation,
    Scalar,
    Tape,
    TooLarge,
    apply,
    is_condition,
    node_of,
)

_SYMBOLS = {"+": "add", "-": "sub", "*": "mul", "/": "div", "and": "and", "or": "or"}


def unroll(  # noqa: PLR0913 - what a case says of its formula, each by its name
    formula: Node,
    *,
    inputs: dict[str, tuple[int, ...]],
    names: dict[str, object],
    lets: dict[str, Node],
    conditions: tuple[Node, ...],
    translated: bool = False,
) -> Program:
    """The formula as a scalar program, for one choice of constants and sweep values (``names``).

    A formula that is ``translated`` for its trial may name only what PyTorch has too.

    Errors: ExpressionError with a ``source`` that says which text it stands in: ``formula``,
            ``let NAME`` or ``where N`` (from 0).
    """
    tape = Tape(MOST_WORK)
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
    tape.allowance = math.inf  # derivatives are written on it too, and have their own limits
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
            self.refuse(tree.place, str(error), "a smaller formula", "make it smaller")
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
        return self.unknown(node.place, "name", node.name, [*self.scope, "pi", "e", "inf"])

    def refuse_complex(self, place: Place, found: str) -> NoReturn:
        self.refuse(
            place,
            found,
            "a real formula: complex numbers are in the format but not judged in this version",
            "write the real and imaginary parts as real inputs",
        )

    def unknown(self, place: Place, kind: str, name: str, known: Collection[str]) -> NoReturn:
        near = difflib.get_close_matches(name, sorted(known), 1)
        self.refuse(
            place,
            f"unknown {kind} {name!r}",
            f"one of {', '.join(sorted(known))}",
            f"write {near[0]!r}" if near else f"define {name!r} or correct it",
        )

    def _attribute(self, node: Attribute) -> Array:
        base = self.value(node.base)
        if node.name not in ("T", "shape"):
            self.refuse(node.place, f"'.{node.name}'", ".shape or .T", "call a function instead")
        return base.T if node.name == "T" else array_of([Fraction(n) for n in base.shape])

    # arithmetic and conditions

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

    def _unary(self, node: Unary) -> Array:
        if node.operator == "not":
            return elementwise(self.tape, "not", self.conditions(node.operand))
        operand = self.numbers(node.operand)
        return elementwise(self.tape, "neg", operand) if node.operator == "-" else operand

    def _binary(self, node: Binary) -> Array:
        spine = [node]  # a chain nests to the left: walked, not recursed
        while isinstance(spine[-1].left, Binary):
            spine.append(spine[-1].left)
        boolean = spine[-1].operator in ("and", "or")
        total = (self.conditions if boolean else self.numbers)(spine[-1].left)
        for step in reversed(spine):
            try:
                total = self.combine(step, total)
            except Misuse as error:
                self.refuse(step.place, error.found, error.expected, "change the shapes")
        return total

    def combine(self, step: Binary, left: Array) -> Array:
        if step.operator in ("and", "or"):
            left = self.must_be_conditions(left, step.left)
            return elementwise(self.tape, step.operator, left, self.conditions(step.right))
        left, right = self.must_be_numbers(left, step.left), self.numbers(step.right)
        if step.operator == "@":
            return matmul(self.tape, left, right)
        if step.operator == "**":
            return broadcast(self.power, left, right)
        return elementwise(self.tape, _SYMBOLS[step.operator], left, right)

    def power(self, base: Number, exponent: Number) -> Number:
        n = integer_or_none(exponent)
        if n is None:
            return apply(self.tape, "pow", base, exponent)
        if n == 0:  # 1 everywhere, and undefined where the base is
            nothing = apply(self.tape, "mul", base, Fraction(0))
            return apply(self.tape, "add", nothing, Fraction(1))
        return apply(self.tape, "ipow", base, parameter=n)

    def _comparison(self, node: Comparison) -> Array:
        values = [self.numbers(operand) for operand in node.operands]
        total = None
        for operator, left, right in zip(node.operators, values, values[1:], strict=False):
            one = self.compare(operator, left, right)
            total = one if total is None else elementwise(self.tape, "and", total, one)
        assert total is not None
        return total

    def compare(self, operator: str, left: Array, right: Array) -> Array:
        if operator in (">", ">="):
            operator, left, right = operator.replace(">", "<"), right, left
        if operator == "!=":
            return elementwise(self.tape, "not", self.compare("==", left, right))
        return elementwise(self.tape, {"<": "lt", "<=": "le", "==": "eq"}[operator], left, right)

    # lists, indexing, loops

    def _sequence(self, node: Sequence) -> Array:
        return self.listed([self.value(item) for item in node.items])

    def _comprehension(self, node: Comprehension) -> Array:
        return self.listed(self.bodies(node))

    def listed(self, parts: list[Array]) -> Array:
        result = stacked(parts, 0)
        self.tape.spend(result.size // 8)
        return result

    def bodies(self, node: Comprehension) -> list[Array]:
        """All bodies of a comprehension in one flat list, as in Python."""
        outer, self.steps = self.steps, 0
        found = self.loop(node, 0)
        self.steps = outer
        return found

    def loop(self, node: Comprehension, depth: int) -> list[Array]:
        """The bodies from one level of ``for`` on."""
        if depth == len(node.loops):
            return [self.value(node.body)]
        loop = node.loops[depth]
        bounds = [self.integer(bound) for bound in loop.bounds]
        if len(bounds) == 3 and bounds[2] == 0:
            self.refuse(node.place, "range with step 0", "a step that is not 0", "write 1")
        outer = self.scope.get(loop.name)
        bodies = []
        for value in range(*bounds):
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise TooLarge(f"more than {MOST_STEPS:,} steps of comprehensions")
            self.scope[loop.name] = array_of(Fraction(value))
            bodies += self.loop(node, depth + 1)
        self.scope.pop(loop.name, None)
        if outer is not None:
            self.scope[loop.name] = outer
        return bodies

    def integer(self, tree: Node) -> int:
        value = self.value(tree)
        whole = small_integer(value[()]) if value.shape == () else None
        if whole is None:
            self.refuse(tree.place, "no constant integer", "a constant integer", "write one")
        return whole

    def _subscript(self, node: Subscript) -> Array:
        base = self.value(node.base)
        index = tuple(self.index(item) for item in node.indices)
        try:
            self.bound(base, index)
            return array_of(base[index])
        except (IndexError, ValueError):  # outside, or a step of 0
            shown = ", ".join(map(_shown, index))
            self.refuse(
                node.place,
                f"the index [{shown}] of an array of shape {list(base.shape)}",
                "an index inside the array",
                "correct the index or the shape",
            )

    def bound(self, base: Array, index: tuple[Any, ...]) -> None:
        """Lists as indices repeat entries: their result must not pass the limit either."""
        lists = [i.shape for i in index if isinstance(i, np.ndarray)]
        if lists:
            one_of_each = tuple(slice(1) if isinstance(i, np.ndarray) else i for i in index)
            chosen = math.prod(np.broadcast_shapes(*lists)) * base[one_of_each].size
            self.tape.spend(math.prod(bounded((chosen,))) // 8)

    def index(self, item: Any) -> Any:
        if item is ...:
            return item
        if isinstance(item, Slice):
            return slice(
                *(part and self.integer(part) for part in (item.start, item.stop, item.step))
            )
        value = self.value(item)
        whole = [small_integer(entry) for entry in value.flat]
        if None in whole:
            self.refuse(
                item.place,
                "an index that is no constant integer",
                "a constant integer",
                "write one",
            )
        return whole[0] if value.ndim == 0 else np.array(whole, dtype=int).reshape(value.shape)


_RULES: dict[type, Callable[[Unroller, Any], Array]] = {
    Literal: Unroller._literal,
    Name: Unroller._name,
    Attribute: Unroller._attribute,
    Unary: Unroller._unary,
    Binary: Unroller._binary,
    Comparison: Unroller._comparison,
    Sequence: Unroller._sequence,
    Comprehension: Unroller._comprehension,
    Subscript: Unroller._subscript,
    Call: call,
}


def _shown(index: Any) -> str:
    if isinstance(index, slice):
        parts = ["" if part is None else str(part) for part in (index.start, index.stop)]
        return ":".join(parts if index.step is None else [*parts, str(index.step)])
    if isinstance(index, np.ndarray):
        return str(index.tolist())
    return "..." if index is ... else str(index)

"""What every rule of the formula language asks of the one who lowers: values, checked by kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import Any, NoReturn

from gradcheck.errors import ExpressionError
from gradcheck.graph.folding import TooLarge
from gradcheck.graph.graph import Graph
from gradcheck.graph.shapes import Misuse
from gradcheck.language.nodes import Node as Tree
from gradcheck.language.nodes import Place
from gradcheck.query import Shape

LARGEST_INTEGER = 2**31 - 1


class TooLargeText(ExpressionError):
    """A text whose graph would pass a limit."""


class Reader:
    """A fold over the tree of a formula, which writes its values into a graph.

    ``rules`` say what each kind of tree is; ``scope`` are the nodes of the names. It changes in the
    names used and the steps counted.
    """

    def __init__(
        self,
        graph: Graph,
        scope: dict[str, int],
        rules: Mapping[type, Callable[[Any, Any], int]],
        functions: Collection[str],
    ) -> None:
        self.graph, self.scope, self.functions = graph, scope, functions
        self._rules = rules
        self.used: set[str] = set()
        self.steps = 0
        self.translates = False
        """Whether the formula's own translation is on trial, so that PyTorch must have it all."""

    def value(self, tree: Tree) -> int:
        try:
            self.graph.spend(1)
            return self._rules[type(tree)](self, tree)
        except Misuse as error:
            self.refuse(tree.place, error.found, error.expected, "change the shapes or arguments")
        except TooLarge as error:
            found = str(error)
            raise TooLargeText(tree.place, found, "a smaller formula", "make it smaller") from None
        except ZeroDivisionError:
            self.refuse(tree.place, "a division of constants by zero", "a number", "correct it")

    def refuse(self, place: Place, found: str, expected: str, fix: str) -> NoReturn:
        raise ExpressionError(place, found, expected, fix) from None

    def shape(self, node: int) -> Shape:
        return self.graph.shape(node)

    # numbers and conditions

    def numbers(self, tree: Tree) -> int:
        return self.must_be_numbers(self.value(tree), tree)

    def must_be_numbers(self, node: int, tree: Tree) -> int:
        if self.graph.kind(node) == "bool":
            self.refuse(
                tree.place, "a condition", "a number", "write where(cond, 1, 0) for its number"
            )
        return node

    def real_numbers(self, tree: Tree, what: str) -> int:
        return self.must_be_real(self.numbers(tree), tree, what)

    def must_be_real(self, node: int, tree: Tree, what: str) -> int:
        if self.graph.kind(node) == "complex":
            self.refuse(
                tree.place,
                f"{what} of a complex number",
                "real numbers there",
                "write it with re(z), im(z), abs(z) or arg(z)",
            )
        return node

    def conditions(self, tree: Tree) -> int:
        return self.must_be_conditions(self.value(tree), tree)

    def must_be_conditions(self, node: int, tree: Tree) -> int:
        if self.graph.kind(node) != "bool" and self.graph.nodes[node].size:
            self.refuse(tree.place, "a number", "a condition", "write a comparison")
        return node

    # constant integers: bounds, sizes, indices, orders

    def integer(self, tree: Tree) -> int:
        """The constant integer that ``tree`` is; refused where it is none."""
        node = self.value(tree)
        whole = small_integer(self.graph.number(node)) if self.shape(node) == () else None
        if whole is None:
            self.refuse(tree.place, "no constant integer", "a constant integer", "write one")
        return whole

    def integers(self, node: int) -> list[int | None]:
        """The entries of a constant array; None for each that is no constant integer."""
        entries = self.graph.exact(node)
        if entries is None:
            return [None] * (self.graph.nodes[node].size or 1)
        return [small_integer(entry) for entry in entries.flat]


def small_integer(value: object) -> int | None:
    """The integer that a constant is, if it can be a size or an index.

    Errors: Misuse for an integer that is too large for either.
    """
    whole = integer_or_none(value)
    if whole is not None and abs(whole) > LARGEST_INTEGER:
        raise Misuse("a huge integer", f"at most {LARGEST_INTEGER:,}")
    return whole


def integer_or_none(value: object) -> int | None:
    if isinstance(value, Fraction) and value.denominator == 1:
        return int(value)
    return None

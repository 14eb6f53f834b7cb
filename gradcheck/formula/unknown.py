"""Names in a formula that nothing defines: all of them at once, each with what to write."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gradcheck.errors import ExpressionError
from gradcheck.formula.names import CONSTANTS, FUNCTIONS
from gradcheck.formula.nodes import Attribute, Call, Comprehension, Name, Node, Place, library_of
from gradcheck.formula.synonyms import CONSTANTS as OTHER_CONSTANTS
from gradcheck.formula.synonyms import fix_of_function, fix_of_name, form_of
from gradcheck.formula.torch_names import children

EXPECTED_FUNCTION = "a function of the formula language"


class UnknownName(ExpressionError):
    """A name, ``name``, that nothing defines."""

    def __init__(self, place: Place, name: str, known: Collection[str]) -> None:
        expected = f"one of {', '.join(sorted(known))}"
        super().__init__(place, f"unknown name {name!r}", expected, fix_of_name(name, known))
        self.name = name


def unknown_names(node: object, known: frozenset[str]) -> Iterator[ExpressionError]:
    """An error for each name, function and method that is not of the formula language.

    ``known`` are the names that the case defines.
    """
    if isinstance(node, Name) and node.name not in known | FUNCTIONS | CONSTANTS:
        yield UnknownName(node.place, node.name, known | {"pi", "e", "inf"})
    elif isinstance(node, Attribute) and foreign_name(node, known):
        yield foreign_constant(node)
    elif isinstance(node, Comprehension):
        yield from _in_comprehension(node, known)
    else:
        inside = children(node)
        if isinstance(node, Call):
            yield from _unknown_function(node.function, known)
            inside = inside[1:]
        for child in inside:
            yield from unknown_names(child, known)


def _in_comprehension(node: Comprehension, known: frozenset[str]) -> Iterator[ExpressionError]:
    for loop in node.loops:
        for bound in loop.bounds:
            yield from unknown_names(bound, known)
        known |= {loop.name}
    yield from unknown_names(node.body, known)


def _unknown_function(function: Node, known: frozenset[str]) -> Iterator[ExpressionError]:
    if isinstance(function, Name):
        if function.name not in FUNCTIONS:
            yield unknown_function(function.place, function.name)
        return
    yield foreign_call(function, known)
    if isinstance(function, Attribute) and not foreign_name(function, known):
        yield from unknown_names(function.base, known)


def foreign_name(node: Node, known: Collection[str]) -> str | None:
    """The whole of ``np.linalg.det``, where ``np`` is no name of the case's or the language's."""
    return library_of(node, {*known, *FUNCTIONS, *CONSTANTS})


def unknown_function(place: Place, name: str) -> ExpressionError:
    return ExpressionError(
        place, f"unknown function {name!r}", EXPECTED_FUNCTION, fix_of_function(name)
    )


def foreign_call(function: Node, known: Collection[str]) -> ExpressionError:
    """The error for ``np.exp(x)``, ``x.exp()`` and calls of what is no name at all."""
    if not isinstance(function, Attribute):
        place = getattr(function, "place", (1, 1))
        expected = "a function's name there, or an operator between two factors"
        fix = "write '*' for a product, as in 2*(x + 1)"
        return ExpressionError(place, "a bracket behind what is no name", expected, fix)
    whole = foreign_name(function, known)
    found = f"{whole!r}, a function of a library" if whole else f"the method '.{function.name}'"
    return ExpressionError(function.place, found, EXPECTED_FUNCTION, fix_of_function(function.name))


def foreign_constant(node: Attribute) -> ExpressionError:
    """The error for ``np.pi``, or for a function of a library that is not called."""
    constant = node.name if node.name in CONSTANTS else OTHER_CONSTANTS.get(node.name)
    form = constant or form_of(node.name)
    return ExpressionError(
        node.place,
        f"{foreign_name(node, ())!r}, a name of a library",
        "a name of the formula language",
        f"write {form}" if form else "leave it out",
    )

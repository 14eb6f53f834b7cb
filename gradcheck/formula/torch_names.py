"""The check of a tree against the names that the torch language allows. Knows no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn

from gradcheck.errors import ExpressionError
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
from gradcheck.formula.torch_list import ATTRIBUTES, DTYPES, METHODS, allowed, dotted

NUMBERS = {"pi": math.pi, "e": math.e, "inf": math.inf}
"""Constants that the torch language shares with the formula language, as Python's floats."""


def names_used(tree: Node) -> frozenset[str]:
    """The names that the tree takes from outside: all but those of its own loops."""
    found: set[str] = set()
    _gather(tree, frozenset(), found)
    return frozenset(found)


def _gather(node: object, bound: frozenset[str], found: set[str]) -> None:
    if isinstance(node, Name):
        found |= {node.name} - bound
    elif isinstance(node, Comprehension):
        for loop in node.loops:
            for bound_node in loop.bounds:
                _gather(bound_node, bound, found)
            bound |= {loop.name}
        _gather(node.body, bound, found)
    else:
        for child in children(node):
            _gather(child, bound, found)


def children(node: object) -> tuple[object, ...]:
    """What stands below the node, loops left out."""
    match node:
        case Attribute(base):
            return (base,)
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return left, right
        case Comparison(_, children) | Sequence(children):
            return children
        case Call(function, arguments, keywords):
            return function, *arguments, *(value for _, value in keywords)
        case Slice(start, stop, step):
            return start, stop, step
        case Subscript(base, indices):
            return base, *indices
    return ()


def check_tree(tree: Node, names: frozenset[str]) -> None:
    """Nothing, where the tree is of the torch language over ``names`` (inputs, constants, sweep).

    Errors: ExpressionError, at its place in the text, for the first thing that is not.
    """
    _check(tree, names)


def _check(node: object, names: frozenset[str]) -> None:
    """Check something in the place of a value."""
    rule = _RULES.get(type(node))
    if rule is not None:
        rule(node, names)
        return
    for child in children(node):
        _check(child, names)


def _check_name(node: Name, names: frozenset[str]) -> None:
    if node.name not in names and node.name not in NUMBERS:
        _refuse_name(node.name, node.place, names)


def _check_literal(node: Literal, _names: frozenset[str]) -> None:
    if node.value is None or isinstance(node.value, str):
        _refuse_literal(node)


def _check_subscript(node: Subscript, names: frozenset[str]) -> None:
    _check(node.base, names)
    for index in node.indices:
        _check_argument(index, names)


def _check_argument(node: object, names: frozenset[str]) -> None:
    """Check an argument, an index or an element of one: strings, None and dtypes are well there."""
    if isinstance(node, Sequence | Slice):
        for child in children(node):
            _check_argument(child, names)
    elif isinstance(node, Attribute) and dotted(node, names) in DTYPES:
        return
    elif not isinstance(node, Literal):
        _check(node, names)


def _check_comprehension(node: Comprehension, names: frozenset[str]) -> None:
    for loop in node.loops:
        for bound in loop.bounds:
            _check(bound, names)
        names |= {loop.name}
    _check(node.body, names)


def _check_call(node: Call, names: frozenset[str]) -> None:
    name = dotted(node.function, names) if isinstance(node.function, Attribute) else None
    if name is not None:
        _check_function(name, node.function.place)
    elif isinstance(node.function, Attribute):
        _check(node.function.base, names)
        _check_method(node.function)
    else:
        _refuse_callee(node.function)
    for argument in (*node.arguments, *(value for _, value in node.keywords)):
        _check_argument(argument, names)


def _check_function(name: str, place: Place) -> None:
    if name.startswith(METHODS):
        method = name.removeprefix(METHODS)
        raise ExpressionError(
            place, f"{name!r}", "a method called on a tensor", f"write x.{method}(...)"
        )
    if name not in allowed():
        functions = [known for known in allowed() if not known.startswith(METHODS)]
        raise ExpressionError(
            place,
            f"{name!r}, which the torch language does not allow",
            "a function on tensors that PyTorch lists as overridable",
            _nearest(name, functions) or "write it with functions such as torch.exp",
        )


def _check_method(node: Attribute) -> None:
    if METHODS + node.name in allowed():
        return
    methods = [name.removeprefix(METHODS) for name in allowed() if name.startswith(METHODS)]
    raise ExpressionError(
        node.place,
        f"the method {node.name!r}, which the torch language does not allow",
        "a method of Tensor that PyTorch lists as overridable",
        _nearest(node.name, methods) or "write it with methods such as x.exp()",
    )


def _check_attribute(node: Attribute, names: frozenset[str]) -> None:
    name = dotted(node, names)
    if name is not None:
        is_function = name in allowed()
        raise ExpressionError(
            node.place,
            f"{name!r} as a value",
            "a tensor or a number (a dtype only as an argument)",
            f"write {name}(...)" if is_function else "leave it out",
        )
    if node.name not in ATTRIBUTES:
        raise ExpressionError(
            node.place,
            f"the attribute {node.name!r}",
            f"one of {', '.join(sorted(ATTRIBUTES))}",
            f"write .{node.name}() to call the method"
            if METHODS + node.name in allowed()
            else _nearest(node.name, ATTRIBUTES) or "leave it out",
        )
    _check(node.base, names)


def _refuse_callee(function: Node) -> NoReturn:
    name = function.name if isinstance(function, Name) else ""
    candidates = (f"torch.{name}", f"torch.nn.functional.{name}", f"torch.special.{name}")
    known = next((candidate for candidate in candidates if candidate in allowed()), None)
    raise ExpressionError(
        function.place,
        f"a call of {name!r}" if name else "a call of something without a name",
        "a call of torch.NAME, F.NAME or a method of a tensor",
        f"write {known}" if known else "write it with functions such as torch.exp",
    )


def _refuse_name(name: str, place: Place, names: frozenset[str]) -> NoReturn:
    raise ExpressionError(
        place,
        f"the name {name!r}, which is not defined",
        "an input, a constant or a name of the sweep" + _listing(names),
        "add .NAME for a function"
        if name in {"torch", "F"}
        else _nearest(name, names)
        or "declare it under 'inputs', 'constants' or 'sweep' (the torch language sees no 'let')",
    )


def _refuse_literal(node: Literal) -> NoReturn:
    raise ExpressionError(
        node.place,
        f"{node.value!r} as a value",
        "a number or a boolean (strings and None only as arguments of a call)",
        "leave it out",
    )


def _nearest(name: str, known: list[str] | frozenset[str]) -> str | None:
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f"write {near[0]}" if near else None


def _listing(names: frozenset[str]) -> str:
    return f" ({', '.join(sorted(names))})" if names else ""


_RULES: dict[type, Callable[[Any, frozenset[str]], None]] = {
    Name: _check_name,
    Literal: _check_literal,
    Attribute: _check_attribute,
    Call: _check_call,
    Subscript: _check_subscript,
    Comprehension: _check_comprehension,
}

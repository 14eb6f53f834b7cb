"""The names that the torch language allows. Knows no torch.

Functions and methods stand in ``torch_names.txt``, for review; the module
``gradcheck.implementations.overridable`` made it from what PyTorch lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from gradcheck.errors import ExpressionError
from gradcheck.language.nodes import (
    START,
    Attribute,
    Binary,
    Call,
    Comparison,
    Comprehension,
    Dictionary,
    Literal,
    Name,
    Node,
    Place,
    Sequence,
    Slice,
    Subscript,
    Unary,
    library_of,
    whole_name,
)
from gradcheck.spelling import meant

ATTRIBUTES = frozenset({"T", "mT", "H", "mH", "real", "imag", "shape", "ndim", "dtype"})
TORCH_DTYPES = frozenset(
    f"torch.{name}"
    for name in (
        *("float16", "float32", "float64", "bfloat16", "complex64", "complex128", "bool"),
        *("int8", "int16", "int32", "int64", "uint8"),
        *("half", "float", "double", "cfloat", "cdouble", "short", "int", "long"),
    )
)
TENSOR_METHODS = "torch.Tensor."


@cache
def allowed() -> frozenset[str]:
    """Every function and method: ``torch.linalg.det``, ``torch.Tensor.exp``."""
    text = files("gradcheck.language").joinpath("torch_names.txt").read_text("utf-8")
    return frozenset(text.split())


def dotted(node: Node, names: frozenset[str]) -> str | None:
    """The whole name of ``torch.a.b`` or ``F.a`` (with ``F`` written out), or None.

    ``names`` are those the case defines: an input called ``F`` is that input.
    """
    root, rest = whole_name(node)
    if root not in {"torch", "F"} - (names - {"torch"}):
        return None
    return ("torch.nn.functional" if root == "F" else "torch") + rest


PYTHON_NUMBERS = {"pi": math.pi, "e": math.e, "inf": math.inf, "I": 1j}
"""Constants that the torch language shares with the formula language, as Python's numbers."""


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
        case Comparison(_, children) | Dictionary(_, children) | Sequence(children):
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
    for error in mistakes(tree, names):
        raise error


FUNCTION = "f"
"""The name by which a case says how its own code is called."""
_STAND_IN = Attribute(Name("torch"), "add")
"""To the rules of the torch language ``f`` is like a function of PyTorch's."""


def is_of_function(node: object) -> bool:
    """Whether the node calls ``f``."""
    return isinstance(node, Call) and node.function == Name(FUNCTION)


def is_of_result(node: object) -> bool:
    """Whether the node takes an attribute of what ``f`` gives, as ``f(x).values``.

    What tensors have too is read as theirs, and what is private is nobody's.
    """
    if not isinstance(node, Attribute) or node.name in ATTRIBUTES or node.name.startswith("_"):
        return False
    base: object = node.base
    while isinstance(base, Attribute | Subscript):
        base = base.base
    return is_of_function(base)


def mistakes_of_calling(tree: Node, names: frozenset[str]) -> Iterator[ExpressionError]:
    """An error for everything that is not of the torch language, in which ``f`` may be called.

    The arguments of ``f`` may be what no function of PyTorch takes: maps, tuples, lists of lists.
    """
    calls = [each for each in _below(tree) if isinstance(each, Call)]
    plain = [each for each in calls if isinstance(each.function, Name)]
    others = [each for each in plain if not is_of_function(each)]
    for node in others:
        found = f"a call of {whole_name(node.function)[0]!r}"
        expected = f"a call of {FUNCTION!r}, of torch.NAME, F.NAME or a method of a tensor"
        fix = f"write {FUNCTION} for the function on trial"
        yield ExpressionError(node.place, found, expected, fix)
    tree = _with_stand_in(tree)
    named = [each for each in _below(tree) if isinstance(each, Name)]
    bare = [each for each in named if each.name == FUNCTION and FUNCTION not in names]
    for name in bare:
        found = f"the name {FUNCTION!r}, which is not called"
        yield ExpressionError(name.place, found, "a call of it", f"write {FUNCTION}(x)")
    if not (plain or bare):
        expected = f"an expression in which the function is called, as {FUNCTION}(x)"
        fix = f"call the function by the name {FUNCTION}"
        yield ExpressionError(START, f"no call of {FUNCTION!r}", expected, fix)
    yield from mistakes(tree, names | {name.name for name in bare})


def names_in_calling(tree: Node) -> frozenset[str]:
    """The names that an expression which calls ``f`` takes from outside, ``f`` itself left out."""
    return names_used(_with_stand_in(tree))


def _below(node: object) -> Iterator[object]:
    """The node and all that stands below it."""
    yield node
    inner = children(node)
    if isinstance(node, Comprehension):
        inner = (*(bound for loop in node.loops for bound in loop.bounds), node.body)
    for child in inner:
        yield from _below(child)


def _with_stand_in(node: Any) -> Any:
    """The tree with a function of PyTorch in the place of each that is called by a plain name, and
    of what the attributes of its result are.
    """
    if isinstance(node, tuple):
        return tuple(map(_with_stand_in, node))
    if is_of_result(node):
        return _with_stand_in(node.base)
    if not is_dataclass(node) or isinstance(node, type | Literal):
        return node
    parts = {each.name: _with_stand_in(getattr(node, each.name)) for each in fields(node)}
    if isinstance(node, Call) and isinstance(node.function, Name):
        parts["function"] = _STAND_IN
    if isinstance(node, Call) and isinstance(node.function, Attribute):  # a method
        parts["function"] = replace(node.function, base=_with_stand_in(node.function.base))
    return replace(node, **parts)


def mistakes(node: object, names: frozenset[str]) -> Iterator[ExpressionError]:
    """An error for everything in the place of a value that is not of the torch language."""
    rule = _RULES.get(type(node))
    if rule is not None:
        yield from rule(node, names)
        return
    for child in children(node):
        yield from mistakes(child, names)


def _name(node: Name, names: frozenset[str]) -> Iterator[ExpressionError]:
    if node.name in names or node.name in PYTHON_NUMBERS:
        return
    near = meant(node.name, names, likeness=_LIKENESS)
    yield ExpressionError(
        node.place,
        f"the name {node.name!r}, which is not defined",
        "an input, a constant or a name of the sweep" + _listing(names),
        "add .NAME for a function"
        if node.name in {"torch", "F"}
        else f"write {near}"
        if near
        else "declare it under 'inputs', 'constants' or 'sweep' (the torch language sees no 'let')",
    )


def _literal(node: Literal, _names: frozenset[str]) -> Iterator[ExpressionError]:
    if node.value is None or isinstance(node.value, str):
        yield ExpressionError(
            node.place,
            f"{node.value!r} as a value",
            "a number or a boolean (strings and None only as arguments of a call)",
            "leave it out",
        )


def _subscript(node: Subscript, names: frozenset[str]) -> Iterator[ExpressionError]:
    yield from mistakes(node.base, names)
    for index in node.indices:
        yield from _argument(index, names)


def _argument(node: object, names: frozenset[str]) -> Iterator[ExpressionError]:
    """What is wrong with an argument, an index or an element of one.

    Strings, None and dtypes are well there.
    """
    if isinstance(node, Sequence | Slice | Dictionary):
        for child in children(node):
            yield from _argument(child, names)
    elif isinstance(node, Attribute) and dotted(node, names) in TORCH_DTYPES:
        return
    elif not isinstance(node, Literal):
        yield from mistakes(node, names)


def _comprehension(node: Comprehension, names: frozenset[str]) -> Iterator[ExpressionError]:
    for loop in node.loops:
        for bound in loop.bounds:
            yield from mistakes(bound, names)
        names |= {loop.name}
    yield from mistakes(node.body, names)


def _call(node: Call, names: frozenset[str]) -> Iterator[ExpressionError]:
    yield from _callee(node.function, names)
    for argument in (*node.arguments, *(value for _, value in node.keywords)):
        yield from _argument(argument, names)


def _callee(function: Node, names: frozenset[str]) -> Iterator[ExpressionError]:
    if not isinstance(function, Attribute):
        yield _no_function(function)
        return
    name, library = dotted(function, names), library_of(function, names | PYTHON_NUMBERS.keys())
    if name is not None:
        yield from _function(name, function.place)
    elif library is not None:
        known = function_for(library)
        yield ExpressionError(
            function.place,
            f"{library!r}, a function of another library",
            "a function of PyTorch",
            f"write {known}" if known else "write it with functions such as torch.exp",
        )
    else:
        yield from mistakes(function.base, names)
        yield from _method(function)


_CONSTRUCTORS = ("torch.tensor", "torch.as_tensor", "torch.scalar_tensor", "torch.asarray")
"""They make tensors of Python's data, which stands under `constants`."""


def _function(name: str, place: Place) -> Iterator[ExpressionError]:
    if name.startswith(TENSOR_METHODS):
        method = name.removeprefix(TENSOR_METHODS)
        yield ExpressionError(
            place, f"{name!r}", "a method called on a tensor", f"write x.{method}(...)"
        )
    elif name in _CONSTRUCTORS:
        yield ExpressionError(
            place,
            f"{name!r}, which the torch language does not allow",
            "data under `constants`",
            "declare `constants: {k: [1.0]}` and write k, a tensor of one entry, or k[0], one "
            "without dimensions",
        )
    elif name not in allowed():
        known = function_for(name)
        yield ExpressionError(
            place,
            f"{name!r}, which the torch language does not allow",
            "a function on tensors that PyTorch lists as overridable",
            f"write {known}" if known else "write it with functions such as torch.exp",
        )


def _method(node: Attribute) -> Iterator[ExpressionError]:
    if TENSOR_METHODS + node.name in allowed():
        return
    near = method_for(node.name)
    yield ExpressionError(
        node.place,
        f"the method {node.name!r}, which the torch language does not allow",
        "a method of Tensor that PyTorch lists as overridable",
        f"write {near}" if near else "write it with methods such as x.exp()",
    )


def _attribute(node: Attribute, names: frozenset[str]) -> Iterator[ExpressionError]:
    name, library = dotted(node, names), library_of(node, names | PYTHON_NUMBERS.keys())
    if name is not None:
        yield ExpressionError(
            node.place,
            f"{name!r} as a value",
            "a tensor or a number (a dtype only as an argument)",
            f"write {node.name}"
            if node.name in PYTHON_NUMBERS
            else f"write {name}(...)"
            if name in allowed()
            else "leave it out",
        )
    elif library is not None:
        yield ExpressionError(
            node.place,
            f"{library!r}, a name of another library",
            "a tensor or a number",
            f"write {node.name}" if node.name in PYTHON_NUMBERS else "leave it out",
        )
    else:
        if node.name not in ATTRIBUTES:
            yield _unknown_attribute(node)
        yield from mistakes(node.base, names)


def _unknown_attribute(node: Attribute) -> ExpressionError:
    near = meant(node.name, ATTRIBUTES, likeness=_LIKENESS)
    return ExpressionError(
        node.place,
        f"the attribute {node.name!r}",
        f"one of {', '.join(sorted(ATTRIBUTES))}",
        f"write .{node.name}() to call the method"
        if TENSOR_METHODS + node.name in allowed()
        else f"write {near}"
        if near
        else "leave it out",
    )


def _no_function(function: Node) -> ExpressionError:
    name = function.name if isinstance(function, Name) else ""
    known = function_for(name) if name else None
    return ExpressionError(
        getattr(function, "place", (1, 1)),
        f"a call of {name!r}" if name else "a call of something without a name",
        "a call of torch.NAME, F.NAME or a method of a tensor",
        f"write {known}" if known else "write it with functions such as torch.exp",
    )


def _listing(names: frozenset[str]) -> str:
    return f" ({', '.join(sorted(names))})" if names else ""


_RULES: dict[type, Callable[[Any, frozenset[str]], Iterator[ExpressionError]]] = {
    Name: _name,
    Literal: _literal,
    Attribute: _attribute,
    Call: _call,
    Subscript: _subscript,
    Comprehension: _comprehension,
}

_MODULES = ("torch", "torch.nn.functional", "torch.special", "torch.linalg", "torch.fft")
"""Where a function of that name is looked for, in this order."""
_SYNONYMS = {
    "torch.log": "ln Log",
    "torch.abs": "Abs fabs",
    "torch.sign": "Sign signum",
    "torch.maximum": "Max",
    "torch.minimum": "Min",
    "torch.pow": "power Pow",
    "torch.where": "Piecewise select",
    "torch.round": "rint around",
    "torch.lgamma": "gammaln loggamma log_gamma",
    "torch.digamma": "psi",
    "torch.sigmoid": "logistic",
    "torch.special.bessel_j0": "j0",
    "torch.special.bessel_j1": "j1",
    "torch.nn.functional.silu": "swish",
    "torch.nn.functional.logsigmoid": "log_sigmoid",
    "torch.sum": "reduce_sum Sum",
    "torch.mean": "reduce_mean average avg",
}
_OTHERS = {other: name for name, others in _SYNONYMS.items() for other in others.split()}
_LIKENESS = 0.7
_LIKENESS_OF_ALL = 0.75  # where the list is of a thousand words


@cache
def _by_last_part() -> dict[str, str]:
    """Each function by the last part of its name; where several modules have it, the first."""
    functions = (name for name in sorted(allowed()) if not name.startswith(TENSOR_METHODS))
    found = {name.rpartition(".")[2]: name for name in functions}
    for module in reversed(_MODULES):
        found |= {last: f"{module}.{last}" for last in found if f"{module}.{last}" in allowed()}
    return found


def function_for(name: str) -> str | None:
    """The function of PyTorch that ``name``, whatever stands before its last dot, must mean."""
    last = name.rpartition(".")[2]
    known = _by_last_part()
    same = known.get(last) or _OTHERS.get(last) or known.get(last.lower())
    if same:
        return same
    near = meant(last, known, likeness=_LIKENESS_OF_ALL)
    return known[near] if near else None


def method_for(name: str) -> str | None:
    methods = [
        each.removeprefix(TENSOR_METHODS) for each in allowed() if each.startswith(TENSOR_METHODS)
    ]
    return meant(name, methods, likeness=_LIKENESS)

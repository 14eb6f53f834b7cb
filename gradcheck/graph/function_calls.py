"""Calls in a formula: which arguments a function takes, and what it gives."""

from __future__ import annotations

from inspect import BoundArguments
from typing import Any

from gradcheck.graph.functions import (
    ARRAY_FUNCTIONS,
    COMPLEX_FUNCTIONS,
    ON_COMPLEX,
    ArrayFunction,
)
from gradcheck.graph.graph import Graph
from gradcheck.graph.indexing import bodies
from gradcheck.graph.reading import Reader
from gradcheck.graph.unknown import foreign_call, unknown_function
from gradcheck.language.nodes import Call, Comprehension, Literal, Name, Sequence
from gradcheck.language.nodes import Node as Tree
from gradcheck.ops.table import OPERATORS

HIGHEST_ORDER = 1_000_000
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "an integer"),
    "list[int]": ((list,), "a list of integers"),
    "bool": ((bool,), "True or False"),
    "_Dims": ((int, list, type(None)), "an integer, a list of integers or None"),
}
"""By the annotation of an array function's argument; True is no integer here, nor 1 a boolean."""
_RENAMED = {"axis": "dim", "axes": "dim", "dims": "dim", "keepdims": "keepdim"}
"""NumPy's and other names of arguments that are PyTorch's here."""
_UNARY = {**COMPLEX_FUNCTIONS, "stop": Graph.detach}
"""Functions of one argument that are nodes of their own, and no operators of the table."""


def call(reader: Reader, node: Call) -> int:
    if not isinstance(node.function, Name):
        raise foreign_call(node.function, reader.scope)
    name = node.function.name
    if name not in reader.functions:
        raise unknown_function(node.place, name)
    if name in ARRAY_FUNCTIONS:
        return _array(reader, ARRAY_FUNCTIONS[name], node)
    if node.keywords:
        reader.refuse(
            node.place,
            f"{name}({node.keywords[0][0]}=...)",
            "arguments by position",
            "leave the keyword out",
        )
    return (_unary if name in _UNARY else _operator)(reader, name, node)


def _unary(reader: Reader, name: str, node: Call) -> int:
    if len(node.arguments) != 1:
        _refuse_count(reader, name, node, 1, "give as many arguments")
    return _UNARY[name](reader.graph, reader.numbers(node.arguments[0]))


def _operator(reader: Reader, name: str, node: Call) -> int:
    entry = OPERATORS[name]
    trees = list(node.arguments)
    parameter = _parameter(reader, name, trees.pop(0)) if entry.parameter and trees else None
    values = [
        reader.conditions(tree) if name == "where" and k == 0 else reader.numbers(tree)
        for k, tree in enumerate(trees)
    ]
    if name in ON_COMPLEX and len(values) == 1 and reader.graph.kind(values[0]) == "complex":
        return ON_COMPLEX[name](reader.graph, values[0])
    if not entry.holomorphic:
        for value, tree in zip(values, trees, strict=True):
            reader.must_be_real(value, tree, name)
    if entry.optional is not None and len(values) == entry.arity - 1:
        values.append(reader.graph.constant(entry.optional))
    folds = name in ("min", "max")
    if len(values) != entry.arity and not (folds and len(values) > 2):
        fix = "write amin(x) or amax(x) for the smallest or largest entry of an array"
        expected = entry.arity + entry.parameter
        _refuse_count(reader, name, node, expected, fix if folds else "give as many arguments")
    total = reader.graph.elementwise(name, *values[: entry.arity], parameter=parameter)
    for value in values[entry.arity :]:
        total = reader.graph.elementwise(name, total, value)
    return total


def _refuse_count(reader: Reader, name: str, node: Call, expected: int, fix: str) -> None:
    found = f"{name} of {len(node.arguments)} arguments"
    reader.refuse(node.place, found, f"{expected} of them", fix)


def _parameter(reader: Reader, name: str, tree: Tree) -> int:
    """The order of a Bessel or polygamma function: a constant integer."""
    order = reader.integer(tree)
    if abs(order) > HIGHEST_ORDER or (name == "polygamma" and order < 0):
        reader.refuse(tree.place, f"{name} of order {order}", "a smaller order >= 0", "correct it")
    orders = OPERATORS[name].torch_orders
    if reader.translates and orders and order not in orders:
        reader.refuse(
            tree.place,
            f"{name} of order {order}, which PyTorch does not have",
            f"order {' or '.join(map(str, orders))}, where the formula's own translation is tried",
            "name the code on trial under 'torch' or 'function'",
        )
    return order


def _array(reader: Reader, function: ArrayFunction, node: Call) -> int:
    if not node.arguments and (function.arrays or not node.keywords):
        reader.refuse(
            node.place,
            f"{function.name} of no arguments",
            "an argument",
            f"write {function.name}(x)",
        )
    rest = list(node.arguments)
    leading: list[Any]
    if function.takes_list:
        leading = [_parts(reader, rest.pop(0))]
    else:
        leading = [reader.numbers(tree) for tree in rest[: function.arrays]]
        rest = rest[function.arrays :]
    options = [_option(reader, tree) for tree in rest]
    if function.name in ("reshape", "zeros", "ones") and options and isinstance(options[0], int):
        options = [options]
    keywords = {keyword: _option(reader, tree) for keyword, tree in node.keywords}
    bound = _bound(reader, node, function, [*leading, *options], keywords)
    return function.build(*bound.args, **bound.kwargs)


def _bound(
    reader: Reader,
    node: Call,
    function: ArrayFunction,
    arguments: list[Any],
    keywords: dict[str, Any],
) -> BoundArguments:
    """The arguments, if the function takes such."""
    form, name = function.signature, function.name
    reader.graph.spend(4)
    try:
        bound = form.bind(reader.graph, *arguments, **keywords)
    except TypeError as error:
        ours = [f"{_RENAMED[key]}={value}" for key, value in keywords.items() if key in _RENAMED]
        fix = f"write {', '.join(ours) or function.form}"
        reader.refuse(node.place, f"{name}: {error}", function.form, fix)
    for option, value in bound.arguments.items():
        annotation = form.parameters[option].annotation
        kinds, expected = _KINDS.get(annotation, ((type(value),), ""))
        if type(value) not in kinds:
            found, fix = f"{name} with {option}={value}", f"write {function.form}"
            reader.refuse(node.place, found, f"{expected} for {option}", fix)
    return bound


def _parts(reader: Reader, tree: Tree) -> list[int]:
    """The entries of a list, which may differ in shape; or of an array, along its first axis."""
    if isinstance(tree, Sequence):
        return [reader.numbers(item) for item in tree.items]
    if isinstance(tree, Comprehension):
        return bodies(reader, tree)
    value = reader.numbers(tree)
    shape = reader.shape(value)
    if not shape:
        reader.refuse(tree.place, "a single number", "a list of arrays", "write [x, y]")
    return [reader.graph.index(value, k) for k in range(shape[0])]


def _option(reader: Reader, tree: Tree) -> Any:
    """An argument that is no array: an integer, a boolean, None, or a list of integers."""
    if isinstance(tree, Literal) and (tree.value is None or isinstance(tree.value, bool)):
        return tree.value
    node = reader.value(tree)
    one = reader.graph.number(node)
    if reader.shape(node) == () and isinstance(one, bool):
        return one
    whole = reader.integers(node)
    if None in whole or len(reader.shape(node)) > 1:
        reader.refuse(
            tree.place,
            "no constant integer",
            "a constant integer or a list of them",
            "write one",
        )
    return whole if reader.shape(node) else whole[0]

"""Calls in a formula: which arguments a function takes, and what it gives."""

from __future__ import annotations

from inspect import BoundArguments, signature
from typing import TYPE_CHECKING, Any

from gradcheck.graph.array_functions import ARRAY_FUNCTIONS, LIST_FUNCTIONS, SHAPE_FUNCTIONS
from gradcheck.graph.arrays import Array, array_of, elementwise
from gradcheck.graph.integers import integer, small_integer
from gradcheck.graph.lists import bodies
from gradcheck.graph.names import COMPLEX_FUNCTIONS
from gradcheck.graph.unknown import foreign_call, unknown_function
from gradcheck.language.nodes import Call, Comprehension, Literal, Name, Node, Sequence
from gradcheck.ops.table import OPERATORS

if TYPE_CHECKING:
    from gradcheck.graph.unroll import Unroller

HIGHEST_ORDER = 1_000_000
_FORMS = {name: signature(function) for name, function in ARRAY_FUNCTIONS.items()}
_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "an integer"),
    "list[int]": ((list,), "a list of integers"),
    "bool": ((bool,), "True or False"),
    "Dims": ((int, list, type(None)), "an integer, a list of integers or None"),
}
"""By the annotation of an array function's argument; True is no integer here, nor 1 a boolean."""
_RENAMED = {"axis": "dim", "axes": "dim", "dims": "dim", "keepdims": "keepdim"}
"""NumPy's and other names of arguments that are PyTorch's here."""


def _signature(name: str) -> str:
    """How an array function is called: ``sum(x, dim=None, keepdim=False)``."""
    _tape, *arguments = _FORMS[name].parameters.values()
    shown = (
        each.name if each.default is each.empty else f"{each.name}={each.default}"
        for each in arguments
    )
    return f"{name}({', '.join(shown)})"


def call(reader: Unroller, node: Call) -> Array:
    if not isinstance(node.function, Name):
        raise foreign_call(node.function, reader.scope)
    name = node.function.name
    if name in COMPLEX_FUNCTIONS:
        reader.refuse_complex(node.place, f"the function {name!r}")
    if name not in reader.functions:
        raise unknown_function(node.place, name)
    if name in ARRAY_FUNCTIONS:
        return _array(reader, name, node)
    if node.keywords:
        reader.refuse(
            node.place,
            f"{name}({node.keywords[0][0]}=...)",
            "arguments by position",
            "leave the keyword out",
        )
    return _elementwise(reader, name, node)


def _elementwise(reader: Unroller, name: str, node: Call) -> Array:
    entry = OPERATORS[name]
    arguments = list(node.arguments)
    parameter = (
        _parameter(reader, name, arguments.pop(0)) if entry.parameter and arguments else None
    )
    values = [
        reader.conditions(tree) if name == "where" and k == 0 else reader.numbers(tree)
        for k, tree in enumerate(arguments)
    ]
    if entry.optional is not None and len(values) == entry.arity - 1:
        values.append(array_of(entry.optional))
    folds = name in ("min", "max")
    if len(values) != entry.arity and not (folds and len(values) > 2):
        reader.refuse(
            node.place,
            f"{name} of {len(node.arguments)} arguments",
            f"{entry.arity + entry.parameter} of them",
            "write amin(x) or amax(x) for the smallest or largest entry of an array"
            if folds
            else "give as many arguments",
        )
    total = elementwise(reader.tape, name, *values[: entry.arity], parameter=parameter)
    for value in values[entry.arity :]:
        total = elementwise(reader.tape, name, total, value)
    return total


def _parameter(reader: Unroller, name: str, tree: Node) -> int:
    """The order of a Bessel or polygamma function: a constant integer."""
    order = integer(reader, tree)
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


def _array(reader: Unroller, name: str, node: Call) -> Array:
    if not node.arguments and not (name in SHAPE_FUNCTIONS and node.keywords):
        reader.refuse(node.place, f"{name} of no arguments", "an argument", f"write {name}(x)")
    leading: list[Any] = []
    rest = list(node.arguments)
    if name in LIST_FUNCTIONS:
        leading.append(_parts(reader, rest.pop(0)))
    elif name not in SHAPE_FUNCTIONS:
        arrays = 2 if name in ("dot", "outer") else 1
        leading = [reader.numbers(tree) for tree in rest[:arrays]]
        rest = rest[arrays:]
    options = [_option(reader, tree) for tree in rest]
    if name in ("reshape", "zeros", "ones") and options and isinstance(options[0], int):
        options = [options]
    keywords = {keyword: _option(reader, tree) for keyword, tree in node.keywords}
    bound = _bound(reader, node, name, [*leading, *options], keywords)
    return ARRAY_FUNCTIONS[name](*bound.args, **bound.kwargs)


def _bound(
    reader: Unroller, node: Call, name: str, arguments: list[Any], keywords: dict[str, Any]
) -> BoundArguments:
    """The arguments, if the function takes such."""
    form = _FORMS[name]
    reader.tape.spend(4)
    try:
        bound = form.bind(reader.tape, *arguments, **keywords)
    except TypeError as error:
        ours = [f"{_RENAMED[key]}={value}" for key, value in keywords.items() if key in _RENAMED]
        fix = f"write {', '.join(ours) or _signature(name)}"
        reader.refuse(node.place, f"{name}: {error}", _signature(name), fix)
    for option, value in bound.arguments.items():
        annotation = form.parameters[option].annotation
        kinds, expected = _KINDS.get(annotation, ((type(value),), ""))
        if type(value) not in kinds:
            found, fix = f"{name} with {option}={value}", f"write {_signature(name)}"
            reader.refuse(node.place, found, f"{expected} for {option}", fix)
    return bound


def _parts(reader: Unroller, tree: Node) -> list[Array]:
    """The entries of a list, which may differ in shape; or of an array, along its first axis."""
    if isinstance(tree, Sequence):
        return [reader.numbers(item) for item in tree.items]
    if isinstance(tree, Comprehension):
        return bodies(reader, tree)
    value = reader.numbers(tree)
    if value.ndim == 0:
        reader.refuse(tree.place, "a single number", "a list of arrays", "write [x, y]")
    return [array_of(part) for part in value]


def _option(reader: Unroller, tree: Node) -> Any:
    """An argument that is no array: an integer, a boolean, None, or a list of integers."""
    if isinstance(tree, Literal) and (tree.value is None or isinstance(tree.value, bool)):
        return tree.value
    value = reader.value(tree)
    if value.shape == () and isinstance(value[()], bool):
        return value[()]
    whole = [small_integer(entry) for entry in value.flat]
    if None in whole or value.ndim > 1:
        reader.refuse(
            tree.place,
            "no constant integer",
            "a constant integer or a list of them",
            "write one",
        )
    return whole if value.ndim else whole[0]

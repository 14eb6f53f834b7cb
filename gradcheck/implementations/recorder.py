"""What writes down the calls of PyTorch that an evaluation makes, as a ``torch.fx`` graph.

Functions must be on the list of the torch language, methods those of tensors; names of inputs and
arguments are checked, and all else is a node or is written by ``repr``.
"""

from __future__ import annotations

import builtins
import inspect
import keyword
import operator
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx
from torch.overrides import TorchFunctionMode

from gradcheck.implementations.overridable import function_of
from gradcheck.implementations.tensors import Home
from gradcheck.language.torch_names import TENSOR_METHODS, allowed


class CannotRecordError(Exception):
    """The evaluation depends on something that is not known from shapes and dtypes."""


_RESERVED = frozenset(
    {*dir(builtins), "self", "torch", "device", "inf", "nan", "NoneType", "pytree", "fx_pytree"}
)
"""What generated code may speak of: an input of that name would hide it."""


def _is_word(name: str) -> bool:
    """Whether a name can stand in Python code as one."""
    return name.isidentifier() and not keyword.iskeyword(name)


_FACTORIES = frozenset({torch.tensor, torch.eye, torch.zeros, torch.ones})
"""What the evaluation makes tensors of numbers with: made once, at recording."""

_KNOWN_FROM_DTYPES = frozenset({"dtype", "device", "layout", "is_floating_point", "is_complex"})
_KNOWN_FROM_SHAPES = frozenset({"shape", "ndim", "size", "dim", "numel", "__len__"})

_OPERATORS: dict[str, tuple[int, Callable[..., Any]]] = {
    "add": (2, operator.add),
    "sub": (2, operator.sub),
    "mul": (2, operator.mul),
    "div": (2, operator.truediv),
    "__pow__": (2, operator.pow),
    "matmul": (2, operator.matmul),
    "lt": (2, operator.lt),
    "le": (2, operator.le),
    "gt": (2, operator.gt),
    "ge": (2, operator.ge),
    "ne": (2, operator.ne),
    "__eq__": (2, operator.eq),
    "__getitem__": (2, operator.getitem),
    "__and__": (2, operator.and_),
    "__or__": (2, operator.or_),
    "neg": (1, operator.neg),
    "__invert__": (1, operator.invert),
    "positive": (1, operator.pos),
}
"""Methods that an operator calls: how many arguments it has."""
_REFLECTED = {"__rsub__": operator.sub, "__rtruediv__": operator.truediv, "__rpow__": operator.pow}


class Recorder(TorchFunctionMode):
    """Writes down each call of PyTorch. Its state is the graph so far, and whose result is whose.

    ``tensors`` keeps every tensor alive: nodes are found by identity.
    """

    def __init__(self, home: Home, trial: torch.device) -> None:
        super().__init__()
        self.home, self.trial = home, trial
        self.graph, self.asked_shape = fx.Graph(), False
        self.attributes: dict[str, Tensor] = {}
        self.nodes: dict[int, fx.Node] = {}
        self.tensors: list[Tensor] = []
        self.made: dict[str, Tensor] = {}
        self.spare: list[fx.Node] = []  # written by the recorder, not by the evaluation

    def input(self, name: str, value: Tensor) -> Tensor:
        """An input, under a name of ours where its own cannot stand in code."""
        if not _is_word(name) or name in _RESERVED:
            name = f"input_{len(self.nodes)}"
        return self._bind(value, self.graph.placeholder(name))

    def constant(self, value: Any) -> Any:
        """A constant of the case: a tensor stands for its clone, all else for itself."""
        if not isinstance(value, Tensor):
            return value
        clone = self.graph.call_method("clone", (self._attribute(value),))
        self.spare.append(clone)
        return self._bind(value.to(self.trial), clone)

    def _attribute(self, value: Tensor) -> fx.Node:
        name = f"constant_{len(self.attributes)}"
        self.attributes[name] = value
        node = self.graph.create_node("get_attr", name, name=name)
        self.spare.append(node)
        return node

    def _bind(self, tensor: Tensor, node: fx.Node) -> Tensor:
        self.tensors.append(tensor)
        self.nodes[id(tensor)] = node
        return tensor

    def __torch_function__(
        self, function: Any, _types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        keywords = keywords or {}
        if function in _FACTORIES:
            return self._make(function, arguments, keywords)
        result = function(*arguments, **keywords)
        if function is torch.stack and self._are_attributes(arguments[0]):
            values = [self.attributes[str(self.nodes[id(each)].target)] for each in arguments[0]]
            return self._bind(result, self._attribute(torch.stack(values, *arguments[1:])))
        if isinstance(result, Tensor):
            return self._bind(result, self._call(function, arguments, keywords))
        if isinstance(result, list | tuple) and not isinstance(result, torch.Size):
            self.asked_shape |= type(result) in (list, tuple)  # of a length that shapes decide
            self._bind_all(result, self._call(function, arguments, keywords))
            return result
        self._know(_name_of(function))
        return result

    def _make(self, function: Any, arguments: Any, keywords: Any) -> Tensor:
        key = repr((function.__name__, arguments, keywords))
        if key not in self.made:
            value = function(*arguments, **{**keywords, "device": self.home.device})
            example = value.to(self.trial)
            self.made[key] = self._bind(example, self._attribute(value))
        return self.made[key]

    def _are_attributes(self, tensors: Any) -> bool:
        return all(
            id(each) in self.nodes and self.nodes[id(each)].op == "get_attr" for each in tensors
        )

    def _bind_all(self, results: Any, node: fx.Node) -> None:
        for k, result in enumerate(results):
            entry = self.graph.call_function(operator.getitem, (node, k))
            self.spare.append(entry)
            if isinstance(result, Tensor):
                self._bind(result, entry)
            elif isinstance(result, list | tuple):
                self._bind_all(result, entry)
            else:
                raise CannotRecordError(f"a result {result!r}")

    def _know(self, name: str) -> None:
        """That no tensor came back is well where shapes or dtypes say it."""
        if name in _KNOWN_FROM_SHAPES:
            self.asked_shape = True
        elif name not in _KNOWN_FROM_DTYPES:
            raise CannotRecordError(name)

    def _call(self, function: Any, arguments: Any, keywords: Any) -> fx.Node:
        given = tuple(map(self._argument, arguments))
        named = {
            name: self._argument(value)
            for name, value in keywords.items()
            if not _is_default(function, name, value)
        }
        if not all(map(_is_word, named)):
            raise CannotRecordError("a name of an argument")
        return self._node(function, given, named)

    def _node(self, function: Any, given: tuple[Any, ...], named: dict[str, Any]) -> fx.Node:
        if function.__name__ == "__get__":
            return self.graph.call_function(getattr, (given[0], _name_of(function)))
        if function in public_names():
            return self.graph.call_function(function, given, named)
        name = _methods().get(function)
        if name is None:
            raise CannotRecordError(f"a call of {function}")
        count, symbol = _OPERATORS.get(name, (0, None))
        if symbol is not None and len(given) == count and not named:
            return self.graph.call_function(symbol, given)
        if name in _REFLECTED and not _is_negative(given[1]):
            return self.graph.call_function(_REFLECTED[name], given[::-1])
        return self.graph.call_method(name, given, named)

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            if id(value) not in self.nodes:
                raise CannotRecordError("a tensor from elsewhere")
            return self.nodes[id(value)]
        if isinstance(value, list):
            return [self._argument(each) for each in value]
        if isinstance(value, tuple):
            return tuple(self._argument(each) for each in value)
        if isinstance(value, slice):
            return slice(*map(self._argument, (value.start, value.stop, value.step)))
        if isinstance(value, torch.device):
            return self.home.device if value == self.trial else value
        if not isinstance(value, _WRITTEN_BY_REPR):
            raise CannotRecordError(f"an argument {type(value).__name__}")
        return value

    def module(self, result: Any) -> fx.GraphModule:
        """The graph, ended by one result or several, as a module with constants as attributes."""
        several = result if isinstance(result, list | tuple) else [result]
        if not all(isinstance(each, Tensor) or each is None for each in several):
            raise CannotRecordError(f"a {type(result).__name__} as the result")
        self.graph.output(self._argument(result))
        for node in reversed(self.spare):
            if not node.users:
                self.graph.erase_node(node)
        return fx.GraphModule(self.attributes, self.graph, "Subject")


_WRITTEN_BY_REPR = (bool, int, float, complex, str, type(None), type(...), torch.dtype)


def _is_negative(value: Any) -> bool:
    """Whether fx would write ``-2 ** x`` for ``(-2) ** x``."""
    return isinstance(value, int | float) and value < 0


def _name_of(function: Any) -> str:
    """The name of a function or method; of an attribute's getter, the attribute's."""
    named = function.__self__ if function.__name__ == "__get__" else function
    name: str = named.__name__
    return name


@cache
def public_names() -> Mapping[Any, str]:
    """The functions that the torch language allows, each with its shortest name."""
    names = (name for name in allowed() if not name.startswith(TENSOR_METHODS))
    found = {}
    for name in sorted(names, key=lambda name: (-len(name), name)):
        with suppress(AttributeError):  # the installed PyTorch may lack it
            found[function_of(name)] = name
    return found


@cache
def _methods() -> Mapping[Any, str]:
    """The methods of tensors by what the recorder meets; a name without underscores first."""
    names = sorted(dir(torch.Tensor), key=lambda name: name.startswith("_"), reverse=True)
    methods = ((getattr(torch.Tensor, name), name) for name in names)
    return {method: name for method, name in methods if callable(method)}


@cache
def _defaults(function: Any) -> Mapping[str, Any]:
    if not inspect.isfunction(function):
        return {}
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters}


def _is_default(function: Any, name: str, value: Any) -> bool:
    """Whether PyTorch's Python code added the argument, which says nothing new."""
    if isinstance(value, Tensor):
        return False
    default = _defaults(function).get(name, inspect.Parameter.empty)
    return type(value) is type(default) and bool(value == default)

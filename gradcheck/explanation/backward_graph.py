"""The backward graph of one call, node by node: what PyTorch's tutorial shows by printing.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_Edge = Any  # torch.autograd.graph.Node, whose subclasses are made in C++


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A tensor and the node of the backward graph behind it.

    ``name`` is an input's name, ``output``, or empty for an intermediate result. ``expression``
    says how the code computed it, as ``3 * x ** 2``, and ``data`` what it is; empty and None where
    PyTorch computed a result that no Python call returned. ``saved`` is what the node keeps for the
    backward, by PyTorch's names. ``parents`` are the positions, in the list of nodes, of those that
    the gradient flows to next.
    """

    name: str
    grad_fn: str
    is_leaf: bool
    requires_grad: bool
    data: Any
    grad: Any
    parents: tuple[int, ...]
    expression: str = ""
    saved: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Computed:
    """A value behind a grad_fn, how it was computed, and what was saved for its backward."""

    value: Tensor | None
    text: str = ""
    saved: Mapping[str, Any] = field(default_factory=dict)


class _Recorder(TorchFunctionMode):
    """Keeps what is behind each grad_fn that a call leaves. State: the calls so far.

    ``texts`` says of each tensor, by its id, how it was computed; ``kept`` are these tensors, whose
    ids no others may have.
    """

    def __init__(self, inputs: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.kept: list[Tensor] = list(inputs.values())
        self.texts: dict[int, _Text] = {id(x): (name, _ATOM) for name, x in inputs.items()}
        self.found: dict[_Edge, _Computed] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        text = _call_text(func, args, kwargs or {}, self.texts)
        result = func(*args, **(kwargs or {}))
        several = isinstance(result, tuple)
        for place, item in enumerate(result if several else (result,)):
            if isinstance(item, Tensor) and item.requires_grad:
                self.kept.append(item)
                self.texts[id(item)] = (f"{text[0]}[{place}]", _ATOM) if several else text
                self._keep(item)
        return result

    def _keep(self, tensor: Tensor) -> None:
        node = tensor.grad_fn
        if node is not None and node not in self.found:
            value, (text, _) = tensor.detach().clone(), self.texts[id(tensor)]
            self.found[node] = _Computed(value, text, _saved(node))


_SIGNS = {
    **{"add": ("+", 1), "sub": ("-", 1)},
    **{"mul": ("*", 2), "div": ("/", 2), "truediv": ("/", 2), "true_divide": ("/", 2)},
    **{"matmul": ("@", 2), "pow": ("**", 4)},
}
_REVERSED = {"__radd__": "add", "__rsub__": "sub", "__rmul__": "mul", "__rpow__": "pow"}
_REVERSED |= {"__rdiv__": "div", "__rtruediv__": "div", "__rmatmul__": "matmul"}
_MINUS, _ATOM = 3, 5
_FEW = 4  # numbers of a constant that is written out

_Text = tuple[str, int]
"""How something was computed, and how tightly that holds together: a sum least, a call most."""


def _call_text(
    func: Any, args: Sequence[Any], options: Mapping[str, Any], texts: Mapping[int, _Text]
) -> _Text:
    """The call as it would be written: ``x ** 2``, ``softmax(x, dim=0)``, ``x.T``, ``x[0]``."""
    name = str(getattr(func, "__name__", "call"))
    operands = [_operand(each, texts) for each in args]
    if name == "__get__":
        return f"{_held(operands[0], _ATOM)}.{getattr(func.__self__, '__name__', '')}", _ATOM
    if name == "__getitem__":
        return f"{_held(operands[0], _ATOM)}[{operands[1][0].strip('()')}]", _ATOM
    if name in ("neg", "negative", "__neg__"):
        return f"-{_held(operands[0], _MINUS)}", _MINUS
    sign = _SIGNS.get(_REVERSED.get(name, name.strip("_")))
    if sign is not None and len(operands) == 2 and not options:
        return _infix(*sign, *(reversed(operands) if name in _REVERSED else operands))
    given = [f"{key}={_operand(each, texts)[0]}" for key, each in options.items()
             if each is not None and each is not False]  # fmt: skip
    return f"{name.strip('_')}({', '.join([*(text for text, _ in operands), *given])})", _ATOM


def _infix(sign: str, level: int, left: _Text, right: _Text) -> _Text:
    power = sign == "**"
    return f"{_held(left, level + power)} {sign} {_held(right, level + (not power))}", level


def _held(text: _Text, level: int) -> str:
    """An operand, in parentheses where it holds together less than ``level`` asks for."""
    return text[0] if text[1] >= level else f"({text[0]})"


def _operand(value: Any, texts: Mapping[int, _Text]) -> _Text:
    if isinstance(value, Tensor):
        constant = str(value.tolist()) if value.numel() <= _FEW else "constant"
        return texts.get(id(value), (constant, _ATOM))
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_operand(each, texts)[0] for each in value)})", _ATOM
    if value == slice(None):
        return ":", _ATOM
    negative = isinstance(value, (int, float)) and value < 0
    return repr(value), _MINUS if negative else _ATOM


def _saved(node: _Edge) -> dict[str, Any]:
    """What a node keeps for the backward: tensors, and the numbers that it was called with."""
    found = {
        name.removeprefix("_saved_"): getattr(node, name)
        for name in dir(node)
        if name.startswith("_saved_")
    }
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        found |= {f"[{place}]": tensor for place, tensor in enumerate(node.saved_tensors)}
    return {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value: Any) -> Any:
    """A tensor as numbers, and what is no data as text."""
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, int) and value >= 1 << 63:  # a negative dim, which PyTorch gives unsigned
        return value - (1 << 64)
    return value if isinstance(value, (bool, int, float, complex, str)) else str(value)


def backward_graph(
    function: Callable[..., Any], inputs: dict[str, Tensor]
) -> tuple[GraphNode, ...]:
    """Call the function, run backward from the sum of its outputs, and describe every node.

    The outputs come first and the inputs last; each node stands before those that its gradient
    flows to. The inputs must be leaves that require a gradient; their ``.grad`` is filled.
    """
    with _Recorder(inputs) as recorder:
        result = function(*inputs.values())
    outputs = _named([result] if isinstance(result, Tensor) else result)
    roots = {output.grad_fn: name for name, output in outputs.items() if output.grad_fn is not None}
    nodes = _ordered(list(roots))
    unseen = {node: _Computed(None, "", _saved(node)) for node in nodes}
    found = {**unseen, **recorder.found}
    for output in outputs.values():
        if output.grad_fn is not None:
            found[output.grad_fn] = replace(found[output.grad_fn], value=output.detach())
    grads: dict[_Edge, Any] = {}
    for node in nodes:
        node.register_prehook(_keeper(grads, node))
    differentiable = [output for output in outputs.values() if output.grad_fn is not None]
    if differentiable:
        ones = [torch.ones_like(output) for output in differentiable]
        torch.autograd.backward(differentiable, ones)
    alone = (_alone(name, each) for name, each in outputs.items() if each.grad_fn is None)
    return (*_described(nodes, found, roots, grads, inputs), *alone, *_unreached(nodes, inputs))


def _named(results: Sequence[Any]) -> dict[str, Tensor]:
    """``output``; of several ``output 0``, ``output 1``, ..."""
    if len(results) == 1:
        return {"output": results[0]}
    return {f"output {k}": each for k, each in enumerate(results) if isinstance(each, Tensor)}


def _ordered(roots: Sequence[_Edge]) -> list[_Edge]:
    """Every node once, each before its parents: a depth-first post-order, reversed."""
    done: dict[_Edge, None] = {}
    seen: set[_Edge] = set()
    for root in reversed(roots):
        if root not in seen:
            seen.add(root)
            _visit(root, seen, done)
    return list(reversed(done))


def _visit(root: _Edge, seen: set[_Edge], done: dict[_Edge, None]) -> None:
    stack: list[tuple[_Edge, Iterator[_Edge]]] = [(root, iter(_parents(root)))]
    while stack:
        node, rest = stack[-1]
        following = next((parent for parent in rest if parent not in seen), None)
        if following is None:
            done[node] = None
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(_parents(following))))


def _parents(node: _Edge) -> tuple[_Edge, ...]:
    return tuple(parent for parent, _ in node.next_functions if parent is not None)


def _keeper(grads: dict[_Edge, Any], node: _Edge) -> Callable[[Any], None]:
    def keep(incoming: tuple[Tensor | None, ...]) -> None:
        first = next((grad for grad in incoming if grad is not None), None)
        grads[node] = None if first is None else first.detach().tolist()

    return keep


def _described(
    nodes: list[_Edge],
    found: Mapping[_Edge, _Computed],
    roots: Mapping[_Edge, str],
    grads: dict[_Edge, Any],
    inputs: dict[str, Tensor],
) -> Iterator[GraphNode]:
    position = {node: index for index, node in enumerate(nodes)}
    for node in nodes:
        variable = getattr(node, "variable", None)
        parents = tuple(position[parent] for parent in _parents(node))
        if variable is not None:
            yield _leaf(_name_of(variable, inputs), variable)
        else:
            computed = found[node]
            yield GraphNode(
                name=roots.get(node, ""),
                grad_fn=node.name().rpartition("::")[2],
                is_leaf=False,
                requires_grad=True,
                data=None if computed.value is None else computed.value.tolist(),
                grad=grads.get(node),
                parents=parents,
                expression=computed.text,
                saved=computed.saved,
            )


def _unreached(nodes: list[_Edge], inputs: dict[str, Tensor]) -> Iterator[GraphNode]:
    reached = {id(getattr(node, "variable", None)) for node in nodes}
    for name, tensor in inputs.items():
        if id(tensor) not in reached:
            yield _leaf(name, tensor)


def _name_of(variable: Tensor, inputs: dict[str, Tensor]) -> str:
    return next((name for name, tensor in inputs.items() if tensor is variable), "parameter")


def _leaf(name: str, tensor: Tensor) -> GraphNode:
    grad = None if tensor.grad is None else tensor.grad.tolist()
    data = tensor.detach().tolist()
    return GraphNode(name, "None", tensor.is_leaf, tensor.requires_grad, data, grad, ())


def _alone(name: str, output: Tensor) -> GraphNode:
    """An output that does not depend on the inputs, or is one of them."""
    data = output.detach().tolist()
    return GraphNode(name, "None", output.is_leaf, output.requires_grad, data, None, ())

"""The backward graph of one call, node by node: what PyTorch's tutorial shows by printing.

Imports torch; only `explain --graph` loads this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_Edge = Any  # torch.autograd.graph.Node, whose subclasses are made in C++


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A tensor and the node of the backward graph behind it.

    ``name`` is an input's name, ``output``, or empty for an intermediate result; ``data`` is
    None where PyTorch computed a result that no Python call returned. ``parents`` are the
    positions, in the list of nodes, of those that the gradient flows to next.
    """

    name: str
    grad_fn: str
    is_leaf: bool
    requires_grad: bool
    data: Any
    grad: Any
    parents: tuple[int, ...]


class _Recorder(TorchFunctionMode):
    """Keeps the value behind each grad_fn that a call leaves. State: the calls so far."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[_Edge, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for item in result if isinstance(result, tuple) else (result,):
            if isinstance(item, Tensor) and item.grad_fn is not None:
                self.values.setdefault(item.grad_fn, item.detach().clone())
        return result


def backward_graph(
    function: Callable[..., Tensor], inputs: dict[str, Tensor]
) -> tuple[GraphNode, ...]:
    """Call the function, run backward from the sum of its output, and describe every node.

    The output comes first and the inputs last; each node stands before those that its gradient
    flows to. The inputs must be leaves that require a gradient; their ``.grad`` is filled.
    """
    with _Recorder() as recorder:
        output = function(*inputs.values())
    if output.grad_fn is None:
        return (_alone(output), *(_leaf(name, tensor) for name, tensor in inputs.items()))
    values = {**recorder.values, output.grad_fn: output.detach()}
    nodes = _ordered(output.grad_fn)
    grads: dict[_Edge, Any] = {}
    for node in nodes:
        node.register_prehook(_keeper(grads, node))
    output.backward(torch.ones_like(output))  # type: ignore[no-untyped-call]
    return tuple(_described(nodes, values, grads, inputs))


def _ordered(root: _Edge) -> list[_Edge]:
    """Every node once, each before its parents: a depth-first post-order, reversed."""
    done: dict[_Edge, None] = {}
    stack: list[tuple[_Edge, Iterator[_Edge]]] = [(root, iter(_parents(root)))]
    seen = {root}
    while stack:
        node, rest = stack[-1]
        following = next((parent for parent in rest if parent not in seen), None)
        if following is None:
            done[node] = None
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(_parents(following))))
    return list(reversed(done))


def _parents(node: _Edge) -> tuple[_Edge, ...]:
    return tuple(parent for parent, _ in node.next_functions if parent is not None)


def _keeper(grads: dict[_Edge, Any], node: _Edge) -> Callable[[Any], None]:
    def keep(incoming: tuple[Tensor | None, ...]) -> None:
        first = next((grad for grad in incoming if grad is not None), None)
        grads[node] = None if first is None else first.detach().tolist()

    return keep


def _described(
    nodes: list[_Edge],
    values: dict[_Edge, Tensor],
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
            value = values.get(node)
            data = None if value is None else value.tolist()
            name = "" if position[node] else "output"
            yield GraphNode(
                name=name,
                grad_fn=node.name().rpartition("::")[2],
                is_leaf=False,
                requires_grad=True,
                data=data,
                grad=grads.get(node),
                parents=parents,
            )
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


def _alone(output: Tensor) -> GraphNode:
    """An output that does not depend on the inputs."""
    data = output.detach().tolist()
    return GraphNode("output", "None", output.is_leaf, output.requires_grad, data, None, ())

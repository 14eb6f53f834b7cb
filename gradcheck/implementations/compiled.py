"""An expression as PyTorch code: evaluated once on shapes alone, and recorded by ``torch.fx``.

What the evaluation calls is what the graph holds: functions, methods and attributes that the
languages allow, with arguments that are inputs, results, or plain numbers, texts and dtypes. No
text of a user is run as Python: names are checked, and all else is written by ``repr``.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from gradcheck.implementations.recorder import Recorder, public_names
from gradcheck.implementations.tensors import Home
from gradcheck.methods._torch.dispatch import DispatchMode
from gradcheck.query import Port

Evaluation = Callable[[Mapping[str, Any], Home], Any]
"""What an expression gives for the tensors by their names, and the home of its numbers."""


class TooLargeError(Exception):
    """An expression builds a tensor that passes the limit; the text says how large."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The recorded expression.

    ``only_for`` holds the shapes of the inputs where the expression asked for one; else the graph
    holds for all shapes.
    """

    module: fx.GraphModule
    only_for: tuple[torch.Size, ...] | None


def record_graph(
    evaluate: Evaluation,
    inputs: Sequence[Port],
    constants: Mapping[str, Any],
    home: Home,
    *,
    most: int | None,
) -> Compiled | None:
    """Return the expression's graph; None where only numbers could decide what is called.

    Constants that are tensors are cloned at each call: some functions write into their arguments
    (running statistics). With a limit the evaluation runs on PyTorch's meta device, where tensors
    have a shape and no memory; without one, and where a function is not made for that device, on
    drawn numbers, which no graph depends on.

    Errors: TooLargeError for a tensor of more than ``most`` entries. Other errors are left to the
            evaluation that counts, and give None.
    """
    if most is not None:
        found = _recorded(evaluate, inputs, constants, Recorder(home, _META), most)
        if found is not None:
            return found
    found = _recorded(evaluate, inputs, constants, Recorder(home, _CPU), most)
    # Shapes that were not to be had without numbers may hang on them.
    return None if found and most is not None and found.only_for is not None else found


_META, _CPU = torch.device("meta"), torch.device("cpu")


def _recorded(
    evaluate: Evaluation,
    inputs: Sequence[Port],
    constants: Mapping[str, Any],
    recorder: Recorder,
    most: int | None,
) -> Compiled | None:
    """What one recorder makes of it, as ``record_graph`` does."""
    trial = replace(recorder.home, device=recorder.trial)
    examples = {port.name: _example(port, trial) for port in inputs}
    values = {
        **{name: recorder.constant(value) for name, value in constants.items()},
        **{name: recorder.input(name, value) for name, value in examples.items()},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come again in the evaluation that counts
        try:
            with nullcontext() if most is None else _Limit(most), recorder:
                result = evaluate(values, trial)
            module = recorder.module(result)
        except TooLargeError:
            raise
        except Exception:  # the evaluation that counts will say it
            return None
    shapes = tuple(each.shape for each in examples.values())
    return Compiled(module, shapes if recorder.asked_shape else None)


def _example(port: Port, trial: Home) -> Tensor:
    dtype = trial.complex_dtype if port.kind == "complex" else trial.dtype
    if trial.device.type == "meta":
        return torch.empty(port.shape, dtype=dtype, device=trial.device)
    drawn = torch.rand(port.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return drawn.to(dtype)


def source(compiled: Compiled) -> str:
    """Return the recorded expression as Python text that defines ``subject``."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(compiled.module.graph, {}))
    for node in graph.nodes:
        if node.op == "get_attr":
            _write_out(graph, node, getattr(compiled.module, str(node.target)))
        elif node.op == "call_function" and node.target in public_names():
            node.target = _stand_in(public_names()[node.target])
    written = graph.python_code("self")
    text = re.sub(r";  (\w+ = )+None$", "", written.src.strip(), flags=re.MULTILINE)
    text = text.replace("def forward(self, ", "def subject(", 1)
    imports = ["import torch", *(line for name, line in _IMPORTS.items() if name in text)]
    return "\n".join([*imports, "", text, ""])


_IMPORTS = {
    "device(": "from torch import device",
    "inf": "from math import inf",
    "nan": "from math import nan",
}


def _write_out(graph: fx.Graph, node: fx.Node, value: Tensor) -> None:
    """Put the call that makes a constant in the place of the attribute."""
    with graph.inserting_before(node):
        kind: dict[str, Any] = {"dtype": value.dtype, "device": value.device}
        made = graph.call_function(torch.tensor, (value.tolist(),), kind)
    node.replace_all_uses_with(made)
    graph.erase_node(node)


def _stand_in(name: str) -> Callable[..., Any]:
    """A function that is written with that name: PyTorch's own names are often private."""

    def called() -> None: ...

    called.__module__, _, called.__name__ = name.rpartition(".")
    return called


class _Limit(DispatchMode):
    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def __torch_dispatch__(
        self, function: Any, _types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        result = function(*arguments, **(keywords or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.numel() > self.most:
                raise TooLargeError(
                    f"{function.__name__.partition('.')[0]} builds a tensor of shape "
                    f"{list(leaf.shape)}, more than {self.most:,} elements"
                )
        return result

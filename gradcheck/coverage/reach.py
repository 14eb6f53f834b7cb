"""What a catalog reaches: its code is called once a variant, and PyTorch says what ran.

Names are seen by a function mode, forward formulas by a dispatch mode, nodes by a walk of the
backward graph, of the results and of their gradients. No text is looked at.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from gradcheck.answer import Invocation
from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.coverage.inventory import (
    BACKWARD_NODE,
    DOUBLE_BACKWARD_NODE,
    FORWARD_FORMULA,
    OPERATOR,
    Item,
    functional_name,
    items,
    listed,
)
from gradcheck.dtypes import DTYPES
from gradcheck.implementations.overridable import function_of
from gradcheck.implementations.subject import subject_of
from gradcheck.methods._torch.calling import (
    dual_level,
    duals_of,
    input_leaves,
    result_of,
    warm_up,
)
from gradcheck.methods._torch.compositions import forward_over_reverse, slopes_of
from gradcheck.methods._torch.dispatch import DispatchMode
from gradcheck.methods._torch.graph import nodes
from gradcheck.points.fixed import fixed_points
from gradcheck.points.plan import Recipe, Site, batch_of

Found = tuple[str, str]
"""The kind of what was reached, and its name."""

_ROUNDS = 8  # of drawn points, before the declared ones are taken


@dataclass(frozen=True, slots=True)
class Reach:
    """By item the cases that reach it, none for those that no case does.

    ``failed`` says of code that could not be called why; what it may reach is not known.
    """

    cases: Mapping[Item, tuple[str, ...]]
    failed: Mapping[str, str]


def reach_of(cases: Iterable[Case]) -> Reach:
    """Call every implementation of every variant, and say what was reached."""
    warm_up()
    by_found: dict[Found, dict[str, None]] = defaultdict(dict)
    failed: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is deprecated: a run shows them
        for case in cases:
            name = f"{case.where.path}::{case.name}"
            for number, variant, implementation in _trials(case):
                try:
                    for found in _reached(case, variant, implementation):
                        by_found[found][name] = None
                except Exception as error:
                    failed[f"{name}[{variant.name}-{number}]"] = f"{type(error).__name__}: {error}"
    return Reach(
        {item: tuple(by_found.get((item.kind, item.name), ())) for item in items()}, failed
    )


def _trials(case: Case) -> Iterator[tuple[int, Variant, Implementation]]:
    for variant in case.variants:
        for number, implementation in enumerate(case.implementations):
            yield number, variant, implementation


def _reached(case: Case, variant: Variant, implementation: Implementation) -> Iterator[Found]:
    """Yield what one implementation reaches, and some of it more than once."""
    dtype = case.dtypes[0]
    invocation = Invocation(
        function=subject_of(case, variant, implementation, dtype, "cpu"),
        inputs=_point(case, variant, dtype),
        batched=False,
        outputs=variant.formula.ports_on_trial,
        order=case.order,
        dtype=dtype,
        device="cpu",
        seed=0,
    )
    inputs = input_leaves(invocation, requires_grad=True)
    with _Calls() as calls, _Kernels() as kernels:
        results = result_of(invocation, inputs)
    yield from ((OPERATOR, name) for name in calls.names)
    yield from ((BACKWARD_NODE, name) for name in _names(results))
    if _is_there(lambda: _forward(invocation)):
        yield from ((FORWARD_FORMULA, name) for name in kernels.names)
    if case.order > 1:
        yield from _beyond(invocation, inputs, results)


def _beyond(
    invocation: Invocation, inputs: Sequence[Tensor], results: Sequence[Tensor]
) -> Iterator[Found]:
    """Yield what the derivative of the gradient reaches, by reverse and by forward mode."""
    weights = [torch.ones_like(result) for result in results]
    slopes: list[Tensor | None] = []
    with _Kernels() as kernels:
        if not _is_there(lambda: slopes.extend(slopes_of(results, inputs, weights))):
            return
    for name in _names(slopes):
        yield BACKWARD_NODE, name
        yield DOUBLE_BACKWARD_NODE, name
    if _is_there(lambda: list(forward_over_reverse(invocation, "", 2, 0))):
        yield from ((FORWARD_FORMULA, name) for name in kernels.names)


def _point(case: Case, variant: Variant, dtype: str) -> tuple[Any, ...]:
    """One drawn point that meets `where`, else the first declared one."""
    site = Site(variant.inputs, variant.formula, DTYPES[dtype])
    for key in range(_ROUNDS):
        batch = batch_of(site, "bulk", Recipe(key, ()), 4)
        if batch.count:
            return tuple(batch.points[each.name][:1] for each in variant.inputs)
    at = fixed_points(case, variant, DTYPES[dtype])[0].at
    return tuple(at[each.name][None] for each in variant.inputs)


def _forward(invocation: Invocation) -> None:
    inputs = input_leaves(invocation, requires_grad=False)
    with dual_level():
        result_of(invocation, duals_of(inputs, [torch.ones_like(each) for each in inputs]))


def _is_there(derivative: Callable[[], object]) -> bool:
    """Whether PyTorch has a derivative, which is asked for; witnesses say why it has none."""
    try:
        derivative()
    except Exception:
        return False
    return True


def _names(results: Sequence[Tensor | None]) -> set[str]:
    return {node.name().rpartition("::")[2] for node in nodes(results)}


class _Calls(TorchFunctionMode):
    """Names of the operator database that were called. State: those so far."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(
        self, function: Any, _types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        self.names.update(_operators().get(function, ()))
        return function(*arguments, **(keywords or {}))


class _Kernels(DispatchMode):
    """Schemas below autograd that took part in what is differentiated. State: those so far."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, _types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        leaves = tree_leaves((arguments, keywords))
        if any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves):
            self.names.add(functional_name(_schema(function)))
        return function(*arguments, **(keywords or {}))


def _schema(function: Any) -> str:
    """``add.Tensor`` of ``aten.add.Tensor``, ``exp`` of ``aten.exp.default``."""
    return str(function).removeprefix("aten.").removesuffix(".default")


@cache
def _operators() -> Mapping[Any, tuple[str, ...]]:
    """By what the function mode sees the names of the database that it stands for."""
    found: dict[Any, list[str]] = defaultdict(list)
    for each in listed():
        for spelling in (each.name, *each.aliases):
            for function in _functions(spelling):
                if each.name not in found[function]:
                    found[function].append(each.name)
    return {function: tuple(names) for function, names in found.items()}


_HOMES: tuple[Callable[[str], str], ...] = (
    lambda name: name.removeprefix("torch."),
    lambda name: f"functional.{name}",
    lambda name: f"Tensor.{name}",
    lambda name: f"Tensor.{name}_",
    lambda name: f"Tensor.__{name}__",
    lambda name: f"Tensor.__i{name}__",
    lambda name: f"ops.aten.{name.removeprefix('torch.ops.aten.').removesuffix('.default')}",
)
"""Where the function, the methods and the operator of a name may stand in torch."""


def _functions(name: str) -> Iterator[Any]:
    for home in _HOMES:
        try:
            found = function_of(f"torch.{home(name)}")
        except AttributeError:
            continue
        if callable(found):
            yield found
        elif hasattr(found, "__get__"):  # an attribute such as T
            yield found.__get__

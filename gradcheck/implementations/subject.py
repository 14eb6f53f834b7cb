"""What is on trial, as one thing that is called with tensors, whatever spelled it.

Before it is called: whether it would build giants, and whether one call takes many points.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.errors import Misconduct
from gradcheck.implementations.function import load_callable, load_function, taking_inputs
from gradcheck.implementations.tensors import Home, constant, home_of
from gradcheck.implementations.torch_language import evaluate
from gradcheck.implementations.translation import translate

Subject = Callable[..., Tensor]


class NotATensorError(Misconduct):
    """An implementation returned something else than a tensor. It is its misconduct, not ours."""


class ChangedSettingError(Misconduct):
    """An implementation left a setting of torch changed, by which the next call would suffer."""


def subject_of(
    case: Case, variant: Variant, implementation: Implementation, dtype: str, device: str
) -> Subject:
    """The implementation, called with tensors in the order of the case's inputs.

    ``function`` is imported here: whether it may be is asked before, see ``trust``.

    Errors: CatalogError where ``function`` cannot be loaded. The subject itself raises
            NotATensorError, ChangedSettingError, WrongArgumentsError, or whatever the
            implementation raises.
    """
    home = home_of(dtype, device)
    if implementation.call is not None:
        return _one_tensor(taking_inputs(load_callable(implementation, home)))
    if implementation.function is not None:
        return _one_tensor(taking_inputs(load_function(implementation, home)))
    if implementation.tree is not None:
        return _one_tensor(_expression(case, variant, implementation, home))
    return _one_tensor(_formula(case, variant, home))


def _expression(
    case: Case, variant: Variant, implementation: Implementation, home: Home
) -> Callable[..., Any]:
    tree, names = implementation.tree, [each.name for each in case.inputs]
    constants = {name: constant(value, home) for name, value in case.constants.items()}
    too_large = _too_large(case, variant, implementation)
    assert tree is not None

    def call(*tensors: Tensor) -> Any:
        if too_large is not None:
            raise TooLargeError(too_large)
        # Some functions write into their arguments (running statistics): each call has its own.
        fresh = {
            name: value.clone() if isinstance(value, Tensor) else value
            for name, value in constants.items()
        }
        inputs = dict(zip(names, tensors, strict=True))
        return evaluate(tree, {**fresh, **variant.values, **inputs}, home)

    return call


@lru_cache(maxsize=8)  # the checks of an implementation follow each other
def _too_large(case: Case, variant: Variant, implementation: Implementation) -> str | None:
    """What the expression would build that is too large, in any dtype on any device; or None."""
    meta = home_of("float64", "meta")
    tree = implementation.tree
    assert tree is not None
    constants = {name: constant(value, meta) for name, value in case.constants.items()}
    inputs = {
        each.name: torch.empty(each.shape, dtype=meta.dtype, device=meta.device)
        for each in case.inputs
    }
    return oversize(
        lambda values: evaluate(tree, values, meta), {**constants, **variant.values, **inputs}
    )


def _formula(case: Case, variant: Variant, home: Home) -> Callable[..., Any]:
    names = [each.name for each in case.inputs]

    def call(*tensors: Tensor) -> Tensor:
        inputs = dict(zip(names, tensors, strict=True))
        values = {**case.constants, **variant.values, **inputs}
        return translate(case.formula, case.lets, values, home)

    return call


_ONE_OF_MANY = (
    ": name a function that returns one of them, or several joined into one, as torch.cat does"
)


def _one_tensor(function: Callable[..., Any]) -> Subject:
    def call(*tensors: Tensor) -> Tensor:
        result = _contained(function, tensors)
        if not isinstance(result, Tensor):
            kind = type(result).__name__
            size = f" of {len(result)}" if isinstance(result, list | tuple) else ""
            raise NotATensorError(
                f"the implementation returned a {kind}{size}, expected one tensor"
                + (_ONE_OF_MANY if size else "")
            )
        return result

    return call


def _contained(function: Callable[..., Any], tensors: tuple[Tensor, ...]) -> Any:
    """What the call gives; a setting that it left changed is set back, and is misconduct."""
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        result = function(*tensors)
    finally:
        left = (torch.is_grad_enabled(), torch.get_default_dtype())
        if left != (grad, dtype):
            torch.set_grad_enabled(grad)
            torch.set_default_dtype(dtype)
    if left[0] is not grad:
        raise ChangedSettingError(f"the implementation left torch.set_grad_enabled({left[0]})")
    if left[1] is not dtype:
        raise ChangedSettingError(f"the implementation left torch.set_default_dtype({left[1]})")
    return result


MOST_ELEMENTS = 2**20


class TooLargeError(Exception):
    """An expression builds a tensor that passes the limit; the text says how large."""


def oversize(evaluate: Callable[[Mapping[str, Any]], Any], values: Mapping[str, Any]) -> str | None:
    """What is too large in an evaluation, or None.

    It is run on PyTorch's meta device, where tensors have a shape and no memory. Where that device
    cannot follow (an operator that looks at numbers), what comes after is not foreseen.
    """
    shapes = {
        name: value.to("meta") if isinstance(value, Tensor) else value
        for name, value in values.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come again in the evaluation that counts
        try:
            with _Limit():  # type: ignore[no-untyped-call]
                evaluate(shapes)
        except TooLargeError as error:
            return str(error)
        except Exception:  # the evaluation that counts will say it
            return None
    return None


class _Limit(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(
        self, function: Any, _types: Any, arguments: Any = (), keywords: Any = None
    ) -> Any:
        result = function(*arguments, **(keywords or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.numel() > MOST_ELEMENTS:
                raise TooLargeError(
                    f"{function.__name__.partition('.')[0]} builds a tensor of shape "
                    f"{list(leaf.shape)}, more than {MOST_ELEMENTS:,} elements"
                )
        return result


_RTOL = 1e-3
"""Wide enough for kernels that differ by rounding; a function that mixes points is off by far."""


def acts_on_each_point(function: Callable[..., Any], points: Sequence[Tensor]) -> bool:
    """Whether a call on all points at once gives what calls on single points give.

    Shapes: ``points`` holds one tensor [count] for each input. The function must give [count]
            for them, and a tensor [] for single numbers.
    Errors: none; an implementation that raises does not act on each point.
    """
    copies = [point.detach().clone() for point in points]
    try:
        with torch.no_grad():
            together = function(*copies)
            singly = [
                function(*(entry.clone() for entry in point)) for point in zip(*points, strict=True)
            ]
            return _same(together, singly)
    except (Exception, SystemExit):
        return False


def _same(together: Any, singly: list[Any]) -> bool:
    if not isinstance(together, Tensor) or together.shape != (len(singly),):
        return False
    if any(not isinstance(value, Tensor) or value.shape != () for value in singly):
        return False
    return torch.allclose(together, torch.stack(singly), rtol=_RTOL, atol=0.0, equal_nan=True)

"""Whether an expression would build tensors beyond all measure, found without building them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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

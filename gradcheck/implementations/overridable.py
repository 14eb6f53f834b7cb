"""Generates the list of names that the torch language allows, and says what each means.

``python -m gradcheck.implementations.overridable > gradcheck/language/torch_names.txt`` renews
it; the difference is then reviewed by a human. A test holds the list against this module.

Beside what PyTorch lists as overridable stand names that we add. Those functions are handed over
to a function mode like all others, so that a call is one call to who listens.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from functools import cache, wraps
from operator import attrgetter
from typing import Any

import torch
from torch.overrides import get_overridable_functions, handle_torch_function, has_torch_function

_NAMESPACES = {
    "torch": torch,
    "torch.functional": torch.functional,
    "torch.nn.functional": torch.nn.functional,
    "torch.linalg": torch.linalg,
    "torch.fft": torch.fft,
    "torch.special": torch.special,
    "torch.Tensor": torch.Tensor,
}

EXCLUDED: tuple[tuple[str, str], ...] = (
    (r".*\._.*", "private names, pickling, NumPy's and DLPack's protocols"),
    (r".*\.register_\w*hook|.*\.retain_grad", "hooks"),
    (r".*\.(untyped_)?storage|.*\.storage_(type|offset)|.*\.is_set_to|.*\.set_", "storages"),
    (r".*\.(sparse_)?resize\w*", "storages: may show memory that nobody wrote"),
    (r".*data_ptr|.*\.fbgemm_.*", "pointers"),
    (r".*\.(share_memory_|is_shared|pin_memory|is_pinned|record_stream)", "memory and streams"),
    (r".*\.numpy", "NumPy"),
    (r".*\.(apply_|map_|map2_)", "calls back into Python"),
    (r".*\.(backward|requires_grad_)", "the state of autograd, which belongs to the witnesses"),
    (r".*\.module_load|torch\.autocast", "the state of modules and of the process"),
)
"""What PyTorch lists and the language does not take: a pattern of whole names, and why."""


_ADDED_BY_MODULE = {
    "torch.nn.functional": (
        "hardsigmoid hardswish upsample upsample_bilinear upsample_nearest",
        "Python functions that PyTorch hands to nobody",
    ),
    "torch.masked": (
        "amax amin cumprod cumsum log_softmax logaddexp logsumexp mean median norm normalize prod "
        "softmax softmin std sum var",
        "reductions of the entries where a mask holds",
    ),
    "torch.sparse": (
        "addmm log_softmax mm sampled_addmm softmax sum",
        "on what `to_sparse` gives; the result's `to_dense` is judged",
    ),
    "torch": ("fill", "a function of tensors that PyTorch does not list"),
    "torch.Tensor": (
        "to_sparse_bsc to_sparse_bsr to_sparse_csc to_sparse_csr",
        "methods that PyTorch does not list",
    ),
    "torch.ops.aten": (
        "_convolution _foreach_div _foreach_maximum _foreach_minimum _foreach_mm _foreach_norm "
        "_foreach_pow _fused_rms_norm _masked_softmax _neg_view_copy _reshape_copy "
        "_safe_softmax _softmax_backward_data _unsafe_index _unsafe_index_put "
        "_unsafe_masked_index _unsafe_masked_index_put_accumulate _upsample_bilinear2d_aa "
        "alias lift_fresh_copy native_dropout_backward norm slice slow_conv_dilated2d "
        "slow_conv_dilated3d",
        "kernels with a derivative of their own that no function above reaches; only such as check "
        "shapes and indices themselves, or they would read and write memory of others",
    ),
}
"""Names by their module, and what they are: read and taken one by one."""
ADDED = frozenset(
    f"{module}.{name}" for module, (names, _) in _ADDED_BY_MODULE.items() for name in names.split()
)


def allowed_names() -> list[str]:
    """The sorted names, spelled as the language spells them (``torch.Tensor.exp`` for methods)."""
    return sorted(ADDED | {name for name in overridable_names() if not reason_to_exclude(name)})


@cache
def function_of(name: str) -> Callable[..., Any]:
    """The function of that dotted name; only for names on the list.

    Errors: AttributeError where the installed PyTorch has none.
    """
    try:
        found: Callable[..., Any] = attrgetter(name.removeprefix("torch."))(torch)
    except AttributeError:
        raise AttributeError(f"PyTorch {torch.__version__} has no {name}") from None
    is_ours = name in ADDED and not name.startswith("torch.Tensor.")
    return _handed_over(found) if is_ours else found


def _handed_over(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one that a function mode sees."""

    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if has_torch_function(arguments[:1]):
            return handle_torch_function(call, arguments[:1], *arguments, **keywords)
        return function(*arguments, **keywords)

    call.__module__ = __name__  # what is PyTorch's by its module, torch.fx calls by its name
    return call


def overridable_names() -> set[str]:
    """Every name under which the installed PyTorch offers an overridable function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some names on PyTorch's own list are deprecated
        functions = get_overridable_functions()
        return {
            f"{prefix}.{name}"
            for prefix, namespace in _NAMESPACES.items()
            for name in dir(namespace)
            if _is_one_of(getattr(namespace, name), functions.get(namespace, ()))
        }


def reason_to_exclude(name: str) -> str | None:
    """Why the language refuses an overridable name, or None."""
    return next((why for pattern, why in EXCLUDED if re.fullmatch(pattern, name)), None)


def _is_one_of(candidate: object, functions: object) -> bool:
    # Method descriptors are made anew at each look, so they are compared by == too.
    return callable(candidate) and any(
        candidate is function or candidate == function
        for function in functions  # type: ignore[attr-defined]
    )


if __name__ == "__main__":
    sys.stdout.write("\n".join(allowed_names()) + "\n")

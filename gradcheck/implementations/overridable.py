"""Generates the list of names that the torch language allows, from the installed PyTorch.

``python -m gradcheck.implementations.overridable > gradcheck/language/torch_names.txt`` renews
it; the difference is then reviewed by a human. A test holds the list against this module.
"""

from __future__ import annotations

import re
import sys
import warnings

import torch
from torch.overrides import get_overridable_functions

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


def allowed_names() -> list[str]:
    """The sorted names, spelled as the language spells them (``torch.Tensor.exp`` for methods)."""
    return sorted(name for name in overridable_names() if not reason_to_exclude(name))


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

"""The names that the torch language allows. Knows no torch.

Functions and methods stand in ``torch_names.txt``, for review; ``gradcheck.subjects.overridable``
made it from what PyTorch lists.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from gradcheck.formula.nodes import Node, whole_name

ATTRIBUTES = frozenset({"T", "mT", "H", "mH", "real", "imag", "shape", "ndim", "dtype"})
DTYPES = frozenset(
    f"torch.{name}"
    for name in (
        *("float16", "float32", "float64", "bfloat16", "complex64", "complex128", "bool"),
        *("int8", "int16", "int32", "int64", "uint8"),
        *("half", "float", "double", "cfloat", "cdouble", "short", "int", "long"),
    )
)
METHODS = "torch.Tensor."


@cache
def allowed() -> frozenset[str]:
    """Every function and method: ``torch.linalg.det``, ``torch.Tensor.exp``."""
    text = files("gradcheck.formula").joinpath("torch_names.txt").read_text("utf-8")
    return frozenset(text.split())


def dotted(node: Node, names: frozenset[str]) -> str | None:
    """The whole name of ``torch.a.b`` or ``F.a`` (with ``F`` written out), or None.

    ``names`` are those the case defines: an input called ``F`` is that input.
    """
    root, rest = whole_name(node)
    if root not in {"torch", "F"} - (names - {"torch"}):
        return None
    return ("torch.nn.functional" if root == "F" else "torch") + rest

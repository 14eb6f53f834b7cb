"""Certified verdicts on PyTorch's gradients."""

from __future__ import annotations

TYPE_CHECKING = False  # the command loads this first, and Ctrl-C must not find it waiting
if TYPE_CHECKING:
    from typing import Any

__all__ = ["GradientDisagreement", "__version__", "verify"]


def __getattr__(name: str) -> Any:
    """Load what Python users call only when they call it: torch takes a second."""
    if name == "__version__":
        return _version()
    if name in __all__:
        from gradcheck import verification

        return getattr(verification, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("gradcheck")
    except metadata.PackageNotFoundError:  # a copy of the source that was never installed
        return "unknown"

"""Certified verdicts on PyTorch's gradients."""

from __future__ import annotations

TYPE_CHECKING = False  # the command loads this first, and Ctrl-C must not find it waiting
if TYPE_CHECKING:
    from typing import Any

_HOMES = {
    "GradientDisagreement": "verification",
    "explain": "presentation",
    "plot": "presentation",
    "strategies": "strategies",
    "verify": "verification",
}
"""The module that each public name is in, or is."""

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - the keys are texts


def __getattr__(name: str) -> Any:
    """Load what Python users call only when they call it: torch takes a second."""
    if name == "__version__":
        return _version()
    if name in _HOMES:
        from importlib import import_module

        home = import_module(f"gradcheck.{_HOMES[name]}")
        return home if name == _HOMES[name] else getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("gradcheck")
    except metadata.PackageNotFoundError:  # a copy of the source that was never installed
        return "unknown"

"""The devices that a command meant to judge one function uses. Loads torch."""

from __future__ import annotations

import torch

from gradcheck.errors import UsageError


def devices_of(text: str) -> tuple[str, ...]:
    """The devices that ``auto``, or a list such as ``cpu,cuda:1``, means.

    Errors: UsageError for one that is not there.
    """
    if text == "auto":
        return _there()
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words or ("",):
        if not _works(word):
            raise UsageError(
                f"--device {word}: no such device here",
                f"one or more of {', '.join(_there())}, or auto",
                "write auto to run on what is there",
            )
    return words


def one_device(text: str) -> str:
    """Errors: UsageError for a device that is not there, and for several."""
    first, *rest = devices_of(text)
    if rest and text != "auto":
        raise UsageError(f"--device {text}: several", "one device", f"write --device {first}")
    return first


def _there() -> tuple[str, ...]:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return ("cpu",) if accelerator is None else ("cpu", accelerator.type)


def _works(name: str) -> bool:
    """Whether numbers can be kept there; `meta` only says that it could."""
    try:
        return torch.zeros(1, device=name).item() == 0.0
    except (RuntimeError, AssertionError, NotImplementedError):  # each backend has its own
        return False

"""The markers by which ``-m`` selects checks, all of them registered."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest

from gradcheck.dtypes import DTYPES, LATER_DTYPES
from gradcheck.methods import LATER_WITNESSES, METHODS, WITNESSES
from gradcheck.plugin.state import devices_of, settings_of

if TYPE_CHECKING:
    from gradcheck.catalog.checks import Check

_DEVICES = ("cpu", "cuda", "mps", "xpu")
_ORDERS = ("order0", "order1", "order2")
_NO_DETERMINISM = "ignore:.*does not have a deterministic implementation:UserWarning"
_REGISTERED = pytest.StashKey[set[str]]()


def register_markers(config: pytest.Config) -> None:
    """Register what every run may have; a case's tags follow when they are collected."""
    config.stash[_REGISTERED] = set()
    for device in _DEVICES:
        _register(config, device, f"checks on the device {device}")
    for dtype in (*DTYPES, *LATER_DTYPES):
        _register(config, dtype, f"checks in {dtype}")
    for witness in (*WITNESSES, *LATER_WITNESSES):
        _register(config, witness, f"checks by the witness {witness}")
    for order in _ORDERS:
        _register(config, order, f"checks of derivatives of order {order[-1]}")


def check_markers(check: Check, config: pytest.Config) -> Iterator[pytest.MarkDecorator]:
    """The markers of a check; a tag that pytest refuses as one is left to ``-k``."""
    device = check.device.partition(":")[0]
    _register(config, device, f"checks on the device {device}")
    for name in (device, check.dtype, check.witness, f"order{METHODS[check.witness].order}"):
        yield _marker(name)
    for tag in check.case.tags:
        if not tag.startswith("_"):
            _register(config, tag, "a tag of gradcheck cases")
            yield _marker(tag)
    if device == "cuda":
        yield pytest.mark.filterwarnings(_NO_DETERMINISM)


def fault_markers(config: pytest.Config) -> Iterator[pytest.MarkDecorator]:
    """The markers of what fails instead of checks: those of all checks, so that ``-m`` keeps it."""
    settings = settings_of(config)
    bare = (device.partition(":")[0] for device in devices_of(config))
    for name in dict.fromkeys((*bare, *settings.dtypes, *settings.witnesses, *_ORDERS)):
        _register(config, name, "checks of gradcheck")
        yield _marker(name)


@cache
def _marker(name: str) -> pytest.MarkDecorator:
    marker: pytest.MarkDecorator = getattr(pytest.mark, name)
    return marker


def _register(config: pytest.Config, name: str, text: str) -> None:
    if name not in config.stash[_REGISTERED]:
        config.stash[_REGISTERED].add(name)
        config.addinivalue_line("markers", f"{name}: {text}")

"""The markers by which ``-m`` selects checks, all of them registered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gradcheck.catalog.checks import Check
from gradcheck.catalog.witness_names import LATER_WITNESSES, WITNESSES
from gradcheck.records import order_of
from gradcheck.setting import DTYPES, LATER_DTYPES

_DEVICES = ("cpu", "cuda", "mps", "xpu")
_ORDERS = ("order1", "order2")
_OF_PYTEST = frozenset({"skip", "skipif", "xfail", "usefixtures", "parametrize", "filterwarnings"})

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


def check_markers(check: Check, config: pytest.Config) -> Iterator[str]:
    """The names of a check's markers.

    A tag that means something to pytest, or that pytest refuses, is left to ``-k``.
    """
    device = check.device.split(":")[0]
    _register(config, device, f"checks on the device {device}")
    yield from (device, check.dtype, check.witness, f"order{order_of(check.witness)}")
    for tag in check.case.tags:
        if tag not in _OF_PYTEST and not tag.startswith("_"):
            _register(config, tag, "a tag of gradcheck cases")
            yield tag


def _register(config: pytest.Config, name: str, text: str) -> None:
    if name not in config.stash[_REGISTERED]:
        config.stash[_REGISTERED].add(name)
        config.addinivalue_line("markers", f"{name}: {text}")

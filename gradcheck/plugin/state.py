"""What one process of a run knows: its settings, its devices, and whether torch is ready."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from gradcheck import devices
from gradcheck.plugin import machine
from gradcheck.plugin.options import Settings, spelling

SETTINGS = pytest.StashKey[Settings]()
_DEVICES = pytest.StashKey[tuple[str, ...]]()
_NAMES = pytest.StashKey[dict[str, str]]()
_DEVICES_FOR_WORKERS = "gradcheck_devices"


def settings_of(config: pytest.Config) -> Settings:
    return config.stash[SETTINGS]


def worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """What the controller gave to this worker of pytest-xdist; None elsewhere."""
    return getattr(config, "workerinput", None)


def has_workers(config: pytest.Config) -> bool:
    """Whether this process is the controller of pytest-xdist."""
    return worker_input(config) is None and bool(
        config.getoption("numprocesses", None) or config.getoption("tx", None)
    )


def devices_of(config: pytest.Config) -> tuple[str, ...]:
    """The devices of the run, decided once: in the controller, which tells its workers.

    Errors: UsageError if one was asked for that is not there.
    """
    if _DEVICES not in config.stash:
        given = worker_input(config)
        chosen = (
            devices.choose(settings_of(config).device, spelling(config, "device"))
            if given is None
            else tuple(given[_DEVICES_FOR_WORKERS])
        )
        config.add_cleanup(machine.make_repeatable(chosen))
        config.stash[_DEVICES] = chosen
    return config.stash[_DEVICES]


def tell_worker(config: pytest.Config, given: dict[str, Any]) -> None:
    given[_DEVICES_FOR_WORKERS] = list(devices_of(config))


def ready_device(config: pytest.Config, device: str) -> str:
    """Make this process ready to compute, once, and return what the device calls itself."""
    if _NAMES not in config.stash:
        machine.prepare_torch(devices_of(config), worker=worker_input(config) is not None)
        config.stash[_NAMES] = {}
    names = config.stash[_NAMES]
    if device not in names:
        names[device] = devices.name_of(device)
    return names[device]


def open_path(config: pytest.Config) -> None:
    """Let trusted modules be found in the project's root, behind everything else, for this run."""
    root = str(config.rootpath)
    if settings_of(config).trusted and root not in sys.path:
        sys.path.append(root)
        config.add_cleanup(lambda: sys.path.remove(root))

"""What one process of a run knows: its settings, its devices, and whether torch is ready."""

from __future__ import annotations

from typing import Any

import pytest

from gradcheck import devices
from gradcheck.implementations.trust import ProjectModules
from gradcheck.plugin import machine
from gradcheck.plugin.options import Settings, spelling

SETTINGS = pytest.StashKey[Settings]()
_DEVICES = pytest.StashKey[tuple[str, ...]]()
_NAMES = pytest.StashKey[dict[str, str]]()
_DEVICES_FOR_WORKERS = "gradcheck_devices"
_NAMES_PATHS = "gradcheck_names_paths"
_PROJECT = pytest.StashKey[ProjectModules]()


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
        told = (worker_input(config) or {}).get(_DEVICES_FOR_WORKERS)
        chosen = (
            tuple(told)
            if told
            else devices.choose(settings_of(config).device, spelling(config, "device"))
        )
        config.add_cleanup(machine.make_repeatable(chosen))
        config.stash[_DEVICES] = chosen
    return config.stash[_DEVICES]


def names_paths(config: pytest.Config) -> bool:
    """Whether the command line, and not the ini file, says what is to be collected."""
    given = worker_input(config)
    if given is not None:  # which has all paths by its command line
        return bool(given[_NAMES_PATHS])
    return config.args_source is pytest.Config.ArgsSource.ARGS


def tell_worker(config: pytest.Config, given: dict[str, Any], *, of_devices: bool) -> None:
    """Hand over what the controller knows; finding ``of_devices`` may need torch."""
    given[_NAMES_PATHS] = names_paths(config)
    given[_DEVICES_FOR_WORKERS] = list(devices_of(config)) if of_devices else []


def ready_device(config: pytest.Config, device: str) -> str:
    """Make this process ready to compute, once, and return what the device calls itself."""
    if _NAMES not in config.stash:
        machine.prepare_torch(devices_of(config), worker=worker_input(config) is not None)
        config.stash[_NAMES] = {}
    names = config.stash[_NAMES]
    if device not in names:
        names[device] = devices.name_of(device)
    return names[device]


def project_modules(config: pytest.Config) -> ProjectModules:
    """Return what makes the modules in the project's root importable for a while."""
    return config.stash.setdefault(_PROJECT, ProjectModules(config.rootpath))

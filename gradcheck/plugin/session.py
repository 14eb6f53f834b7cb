"""What one process of a run knows, and how it is made ready to compute as a check expects.

One thread a worker, and no shortcuts on a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck import devices
from gradcheck.devices import make_known
from gradcheck.errors import UsageError
from gradcheck.implementations.trust import ProjectModules
from gradcheck.plugin.isolation import Examiner, Setup
from gradcheck.plugin.options import Settings, spelling

if TYPE_CHECKING:
    from gradcheck.cluster import Cluster

SETTINGS = pytest.StashKey[Settings]()
DONE = pytest.StashKey[frozenset[str]]()
_DEVICES = pytest.StashKey[tuple[str, ...]]()
_NAMES = pytest.StashKey[dict[str, str]]()
_DEVICES_FOR_WORKERS = "gradcheck_devices"
_DONE_FOR_WORKERS = "gradcheck_done"
_NAMES_PATHS = "gradcheck_names_paths"
_EXAMINER = pytest.StashKey[Examiner]()
_PROJECT = pytest.StashKey[ProjectModules]()
_CLUSTER = pytest.StashKey["Cluster | None"]()


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
        chosen = tuple(told) if told else _chosen_devices(config)
        config.add_cleanup(make_repeatable(chosen))
        config.stash[_DEVICES] = chosen
    return config.stash[_DEVICES]


def _chosen_devices(config: pytest.Config) -> tuple[str, ...]:
    text, option = settings_of(config).device, spelling(config, "device")
    cluster = cluster_of(config)
    if cluster is None:
        return devices.choose(text, option)
    return devices.choose_among(text, option, _offered(cluster))


def _offered(cluster: Cluster) -> list[str]:
    """The CPU, and the accelerators of workers that say that they have one to offer."""
    workers, found = cluster.workers(), {devices.HOST: None}
    for address, told in sorted(cluster.everywhere("gradcheck.devices:there").items()):
        if "GPU" in (workers.get(address, {}).get("resources") or {}):
            found |= dict.fromkeys(told["answer"])
    return list(found)


def cluster_of(config: pytest.Config) -> Cluster | None:
    """Return the workers that the checks are for; None where they are examined here.

    Errors: UsageError where they cannot be had, or with what else examines checks.
    """
    if _CLUSTER not in config.stash:
        address = settings_of(config).scheduler if worker_input(config) is None else ""
        config.stash[_CLUSTER] = _connected(config, address) if address else None
    return config.stash[_CLUSTER]


def _connected(config: pytest.Config, address: str) -> Cluster:
    option = spelling(config, "scheduler")
    other = "--in-process" if settings_of(config).in_process else ""
    other = "-n" if has_workers(config) else other
    if other:
        raise UsageError(
            f"{option} and {other}: checks cannot be examined both here and there",
            "the workers of a scheduler, or processes of this machine",
            f"leave one of them out; {option} has as many processes as there are workers",
        )
    from gradcheck.cluster import connect  # a project without a scheduler need not pay for it

    cluster = connect(address, option)
    config.add_cleanup(cluster.close)
    return cluster


def done_of(config: pytest.Config) -> frozenset[str]:
    """The ids of the checks that are not to be run, as the results that are resumed have them."""
    given = worker_input(config)
    return config.stash[DONE] if given is None else frozenset(given[_DONE_FOR_WORKERS])


def names_paths(config: pytest.Config) -> bool:
    """Whether the command line, and not the ini file, says what is to be collected."""
    given = worker_input(config)
    if given is not None:  # which has all paths by its command line
        return bool(given[_NAMES_PATHS])
    return config.args_source is pytest.Config.ArgsSource.ARGS


def tell_worker(config: pytest.Config, given: dict[str, Any], *, of_devices: bool) -> None:
    """Hand over what the controller knows; finding ``of_devices`` may need torch."""
    given[_DONE_FOR_WORKERS] = sorted(done_of(config))  # a worker that starts late reads no more
    given[_NAMES_PATHS] = names_paths(config)
    given[_DEVICES_FOR_WORKERS] = list(devices_of(config)) if of_devices else []


def ready_device(config: pytest.Config, device: str) -> str:
    """Make this process ready to compute, once, and return what the device calls itself."""
    if _NAMES not in config.stash:
        prepare_torch(devices_of(config), worker=worker_input(config) is not None)
        config.stash[_NAMES] = {}
    names = config.stash[_NAMES]
    if device not in names:
        names[device] = devices.name_of(device)
    return names[device]


def examiner_of(config: pytest.Config) -> Examiner:
    """Return what has this process's checks examined; its process starts with the first check."""
    if _EXAMINER not in config.stash:
        settings = settings_of(config)
        setup = Setup(
            root=config.rootpath,
            devices=devices_of(config),
            dtypes=settings.dtypes,
            witnesses=settings.witnesses,
            run_options=settings.run_options,
            one_thread=worker_input(config) is not None,
        )
        config.stash[_EXAMINER] = Examiner(setup, settings.limits)
        config.add_cleanup(config.stash[_EXAMINER].end)
    return config.stash[_EXAMINER]


def project_modules(config: pytest.Config) -> ProjectModules:
    """Return what makes the modules in the project's root importable for a while."""
    return config.stash.setdefault(_PROJECT, ProjectModules(config.rootpath))


_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_WORKSPACE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # without it cuBLAS is not deterministic


def leave_one_thread() -> Callable[[], None]:
    """Give each worker, which inherits the environment, one thread; returns what undoes it."""
    return _set(dict.fromkeys(_THREADS, "1"))


def make_repeatable(devices: Sequence[str]) -> Callable[[], None]:
    """Ask CUDA's libraries, before they are loaded, to compute the same each time."""
    return _set(_WORKSPACE if any(device.startswith("cuda") for device in devices) else {})


def _set(variables: Mapping[str, str]) -> Callable[[], None]:
    """Set what the user has not set; what is returned takes it back."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)

    def undo() -> None:
        for name in added:
            os.environ.pop(name, None)

    return undo


def prepare_torch(devices: Sequence[str], *, worker: bool) -> None:
    """Import torch and set what it alone can be told; once a process, before its first check.

    Two workers with two threads each take two to six times as long as with one each. TF32 keeps
    10 bits of a float32's 23. What has no deterministic form warns, and is still judged.
    """
    import torch  # not before a check runs: collecting must not pay for it

    if worker:
        torch.set_num_threads(1)
    for device in devices:
        make_known(device)
    if any(device.startswith("cuda") for device in devices):
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(mode=True, warn_only=True)

"""Which devices a run uses, decided without torch unless an accelerator may be there."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.errors import UsageError

_DRIVERS = {  # the build of PyTorch: what its driver puts into the file system of Linux
    "cuda": ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap"),
    "hip": ("/dev/kfd", "/dev/dxg"),
    "xpu": ("/dev/dri", "/dev/dxg"),
}

_XLA = "xla"
"""No entry point announces this backend to PyTorch: importing its package does."""

HOST = "cpu"


def choose(text: str, spelling: str = "--device") -> tuple[str, ...]:
    """The devices that ``auto`` or a list such as ``cpu,cuda:1`` means, each once, in order.

    Errors: UsageError if one is not there; it says what is.
    """
    if text == "auto":
        return there()
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words:
        if word != HOST and not _is_there(word):
            raise UsageError(
                f"{spelling} {word}: no such device here",
                f"one or more of {', '.join(there())}, or auto",
                "write auto to run on what is there",
            )
    return tuple(words) or there()


def choose_among(text: str, spelling: str, offered: Sequence[str]) -> tuple[str, ...]:
    """As ``choose``, of the devices that other machines offer.

    Errors: UsageError if none of them offers one.
    """
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words if text != "auto" else []:
        if word.partition(":")[0] not in offered:
            raise UsageError(
                f"{spelling} {word}: no worker offers such a device",
                f"one or more of {', '.join(offered)}, or auto",
                "start a worker where there is one: dask worker ADDRESS --resources GPU=1",
            )
    return tuple(offered if text == "auto" else words)


def choose_one(text: str) -> str:
    """The device for a command that uses one.

    Errors: UsageError for a device that is not there, and for several.
    """
    first, *rest = choose(text)
    if rest and text != "auto":
        raise UsageError(f"--device {text}: several", "one device", f"write --device {first}")
    return first


def make_known(device: str) -> None:
    """Have PyTorch know the device, in this process, where it takes more than torch itself.

    Errors: ImportError where its package is not installed.
    """
    if device.partition(":")[0] != _XLA:
        return
    import_module("torch_xla")
    import torch  # a device other than the CPU is known only after torch was asked for it

    if not hasattr(torch, _XLA):
        torch._register_device_module(_XLA, _Xla())  # type: ignore[no-untyped-call]


class _Xla:
    """The functions of a device that PyTorch expects as ``torch.xla``; torch_xla registers none."""

    def __init__(self) -> None:
        self._runtime = import_module("torch_xla.runtime")
        self._model = import_module("torch_xla.core.xla_model")

    def is_available(self) -> bool:
        return self.device_count() > 0

    def device_count(self) -> int:
        return int(self._runtime.addressable_device_count())

    def get_device_name(self, _: object) -> str:
        return f"XLA on its {self._runtime.device_type()} runtime"

    def get_rng_state(self, index: int) -> int:
        return int(self._model.get_rng_state(f"{_XLA}:{index}"))

    def set_rng_state(self, state: int, index: int) -> None:
        self._model.set_rng_state(state, f"{_XLA}:{index}")


def there() -> tuple[str, ...]:
    """The CPU, and the accelerator that ``torch.accelerator`` reports."""
    if not may_have_accelerator():
        return (HOST,)
    import torch  # only where it may find something: it takes a second

    accelerator = torch.accelerator.current_accelerator()
    if accelerator is None or not torch.accelerator.is_available():
        return (HOST,)
    return (HOST, accelerator.type)


def may_have_accelerator() -> bool:
    """False only if PyTorch certainly has none; found out without importing it.

    A build of PyTorch names its backend in its version file; a driver leaves a device file; a
    backend out of tree announces itself by an entry point, or has been given its name by a program
    that has PyTorch loaded.
    """
    if metadata.entry_points(group="torch.backends") or _has_renamed_backend():
        return True
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    built_for = _backends_of_build()
    if not sys.platform.startswith("linux"):
        return bool(built_for)
    return any(Path(driver).exists() for name in built_for for driver in _DRIVERS[name])


def is_known_here_alone(device: str) -> bool:
    """Whether a program in this process gave the device its name, so that a new one lacks it."""
    if device == HOST or not _has_renamed_backend():  # asked for each check: entry points are slow
        return False
    return not metadata.entry_points(group="torch.backends")


@cache
def has_dtype(device: str, dtype: str) -> bool:
    """Whether a device has numbers of a dtype, found by asking it for an array of none."""
    if device == HOST:
        return True
    import torch  # a device other than the CPU is known only after torch was asked for it

    try:
        torch.empty(0, dtype=getattr(torch, dtype), device=device)
    except (TypeError, RuntimeError) as error:  # each backend has its own
        if "type" in str(error) or dtype in str(error):
            return False
        raise
    return True


@cache
def dtype_on(device: str, name: str) -> Dtype:
    """The dtype as the device has it: it may flush subnormal numbers to zero; found by asking."""
    dtype = DTYPES[name]
    if device == HOST or not has_dtype(device, name):
        return dtype
    import torch  # a device other than the CPU is known only after torch was asked for it

    smallest = torch.tensor(dtype.smallest_normal, dtype=getattr(torch, dtype.real), device=device)
    return replace(dtype, flushes=not bool((smallest / 2).cpu()))


def name_of(device: str) -> str:
    """What the device calls itself, and whether it flushes; for the CPU its model."""
    if device == HOST:
        return _processor()
    import torch  # a device other than the CPU is known only after torch was asked for it

    make_known(device)
    module = torch.get_device_module(device.split(":")[0])
    named = getattr(module, "get_device_name", None)
    name = str(named(torch.device(device))) if named else device
    flushes = has_dtype(device, "float32") and dtype_on(device, "float32").flushes
    return name + (", subnormal numbers count as 0" if flushes else "")


def _is_there(word: str) -> bool:
    match = re.fullmatch(r"([a-z][a-z0-9_]*)(?::([0-9]{1,4}))?", word)
    if match is None or match[1] == HOST:
        return False
    if match[1] != _XLA and not may_have_accelerator():
        return False
    import torch  # a device was asked for by name

    try:
        make_known(word)
        module = torch.get_device_module(match[1])
        return bool(module.is_available() and int(match[2] or 0) < module.device_count())
    except (ImportError, RuntimeError, AttributeError):  # no such device, or one without hardware
        return False


def _has_renamed_backend() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and torch._C._get_privateuse1_backend_name() != "privateuseone"


def _backends_of_build() -> list[str]:
    found = find_spec("torch")
    if found is None or found.origin is None:
        return []
    try:
        text = Path(found.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return list(_DRIVERS)
    nothing = {name for name in _DRIVERS if re.search(rf"(?m)^{name}\b.*= None$", text)}
    return [name for name in _DRIVERS if name not in nothing]


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()

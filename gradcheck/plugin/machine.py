"""Makes a process compute as a check expects: one thread a worker, no shortcuts on a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

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
    if any(device.startswith("cuda") for device in devices):
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(mode=True, warn_only=True)

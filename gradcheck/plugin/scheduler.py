"""Keeps the checks of one accelerator on few workers of pytest-xdist: each holds a part of it.

A process on a GPU takes some hundred MiB of its memory before the first tensor, so ``-n 64`` may
not become 64 of them; one alone leaves the GPU idle for most of the time (docs/devices.md).
``xdist_group`` would say it more simply, but is ignored by pytest 9.2 with xdist 3.8 (xdist#1386).
"""

from __future__ import annotations

import re
from zlib import crc32

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

MOST_PROCESSES = 8
"""On one accelerator at once."""

_DEVICE = re.compile(r"::.*\[(?:.*-)?([a-z][a-z0-9_]*(?::[0-9]+)?)-[a-z0-9]+\]$")


class DeviceScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """A few units of work for each accelerator, one for each case on the CPU, one for each test."""

    accelerators: frozenset[str] = frozenset()

    def _split_scope(self, nodeid: str) -> str:
        match = _DEVICE.search(nodeid)
        if match is None:
            return nodeid
        case = nodeid.split("[")[0]
        if match[1] in self.accelerators:
            return f"{match[1]}, part {crc32(case.encode()) % MOST_PROCESSES}"
        return case if match[1] == "cpu" else nodeid

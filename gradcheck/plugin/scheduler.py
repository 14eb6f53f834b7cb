"""Keeps all checks of one accelerator on one worker of pytest-xdist: a GPU holds few processes.

``xdist_group`` would say it more simply, but is ignored by pytest 9.2 with xdist 3.8 (xdist#1386).
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_DEVICE = re.compile(r"::.*\[(?:.*-)?([a-z][a-z0-9_]*(?::[0-9]+)?)-[a-z0-9]+\]$")


class DeviceScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """One unit of work for each accelerator, one for each case on the CPU, one for each test."""

    accelerators: frozenset[str] = frozenset()

    def _split_scope(self, nodeid: str) -> str:
        match = _DEVICE.search(nodeid)
        if match is None:
            return nodeid
        if match[1] in self.accelerators:
            return match[1]
        return nodeid.split("[")[0] if match[1] == "cpu" else nodeid

"""Checks examined by the workers of a Dask scheduler, and reported by pytest as its own.

A unit holds checks of one variant, which share what they compute. On a worker each is examined as
at home, in a process of its own (`gradcheck.plugin.isolation`), so that one which crashes or hangs
costs nobody else anything; only what kills that worker itself is a matter of `gradcheck.cluster`.
"""

from __future__ import annotations

import hashlib
import itertools
import platform
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from gradcheck.answer import RunOptions
from gradcheck.catalog.checks import Check
from gradcheck.catalog.files import catalog_folder
from gradcheck.catalog.known_failures import list_beside
from gradcheck.cluster import Cluster, ClusterLost, Feed, Unit, done
from gradcheck.devices import HOST, is_known_here_alone
from gradcheck.errors import UsageError
from gradcheck.plugin import interruptions
from gradcheck.plugin.check_report import CheckReport, Teller
from gradcheck.plugin.folders import shown
from gradcheck.plugin.isolated import checks_of
from gradcheck.plugin.isolation import CheckLimits, CheckRequest, Examiner, Setup
from gradcheck.plugin.items import CheckItem, teller_of
from gradcheck.plugin.session import examiner_of, make_repeatable, settings_of

_SHARES = 8
"""Units for each worker at least, where there are enough checks: the last ones end together."""
_MOST = 16
"""Checks of a unit: together they share what they compute, and together they are told and lost."""
_GPU = {"GPU": 1.0}
"""What a worker must offer for a check on an accelerator: `dask worker --resources GPU=1`."""


class Distribution:
    """A pytest plugin of the process that the user started, in the place of pytest's loop."""

    def __init__(self, cluster: Cluster, config: pytest.Config) -> None:
        self.cluster, self.config = cluster, config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run what is no check here, then report each check as it ends."""
        option = session.config.option
        if option.collectonly or (session.testsfailed and not option.continue_on_collection_errors):
            return None  # which pytest's own loop says
        away = [item for item in session.items if isinstance(item, CheckItem) and _can_go(item)]
        stays = set(map(id, session.items)) - set(map(id, away))
        for item in session.items:
            if id(item) in stays:
                _report(item, session)
        try:
            for item in self._examined(away):
                _report(item, session)
        except ClusterLost as lost:
            pytest.exit(f"{lost}; what had ended is kept, and --resume does the rest", returncode=2)
        except UsageError as error:
            pytest.exit(str(error), returncode=4)
        return True

    def _examined(self, items: Sequence[CheckItem]) -> Iterator[CheckItem]:
        """The items in the order in which their checks end."""
        by_id = {item.nodeid: item for item in items}
        for found in done(
            self.cluster,
            "gradcheck.plugin.distribution:examine_unit",
            self._feeds(items),
            parts=_one_by_one,
            while_waiting=self.config.pluginmanager.get_plugin(interruptions.PLUGIN_NAME).pause,  # type: ignore[union-attr]
        ):
            for k, told in enumerate(found.unit["checks"]):
                item = by_id[told["id"]]
                if found.answer is None:
                    item.report = teller_of(item).lost(item.check)
                else:
                    item.report = CheckReport(**found.answer[k])
                yield item

    def _feeds(self, items: Sequence[CheckItem]) -> Iterator[Feed]:
        threads = max(1, self.cluster.capacity({}))
        most = max(1, min(_MOST, len(items) // (_SHARES * threads)))
        run = secrets.token_hex(8)
        for resources in ({}, _GPU):
            its_own = [item for item in items if resources_for(item.check) == resources]
            yield Feed(_units(its_own, most, run), resources)


def _can_go(item: CheckItem) -> bool:
    return not is_known_here_alone(item.check.device)


def resources_for(check: Check) -> dict[str, float]:
    return {} if check.device == HOST else _GPU


def _report(item: pytest.Item, session: pytest.Session) -> None:
    """Let pytest run an item. What comes after it is not known, but that the session goes on."""
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=session)
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)


def _units(items: Sequence[CheckItem], most: int, run: str) -> Iterator[Unit]:
    """Units of at most so many checks, each of one variant."""
    for _, group in itertools.groupby(items, lambda item: (item.path, id(item.check.variant))):
        together = list(group)
        for start in range(0, len(together), most):
            yield _unit(together[start : start + most], run)


def _unit(items: Sequence[CheckItem], run: str) -> Unit:
    path, config = items[0].path, items[0].config
    setup, tellers = examiner_of(config).setup, [teller_of(item) for item in items]
    return {
        "run": run,
        **_named(path),
        "shown": shown(path, config),
        "root": str(setup.root),
        "devices": list(setup.devices),
        "dtypes": list(setup.dtypes),
        "witnesses": list(setup.witnesses),
        "run_options": asdict(setup.run_options),
        "limits": asdict(settings_of(config).limits),
        "file": tellers[0].file,
        "runxfail": tellers[0].runxfail,
        "checks": [
            {"id": item.nodeid, "name": item.name, "command": teller.command}
            for item, teller in zip(items, tellers, strict=True)
        ],
    }


def _one_by_one(unit: Unit) -> list[Unit]:
    return [{**unit, "checks": [check]} for check in unit["checks"]]


@lru_cache(maxsize=1)
def _named(path: Path) -> dict[str, Any]:
    """How a worker finds the file: one of the packaged catalog in its own installation."""
    folder = catalog_folder().resolve()
    packaged = path.resolve().is_relative_to(folder)
    named = path.resolve().relative_to(folder).as_posix() if packaged else str(path)
    return {"path": named, "packaged": packaged, "digest": _digest(path)}


def _digest(path: Path) -> str:
    """What the file and the known failures beside it hold, in short."""
    beside = list_beside(path.parent)
    texts = [each.read_bytes() for each in (path, beside) if each is not None]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()


# On the worker.


def examine_unit(unit: Unit) -> list[dict[str, Any]]:
    """Examine the checks of a unit, and return their reports.

    Errors: UsageError where this machine has not the file that was meant.
    """
    setup = Setup(
        root=Path(unit["root"]),
        devices=tuple(unit["devices"]),
        dtypes=tuple(unit["dtypes"]),
        witnesses=tuple(unit["witnesses"]),
        run_options=RunOptions(**unit["run_options"]),
        one_thread=True,
    )
    path = _found(unit)
    checks = _checks(unit["run"], path, unit["shown"], setup)
    make_repeatable(setup.devices)
    examiner = _taken(unit["run"], setup, CheckLimits(**unit["limits"]))
    try:
        return [
            asdict(_told(unit, each, checks[each["name"]], path, examiner))
            for each in unit["checks"]
        ]
    finally:
        _IDLE.append((unit["run"], examiner))


def _told(
    unit: Unit, asked: dict[str, str], check: Check, path: Path, examiner: Examiner
) -> CheckReport:
    ended = examiner.ended(CheckRequest(path, unit["shown"], asked["name"]))
    teller = Teller(unit["file"], asked["command"], examiner.setup.run_options, unit["runxfail"])
    return teller.report(check, ended)


def _found(unit: Unit) -> Path:
    path: Path = (catalog_folder() if unit["packaged"] else Path()) / unit["path"]
    amiss = "no such file" if not path.exists() else ""
    if not amiss and _digest(path) != unit["digest"]:
        amiss = "another text of this file, or of the known failures beside it"
    if amiss:
        raise UsageError(
            f"{path}: the worker on {platform.node()} has {amiss}",
            "the same case files on every machine",
            "run in a folder that all machines share, or install the same gradcheck on all of them",
        )
    return path


@lru_cache(maxsize=16)
def _checks(run: str, path: Path, shown: str, setup: Setup) -> dict[str, Check]:
    """The checks of a file as it is in this run: it may be another in the next."""
    return checks_of.__wrapped__(path, shown, setup)


_IDLE: list[tuple[str, Examiner]] = []
"""What has examined, and can again, with the run that it was for; threads take and put back."""


def _taken(run: str, setup: Setup, limits: CheckLimits) -> Examiner:
    """An examiner of this run; those of others are ended, as they know files as they were."""
    while _IDLE:
        theirs, examiner = _IDLE.pop()
        if theirs == run:
            return examiner
        examiner.end()
    return Examiner(setup, limits)


def let_go() -> None:
    """End what has examined here; the next unit starts another."""
    while _IDLE:
        _IDLE.pop()[1].end()

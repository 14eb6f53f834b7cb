"""Pytest glue: catalog files become items, verdicts become outcomes. Decides nothing itself.

Importing it imports the standard library and pytest only, since every project in the environment
pays for that. Collecting with it imports neither torch nor sympy.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gradcheck import devices
from gradcheck.answer import Ruling
from gradcheck.errors import UsageError
from gradcheck.plugin import interruptions, results
from gradcheck.plugin.folders import in_sight, is_catalog, shown
from gradcheck.plugin.github import GitHubReports
from gradcheck.plugin.interruptions import Interruptions
from gradcheck.plugin.items import (
    CheckItem,
    FaultItem,
    lost_with_worker,
    plain_block,
    register_markers,
    skip_location,
)
from gradcheck.plugin.junit import JUnitProperties
from gradcheck.plugin.options import (
    add_ini_keys,
    add_options,
    one_owner,
    settings,
)
from gradcheck.plugin.results import FailureReports, Ledger
from gradcheck.plugin.session import (
    DONE,
    SETTINGS,
    cluster_of,
    devices_of,
    done_of,
    has_workers,
    leave_one_thread,
    settings_of,
    tell_worker,
    worker_input,
)
from gradcheck.plugin.summary import header, summary
from gradcheck.report.failure_text import filled

_LEDGER = pytest.StashKey[Ledger]()


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser, "gradcheck-")
    add_ini_keys(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser
) -> Generator[None, Any, Any]:
    with one_owner(parser, early_config.pluginmanager):
        return (yield)


def pytest_configure(config: pytest.Config) -> None:
    register_markers(config)
    with _usage_errors():
        config.stash[SETTINGS] = settings(config)
        cluster = cluster_of(config)
        if settings_of(config).device != "auto":
            devices_of(config)
    if has_workers(config):
        config.add_cleanup(leave_one_thread())
    if worker_input(config) is None:
        config.stash[_LEDGER] = _ledger(config)
        config.pluginmanager.register(config.stash[_LEDGER], "gradcheck ledger")
        config.pluginmanager.register(FailureReports(), "gradcheck failures")
        config.pluginmanager.register(Interruptions(), interruptions.PLUGIN_NAME)
        if cluster is not None:
            from gradcheck.plugin.distribution import Distribution  # with what reads a catalog

            config.pluginmanager.register(Distribution(cluster, config), "gradcheck distribution")
        if config.getoption("xmlpath", None):
            config.pluginmanager.register(JUnitProperties(config), "gradcheck junit")
        if os.environ.get("GITHUB_ACTIONS") == "true":
            config.pluginmanager.register(GitHubReports(config), "gradcheck github")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    ledger = session.config.stash.get(_LEDGER, None)
    if ledger is not None and not session.config.getoption("collectonly"):
        with _usage_errors():
            ledger.open()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    found = in_sight(node.config).catalogs
    tell_worker(node.config, node.workerinput, of_devices=bool(found))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") != "load" or not in_sight(config).catalogs:
        return None
    accelerators = frozenset(devices_of(config)) - {"cpu"}
    if not accelerators:
        return None
    from gradcheck.plugin.scheduler import DeviceScheduling  # pytest-xdist may not be installed

    scheduling = DeviceScheduling(config, log)
    scheduling.accelerators = accelerators
    return scheduling


def pytest_report_header(config: pytest.Config) -> list[str]:
    found = in_sight(config)
    passed_over = [
        f"gradcheck passes over {shown(path, config)}: {reason}"
        for path, reason in found.foreign.items()
        if config.get_verbosity() > 0
    ]
    if not found.catalogs:
        return passed_over
    lines = header(
        settings_of(config),
        devices=_described(config),
        threads=_threads(config),
        catalogs=[shown(folder, config) for folder in found.catalogs],
    )
    return [*_fitting(lines, config), *passed_over]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    named = parent.session.isinitpath(file_path)
    if not is_catalog(file_path, named=named, config=parent.config):
        return None
    # The loader, with FLINT and numpy, comes with the first catalog.
    from gradcheck.plugin.collect import CatalogFile

    return CatalogFile.from_parent(parent, path=file_path)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    shard, done = settings_of(config).shard, done_of(config)
    ours = [item for item in items if isinstance(item, CheckItem | FaultItem)]
    left_out = [
        item for item in ours if item.nodeid in done or (shard and not _is_in(item, *shard))
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        unwanted = set(map(id, left_out))
        items[:] = [item for item in items if id(item) not in unwanted]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    skip_location(item, report)
    if call.excinfo is not None and call.excinfo.typename == "GradientDisagreement":
        plain_block(report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: Any, sched: Any) -> None:
    """Give the report of a check whose worker died what every check's report carries."""
    kept = lost_with_worker(crashitem, sched.config)
    if kept is not None:
        report.user_properties.append(kept)


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, Any, Any]:
    """Let what the results that are resumed hold decide the exit code with what is run."""
    ran = yield
    ledger = session.config.stash.get(_LEDGER, None)
    if ledger is not None and ledger.earlier:
        fails = settings_of(session.config).run_options.fails
        session.testscollected += len(ledger.earlier)
        session.testsfailed += sum(fails(Ruling(each.verdict)) for each in ledger.earlier)
    return ran


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    ledger = config.stash.get(_LEDGER, None)
    if ledger is None or not ledger.verdicts:
        return
    terminalreporter.section("gradcheck")
    for line in _fitting(summary(ledger, settings_of(config)), config):
        terminalreporter.write_line(line)
    if ledger.path:
        terminalreporter.write_line(_written_page(ledger))


def _written_page(ledger: Ledger) -> str:
    """Write ``report.html`` beside the results; whatever becomes of it, these stay."""
    from gradcheck.report.page import write_page  # brings the templates, which a run begins without

    try:
        page = write_page(Path(ledger.path), ledger.earlier)
    except Exception as error:
        return f"report.html could not be written: {type(error).__name__}: {error}"
    return f"report: {page}"


def _fitting(lines: Iterable[str], config: pytest.Config) -> Iterator[str]:
    """The lines as they are in a file; in a terminal none is broken within a word."""
    writer = config.get_terminal_writer()
    for line in lines:
        room = writer.fullwidth - max(map(len, line.split()), default=0)
        indent = max(0, min(_HANGING, room))
        yield filled(line, writer.fullwidth, indent=indent) if writer.hasmarkup else line


_HANGING = 13  # columns: behind the numbers of a list; fewer before a word that needs the room


def _ledger(config: pytest.Config) -> Ledger:
    """The run's ledger, which knows what is done already, as this tells workers too."""
    given = settings_of(config)
    with _usage_errors():
        earlier = results.earlier(given.resumed, given.run_options) if given.resumed else []
    config.stash[DONE] = frozenset(record.id for record in earlier)
    looks_only = config.getoption("collectonly")
    return Ledger(given.report, given.shard, [] if looks_only else earlier)


def _is_in(item: pytest.Item, part: int, parts: int) -> bool:
    digest = hashlib.blake2b(item.nodeid.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % parts == part - 1


def _described(config: pytest.Config) -> list[str]:
    if cluster_of(config) is not None:
        return [f"{device} (the workers')" for device in devices_of(config)]
    return [f"{device} ({devices.name_of(device)})" for device in devices_of(config)]


def _threads(config: pytest.Config) -> str:
    cluster = cluster_of(config)
    if cluster is not None:
        return f"1 for each of {cluster.capacity({})} checks at once, by {cluster.address}"
    if has_workers(config):
        return f"{os.environ['OMP_NUM_THREADS']} in each worker"
    return os.environ.get("OMP_NUM_THREADS", "as torch decides")


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Pytest's own kind of usage error, which prints no traceback and ends with exit code 4."""
    try:
        yield
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None

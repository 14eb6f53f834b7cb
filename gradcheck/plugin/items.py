"""The items that pytest runs: checks, with their markers and outcomes, and faults of catalogs.

A fault is an item that fails, and so no reason to stop a project's other tests.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.answer import Ruling, RunOptions
from gradcheck.devices import is_known_here_alone
from gradcheck.dtypes import DTYPES
from gradcheck.errors import CatalogError, Problem
from gradcheck.interruption import Deferred
from gradcheck.methods import METHODS, WITNESSES
from gradcheck.plugin.check_report import CheckReport, Teller
from gradcheck.plugin.folders import is_catalog, shown
from gradcheck.plugin.isolation import CheckRequest, Ended
from gradcheck.plugin.options import Settings
from gradcheck.plugin.results import HEADLINE, PROPERTY
from gradcheck.plugin.session import (
    devices_of,
    examiner_of,
    project_modules,
    ready_device,
    settings_of,
)

if TYPE_CHECKING:
    from gradcheck.catalog.checks import Check


class CheckItem(pytest.Function):
    """A check; a Function, since plugins such as Hypothesis's look only at those."""

    check: Check
    report: CheckReport | None = None  # where another machine has examined the check

    @classmethod
    def all_of(cls, parent: pytest.File, checks: Iterable[Check]) -> Iterator[CheckItem]:
        """An item for each check of a file."""
        fixtures = None
        for check in checks:
            # The parameters stand in the name: pytest 9.2 drops them from the id if it is also
            # told the name without them. All items ask for the same fixtures: pytest, too, looks
            # for those once a function.
            item: CheckItem = cls.from_parent(
                parent, name=check.name, callobj=run_check, fixtureinfo=fixtures
            )
            fixtures = fixtures or getattr(item, "_fixtureinfo", None)
            item.check = check
            for marker in check_markers(check, parent.config):
                item.add_marker(marker)
            item.extra_keyword_matches.update(check.case.tags)
            yield item

    @property
    def id(self) -> Any:
        """The id in parts as pytest 9.2 reads it from its cache, with parameters in brackets.

        Without them ``--last-failed`` would not know the item again.
        """
        return type(super().id).parse(self.nodeid)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.check.case.where.line - 1, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """The text of a verdict as it is; pytest's own view of anything else."""
        error = excinfo.value
        if isinstance(error, pytest.fail.Exception) and not error.pytrace:
            return str(error)
        return super().repr_failure(excinfo)


def run_check(request: pytest.FixtureRequest) -> None:
    """Have the check examined, unless it was; keep its record, and end as its verdict says."""
    item: CheckItem = request.node
    report = item.report or _examined(item)
    item.user_properties.append((PROPERTY, report.record))
    if report.text:
        pytest.fail(report.text, pytrace=False)
    if report.verdict == Ruling.ABSTAIN:
        pytest.skip(report.reason)
    if report.verdict == Ruling.KNOWN:
        pytest.xfail(report.reason)


def _examined(item: CheckItem) -> CheckReport:
    here = settings_of(item.config).in_process or is_known_here_alone(item.check.device)
    ended = _in_process(item) if here else _isolated(item)
    return teller_of(item).report(item.check, ended)


def _isolated(item: CheckItem) -> Ended:
    question = CheckRequest(item.path, shown(item.path, item.config), item.check.name)
    return examiner_of(item.config).ended(question)


def _in_process(item: CheckItem) -> Ended:
    """Errors: what a defect of ours raises, with its traceback; the record is kept."""
    from gradcheck.plugin.isolated import examined, own_defect  # with what reads a catalog

    with Deferred():  # within torch's own start a KeyboardInterrupt aborts the process
        device_name = ready_device(item.config, item.check.device)
        import_module("gradcheck.diagnosis")
    run_options = settings_of(item.config).run_options
    try:
        return Ended(*examined(item.check, run_options, project_modules(item.config)), device_name)
    except Exception as error:
        ended = Ended(own_defect(error), device_name=device_name)
        record = teller_of(item).report(item.check, ended).record
        item.user_properties.append((PROPERTY, record))
        raise


def plain_block(report: pytest.TestReport) -> None:
    """Take pytest's mark of a failure from a block of ours, which is to be read and copied.

    It stays before the first line, by which pytest knows where the failure begins. That line alone
    is the summary's, where pytest on CI would print the whole block again.
    """
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = crash.message.partition("\n")[0]
    trace = getattr(report.longrepr, "reprtraceback", None)
    for entry in getattr(trace, "reprentries", ()):
        lines = getattr(entry, "lines", [])
        marked = [k for k, line in enumerate(lines) if _MARKED.match(line)]
        for k in marked[1:]:
            mark = _MARKED.match(lines[marked[0]])
            lines[k] = lines[k][len(mark[0]) if mark else 0 :]


_MARKED = re.compile(r"E +")


def skip_location(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let a skipped check point to its case, not to this module."""
    if isinstance(item, CheckItem) and isinstance(report.longrepr, tuple):
        path, line, _ = item.reportinfo()
        report.longrepr = (str(path), line + 1, report.longrepr[2])


def lost_with_worker(nodeid: str, config: pytest.Config) -> tuple[str, str] | None:
    """Return the property with the record of a check whose worker died; None for other tests."""
    file, _, name = nodeid.partition("::")
    path = config.rootpath / file
    if not is_catalog(path, named=False, config=config):
        return None
    from gradcheck.plugin.isolated import checks_of  # the controller itself reads no catalog

    check = checks_of(path, file, examiner_of(config).setup).get(name)
    teller = Teller(file, "", settings_of(config).run_options)
    return None if check is None else (PROPERTY, teller.lost(check).record)


def teller_of(item: CheckItem) -> Teller:
    """Return what tells of the item's check, here or wherever it is examined."""
    settings = settings_of(item.config)
    file = item.nodeid.partition("::")[0]
    unexpected = bool(item.config.getoption("runxfail"))
    return Teller(file, _command(item, settings), settings.run_options, unexpected)


def _command(item: CheckItem, settings: Settings) -> str:
    """What runs this check alone in any project: its id, and what differs from the default.

    What the ini file sets is said too, as the command line may have said otherwise.
    """
    check = item.check
    run_options, default, ini = settings.run_options, RunOptions(), item.config.getini
    options: list[tuple[str, Any, Any]] = [
        ("device", check.device, settings.device != "auto" and check.device != "cpu"),
        (
            "points",
            run_options.points,
            run_options.points != default.points or ini("gradcheck_points"),
        ),
        ("seed", run_options.seed, run_options.seed != default.seed or ini("gradcheck_seed")),
    ]
    words = ["pytest", shlex.quote(f"{check.case.where.path}::{check.name}")]
    for name, value, needed in options:
        words += [f"--gradcheck-{name}", str(value)] if needed else []
    if run_options.strict_accuracy:
        words.append("--gradcheck-strict-accuracy")
    if check.implementation.function is not None:
        for module in item.config.getoption("gradcheck_trust") or ():
            words += ["--gradcheck-trust", shlex.quote(module)]
    return " ".join(words)


BAD_FILE = "gradcheck_bad_file"
"""The keyword of these items, by which their reports are known."""


class FaultItem(pytest.Item):
    """Fails with an error that was met when a file was read; ``line`` is where that begins."""

    line = 1

    def __init__(self, *, error: Exception, **rest: Any) -> None:
        super().__init__(**rest)
        self.error = error
        if isinstance(error, CatalogError) and error.problems:
            self.line = error.problems[0].where.line
        self.keywords[BAD_FILE] = True
        for marker in fault_markers(self.config):
            self.add_marker(marker)

    def runtest(self) -> None:
        if not isinstance(self.error, CatalogError):
            raise self.error  # a defect of ours, with its traceback
        first = self.error.problems[0]
        self.user_properties.append((HEADLINE, f"{first.found}: {first.fix}"))
        pytest.fail(self.message(), pytrace=False)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]
        """Return the message as plain text, to which a headline can be given."""
        if isinstance(excinfo.value, pytest.fail.Exception):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def message(self) -> str:
        return str(self.error)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.line - 1, self.name


class RefusedItem(FaultItem):
    """A case with code that nobody has allowed to be imported.

    ``problems`` are by the module that is to be allowed. How to allow one is said once a run.
    """

    def __init__(self, *, problems: dict[str, Problem], **rest: Any) -> None:
        super().__init__(error=CatalogError(problems.values()), **rest)
        self.problems = problems

    def message(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        refused = [item for item in self.session.items if isinstance(item, RefusedItem)]
        for module, problem in self.problems.items():
            first = next(item for item in refused if module in item.problems)
            yield str(problem) if first is self else _short(problem, module, first.nodeid)


def _short(problem: Problem, module: str, other: str) -> str:
    return f"{problem.where}: {problem.found}: {module!r} is not trusted, see {other}"


if TYPE_CHECKING:
    from gradcheck.catalog.checks import Check

_DEVICES = ("cpu", "cuda", "mps", "xpu")
_ORDERS = ("order0", "order1", "order2", "order3")
_NO_DETERMINISM = "ignore:.*does not have a deterministic implementation:UserWarning"
_REGISTERED = pytest.StashKey[set[str]]()


def register_markers(config: pytest.Config) -> None:
    """Register what every run may have; a case's tags follow when they are collected."""
    config.stash[_REGISTERED] = set()
    for device in _DEVICES:
        _register(config, device, f"checks on the device {device}")
    for dtype in DTYPES:
        _register(config, dtype, f"checks in {dtype}")
    for witness in WITNESSES:
        _register(config, witness, f"checks by the witness {witness}")
    for order in _ORDERS:
        _register(config, order, f"checks of derivatives of order {order[-1]}")


def check_markers(check: Check, config: pytest.Config) -> Iterator[pytest.MarkDecorator]:
    """The markers of a check; a tag that pytest refuses as one is left to ``-k``."""
    device = check.device.partition(":")[0]
    _register(config, device, f"checks on the device {device}")
    for name in (device, check.dtype, check.witness, f"order{METHODS[check.witness].order}"):
        yield _marker(name)
    for tag in check.case.tags:
        if not tag.startswith("_"):
            _register(config, tag, "a tag of gradcheck cases")
            yield _marker(tag)
    if device == "cuda":
        yield pytest.mark.filterwarnings(_NO_DETERMINISM)


def fault_markers(config: pytest.Config) -> Iterator[pytest.MarkDecorator]:
    """The markers of what fails instead of checks: those of all checks, so that ``-m`` keeps it."""
    settings = settings_of(config)
    bare = (device.partition(":")[0] for device in devices_of(config))
    for name in dict.fromkeys((*bare, *(settings.dtypes or DTYPES), *settings.witnesses, *_ORDERS)):
        _register(config, name, "checks of gradcheck")
        yield _marker(name)


@cache
def _marker(name: str) -> pytest.MarkDecorator:
    marker: pytest.MarkDecorator = getattr(pytest.mark, name)
    return marker


def _register(config: pytest.Config, name: str, text: str) -> None:
    if name not in config.stash[_REGISTERED]:
        config.stash[_REGISTERED].add(name)
        config.addinivalue_line("markers", f"{name}: {text}")

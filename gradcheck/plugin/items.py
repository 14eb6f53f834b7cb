"""One check as a pytest item: its markers, its run, and its outcome in pytest's words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.answer import CASE_ITSELF, OWN_DEFECT, Outcome, Ruling, RunOptions
from gradcheck.errors import CatalogError
from gradcheck.interruption import Deferred
from gradcheck.plugin.ledger import PROPERTY
from gradcheck.plugin.markers import check_markers
from gradcheck.plugin.options import Settings
from gradcheck.plugin.state import project_modules, ready_device, settings_of
from gradcheck.report import records
from gradcheck.report.failure_text import CheckFacts, block

if TYPE_CHECKING:
    from gradcheck.catalog.checks import Check


class CheckItem(pytest.Function):
    """A check; a Function, since plugins such as Hypothesis's look only at those."""

    check: Check

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
    """Examine the item's check, keep its record, and end as its verdict says."""
    item: CheckItem = request.node
    with Deferred():  # within torch's own start a KeyboardInterrupt aborts the process
        device_name = ready_device(item.config, item.check.device)
        from gradcheck.run import examine  # brings torch, which collecting must not pay for

    try:
        with _own_code(item):
            outcome = examine(item.check, settings_of(item.config).run_options)
    except CatalogError as error:  # a `function` that is not there shows only now
        _keep(item, _unjudged(Ruling.DISAGREE, str(error), CASE_ITSELF), device_name)
        # Without the error itself behind it, which pytest would print once more.
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    except pytest.skip.Exception as error:  # by the code on trial
        _keep(item, _unjudged(Ruling.ABSTAIN, f"skipped: {error.msg}"), device_name)
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        _keep(item, _unjudged(Ruling.DISAGREE, reason, OWN_DEFECT), device_name)
        raise
    _keep(item, outcome, device_name)
    _conclude(item, outcome)


def _own_code(item: CheckItem) -> AbstractContextManager[None]:
    """Let the check's own code be imported from the project's root, while the check runs."""
    is_own = item.check.implementation.function is not None
    return project_modules(item.config).in_use() if is_own else nullcontext()


def skip_location(item: pytest.Item, report: pytest.TestReport) -> None:
    """Let a skipped check point to its case, not to this module."""
    if isinstance(item, CheckItem) and isinstance(report.longrepr, tuple):
        path, line, _ = item.reportinfo()
        report.longrepr = (str(path), line + 1, report.longrepr[2])


def _unjudged(ruling: Ruling, reason: str, blamed: str = "") -> Outcome:
    return Outcome(ruling, reason, 0, 0, 0, 0.0, {}, blame=blamed)


def _keep(item: CheckItem, outcome: Outcome, device_name: str) -> None:
    """Send the record to the controller, which writes it."""
    file = item.nodeid.partition("::")[0]
    facts = records.run_facts(file, settings_of(item.config).run_options, device_name)
    record = records.record(item.check, outcome, facts)
    item.user_properties.append((PROPERTY, records.encoded(record)))


def _conclude(item: CheckItem, outcome: Outcome) -> None:
    settings = settings_of(item.config)
    ruling = outcome.verdict
    if ruling is Ruling.ABSTAIN:
        pytest.skip(outcome.reason)
    if ruling is Ruling.KNOWN and not item.config.getoption("runxfail"):
        pytest.xfail(outcome.reason)
    if ruling is Ruling.KNOWN or settings.run_options.fails(ruling):
        pytest.fail(block(_facts(item, settings), outcome), pytrace=False)


def _facts(item: CheckItem, settings: Settings) -> CheckFacts:
    where = item.check.case.where
    return CheckFacts(
        place=f"{where.path}:{where.line}",
        name=item.check.name,
        implementation=item.check.on_trial,
        command=_command(item, settings),
    )


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

"""A comparison of two runs as a page without network or script, in the style of the report."""

from __future__ import annotations

from markupsafe import Markup

from gradcheck.report.comparison import WORSE, RunComparison
from gradcheck.report.comparison_text import (
    CHANGE_MEANINGS,
    changes_by_kind,
    conclusion,
    family_rows,
    told_change,
    verdict_rows,
)
from gradcheck.report.page import content_policy, page_environment, page_source
from gradcheck.report.records import version


def comparison_page(comparison: RunComparison) -> str:
    """Return the page: the conclusion, both runs, and every change by its kind and file."""
    style = page_source("page.css")
    return (
        page_environment()
        .get_template("comparison.html")
        .render(
            command="compare",
            title=conclusion(comparison),
            comparison=comparison,
            verdicts=verdict_rows(comparison),
            families=family_rows(comparison),
            kinds=list(changes_by_kind(comparison)),
            meanings=CHANGE_MEANINGS,
            worse=WORSE,
            told=told_change,
            style=Markup(style),
            policy=content_policy(style),
            version=version("gradcheck"),
        )
    )

"""What a case says about itself: dtypes, order, witnesses that cannot apply, tags."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.catalog.complaints import not_judged
from gradcheck.catalog.document import UNNAMED
from gradcheck.catalog.draft import Draft
from gradcheck.catalog.witness_names import LATER_WITNESSES, WITNESSES
from gradcheck.dtypes import DTYPES, LATER_DTYPES
from gradcheck.spelling import nearest

DEFAULT_ORDER = 2
_PYTEST_MARKERS = (
    *("skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"),
    *("tryfirst", "trylast", "no_cover", "hypothesis", "xdist_group"),
)
_DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia", "xla")
TAKEN_MARKERS = frozenset(
    (*_PYTEST_MARKERS, *_DEVICES, *DTYPES, *LATER_DTYPES, *WITNESSES, *LATER_WITNESSES)
) | {"symbolic", "order1", "order2", "order3", "and", "or", "not", "True", "False", "None"}
"""Words that mean something else to pytest's -m, here or in pytest itself."""


def check_labels(draft: Draft) -> None:
    """Complain of labels that cannot mean what they say."""
    check_dtypes(draft, (), draft.keys.dtypes)
    _check_accuracy(draft)
    _check_witnesses(draft)
    _check_tags(draft)
    if draft.keys.source == []:
        draft.add(("source",), "no source", "at least one", "add one or remove the key")
    if draft.keys.order == 1:
        _check_order_of_points(draft)


def check_dtypes(draft: Draft, path: Sequence[str | int], dtypes: list[str] | None) -> None:
    """Complain of a list of dtypes below ``path`` that is empty or repeats one."""
    if dtypes == []:
        draft.add((*path, "dtypes"), "no dtypes", "at least one", "add one or remove the key")
    seen: set[str] = set()
    for k, name in enumerate(dtypes or []):
        if name in seen:
            found = f"the dtype {name} again"
            draft.add((*path, "dtypes", k), found, "each dtype once", "remove it")
        seen.add(name)


def _check_accuracy(draft: Draft) -> None:
    for name in draft.keys.accuracy or {}:
        if name == UNNAMED or name in draft.dtypes:
            continue
        path, known = ("accuracy", name), tuple(DTYPES)
        if name in LATER_DTYPES:
            expected = f"one of {', '.join(known)}"
            draft.complaints.add(
                *not_judged(draft.at(*path, key=True), f"the dtype {name}", expected)
            )
        elif name not in known:
            fix = nearest(name, known, "choose one of these")
            draft.add(path, f"the unknown dtype {name!r}", f"one of {', '.join(known)}", fix)
        elif not draft.has_lost("dtypes"):
            expected = f"one of the case's: {', '.join(draft.dtypes)}"
            fix = "remove it, or add it to the case's 'dtypes'"
            draft.add(path, f"the accuracy of {name}", expected, fix)


def _check_witnesses(draft: Draft) -> None:
    known = (*WITNESSES, *LATER_WITNESSES)
    for name in draft.keys.without or {}:
        if name not in known:
            draft.add(
                ("without", name),
                f"the unknown witness {name!r}",
                f"one of {', '.join(known)}",
                nearest(name, known, "choose one of these"),
            )


def _check_tags(draft: Draft) -> None:
    seen: set[str] = set()
    for k, tag in enumerate(draft.keys.tags or []):
        if tag.text in TAKEN_MARKERS:
            found = f"the tag {tag.text!r}, which is a marker already"
            draft.add(("tags", k), found, "a word of the case's own", "rename the tag")
        elif tag.text in seen:
            draft.add(("tags", k), f"the tag {tag.text!r} again", "each tag once", "remove it")
        seen.add(tag.text)


def _check_order_of_points(draft: Draft) -> None:
    for k, point in enumerate(draft.keys.points or []):
        if point.hessian is not None:
            found, expected = "a Hessian in a case of order 1", "order 2, which verifies Hessians"
            draft.add(("points", k, "hessian"), found, expected, "write order: 2 or remove it")

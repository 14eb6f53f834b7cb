"""The code on trial, as a case names it, and which declared names nothing uses."""

from __future__ import annotations

from fractions import Fraction

from gradcheck.catalog.budget import BUDGET, Spent
from gradcheck.catalog.case import Implementation
from gradcheck.catalog.document import inside
from gradcheck.catalog.draft import Draft
from gradcheck.catalog.expressions import Written
from gradcheck.errors import ExpressionError
from gradcheck.graph.steps import check_steps
from gradcheck.language.nodes import Node
from gradcheck.language.torch_names import mistakes, names_used


def read_implementations(draft: Draft) -> tuple[Implementation, ...]:
    """What is on trial; the formula's own translation where the case names nothing."""
    keys, where = draft.keys, draft.complaints.where
    for room in ("torch", "function"):
        if getattr(keys, room) == []:
            draft.add((room,), f"no entry under {room!r}", "at least one", "add one or remove it")
    if keys.torch is not None and keys.function is not None:
        fix = "remove one of them, or make two cases"
        draft.add(("function",), "'function' beside 'torch'", "only one of the two", fix)
    if keys.function is not None:
        return tuple(
            Implementation(each.text, where(each.place), function=each.text)
            for each in keys.function
        )
    if keys.torch is None:
        return (Implementation("", where(draft.at("formula"))),)
    _check_torch(draft, keys.torch)
    return tuple(
        Implementation(each.scalar.text.strip(), where(each.scalar.place), tree=each.tree)
        for each in keys.torch
    )


def _check_torch(draft: Draft, texts: list[Written]) -> None:
    """Complain of everything that is not of the torch language."""
    keys = draft.keys
    rooms = (keys.inputs, keys.constants or {}, keys.sweep or {})
    names = frozenset(name for room in rooms for name in room)
    numbers = {
        name: value for name, value in (keys.constants or {}).items() if isinstance(value, Fraction)
    }
    for each in texts:
        for error in mistakes(each.tree, names):
            draft.complaints.add(*inside(each.scalar, error))
        try:
            check_steps(each.tree, numbers, draft.budget.spend)
        except Spent:
            fix = "write shorter bounds, or split the file"
            draft.add(("torch",), "loops whose bounds take too long to read", BUDGET, fix)
            return
        except ExpressionError as error:
            draft.complaints.add(*inside(each.scalar, error))


def formula_names(draft: Draft) -> frozenset[str]:
    """Every name that the texts of the formula language mention."""
    trees: list[Node] = [*draft.conditions, *draft.lets.values()]
    trees += [leaf.tree for leaf in draft.keys.formula.leaves]
    return frozenset[str]().union(*map(names_used, trees))


def check_usage(draft: Draft) -> None:
    """Complain of every declared name that nothing uses."""
    keys, formula = draft.keys, formula_names(draft)
    torch = frozenset[str]().union(*(names_used(each.tree) for each in keys.torch or []))
    for name in keys.inputs:
        if name not in formula:
            _unused(draft, "inputs", name, "an input that the formula uses")
    for room, kind in (("constants", "constant"), ("sweep", "name of the sweep")):
        for name in getattr(keys, room) or {}:
            if name not in formula | torch:
                _unused(draft, room, name, f"a {kind} that 'formula' or 'torch' uses")
    for name in draft.lets:
        if name not in formula:
            _unused(draft, "let", name, "an intermediate result that a later text uses")


def _unused(draft: Draft, room: str, name: str, expected: str) -> None:
    draft.add((room, name), f"{name!r}, which is never used", expected, "use it or remove it")

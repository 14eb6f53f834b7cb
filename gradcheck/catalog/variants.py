"""One variant for each combination of a sweep's values, its formula unrolled and so checked."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import partial
from typing import Any, TypeVar

from gradcheck.catalog.budget import (
    BUDGET,
    EXPECTED,
    MOST_ELEMENTS,
    Shapes,
    check_size,
    smaller_shapes,
)
from gradcheck.catalog.case import Input, Variant
from gradcheck.catalog.declaration import DEFAULT_ORDER, CaseDraft
from gradcheck.catalog.expressions import Written, choice_of
from gradcheck.catalog.problems import Complaint
from gradcheck.catalog.yaml_document import YamlScalar, inside
from gradcheck.errors import ExpressionError
from gradcheck.graph.folding import MOST_WORK, TooLarge
from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import Lowered, lower
from gradcheck.graph.reading import TooLargeText
from gradcheck.graph.scalarize import scalarize
from gradcheck.graph.tape import Program, Tape
from gradcheck.graph.unknown import UnknownName, unknown_names
from gradcheck.language.nodes import Comprehension, Literal, Name, Node
from gradcheck.language.torch_names import names_used

MOST_VARIANTS = 256
_LARGEST_SHOWN = 10**12
_WORK_OF_A_TEXT = 50  # what each takes, however short it is
_ONE = Literal(Fraction(1))


@dataclass(frozen=True, slots=True)
class _Names:
    """What the names of a draft mean in one variant: inputs' shapes, constants, sweep values."""

    draft: CaseDraft
    shapes: Shapes
    names: dict[str, object]


def read_variants(draft: CaseDraft, inputs: tuple[Input, ...]) -> tuple[Variant, ...]:
    """All variants, or none after a complaint."""
    sweep = draft.keys.sweep or {}
    if not _is_sound(draft, sweep):
        return ()
    shapes = {each.name: each.shape for each in inputs}
    faults: dict[Complaint, str] = {}
    variants: list[Variant] = []
    for choice in itertools.product(*sweep.values()):
        name = ",".join(f"{key}={_shown(one)}" for key, one in zip(sweep, choice, strict=True))
        values = {key: choice_of(one) for key, one in zip(sweep, choice, strict=True)}
        if draft.budget.spent():
            _refuse_cost(draft)
            variants.clear()
            break
        both = _unrolled(draft, shapes, values, name, faults)
        if both is not None:
            variants.append(Variant(name, values, *both))
    for (place, found, expected, fix), name in faults.items():
        where = f" (in the variant {name})" if name else ""
        draft.complaints.add(place, found + where, expected, fix)
    return () if faults else tuple(_distinct(variants))


def _is_sound(draft: CaseDraft, sweep: dict[str, list[YamlScalar]]) -> bool:
    sound = True
    for name, choices in sweep.items():
        seen: set[tuple[str, str]] = set()
        if not choices:
            draft.add(("sweep", name), "no values", "at least one value", "add one, as in [0, 1]")
            sound = False
        for k, choice in enumerate(choices):
            if (choice.kind, choice.text) in seen:
                found, expected = f"the value {choice.text} again", "each value once"
                draft.add(("sweep", name, k), found, expected, "remove it")
                sound = False
            seen.add((choice.kind, choice.text))
    count = math.prod(len(choices) for choices in sweep.values())
    if count > MOST_VARIANTS:
        shown = f"{count:,}" if count < _LARGEST_SHOWN else f"over {_LARGEST_SHOWN:,}"
        found, expected = f"a sweep of {shown} variants", f"at most {MOST_VARIANTS}"
        draft.add(("sweep",), found, expected, "leave values out, or split the case")
        sound = False
    return sound


def _shown(choice: YamlScalar) -> str:
    """The value as it stands in an id: short, and without what pytest or a shell would mind."""
    text = "null" if choice.kind == "null" else choice.text
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", text[:40])


def _distinct(variants: list[Variant]) -> Iterator[Variant]:
    seen: dict[str, int] = {}
    for variant in variants:
        count = seen[variant.name] = seen.get(variant.name, 0) + 1
        name = variant.name if count == 1 else f"{variant.name}_{count}"
        yield replace(variant, name=name)


def _refuse_cost(draft: CaseDraft) -> None:
    draft.add(
        ("formula",),
        "formulas that take too long or too much memory to write out",
        BUDGET,
        "make shapes, loops or the sweep smaller, or split the file",
    )


def _unrolled(
    draft: CaseDraft,
    shapes: Shapes,
    values: dict[str, object],
    name: str,
    faults: dict[Complaint, str],
) -> tuple[Lowered, Program] | None:
    variant = _Names(draft, shapes, {**(draft.keys.constants or {}), **values})
    try:
        lowered, program = _unroll(variant, draft.keys.formula.tree, draft.conditions, draft.lets)
    except ExpressionError as error:
        for complaint in _faults(variant, error):
            faults.setdefault(complaint, name)
        return None
    draft.budget.operations -= len(program.tape.operations)
    if math.prod(program.shape) > MOST_ELEMENTS:
        found = f"a result of shape {list(program.shape)}, {math.prod(program.shape):,} elements"
        fix = "make the shapes smaller"
        faults.setdefault((draft.at("formula"), found, f"at most {MOST_ELEMENTS:,}", fix), name)
    elif not faults and not draft.has_lost("order"):
        found, fix = check_size(
            draft.budget, program, _order(draft), partial(_with_shapes, variant)
        )
        if found:
            faults[draft.at("formula"), found, EXPECTED, fix] = name
    return lowered, program


def _order(draft: CaseDraft) -> int:
    return draft.keys.order or DEFAULT_ORDER


def _with_shapes(variant: _Names, shapes: Shapes) -> Program:
    """The formula of a variant with inputs of other shapes."""
    draft = variant.draft
    other = _Names(draft, shapes, variant.names)
    return _unroll(other, draft.keys.formula.tree, draft.conditions, draft.lets)[1]


def _unroll(
    variant: _Names,
    formula: Node,
    conditions: tuple[Node, ...],
    lets: dict[str, Node],
) -> tuple[Lowered, Program]:
    """The formula as a graph, and unrolled."""
    draft, names = variant.draft, variant.names
    graph, tape = Graph(MOST_WORK), Tape(MOST_WORK)
    words = {key: value for key, value in names.items() if value is None or isinstance(value, str)}
    try:
        lowered = lower(
            substitute(formula, words),
            inputs=dict(variant.shapes),
            names={key: value for key, value in names.items() if key not in words},
            lets={key: substitute(tree, words) for key, tree in lets.items()},
            conditions=substitute(conditions, words),
            translated=draft.keys.torch is None and draft.keys.function is None,
            real=True,
            graph=graph,
        )
        return lowered, scalarize(lowered, tape)
    except TooLarge as error:
        fix = "make the shapes smaller"
        raise TooLargeText((1, 1), str(error), "a smaller formula", fix) from None
    finally:
        draft.budget.work -= graph.work + tape.work + _WORK_OF_A_TEXT


def _faults(variant: _Names, error: ExpressionError) -> list[Complaint]:
    """Every text that is wrong, tried one by one; ``error`` is what the whole formula gave.

    A text that mentions a faulty `let` is not tried: what it gave would be an echo.
    """
    draft = variant.draft
    lets, found = _sound_lets(variant)
    faulty = draft.lets.keys() - lets.keys()
    texts: list[tuple[Written, Node, tuple[Node, ...]]]
    texts = [(one, _ONE, (one.tree,)) for one in draft.keys.where or []]
    texts += [(leaf, leaf.tree, ()) for leaf in draft.keys.formula.leaves]
    for written, formula, conditions in texts:
        if draft.budget.spent():
            break
        if names_used(written.tree).isdisjoint(faulty):
            strangers = _strangers(variant, written, frozenset(lets))
            found += strangers
            if strangers:
                continue
            try:
                _unroll(variant, formula, conditions, lets)
            except ExpressionError as each:
                found.append(inside(written.scalar, each))
    found = found or [(draft.keys.formula.place, error.found, error.expected, error.fix)]
    if isinstance(error, TooLargeText):
        fix = smaller_shapes(
            draft.budget, variant.shapes, _order(draft), partial(_with_shapes, variant)
        )
        found = [(*each[:3], fix) if each[1] == error.found else each for each in found]
    return found


def _sound_lets(variant: _Names) -> tuple[dict[str, Node], list[Complaint]]:
    """The lets without those that are wrong and what rests on them, and what is wrong."""
    draft = variant.draft
    lets: dict[str, Node] = draft.lets
    found: list[Complaint] = []
    while not draft.budget.spent():
        try:
            _unroll(variant, _ONE, (), lets)
            break
        except ExpressionError as error:
            name = str(getattr(error, "source", "")).removeprefix("let ")
            if name not in lets:
                break
            written = (draft.keys.let or {})[name]
            strangers = _strangers(variant, written, _above(draft, name), name)
            found += strangers or [inside(written.scalar, error)]
            lets = _without(lets, name)
    return lets, found


def _above(draft: CaseDraft, name: str) -> frozenset[str]:
    """The intermediate results that stand above one of them."""
    names = list(draft.lets)
    return frozenset(names[: names.index(name)])


def _strangers(
    variant: _Names, written: Written, lets: frozenset[str], own: str = ""
) -> list[Complaint]:
    """Every name in a text that nothing defines there; ``own`` is the let that the text is for."""
    known = lets | variant.shapes.keys() | variant.names.keys()
    return [
        inside(written.scalar, _below(variant.draft, error, own))
        for error in unknown_names(written.tree, known)
    ]


def _below(draft: CaseDraft, error: ExpressionError, own: str) -> ExpressionError:
    """The error, in other words where an intermediate result further down has the name."""
    if not isinstance(error, UnknownName) or error.name not in draft.lets:
        return error
    name, expected = error.name, "a name defined above"
    if name == own:
        found, fix = f"the name {name!r} in its own definition", "rename one of the two"
    else:
        found, fix = f"the name {name!r}, which is defined later", f"put {name!r} above it in 'let'"
    return ExpressionError(error.place, found, expected, fix)


def _without(lets: dict[str, Node], name: str) -> dict[str, Node]:
    gone = {name}
    for other, tree in lets.items():
        if not names_used(tree).isdisjoint(gone):
            gone.add(other)
    return {other: tree for other, tree in lets.items() if other not in gone}


Tree = TypeVar("Tree")


def substitute(tree: Tree, values: Mapping[str, str | None]) -> Tree:
    """The tree with each of these names replaced by its value; the names of loops stay loops'.

    A scalar program knows numbers only, but ``dim=d`` may be null.
    """
    result: Any = _substitute(tree, values) if values else tree
    return result  # type: ignore[no-any-return]


def _substitute(node: Any, values: Mapping[str, str | None]) -> Any:
    if isinstance(node, tuple):
        return tuple(_substitute(item, values) for item in node)
    if isinstance(node, Name):
        return Literal(values[node.name], node.place) if node.name in values else node
    if isinstance(node, Comprehension):
        loops = {loop.name for loop in node.loops}
        values = {name: value for name, value in values.items() if name not in loops}
    if not hasattr(node, "__dataclass_fields__"):
        return node
    parts = {
        field.name: _substitute(getattr(node, field.name), values)
        for field in fields(node)
        if field.name != "place"
    }
    return replace(node, **parts)

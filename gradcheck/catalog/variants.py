"""One variant for each combination of a sweep's values, its formula lowered and so checked."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import partial
from typing import Any, TypeVar

from gradcheck.catalog.budget import BUDGET, EXPECTED, Shapes, check_size, smaller_shapes
from gradcheck.catalog.case import Case, Input, Variant
from gradcheck.catalog.declaration import DEFAULT_ORDER, CaseDraft, read_inputs
from gradcheck.catalog.expressions import Written, choice_of
from gradcheck.catalog.problems import Complaint
from gradcheck.catalog.yaml_document import YamlScalar, inside
from gradcheck.errors import ExpressionError
from gradcheck.graph.folding import MOST_WORK, TooLarge
from gradcheck.graph.graph import Graph
from gradcheck.graph.lower import Lowered, lower
from gradcheck.graph.reading import TooLargeText
from gradcheck.graph.shapes import MOST_ELEMENTS, Misuse
from gradcheck.graph.unknown import UnknownName, unknown_names
from gradcheck.language.nodes import Comprehension, Literal, Name, Node, Place
from gradcheck.language.torch_names import names_used

MOST_VARIANTS = 256
_LARGEST_SHOWN = 10**12
_WORK_OF_A_TEXT = 50  # what each takes, however short it is
_ONE = Literal(Fraction(1))


@dataclass(frozen=True, slots=True)
class _Choice:
    """A draft with one choice of the sweep's values: what its names mean, and its inputs."""

    draft: CaseDraft
    inputs: tuple[Input, ...]
    names: dict[str, object]

    def reshaped(self, shapes: Shapes) -> _Choice:
        """The same with inputs of other shapes."""
        inputs = tuple(replace(each, shape=shapes[each.name]) for each in self.inputs)
        return replace(self, inputs=inputs)


def read_variants(draft: CaseDraft, fixed: tuple[Input, ...]) -> tuple[Variant, ...]:
    """All variants, or none after a complaint.

    ``fixed`` are the inputs of all of them; none where each variant has its own.
    """
    sweep = draft.keys.sweep or {}
    if not _is_sound(draft, sweep):
        return ()
    faults: dict[Complaint, str] = {}
    variants: list[Variant] = []
    for choice in itertools.product(*sweep.values()):
        name = ",".join(f"{key}={_shown(one)}" for key, one in zip(sweep, choice, strict=True))
        values = {key: choice_of(one) for key, one in zip(sweep, choice, strict=True)}
        inputs = fixed or read_inputs(draft, values)
        if not inputs:
            return ()
        if draft.budget.spent():
            _refuse_cost(draft)
            variants.clear()
            break
        names = {**(draft.keys.constants or {}), **values}
        lowered = _checked(_Choice(draft, inputs, names), name, faults)
        if lowered is not None:
            variants.append(Variant(name, values, inputs, lowered))
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


def _checked(choice: _Choice, name: str, faults: dict[Complaint, str]) -> Lowered | None:
    """The formula for a choice; what is wrong with it, or too large, goes to ``faults``."""
    draft = choice.draft
    try:
        lowered = _lower(choice, draft.formulas, draft.conditions, draft.lets)
    except ExpressionError as error:
        for complaint in _faults(choice, error):
            faults.setdefault(complaint, name)
        return None
    large = [port for port in lowered.outputs if math.prod(port.shape) > MOST_ELEMENTS]
    for port in large:
        found = f"a result of shape {list(port.shape)}, {math.prod(port.shape):,} elements"
        path = ("formula", port.name) if port.name else ("formula",)
        expected, fix = f"at most {MOST_ELEMENTS:,}", "make the shapes smaller"
        faults.setdefault((draft.at(*path), found, expected, fix), name)
    if not faults and not draft.has_lost("order"):
        found, fix = check_size(draft.budget, lowered, _order(draft), partial(_reshaped, choice))
        if found:
            faults[draft.at("formula"), found, EXPECTED, fix] = name
    return lowered


def _order(draft: CaseDraft) -> int:
    return draft.keys.order or DEFAULT_ORDER


def _reshaped(choice: _Choice, shapes: Shapes) -> Lowered:
    """The formula with inputs of other shapes."""
    draft = choice.draft
    return _lower(choice.reshaped(shapes), draft.formulas, draft.conditions, draft.lets)


def _lower(
    choice: _Choice,
    formula: Node | Mapping[str, Node | None],
    conditions: tuple[Node, ...],
    lets: dict[str, Node],
) -> Lowered:
    draft = choice.draft
    graph = Graph(MOST_WORK)
    try:
        return _lowered(
            graph,
            formula,
            conditions,
            lets,
            choice.inputs,
            choice.names,
            translated=draft.keys.torch is None and draft.keys.function is None,
        )
    except TooLarge as error:
        fix = "make the shapes smaller"
        raise TooLargeText((1, 1), str(error), "a smaller formula", fix) from None
    finally:
        draft.budget.work -= graph.work + _WORK_OF_A_TEXT


def _lowered(  # noqa: PLR0913 - the texts of a case, and what their names mean
    graph: Graph,
    formula: Node | Mapping[str, Node | None],
    conditions: tuple[Node, ...],
    lets: Mapping[str, Node],
    inputs: tuple[Input, ...],
    names: Mapping[str, object],
    *,
    translated: bool,
) -> Lowered:
    words = {key: value for key, value in names.items() if value is None or isinstance(value, str)}
    return lower(
        substitute(formula, words),
        inputs={each.name: each.port for each in inputs},
        names={key: value for key, value in names.items() if key not in words},
        lets={key: substitute(tree, words) for key, tree in lets.items()},
        conditions=substitute(conditions, words),
        translated=translated,
        graph=graph,
    )


def resized(
    case: Case, variant: Variant, lengths: Mapping[int, int], *, with_sweep: bool
) -> Variant | None:
    """Return a variant whose inputs have other lengths; None where the formula cannot have them.

    ``lengths`` maps lengths to others: equal ones stay equal, since a formula may rely on it.
    ``with_sweep`` says that a number of the sweep that is such a length changes with it.
    """
    inputs = tuple(
        replace(each, shape=tuple(lengths.get(length, length) for length in each.shape))
        for each in variant.inputs
    )
    values = {
        name: _length(value, lengths) if with_sweep else value
        for name, value in variant.values.items()
    }
    names = {**case.constants, **values}
    graph = Graph(MOST_WORK)
    try:
        formula = _lowered(
            graph, case.formula, case.conditions, case.lets, inputs, names, translated=False
        )
    except (ExpressionError, Misuse, TooLarge):
        return None
    return replace(variant, values=values, inputs=inputs, formula=formula)


def _length(value: object, lengths: Mapping[int, int]) -> object:
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        return value
    return next((type(value)(new) for old, new in lengths.items() if value == old), value)


def _faults(choice: _Choice, error: ExpressionError) -> list[Complaint]:
    """Every text that is wrong, tried one by one; ``error`` is what the whole formula gave.

    A text that mentions a faulty `let` is not tried: what it gave would be an echo.
    """
    draft = choice.draft
    lets, found = _sound_lets(choice)
    faulty = draft.lets.keys() - lets.keys()
    texts: list[tuple[Written, Node, tuple[Node, ...]]]
    texts = [(one, _ONE, (one.tree,)) for one in draft.keys.where or []]
    texts += [(leaf, leaf.tree, ()) for leaf in draft.leaves]
    for written, formula, conditions in texts:
        if draft.budget.spent():
            break
        if names_used(written.tree).isdisjoint(faulty):
            strangers = _strangers(choice, written, frozenset(lets))
            found += strangers
            if strangers:
                continue
            try:
                _lower(choice, formula, conditions, lets)
            except ExpressionError as each:
                found.append(inside(written.scalar, each))
    found = found or [(_place(draft, error), error.found, error.expected, error.fix)]
    if isinstance(error, TooLargeText):
        shapes = {each.name: each.shape for each in choice.inputs}
        fix = smaller_shapes(draft.budget, shapes, _order(draft), partial(_reshaped, choice))
        found = [(*each[:3], fix) if each[1] == error.found else each for each in found]
    return found


def _place(draft: CaseDraft, error: ExpressionError) -> Place:
    """Where the formula stands, or that of its outputs which the error is about."""
    name = str(getattr(error, "source", "")).removeprefix("formula").strip()
    block = draft.outputs.get(name)
    return block.place if block is not None else draft.at("formula")


def _sound_lets(choice: _Choice) -> tuple[dict[str, Node], list[Complaint]]:
    """The lets without those that are wrong and what rests on them, and what is wrong."""
    draft = choice.draft
    lets: dict[str, Node] = draft.lets
    found: list[Complaint] = []
    while not draft.budget.spent():
        try:
            _lower(choice, _ONE, (), lets)
            break
        except ExpressionError as error:
            name = str(getattr(error, "source", "")).removeprefix("let ")
            if name not in lets:
                break
            written = (draft.keys.let or {})[name]
            strangers = _strangers(choice, written, _above(draft, name), name)
            found += strangers or [inside(written.scalar, error)]
            lets = _without(lets, name)
    return lets, found


def _above(draft: CaseDraft, name: str) -> frozenset[str]:
    """The intermediate results that stand above one of them."""
    names = list(draft.lets)
    return frozenset(names[: names.index(name)])


def _strangers(
    choice: _Choice, written: Written, lets: frozenset[str], own: str = ""
) -> list[Complaint]:
    """Every name in a text that nothing defines there; ``own`` is the let that the text is for."""
    known = lets | {each.name for each in choice.inputs} | choice.names.keys()
    return [
        inside(written.scalar, _below(choice.draft, error, own))
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

    A graph knows numbers only, but ``dim=d`` may be null.
    """
    result: Any = _substitute(tree, values) if values else tree
    return result  # type: ignore[no-any-return]


def _substitute(node: Any, values: Mapping[str, str | None]) -> Any:
    if isinstance(node, tuple):
        return tuple(_substitute(item, values) for item in node)
    if isinstance(node, dict):
        return {name: _substitute(item, values) for name, item in node.items()}
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

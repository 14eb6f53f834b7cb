"""The fixed points of a case: complete, of the right shapes, and certainly inside the domain.

Their numbers are exact where written so, else balls.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import arb

from gradcheck.catalog.budget import BUDGET
from gradcheck.catalog.case import Input, Point, Variant
from gradcheck.catalog.declaration import CaseDraft, check_dtypes
from gradcheck.catalog.expressions import Block
from gradcheck.catalog.keys import PointKeys
from gradcheck.catalog.yaml_document import inside
from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.errors import ExpressionError
from gradcheck.floats import nearest_float
from gradcheck.language import nodes
from gradcheck.language.nodes import Binary, Literal, Node, Unary
from gradcheck.reference.conditions import holds, work_of_holding
from gradcheck.reference.exact import (
    enclose_constant,
    work_of_constant,
)
from gradcheck.reference.exact import nearest as round_ball
from gradcheck.spelling import nearest

_WORK_OF_A_POINT = 100  # what each takes, however small it is, in units of a tape's work
_WORK_OF_ROUNDING = 4  # of an entry to a dtype


@dataclass(frozen=True, slots=True)
class _Site:
    """One point of a draft, with what it is checked against."""

    draft: CaseDraft
    number: int
    keys: PointKeys
    inputs: tuple[Input, ...]
    variants: tuple[Variant, ...]

    def add(self, path: Sequence[str | int], found: str, expected: str, fix: str) -> None:
        self.draft.add(("points", self.number, *path), found, expected, fix)

    def has_lost(self, key: str) -> bool:
        return self.draft.has_lost("points", self.number, key)

    @property
    def dtypes(self) -> tuple[str, ...]:
        return tuple(self.keys.dtypes or (() if self.has_lost("dtypes") else self.draft.dtypes))


def read_points(
    draft: CaseDraft, inputs: tuple[Input, ...], variants: tuple[Variant, ...]
) -> tuple[Point, ...]:
    """All points; complains of every one that cannot be tested as it is written."""
    points = []
    work = _WORK_OF_A_POINT + len(draft.dtypes) * sum(
        work_of_holding(variant.formula) for variant in variants
    )
    for number, keys in enumerate(draft.keys.points or []):
        if draft.budget.spent():
            if variants:  # else the case is refused already
                _refuse_cost(draft, number)
            break
        draft.budget.work -= work
        site = _Site(draft, number, keys, inputs, variants)
        _check_dtypes(site)
        _check_place(site)
        for path, block, form in _known(site):
            _check_known(site, path, block, form)
        points.append(_point(site))
    return tuple(points)


def _refuse_cost(draft: CaseDraft, number: int) -> None:
    draft.add(
        ("points", number),
        "a file that takes too long to check, up to this point",
        BUDGET,
        "leave points out, make shapes smaller, or split the file",
    )


def _point(site: _Site) -> Point:
    keys = site.keys
    known: dict[str, Node | dict[str, Node] | dict[str, dict[str, Node]]] = {}
    if keys.value is not None:
        known["value"] = keys.value.tree
    for room in ("gradient", "jacobian", "convention"):
        blocks: dict[str, Block] | None = getattr(keys, room)
        if blocks is not None:
            known[room] = _trees(blocks)
    if keys.hessian is not None:
        known["hessian"] = {name: _trees(row) for name, row in keys.hessian.items()}
    where = site.draft.complaints.where(site.draft.at("points", site.number))
    at = {each.name: keys.at[each.name].tree for each in site.inputs if each.name in keys.at}
    because = keys.because.text if keys.because else ""
    return Point(where, at, known, because, site.dtypes)


def _trees(blocks: Mapping[str, Block]) -> dict[str, Node]:
    return {name: block.tree for name, block in blocks.items()}


def _check_dtypes(site: _Site) -> None:
    check_dtypes(site.draft, ("points", site.number), site.keys.dtypes)
    for k, name in enumerate(site.keys.dtypes or []):
        if name not in site.draft.dtypes and not site.draft.has_lost("dtypes"):
            expected = f"one of the case's: {', '.join(site.draft.dtypes)}"
            fix = "remove it, or add it to the case's 'dtypes'"
            site.add(("dtypes", k), f"the dtype {name} of a point", expected, fix)


def _check_place(site: _Site) -> None:
    """Complain unless ``at`` has a value of the right shape, in the domain, for every input."""
    shapes = {each.name: each.shape for each in site.inputs}
    for name in site.keys.at:
        if name not in shapes:
            _unknown_input(site, ("at", name), name)
    at: list[ConstantArray] = []
    for each in site.inputs:
        if each.name not in site.keys.at and site.has_lost("at"):
            continue
        if each.name not in site.keys.at:
            expected = f"a value for every input: {', '.join(shapes)}"
            site.add(("at",), f"no value for {each.name!r}", expected, f"add {each.name}: ...")
            continue
        value = _evaluate(site, ("at", each.name), site.keys.at[each.name])
        if value is not None and _has_shape(site, ("at", each.name), value, each.shape):
            at.append(value)
    if len(at) == len(shapes) == len(site.keys.at):
        outside = _check_domains(site, at)
        _check_conditions(site, at, [name for name in site.dtypes if name not in outside])


def _check_domains(site: _Site, at: list[ConstantArray]) -> set[str]:
    """Complain of every input outside its domain; the dtypes in which some input is."""
    dtypes: set[str] = set()
    for each, numbers in zip(site.inputs, at, strict=True):
        outside = {
            dtype: value
            for dtype in site.dtypes
            for value in numbers.rounded(dtype)
            if not each.domain.contains(value)
        }
        if outside:
            _outside(site, each, outside)
            dtypes.update(outside)
    return dtypes


def _outside(site: _Site, one: Input, values: dict[str, float]) -> None:
    inside = [name for name in site.dtypes if name not in values]
    dtype, value = next(iter(values.items()))
    found = f"the point {one.name} = {value!r}{f' in {dtype}' if inside else ''}"
    fix = f"write dtypes: [{', '.join(inside)}] in the point, or " if inside else ""
    site.add(
        ("at", one.name),
        f"{found}, outside the domain",
        f"a number in {one.domain.text}",
        fix + "move the point",
    )


def _check_conditions(site: _Site, at: list[ConstantArray], dtypes: Sequence[str]) -> None:
    for dtype, variant in itertools.product(dtypes, site.variants):
        if not variant.formula.conditions:
            return
        row = np.array([[value for numbers in at for value in numbers.rounded(dtype)]])
        if holds(variant.formula, row)[0] is False:
            suffix = f" (in the variant {variant.name})" if variant.name else ""
            site.add(
                ("at",),
                f"a point where 'where' does not hold{suffix}",
                f"a point that, in {dtype}, meets every condition of 'where'",
                "move the point",
            )
            return


def _evaluate(site: _Site, path: Sequence[str | int], block: Block) -> ConstantArray | None:
    """The block's numbers; None after a complaint."""
    site.draft.budget.work -= work_of(block.tree)
    try:
        numbers = numbers_of(block.tree)
    except ExpressionError as error:
        whole = error
    else:
        site.draft.budget.work -= _WORK_OF_ROUNDING * len(site.dtypes) * len(numbers.entries)
        return numbers
    found = False
    for leaf in block.leaves:
        try:
            numbers_of(leaf.tree)
        except ExpressionError as error:
            found = True
            site.draft.complaints.add(*inside(leaf.scalar, error))
    if not found:
        site.add(path, whole.found, whole.expected, whole.fix)
    return None


def _has_shape(
    site: _Site, path: Sequence[str | int], value: ConstantArray, shape: tuple[int, ...]
) -> bool:
    if value.shape == shape:
        return True
    site.add(
        path,
        f"a value of shape {list(value.shape)}",
        f"one of shape {list(shape)}",
        _shape_fix(shape),
    )
    return False


def _shape_fix(shape: tuple[int, ...]) -> str:
    if 0 in shape:
        return f'write "zeros({list(shape)})"'
    return "write nested lists of that shape" if shape else "write a number"


def _unknown_input(site: _Site, path: Sequence[str | int], name: str) -> None:
    names = tuple(each.name for each in site.inputs)
    fix = nearest(name, names, "choose one of these")
    site.add(path, f"the unknown input {name!r}", f"one of {', '.join(names)}", fix)


_Known = tuple[tuple[str, ...], Block, tuple[str, ...]]
"""Where a known answer stands, what it says, and of what its shape is made: names of inputs."""


def _known(site: _Site) -> Iterator[_Known]:
    keys = site.keys
    if keys.value is not None:
        yield ("value",), keys.value, ("output",)
    for room in ("gradient", "jacobian", "convention"):
        blocks: dict[str, Block] = getattr(keys, room) or {}
        for name, block in blocks.items():
            yield (room, name), block, ("output", name)
    for name, row in (keys.hessian or {}).items():
        for other, block in row.items():
            yield ("hessian", name, other), block, ("output", name, other)


def _check_known(site: _Site, path: tuple[str, ...], block: Block, form: tuple[str, ...]) -> None:
    shapes = {each.name: each.shape for each in site.inputs}
    for depth, name in enumerate(form[1:], 2):
        if name not in shapes:
            _unknown_input(site, path[:depth], name)
            return
    value = _evaluate(site, path, block)
    for variant in site.variants:
        output = variant.program.shape
        if path[0] in ("gradient", "hessian") and output:
            _not_scalar(site, path[0], output)
            return
        wanted = output + tuple(length for name in form[1:] for length in shapes[name])
        if value is not None and not _has_shape(site, path, value, wanted):
            return


def _not_scalar(site: _Site, room: str, output: tuple[int, ...]) -> None:
    found = f"a {room} of a function whose result has the shape {list(output)}"
    fix = "write 'jacobian'" if room == "gradient" else "remove it, or make a scalar case"
    site.add((room,), found, "a function with a single number as its result", fix)


@dataclass(frozen=True, slots=True)
class ConstantArray:
    """An array of numbers: exact where written so, else balls.

    Shapes: ``entries`` are those of an array of ``shape``, flattened.
    """

    shape: tuple[int, ...]
    entries: list[Fraction | arb]

    def rounded(self, dtype: str) -> list[float]:
        """The entries as numbers of the dtype; infinite where they are beyond its range."""
        return [_rounded(entry, DTYPES[dtype]) for entry in self.entries]


def numbers_of(tree: Node) -> ConstantArray:
    """What nested lists of constant expressions stand for.

    Errors: ExpressionError for what is no constant, has no value, or is no rectangular list.
    """
    entries: list[Fraction | arb] = []
    shape = _read(tree, entries)
    if shape is not None:
        return ConstantArray(shape, entries)
    balls = enclose_constant(tree)
    return ConstantArray(balls.shape, balls.ravel().tolist())


def work_of(tree: Node) -> int:
    """Return what ``numbers_of`` takes. Units: those of a tape's work."""
    if isinstance(tree, nodes.Sequence):
        return 1 + sum(map(work_of, tree.items))
    return 1 if _plain(tree) is not None else work_of_constant(tree)


def _read(tree: Node, entries: list[Fraction | arb]) -> tuple[int, ...] | None:
    """The shape of ``tree``, whose numbers go to ``entries``; None for lists that have none."""
    if isinstance(tree, nodes.Sequence):
        shapes = {_read(item, entries) for item in tree.items}
        inner = shapes.pop() if len(shapes) == 1 else None
        return None if inner is None else (len(tree.items), *inner)
    plain = _plain(tree)
    if plain is not None:
        entries.append(plain)
        return ()
    balls = enclose_constant(tree)
    entries += balls.ravel().tolist()
    return balls.shape


def _plain(tree: Node) -> Fraction | None:
    """The exact value of a number, its negative, or a quotient of two: what most entries are."""
    match tree:
        case Literal(Fraction() as value):
            return value
        case Unary("-", Literal(Fraction() as value)):
            return -value
        case Binary("/", left, Literal(Fraction() as below)) if below:
            above = _plain(left)
            return None if above is None else above / below
    return None


def _rounded(entry: Fraction | arb, dtype: Dtype) -> float:
    return nearest_float(entry, dtype) if isinstance(entry, Fraction) else round_ball(entry, dtype)

"""The fixed points of a case: complete, of the right shapes, and certainly inside the domain.

Their numbers are exact where written so, else balls.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import acb, arb

from gradcheck.catalog.budget import BUDGET
from gradcheck.catalog.case import Input, Point, Variant
from gradcheck.catalog.declaration import CaseDraft, check_dtypes, dtypes_on_request
from gradcheck.catalog.expressions import Block
from gradcheck.catalog.keys import PointKeys
from gradcheck.catalog.yaml_document import inside
from gradcheck.dtypes import DTYPES, Dtype
from gradcheck.errors import ExpressionError
from gradcheck.floats import nearest_float
from gradcheck.language import nodes
from gradcheck.language.nodes import Binary, Literal, Node, Unary
from gradcheck.query import Port
from gradcheck.reference.conditions import holds, work_of_holding
from gradcheck.reference.exact import (
    enclose_constant,
    work_of_constant,
)
from gradcheck.reference.exact import nearest_to_ball as round_ball
from gradcheck.spelling import nearest

_WORK_OF_A_POINT = 100  # what each takes, however small it is, in units of a tape's work
_WORK_OF_ROUNDING = 4  # of an entry to a dtype

_Number = Fraction | arb | acb
"""Exact where it is written so, else a ball."""


@dataclass(frozen=True, slots=True)
class _Site:
    """One point of a draft, with what it is checked against.

    ``inputs`` are those of every choice of shapes, by what a message says of it.
    """

    draft: CaseDraft
    number: int
    keys: PointKeys
    inputs: Mapping[str, tuple[Input, ...]]
    variants: tuple[Variant, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all inputs."""
        return tuple(self.draft.keys.inputs)

    def add(self, path: Sequence[str | int], found: str, expected: str, fix: str) -> None:
        self.draft.add(("points", self.number, *path), found, expected, fix)

    def has_lost(self, key: str) -> bool:
        return self.draft.has_lost("points", self.number, key)

    @property
    def dtypes(self) -> tuple[str, ...]:
        return tuple(self.keys.dtypes or (() if self.has_lost("dtypes") else self.draft.dtypes))


def read_points(
    draft: CaseDraft, fixed: tuple[Input, ...], variants: tuple[Variant, ...]
) -> tuple[Point, ...]:
    """All points; complains of every one that cannot be tested as it is written.

    ``fixed`` are the inputs of all variants; none where each has its own.
    """
    points = []
    inputs = {"": fixed} if fixed else {_in_the(each): each.inputs for each in variants}
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
        for answer in _known(site):
            _check_known(site, answer)
        points.append(_point(site))
    return tuple(points)


def _refuse_cost(draft: CaseDraft, number: int) -> None:
    draft.add(
        ("points", number),
        "a file that takes too long to check, up to this point",
        BUDGET,
        "leave points out, make shapes smaller, or split the file",
    )


def _in_the(variant: Variant) -> str:
    return f" (in the variant {variant.name})" if variant.name else ""


def _point(site: _Site) -> Point:
    keys = site.keys
    known: dict[str, Any] = {}
    if keys.value is not None:
        known["value"] = _trees(_by_output(keys.value))
    if keys.gradient is not None:
        known["gradient"] = {"": _trees(keys.gradient)}
    for room in ("jacobian", "convention"):
        blocks = getattr(keys, room)
        if blocks is not None:
            several = _has_outputs(site) and all(isinstance(each, dict) for each in blocks.values())
            by_output = blocks if several else {"": blocks}
            known[room] = {name: _trees(row) for name, row in by_output.items()}
    if keys.hessian is not None:
        known["hessian"] = {name: _trees(row) for name, row in keys.hessian.items()}
    where = site.draft.complaints.where(site.draft.at("points", site.number))
    at = {name: keys.at[name].tree for name in site.names if name in keys.at}
    because = keys.because.text if keys.because else ""
    return Point(where, at, known, because, site.dtypes)


def _by_output(blocks: Block | dict[str, Block]) -> dict[str, Block]:
    return {"": blocks} if isinstance(blocks, Block) else blocks


def _has_outputs(site: _Site) -> bool:
    """Whether the formula gives names to its outputs."""
    return "" not in site.draft.outputs


def _trees(blocks: Mapping[str, Block | dict[str, Block]]) -> dict[str, Node]:
    return {name: block.tree for name, block in blocks.items() if isinstance(block, Block)}


def _check_dtypes(site: _Site) -> None:
    check_dtypes(site.draft, ("points", site.number), site.keys.dtypes)
    if not site.keys.dtypes:
        return
    known = (*site.draft.dtypes, *dtypes_on_request(site.draft, site.variants))
    for k, name in enumerate(site.keys.dtypes):
        if name not in known and not site.draft.has_lost("dtypes"):
            expected = f"one of the case's: {', '.join(known)}"
            fix = "remove it, or add it to the case's 'dtypes'"
            site.add(("dtypes", k), f"the dtype {name} of a point", expected, fix)


def _check_place(site: _Site) -> None:
    """Complain unless ``at`` has a value of the right shape, in the domain, for every input."""
    for name in site.keys.at:
        if name not in site.names:
            _unknown_input(site, ("at", name), name)
    values: dict[str, ConstantArray] = {}
    for name in site.names:
        if name not in site.keys.at:
            if not site.has_lost("at"):
                expected = f"a value for every input: {', '.join(site.names)}"
                site.add(("at",), f"no value for {name!r}", expected, f"add {name}: ...")
            continue
        value = _evaluate(site, ("at", name), site.keys.at[name])
        if value is not None:
            values[name] = value
    fitting = {
        name
        for name, value in values.items()
        if _fits_every_input(site, name, value)
    }  # fmt: skip
    if len(fitting) == len(site.names) == len(site.keys.at):
        at = [values[name] for name in site.names]
        outside = _check_domains(site, at)
        _check_conditions(site, at, [name for name in site.dtypes if name not in outside])


def _fits_every_input(site: _Site, name: str, value: ConstantArray) -> bool:
    path = ("at", name)
    for about, inputs in site.inputs.items():
        one = next(each for each in inputs if each.name == name)
        if not one.domain.complex and not _is_real(site, path, value):
            return False
        if not _has_shape(site, path, value, one.shape, about):
            return False
    return True


def _is_real(site: _Site, path: Sequence[str | int], value: ConstantArray) -> bool:
    if not value.is_complex:
        return True
    found, fix = "a complex number", "write a real one, or correct the formula or the domain"
    site.add(path, found, "a real number", fix)
    return False


def _check_domains(site: _Site, at: list[ConstantArray]) -> set[str]:
    """Complain of every input outside its domain; the dtypes in which some input is."""
    dtypes: set[str] = set()
    pairs = (
        (each, numbers, about)
        for about, inputs in site.inputs.items()
        for each, numbers in zip(inputs, at, strict=True)
    )
    for each, numbers, about in pairs:
        outside = {
            dtype: value
            for dtype in site.dtypes
            for value in numbers.rounded(dtype)
            if not each.domain.contains(value)
        }
        if outside:
            _outside(site, each, outside, about)
            dtypes.update(outside)
    return dtypes


def _outside(site: _Site, one: Input, values: Mapping[str, complex], about: str) -> None:
    inside = [name for name in site.dtypes if name not in values]
    dtype, value = next(iter(values.items()))
    found = f"the point {one.name} = {value!r}{f' in {dtype}' if inside else ''}"
    fix = f"write dtypes: [{', '.join(inside)}] in the point, or " if inside else ""
    site.add(
        ("at", one.name),
        f"{found}, outside the domain{about}",
        f"a number in {one.domain.text}",
        fix + "move the point",
    )


def _check_conditions(site: _Site, at: list[ConstantArray], dtypes: Sequence[str]) -> None:
    for dtype, variant in itertools.product(dtypes, site.variants):
        if not variant.formula.conditions:
            return
        row = np.array([[value for numbers in at for value in numbers.rounded(dtype)]])
        if holds(variant.formula, row)[0] is False:
            site.add(
                ("at",),
                f"a point where 'where' does not hold{_in_the(variant)}",
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
    site: _Site,
    path: Sequence[str | int],
    value: ConstantArray,
    shape: tuple[int, ...],
    about: str = "",
) -> bool:
    if value.shape == shape:
        return True
    site.add(
        path,
        f"a value of shape {list(value.shape)}{about}",
        f"one of shape {list(shape)}",
        _shape_fix(shape),
    )
    return False


def _shape_fix(shape: tuple[int, ...]) -> str:
    if 0 in shape:
        return f'write "zeros({list(shape)})"'
    return "write nested lists of that shape" if shape else "write a number"


def _unknown_input(site: _Site, path: Sequence[str | int], name: str) -> None:
    fix = nearest(name, site.names, "choose one of these")
    site.add(path, f"the unknown input {name!r}", f"one of {', '.join(site.names)}", fix)


# known answers


@dataclass(frozen=True, slots=True)
class _Known:
    """A known answer: where it stands, of which output, and by which inputs it is a derivative."""

    path: tuple[str, ...]
    block: Block
    output: str
    inputs: tuple[str, ...]


def _known(site: _Site) -> Iterator[_Known]:
    """Every block of numbers, where it stands in the structure that the formula asks for."""
    keys = site.keys
    if keys.value is not None:
        yield from _values(site, keys.value)
    for name, block in (keys.gradient or {}).items():
        yield _Known(("gradient", name), block, "", (name,))
    for room in ("jacobian", "convention"):
        for name, blocks in (getattr(keys, room) or {}).items():
            yield from _jacobians(site, (room, name), blocks)
    for name, row in (keys.hessian or {}).items():
        for other, block in row.items():
            yield _Known(("hessian", name, other), block, "", (name, other))


def _values(site: _Site, blocks: Block | dict[str, Block]) -> Iterator[_Known]:
    if isinstance(blocks, Block):
        if _needs_no_output(site, ("value",), blocks):
            yield _Known(("value",), blocks, "", ())
        return
    for name, block in blocks.items():
        if _is_output(site, ("value", name), name):
            yield _Known(("value", name), block, name, ())


def _jacobians(
    site: _Site, path: tuple[str, str], blocks: Block | dict[str, Block]
) -> Iterator[_Known]:
    """The Jacobians at ``path``: one by an input, or those of an output by several."""
    name = path[1]
    if isinstance(blocks, Block):
        if _needs_no_output(site, path, blocks):
            yield _Known(path, blocks, "", (name,))
    elif _is_output(site, path, name):
        for one, block in blocks.items():
            yield _Known((*path, one), block, name, (one,))


def _needs_no_output(site: _Site, path: tuple[str, ...], block: Block) -> bool:
    """Complain of an answer that names no output where the formula's have names."""
    if not _has_outputs(site):
        return True
    names = _judged(site)
    site.draft.complaints.add(
        block.place,
        f"a {path[0]} that names no output",
        f"a map from outputs: {', '.join(names)}",
        f"write {path[0]}: {{{names[0]}: ...}}",
    )
    return False


def _judged(site: _Site) -> list[str]:
    return [name for name, block in site.draft.outputs.items() if block is not None]


def _is_output(site: _Site, path: tuple[str, ...], name: str) -> bool:
    """Complain of what is no output that is judged."""
    outputs, names = site.draft.outputs, _judged(site)
    if not _has_outputs(site):
        found = f"a map under {name!r}, as for a formula of several outputs"
        fix = "write the numbers themselves"
        site.add(path, found, "numbers: the formula's only output has no name", fix)
    elif name not in outputs:
        fix = nearest(name, names, "choose one of these")
        site.add(path, f"the unknown output {name!r}", f"one of {', '.join(names)}", fix)
    elif outputs[name] is None:
        found = f"an answer for the output {name!r}, which is not judged"
        site.add(path, found, f"one of {', '.join(names)}", "remove it")
    return outputs.get(name) is not None


def _check_known(site: _Site, answer: _Known) -> None:
    path, names = answer.path, answer.inputs
    for depth, name in enumerate(names, len(path) - len(names) + 1):
        if name not in site.names:
            _unknown_input(site, path[:depth], name)
            return
    value = _evaluate(site, path, answer.block)
    if path[0] in ("gradient", "hessian") and _has_outputs(site):
        found = f"a {path[0]} of a function of several outputs"
        fix = "write 'jacobian', output by output" if path[0] == "gradient" else "remove it"
        site.add(path[:1], found, "a function with a single number as its result", fix)
        return
    for variant in site.variants:
        if not _suits(site, answer, value, variant):
            return


def _suits(site: _Site, answer: _Known, value: ConstantArray | None, variant: Variant) -> bool:
    """Whether an answer can be one of a variant's; complains where it cannot."""
    path = answer.path
    output = next(port for port in variant.formula.outputs if port.name == answer.output)
    ports = {each.name: each.port for each in variant.inputs}
    inputs = [ports[name] for name in answer.inputs]
    if path[0] in ("gradient", "hessian") and output.shape:
        _not_scalar(site, path[0], output.shape)
        return False
    if _is_no_number(site, path, output, inputs) or value is None:
        return False
    if all(port.kind == "real" for port in (output, *inputs)) and not _is_real(site, path, value):
        return False
    shape = output.shape + tuple(length for port in inputs for length in port.shape)
    about = _in_the(variant) if len(site.inputs) > 1 else ""
    return _has_shape(site, path, value, shape, about)


def _not_scalar(site: _Site, room: str, output: tuple[int, ...]) -> None:
    found = f"a {room} of a function whose result has the shape {list(output)}"
    fix = "write 'jacobian'" if room == "gradient" else "remove it, or make a scalar case"
    site.add((room,), found, "a function with a single number as its result", fix)


def _is_no_number(site: _Site, path: tuple[str, ...], output: Port, inputs: list[Port]) -> bool:
    """Complain of a derivative that no single complex number states."""
    room = path[0]
    kinds = [port.kind for port in inputs]
    if "complex" not in kinds or (output.kind == "real" and len(kinds) == 1):
        if room in ("value", "jacobian", "convention") or output.kind == "real":
            return False
        found = f"a {room} of a complex result"
        site.add((room,), found, "a real result, or 'jacobian'", "write 'jacobian'")
        return True
    what = "a hessian by" if room == "hessian" else f"a {room} of a complex result by"
    found = f"{what} the complex input {inputs[kinds.index('complex')].name!r}"
    expected = "a derivative that one complex number states: of a real result, once"
    fix = "remove it, or name the outputs {re: re(...), im: im(...)}"
    site.add(path, found, expected, fix)
    return True


# numbers


@dataclass(frozen=True, slots=True)
class ConstantArray:
    """An array of numbers: exact where written so, else balls.

    Shapes: ``entries`` are those of an array of ``shape``, flattened.
    """

    shape: tuple[int, ...]
    entries: list[_Number]

    @property
    def is_complex(self) -> bool:
        """Whether an entry has an imaginary part."""
        return any(isinstance(entry, acb) and not entry.imag.is_zero() for entry in self.entries)

    def rounded(self, dtype: str) -> list[complex]:
        """The entries as numbers of the dtype; infinite where they are beyond its range."""
        return [_rounded(entry, DTYPES[dtype]) for entry in self.entries]


def numbers_of(tree: Node) -> ConstantArray:
    """What nested lists of constant expressions stand for.

    Errors: ExpressionError for what is no constant, has no value, or is no rectangular list.
    """
    entries: list[_Number] = []
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


def _read(tree: Node, entries: list[_Number]) -> tuple[int, ...] | None:
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


def _rounded(entry: _Number, dtype: Dtype) -> complex:
    if isinstance(entry, Fraction):
        return nearest_float(entry, dtype)
    if isinstance(entry, acb):
        return complex(round_ball(entry.real, dtype), round_ball(entry.imag, dtype))
    return round_ball(entry, dtype)

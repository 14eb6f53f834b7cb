"""A case on its way from the file: its keys are read, its meaning is being checked.

Here are its names, its inputs, what it says about itself (dtypes, order, witnesses, tags), and the
code on trial.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from gradcheck.catalog.budget import BUDGET, Budget, Spent
from gradcheck.catalog.case import Calling, Implementation, Input, Parameter, Variant
from gradcheck.catalog.domain import Domain, parse_domain
from gradcheck.catalog.expressions import Block, Written
from gradcheck.catalog.keys import CaseKeys
from gradcheck.catalog.problems import Complaints, Refused
from gradcheck.catalog.values import (
    MOST_IN_A_DIMENSION,
    Dimension,
    SweptDomain,
    fault_of_shape,
)
from gradcheck.catalog.yaml_document import UNNAMED, KeyPath, Pairs, inside, place_of
from gradcheck.dtypes import BFLOAT16, DEFAULT_DTYPES, DTYPES, FLOAT16
from gradcheck.errors import ExpressionError
from gradcheck.graph.functions import RESERVED
from gradcheck.graph.steps import check_steps, constant_integer
from gradcheck.language.nodes import Node, Place
from gradcheck.language.torch_names import (
    mistakes,
    mistakes_of_calling,
    names_in_calling,
    names_used,
)
from gradcheck.methods import METHODS, WITNESSES
from gradcheck.spelling import nearest

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class CaseDraft:
    """One case: its name and where it stands, its keys, and where to complain.

    ``lost`` are the paths of what is faulty and left out: what follows from that is no complaint.
    """

    name: str
    place: Place
    node: Pairs
    keys: CaseKeys
    complaints: Complaints
    budget: Budget
    lost: frozenset[KeyPath] = frozenset()

    def at(self, *path: str | int, key: bool = False) -> Place:
        return place_of(self.node, path, key=key)

    def add(self, path: Sequence[str | int], found: str, expected: str, fix: str) -> None:
        """Complain about the key at ``path``."""
        self.complaints.add(self.at(*path, key=True), found, expected, fix)

    def has_lost(self, *path: str | int) -> bool:
        """Whether the value at ``path``, or a part of it, is left out."""
        return any(
            all(one == other for one, other in zip(each, path, strict=False)) for each in self.lost
        )

    @property
    def lets(self) -> dict[str, Node]:
        return {name: written.tree for name, written in (self.keys.let or {}).items()}

    @property
    def conditions(self) -> tuple[Node, ...]:
        return tuple(written.tree for written in self.keys.where or [])

    @property
    def outputs(self) -> dict[str, Block | None]:
        """What each output is, None where it is not judged; the only one is called ""."""
        formula = self.keys.formula
        return {"": formula} if isinstance(formula, Block) else formula

    @property
    def formulas(self) -> Node | dict[str, Node | None]:
        """The same as trees."""
        formula = self.keys.formula
        if isinstance(formula, Block):
            return formula.tree
        return {name: block.tree if block else None for name, block in formula.items()}

    @property
    def written(self) -> str:
        """The formula's own text; a line ``where NAME = ...`` for each constant and let."""
        lines = [
            f"{name} = {_as_written(block)}" if name else _as_written(block)
            for name, block in self.outputs.items()
            if block
        ]
        numbers = (self.keys.constants or {}).items()
        lines += [f"where {name} = {value}" for name, value in numbers if _is_short(value)]
        lets = (self.keys.let or {}).items()
        lines += [f"where {name} = {_on_one_line(let)}" for name, let in lets]
        return "\n".join(lines)

    @property
    def leaves(self) -> list[Written]:
        """All texts of the formula."""
        return [leaf for block in self.outputs.values() if block for leaf in block.leaves]

    @property
    def is_complex(self) -> bool:
        """Whether some input is complex."""
        domains = (keys.domain for keys in self.keys.inputs.values())
        return any(_is_complex(domain) for domain in domains)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Those that the case is for; none where all that it names are faulty."""
        default = COMPLEX_DTYPES if self.is_complex else DEFAULT_DTYPES
        return tuple(self.keys.dtypes or (() if self.has_lost("dtypes") else default))


def _as_written(block: Block) -> str:
    """An expression, or nested lists of such."""
    texts = {id(leaf.tree): _on_one_line(leaf) for leaf in block.leaves}

    def of(node: Any) -> str:
        return texts.get(id(node)) or f"[{', '.join(map(of, node.items))}]"

    return of(block.tree)


def _on_one_line(written: Written) -> str:
    return " ".join(written.scalar.text.split())


def _is_short(constant: object) -> bool:
    return isinstance(constant, bool | Fraction)


def check_names(draft: CaseDraft) -> bool:
    """Whether all names may be used; complains of those that may not."""
    kept = [draft.name] if _is_name(draft, (), draft.name, draft.place) else []
    first: dict[str, tuple[str, int]] = {}
    total = 1
    for room in ("inputs", "constants", "let", "sweep"):
        names = getattr(draft.keys, room) or {}
        total += len(names)
        for name in names:
            place = draft.at(room, name, key=True)
            if not _is_name(draft, (room, name), name, place):
                continue
            if name in RESERVED - {"e"} or name == "torch":
                language = "torch" if name == "torch" else "formula"
                found = f"the name {name!r}, which the {language} language already has"
                draft.add((room, name), found, "a name of its own", "choose another name")
            elif name in first:
                found = f"the name {name!r} again, {first[name][0]} on line {first[name][1]}"
                expected = "each name once among inputs, constants, let and sweep"
                draft.add((room, name), found, expected, "rename one of them")
            else:
                kept.append(name)
            first.setdefault(name, (f"under {room!r}", place[0]))
    return len(kept) == total


def _is_name(draft: CaseDraft, path: Sequence[str], name: str, place: Place) -> bool:
    if _NAME.fullmatch(name) and not keyword.iskeyword(name):
        return True
    what = f"the keyword {name!r} as a name" if keyword.iskeyword(name) else f"the name {name!r}"
    draft.complaints.add(
        place,
        what,
        "a Python identifier in ASCII that is no keyword",
        "use letters, digits and underscores, and begin with a letter",
    )
    return False


def read_inputs(draft: CaseDraft, values: Mapping[str, object]) -> tuple[Input, ...]:
    """The inputs for one choice of sweep values.

    Complains of none, of shapes that are none, of kinds without squares, and of domains without
    floats. None are returned where a shape has no value.
    """
    if not draft.keys.inputs:
        draft.add(("inputs",), "no inputs", "at least one", "add an input, as in x: real")
    inputs = []
    for name, keys in draft.keys.inputs.items():
        shape = _shape(draft, name, keys.shape, values)
        if shape is None:
            return ()
        domain = _domain(draft, keys.domain, values)
        if domain is None:
            return ()
        inputs.append(Input(name, domain, shape, keys.kind))
        if keys.kind is not None:
            _check_kind(draft, inputs[-1], has_domain=domain.text != "real")
        _check_floats(draft, inputs[-1])
    return tuple(inputs)


def has_symbols(draft: CaseDraft) -> bool:
    """Whether the shape or the domain of an input hangs on the sweep."""
    return any(
        _symbols(keys.shape) or isinstance(keys.domain, SweptDomain)
        for keys in draft.keys.inputs.values()
    )


def _is_complex(domain: Domain | SweptDomain | None) -> bool:
    if isinstance(domain, SweptDomain):  # its word for the plane is no matter of the values
        text = domain.scalar.text
        return "complex" in text or "|z" in text or re.search(r"\b(re|im)\b", text) is not None
    return domain is not None and domain.complex


def _domain(
    draft: CaseDraft, domain: Domain | SweptDomain | None, values: Mapping[str, object]
) -> Domain | None:
    """The domain for one choice of sweep values; None after a complaint."""
    if not isinstance(domain, SweptDomain):
        return domain or parse_domain("real")
    try:
        return domain.at(values, draft.budget)
    except Refused as refused:
        for place, found, expected, fix in refused.complaints:
            draft.complaints.add(place, found + _given(values), expected, fix)
        return None


def _given(values: Mapping[str, object]) -> str:
    """Of which sweep values a message speaks."""
    shown = ", ".join(f"{key} = {value}" for key, value in values.items())
    return f" where {shown}" if shown else ""


def _symbols(shape: tuple[Dimension, ...]) -> list[Written]:
    return [length for length in shape if isinstance(length, Written)]


def _shape(
    draft: CaseDraft, name: str, dimensions: tuple[Dimension, ...], values: Mapping[str, object]
) -> tuple[int, ...] | None:
    """The lengths; None after a complaint."""
    if not _symbols(dimensions):
        return tuple(length for length in dimensions if isinstance(length, int))
    where = _given(values)
    shape = []
    for written in dimensions:
        length = written
        if isinstance(written, Written):
            try:
                length = constant_integer(written.tree, values, draft.budget.spend)
            except ExpressionError as error:
                draft.complaints.add(*inside(written.scalar, error))
                return None
            if not 0 <= length <= MOST_IN_A_DIMENSION:
                found = f"the dimension {length:,}{where}"
                expected = f"an integer from 0 to {MOST_IN_A_DIMENSION:,}"
                fix = "correct it, or the values of the sweep"
                draft.complaints.add(written.scalar.place, found, expected, fix)
                return None
        assert isinstance(length, int)
        shape.append(length)
    fault = fault_of_shape(shape)
    if fault:
        draft.add(("inputs", name, "shape"), fault[0] + where, *fault[1:])
    return None if fault else tuple(shape)


def _check_kind(draft: CaseDraft, one: Input, *, has_domain: bool) -> None:
    if len(one.shape) < 2 or one.shape[-1] != one.shape[-2]:
        draft.add(
            ("inputs", one.name, "shape"),
            f"the shape {list(one.shape)} of a matrix that is {one.kind}",
            "a square matrix, or a batch of them",
            "write a shape like [3, 3]",
        )
    if has_domain:
        draft.add(
            ("inputs", one.name, "domain"),
            "a domain beside a kind",
            "either a kind, or a domain for every entry",
            "remove one of them",
        )


def _check_floats(draft: CaseDraft, one: Input) -> None:
    if one.domain.complex:
        return
    without = [name for name in draft.dtypes if not one.domain.spans(DTYPES[name])]
    if without:
        draft.add(
            ("inputs", one.name),
            f"the domain {one.domain.text}, which holds no {' and no '.join(without)} number",
            "a domain with floating-point numbers in it",
            "widen the domain, or leave the dtype out under 'dtypes'",
        )


def dtypes_on_request(draft: CaseDraft, variants: Sequence[Variant]) -> tuple[str, ...]:
    """Half precision, if a case of real inputs names no dtypes, and its domains hold some."""
    if draft.keys.dtypes is not None or draft.is_complex:
        return ()
    domains = [each.domain for variant in variants for each in variant.inputs]
    return tuple(
        dtype.name for dtype in (FLOAT16, BFLOAT16) if all(each.spans(dtype) for each in domains)
    )


DEFAULT_ORDER = 2
COMPLEX_DTYPES = ("complex128", "complex64")
"""Of a case with a complex input that names none."""
_PYTEST_MARKERS = (
    *("skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings"),
    *("tryfirst", "trylast", "no_cover", "hypothesis", "xdist_group"),
)
_DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "mtia", "xla")
TAKEN_MARKERS = frozenset((*_PYTEST_MARKERS, *_DEVICES, *DTYPES, *WITNESSES)) | {
    "symbolic",
    "order1",
    "order2",
    "order3",
    "and",
    "or",
    "not",
    "True",
    "False",
    "None",
}
"""Words that mean something else to pytest's -m, here or in pytest itself."""


def check_labels(draft: CaseDraft) -> None:
    """Complain of labels that cannot mean what they say."""
    check_dtypes(draft, (), draft.keys.dtypes)
    _check_kinds_of_dtypes(draft)
    _check_accuracy(draft)
    _check_witnesses(draft)
    _check_tags(draft)
    if draft.keys.source == []:
        draft.add(("source",), "no source", "at least one", "add one or remove the key")
    if draft.keys.order == 1:
        _check_order_of_points(draft)


def check_dtypes(draft: CaseDraft, path: Sequence[str | int], dtypes: list[str] | None) -> None:
    """Complain of a list of dtypes below ``path`` that is empty or repeats one."""
    if dtypes == []:
        draft.add((*path, "dtypes"), "no dtypes", "at least one", "add one or remove the key")
    seen: set[str] = set()
    for k, name in enumerate(dtypes or []):
        if name in seen:
            found = f"the dtype {name} again"
            draft.add((*path, "dtypes", k), found, "each dtype once", "remove it")
        seen.add(name)


def _check_kinds_of_dtypes(draft: CaseDraft) -> None:
    """Complain of real dtypes for complex inputs, and of complex ones where all are real."""
    if draft.has_lost("inputs"):
        return
    fitting = [name for name, dtype in DTYPES.items() if dtype.is_complex == draft.is_complex]
    for k, name in enumerate(draft.keys.dtypes or []):
        if name not in fitting:
            about = "with a complex input" if draft.is_complex else "whose inputs are all real"
            real = DTYPES[name].real
            near = [other for other in fitting if real in (other, DTYPES[other].real)]
            draft.add(
                ("dtypes", k),
                f"the dtype {name} of a case {about}",
                f"one of {', '.join(fitting)}",
                f"write {(near or fitting)[0]}",
            )


def _check_accuracy(draft: CaseDraft) -> None:
    for name, said in (draft.keys.accuracy or {}).items():
        if said.ulps is None and not said.normwise:
            path = ("accuracy",) if name == UNNAMED else ("accuracy", name)
            fix = "add ulps: 1000, or normwise: true"
            draft.add(path, "an accuracy that allows nothing", "ulps, or normwise: true", fix)
        if name == UNNAMED or name in draft.dtypes:
            continue
        path, known = ("accuracy", name), tuple(DTYPES)
        if name not in known:
            fix = nearest(name, known, "choose one of these")
            draft.add(path, f"the unknown dtype {name!r}", f"one of {', '.join(known)}", fix)
        elif not draft.has_lost("dtypes"):
            expected = f"one of the case's: {', '.join(draft.dtypes)}"
            fix = "remove it, or add it to the case's 'dtypes'"
            draft.add(path, f"the accuracy of {name}", expected, fix)


def _check_witnesses(draft: CaseDraft) -> None:
    known = WITNESSES
    for name in draft.keys.without or {}:
        if name not in known:
            draft.add(
                ("without", name),
                f"the unknown witness {name!r}",
                f"one of {', '.join(known)}",
                nearest(name, known, "choose one of these"),
            )

    _check_required(draft)


def _check_required(draft: CaseDraft) -> None:
    """Complain of witnesses that are required and can have no check."""
    required = draft.keys.requires
    order = draft.keys.order or DEFAULT_ORDER
    if required == []:
        draft.add(("requires",), "no witness", "at least one", "add one or remove the key")
    for k, name in enumerate(required or []):
        here, found = ("requires", k), f"the witness {name}"
        if name in (required or [])[:k]:
            draft.add(here, f"{found} again", "each witness once", "remove it")
        elif name in (draft.keys.without or {}):
            expected, fix = "a witness that the case is not 'without'", "remove it here or there"
            draft.add(here, f"{found}, which the case is 'without'", expected, fix)
        elif METHODS[name].order > order and not draft.has_lost("order"):
            needed = METHODS[name].order
            found = f"{found}, which is about order {needed}, in a case of order {order}"
            fix = f"write order: {needed} or remove it"
            draft.add(here, found, "a witness that the case's order has", fix)


def _check_tags(draft: CaseDraft) -> None:
    seen: set[str] = set()
    for k, tag in enumerate(draft.keys.tags or []):
        if tag.text in TAKEN_MARKERS:
            found = f"the tag {tag.text!r}, which is a marker already"
            draft.add(("tags", k), found, "a word of the case's own", "rename the tag")
        elif tag.text in seen:
            draft.add(("tags", k), f"the tag {tag.text!r} again", "each tag once", "remove it")
        seen.add(tag.text)


def _check_order_of_points(draft: CaseDraft) -> None:
    for k, point in enumerate(draft.keys.points or []):
        if point.hessian is not None:
            found, expected = "a Hessian in a case of order 1", "order 2, which verifies Hessians"
            draft.add(("points", k, "hessian"), found, expected, "write order: 2 or remove it")


def read_implementations(draft: CaseDraft) -> tuple[Implementation, ...]:
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
    _check_torch(draft, keys.torch, "torch")
    return tuple(
        Implementation(each.scalar.text.strip(), where(each.scalar.place), tree=each.tree)
        for each in keys.torch
    )


def read_calling(draft: CaseDraft) -> Calling | None:
    """How the case's function is called, where it says so; complains of what is not of it."""
    written = draft.keys.call
    if written is None:
        return None
    if draft.keys.function is None:
        _miss_function(draft, "call", "an expression that calls it as f")
        return None
    _check_torch(draft, [written], "call")
    named = names_in_calling(written.tree)
    placed = {scalar.text for scalar in (draft.keys.parameters or {}).values()}
    for name in draft.keys.inputs:
        if name not in named and name not in placed:
            found, expected = f"{name!r}, which 'call' does not name", "every input in 'call'"
            draft.add(("inputs", name), found, expected, "name it there, or remove it")
    return Calling(
        written.scalar.text.strip(), draft.complaints.where(written.scalar.place), written.tree
    )


def read_parameters(draft: CaseDraft) -> tuple[Parameter, ...]:
    """The parameters of a module that are inputs; complains of what are none."""
    given, where = draft.keys.parameters, draft.complaints.where
    if given is None:
        return ()
    if draft.keys.function is None:
        _miss_function(draft, "parameters", "a map for the nn.Module that it names")
    if not given:
        found, fix = "no parameters", "add one, as in weight: w, or remove the key"
        draft.add(("parameters",), found, "at least one", fix)
    known = tuple(draft.keys.inputs)
    for scalar in given.values():
        if scalar.text not in known:
            fix = nearest(scalar.text, known, "declare it under 'inputs'")
            expected = f"an input: {', '.join(known)}"
            draft.complaints.add(scalar.place, f"{scalar.text!r}, which is no input", expected, fix)
    return tuple(
        Parameter(name, scalar.text, where(draft.at("parameters", name, key=True)))
        for name, scalar in given.items()
    )


def _miss_function(draft: CaseDraft, key: str, expected: str) -> None:
    fix = "add function: my_package.ops:swish, or remove it"
    draft.add((key,), f"{key!r} without 'function'", f"a 'function', and {expected}", fix)


def _check_torch(draft: CaseDraft, texts: list[Written], key: str) -> None:
    """Complain of everything that is not of the torch language, in which `call` calls ``f``."""
    keys = draft.keys
    rooms = (keys.inputs, keys.constants or {}, keys.sweep or {})
    names = frozenset(name for room in rooms for name in room)
    numbers = {
        name: value for name, value in (keys.constants or {}).items() if isinstance(value, Fraction)
    }
    for each in texts:
        for error in (mistakes_of_calling if key == "call" else mistakes)(each.tree, names):
            draft.complaints.add(*inside(each.scalar, error))
        try:
            check_steps(each.tree, numbers, draft.budget.spend)
        except Spent:
            fix = "write shorter bounds, or split the file"
            draft.add((key,), "loops whose bounds take too long to read", BUDGET, fix)
            return
        except ExpressionError as error:
            draft.complaints.add(*inside(each.scalar, error))


def formula_names(draft: CaseDraft) -> frozenset[str]:
    """Every name that the texts of the formula language mention."""
    trees: list[Node] = [*draft.conditions, *draft.lets.values()]
    trees += [leaf.tree for leaf in draft.leaves]
    return frozenset[str]().union(*map(names_used, trees))


def check_usage(draft: CaseDraft) -> None:
    """Complain of every declared name that nothing uses."""
    keys, formula = draft.keys, formula_names(draft)
    torch = frozenset[str]().union(*(names_used(each.tree) for each in keys.torch or []))
    torch |= names_in_calling(keys.call.tree) if keys.call else frozenset()
    lengths = (written for each in keys.inputs.values() for written in _symbols(each.shape))
    domains = (each.domain for each in keys.inputs.values())
    where = frozenset[str]().union(
        *(names_used(written.tree) for written in lengths),
        *(domain.names for domain in domains if isinstance(domain, SweptDomain)),
    )
    for name in keys.inputs:
        if name not in formula:
            _unused(draft, "inputs", name, "an input that the formula uses")
    rooms = (("constants", "constant", formula | torch),
             ("sweep", "name of the sweep", formula | torch | where))  # fmt: skip
    for room, kind, used in rooms:
        for name in getattr(keys, room) or {}:
            if name not in used:
                _unused(draft, room, name, f"a {kind} that 'formula', 'torch' or 'call' uses")
    for name in draft.lets:
        if name not in formula:
            _unused(draft, "let", name, "an intermediate result that a later text uses")


def _unused(draft: CaseDraft, room: str, name: str, expected: str) -> None:
    draft.add((room, name), f"{name!r}, which is never used", expected, "use it or remove it")

"""Which function is meant: a case of a catalog, or a formula, and what is on trial for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib.util import find_spec
from typing import Any

from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.catalog.checks import Check
from gradcheck.catalog.files import case_name_in, implementation_of, load_case
from gradcheck.catalog.inline import case_of
from gradcheck.dtypes import DTYPES
from gradcheck.errors import CatalogError, ExpressionError, Problem, UsageError, Where
from gradcheck.explanation.point import declaration_of
from gradcheck.graph.functions import RESERVED
from gradcheck.implementations.trust import refuse_untrusted
from gradcheck.language.nodes import Call, Comprehension, Name
from gradcheck.language.parse import parse
from gradcheck.language.torch_names import check_tree


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: what stands for a file in messages, what keys are called, what is raised."""

    shown: str
    labels: Mapping[str, str] = field(default_factory=dict)
    error: type[CatalogError] = CatalogError


@dataclass(frozen=True, slots=True)
class Request:
    """``subject`` is a case or a formula; ``keys`` are further keys of a formula's case.

    ``running`` are inputs that need no value, as a plot gives them many.
    """

    subject: str
    asker: Asker
    at: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Any] = field(default_factory=dict)
    trusted: Sequence[str] = ()
    implementation: int = 0
    running: tuple[str, ...] = ()


def check_of(request: Request, dtype: str, device: str) -> Check:
    """What is on trial, as a check of the witness `reverse`.

    Errors: UsageError and CatalogError for whatever is not there, or not so.
    """
    case, variant = _case(request)
    implementation = implementation_of(case, request.implementation)
    refuse_untrusted([implementation], request.trusted)
    return check_on(case, variant, implementation, dtype, device)


def check_on(
    case: Case, variant: Variant, implementation: Implementation, dtype: str, device: str
) -> Check:
    """The check, in the dtype that is asked for, else in the widest one.

    Errors: UsageError for a dtype that is none, or not of the inputs' kind.
    """
    if dtype and dtype not in DTYPES:
        raise UsageError(
            f"--dtype {dtype}: unknown name", f"one of {', '.join(DTYPES)}", "leave it out"
        )
    is_complex = any(port.kind == "complex" for port in variant.formula.ports)
    dtype = dtype or ("complex128" if is_complex else "float64")
    if DTYPES[dtype].is_complex != is_complex:
        fitting = [each.name for each in DTYPES.values() if each.is_complex == is_complex]
        inputs = "a complex input" if is_complex else "real inputs alone"
        raise UsageError(
            f"--dtype {dtype} for {inputs}", f"one of {', '.join(fitting)}", "leave it out"
        )
    return Check(case, variant, implementation, "reverse", device, dtype, case.name, ())


def checks_like(check: Check, dtypes: str, devices: Sequence[str]) -> tuple[Check, ...]:
    """The same check in each dtype of a list such as ``float64,float32`` on each device.

    Errors: as for `check_on`.
    """
    words = [word.strip() for word in dtypes.split(",") if word.strip()] or [check.dtype]
    return tuple(
        check_on(check.case, check.variant, check.implementation, word, device)
        for device in devices
        for word in dict.fromkeys(words)
    )


def owner_of(name: str) -> str:
    """The input that ``x[0, 1]`` or ``im z`` is a number of."""
    return name.strip().removeprefix("re ").removeprefix("im ").partition("[")[0].strip()


def that_run(names: Sequence[str]) -> tuple[str, str]:
    """The one number that runs, or both. Errors: UsageError for more."""
    if len(names) > 2:
        raise UsageError(
            f"--input {names[2]}: a third number that runs",
            "one for a curve, two for a surface",
            "fix it by --at",
        )
    first, other = (*names, "", "")[:2]
    return first, other


def need_matplotlib(asked: str) -> None:
    """Errors: UsageError where matplotlib is not installed, before the work and not after it."""
    if find_spec("matplotlib") is None:
        raise UsageError(
            f"{asked}: drawn by matplotlib, which is not installed",
            "the package matplotlib",
            "run: pip install matplotlib, or draw an SVG, which needs no package",
        )


def _case(request: Request) -> tuple[Case, Variant]:
    declared = (*request.at, *request.keys.get("inputs", ()), *request.running)
    reference = case_name_in(request.subject, declared)
    if reference is None:
        case = _formula_case(request)
        return case, case.variants[0]
    extra = [name for name in request.keys if name not in ("inputs", "torch")]
    if extra:
        raise UsageError(
            f"--{extra[0].rstrip('s')} beside the case {reference.case}",
            "a formula, where it is given",
            "leave it out, or write the formula instead of the case's name",
        )
    case, variant = load_case(reference)
    torch = request.keys.get("torch")
    texts = [torch] if isinstance(torch, str) else torch
    return (_with_torch(case, variant, texts) if texts else case), variant


def _formula_case(request: Request) -> Case:
    """The formula's case; inputs that nothing declares are real or complex, and of the shape, as
    the value that --at gives."""
    keys = {"formula": request.subject, **request.keys}
    inputs = dict(keys.get("inputs", {}))
    known = inputs.keys() | keys.get("constants", {}).keys() | keys.get("let", {}).keys()
    for name in _names(request, keys.get("let", {})):
        if name not in known:
            shown = declaration_of(name, request.at[name]) if name in request.at else {}
            inputs[name] = {"domain": "real", "shape": [], **shown}
    keys["inputs"] = inputs
    keys["summary"] = " ".join(request.subject.split())
    asker = request.asker
    try:
        return case_of(keys, shown=asker.shown, labels=asker.labels)
    except CatalogError as error:
        raise asker.error(error.problems) from None


def _names(request: Request, lets: Mapping[str, str]) -> list[str]:
    labels, found = request.asker.labels, dict[str, None]()
    texts = [(labels.get("formula", "formula"), request.subject)]
    texts += [(f"{labels.get('let', 'let')} {name}", lets[name]) for name in lets]
    for label, text in texts:
        try:
            found |= dict.fromkeys(_free_names(text))
        except ExpressionError as error:
            where = Where(f"{request.asker.shown} {label}", *error.place)
            problem = Problem(where, error.found, error.expected, error.fix)
            raise request.asker.error([problem]) from None
    return list(found)


def _free_names(formula: str) -> list[str]:
    """The names of a formula that the language does not define, in order.

    Errors: ExpressionError for what is no formula.
    """
    found: dict[str, None] = {}
    _gather(parse(formula), frozenset(RESERVED), found)
    return list(found)


def _gather(node: object, bound: frozenset[str], found: dict[str, None]) -> None:
    if isinstance(node, Name) and node.name not in bound:
        found[node.name] = None
    if isinstance(node, Comprehension):
        bound |= {loop.name for loop in node.loops}
    if isinstance(node, (tuple, list)):
        for item in node:
            _gather(item, bound, found)
    elif is_dataclass(node):
        for each in fields(node):
            if not (isinstance(node, Call) and each.name == "function"):
                _gather(getattr(node, each.name), bound, found)


def _with_torch(case: Case, variant: Variant, texts: Sequence[str]) -> Case:
    """The case with other code on trial."""
    names = frozenset((*(each.name for each in case.inputs), *case.constants, *variant.values))
    found = []
    for text in texts:
        try:
            tree = parse(text)
            check_tree(tree, names)
        except ExpressionError as error:
            raise UsageError(f"--torch {text}: {error.found}", error.expected, error.fix) from None
        found.append(Implementation(text, case.where, tree=tree))
    return replace(case, implementations=tuple(found))

"""What `explain` and `plot` are asked about: a case, or a formula, in one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace

from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.catalog.checks import Check
from gradcheck.cli.arguments import (
    SHOWN,
    CommandLineError,
    case_of_keys,
    refuse_untrusted,
    typed_keys,
)
from gradcheck.cli.files import case_name_in, implementation_of, load_case
from gradcheck.dtypes import DTYPES
from gradcheck.errors import ExpressionError, Problem, UsageError, Where
from gradcheck.explain.point import shape_of
from gradcheck.graph.functions import RESERVED
from gradcheck.language.nodes import Call, Comprehension, Name
from gradcheck.language.parse import parse
from gradcheck.language.torch_names import check_tree


@dataclass(frozen=True, slots=True)
class Request:
    """The options that say which function; ``texts`` are those that declare a formula's case."""

    subject: str
    at: Mapping[str, str]
    inputs: Sequence[str] = ()
    torch: Sequence[str] = ()
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    trusted: Sequence[str] = ()
    implementation: int = 0
    running: str = ""  # an input that needs no value, as the plot gives it many


def check_of(request: Request, dtype: str, device: str) -> Check:
    """What is on trial, as a check of the witness `reverse`.

    Errors: UsageError and CatalogError for whatever is not there, or not so.
    """
    if dtype not in DTYPES:
        raise UsageError(
            f"--dtype {dtype}: unknown name", f"one of {', '.join(DTYPES)}", "leave it out"
        )
    case, variant = _case(request)
    implementation = implementation_of(case, request.implementation)
    refuse_untrusted([implementation], request.trusted)
    return Check(case, variant, implementation, "reverse", device, dtype, case.name, ())


def _case(request: Request) -> tuple[Case, Variant]:
    declared = [text.partition("=")[0].strip() for text in request.inputs]
    reference = case_name_in(request.subject, (*request.at, *declared, request.running))
    if reference is None:
        case = _formula_case(request)
        return case, case.variants[0]
    extra = [name for name, texts in request.texts.items() if texts]
    if extra:
        raise UsageError(
            f"--{extra[0].rstrip('s')} beside the case {reference.case}",
            "a formula, where it is given",
            "leave it out, or write the formula instead of the case's name",
        )
    case, variant = load_case(reference)
    return (_with_torch(case, variant, request.torch) if request.torch else case), variant


def _formula_case(request: Request) -> Case:
    """The formula's case; inputs that nothing declares are real, of the shape that --at gives."""
    keys = typed_keys(request.subject, inputs=request.inputs, torch=request.torch, **request.texts)
    known = keys.get("inputs", {}).keys() | keys.get("constants", {}).keys()
    known |= keys.get("let", {}).keys()
    for name in _names(request.subject, keys.get("let", {})):
        if name not in known:
            shape = shape_of(name, request.at[name]) if name in request.at else ()
            keys.setdefault("inputs", {})[name] = {"domain": "real", "shape": list(shape)}
    keys["summary"] = " ".join(request.subject.split())
    return case_of_keys(keys, request.trusted)


def _names(formula: str, lets: Mapping[str, str]) -> list[str]:
    found: dict[str, None] = {}
    for label, text in (("FORMULA", formula), *((f"--let {name}", lets[name]) for name in lets)):
        try:
            found |= dict.fromkeys(_free_names(text))
        except ExpressionError as error:
            where = Where(f"{SHOWN} {label}", *error.place)
            problem = Problem(where, error.found, error.expected, error.fix)
            raise CommandLineError([problem]) from None
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

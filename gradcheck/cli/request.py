"""What `explain` and `plot` are asked about: a case, or a formula, in one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gradcheck.catalog.case import Case, Implementation, Variant
from gradcheck.cli.declaration import case_of_keys, keys_of, refuse_untrusted
from gradcheck.cli.hearing import Hearing
from gradcheck.cli.place import free_names, shape_of
from gradcheck.cli.selection import implementation_of, load_case, reference_of
from gradcheck.errors import ExpressionError, UsageError
from gradcheck.formula.parse import parse
from gradcheck.formula.torch_names import check_tree
from gradcheck.formula.truth import Truth
from gradcheck.setting import DTYPES


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


def hearing_of(request: Request, dtype: str, device: str) -> Hearing:
    """What is on trial, ready to be heard.

    Errors: UsageError and CatalogError for whatever is not there, or not so.
    """
    if dtype not in DTYPES:
        raise UsageError(
            f"--dtype {dtype}: unknown name", f"one of {', '.join(DTYPES)}", "leave it out"
        )
    case, variant = _case(request)
    implementation = implementation_of(case, request.implementation)
    refuse_untrusted([implementation], request.trusted)
    return Hearing(case, variant, implementation, dtype, device, Truth(variant.program))


def _case(request: Request) -> tuple[Case, Variant]:
    declared = [text.partition("=")[0].strip() for text in request.inputs]
    reference = reference_of(request.subject, (*request.at, *declared))
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
    keys = keys_of(request.subject, inputs=request.inputs, torch=request.torch, **request.texts)
    known = keys.get("inputs", {}).keys() | keys.get("constants", {}).keys()
    known |= keys.get("let", {}).keys()
    texts = (request.subject, *keys.get("let", {}).values())
    for name in dict.fromkeys(name for text in texts for name in _names(text)):
        if name not in known:
            shape = shape_of(name, request.at[name]) if name in request.at else ()
            keys.setdefault("inputs", {})[name] = {"domain": "real", "shape": list(shape)}
    return case_of_keys(keys)


def _names(text: str) -> list[str]:
    try:
        return free_names(text)
    except ExpressionError:
        return []  # the loader says what is wrong with it, and where


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


def labelled(hearing: Hearing) -> dict[str, Any]:
    """What JSON says of the request."""
    return {
        "case": hearing.case.name,
        "variant": hearing.variant.name,
        "implementation": hearing.implementation.text,
        "dtype": hearing.dtype,
        "device": hearing.device,
    }

"""The keys of the format, once: validation and the JSON Schema are both made from these tables.

To add a key, add a field here; its description is what editors show, its example the fix that a
message offers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from gradcheck.catalog.domain import Domain
from gradcheck.catalog.expressions import Block, Constant, Written
from gradcheck.catalog.patterns import OWN_NAME_PATTERN
from gradcheck.catalog.problems import Refused
from gradcheck.catalog.validation import (
    Spot,
    T,
    ValueKind,
    keys_of,
    list_of,
    map_of,
    optional,
    plain_kind,
    required,
    table_of,
)
from gradcheck.catalog.values import (
    BOOLEAN,
    CALLING,
    CHOICE,
    DATA,
    DOMAIN,
    DTYPE,
    EXPRESSION,
    FORMULA,
    LINE,
    MOST_IN_A_DIMENSION,
    NUMBERS,
    ORDER,
    REFERENCE,
    SHAPE,
    STRUCTURE,
    TAG,
    TEXT,
    TORCH,
    ULPS,
    Dimension,
    SweptDomain,
    read_word,
    read_words,
)
from gradcheck.catalog.yaml_document import UNNAMED, Items, Pairs, Yaml, YamlScalar, describe
from gradcheck.dtypes import DTYPES
from gradcheck.methods import WITNESSES


def _text(reader: Callable[[Yaml], T]) -> ValueKind[T]:
    return plain_kind(reader, {"type": "string"})


def or_map(kind: ValueKind[T]) -> ValueKind[T | dict[str, T]]:
    """Return the kind of such values, or of maps from any names to them."""
    many = map_of(kind)

    def read(value: Yaml, spot: Spot) -> T | dict[str, T]:
        return many.read(value, spot) if isinstance(value, Pairs) else kind.read(value, spot)

    return ValueKind(read, {"anyOf": [kind.schema, many.schema]})


def _read_output(value: Yaml, spot: Spot) -> Block | None:
    """What an output is, or null for one that is not judged."""
    if isinstance(value, YamlScalar) and value.kind == "null":
        return None
    return FORMULA.read(value, spot)


_SEVERAL = map_of(ValueKind(_read_output, {"anyOf": [FORMULA.schema, {"type": "null"}]}))


def _read_outputs(value: Yaml, spot: Spot) -> Block | dict[str, Block | None]:
    if not isinstance(value, Pairs):
        return FORMULA.read(value, spot)
    several = _SEVERAL.read(value, spot)
    if all(isinstance(each, YamlScalar) and each.kind == "null" for each in value.values()):
        fix = "write a formula for at least one of them"
        raise Refused((value.place, "no output that is judged", "a formula", fix))
    return several


OUTPUTS = ValueKind(_read_outputs, {"anyOf": [*FORMULA.schema["anyOf"], _SEVERAL.schema]})


def named(kind: ValueKind[dict[str, T]]) -> ValueKind[dict[str, T]]:
    """Return the kind of such maps whose names are a case's own, as editors are told."""
    return ValueKind(kind.read, {**kind.schema, "propertyNames": {"pattern": OWN_NAME_PATTERN}})


DTYPE_LIST = ValueKind(
    list_of(DTYPE).read, {**list_of(DTYPE).schema, "minItems": 1, "uniqueItems": True}
)


@dataclass(frozen=True, slots=True)
class InputKeys:
    """Where an input lives."""

    domain: Domain | SweptDomain | None = optional(
        DOMAIN,
        "a domain: real, positive, negative, nonnegative, nonzero, complex, an interval such "
        "as (0, pi/2], or several joined by |; default real",
        '"(-4, 4)"',
    )
    shape: tuple[Dimension, ...] = optional(
        SHAPE,
        f"a list of dimensions, each 0 to {MOST_IN_A_DIMENSION:,} or an expression in sweep "
        "values; [] (the default) for a single number",
        "[2, 3]",
        default=(),
    )
    kind: str | None = optional(STRUCTURE, "which square matrices are drawn", "positive_definite")


@dataclass(frozen=True, slots=True)
class PointKeys:
    """A fixed input, always tested, with known answers where stated."""

    at: dict[str, Block] = required(
        map_of(NUMBERS),
        "a map from every input's name to its value, exact: 3, 1/3, pi or nested lists",
        "{x: 3}",
    )
    value: Block | dict[str, Block] | None = optional(
        or_map(NUMBERS),
        "the function's value there; of several outputs, a map from their names",
        "27",
    )
    gradient: dict[str, Block] | None = optional(
        map_of(NUMBERS),
        "a map from an input's name to the gradient of a scalar function",
        "{x: 18}",
    )
    jacobian: dict[str, Block | dict[str, Block]] | None = optional(
        map_of(or_map(NUMBERS)),
        "a map from an input's name to the Jacobian: the output's shape, then its own; of "
        "several outputs, a map from their names to such maps",
        "{x: [1, 0]}",
    )
    hessian: dict[str, dict[str, Block]] | None = optional(
        map_of(map_of(NUMBERS)),
        "a map from an input's name to a map from an input's name to second "
        "derivatives of a scalar function",
        "{x: {x: 6}}",
    )
    convention: dict[str, Block | dict[str, Block]] | None = optional(
        map_of(or_map(NUMBERS)),
        "a map from an input's name to the gradient that PyTorch promises where no "
        "derivative exists; of several outputs, a map from their names to such maps",
        "{x: 0}",
    )
    because: YamlScalar | None = optional(TEXT, "a text: where the answers come from", "by hand")
    dtypes: list[str] | None = optional(
        DTYPE_LIST, "a list of the dtypes that the point is for", "[float64]"
    )


@dataclass(frozen=True, slots=True)
class AccuracyKeys:
    """A wider allowance than the derived one, or another measure of errors."""

    ulps: int | None = optional(ULPS, "the allowance, a positive integer", "1000")
    normwise: bool | None = optional(
        BOOLEAN, "true where errors are small beside the norm of their array only", "true"
    )
    because: YamlScalar = required(TEXT, "a text: the reason", "a long sum")


_ACCURACIES = table_of(AccuracyKeys)
_BY_DTYPE = map_of(_ACCURACIES)


def _read_accuracy(value: Yaml, spot: Spot) -> dict[str, AccuracyKeys]:
    """The allowance for all dtypes as a map of dtypes too, of one without a name."""
    if not isinstance(value, Pairs):
        return _BY_DTYPE.read(value, spot)
    names_dtypes = any(isinstance(each, Pairs) or name in DTYPES for name, each in value.items())
    if names_dtypes and keys_of(AccuracyKeys).keys().isdisjoint(value):
        # Without the key, whose example is none of the map of one dtype.
        return _BY_DTYPE.read(value, Spot(spot.reading, spot.path))
    return {UNNAMED: _ACCURACIES.read(value, spot)}


ACCURACY = ValueKind(
    _read_accuracy,
    {
        "anyOf": [
            _ACCURACIES.schema,
            {**_BY_DTYPE.schema, "propertyNames": {"enum": list(DTYPE.schema["enum"])}},
        ]
    },
)

_INPUTS = table_of(InputKeys)


def _read_input(value: Yaml, spot: Spot) -> InputKeys:
    """An input's map, or its bare domain, which is short for one."""
    if isinstance(value, YamlScalar):
        return InputKeys(domain=DOMAIN.read(value, spot))
    if isinstance(value, Pairs):
        return _INPUTS.read(value, spot)
    expected = "a domain, or a map with domain, shape and kind"
    raise Refused((value.place, describe(value), expected, _input_fix(str(spot.path[-1]), value)))


def _input_fix(name: str, value: Items) -> str:
    between = ", ".join(end.text for end in value if isinstance(end, YamlScalar))
    if len(value) != 2 or ", " not in between:
        return f"write it like {name}: real"
    quoted = f'{name}: "[{between}]", or "({between})" without its ends'
    return f"write the interval in quotes, as in {quoted}"


INPUT = ValueKind(_read_input, {"anyOf": [DOMAIN.schema, _INPUTS.schema]})


def one_or_many(kind: ValueKind[T]) -> ValueKind[list[T]]:
    """Return the kind of lists that may be a bare value where they have only one."""
    many = list_of(kind)

    def read(value: Yaml, spot: Spot) -> list[T]:
        return [kind.read(value, spot)] if isinstance(value, YamlScalar) else many.read(value, spot)

    return ValueKind(read, {"anyOf": [kind.schema, many.schema]})


_WITNESS = plain_kind(read_word("witness", WITNESSES), {"type": "string", "enum": list(WITNESSES)})
_WITHOUT = ValueKind(
    map_of(TEXT).read, {**map_of(TEXT).schema, "propertyNames": {"enum": list(WITNESSES)}}
)


@dataclass(frozen=True, slots=True)
class CaseKeys:
    """One mathematical function, where it lives, and the PyTorch code that claims to compute it."""

    formula: Block | dict[str, Block | None] = required(
        OUTPUTS,
        "the function in the formula language: an expression, a list of them (vector), "
        "a list of lists (matrix), or a map from the names of several outputs to one of these",
        "3*x**2",
    )
    inputs: dict[str, InputKeys] = required(
        named(map_of(INPUT)),
        "a map from each input's name to its domain, or to a map with domain, shape and kind",
        "{x: real}",
    )
    summary: YamlScalar | None = optional(LINE, "one line: what it is", '"y = 3x²"')
    let: dict[str, Written] | None = optional(
        named(map_of(EXPRESSION)),
        "a map from names to expressions, in order: intermediate results of the formula",
        '{s: "sum(x)"}',
    )
    constants: dict[str, Constant] | None = optional(
        named(map_of(DATA)),
        "a map from names to numbers, booleans or nested lists of them: data that is "
        "not differentiated",
        "{index: [0, 2]}",
    )
    sweep: dict[str, list[YamlScalar]] | None = optional(
        named(map_of(list_of(CHOICE))),
        "a map from names to lists of values; each combination is a variant",
        "{d: [0, 1]}",
    )
    torch: list[Written] | None = optional(
        one_or_many(TORCH),
        "an expression of the torch language, or a list of them: the code on trial",
        '"torch.softmax(x, dim=d)"',
    )
    function: list[YamlScalar] | None = optional(
        one_or_many(REFERENCE),
        "module:attribute, or a list of them: your own code on trial",
        '"my_package.ops:swish"',
    )
    call: Written | None = optional(
        CALLING,
        "an expression of the torch language in which f is the function: how it is called, where "
        "that is not with the inputs in their order",
        '"f(x, n, alpha=a)[0]"',
    )
    parameters: dict[str, YamlScalar] | None = optional(
        map_of(_text(read_words)),
        "a map from names of an nn.Module's parameters to inputs, which are put in their place",
        '{weight: w, "0.bias": b}',
    )
    where: list[Written] | None = optional(
        one_or_many(EXPRESSION),
        "a condition on the inputs, or a list of conditions that must all hold",
        '"x > y"',
    )
    points: list[PointKeys] | None = optional(
        list_of(table_of(PointKeys)),
        "a list of fixed inputs that are always tested",
        "[{at: {x: 3}, value: 27}]",
    )
    order: int | None = optional(ORDER, "the highest derivative that is verified: 1, 2 or 3", "2")
    dtypes: list[str] | None = optional(
        DTYPE_LIST,
        "a list of dtypes; default float64 and float32, or complex128 and complex64 where an "
        "input is complex",
        "[float64, float32]",
    )
    accuracy: dict[str, AccuracyKeys] | None = optional(
        ACCURACY,
        "a map with ulps or normwise, and because, or a map from dtypes to such maps: a wider "
        "allowance than the derived one, or errors that are measured by the norm of their array",
        "{ulps: 1000, because: a long sum}",
    )
    without: dict[str, YamlScalar] | None = optional(
        _WITHOUT,
        "a map from a witness's name to the reason why it cannot apply: " + ", ".join(WITNESSES),
        "{forward: no formula in PyTorch}",
    )
    requires: list[str] | None = optional(
        list_of(_WITNESS),
        "a list of witnesses that must testify: where one lacks the means, as a jvp that nobody "
        "wrote, the check fails",
        "[forward]",
    )
    tags: list[YamlScalar] | None = optional(
        list_of(TAG), "a list of words for pytest's -m and -k", "[slow]"
    )
    source: list[YamlScalar] | None = optional(
        one_or_many(TEXT), "where the formula comes from, a text or a list", "DLMF 4.2"
    )


CASE = table_of(CaseKeys)


NOT_REPORTED = "not reported"


def _matching(pattern: str, expected: str, example: str) -> ValueKind[YamlScalar]:
    """Return the kind of texts that match; blanks around them do not count."""

    def read(value: Yaml) -> YamlScalar:
        scalar = read_words(value)
        if re.fullmatch(pattern, scalar.text.strip(), re.ASCII):
            return scalar
        raise Refused((scalar.place, describe(scalar), expected, f"write it like {example}"))

    return plain_kind(read, {"type": "string", "pattern": rf"^\s*(?:{pattern})\s*$"})


_CASE_NAME = _matching(r"[^:/\\]+\.ya?ml::\w+", "file::case", "tutorial.yaml::expm1")
_ISSUE = _matching(
    rf"https?://\S+|{NOT_REPORTED}",
    f"a URL, or {NOT_REPORTED!r}",
    "https://github.com/pytorch/pytorch/issues/192406",
)
_DEVICE = _matching(r"[a-z]+(?::\d+)?", "a device", "cuda")


def _read_torch(value: Yaml) -> YamlScalar:
    scalar = read_words(value)
    try:
        SpecifierSet(scalar.text)
    except InvalidSpecifier:
        complaint = (scalar.place, describe(scalar), "a version specifier", "write it like >=2.0")
        raise Refused(complaint) from None
    return scalar


def _read_any_scalar(value: Yaml) -> YamlScalar:
    if isinstance(value, YamlScalar) and value.kind != "null":
        return value
    raise Refused((value.place, describe(value), "a text or a number", "write one"))


_ANY = plain_kind(_read_any_scalar, {"type": ["string", "integer"]})


@dataclass(frozen=True, slots=True)
class WhenKeys:
    """Where an entry holds; each key optional."""

    witness: str | None = optional(_WITNESS, "a witness's name", "reverse")
    dtype: str | None = optional(DTYPE, "a dtype", "float64")
    device: YamlScalar | None = optional(
        _DEVICE, "a device; cuda means cuda:0 and the others too", "cpu"
    )
    torch: YamlScalar | None = optional(
        _text(_read_torch), "versions of PyTorch, as pip writes them", '">=2.0"'
    )
    call: YamlScalar | None = optional(
        _text(read_words),
        "how the witness asked: what its report says it called, or how that begins",
        "reverse over forward",
    )
    implementation: YamlScalar | None = optional(
        _ANY, "an implementation's text, or its number from 0", "1"
    )
    variant: YamlScalar | None = optional(_ANY, "a variant's name", '"d=0"')

    def chosen(self) -> dict[str, str]:
        """What the entry says, as texts."""
        values = {name: getattr(self, name) for name in keys_of(WhenKeys)}
        return {
            name: value.text.strip() if isinstance(value, YamlScalar) else str(value)
            for name, value in values.items()
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """One known failure."""

    case: YamlScalar = required(
        _CASE_NAME, "the file and the case, as file::case", '"tutorial.yaml::expm1"'
    )
    at: dict[str, Block] | None = optional(
        map_of(NUMBERS), "a map: the point of the case that shows it", "{x: -40}"
    )
    when: WhenKeys | None = optional(
        table_of(WhenKeys),
        "a map with witness, dtype, device, torch, call, implementation, variant: where it holds",
        "{witness: reverse}",
    )
    everywhere: bool | None = optional(
        BOOLEAN,
        "true where it also excuses, in all other cases, what a witness calls this issue",
        "true",
    )
    issue: YamlScalar = required(
        _ISSUE, f"the URL of the report, or {NOT_REPORTED!r}", NOT_REPORTED
    )
    because: YamlScalar = required(TEXT, "a text: why it fails", "the backward cancels")


KNOWN_FAILURE = table_of(KnownKeys)

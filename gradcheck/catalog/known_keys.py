"""The keys of an entry of known_failures.yaml."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import BaseModel, Field

from gradcheck.catalog.annotation import Reader
from gradcheck.catalog.complaints import refuse
from gradcheck.catalog.document import KeyPath, Scalar, Yaml, describe
from gradcheck.catalog.fields import read_text, read_word
from gradcheck.catalog.model import Keys
from gradcheck.catalog.value_kinds import DtypeName, Numbers, Text
from gradcheck.catalog.witness_names import LATER_WITNESSES, WITNESSES

NOT_REPORTED = "not reported"


def _read_case(value: Yaml) -> Scalar:
    return _matched(value, r"[^:/\\]+\.ya?ml::\w+", "file::case", "tutorial.yaml::expm1")


def _read_issue(value: Yaml) -> Scalar:
    pattern = rf"https?://\S+|{NOT_REPORTED}"
    example = "https://github.com/pytorch/pytorch/issues/192406"
    return _matched(value, pattern, f"a URL, or {NOT_REPORTED!r}", example)


def _read_device(value: Yaml) -> Scalar:
    return _matched(value, r"[a-z]+(?::\d+)?", "a device", "cuda")


def _matched(value: Yaml, pattern: str, expected: str, example: str) -> Scalar:
    scalar = read_text(value)
    if re.fullmatch(pattern, scalar.text.strip(), re.ASCII):
        return scalar
    raise refuse((scalar.place, describe(scalar), expected, f"write it like {example}"))


def _read_torch(value: Yaml) -> Scalar:
    scalar = read_text(value)
    try:
        SpecifierSet(scalar.text)
    except InvalidSpecifier:
        complaint = (scalar.place, describe(scalar), "a version specifier", "write it like >=2.0")
        raise refuse(complaint) from None
    return scalar


def _read_any_scalar(value: Yaml) -> Scalar:
    if isinstance(value, Scalar) and value.kind != "null":
        return value
    raise refuse((value.place, describe(value), "a text or a number", "write one"))


_Any = Annotated[Scalar, Reader(_read_any_scalar, {"type": ["string", "integer"]})]


def _text(reader: Callable[[Yaml], object]) -> Reader:
    return Reader(reader, {"type": "string"})


class WhenKeys(Keys):
    """Where an entry holds; each key optional."""

    witness: Annotated[str, _text(read_word("witness", WITNESSES, LATER_WITNESSES))] | None = Field(
        None, description="a witness's name", examples=["reverse"]
    )
    dtype: DtypeName | None = Field(None, description="a dtype", examples=["float64"])
    device: Annotated[Scalar, _text(_read_device)] | None = Field(
        None, description="a device; cuda means cuda:0 and the others too", examples=["cpu"]
    )
    torch: Annotated[Scalar, _text(_read_torch)] | None = Field(
        None, description="versions of PyTorch, as pip writes them", examples=[">=2.0"]
    )
    call: Annotated[Scalar, _text(read_text)] | None = Field(
        None,
        description="how the witness asked: what its report says it called, or how that begins",
        examples=["reverse over forward"],
    )
    implementation: _Any | None = Field(
        None, description="an implementation's text, or its number from 0", examples=[1]
    )
    variant: _Any | None = Field(None, description="a variant's name", examples=["d=0"])

    def chosen(self) -> dict[str, str]:
        """What the entry says, as texts."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: value.text.strip() if isinstance(value, Scalar) else str(value)
            for name, value in values.items()
            if value is not None
        }


class KnownKeys(Keys):
    """One known failure."""

    case: Annotated[Scalar, _text(_read_case)] = Field(
        description="the file and the case, as file::case", examples=["tutorial.yaml::expm1"]
    )
    at: dict[str, Numbers] | None = Field(
        None, description="a map: the point of the case that shows it", examples=[{"x": -40}]
    )
    when: WhenKeys | None = Field(
        None,
        description="a map with witness, dtype, device, torch, call, implementation, variant: "
        "where it holds",
        examples=[{"witness": "reverse"}],
    )
    issue: Annotated[Scalar, _text(_read_issue)] = Field(
        description=f"the URL of the report, or {NOT_REPORTED!r}", examples=[NOT_REPORTED]
    )
    because: Text = Field(description="a text: why it fails", examples=["the backward cancels"])


INNER: dict[KeyPath, type[BaseModel]] = {("when",): WhenKeys}

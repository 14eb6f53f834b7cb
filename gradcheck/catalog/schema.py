"""The case format as JSON Schema, draft-07, for YAML language servers. Made from the models."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from gradcheck.catalog.keys import CaseKeys
from gradcheck.catalog.values import DATA, NAMED, NUMBERS

DRAFT = "http://json-schema.org/draft-07/schema#"
ID = "urn:gradcheck:catalog:1"
"""The format's version, which is a contract, names it; it stands under no address."""


def json_schema() -> dict[str, Any]:
    """The schema of a catalog file. What the loader takes, it takes; the loader refuses more."""
    adapter = TypeAdapter(dict[str, CaseKeys])
    made = adapter.json_schema(ref_template="#/definitions/{model}")
    definitions = {**made.pop("$defs"), "Numbers": NUMBERS, "Data": DATA}
    return {
        "$schema": DRAFT,
        "$id": ID,
        "title": "gradcheck catalog",
        "description": "a map from the names of cases to their declarations",
        **_as_draft_07(made),
        "minProperties": 1,
        "examples": [{"square": {"formula": "x**2", "inputs": {"x": "real"}}}],
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "definitions": {name: _as_draft_07(each) for name, each in sorted(definitions.items())},
    }


def _as_draft_07(schema: Any) -> Any:
    """Draft-07 ignores what stands beside a $ref, and needs neither titles nor empty defaults."""
    if isinstance(schema, list):
        return [_as_draft_07(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: _as_draft_07(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and value in (None, ()))
    }
    if NAMED in made:
        made["$ref"] = f"#/definitions/{made.pop(NAMED)}"
    if "anyOf" in made:
        made = _without_null(made)
    if "$ref" in made and len(made) > 1:
        made = {"allOf": [{"$ref": made.pop("$ref")}], **made}
    return made


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A key that may be left out may still not be written without a value."""
    options = [option for option in schema["anyOf"] if option != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if len(options) == 1 and not set(options[0]) & set(rest):
        return {**options[0], **rest}
    return {"anyOf": options, **rest}

"""The case format as JSON Schema, draft-07, for YAML language servers. Made from the key tables."""

from __future__ import annotations

import inspect
from typing import Any

import yaml

from gradcheck.catalog.keys import AccuracyKeys, CaseKeys, InputKeys, PointKeys
from gradcheck.catalog.validation import Key, keys_of
from gradcheck.catalog.values import DEFINITIONS

DRAFT = "http://json-schema.org/draft-07/schema#"
ID = "urn:gradcheck:catalog:1"
"""The format's version, which is a contract, names it; it stands under no address."""


def json_schema() -> dict[str, Any]:
    """The schema of a catalog file. What the loader takes, it takes; the loader refuses more."""
    tables = (AccuracyKeys, CaseKeys, InputKeys, PointKeys)
    definitions = {**DEFINITIONS, **{table.__name__: _table(table) for table in tables}}
    return {
        "$schema": DRAFT,
        "$id": ID,
        "title": "gradcheck catalog",
        "description": "a map from the names of cases to their declarations",
        "additionalProperties": {"$ref": "#/definitions/CaseKeys"},
        "type": "object",
        "minProperties": 1,
        "examples": [{"square": {"formula": "x**2", "inputs": {"x": "real"}}}],
        "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "definitions": dict(sorted(definitions.items())),
    }


def _table(table: type) -> dict[str, Any]:
    keys = keys_of(table)
    needed = [name for name, key in keys.items() if key.is_required]
    return {
        "additionalProperties": False,
        "description": inspect.getdoc(table),
        "properties": {name: _property(key) for name, key in keys.items()},
        **({"required": needed} if needed else {}),
        "type": "object",
    }


def _property(key: Key) -> dict[str, Any]:
    """Draft-07 ignores what stands beside a $ref, and a kind's own examples stay its own."""
    about: dict[str, Any] = {
        "description": key.description,
        "examples": [yaml.safe_load(key.example)],
    }
    if key.default is not None:
        about["default"] = list(key.default)
    if "$ref" in key.kind.schema:
        return {"allOf": [key.kind.schema], **about}
    if about.keys() & key.kind.schema.keys():
        return {"anyOf": [key.kind.schema], **about}
    return {**key.kind.schema, **about}

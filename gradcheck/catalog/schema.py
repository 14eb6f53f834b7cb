"""The format as JSON Schema (draft-07), for editors: made from the tables that the loader reads by.

What the loader takes, a schema takes; the loader refuses more.
"""

from __future__ import annotations

import inspect
from typing import Any

import yaml

from gradcheck.catalog.keys import (
    KNOWN_FAILURE,
    AccuracyKeys,
    CaseKeys,
    InputKeys,
    KnownKeys,
    PointKeys,
    WhenKeys,
)
from gradcheck.catalog.patterns import NAME_PATTERN
from gradcheck.catalog.validation import Key, keys_of
from gradcheck.catalog.values import DEFINITIONS

_DRAFT = "http://json-schema.org/draft-07/schema#"
CASE_ID = "urn:gradcheck:catalog:1"
"""The format's version, which is a contract, names it; it stands under no address."""
_KNOWN_ID = "urn:gradcheck:known-failures:1"


def case_schema() -> dict[str, Any]:
    """The schema of a file of cases."""
    return {
        "$schema": _DRAFT,
        "$id": CASE_ID,
        "title": "gradcheck catalog",
        "description": "a map from the names of cases to their declarations",
        "additionalProperties": {"$ref": "#/definitions/CaseKeys"},
        "type": "object",
        "minProperties": 1,
        "examples": [{"square": {"formula": "x**2", "inputs": {"x": "real"}}}],
        "propertyNames": {"pattern": NAME_PATTERN},
        "definitions": _definitions(AccuracyKeys, CaseKeys, InputKeys, PointKeys),
    }


def known_failures_schema() -> dict[str, Any]:
    """The schema of a `known_failures.yaml`."""
    return {
        "$schema": _DRAFT,
        "$id": _KNOWN_ID,
        "title": "known failures of a gradcheck catalog",
        "description": "a list of what is known to fail today, each entry with its reason",
        "items": KNOWN_FAILURE.schema,
        "type": ["array", "null"],
        "examples": [
            [{"case": "mine.yaml::square", "issue": "not reported", "because": "it cancels"}]
        ],
        "definitions": _definitions(KnownKeys, WhenKeys),
    }


def _definitions(*tables: type) -> dict[str, Any]:
    definitions = {**DEFINITIONS, **{table.__name__: _table(table) for table in tables}}
    return dict(sorted(definitions.items()))


def _table(table: type) -> dict[str, Any]:
    keys = keys_of(table)
    needed = [name for name, key in keys.items() if key.is_required]
    return {
        "additionalProperties": False,
        "description": inspect.getdoc(table),
        "properties": {name: _property(key) for name, key in keys.items()},
        **({"required": needed} if needed else {}),
        **({"dependencies": _NEEDS} if table is CaseKeys else {}),
        "type": "object",
    }


_NEEDS = {"call": ["function"], "parameters": ["function"]}


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

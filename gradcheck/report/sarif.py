"""Failures as SARIF 2.1.0, which code hosts show beside the lines of the cases."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from gradcheck.answer import GuessKind
from gradcheck.report.causes import Cause
from gradcheck.report.overview import MEANINGS, Overview
from gradcheck.report.records import Record, version

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ABSOLUTE = re.compile(r"^(/|[A-Za-z]:[/\\])")
_LOOKS_LIKE = "a gradient that looks wrong by this kind of error: {}"


def sarif(overview: Overview) -> dict[str, Any]:
    """Return one log with a result for each cause: its rule is what kind of error it looks like."""
    results = [_result(cause) for cause in overview.causes]
    rules = list(dict.fromkeys(result["ruleId"] for result in results))
    for result in results:
        result["ruleIndex"] = rules.index(result["ruleId"])
    driver = {
        "name": "gradcheck",
        "version": version("gradcheck"),
        "rules": [{"id": rule, "shortDescription": {"text": _described(rule)}} for rule in rules],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "the root of the project"}}},
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(cause: Cause) -> dict[str, Any]:
    record = cause.telling.record
    count = len(cause.others) + 1
    more = f" ({count} checks)" if cause.others else ""
    return {
        "ruleId": _rule(record),
        "level": "error" if record.verdict == "disagree" else "warning",
        "message": {"text": f"{record.case}: {cause.headline}{more}\n\n{record.block}".rstrip()},
        "locations": [{"physicalLocation": _location(record), "logicalLocations": [
            {"fullyQualifiedName": record.id}]}],
        "partialFingerprints": {"gradcheck/v1": _fingerprint(record)},
    }  # fmt: skip


def _rule(record: Record) -> str:
    """The kind of the guess, else the verdict."""
    return (record.guess_kind or record.verdict).replace(" ", "-")


def _described(rule: str) -> str:
    kinds = {kind.value.replace(" ", "-"): kind.value for kind in GuessKind}
    if rule in kinds:
        return _LOOKS_LIKE.format(kinds[rule])
    return next((text for ruling, text in MEANINGS.items() if ruling == rule), rule)


def _location(record: Record) -> dict[str, Any]:
    """The line of the case; a path is of the project, unless it is whole."""
    path = PurePath(record.file).as_posix().replace("\\", "/")
    whole = _ABSOLUTE.match(path)
    uri = f"file:///{quote(path.lstrip('/'))}" if whole else quote(path)
    artifact = {"uri": uri} if whole else {"uri": uri, "uriBaseId": "SRCROOT"}
    return {"artifactLocation": artifact, "region": {"startLine": max(record.line, 1)}}


def _fingerprint(record: Record) -> str:
    """What stays the same while lines move and numbers change."""
    text = "\n".join((record.file, record.case, record.implementation, record.blame))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

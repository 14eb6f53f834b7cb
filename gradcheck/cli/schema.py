"""`gradcheck schema`: the case format as JSON Schema, for editors."""

from __future__ import annotations

import typer

from gradcheck.cli.exit_codes import READING
from gradcheck.cli.output import emit_json


def register(app: typer.Typer) -> None:
    app.command("schema", epilog=READING)(schema)


def schema() -> None:
    """Print the case format as JSON Schema (draft-07), for editors."""
    from gradcheck.catalog.schema import json_schema  # pydantic: only this command waits for it

    emit_json(json_schema())

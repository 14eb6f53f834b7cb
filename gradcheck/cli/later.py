"""The commands that a later stage brings: a user who types one is told so."""

from __future__ import annotations

from collections.abc import Callable

import typer

from gradcheck.errors import UsageError

_INSTEAD = {
    "graph": "`gradcheck explain CASE --graph` prints the backward graph as a table",
    "new": "write the case by hand; `gradcheck schema` lets an editor help",
    "coverage": "`gradcheck list` says what the catalog holds",
    "report": "`gradcheck run --report FOLDER` writes the results as lines of JSON",
    "compare": "compare the two files of `--report` line by line: they are JSON",
    "fuzz": "`gradcheck run --points 1000` looks harder at the catalog's functions",
    "bench": "the folder `benchmarks` of the repository holds what is measured so far",
}


def register(app: typer.Typer) -> None:
    for name in _INSTEAD:
        app.command(
            name,
            hidden=True,
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
        )(_refusal(name))


def _refusal(name: str) -> Callable[[], None]:
    def refuse() -> None:
        raise UsageError(
            f"`gradcheck {name}` is not there yet: it belongs to a later release",
            "one of the commands that `gradcheck --help` lists",
            _INSTEAD[name],
        )

    return refuse

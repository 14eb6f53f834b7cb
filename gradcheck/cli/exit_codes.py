"""What the process says to the shell when it ends: pytest's own codes, for every command."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The documented exit codes; the numbers are pytest's."""

    OK = 0
    DISAGREE = 1
    BAD_FILE = 2
    INTERRUPTED = 2
    INTERNAL = 3
    BAD_USE = 4
    NOTHING = 5


MEANING = {
    ExitCode.OK: "all agree",
    ExitCode.DISAGREE: "some disagree",
    ExitCode.BAD_FILE: "interrupted, or a bad case file",
    ExitCode.INTERNAL: "internal error",
    ExitCode.BAD_USE: "bad use",
    ExitCode.NOTHING: "nothing selected",
}


def epilog(meanings: dict[ExitCode, str]) -> str:
    """The paragraph that ends a command's help."""
    parts = (f"{int(code)} {meaning}" for code, meaning in sorted(meanings.items()))
    return "Exit codes: " + "; ".join(parts) + "."


RUNNING = epilog(MEANING)
READING = epilog(
    {
        ExitCode.OK: "done",
        **{
            code: MEANING[code] for code in (ExitCode.BAD_FILE, ExitCode.INTERNAL, ExitCode.BAD_USE)
        },
    }
)

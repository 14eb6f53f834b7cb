"""Order in the court: what an exception of the implementation says, and what it does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from gradcheck.answer import Claim, Finding, Ruling, Trial
from gradcheck.witnesses.stand.call import Misconduct

_LONGEST = 300

_MISSING = re.compile(
    r"does not support it"  # an operator without forward mode
    r"|must implement the jvp function"
    r"|must implement either the backward or vjp"
    r"|must override the setup_context"
    r"|derivative for .* is not implemented"
    r"|marked with @once_differentiable"
    r"|functorch transform"
    r"|derivative of .* (?:is|was) not implemented"
)
"""How PyTorch says that it cannot, as opposed to being wrong."""


def hear(
    label: str, answer: Callable[[Trial], Iterator[Claim | Finding]], trial: Trial
) -> Iterator[Claim | Finding]:
    """What ``answer`` says of the trial, and a finding under ``label`` for what it raises.

    A capability that PyTorch or the implementation lacks is an abstention; any other exception
    is the implementation's misconduct, because correct code does not raise at a legal point, nor
    does it end the process.
    """
    try:
        yield from answer(trial)
    except Misconduct as error:
        yield Finding(Ruling.DISAGREE, str(error), entries=1, label=label)
    except (Exception, SystemExit) as error:
        text = _text(error)
        if _MISSING.search(text):
            yield Finding(Ruling.ABSTAIN, shortened(text), label=label, incapable=True)
        else:
            reason = f"raised {type(error).__name__}: {shortened(text)}"
            yield Finding(Ruling.DISAGREE, reason, entries=1, label=label)


def _text(error: BaseException) -> str:
    """What it says, in characters that every report can carry; a lone surrogate is none."""
    try:
        text = str(error)
    except Exception:
        return "(its message cannot be read)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shortened(text: str) -> str:
    """The text on one line, cut where it grows long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."

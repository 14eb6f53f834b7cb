"""Order in the court: what an exception of the implementation says, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gradcheck.answer import (
    Abstention,
    Invocation,
    Question,
    Remark,
    Said,
    Violation,
)
from gradcheck.errors import Misconduct
from gradcheck.methods._torch.defects import defects_met, raising_defect, silent_defect
from gradcheck.methods._torch.lacks import NO_FORWARD, lack_of, shortened, speaks_of_dtypes
from gradcheck.methods._torch.operators import dropping


def guarded(label: str, question: Question, invocation: Invocation) -> Iterator[Said]:
    """What ``question`` says of the invocation, and a remark under ``label`` for what it raises.

    A capability that PyTorch or the implementation lacks is an abstention; any other exception
    is the implementation's misconduct, because correct code does not raise at a legal point, nor
    does it end the process.
    """
    try:
        yield from question(invocation)
    except Misconduct as error:
        yield Violation(str(error), label)
    except (Exception, SystemExit) as error:
        yield _raised(error, label, question, invocation)


def guarded_beside_defects(
    label: str, question: Question, invocation: Invocation
) -> Iterator[Said]:
    """The same, for a question that PyTorch itself may get wrong below a user's code.

    Where it does, and the code is a user's own, the witness abstains and says so.
    """
    if not invocation.own_code:
        yield from guarded(label, question, invocation)
        return
    dropped = dropping(question, invocation)
    if dropped:
        yield _abstention(_dropped(dropped[0], label), label)
        return
    met = defects_met(invocation)
    defect = silent_defect(met, label, question, invocation)
    if defect is not None:
        yield _abstention(str(defect), label)
        return
    for said in guarded(label, question, invocation):
        if isinstance(said, Violation):
            defect = raising_defect(said.raised, met, label, question, invocation)
            yield said if defect is None else _abstention(str(defect), label)
        else:
            yield said


def _dropped(operator: str, label: str) -> str:
    fix = "" if " over " in label else f" ({NO_FORWARD})"
    return f"PyTorch has no forward mode for custom operators: {operator} drops its tangent{fix}"


def _abstention(reason: str, label: str) -> Abstention:
    return Abstention(reason, label=label, incapable=True)


def _raised(error: BaseException, label: str, question: Question, invocation: Invocation) -> Remark:
    text = _text(error)
    reason = lack_of(error, text, label)
    if reason is None and speaks_of_dtypes(error, text):
        reason = _refused_dtype(text, label, question, invocation)
    if reason is not None:
        return _abstention(reason, label)
    said = f"raised {type(error).__name__}" + (f": {shortened(text)}" if text else "")
    return Violation(said, label, raised=text)


def _refused_dtype(text: str, label: str, question: Question, invocation: Invocation) -> str | None:
    """That the code is not made for this dtype, where another is not refused."""
    for dtype, made in invocation.elsewhere.items():
        other = replace(invocation, dtype=dtype, function=made(), elsewhere={})
        # Only what it raises counts: a wrong answer there is for the checks of that dtype.
        if not any(
            isinstance(said, Violation) and said.raised for said in guarded(label, question, other)
        ):
            told = f"{invocation.dtype} is refused, {dtype} is not: state `dtypes: [{dtype}]`"
            return f"{told} ({shortened(text)})" if text else told
    return None


def _text(error: BaseException) -> str:
    """What it says, in characters that every report can carry; a lone surrogate is none."""
    try:
        text = str(error)
    except Exception:
        return "(its message cannot be read)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

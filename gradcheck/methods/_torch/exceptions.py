"""What an exception of the code on trial says, and what an operator drops without one.

PyTorch has no forward mode for operators of ``torch.library`` and says nothing of it: their
results look like constants.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from gradcheck.answer import (
    Abstention,
    Answer,
    Invocation,
    Question,
    Remark,
    Said,
    Violation,
)
from gradcheck.errors import Misconduct
from gradcheck.methods._torch.defects import (
    defects_met,
    has_own_derivative,
    raising_defect,
    silent_defect,
)
from gradcheck.methods._torch.lacks import NO_FORWARD, lack_of, shortened, speaks_of_dtypes


def guarded(label: str, question: Question, invocation: Invocation) -> Iterator[Said]:
    """What ``question`` says of the invocation, and a remark under ``label`` for what it raises.

    A capability that PyTorch or the implementation lacks is an abstention; any other exception
    is the implementation's misconduct, because correct code does not raise at a legal point, nor
    does it end the process. What the invocation does not ask for is left out.
    """
    if not invocation.asks(label):
        return
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

    Where PyTorch raises, or is silently wrong beside a derivative of the user's own, the witness
    abstains and says so. Where the code has no derivative of its own, it is PyTorch's that is on
    trial: a wrong number stays one, and the defect is named.
    """
    if not (invocation.seeks_defects and invocation.asks(label)):
        yield from guarded(label, question, invocation)
        return
    dropped = dropping(question, invocation)
    if dropped:
        yield _abstention(_dropped(dropped[0], label), label)
        return
    met = defects_met(invocation)
    defect = silent_defect(met, label, question, invocation)
    if defect is not None and has_own_derivative(invocation):
        yield _abstention(str(defect), label)
        return
    for said in guarded(label, question, invocation):
        if isinstance(said, Violation):
            raising = raising_defect(said.raised, met, label, question, invocation)
            yield said if raising is None else _abstention(str(raising), label)
        elif isinstance(said, Answer) and defect is not None:
            yield replace(said, because=str(defect))
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


def dropping(question: Question, invocation: Invocation) -> list[str]:
    """Return the custom operators that a question makes drop a tangent.

    The question is put once more for this, because watching may change how code is run; and
    nothing is compiled meanwhile, because a compiler keeps what it sees for later calls.
    """
    watch = _Watch()
    with eagerly(), watch:
        try:
            list(question(invocation))
        except (Exception, SystemExit):  # whoever asks in earnest sees it again
            return watch.dropped
    return watch.dropped


def may_be_compiled() -> bool:
    """Whether any code can have been compiled in this process so far."""
    return "torch._dynamo" in sys.modules


def eagerly() -> AbstractContextManager[Any]:
    """Run code that was compiled as it was written."""
    if not may_be_compiled():  # to load the compiler takes seconds
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


@contextmanager
def out_of_turn() -> Iterator[None]:
    """Run a user's code before its turn: what it raises or warns of comes again in its turn."""
    with suppress(Exception, SystemExit), warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        with eagerly():
            yield


class _Watch(TorchFunctionMode):
    """Sees operators where Python calls them, above the place where tangents are lost."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: list[str] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = custom_name(func)
        # Inside of an autograd.Function's forward it is off: its own jvp counts there.
        on = torch._C._is_fwd_grad_enabled()
        if name is None or not on or not _carries_tangent((args, kwargs)):
            return func(*args, **kwargs)
        self.dropped.append(name)  # also where it raises
        result = func(*args, **kwargs)
        if _carries_tangent(result):
            self.dropped.remove(name)
        return result


def custom_name(func: Any) -> str | None:
    """The name of an operator that is not PyTorch's own; None for everything else."""
    schema = getattr(func, "_schema", None)  # of an overload; a packet of overloads has none
    name = schema.name if schema is not None else getattr(func, "_qualified_op_name", None)
    own = isinstance(name, str) and name.partition("::")[0] not in _PYTORCHS
    return name if own else None


_PYTORCHS = frozenset({"aten", "prim", "prims", "quantized", "higher_order", "inductor"})


def _carries_tangent(values: Any) -> bool:
    return any(_has_tangent(each) for each in tree_leaves(values) if isinstance(each, Tensor))


def _has_tangent(tensor: Tensor) -> bool:
    while torch._C._functorch.is_batchedtensor(tensor):  # no rule of vmap unpacks a dual
        tensor = torch._C._functorch.get_unwrapped(tensor)
    dual = forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
    return dual.tangent is not None

"""What PyTorch or the code under test lacks, told apart from what it does wrong.

An error is a lack where its words are PyTorch's for "not supported" and PyTorch raised it. What
code of a user's own raises on purpose is none, whatever its words, but for NotImplementedError in
a rule that nobody needs to write: a jvp, a vmap, the derivative of a backward.
"""

from __future__ import annotations

import dis
import linecache
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import torch

FIRST_ORDER = "`order: 1` leaves second derivatives out"
SECOND_ORDER = "`order: 2` leaves third derivatives out"
OTHER_DTYPES = "`dtypes` without this one leaves it out"
NO_FORWARD = "`without: {forward: why}` leaves forward mode out"
_COMPILED_CALLS = ("under torch.compile", "at order 2 under torch.compile")
_FUNCTIONAL_CALLS = (
    "under torch.func",
    "under torch.vmap",
    "at order 2 under torch.func",
    "at order 2 under torch.vmap",
)
_LEFT_OUT = (
    ("torch.autograd.forward_ad", NO_FORWARD),
    ("torch.autograd.gradcheck", "`without: {gradcheck: why}` leaves finite differences out"),
    ("torch.autograd.grad ", "`without: {reverse: why}` leaves reverse mode out"),
    ("Tensor.backward", "`without: {reverse: why}` leaves reverse mode out"),
    (
        tuple(f"{call} by inductor" for call in _COMPILED_CALLS),
        "`without: {inductor: why}` leaves inductor's code out",
    ),
    (_COMPILED_CALLS, "`without: {compiled: why}` leaves compiled code out"),
    (
        _FUNCTIONAL_CALLS,
        "`without: {functional: why}` leaves function transforms out",
    ),
    (
        ("after ", "for ", "in ", "into ", "on ", "under ", "where ", "with "),
        "`without: {contract: why}` leaves such calls out",
    ),
    ("", FIRST_ORDER),
)
"""What leaves a call out, by the beginning of its label."""
_TORCH = f"{Path(torch.__file__).parent}{os.sep}"
_LONGEST = 300
_RAISE = dis.opmap["RAISE_VARARGS"]
_TANGENTS = (
    "for a large tangent",
    "for a minute tangent",
    "for a tangent of input",
    "for a tangent with zeros",
    "for a tiny tangent",
    "for strided tangents",
)
_CONTRACTS_CALLS_WITHOUT_GRAD = (
    *_TANGENTS,
    "in the value",
    "under torch.utils.checkpoint, reentrant",
    "where ",
)
_FORWARD_CALLS = ("torch.autograd.forward_ad", "forward over", "reverse over forward")
_CALLS_WITHOUT_GRAD = (
    "value",
    *_FUNCTIONAL_CALLS,
    "torch.autograd.forward_ad",
    "forward over forward",
    *_CONTRACTS_CALLS_WITHOUT_GRAD,
)
_CALLS_BY_TRANSFORMS = ("forward over forward", *_FUNCTIONAL_CALLS)
_CALLS_OF_A_BACKWARD_AGAIN = (
    "reverse over reverse",
    "forward over reverse",
    "forward over forward over reverse",
    "torch.autograd.gradgradcheck",
)
_OPTIONAL_CALLS = (
    *_FORWARD_CALLS,
    *_TANGENTS,
    *_FUNCTIONAL_CALLS,
    *_CALLS_OF_A_BACKWARD_AGAIN,
)
"""Calls for rules that an author may leave out."""


class Lacking(Exception):
    """A capability that is not there, found without an error of PyTorch's; the text says which."""


@dataclass(frozen=True, slots=True)
class Lack:
    """How PyTorch says that something is not supported.

    ``fix`` is what the author can do (empty: leave the call out); ``calls`` are the beginnings of
    the labels of those calls in which the words mean a lack, and elsewhere a mistake (empty: in
    all). ``source`` says where
    the words stand in a version of PyTorch, where the installed one cannot be made to say them.
    """

    words: str
    fix: str = ""
    calls: tuple[str, ...] = ()
    source: str = ""

    def means(self, text: str, label: str) -> bool:
        """Whether an error with this text, in this call, says that the capability is lacking."""
        here = not self.calls or label.startswith(self.calls)
        return here and re.search(self.words, text) is not None


LACKS = (
    # forward mode
    Lack(r"Trying to use forward AD with .* that does not support it"),
    Lack(r"must implement the jvp function", f"write a jvp, or {NO_FORWARD}"),
    Lack(
        r"jvp is not implemented for the c\+\+ API of custom Function",
        NO_FORWARD,
        source="2.6 to 2.13: torch/csrc/autograd/custom_function.h",
    ),
    Lack(
        r"flat_bdims must not be None",  # what a vmap of the transforms' own making says instead
        "write a jvp, and call ctx.save_for_forward for it",
        calls=_CALLS_BY_TRANSFORMS,
    ),
    # derivatives that nobody has written
    Lack(
        r"Double backwards is not supported for CuDNN RNNs",
        FIRST_ORDER,
        source="2.6 to 2.13: torch/csrc/autograd/FunctionsManual.cpp, on CUDA",
    ),
    Lack(r"must implement either the backward or vjp"),
    Lack(r"derivative for .* is not implemented"),
    # second derivatives
    Lack(r"marked with @once_differentiable", FIRST_ORDER),
    Lack(r"aot_autograd does not currently support double backward", FIRST_ORDER),
    Lack(r"[Dd]ouble backward (?:is unsupported|not implemented) for", FIRST_ORDER),
    Lack(
        r"Trying to backward through \S+ but no autograd formula was registered",
        FIRST_ORDER,
        calls=_CALLS_OF_A_BACKWARD_AGAIN,
    ),
    # what may be asked only once, or in one way
    Lack(
        r"non-empty donated buffers which requires create_graph=False and retain_graph=False",
        "`torch._functorch.config.donated_buffer = False` lets it be asked twice",
        source="2.6 to 2.13: torch/_functorch/_aot_autograd/runtime_wrappers.py, with inductor",
    ),
    Lack(
        r"torch\.utils\.checkpoint is incompatible with \.grad\(\)"
        r"|Checkpointing is not compatible with \.grad\(\)",
        "use_reentrant=False lets it be asked so",
    ),
    Lack(
        r"torch\.utils\.checkpoint: Unpack is being triggered for a tensor that was already",
        "read `ctx.saved_tensors` once in a backward",
    ),
    Lack(
        r"The following operation failed in the TorchScript interpreter",
        "the recomputation ends early by an exception, which TorchScript does not let through",
        calls=("under torch.utils.checkpoint",),
    ),
    Lack(
        r"torch\.utils\.checkpoint: (?:A different number of tensors was saved"
        r"|Recomputed values for the following tensors have different metadata)",
        "a recomputation does not see the tangents; " + FIRST_ORDER,
        calls=_FORWARD_CALLS,
    ),
    Lack(
        r"element 0 of tensors does not require grad"
        r"|One of the differentiated Tensors does not require grad",
        "the code differentiates within, and this call gives it inputs that do not require grad: "
        "call requires_grad_() there",
        calls=_CALLS_WITHOUT_GRAD,
    ),
    # function transforms, which forward over forward uses too
    Lack(r"must override the setup_context"),
    Lack(r"functorch transform"),
    Lack(r"torch\.func\.\S+ .*don't yet support saved tensor hooks"),
    Lack(r"Batching rule not implemented for"),
    Lack(r"it does not have vmap support", calls=_FUNCTIONAL_CALLS),
    Lack(
        r"vmap: (?:It looks like you're|called random operation)"
        r"|vmap: .*\(self, \*extra_args\) is not possible because"  # in place, of one for many
        r"|vmap: We do not support|vmap: we do not yet support|vmap: Attempted to vmap over"
        r"|vmap over torch\.allclose isn't supported yet|This is not supported inside of vmap"
        r"|output with shape .* doesn't match the broadcast shape",
        calls=_FUNCTIONAL_CALLS,
    ),
    Lack(
        r"Batch norm got a batched tensor as input while the running_mean"
        r"|NYI: .* inside (?:of )?vmap|[Vv]map does not currently support"
        r"|under vmap transform is not allowed"
        r"|When vmap-ing torch\.nn\.functional\.one_hot, please",
        calls=_FUNCTIONAL_CALLS,
    ),
    Lack(r"Cannot access data pointer of Tensor", calls=_CALLS_BY_TRANSFORMS),
    Lack(r"in-place operation \S+ that would mutate a captured Tensor", calls=_CALLS_BY_TRANSFORMS),
    # dtypes
    Lack(r"\"[\w.]+\" not implemented for '(?:Half|BFloat16|Complex\w+)'", OTHER_DTYPES),
    Lack(
        r"Low precision dtypes not supported|Unsupported dtype (?:Half|BFloat16)"
        r"|tensors?, but got (?:Half|BFloat16)"
        r"|MKL FFT doesn't support tensors of type: (?:Half|BFloat16)",
        OTHER_DTYPES,
    ),
    Lack(r"not (?:supported|implemented) for complex (?:inputs|types|tensors)", OTHER_DTYPES),
    Lack(r"does not support automatic differentiation for outputs with complex dtype"),
    # layouts and devices
    Lack(
        r"Can't (?:call numpy\(\)|pass Tensors?) .*negative bit",
        "say resolve_neg() before numpy()",
        calls=("for a cotangent that is lazily negated", "for lazily negated inputs"),
    ),
    Lack(
        r"Expected both tensor and its forward grad to be floating",
        "PyTorch's own fault: a Function with `generate_vmap_rule` and an output that is marked "
        "non-differentiable has no jvp of its vmap",
        calls=_FUNCTIONAL_CALLS,
    ),
    Lack(r"Cannot access storage of Sparse\w*TensorImpl"),
    Lack(r"Sparse \w+ tensors do not have (?:strides|is_contiguous)"),
    Lack(r"is_coalesced expected sparse coordinate tensor layout"),
    Lack(r"Sparse output is not supported at gradcheck yet"),
    Lack(r"is (?:not implemented|unsupported) for [Ss]parse tensors"),
    Lack(r"Could not run '\S+' with arguments from the '\S+' backend"),
    Lack(
        r"is not currently implemented for the MPS device",
        source="2.6 to 2.13: aten/src/ATen/mps/MPSFallback.mm, on MPS",
    ),
    Lack(r"Torch not compiled with CUDA enabled"),
)
"""The words of PyTorch 2.6 to 2.13; tests provoke each that the installed version can say."""


def lack_of(error: BaseException, text: str, label: str) -> str | None:
    """Return what an error in a call says to be lacking, with what to do; None for a mistake."""
    if isinstance(error, Lacking):
        return _of_order(text, label)
    own = raised_by_own_code(error)
    if own and type(error) is NotImplementedError and label.startswith(_OPTIONAL_CALLS):
        said = f": {shortened(text)}" if text else ""
        return _of_order(f"the code raises NotImplementedError{said} ({left_out(label)})", label)
    found = next((each for each in LACKS if each.means(text, label)), None)
    if found is None or own:
        return None
    return _of_order(f"{shortened(text)} ({found.fix or left_out(label)})", label)


def _of_order(text: str, label: str) -> str:
    """A text about a second derivative as one about what the call asks for."""
    return text.replace(FIRST_ORDER, SECOND_ORDER) if label.count(" over ") == 2 else text


def left_out(label: str) -> str:
    """Return what leaves a call out, by its label."""
    return next(fix for start, fix in _LEFT_OUT if f"{label} ".startswith(start))


def shortened(text: str) -> str:
    """The text on one line, cut where it grows long."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def speaks_of_dtypes(error: BaseException, text: str) -> bool:
    """Whether an error may be the refusal of a dtype: by its words, or by the failing assertion."""
    if isinstance(error, AssertionError):
        last = _last(error)
        text += linecache.getline(last.tb_frame.f_code.co_filename, last.tb_lineno) if last else ""
    return _DTYPE.search(text) is not None


_DTYPE = re.compile(
    r"(?i)\bdtypes?\b|scalar type|\bfloat(?:16|32|64)?\b|\bfp(?:16|32|64)\b|\bhalf\b|\bdouble\b"
    r"|single precision|double precision"
)


def raised_by_own_code(error: BaseException) -> bool:
    """Whether a ``raise`` outside of PyTorch raised the error."""
    last = _last(error)
    if last is None or last.tb_frame.f_code.co_filename.startswith(_TORCH):
        return False
    # An error that comes out of C++ has no ``raise``: it stands at a call.
    return last.tb_frame.f_code.co_code[last.tb_lasti] == _RAISE


def raised_within(error: BaseException, file: str) -> bool:
    """Whether code of a file was at work when the error was raised."""
    frames = _frames(error.__traceback__)
    return any(frame.tb_frame.f_code.co_filename == file for frame in frames)


def raised_by_hook(error: BaseException) -> bool:
    """Whether a hook on a tensor or module raised the error, called by autograd's engine."""
    files = [(frame.tb_frame.f_code.co_name, frame.tb_frame.f_code.co_filename)
             for frame in _frames(error.__traceback__)]  # fmt: skip
    called = [after for before, after in pairwise(files) if before[0] == "_engine_run_backward"]
    return bool(called) and called[-1][1] != torch.autograd.function.__file__


def _last(error: BaseException) -> TracebackType | None:
    frames = list(_frames(error.__traceback__))
    return frames[-1] if frames else None


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next

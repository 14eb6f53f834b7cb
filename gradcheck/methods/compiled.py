"""The implementation as ``torch.compile`` compiles it, forward and backward.

Each call compiles anew, and nothing that was compiled is left behind: what one check found, another
does not hang on. What the compiler refuses is an abstention.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from gradcheck.answer import Answer, Invocation, Said
from gradcheck.methods import Method
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    cotangent_tensors,
    gradient_rows,
    input_leaves,
    input_ports,
    output_rows,
    result_of,
    tangent_tensors,
)
from gradcheck.methods._torch.compositions import Tangents, cotangent_of, gradients, slopes_of
from gradcheck.methods._torch.defects import has_own_derivative
from gradcheck.methods._torch.exceptions import guarded
from gradcheck.methods._torch.graph import leads_to
from gradcheck.methods._torch.lacks import Lacking, left_out, raised_within, shortened
from gradcheck.query import Query

METHOD = Method(
    name="compiled",
    order=1,
    share=0.125,
    share_alone=0.03125,
    subject="the derivative of the compiled code",
    eager=False,
    compiles=True,
    by_default=False,
)


_LOST = (
    "a known defect of PyTorch's torch.compile: where no input is among what is saved for the "
    "backward, the gradient is not derived again, and nothing says so "
    "(https://github.com/pytorch/pytorch/issues/181581)"
)


@dataclass(frozen=True, slots=True)
class Compiler:
    """A backend of ``torch.compile``, and what a label adds about it."""

    backend: str
    by: str = ""


def answer(invocation: Invocation) -> Iterator[Said]:
    # It runs the graph that is traced, with its backward, by PyTorch's own kernels: it compiles no
    # machine code, which would take many times as long.
    yield from said_of_compiled(Compiler("aot_eager"), invocation)


def said_of_compiled(compiler: Compiler, invocation: Invocation) -> Iterator[Said]:
    """Return all that is to be said of the code as it is compiled so."""
    for label, asked in _asked(compiler, invocation).items():
        yield from guarded(label, partial(asked, label), invocation)


def _asked(
    compiler: Compiler, invocation: Invocation
) -> dict[str, Callable[[str, Invocation], Iterator[Said]]]:
    """Return all calls by label."""
    gradient = partial(_gradient, compiler)
    once: dict[str, Callable[[str, Invocation], Iterator[Said]]] = {
        f"under torch.compile{compiler.by}": partial(gradient, dynamic=False),
        f"under torch.compile{compiler.by} with dynamic shapes": partial(gradient, dynamic=True),
        f"under torch.compile{compiler.by} with create_graph": partial(
            gradient, dynamic=False, create_graph=True
        ),
    }
    if invocation.order < 2 or "second" in invocation.without:
        return once
    return {**once, f"at order 2 under torch.compile{compiler.by}": partial(_second, compiler)}


def _gradient(
    compiler: Compiler,
    label: str,
    invocation: Invocation,
    *,
    dynamic: bool,
    create_graph: bool = False,
) -> Iterator[Said]:
    def call(compiled: Invocation) -> list[Said]:
        inputs, cotangent = input_leaves(compiled, requires_grad=True), cotangent_of(compiled)
        results = result_of(compiled, inputs)
        weights = cotangent_tensors(cotangent, compiled)
        found = gradients(results, inputs, weights, create_graph=create_graph)
        rows = gradient_rows(found, compiled, inputs)
        value = Answer(label, Query(0), output_rows(results, compiled))
        return [value, Answer(label, Query(1, cotangent, (None,)), rows)]

    yield from _freshly(compiler, call, label, invocation, dynamic=dynamic)


def _second(compiler: Compiler, label: str, invocation: Invocation) -> Iterator[Said]:
    def call(compiled: Invocation) -> list[Said]:
        inputs, cotangent = input_leaves(compiled, requires_grad=True), cotangent_of(compiled)
        tangent = directions.dense(compiled, input_ports(compiled), directions.FIRST_TANGENT)
        weights = cotangent_tensors(cotangent, compiled)
        # Of cotangents that require grad themselves the compiler takes no leaves.
        slopes = gradients(result_of(compiled, inputs), inputs, weights, create_graph=True)
        is_lost = not _hang_on(slopes, inputs) and _hang_on(*_eager_slopes(invocation))
        if is_lost and invocation.own_code and has_own_derivative(invocation):
            raise Lacking(f"{_LOST} ({left_out(label)})")
        found = gradients(slopes, inputs, tangent_tensors(tangent, compiled))
        rows = gradient_rows(found, compiled, inputs)
        because = _LOST if is_lost else ""
        return [Answer(label, Query(2, cotangent, (tangent, None)), rows, because=because)]

    yield from _freshly(compiler, call, label, invocation, dynamic=False)


def _hang_on(slopes: Tangents, inputs: Sequence[Tensor]) -> bool:
    """Whether gradients can be derived again by an input."""
    live = [slope for slope in slopes if slope is not None and slope.requires_grad]
    return any(leads_to(live, x) for x in inputs)


def _eager_slopes(invocation: Invocation) -> tuple[Tangents, Sequence[Tensor]]:
    """The gradients of the code as it is, and the inputs."""
    inputs = input_leaves(invocation, requires_grad=True)
    weights = cotangent_tensors(cotangent_of(invocation), invocation)
    return slopes_of(result_of(invocation, inputs), inputs, weights), inputs


def _freshly(
    compiler: Compiler,
    call: Callable[[Invocation], list[Said]],
    label: str,
    invocation: Invocation,
    *,
    dynamic: bool,
) -> list[Said]:
    """What a call says of the implementation, compiled for it alone.

    Errors: Lacking where the compiler refuses; what the implementation raises.
    """
    torch._dynamo.reset()
    try:
        compiled: Callable[..., Tensor] = torch.compile(
            invocation.function, backend=compiler.backend, dynamic=dynamic
        )
        return call(replace(invocation, function=compiled))
    except Exception as error:
        if not _is_of_compiler(error):
            raise
        raise Lacking(f"{shortened(_complaint(error))} ({left_out(label)})") from error
    finally:
        torch._dynamo.reset()


def _is_of_compiler(error: Exception) -> bool:
    """Whether the compiler refuses, or fails at its own work: nothing that it made has run."""
    return isinstance(error, torch._dynamo.exc.TorchDynamoException) or raised_within(
        error, torch._dynamo.convert_frame.__file__
    )


_HINTS = re.compile(r"\s+(?:from user code:|Set TORCHDYNAMO_VERBOSE=1)")


def _complaint(error: Exception) -> str:
    """What the compiler says, without where it was met and how to be told more."""
    text = _HINTS.split(str(error))[0]
    known = isinstance(error, torch._dynamo.exc.TorchDynamoException)
    return text if known else f"the compiler fails: {type(error).__name__}: {text}"

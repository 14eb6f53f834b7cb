"""Calling the implementation of an invocation, plainly or with dual tensors; reading it back."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from gradcheck.answer import Invocation
from gradcheck.errors import Misconduct
from gradcheck.query import Array, Kind, Port, split


def input_ports(invocation: Invocation) -> list[Port]:
    """The inputs; one of complex numbers is complex."""
    return [
        Port(str(number), array.shape[1:], "complex" if np.iscomplexobj(array) else "real")
        for number, array in enumerate(invocation.inputs)
    ]


CLOSE = 1e-3


def are_close(numbers: Array, others: Array) -> bool:
    """Whether two calls say the same but for sums that are added up in another order.

    Calls that differ are farther apart, and seldom those whose operations move by an ulp.
    """
    return np.allclose(numbers, others, rtol=CLOSE, atol=0.0, equal_nan=True)


def judged_ports(invocation: Invocation) -> list[Port]:
    """The outputs that are judged, in order: the entries of an answer's free output side."""
    return [port for port in invocation.outputs if port is not None]


def coordinate_count(ports: Sequence[Port]) -> int:
    """How many real numbers a point has there: two for a complex entry."""
    return sum(math.prod(port.shape) * (1 + (port.kind == "complex")) for port in ports)


def output_name(port: Port) -> str:
    """What a sentence calls an output."""
    return f"output {port.name!r}" if port.name else "the result"


def input_leaves(invocation: Invocation, *, requires_grad: bool) -> tuple[Tensor, ...]:
    """The invocation's inputs as fresh leaf tensors.

    Shapes: the input's own, after [count] where the invocation is batched.
    """
    return tuple(
        _tensor(array, port.kind, invocation).requires_grad_(requires_grad)
        for array, port in zip(invocation.inputs, input_ports(invocation), strict=True)
    )


def watched(tensors: Sequence[Tensor]) -> Callable[[], list[int]]:
    """A function that returns the numbers of those tensors that were written to since."""
    copies = [tensor.detach().clone() for tensor in tensors]
    versions = [_version(tensor) for tensor in tensors]

    def changed() -> list[int]:
        each = enumerate(zip(tensors, copies, versions, strict=True))
        return [
            number
            for number, (tensor, copy, version) in each
            if _version(tensor) != version or not _same_numbers(tensor, copy)
        ]

    return changed


def _version(tensor: Tensor) -> int:
    """How often the tensor was written to; in inference mode PyTorch does not count."""
    return 0 if tensor.is_inference() else tensor._version


def _same_numbers(tensor: Tensor, copy: Tensor) -> bool:
    if tensor.layout is not torch.strided:  # few operators take such
        return True
    return torch.allclose(tensor.detach(), copy, rtol=0.0, atol=0.0, equal_nan=True)


def _tensor(array: Array, kind: Kind, invocation: Invocation) -> Tensor:
    """An array [count, *shape] as a tensor as the implementation takes or gives it."""
    numbers = np.array(array if invocation.batched else array[0])
    if kind == "real" and np.iscomplexobj(numbers):  # from rows that hold complex numbers too
        numbers = numbers.real.copy()
    # First the dtype: not every device has the width that NumPy's numbers come in.
    return torch.from_numpy(numbers).to(_dtype(kind, invocation)).to(invocation.device)


def _dtype(kind: Kind, invocation: Invocation) -> torch.dtype:
    """The dtype under test, or its complex or real counterpart."""
    dtype: torch.dtype = getattr(torch, invocation.dtype)
    return dtype.to_complex() if kind == "complex" else dtype.to_real()


def result_of(invocation: Invocation, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What the implementation gives: a tensor for each output that is judged.

    Errors: Misconduct where it gives another number of outputs, or one is no dense tensor of the
            right shape, dtype and device; and what the implementation raises.
    """
    outputs = _outputs(invocation.function(*tensors), invocation.outputs)
    judged = [
        (port, output)
        for port, output in zip(invocation.outputs, outputs, strict=True)
        if port is not None
    ]
    device = tensors[0].device if tensors else torch.device(invocation.device)
    for port, output in judged:
        check_output(output_name(port), output, port, invocation, device)
    return tuple(output for _, output in judged)


def _outputs(result: object, ports: Sequence[Port | None]) -> Sequence[Tensor]:
    """The outputs in order, as a function of Python returns them.

    Errors: Misconduct where there are more or fewer.
    """
    is_several = isinstance(result, list | tuple)
    if len(ports) == 1 and not (is_several and ports[0] and ports[0].name):
        if not isinstance(result, Tensor):
            raise Misconduct(f"the implementation returned {_kind(result)}, expected one tensor"
                             + (_ONE_OF_SEVERAL if is_several else ""))  # fmt: skip
        return [result]
    if isinstance(result, list | tuple) and len(result) == len(ports):
        return result
    names = ", ".join("null" if port is None else port.name for port in ports)
    raise Misconduct(
        f"the implementation returned {_kind(result)}, expected {len(ports)} outputs in a tuple "
        f"or a list, as the formula names them: {names}"
    )


_ONE_OF_SEVERAL = (
    ": let `formula` name each output (`{first: ..., second: null}`, null for one that is not "
    "judged), or name a function that returns one of them"
)


def _kind(result: object) -> str:
    size = f" of {len(result)}" if isinstance(result, list | tuple) else ""
    return f"a {type(result).__name__}{size}"


def check_output(
    what: str, found: object, port: Port, invocation: Invocation, device: torch.device
) -> None:
    """Raise unless ``found`` is a dense tensor as an output of this port is, or its tangent.

    Errors: Misconduct, which names the first thing that is not so.
    """
    shape = (*((invocation.count,) if invocation.batched else ()), *port.shape)
    check_tensor(what, found, shape, _dtype(port.kind, invocation), device)


def check_tensor(
    what: str, found: object, shape: Sequence[int], dtype: torch.dtype, device: torch.device
) -> None:
    """Raise unless ``found`` is a dense tensor of that shape, dtype and device.

    Errors: Misconduct, which names the first thing that is not so.
    """
    if not isinstance(found, Tensor):
        raise Misconduct(f"{what} is a {type(found).__name__}, expected a tensor")
    if tuple(found.shape) != tuple(shape):
        raise Misconduct(f"{what} has shape {list(found.shape)}, expected {list(shape)}")
    if found.dtype != dtype:
        raise Misconduct(f"{what} has dtype {found.dtype}, expected {dtype}")
    if found.device != device:
        raise Misconduct(f"{what} is on {found.device}, expected {device}")
    if found.layout is not torch.strided:
        raise Misconduct(
            f"{what} has layout {found.layout}, expected torch.strided: return it by to_dense()"
        )


def tangent_tensors(direction: Array, invocation: Invocation) -> tuple[Tensor, ...]:
    """A direction [count, n] over all input entries as one tensor for each input."""
    return _tensors(direction, input_ports(invocation), invocation)


def cotangent_tensors(direction: Array, invocation: Invocation) -> tuple[Tensor, ...]:
    """A direction [count, m] over all judged output entries as one tensor for each output."""
    return _tensors(direction, judged_ports(invocation), invocation)


def _tensors(direction: Array, ports: Sequence[Port], invocation: Invocation) -> tuple[Tensor, ...]:
    parts = split(direction, [port.shape for port in ports])
    return tuple(
        _tensor(part, port.kind, invocation) for part, port in zip(parts, ports, strict=True)
    )


def gradient_rows(
    gradients: Sequence[Tensor | None], invocation: Invocation, inputs: Sequence[Tensor]
) -> Array:
    """Gradients of all inputs as [count, n]; None, for an input that is not used, as zeros.

    A sparse gradient is judged as the dense tensor that it stands for.

    Errors: Misconduct where one has another shape, dtype or device than its input.
    """
    columns = []
    for number, (gradient, leaf) in enumerate(zip(gradients, inputs, strict=True)):
        dense = torch.zeros_like(leaf) if gradient is None else densified(gradient)
        check_tensor(f"the gradient of input {number}", dense, leaf.shape, leaf.dtype, leaf.device)
        assert dense is not None
        columns.append(_rows(dense, invocation))
    return np.concatenate(columns, axis=1)


def densified(gradient: Tensor | None) -> Tensor | None:
    """The dense tensor that a sparse one stands for; a dense one, or None, as it is."""
    if isinstance(gradient, Tensor) and gradient.layout is not torch.strided:
        return gradient.to_dense()
    return gradient


def layouts(gradients: Sequence[Tensor | None]) -> str:
    """What a label adds about gradients that are not dense; empty where all are."""
    found = [
        f"the gradient of input {number} is {gradient.layout}, judged as dense"
        for number, gradient in enumerate(gradients)
        if gradient is not None and gradient.layout is not torch.strided
    ]
    return f" ({'; '.join(found)})" if found else ""


def output_rows(results: Sequence[Tensor], invocation: Invocation) -> Array:
    """Tensors shaped like the judged outputs as [count, m]."""
    return np.concatenate([_rows(result, invocation) for result in results], axis=1)


def _rows(tensor: Tensor, invocation: Invocation) -> Array:
    """A tensor's numbers as float64 or complex128, exactly: [count, entries]."""
    # PyTorch answers some zero derivatives with tensors that have no memory, and to read a part of
    # one ends the process: a copy has memory.
    held = tensor.clone() if tensor._is_zerotensor() else tensor
    wide = held.cpu().to(torch.complex128 if tensor.is_complex() else torch.float64)
    numbers = torch._C.TensorBase.numpy(wide, force=True)  # not as code under test is watched
    return np.array(numbers).reshape(invocation.count, -1)


@cache
def warm_up() -> None:
    """Let PyTorch load what forward mode needs; 2.13 warns there of its own use of TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jvp(torch.sin, (torch.ones(()),), (torch.ones(()),))


def without_autocast(device: str) -> AbstractContextManager[object]:
    """Autocast off, where it is on for a type of device: some have none."""
    is_on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if is_on else nullcontext()


@contextmanager
def dual_level() -> Iterator[None]:
    """``torch.autograd.forward_ad.dual_level``, warmed up."""
    warm_up()
    with forward_ad.dual_level():
        yield


def duals(inputs: Sequence[Tensor], tangent: Array, invocation: Invocation) -> list[Tensor]:
    """The inputs with their parts of ``tangent`` [count, n]. Only within a ``dual_level``."""
    return duals_of(inputs, tangent_tensors(tangent, invocation))


def duals_of(inputs: Sequence[Tensor], tangents: Sequence[Tensor]) -> list[Tensor]:
    """The same, of tangents that are tensors."""
    return [
        forward_ad.make_dual(leaf, tangent)  # type: ignore[no-untyped-call]
        for leaf, tangent in zip(inputs, tangents, strict=True)
    ]


def tangent_of(result: Tensor) -> Tensor | None:
    """The tangent of a result, or None where nothing carried one to it."""
    tangent: Tensor | None = forward_ad.unpack_dual(result).tangent  # type: ignore[no-untyped-call]
    return tangent

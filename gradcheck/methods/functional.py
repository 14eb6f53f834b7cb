"""The transforms of ``torch.func``, alone and nested, and ``torch.vmap`` over points.

The rules by which PyTorch takes a batch through an operator, or through its derivative, are other
code than what eager mode runs. Each answer is a question of its own: it is judged against the
truth, and not against another call's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import repeat
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from gradcheck.answer import Answer, Invocation, Said
from gradcheck.methods import Method
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    check_output,
    check_tensor,
    coordinate_count,
    cotangent_tensors,
    gradient_rows,
    input_leaves,
    input_ports,
    judged_ports,
    output_name,
    output_rows,
    result_of,
    tangent_tensors,
    warm_up,
)
from gradcheck.methods._torch.compositions import PROMOTION, cotangent_of, promotes, slopes_of
from gradcheck.methods._torch.exceptions import guarded_beside_defects
from gradcheck.methods._torch.lacks import Lacking, left_out
from gradcheck.query import Array, Port, Query

METHOD = Method(
    name="functional",
    order=1,
    share=1,
    share_alone=0.25,
    subject="the derivative under torch.func",
    eager=False,
    mapped=True,
)

_MOST_INPUTS, _MOST_ENTRIES = 6, 36
"""Up to so many entries of the inputs, and so many of the Jacobian, each derivative is asked for;
of more, a few rows and columns of them."""
MULTIPLES, _OWN = (0.5, 1.0, 0.25), 1
"""A batch is made of multiples of one point, which stay in cones and in balls. It stands in the
middle, so that what takes the first for all, or the last, or a sum, is seen."""

_Function = Callable[..., Any]
_Transform = Callable[[_Function, tuple[int, ...]], _Function]
_Asked = Callable[[str, Invocation], Iterator[Said]]
_Calls = dict[str, _Asked]


def answer(invocation: Invocation) -> Iterator[Said]:
    warm_up()
    for label, asked in _asked(invocation).items():
        with _without_advice():
            said = list(guarded_beside_defects(label, partial(asked, label), invocation))
        yield from said


@contextmanager
def _without_advice() -> Iterator[None]:
    """Let PyTorch not tell how it takes a batch through an operator, which is its own affair."""
    show: Any = torch._C._functorch._set_vmap_fallback_warning_enabled  # type: ignore[attr-defined]
    show(False)  # noqa: FBT003
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "An output with one or more elements was resized")
            yield
    finally:
        show(True)  # noqa: FBT003


def _twice(asked: _Asked, label: str, invocation: Invocation) -> Iterator[Said]:
    """A call for second derivatives, which no transform refuses where eager mode does."""
    if invocation.own_code:
        inputs = input_leaves(invocation, requires_grad=True)
        weights = cotangent_tensors(cotangent_of(invocation), invocation)
        slopes_of(result_of(invocation, inputs), inputs, weights)
    yield from asked(label, invocation)


def _function(invocation: Invocation) -> _Function:
    """The implementation as a function that returns all judged outputs, of all points."""
    if invocation.mapped:
        return vmap(_function(_one_of(invocation)))
    return lambda *tensors: result_of(invocation, tensors)


def _inputs(invocation: Invocation) -> tuple[Tensor, ...]:
    return input_leaves(invocation, requires_grad=False)


def _argnums(invocation: Invocation) -> tuple[int, ...]:
    return tuple(range(len(invocation.inputs)))


def _tangent(invocation: Invocation, stream: int = directions.FIRST_TANGENT) -> Array:
    return directions.dense(invocation, input_ports(invocation), stream)


def _gradient(invocation: Invocation, cotangent: Array) -> _Function:
    """The gradient of the outputs' weighted sum, by ``torch.func.grad``."""
    weights, function = cotangent_tensors(cotangent, invocation), _function(invocation)

    def loss(*tensors: Tensor) -> Tensor:
        results = zip(weights, function(*tensors), strict=True)
        sums = [(weight.conj() * result).real.sum() for weight, result in results]
        return torch.stack(sums).sum()

    return grad(loss, argnums=_argnums(invocation))


def _told_of_gradients(
    label: str, query: Query, gradients: Sequence[Tensor], invocation: Invocation
) -> Answer:
    _refuse_promoted(gradients, invocation)
    return Answer(label, query, gradient_rows(gradients, invocation, _inputs(invocation)))


def _refuse_promoted(found: Sequence[Tensor], invocation: Invocation) -> None:
    """Raise where a user's code has a derivative of a finer dtype by PyTorch's doing.

    Errors: Lacking.
    """
    dtype = getattr(torch, invocation.dtype)
    is_finer = any(torch.finfo(each.dtype).eps < torch.finfo(dtype).eps for each in found)
    if is_finer and invocation.own_code and promotes(_slope, dtype):
        raise Lacking(f"PyTorch's torch.func.jvp {PROMOTION}")


def _slope(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    slope: Tensor = jvp(function, (x,), (torch.ones_like(x),))[1]
    return slope


def _told_of_outputs(
    label: str, query: Query, tangents: Sequence[Tensor], invocation: Invocation
) -> Answer:
    _refuse_promoted(tangents, invocation)
    for port, each in zip(judged_ports(invocation), tangents, strict=True):
        what = f"the tangent of {output_name(port)}" if query.order else output_name(port)
        check_output(what, each, port, invocation, each.device)
    return Answer(label, query, output_rows(tangents, invocation))


# along one cotangent, or one tangent


def _by_vjp(label: str, invocation: Invocation) -> Iterator[Said]:
    cotangent = cotangent_of(invocation)
    pull = vjp(_function(invocation), *_inputs(invocation))[1]
    found = pull(cotangent_tensors(cotangent, invocation))
    yield _told_of_gradients(label, Query(1, cotangent, (None,)), found, invocation)


def _by_grad(label: str, invocation: Invocation) -> Iterator[Said]:
    cotangent = cotangent_of(invocation)
    found = _gradient(invocation, cotangent)(*_inputs(invocation))
    yield _told_of_gradients(label, Query(1, cotangent, (None,)), found, invocation)


def _by_jvp(label: str, invocation: Invocation) -> Iterator[Said]:
    tangent = _tangent(invocation)
    tangents = tangent_tensors(tangent, invocation)
    found = jvp(_function(invocation), _inputs(invocation), tangents)[1]
    yield _told_of_outputs(label, Query(1, None, (tangent,)), found, invocation)


# along several at a time, as ``jacrev`` and ``jacfwd`` do within


def _along(call: _Function, several: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """What a call gives along each of several directions, which it takes in one batch."""
    batch = [torch.stack(parts) for parts in zip(*several, strict=True)]
    found = vmap(call)(*batch)
    return [[each[k] for each in found] for k in range(len(several))]


def _some_rows(label: str, invocation: Invocation) -> Iterator[Said]:
    ports = judged_ports(invocation)
    chosen = [directions.dense(invocation, ports, stream) for stream in _STREAMS]
    several = [cotangent_tensors(each, invocation) for each in chosen]
    rows = _along(_pulled(_function(invocation), _inputs(invocation)), several)
    for cotangent, found in zip(chosen, rows, strict=True):
        yield _told_of_gradients(label, Query(1, cotangent, (None,)), found, invocation)


def _some_columns(label: str, invocation: Invocation) -> Iterator[Said]:
    chosen = [_tangent(invocation, stream) for stream in _STREAMS]
    several = [tangent_tensors(each, invocation) for each in chosen]
    columns = _along(_pushed(_function(invocation), _inputs(invocation)), several)
    for tangent, found in zip(chosen, columns, strict=True):
        yield _told_of_outputs(label, Query(1, None, (tangent,)), found, invocation)


def _some_of_hessian(product: _Product, label: str, invocation: Invocation) -> Iterator[Said]:
    cotangent, inputs = cotangent_of(invocation), _inputs(invocation)
    chosen = [_tangent(invocation, stream) for stream in _STREAMS]
    several = [tangent_tensors(each, invocation) for each in chosen]
    rows = _along(product(_gradient(invocation, cotangent), inputs), several)
    for tangent, found in zip(chosen, rows, strict=True):
        yield _told_of_gradients(label, Query(2, cotangent, (tangent, None)), found, invocation)


_STREAMS = (directions.COTANGENT, directions.FIRST_TANGENT, directions.SECOND_TANGENT)
_Product = Callable[[_Function, tuple[Tensor, ...]], _Function]


def _pulled(function: _Function, inputs: tuple[Tensor, ...]) -> _Function:
    pull = vjp(function, *inputs)[1]
    return lambda *side: pull(side)


def _pushed(function: _Function, inputs: tuple[Tensor, ...]) -> _Function:
    return lambda *side: jvp(function, inputs, side)[1]


# all derivatives, one by one


def _whole(order: int, transform: _Transform, label: str, invocation: Invocation) -> Iterator[Said]:
    """A transform at the point, or under ``vmap`` at each of a batch."""
    if not invocation.batched:
        found = transform(_function(invocation), _argnums(invocation))(*_inputs(invocation))
    else:
        point = _one_of(invocation)
        found = vmap(transform(_function(point), _argnums(point)))(*_inputs(invocation))
    sides = [judged_ports(invocation), *repeat(input_ports(invocation), order)]
    yield from _told_by_rows(label, _entries(found, sides, invocation))


def _one_of(invocation: Invocation) -> Invocation:
    """An invocation at the first point alone."""
    inputs = tuple(array[:1] for array in invocation.inputs)
    return replace(invocation, inputs=inputs, batched=False, mapped=False)


def _told_by_rows(label: str, derivatives: Array) -> Iterator[Answer]:
    """All derivatives [count, m, n, ...] as what reverse mode says: the last side alone is free."""
    count, *sizes, _ = derivatives.shape
    for places in np.ndindex(*sizes):
        pairs = zip(sizes, places, strict=True)
        units = [np.eye(size)[[place]].repeat(count, axis=0) for size, place in pairs]
        query = Query(len(sizes), units[0], (*units[1:], None))
        yield Answer(label, query, derivatives[:, *places])


def _entries(
    found: Any,
    sides: Sequence[Sequence[Port]],
    invocation: Invocation,
    outer: tuple[Port, ...] = (),
) -> Array:
    """A tensor for each port of each side as one array.

    Shapes: [count, entries of each side].
    """
    if sides:
        (ports, *inner), axis = sides, 1 + len(outer)
        parts = zip(ports, found, strict=True)
        blocks = [_entries(part, inner, invocation, (*outer, port)) for port, part in parts]
        return np.concatenate(blocks, axis=axis)
    _refuse_promoted([found], invocation)
    batch = (invocation.count,) if invocation.batched else ()
    shape = [*batch, *(length for port in outer for length in port.shape)]
    dtype = getattr(torch, invocation.dtype)
    check_tensor("a derivative under torch.func", found, shape, dtype, found.device)
    sizes = (prod(port.shape) for port in outer)
    return output_rows([found], invocation).reshape(invocation.count, *sizes)


def _rows_of_rows(function: _Function, argnums: tuple[int, ...]) -> _Function:
    return jacrev(jacrev(function, argnums), argnums)


def _rows_of_columns(function: _Function, argnums: tuple[int, ...]) -> _Function:
    return jacrev(jacfwd(function, argnums), argnums)


# at a batch of points


def _value(label: str, invocation: Invocation) -> Iterator[Said]:
    """The value of each point alone, where one call takes them all."""
    found = vmap(_function(_one_of(invocation)))(*_inputs(invocation))
    yield _told_of_outputs(label, Query(0), found, invocation)


def _value_at_points(dimension: int, label: str, invocation: Invocation) -> Iterator[Said]:
    found = _at_points(_function(invocation), invocation, dimension)
    yield _told_of_outputs(label, Query(0), found, invocation)


def _vjp_at_points(
    dimension: int | tuple[int | None, ...], label: str, invocation: Invocation
) -> Iterator[Said]:
    cotangent = cotangent_of(invocation)
    weights = cotangent_tensors(cotangent, invocation)
    function = _function(invocation)

    def call(*tensors: Tensor) -> Any:
        pulled = vjp(function, *tensors)
        return pulled[0], pulled[1](weights)

    results, found = _at_points(call, invocation, dimension)
    if isinstance(dimension, tuple):  # else the value has a call of its own
        yield _told_of_outputs(label, Query(0), results, invocation)
    yield _told_of_gradients(label, Query(1, cotangent, (None,)), found, invocation)


def _vjp_at_points_of_one(place: int, label: str, invocation: Invocation) -> Iterator[Said]:
    yield from _vjp_at_points(_only(place, invocation), label, invocation)


def _only(place: int, invocation: Invocation) -> tuple[int | None, ...]:
    """The ``in_dims`` by which one input alone differs from point to point."""
    count = len(invocation.inputs)
    return tuple(0 if k == place % count else None for k in range(count))


def _vjp_of_points(label: str, invocation: Invocation) -> Iterator[Said]:
    if invocation.own_code:  # no operator of PyTorch's hooks a tensor
        _refuse_hooks(label, invocation)
    cotangent = cotangent_of(invocation)
    weights = cotangent_tensors(cotangent, invocation)
    pull = vjp(vmap(_function(invocation)), *_beside_others(_inputs(invocation)))[1]
    gradients = [gradient[_OWN] for gradient in pull(_beside_others(weights, (1, 1, 1)))]
    yield _told_of_gradients(label, Query(1, cotangent, (None,)), gradients, invocation)


def _refuse_hooks(label: str, invocation: Invocation) -> None:
    """Raise where the code hooks a tensor, which nobody can within ``torch.vmap``.

    A tensor says there that it requires no gradient, and code that asks first leaves the hook out.

    Errors: Lacking.
    """
    hooks = _Hooks()
    with hooks:
        result_of(invocation, input_leaves(invocation, requires_grad=True))
    if hooks.any:
        raise Lacking(f"PyTorch has no hooks on tensors within torch.vmap ({left_out(label)})")


class _Hooks(TorchFunctionMode):
    """Whether any tensor is hooked."""

    any = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.any |= func is Tensor.register_hook
        return func(*args, **(kwargs or {}))


def _jvp_of_points(label: str, invocation: Invocation) -> Iterator[Said]:
    tangent = _tangent(invocation)
    sides = _beside_others(tangent_tensors(tangent, invocation), (1, 1, 1))
    points = _beside_others(_inputs(invocation))
    found = [slope[_OWN] for slope in jvp(vmap(_function(invocation)), points, sides)[1]]
    yield _told_of_outputs(label, Query(1, None, (tangent,)), found, invocation)


def _beside_others(
    tensors: Sequence[Tensor], multiples: Sequence[float] = MULTIPLES
) -> tuple[Tensor, ...]:
    """A batch of multiples of each."""
    return tuple(torch.stack([tensor * k for k in multiples]) for tensor in tensors)


def _jvp_at_points(label: str, invocation: Invocation) -> Iterator[Said]:
    tangent, function = _tangent(invocation), _function(invocation)
    side = tangent_tensors(tangent, invocation)
    found = _at_points(lambda *xs: jvp(function, xs, side)[1], invocation)
    yield _told_of_outputs(label, Query(1, None, (tangent,)), found, invocation)


def _product_at_points(label: str, invocation: Invocation) -> Iterator[Said]:
    tangent, cotangent = _tangent(invocation), cotangent_of(invocation)
    gradient, side = _gradient(invocation, cotangent), tangent_tensors(tangent, invocation)
    found = _at_points(lambda *xs: jvp(gradient, xs, side)[1], invocation)
    yield _told_of_gradients(label, Query(2, cotangent, (tangent, None)), found, invocation)


def _at_points(
    call: _Function, invocation: Invocation, dimension: int | tuple[int | None, ...] = 0
) -> Any:
    """What a call gives at the point, where it takes it in a batch with others.

    An input whose dimension is None is the same at each.
    """
    inputs = _inputs(invocation)
    each = dimension if isinstance(dimension, tuple) else (dimension,) * len(inputs)
    batch = [
        x if axis is None else torch.stack([x * k for k in MULTIPLES], axis)
        for x, axis in zip(inputs, each, strict=True)
    ]
    return tree_map(lambda found: found[_OWN], vmap(call, in_dims=dimension)(*batch))


def _at_points_of_one(invocation: Invocation) -> _Calls:
    """The calls that take many values of one input beside one of each other: first, and last."""
    places = (0, -1) if len(invocation.inputs) > 1 else ()
    return {
        f"{_POINTS_OF_ONE}{_only(place, invocation)}": partial(_vjp_at_points_of_one, place)
        for place in places
    }


def takes_multiples(label: str) -> bool:
    """Whether a call, of one point, takes a batch of its multiples."""
    return label in _OF_MULTIPLES or label.startswith(_POINTS_OF_ONE)


# all of them, in the order in which they are asked


def _asked(invocation: Invocation) -> dict[str, _Asked]:
    """Return all calls by label, but for those that the case does without."""
    n, m = coordinate_count(input_ports(invocation)), coordinate_count(judged_ports(invocation))
    if not n:  # there is nothing to take a batch of
        return _REVERSE
    ports = (*input_ports(invocation), *judged_ports(invocation))
    few = (
        all(port.kind == "real" for port in ports) and n <= _MOST_INPUTS and n * m <= _MOST_ENTRIES
    )
    in_batch, own_code = invocation.batched, invocation.own_code
    modes = [_REVERSE, _ROWS if few else _SOME_ROWS]
    modes += [] if in_batch else [_REVERSE_AT_POINTS, _at_points_of_one(invocation)]
    modes += [_REVERSE_OF_POINTS] if own_code and not in_batch else []
    if "forward" not in invocation.without:
        modes += [_FORWARD, _COLUMNS if few else _SOME_COLUMNS]
        modes += [] if in_batch else [_FORWARD_AT_POINTS]
        modes += [_FORWARD_OF_POINTS] if own_code and not in_batch else []
    if invocation.order >= 2 and "second" not in invocation.without:
        second = {**(_HESSIANS if few else _SOME_OF_HESSIANS)}
        second |= {} if in_batch else _SECOND_AT_POINTS
        modes.append({label: partial(_twice, asked) for label, asked in second.items()})
    of_points = _OF_POINTS if invocation.mapped else ""
    found = {f"{label}{of_points}": asked for mode in modes for label, asked in mode.items()}
    if in_batch:
        return found | _VALUES
    if invocation.thorough or invocation.seed % _EVERY == 0:
        return found
    return {label: asked for label, asked in found.items() if label in _AT_EVERY_POINT}


_AT_EVERY_POINT = (
    "under torch.func.jacrev",
    "under torch.func.jacfwd",
    "at order 2 under torch.func.hessian",
    "under torch.vmap of a vjp",
    "under torch.vmap of a jvp",
    "at order 2 under torch.vmap of a jvp of grad",
    "under torch.vmap of points and a vjp",
)
"""The others run the same rules but for one: where each point is a call of its own, and is drawn,
they are asked at one in so many."""
_EVERY = 4
_OF_POINTS = ", of points by torch.vmap"
_REVERSE: _Calls = {"under torch.func.vjp": _by_vjp, "under torch.func.grad": _by_grad}
_FORWARD: _Calls = {"under torch.func.jvp": _by_jvp}
_ROWS: _Calls = {
    "under torch.func.jacrev": partial(_whole, 1, jacrev),
    "under torch.func.jacrev with chunk_size=1": partial(_whole, 1, partial(jacrev, chunk_size=1)),
}
_SOME_ROWS: _Calls = {"under torch.vmap of a vjp": _some_rows}
_COLUMNS: _Calls = {"under torch.func.jacfwd": partial(_whole, 1, jacfwd)}
_SOME_COLUMNS: _Calls = {"under torch.vmap of a jvp": _some_columns}
_HESSIANS: _Calls = {
    "at order 2 under torch.func.hessian": partial(_whole, 2, hessian),
    "at order 2 under torch.func.jacrev of jacrev": partial(_whole, 2, _rows_of_rows),
    "at order 2 under torch.func.jacrev of jacfwd": partial(_whole, 2, _rows_of_columns),
}
_SOME_OF_HESSIANS: _Calls = {
    "at order 2 under torch.vmap of a jvp of grad": partial(_some_of_hessian, _pushed),
    "at order 2 under torch.vmap of a vjp of grad": partial(_some_of_hessian, _pulled),
}
_VALUES: _Calls = {"under torch.vmap": _value}
_REVERSE_AT_POINTS: _Calls = {
    "under torch.vmap": partial(_value_at_points, 0),
    "under torch.vmap with in_dims=-1": partial(_value_at_points, -1),
    "under torch.vmap of points and a vjp": partial(_vjp_at_points, 0),
    "under torch.vmap of points and a vjp with in_dims=-1": partial(_vjp_at_points, -1),
}
_FORWARD_AT_POINTS: _Calls = {"under torch.vmap of points and a jvp": _jvp_at_points}
_REVERSE_OF_POINTS: _Calls = {
    "under torch.func.vjp of torch.vmap over points": _vjp_of_points,
}
"""These of a user's code alone: PyTorch's own is asked so at the drawn points, all at once."""
_FORWARD_OF_POINTS: _Calls = {"under torch.func.jvp of torch.vmap over points": _jvp_of_points}
_SECOND_AT_POINTS: _Calls = {
    "at order 2 under torch.vmap of points and a jvp of grad": _product_at_points
}
_POINTS_OF_ONE = "under torch.vmap of points and a vjp with in_dims="
_OF_MULTIPLES = frozenset(
    {
        *_REVERSE_AT_POINTS,
        *_FORWARD_AT_POINTS,
        *_REVERSE_OF_POINTS,
        *_FORWARD_OF_POINTS,
        *_SECOND_AT_POINTS,
    }
)

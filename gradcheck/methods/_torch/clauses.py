"""Reverse mode, and forward mode, asked for in other ways than usual: each changes one thing.

What changes must not matter, so a clause says nothing where it gets the bits of the first call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from gradcheck.answer import Answer, Invocation, Said, Violation
from gradcheck.errors import Misconduct
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.addresses import goes_by_address
from gradcheck.methods._torch.calling import (
    are_close,
    cotangent_tensors,
    densified,
    dual_level,
    duals_of,
    gradient_rows,
    input_leaves,
    input_ports,
    judged_ports,
    output_rows,
    result_of,
    tangent_of,
    tangent_tensors,
    watched,
)
from gradcheck.methods._torch.exceptions import eagerly, may_be_compiled
from gradcheck.methods._torch.graph import autocast_claims
from gradcheck.methods._torch.lacks import Lacking, left_out, raised_by_hook, shortened
from gradcheck.methods._torch.layouts import (
    Dressing,
    Layout,
    as_it_is,
    differ,
    laid,
    strided,
)
from gradcheck.methods._torch.operators import complaints_of_opcheck
from gradcheck.query import Array, Query, flatten, owners, split

MANY, BLOCKS, _COPIES = 128, 5000, 3
"""More entries than one kind of kernel takes, than a thread block has, and rows of a grid."""
_ELSEWHERE = 0.875
"""Another input, of which every domain that holds zero's surroundings or a half line has most."""


@dataclass(frozen=True, slots=True, eq=False)
class FirstCall:
    """An invocation and what the first call said."""

    invocation: Invocation
    answer: Answer
    inputs: tuple[Tensor, ...]
    cotangents: tuple[Tensor, ...]

    @classmethod
    def of(cls, invocation: Invocation, answer: Answer) -> FirstCall:
        assert answer.query.cotangent is not None
        return cls(
            invocation,
            answer,
            input_leaves(invocation, requires_grad=False),
            cotangent_tensors(answer.query.cotangent, invocation),
        )

    @property
    def cotangent(self) -> Array:
        assert self.answer.query.cotangent is not None
        return self.answer.query.cotangent

    @property
    def weights(self) -> list[Tensor]:
        """The cotangents, which nobody has written to yet."""
        return [cotangent.clone() for cotangent in self.cotangents]

    def leaves(self) -> list[Tensor]:
        """The inputs, which nobody has written to yet, and which require gradients."""
        return [tensor.clone().requires_grad_() for tensor in self.inputs]

    def results(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return result_of(self.invocation, inputs)

    def asked(self, label: str, inputs: Sequence[Tensor], **options: bool) -> Iterator[Answer]:
        """What ``torch.autograd.grad`` gives at these inputs."""
        return self.told(
            label, pulled(self.results(inputs), inputs, self.weights, **options), inputs
        )

    def told(self, label: str, gradients: _Gradients, inputs: Sequence[Tensor]) -> Iterator[Answer]:
        return self.other(label, gradient_rows(gradients, self.invocation, inputs))

    def other(self, label: str, numbers: Array) -> Iterator[Answer]:
        """The same question's answer, unless it is the first one's, bit for bit."""
        return self._if_other(Answer(label, self.answer.query, numbers), self.answer.numbers)

    def other_value(self, label: str, value: Array, usual: Array) -> Iterator[Answer]:
        """The value, unless it is the usual one, which ``value`` judges, bit for bit."""
        return self._if_other(Answer(label, Query(0), value), usual)

    def other_direction(
        self, label: str, cotangent: Array, numbers: Array, usual: Array
    ) -> Iterator[Answer]:
        """The gradient along another cotangent, unless it is the usual one, bit for bit."""
        return self._if_other(Answer(label, Query(1, cotangent, (None,)), numbers), usual)

    def _if_other(self, answer: Answer, usual: Array) -> Iterator[Answer]:
        """An answer that differs; where it is asked for again it is given in any case."""
        if self.invocation.again or not np.array_equal(answer.numbers, usual, equal_nan=True):
            yield answer

    def is_far_from(self, said: Said) -> bool:
        return isinstance(said, Answer) and not are_close(said.numbers, self.answer.numbers)


_Gradients = Sequence[Tensor | None]
_Called = Callable[[Invocation, Sequence[Tensor]], tuple[Tensor, ...]]
Clause = Callable[[str, FirstCall], Iterator[Said]]


def pulled(
    results: Sequence[Tensor], inputs: Sequence[Tensor], weights: Sequence[Tensor], **options: bool
) -> _Gradients:
    """``torch.autograd.grad``; None for an input that requires no gradient."""
    live = [k for k, result in enumerate(results) if result.requires_grad]
    wanted = [leaf for leaf in inputs if leaf.requires_grad]
    if not (live and wanted):
        return [None] * len(inputs)
    found = iter(
        torch.autograd.grad(
            [results[k] for k in live],
            wanted,
            [weights[k] for k in live],
            allow_unused=True,
            **options,
        )
    )
    return [densified(next(found)) if leaf.requires_grad else None for leaf in inputs]


# the same call again


def again(label: str, first: FirstCall) -> Iterator[Said]:
    return first.asked(label, first.leaves())


def value_beside_gradients(label: str, first: FirstCall) -> Iterator[Said]:
    """The value, where it differs from that without gradients, which ``value`` judges."""
    asked = output_rows(first.results(first.leaves()), first.invocation)
    with torch.no_grad():
        inputs = input_leaves(first.invocation, requires_grad=False)
        alone = output_rows(first.results(inputs), first.invocation)
    yield from first.other_value(label, asked, alone)


def in_place(label: str, first: FirstCall) -> Iterator[Said]:
    """By the spelling that writes into its argument, on clones: the value, and the gradient."""
    function = first.invocation.in_place()
    if function is None:
        return
    writing = replace(first.invocation, function=function)
    inputs = first.leaves()
    results = result_of(writing, [leaf.clone() for leaf in inputs])
    asked = output_rows(results, first.invocation)
    alone = output_rows(first.results(first.leaves()), first.invocation)
    yield from first.other_value(label, asked, alone)
    yield from first.told(label, pulled(results, inputs, first.weights), inputs)


# the same graph


def second_backward(label: str, first: FirstCall) -> Iterator[Said]:
    inputs = first.leaves()
    results = first.results(inputs)
    pulled(results, inputs, first.weights, retain_graph=True)
    yield from first.told(label, pulled(results, inputs, first.weights), inputs)


def with_graph(label: str, first: FirstCall) -> Iterator[Said]:
    return first.asked(label, first.leaves(), create_graph=True)


def added_to_grad(label: str, first: FirstCall) -> Iterator[Said]:
    """Into a ``.grad`` that holds minus the gradient, so that the sum is exactly 0."""
    known = np.where(np.isfinite(first.answer.numbers), first.answer.numbers, 0.0)
    inputs = first.leaves()
    for leaf, before in zip(inputs, tangent_tensors(-known, first.invocation), strict=True):
        leaf.grad = before
    _run_backward(first.results(inputs), first.weights)
    sums = gradient_rows([densified(leaf.grad) for leaf in inputs], first.invocation, inputs)
    yield from first.other(label, sums + known)


def _run_backward(results: Sequence[Tensor], weights: Sequence[Tensor]) -> None:
    live = [k for k, result in enumerate(results) if result.requires_grad]
    if live:
        torch.autograd.backward([results[k] for k in live], [weights[k] for k in live])


# state that is kept


def after_another(label: str, first: FirstCall) -> Iterator[Said]:
    """Another forward and its backward, between this forward and its backward."""
    inputs = first.leaves()
    results = first.results(inputs)
    others = _elsewhere(first)
    with suppress(Exception):  # the other input may lie outside the domain
        pulled(first.results(others), others, first.weights)
    yield from first.told(label, pulled(results, inputs, first.weights), inputs)


def after_an_update(label: str, first: FirstCall) -> Iterator[Said]:
    """A call, and another after new numbers were written into the same inputs."""
    inputs = _elsewhere(first)
    with suppress(Exception):
        pulled(first.results(inputs), inputs, first.weights)
    with torch.no_grad():
        for leaf, numbers in zip(inputs, first.leaves(), strict=True):
            leaf.copy_(numbers)
    yield from first.asked(label, inputs)


def _elsewhere(first: FirstCall) -> list[Tensor]:
    """Other inputs: other points where there are several, else the numbers made smaller."""
    turn = first.invocation.count > 1
    return [
        (leaf.detach().flip(0) if turn else leaf.detach() * _ELSEWHERE).requires_grad_()
        for leaf in first.leaves()
    ]


# which inputs require gradients, which outputs have a cotangent


def where_some_require(asked: set[int], label: str, first: FirstCall) -> Iterator[Said]:
    """For inputs that require no gradient the first call's numbers stand."""
    inputs = [leaf.requires_grad_(k in asked) for k, leaf in enumerate(first.leaves())]
    inputs = [leaf if k in asked else leaf.detach() for k, leaf in enumerate(inputs)]
    found = gradient_rows(
        pulled(first.results(inputs), inputs, first.weights), first.invocation, inputs
    )
    shapes = [port.shape for port in input_ports(first.invocation)]
    parts = zip(split(found, shapes), split(first.answer.numbers, shapes), strict=True)
    yield from first.other(
        label, flatten([new if k in asked else old for k, (new, old) in enumerate(parts)])
    )


# layouts


def laid_out(layout: Layout, label: str, first: FirstCall) -> Iterator[Said]:
    """With the inputs in another layout, those that can have it."""
    yield from _with_leaves(label, [laid(leaf, layout) for leaf in first.leaves()], first)


def one_strided(label: str, first: FirstCall) -> Iterator[Said]:
    leaves = first.leaves()
    if len(leaves) > 1:
        yield from _with_leaves(label, [laid(leaves[0], strided), *leaves[1:]], first)


def lazily(clause: Clause, label: str, first: FirstCall) -> Iterator[Said]:
    """What a clause about such a view says of code that leaves reading it to PyTorch.

    Errors: Lacking where it reads the memory itself, or inductor has compiled it so.
    """
    said, plain = list(clause(label, first)), list[Said]()
    if said:
        with eagerly():
            by_address = goes_by_address(lambda: plain.extend(clause(label, first)))
        if by_address or (may_be_compiled() and not _are_alike(said, plain)):
            raise Lacking(f"the {'code' if by_address else 'compiled code'} reads a tensor's "
                          "memory by its address, where a view that is negated or conjugated "
                          "when it is read stands otherwise: resolve_neg() and resolve_conj() "
                          "write it out")  # fmt: skip
    yield from said


def _are_alike(said: Sequence[Said], others: Sequence[Said]) -> bool:
    """Whether answers are close to others; whatever is no answer is no other."""
    numbers = [[each.numbers for each in some if isinstance(each, Answer)]
               for some in (said, others)]  # fmt: skip
    return len(numbers[0]) == len(numbers[1]) and all(map(are_close, *numbers))


def _with_leaves(label: str, tensors: Sequence[Tensor], first: FirstCall) -> Iterator[Said]:
    if any(map(differ, tensors, first.leaves())):
        inputs = [tensor.detach().requires_grad_() for tensor in tensors]
        results = _accepted(first.invocation, inputs)
        yield from first.told(label, pulled(results, inputs, first.weights), inputs)


def _accepted(invocation: Invocation, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The results; a forward may refuse a layout as long as it says so.

    Errors: Lacking where it raises.
    """
    try:
        return result_of(invocation, inputs)
    except Misconduct:
        raise
    except Exception as error:
        told = shortened(f"{type(error).__name__}: {error}")
        raise Lacking(f"the forward refuses inputs that lie so in memory ({told})") from error


def without_leaf(label: str, first: FirstCall) -> Iterator[Said]:
    leaves = first.leaves()
    results = first.results([leaf.clone() for leaf in leaves])
    yield from first.told(label, pulled(results, leaves, first.weights), leaves)


def behind(dressing: Dressing, label: str, first: FirstCall) -> Iterator[Said]:
    """With the cotangent as it arrives from what follows the result."""
    inputs = first.leaves()
    plain = list(zip(first.results(inputs), first.weights, strict=True))
    dressed = [dressing(*pair) for pair in plain]
    if any(each is not None for each in dressed):
        pairs = [new or old for new, old in zip(dressed, plain, strict=True)]
        results, weights = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        yield from first.told(label, pulled(results, inputs, weights), inputs)


def behind_sum(label: str, first: FirstCall) -> Iterator[Said]:
    """Behind ``.sum()``: one number, expanded, for all entries."""
    inputs = first.leaves()
    results = first.results(inputs)
    ones = [torch.ones((), dtype=each.dtype, device=each.device) for each in results]
    found = pulled([result.sum() for result in results], inputs, ones)
    query = Query(1, np.ones_like(first.cotangent.real), (None,))
    yield Answer(label, query, gradient_rows(found, first.invocation, inputs))


def behind_sum_along(axis: int, label: str, first: FirstCall) -> Iterator[Said]:
    """Behind a sum along one axis: the same numbers as a cotangent that is no view, or so told."""
    inputs, weights = first.leaves(), first.weights
    shown = [
        weight.select(axis, 0).unsqueeze(axis).expand_as(weight)
        if weight.ndim > 1 and weight.numel()
        else weight
        for weight in weights
    ]
    if all(map(torch.equal, shown, weights)):
        return
    results = first.results(inputs)
    dense, found = (
        gradient_rows(
            pulled(results, inputs, each, retain_graph=True), first.invocation, inputs
        )
        for each in ([weight.contiguous() for weight in shown], shown)
    )  # fmt: skip
    cotangent = output_rows(shown, first.invocation)
    yield from first.other_direction(label, cotangent, found, dense)


# other cotangents


def by_cotangent(direction: directions.Direction, label: str, first: FirstCall) -> Iterator[Said]:
    invocation = first.invocation
    cotangent = direction(invocation, judged_ports(invocation), directions.COTANGENT)
    inputs = first.leaves()
    weights = cotangent_tensors(cotangent, invocation)
    found = gradient_rows(pulled(first.results(inputs), inputs, weights), invocation, inputs)
    yield Answer(label, Query(1, cotangent, (None,)), found)


def with_zeros(label: str, first: FirstCall) -> Iterator[Said]:
    cotangent = directions.sparse(first.cotangent, first.answer.numbers)
    yield from by_cotangent(lambda *_: cotangent, label, first)


def one_output(asked: int, label: str, first: FirstCall) -> Iterator[Said]:
    """Zeros as the cotangents of all outputs but one; ``reverse`` leaves them out."""
    parts = split(first.cotangent, [port.shape for port in judged_ports(first.invocation)])
    cotangent = flatten([part * (k == asked) for k, part in enumerate(parts)])
    inputs = first.leaves()
    weights = cotangent_tensors(cotangent, first.invocation)
    found = pulled(first.results(inputs), inputs, weights)
    numbers = gradient_rows(found, first.invocation, inputs)
    yield Answer(label, Query(1, cotangent, (None,)), numbers)


def undefined_cotangent(label: str, first: FirstCall) -> Iterator[Said]:
    """With an undefined cotangent, as what follows passes it on where nothing depends on it."""
    inputs = first.leaves()
    results = [_without_cotangent(each) for each in first.results(inputs)]
    try:
        gradients = pulled(results, inputs, first.weights)
    except Exception as error:
        if raised_by_hook(error):  # PyTorch hands it None, and speaks to authors of a tensor
            raise Lacking("a hook of the code takes no undefined gradient "
                          f"({left_out(label)})") from error  # fmt: skip
        raise
    for number, gradient in enumerate(gradients):
        # Not a number is 0 * infinity, which is right code's.
        if gradient is not None and (gradient.nan_to_num(0.0, 0.0, 0.0) != 0).any():
            yield Violation(f"an undefined cotangent gives input {number} a gradient, expected "
                            "None or zeros", label)  # fmt: skip


def _without_cotangent(result: Tensor) -> Tensor:
    found: Any = torch._C._functions.UndefinedGrad()(result)  # its annotation says a list
    assert isinstance(found, Tensor)
    return found


# how many entries


def many_entries(most: int, label: str, first: FirstCall) -> Iterator[Said]:
    """The points again and again, in one call; the last of them are told.

    They are an odd number, so that no block of a kernel, and no vector of a processor, is full.
    """
    if first.invocation.batched:
        rows = max(most, first.invocation.count) // 2 * 2 + 3
        yield from first.other(label, _told_last(first, rows, _vector, result_of))


def one_entry(label: str, first: FirstCall) -> Iterator[Said]:
    """One point, as a tensor of one entry; for the others the first call's numbers stand."""
    invocation = first.invocation
    if invocation.batched:
        here = invocation.count // 2
        alone = replace(invocation, inputs=tuple(x[here : here + 1] for x in invocation.inputs))
        inputs = input_leaves(alone, requires_grad=True)
        weights = cotangent_tensors(first.cotangent[here : here + 1], alone)
        numbers = first.answer.numbers.copy()
        numbers[here] = gradient_rows(
            pulled(result_of(alone, inputs), inputs, weights), alone, inputs
        )
        yield from first.other(label, numbers)


def no_entries(label: str, first: FirstCall) -> Iterator[Said]:
    """No entry at all, where the forward takes it."""
    invocation = first.invocation
    empty = replace(invocation, inputs=tuple(x[:0] for x in invocation.inputs))
    if invocation.batched and _is_taken(empty):
        inputs = input_leaves(empty, requires_grad=True)
        weights = cotangent_tensors(first.cotangent[:0], empty)
        pulled(result_of(empty, inputs), inputs, weights)  # PyTorch looks at the shapes
    yield from ()


def _is_taken(invocation: Invocation) -> bool:
    try:
        with torch.no_grad():
            result_of(invocation, input_leaves(invocation, requires_grad=False))
    except (Exception, SystemExit):
        return False
    return True


def in_a_grid(layout: Layout, label: str, first: FirstCall) -> Iterator[Said]:
    """The points several times in a tensor of two dimensions, where the code takes one."""
    if first.invocation.batched and _takes_grids(first):
        rows = _COPIES * first.invocation.count
        numbers = _told_last(first, rows, lambda leaf: laid(_grid(leaf), layout), _accepted)
        yield from first.other(label, numbers)


def _vector(leaf: Tensor) -> Tensor:
    return leaf


def _grid(leaf: Tensor) -> Tensor:
    return leaf.reshape(_COPIES, -1)


def _told_last(
    first: FirstCall, rows: int, laid: Callable[[Tensor], Tensor], called: _Called
) -> Array:
    """The gradients of the last of so many repeated points, all in one call."""
    repeated = _repeated(first, rows)
    inputs = [
        laid(leaf.detach()).detach().requires_grad_()
        for leaf in input_leaves(repeated, requires_grad=False)
    ]
    weights = cotangent_tensors(first.cotangent[_turns(first, rows)], repeated)
    found = pulled(
        _accepted(repeated, inputs) if laid is not _vector else result_of(repeated, inputs),
        inputs,
        weights,
    )
    return gradient_rows(found, repeated, inputs)[-first.invocation.count :]


def _turns(first: FirstCall, rows: int) -> NDArray[np.int64]:
    """The numbers of the points in so many rows, which end with the last point."""
    return (np.arange(rows) - rows) % first.invocation.count


def _repeated(first: FirstCall, rows: int) -> Invocation:
    """The points several times; results of any shape are told as one row."""
    invocation = first.invocation

    def function(*tensors: Tensor) -> Any:
        found = invocation.function(*tensors)
        if isinstance(found, Tensor):
            return found.reshape(-1)
        return [each.reshape(-1) if isinstance(each, Tensor) else each for each in found]

    turns = _turns(first, rows)
    inputs = tuple(x[turns] for x in invocation.inputs)
    return replace(invocation, function=function, inputs=inputs)


def _takes_grids(first: FirstCall) -> bool:
    """Whether the code acts on each entry of a tensor of two dimensions alone."""
    repeated = _repeated(first, _COPIES * first.invocation.count)
    try:
        with torch.no_grad():
            rows, grids = (
                output_rows(result_of(repeated, [laid(leaf) for leaf in leaves]), repeated)
                for laid in (_vector, _grid)
                for leaves in [input_leaves(repeated, requires_grad=False)]
            )
    except (Exception, SystemExit):
        return False
    return are_close(rows, grids)


# under what PyTorch offers


def checkpointed(label: str, first: FirstCall, *, use_reentrant: bool) -> Iterator[Said]:
    function = first.invocation.function

    def in_a_tuple(*tensors: Tensor) -> Any:
        found = function(*tensors)  # what stands in a list, the reentrant kind does not see
        return tuple(found) if isinstance(found, list) else found

    def recomputed(*tensors: Tensor) -> Any:
        return checkpoint(in_a_tuple, *tensors, use_reentrant=use_reentrant)

    inputs = first.leaves()
    results = result_of(replace(first.invocation, function=recomputed), inputs)
    _run_backward(results, first.weights)
    yield from first.told(label, [densified(leaf.grad) for leaf in inputs], inputs)


def with_hooks(label: str, first: FirstCall) -> Iterator[Said]:
    """With copies of all that is saved handed out, as where it was kept elsewhere."""
    kept: list[tuple[Tensor, Tensor]] = []

    def pack(saved: Tensor) -> int:
        kept.append((saved, saved.detach().clone()))
        return len(kept) - 1

    inputs = first.leaves()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda number: kept[number][1]):
        results = first.results(inputs)
    changed = watched([copy for _, copy in kept])
    yield from first.told(label, pulled(results, inputs, first.weights), inputs)
    if changed():
        yield Violation("the backward overwrites a tensor that it has saved", label)


def with_memory_filled(label: str, first: FirstCall) -> Iterator[Said]:
    with _uninitialized_memory_filled():
        yield from again(label, first)


def checked_operators(label: str, first: FirstCall) -> Iterator[Said]:
    inputs = first.leaves()
    for complaint in complaints_of_opcheck(lambda: first.results(inputs)):
        yield Violation(complaint, label)


def under_autocast(label: str, first: FirstCall) -> Iterator[Said]:
    """Where the code on trial says that autocast is off within: its numbers stay the same."""
    inputs = first.leaves()
    if _is_cast(first) is False:
        with _autocast(inputs):
            results = first.results(inputs)
        yield from first.told(label, pulled(results, inputs, first.weights), inputs)


def wholly_under_autocast(label: str, first: FirstCall) -> Iterator[Said]:
    """The same with the backward under autocast too, as a recomputing one may be."""
    inputs = first.leaves()
    if _is_cast(first) is False:
        with _autocast(inputs):
            gradients = pulled(first.results(inputs), inputs, first.weights)
        yield from first.told(label, gradients, inputs)


def after_autocast(label: str, first: FirstCall) -> Iterator[Said]:
    """Where the code says that it runs under autocast, a backward outside of it raises nothing."""
    inputs = first.leaves()
    if _is_cast(first):
        with _autocast(inputs):
            found = tree_leaves(first.invocation.function(*inputs))
        pairs = list(zip(found, first.weights, strict=False))
        weights = [weight.to(result.dtype) for result, weight in pairs]
        try:
            pulled([result for result, _ in pairs], inputs, weights)
        except Exception as error:  # the first call has shown that a backward is there
            yield Violation(f"the backward raises {type(error).__name__}: {shortened(str(error))}; "
                            "mark it with torch.amp.custom_bwd", label)  # fmt: skip


def _is_cast(first: FirstCall) -> bool | None:
    """Whether autocast stays on within the code; None where it does not say."""
    inputs = first.leaves()
    kind = inputs[0].device.type
    if not any(True for _ in autocast_claims(first.results(inputs), kind)):
        return None
    with _autocast(inputs):
        found = tree_leaves(first.invocation.function(*inputs))
        results = [each for each in found if isinstance(each, Tensor)]
        return any(autocast_claims(results, kind))


def _autocast(inputs: Sequence[Tensor]) -> torch.autocast:
    return torch.autocast(inputs[0].device.type)


@contextmanager
def _uninitialized_memory_filled() -> Iterator[None]:
    """Let ``torch.empty`` give NaN: what a backward does not write shows.

    What ``torch.use_deterministic_algorithms`` does, without loading the compiler.
    """
    was_on = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch._C._get_deterministic_fill_uninitialized_memory()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of operators that are deterministic in no way
        torch._C._set_deterministic_algorithms(True, warn_only=True)  # noqa: FBT003
        torch._C._set_deterministic_fill_uninitialized_memory(True)  # noqa: FBT003
        try:
            yield
        finally:
            torch._C._set_deterministic_algorithms(was_on, warn_only=only_warns)
            torch._C._set_deterministic_fill_uninitialized_memory(filled)


# forward mode


def pushed(
    direction: directions.Direction, layout: Layout, label: str, invocation: Invocation
) -> Iterator[Said]:
    """Another tangent, or one that lies in memory otherwise, as its input does."""
    tangent = direction(invocation, input_ports(invocation), directions.FIRST_TANGENT)
    inputs, parts = (
        [laid(tensor, layout) for tensor in tensors]
        for tensors in (
            input_leaves(invocation, requires_grad=False),
            tangent_tensors(tangent, invocation),
        )
    )
    with torch.no_grad():
        _accepted(invocation, inputs)
    with dual_level():
        results = result_of(invocation, duals_of(inputs, parts))
        slopes = [tangent_of(result) for result in results]
        given = [slope for slope in slopes if slope is not None]
        if len(given) == len(slopes):  # else it is for the witness `forward` to say
            yield Answer(label, Query(1, None, (tangent,)), output_rows(given, invocation))


def pushed_by_one(number: int, label: str, invocation: Invocation) -> Iterator[Said]:
    """With one input alone that has a tangent."""
    ports = input_ports(invocation)
    tangent = directions.dense(invocation, ports, directions.FIRST_TANGENT)
    alone = np.where(owners(ports) == number, tangent, 0.0)
    inputs = list(input_leaves(invocation, requires_grad=False))
    part = tangent_tensors(alone, invocation)[number]
    with dual_level():
        (inputs[number],) = duals_of([inputs[number]], [part])
        results = result_of(invocation, inputs)
        slopes = [tangent_of(result) for result in results]
        if any(
            slope is not None for slope in slopes
        ):  # else nothing hangs on it, or `forward` says
            found = [
                torch.zeros_like(result) if slope is None else slope
                for result, slope in zip(results, slopes, strict=True)
            ]
            yield Answer(label, Query(1, None, (alone,)), output_rows(found, invocation))


def pushed_with_zeros(label: str, invocation: Invocation) -> Iterator[Said]:
    where = invocation, input_ports(invocation), directions.FIRST_TANGENT
    for said in list(pushed(directions.dense, as_it_is, label, invocation)):  # its level ends
        if isinstance(said, Answer):
            tangent = directions.sparse(directions.dense(*where), said.numbers)
            yield from pushed(lambda *_, given=tangent: given, as_it_is, label, invocation)

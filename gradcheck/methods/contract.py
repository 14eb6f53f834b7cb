"""What a correct backward must also do: the same derivative, however and how often it is asked for.

The first call is ``torch.autograd.grad`` as the witness ``reverse`` makes it. Each further call
changes one thing that must not matter, and is judged against the truth where it gives other bits;
a cotangent or tangent of another size is a question of its own. What is no number, such as an input
that is overwritten, is a violation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from gradcheck.answer import Abstention, Answer, Invocation, Said, Violation
from gradcheck.errors import Misconduct
from gradcheck.methods import Method
from gradcheck.methods._torch import directions
from gradcheck.methods._torch.calling import (
    cotangent_tensors,
    densified,
    dual_level,
    duals_of,
    gradient_rows,
    input_leaves,
    input_ports,
    judged_ports,
    output_name,
    output_rows,
    result_of,
    tangent_of,
    tangent_tensors,
    watched,
)
from gradcheck.methods._torch.exceptions import guarded, guarded_beside_defects
from gradcheck.methods._torch.graph import autocast_claims
from gradcheck.methods._torch.lacks import Lacking, shortened
from gradcheck.methods._torch.layouts import (
    DRESSINGS,
    LAYOUTS,
    Dressing,
    Layout,
    as_it_is,
    differ,
    laid,
    strided,
)
from gradcheck.methods._torch.operators import complaints_of_opcheck
from gradcheck.methods.reverse import GRAD
from gradcheck.query import Array, Query, flatten, split

METHOD = Method(
    name="contract",
    order=1,
    share=0.25,
    share_alone=0.03125,
    subject="the backward, called otherwise",
    usual_call="torch.autograd.grad",
)

_REPEATED = 8
"""Calls at the same input after the first: one in eight is among them."""
_CLOSE = 1e-3
"""Sums that are added up in another order keep no state."""
_MANY, _COPIES = 128, 3
_ELSEWHERE = 0.875
"""Another input, of which every domain that holds zero's surroundings or a half line has most."""


def answer(invocation: Invocation) -> Iterator[Said]:
    if "reverse" in invocation.without:
        yield Abstention(invocation.without["reverse"], GRAD, incapable=True)
        return
    said = list(guarded(GRAD, _plain, invocation))
    answers = [each for each in said if isinstance(each, Answer)]
    if not answers:
        yield from said
        return
    first = _First.of(invocation, answers[0])
    repeated = [said for call in _repetition(first) for said in _asked(*call, first)]
    if any(map(first.is_far_from, repeated)):
        # Whatever else is changed, the answer hangs on the number of the call.
        yield replace(first.answer, label=_numbered(1))
        yield from repeated
        return
    yield from said
    yield from repeated
    for label, clause in _clauses(first):
        yield from _asked(label, clause, first)
    for label, pushed in _tangents(invocation):
        yield from guarded_beside_defects(label, partial(pushed, label), invocation)


@dataclass(frozen=True, slots=True, eq=False)
class _First:
    """An invocation and what the first call said."""

    invocation: Invocation
    answer: Answer
    inputs: tuple[Tensor, ...]
    cotangents: tuple[Tensor, ...]

    @classmethod
    def of(cls, invocation: Invocation, answer: Answer) -> _First:
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

    def told(self, label: str, gradients: _Gradients, inputs: Sequence[Tensor]) -> Iterator[Answer]:
        return self.other(label, gradient_rows(gradients, self.invocation, inputs))

    def other(self, label: str, numbers: Array) -> Iterator[Answer]:
        """The same question's answer, unless it is the first one's, bit for bit."""
        if not np.array_equal(numbers, self.answer.numbers, equal_nan=True):
            yield Answer(label, self.answer.query, numbers)

    def is_far_from(self, said: Said) -> bool:
        return isinstance(said, Answer) and not np.allclose(
            said.numbers, self.answer.numbers, rtol=_CLOSE, atol=0.0, equal_nan=True
        )


_Gradients = Sequence[Tensor | None]
_Called = Callable[[Invocation, Sequence[Tensor]], tuple[Tensor, ...]]
_Clause = Callable[[str, _First], Iterator[Said]]


def _asked(label: str, clause: _Clause, first: _First) -> Iterator[Said]:
    def question(invocation: Invocation) -> Iterator[Said]:
        same = invocation is first.invocation  # else it is asked in another dtype
        return clause(label, first if same else _First.of(invocation, first.answer))

    return guarded(label, question, first.invocation)


def _pulled(
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


# the first call, and the same call again


def _plain(invocation: Invocation) -> Iterator[Said]:
    inputs = input_leaves(invocation, requires_grad=True)
    cotangent = directions.dense(invocation, judged_ports(invocation), directions.COTANGENT)
    weights = cotangent_tensors(cotangent, invocation)
    changed, overwritten = watched(inputs), watched(weights)
    results = result_of(invocation, inputs)
    early = changed()
    gradients = _pulled(results, inputs, weights)
    yield Answer(GRAD, Query(1, cotangent, (None,)), gradient_rows(gradients, invocation, inputs))
    ports = judged_ports(invocation)
    for number in changed():
        who = "the forward" if number in early else "the backward"
        yield Violation(f"{who} changes input {number}, where a gradient is asked for", GRAD)
    for number in overwritten():
        yield Violation(f"the backward overwrites the cotangent of {output_name(ports[number])}, "
                        "which is the caller's", GRAD)  # fmt: skip
    for number, leaf in enumerate(inputs):
        if leaf.grad is not None:
            yield Violation(f"the backward writes to the .grad of input {number}, which "
                            "torch.autograd.grad leaves alone", GRAD)  # fmt: skip


def _again(label: str, first: _First) -> Iterator[Said]:
    inputs = first.leaves()
    yield from first.told(label, _pulled(first.results(inputs), inputs, first.weights), inputs)


def _value(label: str, first: _First) -> Iterator[Said]:
    """The value, where it differs from that without gradients, which ``value`` judges."""
    asked = output_rows(first.results(first.leaves()), first.invocation)
    with torch.no_grad():
        inputs = input_leaves(first.invocation, requires_grad=False)
        alone = output_rows(first.results(inputs), first.invocation)
    if not np.array_equal(asked, alone, equal_nan=True):
        yield Answer(label, Query(0), asked)


# the same graph


def _second_backward(label: str, first: _First) -> Iterator[Said]:
    inputs = first.leaves()
    results = first.results(inputs)
    _pulled(results, inputs, first.weights, retain_graph=True)
    yield from first.told(label, _pulled(results, inputs, first.weights), inputs)


def _with_graph(label: str, first: _First) -> Iterator[Said]:
    inputs = first.leaves()
    found = _pulled(first.results(inputs), inputs, first.weights, create_graph=True)
    yield from first.told(label, found, inputs)


def _added(label: str, first: _First) -> Iterator[Said]:
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


def _after_another(label: str, first: _First) -> Iterator[Said]:
    """Another forward and its backward, between this forward and its backward."""
    inputs = first.leaves()
    results = first.results(inputs)
    others = _elsewhere(first)
    with suppress(Exception):  # the other input may lie outside the domain
        _pulled(first.results(others), others, first.weights)
    yield from first.told(label, _pulled(results, inputs, first.weights), inputs)


def _after_an_update(label: str, first: _First) -> Iterator[Said]:
    """A call, and another after new numbers were written into the same inputs."""
    inputs = _elsewhere(first)
    with suppress(Exception):
        _pulled(first.results(inputs), inputs, first.weights)
    with torch.no_grad():
        for leaf, numbers in zip(inputs, first.leaves(), strict=True):
            leaf.copy_(numbers)
    yield from first.told(label, _pulled(first.results(inputs), inputs, first.weights), inputs)


def _elsewhere(first: _First) -> list[Tensor]:
    """Other inputs: other points where there are several, else the numbers made smaller."""
    turn = first.invocation.count > 1
    return [
        (leaf.detach().flip(0) if turn else leaf.detach() * _ELSEWHERE).requires_grad_()
        for leaf in first.leaves()
    ]


# which inputs require gradients, which outputs have a cotangent


def _where(asked: set[int], label: str, first: _First) -> Iterator[Said]:
    """For inputs that require no gradient the first call's numbers stand."""
    inputs = [leaf.requires_grad_(k in asked) for k, leaf in enumerate(first.leaves())]
    inputs = [leaf if k in asked else leaf.detach() for k, leaf in enumerate(inputs)]
    found = gradient_rows(
        _pulled(first.results(inputs), inputs, first.weights), first.invocation, inputs
    )
    shapes = [port.shape for port in input_ports(first.invocation)]
    parts = zip(split(found, shapes), split(first.answer.numbers, shapes), strict=True)
    yield from first.other(
        label, flatten([new if k in asked else old for k, (new, old) in enumerate(parts)])
    )


# layouts


def _laid_out(layout: Layout, label: str, first: _First) -> Iterator[Said]:
    """With the inputs in another layout, those that can have it."""
    yield from _with_leaves(label, [laid(leaf, layout) for leaf in first.leaves()], first)


def _one_strided(label: str, first: _First) -> Iterator[Said]:
    leaves = first.leaves()
    if len(leaves) > 1:
        yield from _with_leaves(label, [laid(leaves[0], strided), *leaves[1:]], first)


def _with_leaves(label: str, tensors: Sequence[Tensor], first: _First) -> Iterator[Said]:
    if any(map(differ, tensors, first.leaves())):
        inputs = [tensor.detach().requires_grad_() for tensor in tensors]
        results = _accepted(first.invocation, inputs)
        yield from first.told(label, _pulled(results, inputs, first.weights), inputs)


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


def _without_leaf(label: str, first: _First) -> Iterator[Said]:
    leaves = first.leaves()
    results = first.results([leaf.clone() for leaf in leaves])
    yield from first.told(label, _pulled(results, leaves, first.weights), leaves)


def _behind(dressing: Dressing, label: str, first: _First) -> Iterator[Said]:
    """With the cotangent as it arrives from what follows the result."""
    inputs = first.leaves()
    plain = list(zip(first.results(inputs), first.weights, strict=True))
    dressed = [dressing(*pair) for pair in plain]
    if any(each is not None for each in dressed):
        pairs = [new or old for new, old in zip(dressed, plain, strict=True)]
        results, weights = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        yield from first.told(label, _pulled(results, inputs, weights), inputs)


def _summed(label: str, first: _First) -> Iterator[Said]:
    """Behind ``.sum()``: one number, expanded, for all entries."""
    inputs = first.leaves()
    results = first.results(inputs)
    ones = [torch.ones((), dtype=each.dtype, device=each.device) for each in results]
    found = _pulled([result.sum() for result in results], inputs, ones)
    query = Query(1, np.ones_like(first.cotangent.real), (None,))
    yield Answer(label, query, gradient_rows(found, first.invocation, inputs))


# sizes of cotangents and tangents


def _sized(exponent: int, label: str, first: _First) -> Iterator[Said]:
    invocation = first.invocation
    cotangent = directions.full(
        invocation, judged_ports(invocation), directions.COTANGENT, exponent
    )
    inputs = first.leaves()
    weights = cotangent_tensors(cotangent, invocation)
    found = gradient_rows(_pulled(first.results(inputs), inputs, weights), invocation, inputs)
    yield Answer(label, Query(1, cotangent, (None,)), found)


def _alone(asked: int, label: str, first: _First) -> Iterator[Said]:
    """Zeros as the cotangents of all outputs but one; ``reverse`` leaves them out."""
    parts = split(first.cotangent, [port.shape for port in judged_ports(first.invocation)])
    cotangent = flatten([part * (k == asked) for k, part in enumerate(parts)])
    inputs = first.leaves()
    weights = cotangent_tensors(cotangent, first.invocation)
    found = _pulled(first.results(inputs), inputs, weights)
    numbers = gradient_rows(found, first.invocation, inputs)
    yield Answer(label, Query(1, cotangent, (None,)), numbers)


def _undefined(label: str, first: _First) -> Iterator[Said]:
    """With an undefined cotangent, as what follows passes it on where nothing depends on it."""
    inputs = first.leaves()
    results = [_without_cotangent(each) for each in first.results(inputs)]
    for number, gradient in enumerate(_pulled(results, inputs, first.weights)):
        # Not a number is 0 * infinity, which is right code's.
        if gradient is not None and (gradient.nan_to_num(0.0, 0.0, 0.0) != 0).any():
            yield Violation(f"an undefined cotangent gives input {number} a gradient, expected "
                            "None or zeros", label)  # fmt: skip


def _without_cotangent(result: Tensor) -> Tensor:
    found: Any = torch._C._functions.UndefinedGrad()(result)  # its annotation says a list
    assert isinstance(found, Tensor)
    return found


# how many entries


def _many(label: str, first: _First) -> Iterator[Said]:
    """The points again and again, in one call; the last of them are told."""
    if first.invocation.batched:
        copies = _MANY // first.invocation.count + 1
        yield from first.other(label, _told_last(first, copies, _vector, result_of))


def _single(label: str, first: _First) -> Iterator[Said]:
    """One point, as a tensor of one entry; for the others the first call's numbers stand."""
    invocation = first.invocation
    if invocation.batched:
        here = invocation.count // 2
        alone = replace(invocation, inputs=tuple(x[here : here + 1] for x in invocation.inputs))
        inputs = input_leaves(alone, requires_grad=True)
        weights = cotangent_tensors(first.cotangent[here : here + 1], alone)
        numbers = first.answer.numbers.copy()
        numbers[here] = gradient_rows(
            _pulled(result_of(alone, inputs), inputs, weights), alone, inputs
        )
        yield from first.other(label, numbers)


def _none(label: str, first: _First) -> Iterator[Said]:
    """No entry at all, where the forward takes it."""
    invocation = first.invocation
    empty = replace(invocation, inputs=tuple(x[:0] for x in invocation.inputs))
    if invocation.batched and _is_taken(empty):
        inputs = input_leaves(empty, requires_grad=True)
        weights = cotangent_tensors(first.cotangent[:0], empty)
        _pulled(result_of(empty, inputs), inputs, weights)  # PyTorch looks at the shapes
    yield from ()


def _is_taken(invocation: Invocation) -> bool:
    try:
        with torch.no_grad():
            result_of(invocation, input_leaves(invocation, requires_grad=False))
    except (Exception, SystemExit):
        return False
    return True


def _in_a_grid(layout: Layout, label: str, first: _First) -> Iterator[Said]:
    """The points several times in a tensor of two dimensions, where the code takes one."""
    if first.invocation.batched and _takes_grids(first):
        numbers = _told_last(first, _COPIES, lambda leaf: laid(_grid(leaf), layout), _accepted)
        yield from first.other(label, numbers)


def _vector(leaf: Tensor) -> Tensor:
    return leaf


def _grid(leaf: Tensor) -> Tensor:
    return leaf.reshape(_COPIES, -1)


def _told_last(
    first: _First, copies: int, laid: Callable[[Tensor], Tensor], called: _Called
) -> Array:
    """The gradients of the last of several copies of the points, all in one call."""
    repeated = _repeated(first, copies)
    inputs = [
        laid(leaf.detach()).detach().requires_grad_()
        for leaf in input_leaves(repeated, requires_grad=False)
    ]
    weights = cotangent_tensors(np.tile(first.cotangent, (copies, 1)), repeated)
    found = _pulled(
        _accepted(repeated, inputs) if laid is not _vector else result_of(repeated, inputs),
        inputs,
        weights,
    )
    return gradient_rows(found, repeated, inputs)[-first.invocation.count :]


def _repeated(first: _First, copies: int) -> Invocation:
    """The points several times; results of any shape are told as one row."""
    invocation = first.invocation

    def function(*tensors: Tensor) -> Any:
        found = invocation.function(*tensors)
        if isinstance(found, Tensor):
            return found.reshape(-1)
        return [each.reshape(-1) if isinstance(each, Tensor) else each for each in found]

    inputs = tuple(np.concatenate([x] * copies) for x in invocation.inputs)
    return replace(invocation, function=function, inputs=inputs)


def _takes_grids(first: _First) -> bool:
    """Whether the code acts on each entry of a tensor of two dimensions alone."""
    repeated = _repeated(first, _COPIES)
    try:
        with torch.no_grad():
            rows, grids = (
                output_rows(result_of(repeated, [laid(leaf) for leaf in leaves]), repeated)
                for laid in (_vector, _grid)
                for leaves in [input_leaves(repeated, requires_grad=False)]
            )
    except (Exception, SystemExit):
        return False
    return np.allclose(rows, grids, rtol=_CLOSE, atol=0.0, equal_nan=True)


# under what PyTorch offers


def _checkpointed(label: str, first: _First, *, use_reentrant: bool) -> Iterator[Said]:
    function = first.invocation.function

    def recomputed(*tensors: Tensor) -> Any:
        return checkpoint(function, *tensors, use_reentrant=use_reentrant)

    inputs = first.leaves()
    results = result_of(replace(first.invocation, function=recomputed), inputs)
    _run_backward(results, first.weights)
    yield from first.told(label, [densified(leaf.grad) for leaf in inputs], inputs)


def _with_hooks(label: str, first: _First) -> Iterator[Said]:
    """With copies of all that is saved handed out, as where it was kept elsewhere."""
    kept: list[tuple[Tensor, Tensor]] = []

    def pack(saved: Tensor) -> int:
        kept.append((saved, saved.detach().clone()))
        return len(kept) - 1

    inputs = first.leaves()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda number: kept[number][1]):
        results = first.results(inputs)
    changed = watched([copy for _, copy in kept])
    yield from first.told(label, _pulled(results, inputs, first.weights), inputs)
    if changed():
        yield Violation("the backward overwrites a tensor that it has saved", label)


def _with_memory_filled(label: str, first: _First) -> Iterator[Said]:
    with _uninitialized_memory_filled():
        yield from _again(label, first)


def _checked_operators(label: str, first: _First) -> Iterator[Said]:
    inputs = first.leaves()
    for complaint in complaints_of_opcheck(lambda: first.results(inputs)):
        yield Violation(complaint, label)


def _autocast(label: str, first: _First) -> Iterator[Said]:
    """Where the code on trial says that autocast is off within: its numbers stay the same."""
    inputs = first.leaves()
    if not any(True for _ in autocast_claims(first.results(inputs))):
        return
    with torch.autocast(inputs[0].device.type, dtype=torch.bfloat16):
        found = tree_leaves(first.invocation.function(*inputs))
        if any(autocast_claims(each for each in found if isinstance(each, Tensor))):
            return
        results = first.results(inputs)
    yield from first.told(label, _pulled(results, inputs, first.weights), inputs)


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


def _pushed(
    exponent: int | None, layout: Layout, label: str, invocation: Invocation
) -> Iterator[Said]:
    """A tangent of another size, or one that lies in memory otherwise, as its input does."""
    ports = input_ports(invocation)
    where = invocation, ports, directions.FIRST_TANGENT
    tangent = directions.dense(*where) if exponent is None else directions.full(*where, exponent)
    inputs, parts = (
        [laid(tensor, layout) for tensor in tensors]
        for tensors in (
            input_leaves(invocation, requires_grad=False),
            tangent_tensors(tangent, invocation),
        )
    )
    with dual_level():
        results = result_of(invocation, duals_of(inputs, parts))
        slopes = [tangent_of(result) for result in results]
        given = [slope for slope in slopes if slope is not None]
        if len(given) == len(slopes):  # else it is for the witness `forward` to say
            yield Answer(label, Query(1, None, (tangent,)), output_rows(given, invocation))


# all of them, in the order in which they are asked


def _repetition(first: _First) -> list[tuple[str, _Clause]]:
    calls = _REPEATED if first.invocation.own_code else 1
    return [(_numbered(number + 2), _again) for number in range(calls)]


def _numbered(number: int) -> str:
    return f"on call {number} at the same input"


def _clauses(first: _First) -> list[tuple[str, _Clause]]:
    inputs = range(len(first.invocation.inputs))
    ports = judged_ports(first.invocation)
    found = [*_CLAUSES, *(_OF_OWN_CODE if first.invocation.own_code else ())]
    if len(inputs) > 1:
        found += [(f"where only input {k} requires a gradient", partial(_where, {k}))
                  for k in inputs]  # fmt: skip
    if len(inputs) > 2:
        found += [(f"where input {k} requires no gradient", partial(_where, {*inputs} - {k}))
                  for k in inputs]  # fmt: skip
    if len(ports) > 1:
        found += [(f"with cotangents of zeros for all but {output_name(port)}", partial(_alone, k))
                  for k, port in enumerate(ports)]  # fmt: skip
    return found


def _tangents(invocation: Invocation) -> list[tuple[str, _Pushed]]:
    if "forward" in invocation.without:
        return []
    return [*_TANGENTS, *(_TANGENTS_OF_OWN_CODE if invocation.own_code else ())]


_CLAUSES: tuple[tuple[str, _Clause], ...] = (
    ("in the value where gradients are asked for", _value),
    ("on the second backward", _second_backward),
    ("with create_graph", _with_graph),
    ("into a .grad that is there", _added),
    *((f"for {name} inputs", partial(_laid_out, layout)) for name, layout in LAYOUTS.items()),
    *((f"for {name} inputs", partial(_in_a_grid, layout)) for name, layout in LAYOUTS.items()),
    ("for strided inputs beside others", _one_strided),
    *((f"for a cotangent {name}", partial(_behind, each)) for name, each in DRESSINGS.items()),
    ("for a cotangent behind .sum()", _summed),
    ("for a large cotangent with all its bits", partial(_sized, directions.NEAR_A_THOUSAND)),
    ("for a tiny cotangent with all its bits", partial(_sized, directions.NEAR_A_MILLIONTH)),
    (f"for more than {_MANY} entries", _many),
    ("for one entry", _single),
    ("for no entries", _none),
    ("with uninitialized memory filled", _with_memory_filled),
)
_OF_OWN_CODE: tuple[tuple[str, _Clause], ...] = (
    ("after another forward in between", _after_another),
    ("after an update of the inputs in place", _after_an_update),
    ("for inputs that are no leaves", _without_leaf),
    ("for an undefined cotangent", _undefined),
    ("under torch.utils.checkpoint", partial(_checkpointed, use_reentrant=False)),
    ("under torch.utils.checkpoint, reentrant", partial(_checkpointed, use_reentrant=True)),
    ("under saved_tensors_hooks", _with_hooks),
    ("under autocast", _autocast),
    ("under torch.library.opcheck", _checked_operators),
)
"""What autograd and not the operator answers for, where the code is PyTorch's."""

_Pushed = Callable[[str, Invocation], Iterator[Said]]
_TANGENTS: tuple[tuple[str, _Pushed], ...] = (
    ("for strided inputs and tangents", partial(_pushed, None, strided)),
)
_TANGENTS_OF_OWN_CODE: tuple[tuple[str, _Pushed], ...] = (
    (
        "for a large tangent with all its bits",
        partial(_pushed, directions.NEAR_A_THOUSAND, as_it_is),
    ),
    (
        "for a tiny tangent with all its bits",
        partial(_pushed, directions.NEAR_A_MILLIONTH, as_it_is),
    ),
)

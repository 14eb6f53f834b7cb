"""What a correct backward must also do: the same derivative, however and how often it is asked for.

The first call is ``torch.autograd.grad`` as the witness ``reverse`` makes it. Each further call
changes one thing that must not matter, and is judged against the truth where it gives other bits;
a cotangent or tangent of another size is a question of its own. What is no number, such as an input
that is overwritten, is a violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations

from gradcheck.answer import Abstention, Answer, Invocation, Said, Violation
from gradcheck.methods import Method
from gradcheck.methods._torch import clauses, directions
from gradcheck.methods._torch.calling import (
    cotangent_tensors,
    gradient_rows,
    input_leaves,
    judged_ports,
    output_name,
    result_of,
    watched,
)
from gradcheck.methods._torch.exceptions import guarded, guarded_beside_defects
from gradcheck.methods._torch.layouts import (
    DRESSINGS,
    LAYOUTS,
    LAYOUTS_OF_MANY_AXES,
    as_it_is,
    strided,
)
from gradcheck.methods.reverse import GRAD
from gradcheck.query import Query

METHOD = Method(
    name="contract",
    order=1,
    share=0.5,
    share_alone=0.046875,
    subject="the backward, called otherwise",
    usual_call="torch.autograd.grad",
    reshapes=True,
)


_REPEATED = 8
"""Calls at the same input after the first: one in eight is among them."""


def answer(invocation: Invocation) -> Iterator[Said]:
    if "reverse" in invocation.without:
        yield Abstention(invocation.without["reverse"], GRAD, incapable=True)
        return
    # The first call is made in any case: all others are held against it.
    said = list(guarded(GRAD, _plain, replace(invocation, again=frozenset())))
    answers = [each for each in said if isinstance(each, Answer)]
    if not answers:
        yield from said
        return
    first = clauses.FirstCall.of(invocation, answers[0])
    repeated = [said for call in _repetition(first) for said in _asked(*call, first)]
    # Asked again for its rounding, right code may be far from itself too.
    far = any(map(first.is_far_from, repeated)) and not invocation.again
    if far or _numbered(1) in invocation.again:
        # Whatever else is changed, the answer hangs on the number of the call.
        yield replace(first.answer, label=_numbered(1))
        yield from (each for each in said if each is not first.answer)
        yield from repeated
        return
    yield from said
    yield from repeated
    for label, clause in _clauses(first):
        yield from _asked(label, clause, first)
    for label, pushed in _tangents(invocation):
        yield from guarded_beside_defects(label, partial(pushed, label), invocation)


def _plain(invocation: Invocation) -> Iterator[Said]:
    inputs = input_leaves(invocation, requires_grad=True)
    cotangent = directions.dense(invocation, judged_ports(invocation), directions.COTANGENT)
    weights = cotangent_tensors(cotangent, invocation)
    changed, overwritten = watched(inputs), watched(weights)
    results = result_of(invocation, inputs)
    early = changed()
    gradients = clauses.pulled(results, inputs, weights)
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


def _asked(label: str, clause: clauses.Clause, first: clauses.FirstCall) -> Iterator[Said]:
    def question(invocation: Invocation) -> Iterator[Said]:
        same = invocation is first.invocation  # else it is asked in another dtype
        return clause(label, first if same else clauses.FirstCall.of(invocation, first.answer))

    return guarded(label, question, first.invocation)


# all of them, in the order in which they are asked


def _repetition(first: clauses.FirstCall) -> list[tuple[str, clauses.Clause]]:
    calls = _REPEATED if first.invocation.own_code else 1
    return [(_numbered(number + 2), clauses.again) for number in range(calls)]


def _numbered(number: int) -> str:
    return f"on call {number} at the same input"


def _clauses(first: clauses.FirstCall) -> list[tuple[str, clauses.Clause]]:
    count = len(first.invocation.inputs)
    ports = judged_ports(first.invocation)
    found = [*_CLAUSES, *(_OF_OWN_CODE if first.invocation.own_code else ())]
    if first.invocation.seed != directions.PLAIN:
        found += _COTANGENTS
    for asked in _patterns(count, 2 if first.invocation.own_code else 1):
        found.append((_where_some_require(asked, count), _requiring(asked)))
    for k, port in enumerate(ports if len(ports) > 1 else ()):
        alone = partial(clauses.one_output, k)
        found.append((f"with cotangents of zeros for all but {output_name(port)}", alone))
    return found


_MOST_PATTERNS = 48


def _patterns(count: int, apart: int) -> list[set[int]]:
    """Which inputs require a gradient, where not all do: so many do at most, or all but so many."""
    numbers = range(count)
    some = [each for k in range(1, apart + 1) for each in map(set, combinations(numbers, k))]
    wanted = [each for few in some for each in (few, {*numbers} - few)]
    found = {tuple(sorted(each)): each for each in wanted if 0 < len(each) < count}
    return list(found.values())[:_MOST_PATTERNS]


def _where_some_require(asked: set[int], count: int) -> str:
    are_few = 2 * len(asked) <= count
    told = asked if are_few else {*range(count)} - asked
    which = f"input{'s' * (len(told) > 1)} {' and '.join(map(str, sorted(told)))}"
    verb = "require" if len(told) > 1 else "requires"
    return (
        f"where only {which} {verb} a gradient" if are_few else f"where {which} {verb} no gradient"
    )


def _requiring(numbers: set[int]) -> clauses.Clause:
    return partial(clauses.where_some_require, numbers)


def _tangents(invocation: Invocation) -> list[tuple[str, _Pushed]]:
    if "forward" in invocation.without:
        return []
    found = list(_TANGENTS)
    if invocation.own_code and invocation.seed != directions.PLAIN:
        found += _OTHER_TANGENTS
    count = len(invocation.inputs)
    for k in range(count if invocation.own_code and count > 1 else 0):
        found.append((f"for a tangent of input {k} alone", partial(clauses.pushed_by_one, k)))
    return found


_DIRECTIONS: dict[str, directions.Direction] = {
    "a large {} with all its bits": partial(directions.full, directions.BEYOND_A_THOUSAND),
    "a tiny {} with all its bits": partial(directions.full, directions.NEAR_A_MILLIONTH),
    "a minute {} with all its bits": partial(directions.full, directions.NEAR_A_TRILLIONTH),
}


def _lying(name: str, clause: clauses.Clause) -> clauses.Clause:
    return partial(clauses.lazily, clause) if "lazily" in name else clause


_CLAUSES: tuple[tuple[str, clauses.Clause], ...] = (
    ("in the value where gradients are asked for", clauses.value_beside_gradients),
    ("in the in-place spelling", clauses.in_place),
    ("on the second backward", clauses.second_backward),
    ("into a .grad that is there", clauses.added_to_grad),
    *(
        (f"for {name} inputs", _lying(name, partial(clauses.laid_out, layout)))
        for name, layout in (LAYOUTS | LAYOUTS_OF_MANY_AXES).items()
    ),
    *(
        (f"for {name} inputs", _lying(name, partial(clauses.in_a_grid, layout)))
        for name, layout in LAYOUTS.items()
    ),
    ("for strided inputs beside others", clauses.one_strided),
    *(
        (f"for a cotangent {name}", _lying(name, partial(clauses.behind, each)))
        for name, each in DRESSINGS.items()
    ),
    ("for a cotangent from .sum()", clauses.behind_sum),
    (f"for more than {clauses.MANY} entries", partial(clauses.many_entries, clauses.MANY)),
    ("for one entry", clauses.one_entry),
    ("for no entries", clauses.no_entries),
    ("with uninitialized memory filled", clauses.with_memory_filled),
)
_COTANGENTS: tuple[tuple[str, clauses.Clause], ...] = (
    *(
        (f"for {name.format('cotangent')}", partial(clauses.by_cotangent, direction))
        for name, direction in _DIRECTIONS.items()
    ),
    ("for a cotangent with zeros", clauses.with_zeros),
)
_OF_OWN_CODE: tuple[tuple[str, clauses.Clause], ...] = (
    *(
        (f"for a cotangent from .sum(dim={axis})", partial(clauses.behind_sum_along, axis))
        for axis in (0, -1)
    ),
    (f"for more than {clauses.BLOCKS:,} entries", partial(clauses.many_entries, clauses.BLOCKS)),
    ("with create_graph", clauses.with_graph),
    ("after another forward in between", clauses.after_another),
    ("after an update of the inputs in place", clauses.after_an_update),
    ("for inputs that are no leaves", clauses.without_leaf),
    ("for an undefined cotangent", clauses.undefined_cotangent),
    ("under torch.utils.checkpoint", partial(clauses.checkpointed, use_reentrant=False)),
    ("under torch.utils.checkpoint, reentrant", partial(clauses.checkpointed, use_reentrant=True)),
    ("under saved_tensors_hooks", clauses.with_hooks),
    ("under autocast", clauses.under_autocast),
    ("under autocast, with its backward", clauses.wholly_under_autocast),
    ("after a forward under autocast", clauses.after_autocast),
    ("under torch.library.opcheck", clauses.checked_operators),
)
"""What autograd or another witness answers for, where the code is PyTorch's."""

_Pushed = Callable[[str, Invocation], Iterator[Said]]
_TANGENTS: tuple[tuple[str, _Pushed], ...] = (
    ("for strided tangents", partial(clauses.pushed, directions.dense, strided)),
)
_OTHER_TANGENTS: tuple[tuple[str, _Pushed], ...] = (
    *(
        (f"for {name.format('tangent')}", partial(clauses.pushed, direction, as_it_is))
        for name, direction in _DIRECTIONS.items()
    ),
    ("for a tangent with zeros", clauses.pushed_with_zeros),
)

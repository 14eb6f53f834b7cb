"""The implementation's own output, and whether it leaves its inputs alone."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.answer import (
    Answer,
    Invocation,
    Said,
    Violation,
)
from gradcheck.methods import Method
from gradcheck.methods._torch.calling import input_leaves, output_rows, result_of, watched
from gradcheck.methods._torch.exceptions import guarded
from gradcheck.query import Query

METHOD = Method(
    name="value",
    order=0,
    share=4,
    share_alone=0.375,
    subject="the value",
)


def answer(invocation: Invocation) -> Iterator[Said]:
    yield from guarded("value", _value, invocation)


def _value(invocation: Invocation) -> Iterator[Said]:
    inputs = input_leaves(invocation, requires_grad=False)
    changed = watched(inputs)
    yield Answer("value", Query(0), output_rows(result_of(invocation, inputs), invocation))
    for number in changed():
        yield Violation(f"the implementation changed its input {number}", "value")

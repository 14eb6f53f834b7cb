"""Machine code: inductor's own faults are seen, and without a C++ compiler it abstains."""

from __future__ import annotations

import itertools
import operator
import os
import shutil
from contextlib import closing

import numpy as np
import pytest
import torch
import torch._inductor.config as settings
from invocations import claims, invocation, labels, remarks, residual, said
from torch._inductor.custom_graph_pass import CustomGraphPass

from gradcheck.answer import Abstention
from gradcheck.methods import compiled, contract, inductor

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what the compiler says of itself
    pytest.mark.skipif(
        not shutil.which(os.environ.get("CXX", "g++")), reason="inductor needs a C++ compiler"
    ),
]
TRUTHS = np.array([[np.sin(0.5)]]), np.array([[[np.cos(0.5)]]]), np.array([[[[-np.sin(0.5)]]]])


def test_every_call_finds_the_derivatives_of_a_sine_and_the_second_ones_abstain():
    answers = said(inductor.answer(invocation(torch.sin, 0.5, order=2)))
    assert labels(answers) == [
        "under torch.compile by inductor",
        "under torch.compile by inductor with dynamic shapes",
        "under torch.compile by inductor with create_graph",
        "at order 2 under torch.compile by inductor",
    ]
    assert max(residual(each, TRUTHS[each.query.order]) for each in claims(answers)) < 1e-15
    (told,) = remarks(answers)
    assert isinstance(told, Abstention)
    assert "does not currently support double backward" in told.reason


class Pass(CustomGraphPass):
    """A pass over inductor's graphs that puts one operator in another's place."""

    def __init__(self, there, instead):
        self.there, self.instead = there, instead

    def __call__(self, graph):
        for node in graph.find_nodes(op="call_function", target=self.there):
            node.target = self.instead

    def uuid(self):
        return None


def furthest(witness, wrong):
    """How far the first call's value and gradient are from those of the sine."""
    instead = torch.ops.aten.tan.default if wrong else torch.ops.aten.sin.default
    swap = Pass(torch.ops.aten.sin.default, instead)
    with (
        settings.patch(post_grad_custom_pre_pass=swap),
        closing(witness.answer(invocation(torch.sin, 0.5, order=1))) as answers,
    ):
        told = claims(itertools.islice(answers, 2))
    assert sorted(each.query.order for each in told) == [0, 1]
    return max(residual(each, TRUTHS[each.query.order]) for each in told)


@pytest.mark.parametrize(
    ("witness", "wrong", "compare"),
    [(inductor, True, operator.gt), (inductor, False, operator.le), (compiled, True, operator.le)],
    ids=["culprit", "twin", "with aot_eager"],
)
def test_what_inductor_alone_makes_wrong_is_seen_by_it_alone(witness, wrong, compare):
    assert compare(furthest(witness, wrong=wrong), 0.01)


def test_without_a_compiler_it_abstains_with_the_reason():
    with settings.patch({"cpp.cxx": (None, "/nowhere/g++")}):
        told = remarks(inductor.answer(invocation(torch.sin, 0.5, order=1)))
    assert len(told) == 3
    assert all(isinstance(each, Abstention) and each.incapable for each in told)
    assert all("No working C++ compiler found" in each.reason for each in told)
    assert all("`without: {inductor: why}`" in each.reason for each in told)


def test_a_users_compiled_code_is_not_held_to_lazily_negated_views():
    """They are read as they stand in memory (pytorch#145093), which is not its author's fault."""
    asked = invocation(
        torch.compile(lambda x: x.relu() ** 2), [0.75, -1.25], output_shape=(2,), own_code=True
    )
    answers = said(contract.answer(asked))
    (refused,) = [each for each in remarks(answers) if "the compiled code reads" in each.reason]
    assert isinstance(refused, Abstention)
    assert refused.label == "for lazily negated inputs"

"""A formula unrolled: a scalar program with its inputs, outputs and conditions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradcheck.formula.tape import Tape


@dataclass(frozen=True, eq=False)
class Program:
    """What a formula computes, entry by entry.

    Shapes: ``inputs`` pairs names with shapes; input entry k of the tape is the k-th entry of all
            inputs flattened and joined in order. ``outputs`` are the nodes of the result's
            entries, flattened; ``shape`` is the result's. ``conditions`` are the nodes of `where`.
    """

    inputs: tuple[tuple[str, tuple[int, ...]], ...]
    shape: tuple[int, ...]
    outputs: tuple[int, ...]
    conditions: tuple[int, ...]
    tape: Tape
    names: frozenset[str]  # of inputs, constants and lets that the texts mention

    @property
    def size(self) -> int:
        """How many input entries there are."""
        return sum(math.prod(shape) for _, shape in self.inputs)

    @property
    def elementwise(self) -> bool:
        """Whether every input and the result is a single number."""
        return self.shape == () and all(shape == () for _, shape in self.inputs)

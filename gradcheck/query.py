"""The question put to a method and to the reference alike: which derivative, contracted how."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, ...]
Kind = Literal["real", "complex", "bool"]

MOST_ORDER = 3


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output of a function: an array with a name."""

    name: str
    shape: Shape
    kind: Kind = "real"


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """⟨cotangent, Dᵏf(x)[tangents]⟩ for each point x; a side that is None stays free.

    All arrays are flat rows: the entries of all output ports, or input ports, joined in order
    (``flatten``, ``split``). A free side is an axis of the answer: first the output, then the
    inputs in the order of the tangents. Of complex entries one side may be free: no complex number
    is the derivative of both parts of y by both parts of x. All are asked in real coordinates
    (``graph.lower.in_real_coordinates``).

    Shapes: cotangent [count, m]; each tangent [count, n]; a count of 1 serves all points.
    """

    order: int
    cotangent: Array | None = None
    tangents: tuple[Array | None, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.order <= MOST_ORDER:
            raise ValueError(f"order {self.order}, expected 0 to {MOST_ORDER}")
        if len(self.tangents) != self.order:
            raise ValueError(
                f"{len(self.tangents)} tangents of order {self.order}, expected one each"
            )

    @classmethod
    def of_all(cls, order: int) -> Query:
        """All derivatives of an order, one by one."""
        return cls(order, None, (None,) * order)

    @property
    def sides(self) -> tuple[Array | None, ...]:
        """The cotangent, then the tangents."""
        return self.cotangent, *self.tangents

    def mapped(self, change: Callable[[Array], Array]) -> Query:
        """The query with each side changed that is given."""
        cotangent, *tangents = (None if side is None else change(side) for side in self.sides)
        return Query(self.order, cotangent, tuple(tangents))

    @property
    def free_inputs(self) -> tuple[int, ...]:
        """The positions of the tangents that stay free."""
        return tuple(k for k, tangent in enumerate(self.tangents) if tangent is None)

    def free_shape(self, outputs: int, inputs: int) -> tuple[int, ...]:
        """The shape of the answer at one point, for so many output and input entries."""
        free = (outputs,) if self.cotangent is None else ()
        return (*free, *(inputs for _ in self.free_inputs))


def complex_entries(ports: Sequence[Port]) -> NDArray[np.bool_]:
    """Of each entry of the ports, whether it is complex."""
    sizes = [math.prod(port.shape) for port in ports]
    return np.repeat([port.kind == "complex" for port in ports], sizes)


def owners(ports: Sequence[Port]) -> NDArray[np.intp]:
    """Of each entry of the ports, the position of its port."""
    sizes = np.array([math.prod(port.shape) for port in ports], dtype=np.intp)
    return np.repeat(np.arange(len(ports)), sizes)


def flatten(arrays: Sequence[Array]) -> Array:
    """Rows of all entries, from one array for each port.

    Shapes: [count, *shape] each, [count, entries] together.
    """
    if not arrays:
        return np.zeros((1, 0))
    return np.concatenate([array.reshape(array.shape[0], -1) for array in arrays], axis=1)


def split(rows: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """The arrays of each port again.

    Shapes: [count, entries]; [count, *shape] each.
    """
    parts = []
    start = 0
    for shape in shapes:
        stop = start + math.prod(shape)
        parts.append(rows[:, start:stop].reshape(rows.shape[0], *shape))
        start = stop
    return parts

"""Where the boxes of a directed acyclic graph stand: in layers, so that every edge runs down.

Sugiyama's method for graphs of tens of nodes: longest paths make the layers, barycentres the order
in each, and least squares the columns. An edge over several layers bends in each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 12
_GAP = (28.0, 44.0)  # between boxes of a layer, and between layers
_THIN = 10.0  # the room of an edge that passes a layer

_Spot = tuple[float, float]
_Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Placement:
    """The centre of each box; of each edge the spots that it passes, its two ends included.

    ``size`` is that of the whole, whose upper left corner is the origin.
    """

    centres: tuple[_Spot, ...]
    edges: tuple[tuple[_Spot, ...], ...]
    size: _Size


def layered(sizes: Sequence[_Size], edges: Sequence[tuple[int, int]]) -> Placement:
    """Lay out boxes of these sizes. Each box comes before those that its edges lead to."""
    ranks = _ranks(len(sizes), edges)
    links, chains = _chains(ranks, edges)
    widths = [width for width, _ in sizes] + [_THIN] * (len(ranks) - len(sizes))
    layers = _ordered([[k for k in range(len(ranks)) if ranks[k] == rank]
                       for rank in range(max(ranks) + 1)], links)  # fmt: skip
    columns = _columns(layers, links, widths)
    left = min(columns[k] - widths[k] / 2 for k in range(len(widths)))
    rows = _rows(layers, [height for _, height in sizes])
    ends = []  # of each box, and of each bend from where to where it is upright
    for k, rank in enumerate(ranks):
        top, bottom = rows[rank]
        half = (sizes[k][1] if k < len(sizes) else bottom - top) / 2
        ends.append((columns[k] - left, (top + bottom) / 2 - half, (top + bottom) / 2 + half))
    right = max(columns[k] + widths[k] / 2 for k in range(len(widths))) - left
    return Placement(
        tuple((column, (top + bottom) / 2) for column, top, bottom in ends[: len(sizes)]),
        tuple(_route([ends[k] for k in chain]) for chain in chains),
        (right, rows[-1][1]),
    )


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each box: one more than that of the lowest box above it."""
    ranks = [0] * count
    for start, end in sorted(edges):
        ranks[end] = max(ranks[end], ranks[start] + 1)
    return ranks


def _chains(
    ranks: list[int], edges: Sequence[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Each edge as a chain from layer to layer; the ranks of the bends are added."""
    links: list[tuple[int, int]] = []
    chains: list[list[int]] = []
    for start, end in edges:
        bends = list(range(len(ranks), len(ranks) + ranks[end] - ranks[start] - 1))
        ranks += range(ranks[start] + 1, ranks[end])
        chains.append([start, *bends, end])
        links += pairwise(chains[-1])
    return links, chains


def _ordered(layers: list[list[int]], links: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The layers with few crossings: each sorted by where its neighbours stand."""
    above, below = _neighbours(links)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        place = {k: float(i) for layer in layers for i, k in enumerate(layer)}
        for layer in layers if down else reversed(layers):
            near = above if down else below
            layer.sort(key=lambda k: _mean([place[n] for n in near.get(k, [])], place[k]))
            place |= {k: float(i) for i, k in enumerate(layer)}
    return layers


def _neighbours(links: Sequence[tuple[int, int]]) -> tuple[dict[int, list[int]], ...]:
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for start, end in links:
        above.setdefault(end, []).append(start)
        below.setdefault(start, []).append(end)
    return above, below


def _columns(
    layers: Sequence[Sequence[int]], links: Sequence[tuple[int, int]], widths: Sequence[float]
) -> dict[int, float]:
    """Each box as near to the middle of its neighbours as its layer lets it stand."""
    above, below = _neighbours(links)
    columns = {k: float(i) for layer in layers for i, k in enumerate(layer)}
    for sweep in range(2 * _SWEEPS):
        near = above if sweep % 2 == 0 else below
        for layer in layers:
            wanted = [_mean([columns[n] for n in near.get(k, [])], columns[k]) for k in layer]
            apart = [(widths[a] + widths[b]) / 2 + _GAP[0] for a, b in pairwise(layer)]
            columns |= dict(zip(layer, _kept_apart(wanted, apart), strict=True))
    return columns


def _kept_apart(wanted: Sequence[float], apart: Sequence[float]) -> list[float]:
    """The numbers nearest to those wanted, by least squares, that are so far apart at least."""
    shifts = [0.0]
    for distance in apart:
        shifts.append(shifts[-1] + distance)
    groups: list[list[float]] = []
    for number, shift in zip(wanted, shifts, strict=True):
        groups.append([number - shift])
        while len(groups) > 1 and _mean(groups[-2], 0) > _mean(groups[-1], 0):
            groups[-2:] = [groups[-2] + groups[-1]]
    flat = [_mean(group, 0) for group in groups for _ in group]
    return [number + shift for number, shift in zip(flat, shifts, strict=True)]


def _rows(layers: Sequence[Sequence[int]], heights: Sequence[float]) -> list[_Spot]:
    """The top and the bottom of each layer."""
    rows, top = [], 0.0
    for layer in layers:
        height = max((heights[k] for k in layer if k < len(heights)), default=0.0)
        rows.append((top, top + height))
        top += height + _GAP[1]
    return rows


def _route(ends: Sequence[tuple[float, float, float]]) -> tuple[_Spot, ...]:
    """From the lower edge of a box, upright through each layer, to the upper edge of another."""
    spots = [(column, row) for column, *rows in ends for row in rows]
    return tuple(spots[1:-1])


def _mean(numbers: Sequence[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise

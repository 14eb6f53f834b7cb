"""The backward graph as a picture (SVG), for graphviz (DOT), and as a tree of text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from gradcheck.explanation.backward_graph import GraphNode
from gradcheck.explanation.layout import Placement, layered
from gradcheck.explanation.point import numbers_text
from gradcheck.explanation.svg import MONO, document, paint, smooth, text, wrapped
from gradcheck.report.failure_text import filled
from gradcheck.report.table import width

_SIZE, _LINE, _PAD = 12, 17, 9
_LETTERS = 44  # of a line in a box
_LETTER = 0.62 * _SIZE  # wide, in a font of equal letters
_MARGIN = 24
_HEAD = 36  # pixels around the lines above the boxes
_LEAST = 560  # pixels across, so that the head has room
_FEW = 3  # numbers of an array that stand in a box
_TOLD_BY = "arrows show the way of the gradient: from the output back to the leaves"


@dataclass(frozen=True, slots=True, repr=False)
class BackwardGraph:
    """The nodes of a backward graph, the output first; each before those that its gradient flows
    to. Empty where none was asked for.
    """

    title: str = ""
    subtitle: str = ""
    nodes: tuple[GraphNode, ...] = ()

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[GraphNode]:
        return iter(self.nodes)

    def __getitem__(self, place: int) -> GraphNode:
        return self.nodes[place]

    def __str__(self) -> str:
        return "\n".join(tree_lines(self))

    def __repr__(self) -> str:
        return f"<gradcheck graph: {self.title}; {len(self)} nodes>"

    def svg(self) -> str:
        """Return the picture as an SVG document."""
        return _svg(self)

    def dot(self) -> str:
        """Return the graph in graphviz's language."""
        return "\n".join(_dot(self)) + "\n"

    def _repr_svg_(self) -> str:
        return self.svg()


_UNSEEN = "a result inside of PyTorch"


def _lines(node: GraphNode) -> list[str]:
    """What a box says: its name, the value, the gradient, what is saved, and what kind it is."""
    head = node.name if node.is_leaf else node.grad_fn
    lines = [f"{node.name}: {head}" if node.name and not node.is_leaf else head]
    value = "" if node.data is None else f"= {_short(node.data)}"
    computed = node.expression or ("" if node.name else _UNSEEN)
    if len(computed) + len(value) < _LETTERS:
        lines.append(f"{computed} {value}".strip())
    else:
        lines += [_cut(computed, _LETTERS), value]
    lines.append(f".grad = {'None' if node.grad is None else _short(node.grad)}")
    if kept := _kept(node):
        saved = ", ".join(f"{name} = {_short(item)}" for name, item in kept.items())
        lines.append(_cut(f"saved: {saved}", _LETTERS))
    return [*lines, _kind(node)]


def _kind(node: GraphNode) -> str:
    requires = "requires_grad" if node.requires_grad else "requires no grad"
    return f"leaf, {requires}, no grad_fn" if node.is_leaf else f"not a leaf, {requires}"


def _kept(node: GraphNode) -> dict[str, object]:
    """What is saved, less what says nothing: the factor 1 of a sum, and sizes."""
    return {
        name: value
        for name, value in node.saved.items()
        if "_sym_" not in name and (name, value) not in (("alpha", 1), ("beta", 1))
    }


def _short(value: object) -> str:
    return numbers_text(value, most=_FEW, digits=6)


def _cut(content: str, most: int) -> str:
    return content if len(content) <= most else f"{content[: most - 1]}…"


def _svg(graph: BackwardGraph) -> str:
    boxes = [_lines(node) for node in graph]
    sizes = [
        (2 * _PAD + max(map(len, lines)) * _LETTER, 2 * _PAD + len(lines) * _LINE - 4)
        for lines in boxes
    ]
    edges = [(k, parent) for k, node in enumerate(graph) for parent in dict.fromkeys(node.parents)]
    placed = layered(sizes, edges)
    across = max(placed.size[0], _LEAST)
    left = _MARGIN + (across - placed.size[0]) / 2
    heading = _heading(graph, across)
    top = _HEAD + 20 * len(heading)
    body = [
        *heading,
        f'<g transform="translate({left:.1f} {top})">',
        *_arrows(placed),
        *(
            part
            for node, lines, centre, size in zip(graph, boxes, placed.centres, sizes, strict=True)
            for part in _box(node, lines, centre, size)
        ),
        "</g>",
    ]
    size = (across + 2 * _MARGIN, placed.size[1] + top + _MARGIN)
    return document(f"backward graph of {graph.title}", _summary(graph), size, body)


def _summary(graph: BackwardGraph) -> str:
    leaves = sum(node.is_leaf for node in graph)
    return f"{len(graph)} nodes, {leaves} of them leaves; {_TOLD_BY}. {graph.subtitle}"


def _heading(graph: BackwardGraph, across: float) -> list[str]:
    title = wrapped(f"backward graph of {graph.title}", 17, across, 2)
    lines = [text(_MARGIN, 30 + 20 * k, line, size=17, weight="bold")
             for k, line in enumerate(title)]  # fmt: skip
    for line in (*wrapped(graph.subtitle, 12, across, 2), _TOLD_BY):
        lines.append(text(_MARGIN, 30 + 20 * len(lines), line, colour="pale"))
    return lines


def _arrows(placed: Placement) -> Iterator[str]:
    for spots in placed.edges:
        *before, (column, row) = spots
        yield f'<path d="{smooth([*before, (column, row - 6)])}" {paint("frame")}/>'
        head = f"M{column:.1f} {row:.1f}l-4 -8h8z"
        yield f'<path d="{head}" {paint("pale")}/>'


def _box(
    node: GraphNode, lines: Sequence[str], centre: tuple[float, float], size: tuple[float, float]
) -> Iterator[str]:
    column, row = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    where = f'x="{column:.1f}" y="{row:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}"'
    fill = "plain" if not node.requires_grad else "leaf" if node.is_leaf else "box"
    radius = 14 if node.is_leaf else 2
    yield f"<g><title>{escape(' '.join(lines))}</title>"
    yield f'<rect {where} rx="{radius}" {paint(fill)}/>'
    yield f'<rect {where} rx="{radius}" {paint("frame")}/>'
    for number, line in enumerate(lines):
        yield text(
            column + _PAD,
            row + _PAD + 11 + number * _LINE,
            line,
            size=_SIZE,
            family=MONO,
            weight="" if number else "bold",
            colour="pale" if number == len(lines) - 1 else "ink",
        )
    yield "</g>"


def _dot(graph: BackwardGraph) -> Iterator[str]:
    yield "digraph backward {"
    yield f"  label={_quoted(f'backward graph of {graph.title}', graph.subtitle)};"
    yield '  labelloc=t; node [shape=box, style=filled, fontname="monospace"];'
    for number, node in enumerate(graph):
        colour = _DOT_COLOURS[node.requires_grad, node.is_leaf]
        shape = ', style="filled,rounded"' if node.is_leaf else ""
        yield f'  n{number} [label={_quoted(*_lines(node))}, fillcolor="{colour}"{shape}];'
    for number, node in enumerate(graph):
        yield from (f"  n{number} -> n{parent};" for parent in dict.fromkeys(node.parents))
    yield "}"


_DOT_COLOURS = {
    (True, True): "#e3f4e5",
    (True, False): "#e8f1fa",
    (False, True): "#f0f0f0",
    (False, False): "#f0f0f0",
}


def _quoted(*lines: str) -> str:
    r"""Lines as a text of graphviz's, at the left; ``\l`` ends each."""
    safe = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "".join(f"{line}\\l" for line in safe) + '"'


_LEAST_ROOM = 24  # letters beside the branches of a tree


def tree_lines(graph: BackwardGraph, most: float = math.inf) -> list[str]:
    """The graph as a tree, as wide as the terminal; what is reached again is only named.

    ``most``: of a longer array the first entries alone are told.
    """
    done: set[int] = set()
    lines: list[str] = []
    for place in range(len(graph)):  # below the first output stands nearly all of it
        if place not in done:
            lines += _branch(graph, place, ("", ""), done, most)
    return lines


def _branch(
    graph: BackwardGraph, place: int, stem: tuple[str, str], done: set[int], most: float
) -> Iterator[str]:
    """A node and all below it; ``stem`` stands before its first line and before the others."""
    node = graph[place]
    if place in done:
        yield f"{stem[0]}#{place} {node.name or node.expression[:_LEAST_ROOM]} (see above)"
        return
    done.add(place)
    below = list(dict.fromkeys(node.parents))
    bar = f"{stem[1]}│ " if below else f"{stem[1]}  "
    yield from _told(f"#{place} {_head(node, most)}", stem[0], f"{bar}  ")
    yield from _told(_attributes(node, most), f"{bar}  ", f"{bar}  ")
    for number, parent in enumerate(below):
        if len(below) == 1:
            yield from _branch(graph, parent, (stem[1], stem[1]), done, most)
        else:
            last = number == len(below) - 1
            signs = ("└─ ", "   ") if last else ("├─ ", "│  ")
            stems = (stem[1] + signs[0], stem[1] + signs[1])
            yield from _branch(graph, parent, stems, done, most)


def _told(content: str, first: str, others: str) -> list[str]:
    room = max(_LEAST_ROOM, width() - max(len(first), len(others)))
    lines = filled(content, room, breaks="*/(,").splitlines()
    return [f"{others if number else first}{line}" for number, line in enumerate(lines)]


def _head(node: GraphNode, most: float) -> str:
    data = "" if node.data is None else f" = {numbers_text(node.data, most=most)}"
    computed = node.expression or ("" if node.name else _UNSEEN)
    named = ": ".join(part for part in (node.name, computed) if part)
    return f"{named}{data}"


def _attributes(node: GraphNode, most: float) -> str:
    told = [f"grad_fn {node.grad_fn}", f"is_leaf {node.is_leaf}"]
    told.append(f"requires_grad {node.requires_grad}")
    told.append(f".grad {numbers_text(node.grad, most=most)}")
    if kept := _kept(node):
        saved = (f"{name} {numbers_text(value, most=most)}" for name, value in kept.items())
        told.append(f"saved {', '.join(saved)}")
    return "; ".join(told)

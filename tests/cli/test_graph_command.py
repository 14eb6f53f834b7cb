"""`gradcheck graph`: the backward graph as SVG and as DOT."""

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gradcheck
from gradcheck.explanation.backward_graph import GraphNode, backward_graph
from gradcheck.explanation.graph_drawing import BackwardGraph
from gradcheck.explanation.layout import layered

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '</svg><script>alert("1")</script>\\'


def texts(svg):
    return [each.text for each in ET.fromstring(svg).iter(f"{SVG}text")]


def expressions(function, **inputs):
    leaves = {name: torch.tensor(x, requires_grad=True) for name, x in inputs.items()}
    return [node.expression for node in backward_graph(function, leaves) if not node.is_leaf]


def test_the_picture_of_the_graph_shows_what_the_tutorial_prints(command, tmp_path):
    file = tmp_path / "out.svg"
    ended = command("graph", "3*x**2", "--at", "x=3", "-o", file)
    assert (ended.code, ended.out) == (0, f"wrote {file}\n")
    root = ET.parse(file).getroot()
    assert root.find(f"{SVG}title").text == "backward graph of 3*x**2"
    assert root.find(f"{SVG}desc").text.startswith("3 nodes, 1 of them leaves")
    shown = set(texts(file.read_text("utf-8")))
    assert {"output: MulBackward0", "x ** 2 = 9", "saved: exponent = 2, self = 3"} <= shown
    assert {"x", "= 3", ".grad = 18", "leaf, requires_grad, no grad_fn"} <= shown


def test_the_graph_in_graphviz_language(command, tmp_path):
    file = tmp_path / "out.dot"
    ended = command("graph", "x**2", "--at", "x=3", "--dtype", "float32", "-o", file)
    assert ended.code == 0
    assert file.read_text("utf-8") == (
        "digraph backward {\n"
        '  label="backward graph of x**2\\lat x = 3.0, float32 on cpu, '
        f'torch {torch.__version__}\\l";\n'
        '  labelloc=t; node [shape=box, style=filled, fontname="monospace"];\n'
        '  n0 [label="output: PowBackward0\\lx ** 2 = 9\\l.grad = 1\\l'
        'saved: exponent = 2, self = 3\\lnot a leaf, requires_grad\\l", fillcolor="#e8f1fa"];\n'
        '  n1 [label="x\\l= 3\\l.grad = 6\\lleaf, requires_grad, no grad_fn\\l", '
        'fillcolor="#e3f4e5", style="filled,rounded"];\n'
        "  n0 -> n1;\n"
        "}\n"
    )


def test_code_on_trial_is_drawn_and_not_the_formula(command):
    ended = command("graph", "x**2", "--torch", "torch.square(x)", "--at", "x=3", "-o", "-")
    assert "square(x) = 9" in texts(ended.out)


def test_the_graph_of_a_case_can_be_drawn_for_another_implementation(command, catalog):
    drawn = command("graph", "cases/small.yaml::square", "--implementation", "1", "-o", "-").out
    assert "x * x = 9" in texts(drawn)


def test_a_picture_is_written_under_no_name_of_another_format(command, tmp_path):
    ended = command("graph", "x**2", "--at", "x=1", "-o", tmp_path / "out.gif")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        f"-o {tmp_path}/out.gif: pictures are not written as .gif\n"
        "  expected: a file whose name ends in .svg or .dot\n"
        f"  fix:      write -o {tmp_path}/out.svg\n"
    )


def test_a_point_is_asked_for(command):
    ended = command("graph", "x**2", "-o", "-")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err == (
        "no value for the input x\n  expected: a value\n  fix:      write --at x=1\n"
    )


def test_in_python_the_graph_of_an_explanation_is_a_picture():
    graph = gradcheck.explain("x**2 + 1", at={"x": 3}, graph=True).graph
    assert graph._repr_svg_() == graph.svg()
    assert ET.fromstring(graph.svg()).tag == f"{SVG}svg"
    assert [node.name for node in graph] == ["output", "", "x"]
    assert str(graph).startswith("#0 output: x ** 2 + 1 = 10.0\n")
    assert repr(graph) == "<gradcheck graph: x**2 + 1; 3 nodes>"


def test_without_being_asked_for_there_is_no_graph():
    graph = gradcheck.explain("x**2", at={"x": 3}).graph
    assert (len(graph), str(graph)) == (0, "")


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x, y: (x + y) * x, "(x + y) * x"),
        (lambda x, y: x - (y - x), "x - (y - x)"),
        (lambda x, y: x - y - x, "x - y - x"),
        (lambda x, y: (x**y) ** x, "(x ** y) ** x"),
        (lambda x, y: -(x**2), "-x ** 2"),
        (lambda x, y: 1 / y, "1 / y"),
        (lambda x, y: 2 - x, "2 - x"),
        (lambda x, y: torch.sin(x * y), "sin(x * y)"),
        (lambda x, y: torch.softmax(x, dim=-1), "softmax(x, dim=-1)"),
        (lambda x, y: x.unsqueeze(0)[0], "unsqueeze(x, 0)[0]"),
        (lambda x, y: x.reshape(1, 1).mT, "reshape(x, 1, 1).mT"),
        (lambda x, y: torch.stack([x, y]), "stack((x, y))"),
        (lambda x, y: x * torch.tensor(0.5), "x * 0.5"),
        (lambda x, y: x * torch.ones(9), "x * constant"),
        (lambda x, y: torch.max(x, 0)[0], "max(x, 0)[0]"),
    ],
)
def test_a_sub_expression_is_named_as_it_would_be_written(function, text):
    assert expressions(function, x=2.0, y=3.0)[0] == text


def test_of_several_outputs_each_is_a_root():
    leaves = {name: torch.tensor(2.0, requires_grad=True) for name in ("x", "unused")}
    nodes = backward_graph(lambda x, _: (x**2, x.sin(), torch.tensor(1.0)), leaves)
    graph = BackwardGraph("f", "", nodes)
    names = {node.name: node.grad_fn for node in graph}
    assert names == {
        **{"output 0": "PowBackward0", "output 1": "SinBackward0", "output 2": "None"},
        **{"x": "None", "unused": "None"},
    }
    # 2x + cos x at 2: the gradient of the sum
    assert next(node for node in graph if node.name == "x").grad == pytest.approx(4 + math.cos(2))
    assert [line[:2] for line in str(graph).splitlines() if line.startswith("#")] == [
        *("#0", "#2", "#1", "#2", "#3", "#4"),
    ]
    assert ET.fromstring(graph.svg()).tag == f"{SVG}svg"


def test_a_case_with_several_outputs_is_drawn(command):
    ended = command("graph", "kernels/softmax.yaml::softmax_and_logsumexp", "-o", "-")
    assert (ended.code, ended.err) == (0, "")
    assert {"output 0: SoftmaxBackward0", "output 1: LogsumexpBackward0"} <= set(texts(ended.out))


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(context, slope):
        (x,) = context.saved_tensors
        return 3 * x**2 * slope


def test_what_a_function_of_ones_own_saves_is_told():
    output, leaf = backward_graph(Cube.apply, {"x": torch.tensor(2.0, requires_grad=True)})
    assert (output.grad_fn, output.saved, leaf.grad) == ("CubeBackward", {"[0]": 2.0}, 12.0)


ALONE = {"name": "output", "grad_fn": "None", "is_leaf": True, "requires_grad": False}
ALONE |= {"data": 1.0, "grad": None, "parents": ()}


def test_a_leaf_that_requires_no_gradient_looks_otherwise():
    graph = BackwardGraph("f", "", (GraphNode(**ALONE),))
    assert "leaf, requires no grad, no grad_fn" in texts(graph.svg())
    assert 'fillcolor="#f0f0f0"' in graph.dot()


def test_a_hostile_name_is_nothing_but_text():
    hostile = {"name": HOSTILE, "grad_fn": HOSTILE, "expression": HOSTILE, "is_leaf": False}
    node = GraphNode(**{**ALONE, **hostile, "saved": {HOSTILE: HOSTILE}})
    graph = BackwardGraph(HOSTILE, HOSTILE, (node,))
    assert "script" not in {
        each.tag.removeprefix(SVG) for each in ET.fromstring(graph.svg()).iter()
    }
    outside = re.sub(r'"(\\.|[^"\\])*"', "", graph.dot())  # what is left beside graphviz's texts
    assert "script" not in outside


GRAPHS = st.integers(2, 14).flatmap(
    lambda count: st.tuples(
        st.lists(st.tuples(st.floats(20, 200), st.floats(20, 90)), min_size=count, max_size=count),
        st.sets(
            st.tuples(st.integers(0, count - 2), st.integers(1, count - 1)).filter(
                lambda edge: edge[0] < edge[1]
            ),
            min_size=1,
        ),
    )
)


def overlap(a, b):
    (spot, size), (other, other_size) = a, b
    return all(abs(spot[k] - other[k]) < (size[k] + other_size[k]) / 2 - 1e-6 for k in (0, 1))


@settings(deadline=None, max_examples=50)
@given(GRAPHS)
def test_no_two_boxes_overlap_and_every_edge_runs_down(drawn):
    sizes, edges = drawn
    placed = layered(sizes, sorted(edges))
    boxes = list(zip(placed.centres, sizes, strict=True))
    assert not [(a, b) for k, a in enumerate(boxes) for b in boxes[:k] if overlap(a, b)]
    assert all(a[1] <= b[1] for spots in placed.edges for a, b in pairwise(spots))


def test_boxes_that_stand_on_each_other_would_be_seen():
    assert overlap(((0.0, 0.0), (10.0, 10.0)), ((5.0, 5.0), (10.0, 10.0)))
    assert not overlap(((0.0, 0.0), (10.0, 10.0)), ((5.0, 10.0), (10.0, 10.0)))

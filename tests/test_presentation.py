"""`gradcheck.explain` and `gradcheck.plot` from Python: what the commands show, as objects."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

import gradcheck
from gradcheck.answer import Ruling
from gradcheck.errors import CatalogError

REPOSITORY = Path(__file__).parent.parent
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def swish(x, b):
    return x / (1 + torch.exp(-b * x))


@pytest.fixture(scope="module")
def cube():
    return gradcheck.explain("x**3", at={"x": 2})


def test_an_explanation_reads_as_what_the_command_prints(cube):
    text = str(cube)
    assert text.startswith("x**3  at x = 2.0  (float64 on cpu)\n")
    assert "∂y/∂x     12          0  12.0\n" in text  # 3x² at 2
    assert not text.endswith("\n")
    assert "--all" not in text


def test_an_explanation_tells_everything_when_asked(cube):
    assert "torch.autograd.grad" in cube.text(everything=True)
    assert "torch.autograd.grad" not in str(cube)


def test_an_explanation_has_its_numbers_as_values(cube):
    true = {truth.of.name: truth.digits for truth in cube.truths}
    assert true == {"y": "8", "∂y/∂x": "12", "∂²y/∂x∂x": "12"}
    assert {said.ruling for _, said in cube.statements} == {Ruling.AGREE}


def test_in_latex_formulas_stand_with_their_values(cube):
    assert cube._repr_latex_() == (
        "$$\\begin{aligned}\n"
        "y &= x^{3} = 8 \\\\\n"
        "\\frac{\\partial y}{\\partial x} &= 3 x^{2} = 12 \\\\\n"
        "\\frac{\\partial^2 y}{\\partial x\\partial x} &= 6 x = 12\n"
        "\\end{aligned}$$"
    )


def test_in_latex_a_number_has_a_power_of_ten_and_an_entry_its_index():
    found = gradcheck.explain("exp(-x)", at={"x": torch.tensor([10.0])})
    text = found._repr_latex_()
    assert r"{y}_{0} &= e^{- {x}_{0}} = 4.5399929762484851536 \cdot 10^{-5}" in text
    assert r"\frac{\partial {y}_{0}}{\partial {x}_{0}} &=" in text


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.texts = [], []

    def handle_starttag(self, tag, attrs):
        assert not attrs
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1], data))


def test_in_a_notebook_an_explanation_is_tables_with_nothing_left_open(cube):
    page = _Tags()
    page.feed(cube._repr_html_())
    assert page.open == []
    assert {("th", "true value"), ("td", "12"), ("td", "reverse")} <= set(page.texts)


def test_in_a_notebook_what_looks_like_html_is_text():
    found = gradcheck.explain("where(x < 1, x, 2*x)", at={"x": 3})
    assert "x &lt; 1" in found._repr_html_()


def test_code_of_ones_own_is_explained_as_verify_judges_it():
    inputs = {"b": "positive", "x": "real"}  # not the signature's order
    found = gradcheck.explain(swish, "x / (1 + exp(-b*x))", inputs, at={"x": 1, "b": 2})
    assert "on trial: swish\n" in str(found)
    assert {said.ruling for _, said in found.statements} == {Ruling.AGREE}


def test_wrong_code_of_ones_own_is_shown_to_be_wrong():
    found = gradcheck.explain(torch.cos, "sin(x)", {"x": "real"}, at={"x": "pi/3"})
    assert Ruling.DISAGREE in {said.ruling for _, said in found.statements}


def test_an_explanation_has_a_picture_only_with_its_graph(cube):
    assert cube._repr_svg_() is None
    with_graph = gradcheck.explain("x**3", at={"x": 2}, graph=True)
    assert with_graph._repr_svg_() == with_graph.graph.svg()
    assert with_graph.graph.svg() in with_graph._repr_html_()


def test_derivatives_of_order_three_are_told_where_they_are_asked_for():
    found = gradcheck.explain("x**4", at={"x": 2}, order=3)
    assert {truth.of.name: truth.digits for truth in found.truths}["∂³y/∂x∂x∂x"] == "48"
    with pytest.raises(ValueError, match=r"^order is 4, expected 1, 2 or 3$"):
        gradcheck.explain("x**4", at={"x": 2}, order=4)


def test_an_explanation_has_allowances_and_precisions_as_values(cube):
    assert [each.of for each in cube.allowances] == ["y", "∂y/∂x"]
    assert all(each.agrees >= 4 for each in cube.allowances)
    assert [each.dtype for each in cube.precisions[::2]] == [
        *("float64", "float32", "float16", "bfloat16"),
    ]
    assert {each.said.got for each in cube.precisions} == {8, 12}


def test_a_case_of_the_catalog_is_explained_with_its_backward_graph():
    found = gradcheck.explain("partial_derivatives", graph=True)
    assert {truth.of.name: truth.digits for truth in found.truths}["∂y/∂u"] == "43"
    assert found.graph[-1].is_leaf


def test_the_formulas_of_a_holomorphic_function_are_of_its_complex_numbers():
    found = gradcheck.explain("z**2", at={"z": 3 + 4j})
    lines = {of.name: str(each) for of, each in found.formulas}
    assert lines == {"y": "z**2", "∂y/∂z": "2*z", "∂²y/∂z∂z": "2"}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("abs(z)**2", {"∂y/∂re z": "2*re(z)", "∂y/∂im z": "2*im(z)"}),
        ("conj(z)", {"∂re y/∂re z": "1", "∂im y/∂im z": "-1", "∂re y/∂im z": "0"}),
        # By the chain rule from log|z|² and the angle of z.
        ("arg(z)", {"∂y/∂re z": "-im(z)/(im(z)**2 + re(z)**2)"}),
        ("where(re(z) > 0, z, conj(z))", {"∂re y/∂re z": "1"}),
    ],
)
def test_the_formulas_of_other_complex_functions_are_of_real_and_imaginary_parts(formula, expected):
    found = gradcheck.explain(formula, at={"z": 1 + 2j})
    lines = {of.name: str(each) for of, each in found.formulas}
    assert {name: lines[name] for name in expected} == expected


REFUSED = {
    "a name that is no input": (
        {"at": {"y": 3}},
        "at y=3: y is no input of the function\n  expected: one of x\n  fix:      correct the name",
    ),
    "no value": ({}, "no value for the input x\n  expected: a value\n  fix:      write at x=1"),
    "a device that is not there": (
        {"at": {"x": 1}, "device": "nonsense"},
        "device nonsense: no such device here\n"
        "  expected: one or more of cpu, or auto\n"
        "  fix:      write auto to run on what is there",
    ),
    "an unknown dtype": (
        {"at": {"x": 1}, "dtype": "float8"},
        "dtype float8: unknown name\n"
        "  expected: one of float64, float32, float16, bfloat16, complex128, complex64\n"
        "  fix:      leave it out",
    ),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_explained_is_refused_in_pythons_words(monkeypatch, options, message):
    monkeypatch.setattr("gradcheck.devices.there", lambda: ("cpu",))
    with pytest.raises(ValueError, match="expected") as refusal:
        gradcheck.explain("x**2", **options)
    assert str(refusal.value) == message


def test_a_wrong_formula_is_refused_with_its_place():
    with pytest.raises(CatalogError, match=r"^gradcheck.explain formula:1:1: '\^'"):
        gradcheck.explain("x^2", at={"x": 3})


def test_code_without_a_formula_is_refused():
    with pytest.raises(TypeError, match="no formula beside swish"):
        gradcheck.explain(swish)


@pytest.fixture(scope="module")
def parabola():
    return gradcheck.plot("3*x**2", start=0, end=3, points=4)


def test_a_plot_has_the_true_values_and_slopes(parabola):
    assert [curve.numbers.tolist() for curve in parabola.curves] == [[0, 3, 12, 27], [0, 6, 12, 18]]
    assert parabola.ulps.tolist() == [0, 0, 0, 0]


def test_a_plot_is_an_svg_as_text_and_in_a_notebook(parabola):
    assert ET.fromstring(str(parabola)).tag == f"{SVG}svg"
    assert parabola._repr_html_() == str(parabola)
    assert repr(parabola).startswith("<gradcheck plot: 3*x**2 over x; float64 on cpu")


def test_in_latex_a_plot_says_what_its_curves_are(parabola):
    assert r"\frac{\partial y}{\partial x} &= 6 x" in parabola._repr_latex_()


def test_a_plot_without_a_short_formula_has_no_latex():
    many = " + ".join(f"sin({k}*x)*cos(x)" for k in range(2, 60))
    assert gradcheck.plot(many, points=2)._repr_latex_() is None


def test_a_plot_runs_over_the_number_that_is_named():
    inputs = {"x": "real", "b": "positive"}
    seen = gradcheck.plot(swish, "x / (1 + exp(-b*x))", inputs, over="b", at={"x": 0}, points=3)
    assert seen.variable == "b"
    assert [curve.numbers.tolist() for curve in seen.curves] == [[0, 0, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="over q: no such single number"):
        gradcheck.plot("x**2", at={"x": 1}, over="q", points=3)


def test_a_plot_has_tangents_second_derivatives_and_several_dtypes():
    options = {"order": 2, "dtype": ["float64", "float32"], "points": 3}
    seen = gradcheck.plot("x**3", at={"x": 1}, tangent=[2], **options)
    assert [(each.x, each.slope) for each in seen.tangents] == [(2, 12), (1, 3)]
    assert len(seen.curves) == 3
    assert [each.setting for each in seen.errors] == ["float64 on cpu", "float32 on cpu"]
    assert gradcheck.plot("x**3", tangent={"x": 2}, points=3).tangents == seen.tangents[:1]


def test_a_plot_over_two_numbers_is_a_surface():
    seen = gradcheck.plot("u*v", over=("u", "v"), start=0, end=1, points=2)
    assert seen.fields[0].numbers.tolist() == [[0, 0], [0, 1]]
    assert ET.fromstring(seen._repr_svg_()).tag == f"{SVG}svg"
    assert repr(seen).startswith("<gradcheck plot: u*v over u and v; float64 on cpu")


@pytest.fixture
def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_a_plot_is_drawn_into_the_axes_of_matplotlib(axes):
    assert gradcheck.plot("3*x**2", start=0, end=3, points=4, order=2, ax=axes) is axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["y = 3x²", "dy/dx = 6x", "d²y/dx² = 6"]
    assert axes.get_lines()[1].get_ydata().tolist() == [0, 6, 12, 18]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y, dy/dx, d²y/dx²")


LONG = "sqrt(1 + x**2) + " + " + ".join(f"sin({k}*x)*exp(-x/{k})" for k in range(2, 9))


def test_a_long_formula_is_cut_in_a_legend_of_matplotlib_and_leaves_room_for_all():
    from matplotlib.figure import Figure

    from gradcheck.explanation.figure import _draw_panels

    figure = Figure(layout="constrained")
    _draw_panels(gradcheck.plot(LONG, start=0, end=1, points=3, order=2), figure)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    formula, _, last = [text.get_text() for text in legend.get_texts()]
    assert formula.startswith("y = sqrt(x² + 1) + ")
    assert formula.endswith("…")
    assert last.startswith("d²y/dx² = -x²/(x² + 1)**(3/2)")
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_a_surface_is_drawn_into_the_axes_of_matplotlib(axes):
    assert gradcheck.plot("u*v", over=("u", "v"), points=3, ax=axes) is axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("u", "v")
    assert len(axes.collections) == 1


PLOTS_REFUSED = {
    "points is 1, expected at least 2": {"points": 1},
    "order is 3, expected 1 or 2": {"order": 3},
    "ax: drawn by matplotlib, which is not installed\n"
    "  expected: the package matplotlib\n"
    "  fix:      run: pip install matplotlib, or draw an SVG, which needs no package": {"ax": 1},
    "over w: a third number that runs\n"
    "  expected: one for a curve, two for a surface\n"
    "  fix:      fix it by at": {"over": ("u", "v", "w")},
}


@pytest.mark.parametrize(("message", "options"), PLOTS_REFUSED.items(), ids=str)
def test_what_cannot_be_plotted_is_refused_in_pythons_words(monkeypatch, message, options):
    monkeypatch.setattr("gradcheck.explanation.request.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="expected") as refusal:
        gradcheck.plot("x**2", **options)
    assert str(refusal.value) == message


HOSTILE = '</svg></script><script>alert("1")</script>\\\\href{javascript:alert(1)}{x}'


class _Elements(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.names, self.links, self.listeners = set(), set(), set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.links |= {value for name, value in attrs if "href" in name}
        self.listeners |= {name for name, _ in attrs if name.startswith("on")}


def runs_script(page):
    found = _Elements(page)
    return "script" in found.names or bool(found.links) or bool(found.listeners)


def test_a_script_and_a_listener_would_be_seen():
    assert runs_script("<p><script>1</script></p>")
    assert runs_script('<img onerror="1">')
    assert not runs_script("<p>&lt;script&gt;</p>")


@pytest.fixture(scope="module")
def hostile_case(tmp_path_factory):
    """A case of someone else's, whose texts are scripts."""
    file = tmp_path_factory.mktemp("hostile") / "theirs.yaml"
    summary = json.dumps(HOSTILE)
    text = f"f: {{summary: {summary}, formula: x*y, inputs: {{x: real, y: real}}, order: 1}}\n"
    file.write_text(text)
    return f"{file}::f"


def test_a_hostile_summary_is_text_in_an_explanation(hostile_case):
    found = gradcheck.explain(hostile_case, at={"x": 1, "y": 2}, graph=True)
    assert HOSTILE in str(found)
    assert not runs_script(found._repr_html_())
    assert not runs_script(found._repr_svg_())
    assert "href" not in found._repr_latex_()


@pytest.mark.parametrize("over", ["x", ("x", "y")])
def test_a_hostile_title_is_text_in_a_plot(hostile_case, over):
    seen = gradcheck.plot(hostile_case, over=over, at={"y": 1}, points=2)
    hostile = replace(seen, title=HOSTILE, subtitle=HOSTILE)
    assert not runs_script(hostile._repr_svg_())
    assert not runs_script(hostile._repr_html_())
    assert ET.fromstring(str(hostile)).find(f"{SVG}title").text == HOSTILE
    assert "x y" in hostile._repr_latex_()


def wrong(x):
    return x + torch.zeros(())


def test_a_hostile_name_is_text_in_a_result():
    wrong.__name__ = wrong.__qualname__ = HOSTILE
    result = gradcheck.verify(wrong, "2*x", inputs={"x": "real"}, points=2, witness="reverse")
    page, latex = result._repr_html_(), result._repr_latex_()
    assert not runs_script(page)
    assert "&lt;script&gt;" in page
    assert latex.startswith("$$\\begin{array}{llrrll}\n\\text{check} & \\text{verdict} & ")
    assert "\\href" not in latex
    assert "disagree" in latex


def test_the_public_names_are_those_that_are_documented():
    document = (REPOSITORY / "docs" / "interface.md").read_text("utf-8")
    section = document.partition("The public names")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", section)) == set(gradcheck.__all__)


PUBLIC = """
import sys, gradcheck
print([type(getattr(gradcheck, name)).__name__ for name in sorted(gradcheck.__all__)])
gradcheck.explain("x", at={"x": 1})
print(type(gradcheck.explain).__name__, type(gradcheck.plot).__name__)
"""


def test_every_public_name_is_there_and_stays_what_it_is_after_use():
    done = subprocess.run(
        [sys.executable, "-c", PUBLIC], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout == (
        "['type', 'str', 'function', 'function', 'module', 'function']\nfunction function\n"
    )


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gradcheck.nothing  # noqa: B018

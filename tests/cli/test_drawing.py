"""The picture: well-formed, the same bytes each time, and honest about what is not there."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from gradcheck.answer import Ruling
from gradcheck.explanation.axes import (
    Axis,
    breaks,
    poles,
    span,
    svg_number,
    tick_labels,
    ticks,
)
from gradcheck.explanation.heat_map import HeatMap, Surface, band_of, colour_of, maps_of
from gradcheck.explanation.panels import draw_svg
from gradcheck.explanation.picture import Claim, Curve, Errors, Picture, Tangent
from gradcheck.explanation.svg import STYLE, fitted, text_width, wrapped

SVG = "{http://www.w3.org/2000/svg}"
X = np.linspace(-2, 2, 41)


def picture(numbers, ulps=None, ruling=Ruling.AGREE, title="sin(x) <&> cos(x)", **more):
    ulps = np.zeros(len(X)) if ulps is None else ulps
    curves = (Curve("y", numbers), Curve("∂y/∂x", np.ones(len(X)), 1, "dy/dx", "dy/dx = 1"))
    errors = Errors("float64 on cpu", X, ulps, np.full(len(X), 9.0), (ruling,) * len(X))
    return Picture(title, "float64 on cpu", "x", X, curves, (errors,), **more)


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def lines(svg):
    return [
        each.get("d") for each in ET.fromstring(svg).iter(f"{SVG}path") if each.get("clip-path")
    ]


def test_the_picture_is_well_formed_and_says_what_it_shows():
    svg = draw_svg(picture(np.sin(X)))
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    named = [root.find(f"{SVG}{tag}").get("id") for tag in ("title", "desc")]
    assert (root.get("role"), root.get("aria-labelledby").split()) == ("img", named)
    assert root.find(f"{SVG}title").text == "sin(x) <&> cos(x)"
    assert "y and ∂y/∂x over x" in root.find(f"{SVG}desc").text
    assert {"y", "dy/dx = 1", "y, dy/dx", "ulps", "x", "agree 41"} <= set(texts(svg))


def test_the_same_numbers_give_the_same_bytes():
    assert draw_svg(picture(np.sin(X))) == draw_svg(picture(np.sin(X)))


def test_a_gap_interrupts_the_line():
    numbers = np.where(np.abs(X) < 0.5, np.nan, X)
    whole, broken = lines(draw_svg(picture(X)))[0], lines(draw_svg(picture(numbers)))[0]
    assert (whole.count("M"), broken.count("M")) == (1, 2)


@pytest.mark.parametrize("numbers", [1 / (X + 0.03), np.tan(2 * X + 0.01), np.floor(X + 0.01)])
def test_a_pole_and_a_jump_interrupt_the_line(numbers):
    assert lines(draw_svg(picture(numbers)))[0].count("M") > 1


@pytest.mark.parametrize("numbers", [X**3, np.abs(X), np.exp(3 * X), np.zeros(len(X)), np.sin(X)])
def test_a_continuous_line_is_not_interrupted(numbers):
    assert breaks(numbers, *span(numbers)) == []


@pytest.mark.parametrize(
    "numbers",
    [
        np.full(len(X), np.nan),
        np.full(len(X), np.inf),
        np.full(len(X), 7.0),
        np.where(X > 0, np.inf, 1.0),
        X * 8e307,
        X * 5e-324,
    ],
)
def test_any_numbers_can_be_drawn(numbers):
    assert "nan" not in draw_svg(picture(numbers, ulps=np.full(len(X), np.nan)))


def test_an_error_without_a_number_stands_at_the_top_as_a_cross():
    ulps = np.zeros(len(X))
    ulps[3] = np.inf
    svg = draw_svg(picture(X, ulps, Ruling.DISAGREE))
    assert "∞" in texts(svg)
    assert "disagree 41" in texts(svg)


def test_what_was_not_judged_is_counted_and_marked():
    svg = draw_svg(picture(X, np.full(len(X), np.nan), Ruling.ABSTAIN))
    assert "not judged 41" in texts(svg)
    assert svg.count("v6") == 41 + 1  # and one in the legend
    assert "not judged 41" in ET.fromstring(svg).find(f"{SVG}desc").text


def test_the_band_reaches_as_far_as_what_agrees():
    svg = draw_svg(picture(X))
    (band,) = [each for each in svg.splitlines() if "gradcheck-band" in each and "<path" in each]
    wider = draw_svg(picture(X, np.full(len(X), 1e6)))
    (lower,) = [each for each in wider.splitlines() if "gradcheck-band" in each and "<path" in each]
    assert band.count("L") == len(X) + 1
    assert band != lower  # of larger errors the same band is a smaller part


def test_without_an_allowance_there_is_no_band():
    whole = picture(X)
    errors = Errors("float64 on cpu", X, whole.ulps, np.full(len(X), np.nan), whole.rulings)
    bare = Picture("f", "", "x", X, whole.curves, (errors,))
    assert 'class="gradcheck-band"' in draw_svg(whole)
    assert 'class="gradcheck-band"' not in draw_svg(bare)


def test_pytorchs_own_curve_is_drawn_where_it_differs():
    claim = Claim("∂y/∂x", "float32", X, np.where(X > 0, 2.0, np.nan), 1, X[:0])
    svg = draw_svg(picture(X, claims=(claim,)))
    assert "PyTorch's dy/dx in float32, where it differs" in texts(svg)
    assert "infinite or NaN" not in svg
    assert len(lines(svg)) == 1 + len(lines(draw_svg(picture(X))))


def test_where_pytorch_has_no_number_a_cross_says_so():
    nothing = np.full(len(X), np.nan)
    claim = Claim("∂y/∂x", "float32", X, nothing, 1, X[X > 0.9])
    svg = draw_svg(picture(X, claims=(claim,)))
    assert f"PyTorch's dy/dx in float32: infinite or NaN at {len(claim.missing)}" in texts(svg)
    assert "where it differs" not in svg
    assert 1 < svg.count("l8 8m0 -8l-8 8") <= 1 + len(claim.missing)


def test_a_tangent_is_drawn_with_its_place_and_slope():
    svg = draw_svg(picture(X**2, tangents=(Tangent(1.5, 2.25, 3.0),)))
    assert "tangent at x = 1.5, slope 3" in texts(svg)
    assert svg.count("<circle") == 1


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (1 / (X + 0.03), [-0.05]),
        (np.tan(2 * X + 0.01), [-0.8, 0.8]),
        (np.where(X == 0, np.nan, 1 / np.where(X == 0, 1, X) ** 2), [0.0]),
        (np.floor(X + 0.01), []),  # jumps
        (X - np.floor(X + 0.01), []),
        (np.exp(3 * X), []),
        (np.where(np.abs(X) < 0.5, np.nan, X), []),  # a gap
    ],
)
def test_a_pole_is_found_and_nothing_else_is_taken_for_one(numbers, expected):
    assert poles(X, numbers, *span(numbers)) == pytest.approx(expected, abs=0.06)


def test_what_lies_beyond_the_frame_is_marked():
    assert "beyond the frame" in texts(draw_svg(picture(1 / (X + 0.03))))
    assert "pole" in texts(draw_svg(picture(1 / (X + 0.03))))
    assert not {"beyond the frame", "pole"} & set(texts(draw_svg(picture(X))))


@pytest.fixture
def axes():
    return pytest.importorskip("matplotlib.figure", reason="the extra plot").Figure().subplots()


def by_matplotlib(drawn, axes):
    """What its legend names."""
    figure = pytest.importorskip("gradcheck.explanation.figure", reason="the extra plot")
    return [each.get_text() for each in figure.draw_curves(drawn, axes).get_legend().get_texts()]


def test_matplotlib_marks_poles_and_what_lies_beyond_the_frame(axes):
    told = by_matplotlib(picture(1 / (X + 0.03)), axes)
    assert told == ["y", "dy/dx = 1", "pole", "beyond the frame"]
    marks = [each.get_marker() for each in axes.get_lines()]
    assert (marks.count("^"), marks.count("v")) == (1, 1)


def test_matplotlib_marks_nothing_where_all_of_a_curve_is_in_the_frame(axes):
    assert by_matplotlib(picture(X), axes) == ["y", "dy/dx = 1"]
    assert {each.get_marker() for each in axes.get_lines()} == {"None"}


WRONG = tuple(Claim(of, "float32", X, X + 9.0, 1, X[:0]) for of in ("y", "∂y/∂x"))


def test_pytorchs_value_and_its_derivative_are_told_apart_without_colours(axes):
    root = ET.fromstring(draw_svg(picture(X, claims=WRONG)))
    red = [each for each in root.iter(f"{SVG}path") if "gradcheck-red" in each.get("class", "")]
    drawn = [each.get("stroke-dasharray") for each in red if each.get("clip-path")]
    assert len(drawn) == len(set(drawn)) == 2
    by_matplotlib(picture(X, claims=WRONG), axes)
    styles = {str(each.get_linestyle()) + str(each._dash_pattern) for each in axes.get_lines()}
    assert len(styles) == 4


def test_matplotlibs_frame_has_room_for_what_pytorch_says(axes):
    by_matplotlib(picture(X, claims=WRONG), axes)
    assert axes.get_ylim()[1] > 4


def test_each_panel_has_the_name_of_what_runs_below_it():
    two = replace(picture(X), errors=picture(X).errors * 2)
    assert texts(draw_svg(two)).count("x") == 3


def test_two_pictures_in_one_page_share_no_name():
    ids = [set(re.findall(r'id="([^"]*)"', draw_svg(picture(X, title=name)))) for name in "fg"]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_a_long_title_is_broken_and_cut_so_that_it_fits():
    title = " + ".join(f"sin({k}*x)" for k in range(60))
    svg = draw_svg(picture(X, title=title))
    shown = [each for each in texts(svg) if "*x)" in each]
    assert len(shown) == 2
    assert shown[1].endswith("…")
    assert max(text_width(each, 17) for each in shown) <= 704
    assert ET.fromstring(svg).find(f"{SVG}title").text == title  # and whole for who asks


def test_text_is_cut_only_where_it_is_too_long():
    assert fitted("short", 12, 500) == "short"
    assert fitted("long" * 99, 12, 100).endswith("…")
    assert wrapped("one two", 12, 500, 2) == ["one two"]
    assert wrapped("onetwo " * 9, 12, 100, 2)[1].endswith("…")


def test_readers_who_prefer_the_dark_get_other_colours():
    svg = draw_svg(picture(X))
    assert f"<style>{STYLE}</style>" in svg
    used = set(re.findall(r'class="(gradcheck-\w+)"', svg))
    assert used
    assert {name for name in used if f".{name} {{" not in STYLE} == set()


def test_a_range_without_its_poles_is_shown():
    low, high = span(np.append(np.linspace(0, 1, 99), 1e12))
    assert -1 < low < 0
    assert 1 < high < 3


def test_ticks_are_round_numbers_inside_the_range():
    assert ticks(-1.1, 4.8) == [-1, 0, 1, 2, 3, 4]
    assert tick_labels([-0.5, 0.0, 0.5]) == ["−0.5", "0", "0.5"]
    assert tick_labels([1e300, 2e300]) == ["1e300", "2e300"]
    assert tick_labels([999.0, 1000.0, 1001.0]) == ["999", "1000", "1001"]
    assert [svg_number(number) for number in (np.nan, np.inf, -np.inf, -1e-7)] == [
        *("NaN", "∞", "−∞", "−1e−7"),
    ]


def test_pixels_stay_finite_far_outside_of_the_range():
    axis = Axis(0.0, 1.0, 100.0, 200.0)
    assert axis.pixel(0.5) == 150.0
    assert axis.pixels(np.array([-1e308, 1e308])).tolist() == [-100.0, 400.0]


@pytest.mark.parametrize(
    ("numbers", "most"),
    [
        (np.where(np.arange(900) < 20, 1.0, 0.01 * np.sin(np.arange(900))), 1.0),  # a hill
        (np.where(np.arange(900) < 2, 1e9, np.linspace(0, 1, 900)), 2.0),  # a pole
    ],
)
def test_the_levels_of_a_map_reach_over_a_hill_and_not_up_a_pole(numbers, most):
    square = numbers.reshape(30, 30)
    places = np.arange(30.0)
    heat_map = HeatMap("y", square)
    right = square < 0
    surface = Surface("f", "", ("u", "v"), places, places, (heat_map,), square, right, "float64")
    _, _, levels = maps_of(surface)[0]
    assert 0.5 * most <= levels[-1] <= 1.1 * most


def test_a_map_has_a_cell_for_each_number_and_none_for_a_gap():
    assert band_of(np.array([np.nan, -1.0, 0.0, 0.5, 9.0]), [0.0, 1.0]).tolist() == [-1, 0, 1, 1, 2]
    assert len({colour_of(band, 10) for band in range(11)}) == 11

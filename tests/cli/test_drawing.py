"""The picture: well-formed, the same bytes each time, and honest about what is not there."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gradcheck.answer import Ruling
from gradcheck.explanation.svg import (
    Axis,
    Curve,
    Picture,
    breaks,
    draw_svg,
    span,
    svg_number,
    tick_labels,
    ticks,
)

SVG = "{http://www.w3.org/2000/svg}"
X = np.linspace(-2, 2, 41)


def picture(numbers, ulps=None, ruling=Ruling.AGREE, title="sin(x) <&> cos(x)"):
    ulps = np.zeros(len(X)) if ulps is None else ulps
    curves = (Curve("y", numbers), Curve("∂y/∂x", np.ones(len(X))))
    return Picture(title, "float64 on cpu", "x", X, curves, ulps, (ruling,) * len(X))


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
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", "title summary")
    assert root.find(f"{SVG}title").text == "sin(x) <&> cos(x)"
    assert "y and ∂y/∂x over x" in root.find(f"{SVG}desc").text
    assert {"y", "∂y/∂x", "x", "agree 41"} <= set(texts(svg))


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


def test_what_was_not_judged_leaves_no_mark():
    svg = draw_svg(picture(X, np.full(len(X), np.nan), Ruling.ABSTAIN))
    assert not any(text and text.startswith(("agree", "abstain")) for text in texts(svg))


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

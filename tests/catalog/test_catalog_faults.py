"""A faulty part of a case hides nothing else that is wrong with it, and makes nothing up."""

import pytest

from gradcheck.catalog.load import load_text
from gradcheck.errors import CatalogError


def case(keys):
    return f"c: {{formula: x**2, inputs: {{x: positive}}, {keys}}}"


def point(keys):
    return case(f"points: [{{{keys}}}]")


def problems(text):
    with pytest.raises(CatalogError) as caught:
        load_text(text + "\n", "f.yaml")
    return [f"{each.where.column}: {each.found}" for each in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "a: {formula: x^2, inputs: {x: real}, tags: [cpu], without: {foo: bar}}",
            ["14: '^'", "45: the tag 'cpu', which is a marker already",
             "61: the unknown witness 'foo'"],
        ),
        (
            "a: {formula: x, inputs: {x: reel}, dtypes: [float64, float64], order: 1,"
            " points: [{at: {x: 1}, hessian: {x: {x: 1}}}]}",
            ["29: the unknown domain 'reel'", "54: the dtype float64 again",
             "96: a Hessian in a case of order 1"],
        ),
        (
            "a: {formulla: x, inputs: {lambda: real, y: '(0, 1e-400)'}, tags: [cpu]}",
            ["4: no 'formula'", "5: the unknown key 'formulla'",
             "27: the keyword 'lambda' as a name",
             "41: the domain (0, 1e-400), which holds no float64 and no float32 number",
             "67: the tag 'cpu', which is a marker already"],
        ),
        (case("tags: [3, cpu]"),
         ["50: the integer 3", "53: the tag 'cpu', which is a marker already"]),
        (case("without: {forward: 3, revers: no}"),
         ["62: the integer 3", "65: the unknown witness 'revers'"]),
        (case("dtypes: [float46, float64, float64]"),
         ["52: the unknown dtype 'float46'", "70: the dtype float64 again"]),
        (point("at: {x: -1}, valeu: 1"),
         ["58: the point x = -1.0, outside the domain", "66: the unknown key 'valeu'"]),
        (point("at: {x: 1}, value: x^2, gradient: {x: [1], y: 2}"),
         ["72: '^'", "88: a value of shape [1]", "96: the unknown input 'y'"]),
        (point("at: {x: 1^2, y: 1}, value: [1]"),
         ["61: '^'", "66: the unknown input 'y'", "73: a value of shape [1]"]),
        (case("points: [3, {at: {x: -1}}, {at: {x: -2}, due: to}]"),
         ["52: the integer 3", "61: the point x = -1.0, outside the domain",
          "76: the point x = -2.0, outside the domain", "84: the unknown key 'due'"]),
    ],
)  # fmt: skip
def test_what_else_is_wrong_is_found(text, found):
    assert problems(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (case("tags: [3]"), ["50: the integer 3"]),
        (case("dtypes: [float46]"), ["52: the unknown dtype 'float46'"]),
        (case("dtypes: [float64, flaot32], points: [{at: {x: 1}, dtypes: [float32]}]"),
         ["61: the unknown dtype 'flaot32'"]),
        ("c: {formula: x, inputs: {x: '(0, 1e-60)'}, dtyps: [float64]}",
         ["44: the unknown key 'dtyps'"]),
        ("c: {formula: x, inputs: {x: '(0, 1e-60)'}, dtypes: [flaot64]}",
         ["53: the unknown dtype 'flaot64'"]),
        ("c: {formula: x, inputs: {x: real}, ordre: 2,"
         " points: [{at: {x: 1}, hessian: {x: {x: 0}}}]}",
         ["36: the unknown key 'ordre'"]),
        ("c: {formula: x, inputs: {x: '(0, 1)'}, points: [{at: {x: 1 - 1e-10}, dtyps: [float64]}]}",
         ["70: the unknown key 'dtyps'"]),
        (point("att: {x: 1}, value: 1"), ["52: no 'at'", "53: the unknown key 'att'"]),
        (point("at: [1]"), ["57: a list"]),
        ("c: {formula: k*x, inputs: {x: real}, constants: {k: a}, torch: k*x}",
         ["53: the text 'a'"]),
        ("c: {formula: s, inputs: {x: real, y: real}, let: {s: x^2}}", ["54: '^'"]),
        (case("accuracy: {ulps: 0}"), ["43: no 'because'", "60: the integer 0"]),
    ],
)  # fmt: skip
def test_what_only_follows_from_a_faulty_part_is_not_said(text, found):
    assert problems(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "c: {formula: [a + p, x + q, w], inputs: {x: real}, where: [b > 0, x > r],"
            " let: {a: x + u, b: a + v, w: x + z, d: s}}",
            ["26: unknown name 'q'", "71: unknown name 'r'", "88: unknown name 'u'",
             "108: unknown name 'z'", "114: unknown name 's'"],
        ),
        (
            "c: {formula: a*x + z, inputs: {x: real}, let: {a: b, b: x}}",
            ["51: the name 'b', which is defined later"],
        ),
        (
            "c: {formula: e + x, inputs: {x: real}, let: {e: y}}",
            ["49: unknown name 'y'"],
        ),
        (
            "c: {formula: a + x, inputs: {x: real}, sweep: {k: [0, 2]}, let: {a: '[x, x][k]'}}",
            ["70: the index [2] of an array of shape [2] (in the variant k=2)"],
        ),
    ],
)  # fmt: skip
def test_every_let_is_tried_and_what_mentions_a_faulty_one_is_left_out(text, found):
    assert problems(text) == found


def test_the_parts_that_were_dropped_are_sound_when_they_are_mended():
    good = "tags: [slow], points: [{at: {x: 1}, value: 1, gradient: {x: 2}, dtypes: [float64]}]"
    assert len(load_text(case(good), "f.yaml")) == 1

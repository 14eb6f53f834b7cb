"""A visit shows the points that were asked for, the same ones wherever it runs."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from input_samples import DOUBLE, SINGLE, case, program, variable

from gradcheck.answer import Effort
from gradcheck.points.batches import batches
from gradcheck.points.generate import regimes
from gradcheck.points.visit import visit
from gradcheck.reference.exact import holds

X, Y = variable("x"), variable("y")
INPUTS = (X, Y)


def seen(chosen, points=64, seed=0, dtype=DOUBLE):
    found = []
    visit(
        chosen,
        chosen.variants[0],
        dtype,
        Effort(points=points, seed=seed),
        lambda batch: found.append(batch) or True,
    )
    return found


def bits(found):
    return [(batch.regime, [v.tobytes() for v in batch.points.values()]) for batch in found]


@pytest.mark.parametrize("points", [1, 7, 64, 500])
def test_exactly_the_points_that_were_asked_for_are_shown(points):
    assert sum(batch.count for batch in seen(case("max(x, y)", INPUTS), points)) == points


def test_every_regime_is_shown():
    chosen = case("max(x, y)", INPUTS)
    names = {batch.regime for batch in seen(chosen)}
    assert names == set(regimes(chosen.inputs, chosen.variants[0].program))
    assert len(names) == 9


def test_a_visit_repeated_shows_the_same():
    assert bits(seen(case("max(x, y)", INPUTS))) == bits(seen(case("max(x, y)", INPUTS)))


@pytest.mark.parametrize(
    "other",
    [
        lambda: seen(case("max(x, y)", INPUTS), seed=1),
        lambda: seen(case("max(x, y)", INPUTS, name="another")),
        lambda: seen(case("max(x, y)", INPUTS), dtype=SINGLE),
    ],
    ids=["seed", "name", "dtype"],
)
def test_another_seed_case_or_dtype_shows_other_points(other):
    mine = {blob for _, blobs in bits(seen(case("max(x, y)", INPUTS))) for blob in blobs}
    assert mine.isdisjoint(blob for _, blobs in bits(other()) for blob in blobs)


def test_no_process_and_no_profile_of_hypothesis_changes_a_point(tmp_path):
    script = tmp_path / "elsewhere.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "LOOKS_LIKE_OURS = [101, 250, 1.75, 123456789]\n"
        "from hypothesis import settings\n"
        "settings.register_profile('p', max_examples=3, derandomize=True)\n"
        "settings.load_profile('p')\n"
        "import hashlib, test_inputs_visit as here\n"
        "print(hashlib.sha256(repr(here.bits(here.seen(here.case('max(x, y)', here.INPUTS))))"
        ".encode()).hexdigest())\n",
        encoding="utf-8",
    )
    mine = hashlib.sha256(repr(bits(seen(case("max(x, y)", INPUTS)))).encode()).hexdigest()
    run = subprocess.run(
        [sys.executable, str(script)],
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "CI": "true", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == mine


def test_a_look_that_returns_false_ends_the_visit():
    found = []
    chosen = case("x", (X,))
    visit(chosen, chosen.variants[0], DOUBLE, Effort(), lambda batch: bool(found.append(batch)))
    assert len(found) == 1


def test_an_exception_of_the_look_comes_through_unchanged():
    def look(batch):
        raise RuntimeError("mine")

    chosen = case("x", (X,))
    with pytest.raises(RuntimeError, match=r"^mine$"):
        visit(chosen, chosen.variants[0], DOUBLE, Effort(), look)


def test_only_points_that_meet_where_are_shown_and_still_as_many():
    chosen = case("log(x - y)", INPUTS, "x > y", "x < 5")
    found = seen(chosen)
    assert sum(batch.count for batch in found) == 64
    for batch in found:
        assert (batch.points["x"] > batch.points["y"]).all()
        assert (batch.points["x"] < 5).all()


def test_nothing_is_shown_where_no_point_meets_where():
    assert seen(case("x", (X,), "x**2 < -1")) == []


def test_large_tensors_come_one_by_one():
    found = seen(case("sum(x)", (variable("x", shape=(64, 64)),)), points=6)
    assert [batch.count for batch in found] == [1] * 6


def test_plain_decimal_numbers_are_laid_over_the_points():
    found = seen(case("x", (X,)), points=400)
    values = np.concatenate([b.points["x"] for b in found if b.regime == "bulk"]).tolist()
    assert any(len(repr(value)) <= 5 for value in values)


@settings(max_examples=30)
@given(st.data())
def test_batches_hold_points_of_the_domain_that_meet_where(data):
    inputs = (variable("x", "(-4, 4)"), variable("y", "positive", (2,)))
    formula = program("x + max(y[0], y[1])", inputs, "x < y[0]")
    batch = data.draw(batches(inputs, formula, SINGLE, 6))
    assert 0 <= batch.count <= 6
    for row in range(batch.count):
        values = [batch.points["x"][row].item(), *batch.points["y"][row].tolist()]
        assert holds(formula, values)
        assert -4 < values[0] < 4
        assert min(values[1:]) > 0
        assert all(float(np.float32(value)) == value for value in values)

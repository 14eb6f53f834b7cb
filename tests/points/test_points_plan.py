"""As many points are drawn as were asked for, the same ones wherever it runs."""

import hashlib
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from input_samples import DOUBLE, SINGLE, case, variable

from gradcheck.answer import RunOptions
from gradcheck.catalog.load import load
from gradcheck.points.plan import affordable, drawn_batches, regimes

HERE = Path(__file__).parent
PINNED = {
    "polynomial": ["bd36ee22205e", "3f9fc73e0e79", "8732a321967d"],
    "unit_interval": ["831edf576e3b", "705f827fc224", "ba9deb7ff2d6"],
    "union_of_intervals": ["5a9d17366e0b", "19f46bb0c59e", "bf74a070c071"],
    "kinks_of_all_sorts": ["d1b4536e190b", "6f8f94e41556", "8b0911177292"],
    "joint_constraint": ["3460a8eeb08d", "a784f67534ac", "9b6a9307f751"],
    "vector": ["34adeccd515c", "baddcb0bbb12", "91af8f034e52"],
    "tied_inputs": ["9945470d8d91", "8e402a788b2b", "b46c13a7a682"],
    "definite_matrix": ["078d5397fa64", "c3da668ab649", "eb8c2bd01b5f"],
    "orthogonal_and_triangular": ["1b76b275ebbf", "62f1fd968152", "362007df50b1"],
    "swept_power": ["97dbafc7a9d3", "b0462bd118a5", "167ce96e2915"],
}
"""SHA-256 of a case's points at seeds 0, 1 and 2, as version 0.1.0 drew them."""

X, Y = variable("x"), variable("y")
INPUTS = (X, Y)


def seen(chosen, points=64, seed=0, dtype=DOUBLE):
    effort = RunOptions(points=points, seed=seed)
    return list(drawn_batches(chosen, chosen.variants[0], dtype, effort))


def bits(found):
    return [(batch.regime, [v.tobytes() for v in batch.points.values()]) for batch in found]


@pytest.mark.parametrize("points", [1, 7, 64, 500])
def test_exactly_the_points_that_were_asked_for_are_drawn(points):
    assert sum(batch.count for batch in seen(case("max(x, y)", INPUTS), points)) == points


def test_every_regime_is_drawn():
    chosen = case("max(x, y)", INPUTS)
    names = {batch.regime for batch in seen(chosen)}
    assert names == set(regimes(chosen.inputs, chosen.variants[0].formula))
    assert len(names) == 9


def test_each_regime_comes_in_turn_before_any_comes_twice():
    chosen = case("max(x, y)", INPUTS)
    order = regimes(chosen.inputs, chosen.variants[0].formula)
    assert order[0] == "bulk"
    assert [batch.regime for batch in seen(chosen, points=500)][:18] == [*order, *order]


def test_a_plan_repeated_draws_the_same():
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
def test_another_seed_case_or_dtype_draws_other_points(other):
    mine = {blob for _, blobs in bits(seen(case("max(x, y)", INPUTS))) for blob in blobs}
    assert mine.isdisjoint(blob for _, blobs in bits(other()) for blob in blobs)


def test_no_process_changes_a_point(tmp_path):
    script = tmp_path / "elsewhere.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import hashlib, test_points_plan as here\n"
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


def test_only_points_that_meet_where_are_drawn_and_still_as_many():
    chosen = case("log(x - y)", INPUTS, "x > y", "x < 5")
    found = seen(chosen)
    assert sum(batch.count for batch in found) == 64
    for batch in found:
        assert (batch.points["x"] > batch.points["y"]).all()
        assert (batch.points["x"] < 5).all()


def test_nothing_is_drawn_where_no_point_meets_where():
    assert seen(case("x", (X,), "x**2 < -1")) == []


def test_large_tensors_come_one_by_one():
    found = seen(case("sum(x)", (variable("x", shape=(64, 64)),)), points=6)
    assert [batch.count for batch in found] == [1] * 6


@pytest.mark.parametrize(
    ("points", "size", "count"),
    [(64, 1, 64), (64, 4096, 64), (64, 8192, 32), (64, 10**6, 2), (1, 10**6, 1), (6400, 10**6, 26)],
)
def test_large_arrays_are_checked_at_fewer_points_so_that_a_check_stays_affordable(
    points, size, count
):
    assert affordable(points, size) == count


def test_two_points_of_a_large_array_are_an_ordinary_one_and_tails():
    found = seen(case("sum(max(x, 1/2))", (variable("x", shape=(1000, 1000)),)))
    assert [(batch.regime, batch.count) for batch in found] == [("bulk", 1), ("tails", 1)]


def test_plain_decimal_numbers_are_laid_over_the_points():
    found = seen(case("x", (X,)), points=400)
    values = np.concatenate([b.points["x"] for b in found if b.regime == "bulk"]).tolist()
    assert any(len(repr(value)) <= 5 for value in values)


def fingerprint(chosen, seed):
    """A hash of the bits of 100 points of each variant in both dtypes."""
    found = hashlib.sha256()
    for variant, dtype in product(chosen.variants, (DOUBLE, SINGLE)):
        for batch in drawn_batches(chosen, variant, dtype, RunOptions(points=100, seed=seed)):
            found.update(batch.regime.encode())
            found.update(b"".join(values.tobytes() for values in batch.points.values()))
    return found.hexdigest()[:12]


@pytest.mark.parametrize("chosen", load(HERE / "pinned_cases.yaml"), ids=lambda case: case.name)
def test_the_points_of_a_case_are_bit_for_bit_those_of_version_0_1_0(chosen):
    assert [fingerprint(chosen, seed) for seed in range(3)] == PINNED[chosen.name]


def test_a_fingerprint_tells_points_of_another_seed_apart():
    digests = [digest for row in PINNED.values() for digest in row]
    assert len(set(digests)) == len(digests) == 30

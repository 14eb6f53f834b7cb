"""As many points are drawn as were asked for, the same ones wherever it runs."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from itertools import groupby, product
from pathlib import Path

import numpy as np
import pytest
from input_samples import DOUBLE, HERE, SINGLE, case, variable

from gradcheck.answer import RunOptions
from gradcheck.catalog.case import Point
from gradcheck.catalog.load import load
from gradcheck.language.parse import parse
from gradcheck.points.plan import Site, affordable, covering_batch, parts, planned, regimes

FOLDER = Path(__file__).parent
PINNED = {
    "polynomial": ["668358ebb154", "4c8ec781f593", "a37d54217eb2"],
    "unit_interval": ["f2a52e23cf38", "9cf0eef6acc9", "c088c438a824"],
    "union_of_intervals": ["2858c17bbf5a", "aa1b6d77b535", "b8af3fd63fc7"],
    "kinks_of_all_sorts": ["39764587c019", "badb29b8dbf4", "e153cd250340"],
    "joint_constraint": ["1629fc3f6d13", "281ceb53cc0f", "0d1aec06506a"],
    "vector": ["bd45bc550c25", "3f066e186866", "b07394811e53"],
    "tied_inputs": ["b92291fc348b", "edd95cb17284", "c79dc01c4284"],
    "definite_matrix": ["a8ad4ced8b00", "6432a97e0b57", "847bfb2e864a"],
    "orthogonal_and_triangular": ["802bcd371a68", "1fb3c2d78c59", "11863e06912c"],
    "swept_power": ["14813dff56cd", "e7ae93a191bd", "2265d90d3b79"],
}
"""SHA-256 of a case's points at seeds 0, 1 and 2: on every machine, until someone means it."""

X, Y = variable("x"), variable("y")
INPUTS = (X, Y)


def plan_of(chosen, variant, points=64, seed=0, dtype=DOUBLE):
    covering = covering_batch(Site(variant.inputs, variant.formula, dtype))
    return planned(chosen, variant, dtype, RunOptions(points=points, seed=seed), covering)


def seen(chosen, points=64, seed=0, dtype=DOUBLE):
    return plan_of(chosen, chosen.variants[0], points, seed, dtype)


def drawn(batch):
    """Its points beyond the covering set."""
    return batch.taken(np.arange(batch.count) >= batch.covering)


def bits(batch):
    columns = zip(*batch.points.values(), strict=True)
    return [b"".join(value.tobytes() for value in point) for point in columns]


@pytest.mark.parametrize("points", [1, 7, 64, 500])
def test_exactly_the_points_that_were_asked_for_are_drawn(points):
    assert seen(case("max(x, y)", INPUTS), points).count == points


def test_no_point_comes_twice():
    found = bits(seen(case("x", (X,)), 500))
    assert len(set(found)) == len(found) == 500


def test_a_device_that_flushes_subnormal_numbers_is_given_none():
    least = SINGLE.smallest_normal

    def subnormal(dtype):
        sizes = np.abs(seen(case("x", (X,)), 200, dtype=dtype).points["x"])
        return int(((sizes > 0) & (sizes < least)).sum())

    assert subnormal(SINGLE) > 3
    assert subnormal(replace(SINGLE, flushes=True)) == 0


def declared(x):
    return Point(where=HERE, at={"x": parse(x)}, known={}, because="", dtypes=())


def test_a_declared_point_is_not_repeated():
    without, other = (seen(case("x", (X,), points=(declared(x),))) for x in ("1", "41.5"))
    assert 1.0 not in without.points["x"]
    assert 1.0 in other.points["x"]


def test_every_regime_is_drawn():
    chosen = case("max(x, y)", INPUTS)
    names = set(drawn(seen(chosen)).kinds)
    assert names == set(regimes(chosen.inputs, chosen.variants[0].formula))
    assert len(names) == 11


def test_each_regime_comes_in_turn_before_any_comes_twice():
    chosen = case("max(x, y)", INPUTS)
    order = regimes(chosen.inputs, chosen.variants[0].formula)
    assert order[0] == "bulk"
    turns = [kind for kind, _ in groupby(drawn(seen(chosen, points=1000)).kinds)]
    assert turns[:22] == [*order, *order]


def test_three_quarters_of_the_points_are_those_of_the_covering_set_in_its_order():
    chosen = case("max(x, y)", INPUTS)
    few, many = seen(chosen, 24), seen(chosen, 64)
    assert (few.covering, many.covering) == (18, 48)
    assert bits(few)[:18] == bits(many)[:18]


def test_another_seed_changes_the_drawn_points_alone():
    chosen = case("max(x, y)", INPUTS)
    one, other = seen(chosen, seed=0), seen(chosen, seed=1)
    assert bits(one)[:48] == bits(other)[:48]
    assert set(bits(one)[48:]).isdisjoint(bits(other)[48:])


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
    mine = set(bits(drawn(seen(case("max(x, y)", INPUTS)))))
    assert mine.isdisjoint(bits(drawn(other())))


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
    found = seen(case("log(x - y)", INPUTS, "x > y", "x < 5"))
    assert found.count == 64
    assert (found.points["x"] > found.points["y"]).all()
    assert (found.points["x"] < 5).all()


def test_nothing_is_drawn_where_no_point_meets_where():
    assert seen(case("x", (X,), "x**2 < -1")).count == 0


@pytest.mark.parametrize(("shape", "counts"), [((64, 64), [1] * 6), ((32, 32), [4, 2])])
def test_large_tensors_are_put_to_the_code_in_small_parts(shape, counts):
    found = seen(case("sum(x)", (variable("x", shape=shape),)), points=6)
    assert [part.count for part in parts(found)] == counts
    assert sum(part.covering for part in parts(found)) == found.covering == 5
    assert [kind for part in parts(found) for kind in part.kinds] == list(found.kinds)


@pytest.mark.parametrize(
    ("points", "size", "count"),
    [(64, 1, 64), (64, 4096, 64), (64, 8192, 32), (64, 10**6, 2), (1, 10**6, 1), (6400, 10**6, 26)],
)
def test_large_arrays_are_checked_at_fewer_points_so_that_a_check_stays_affordable(
    points, size, count
):
    assert affordable(points, size) == count


def test_two_points_of_a_large_array_are_an_ordinary_one_and_plain_numbers():
    found = seen(case("sum(max(x, 1/2))", (variable("x", shape=(512, 256)),)))
    assert found.kinds == ("bulk", "plain")
    values = found.points["x"][1]
    assert {0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5} < set(values.ravel().tolist())
    assert (values > 10).any()


def test_plain_decimal_numbers_are_laid_over_the_points():
    found = drawn(seen(case("x", (X,)), points=400))
    bulk = np.array([kind == "bulk" for kind in found.kinds])
    assert any(len(repr(value)) <= 5 for value in found.points["x"][bulk].tolist())


def fingerprint(chosen, seed):
    """A hash of the bits of 100 points of each variant in both dtypes."""
    found = hashlib.sha256()
    for variant, dtype in product(chosen.variants, (DOUBLE, SINGLE)):
        batch = plan_of(chosen, variant, 100, seed, dtype)
        found.update(" ".join(batch.kinds).encode())
        found.update(b"".join(values.tobytes() for values in batch.points.values()))
    return found.hexdigest()[:12]


@pytest.mark.parametrize("chosen", load(FOLDER / "pinned_cases.yaml"), ids=lambda case: case.name)
def test_the_points_of_a_case_are_bit_for_bit_those_that_are_pinned(chosen):
    assert [fingerprint(chosen, seed) for seed in range(3)] == PINNED[chosen.name]


def test_a_fingerprint_tells_points_of_another_seed_apart():
    digests = [digest for row in PINNED.values() for digest in row]
    assert len(set(digests)) == len(digests) == 30

"""Stands in for ``gradcheck.diagnosis`` where the plugin is on trial.

A case's name says how its checks end.
"""

import time
from importlib import import_module

import pytest

from gradcheck.answer import EntryReport, Guess, GuessKind, Outcome, Ruling
from gradcheck.errors import CatalogError, Problem

WORST = EntryReport(
    at={"x": -40.0},
    index="∂/∂x",
    label="autograd.grad",
    got=0.0,
    true="4.248e-18",
    radius="1e-33",
    ulps=5.0,
    relative=1e-16,
    ruling=Ruling.DISAGREE,
    reason="wrong",
)

RULINGS = {
    "agrees": Ruling.AGREE,
    "slow": Ruling.AGREE,
    "imports": Ruling.AGREE,
    "inaccurate": Ruling.INACCURATE,
    "disagrees": Ruling.DISAGREE,
    "abstains": Ruling.ABSTAIN,
    "known": Ruling.KNOWN,
}


def examine(check, run_options):
    kind = check.case.name.partition("_")[0]
    if kind == "crashes":
        raise ZeroDivisionError("a defect of our own")
    if kind == "misses":
        place = check.case.where
        raise CatalogError([Problem(place, "importing 'nowhere' failed", "a module", "a fix")])
    if kind == "imports":
        import_module(check.implementation.function.partition(":")[0])
    if kind == "skips":
        pytest.skip("by the code on trial")
    if kind == "slow":
        time.sleep(60)
    ruling = RULINGS[kind]
    disagrees = ruling is Ruling.DISAGREE
    return Outcome(
        verdict=ruling,
        reason=f"{kind} for {run_options.points} points and seed {run_options.seed}",
        entries=10,
        abstained=1,
        points=run_options.points,
        seconds=0.5,
        counts={"agree": 9, "faithful": 9},
        worst=WORST,
        failures=(WORST,) if disagrees else (),
        smallest=(WORST,) if disagrees else (),
        blame="PyTorch's backward is wrong" if disagrees else "",
        guess=Guess(GuessKind.SIGN, "sign") if disagrees else None,
    )

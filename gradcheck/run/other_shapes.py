"""The same function at other shapes than a case declares, where a user's code takes them.

A kernel may be wrong for an odd length alone, for one entry, or beyond a block of threads. What a
formula means there is its own text, written anew; whether that is what its author means, the code's
own value tells: where the two differ, nothing is asked. And a backward may be made for the case's
shape alone: it is meant for others where it is right at one that is near.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace

from gradcheck.catalog.case import Case, Variant
from gradcheck.catalog.checks import Check
from gradcheck.catalog.variants import resized
from gradcheck.methods import METHODS
from gradcheck.reference.size import cost
from gradcheck.run.session import once_of

NEAR_SHAPES = 2
"""So many of the shapes come first that are near to the case's own in every length."""
_ASKED = ("reverse", "forward", "second")
"""The witnesses that are asked there, after ``value``."""
_LONG = (1031, 131, 37)
"""Primes beyond a block of a kernel, the first of which is taken whose derivative is cheap."""
_MOST_LONG = 2  # lengths that are made so long, each in turn
_MOST_OPERATIONS = 100_000  # of the formula itself


def checks_of_other_shapes(check: Check) -> Iterator[list[list[Check]]]:
    """Yield for each other shape the check of the value there, and those by who is asked.

    There is none for one that the formula cannot have, or that is dear. Where a number of the sweep
    may be a length there are two such lists: which is right is to be found out, by the value.
    """
    if not check.implementation.is_own_code or check.known:
        return
    variants = once_of(
        check.variant, "other shapes", lambda: list(_variants(check.case, check.variant))
    )
    without = check.case.without
    asked = [
        name for name in _ASKED if METHODS[name].order <= check.case.order and name not in without
    ]
    case = replace(check.case, points=())
    for alike in variants:
        own = [replace(check, case=case, variant=variant) for variant in alike]
        yield [[replace(each, witness=name) for name in ("value", *asked)] for each in own]


def _variants(case: Case, variant: Variant) -> Iterator[tuple[Variant, ...]]:
    placed = {each.input for each in case.parameters}
    fixed = {length for each in variant.inputs if each.name in placed for length in each.shape}
    for several in _others(variant, fixed):
        found = (_cheap(case, variant, lengths) for lengths in several)
        yield next(filter(None, found), ())


def _others(variant: Variant, fixed: Set[int]) -> Iterator[list[dict[int, int]]]:
    """Yield lengths and what becomes of them: one and two more, one, and each in turn long.

    Those of a module's parameters are ``fixed``. Triton's interpreter is spared long ones.
    """
    found = {each for one in variant.inputs for each in one.shape if each > 1}
    lengths = sorted(found - fixed)
    if lengths:
        yield from ([{each: each + more for each in lengths}] for more in range(1, NEAR_SHAPES + 1))
        yield [dict.fromkeys(lengths, 1)]
    if os.environ.get("TRITON_INTERPRET") == "1":  # a long one takes many seconds a call
        return
    for length in lengths[: -_MOST_LONG - 1 : -1]:
        yield [{length: long} for long in _LONG if long > length and long not in lengths]


def _cheap(case: Case, variant: Variant, lengths: Mapping[int, int]) -> tuple[Variant, ...]:
    found = (
        resized(case, variant, lengths, with_sweep=with_sweep)
        for with_sweep in ((True, False) if variant.values else (False,))
    )
    return tuple(each for each in found if each is not None and _is_cheap(each))


def _is_cheap(variant: Variant) -> bool:
    formula = variant.formula
    results = [node for node in formula.results if node is not None]
    return cost(formula.graph, results)[0] <= _MOST_OPERATIONS

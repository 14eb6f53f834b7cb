"""What to write in the torch language for a name that it does not have. Knows no torch."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from functools import cache

from gradcheck.formula.torch_list import METHODS, allowed

_MODULES = ("torch", "torch.nn.functional", "torch.special", "torch.linalg", "torch.fft")
"""Where a function of that name is looked for, in this order."""
_SYNONYMS = {
    "torch.log": "ln Log",
    "torch.abs": "Abs fabs",
    "torch.sign": "Sign signum",
    "torch.maximum": "Max",
    "torch.minimum": "Min",
    "torch.pow": "power Pow",
    "torch.where": "Piecewise select",
    "torch.round": "rint around",
    "torch.lgamma": "gammaln loggamma log_gamma",
    "torch.digamma": "psi",
    "torch.sigmoid": "logistic",
    "torch.special.bessel_j0": "j0",
    "torch.special.bessel_j1": "j1",
    "torch.nn.functional.silu": "swish",
    "torch.nn.functional.logsigmoid": "log_sigmoid",
    "torch.sum": "reduce_sum Sum",
    "torch.mean": "reduce_mean average avg",
}
_OTHERS = {other: name for name, others in _SYNONYMS.items() for other in others.split()}
_CUTOFF = 0.75


@cache
def _by_last_part() -> dict[str, str]:
    """Each function by the last part of its name; where several modules have it, the first."""
    functions = (name for name in sorted(allowed()) if not name.startswith(METHODS))
    found = {name.rpartition(".")[2]: name for name in functions}
    for module in reversed(_MODULES):
        found |= {last: f"{module}.{last}" for last in found if f"{module}.{last}" in allowed()}
    return found


def function_for(name: str) -> str | None:
    """The function of PyTorch that ``name``, whatever stands before its last dot, must mean."""
    last = name.rpartition(".")[2]
    known = _by_last_part()
    same = known.get(last) or _OTHERS.get(last) or known.get(last.lower())
    if same:
        return same
    near = get_close_matches(last, sorted(known), 1, _CUTOFF)
    return known[near[0]] if near else None


def method_for(name: str) -> str | None:
    methods = [each.removeprefix(METHODS) for each in allowed() if each.startswith(METHODS)]
    return nearest(name, methods)


def nearest(name: str, known: Collection[str]) -> str | None:
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return near[0] if near else None

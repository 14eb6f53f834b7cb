"""PyTorch's own modes against each other, on its own samples: no formula is needed.

Run by `tox -e samples`; it needs the extra `samples`. On thousands of samples the Jacobian by
`torch.autograd.grad`, row by row, is held against `torch.func.jacrev`, `jacfwd` and dual
tensors, and the Hessian of a weighted sum by reverse over reverse against the four nestings of
`torch.func`. Which of two is wrong it does not say: where modes differ a case has to be written.
What is known is in `hunts.yaml`, and docs/findings.md tells why; what is new is printed first.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from samples import limited
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import jacfwd, jacrev
from torch.utils._pytree import tree_leaves, tree_map

TOLERANCE = 1e-6
"""Of the largest entry: a wrong formula shows, and rounding does not."""
MOST_INPUTS, MOST_OUTPUTS, MOST_FOR_HESSIANS = 60, 300, 30
SECONDS = 10
"""A sample that takes longer is given up."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A mode that differs from eager reverse mode, on the first sample that shows it."""

    operator: str
    mode: str
    error: str
    sample: str


def flat(result: Any) -> Tensor:
    """All real numbers of a result in one row."""
    tensors = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
    parts = [torch.view_as_real(each.resolve_conj()) if each.is_complex() else each
             for each in tensors if each.is_floating_point() or each.is_complex()]  # fmt: skip
    return torch.cat([each.reshape(-1) for each in parts]) if parts else torch.zeros(0)


@dataclass(frozen=True, slots=True)
class Trial:
    """A sample as a function of one vector, and the vector."""

    function: Callable[[Tensor], Tensor]
    at: Tensor


def trial_of(op: Any, sample: Any) -> Trial | None:
    """None where the sample has no real strided inputs, or too many."""
    given = (sample.input, tuple(sample.args), dict(sample.kwargs))
    leaves = [each for each in tree_leaves(given) if isinstance(each, Tensor)]
    inputs = [each for each in leaves if each.requires_grad and each.is_floating_point()]
    if not inputs or any(each.layout is not torch.strided for each in leaves):
        return None
    sizes = [each.numel() for each in inputs]
    if not all(sizes) or sum(sizes) > MOST_INPUTS:
        return None

    def function(row: Tensor) -> Tensor:
        parts = zip(inputs, row.split(sizes), strict=True)
        moved = {id(each): part.reshape(each.shape) for each, part in parts}
        first, arguments, keywords = tree_map(lambda each: moved.get(id(each), each), given)
        return flat(op.op(first, *arguments, **keywords))

    return Trial(function, torch.cat([each.detach().reshape(-1) for each in inputs]))


def differences(trial: Trial) -> Iterator[tuple[str, str]]:
    """The modes that differ from eager reverse mode, each with how far off it is."""
    function, at = trial.function, trial.at
    row = at.clone().requires_grad_()
    result = function(row)
    if not result.requires_grad or not 0 < result.numel() <= MOST_OUTPUTS:
        return
    jacobian = torch.stack([torch.autograd.grad(y, row, retain_graph=True)[0] for y in result])
    yield from _compared(jacobian, _JACOBIANS, function, at)
    if at.numel() > MOST_FOR_HESSIANS:
        return
    weights = torch.linspace(0.3, 1.7, result.numel())

    def weighed(u: Tensor) -> Tensor:
        return (function(u) * weights).sum()

    hessian = _tried(lambda: _reverse_over_reverse(weighed, at))
    if hessian is not None and hessian.abs().max() > 1e-9:
        yield from _compared(hessian, _HESSIANS, weighed, at)


def _reverse_over_reverse(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    row = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(row), row, create_graph=True)
    return torch.stack([torch.autograd.grad(each, row, retain_graph=True)[0] for each in slope])


def _dual_columns(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    columns = []
    for tangent in torch.eye(at.numel(), dtype=at.dtype):
        with forward_ad.dual_level():
            dual = forward_ad.unpack_dual(function(forward_ad.make_dual(at, tangent)))
            columns.append(
                torch.zeros_like(dual.primal) if dual.tangent is None else dual.tangent.clone()
            )
    return torch.stack(columns, 1)


_Mode = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
_JACOBIANS: dict[str, _Mode] = {
    "jacrev": lambda f, at: jacrev(f)(at),
    "dual tensors": _dual_columns,
    "jacfwd": lambda f, at: jacfwd(f)(at),
}
_HESSIANS: dict[str, _Mode] = {
    "jacfwd of jacrev": lambda f, at: jacfwd(jacrev(f))(at),
    "jacrev of jacfwd": lambda f, at: jacrev(jacfwd(f))(at),
    "jacfwd of jacfwd": lambda f, at: jacfwd(jacfwd(f))(at),
    "jacrev of jacrev": lambda f, at: jacrev(jacrev(f))(at),
}


def _compared(
    eager: Tensor, modes: Mapping[str, _Mode], function: Callable[[Tensor], Tensor], at: Tensor
) -> Iterator[tuple[str, str]]:
    for name, mode in modes.items():
        found = _tried(lambda mode=mode: mode(function, at))
        error = "" if found is None else distance(found, eager)
        if error:
            yield name, error


def _tried(derivative: Callable[[], Tensor]) -> Tensor | None:
    """None where PyTorch has no such derivative."""
    try:
        return derivative()
    except Late:
        raise
    except Exception:
        return None


def distance(found: Tensor, eager: Tensor) -> str:
    """How far apart two derivatives are, as a text; empty where they are one."""
    if found.shape != eager.shape:
        return f"shape {list(found.shape)} for {list(eager.shape)}"
    finite = eager.isfinite()
    if not found[finite].isfinite().all():
        return "not finite"
    error = ((found - eager)[finite].abs() / (eager[finite].abs().max() + 1e-30)).max() \
        if finite.any() else torch.zeros(())  # fmt: skip
    return f"{error:.1e} of the largest" if error > TOLERANCE else ""


class Late(Exception):
    """A sample takes too long."""


def hunt(op: Any, most: int) -> tuple[int, list[Difference]]:
    """How many samples of an operator were held, and each mode that differs on one."""
    count, found = 0, {}
    for sample in op.sample_inputs("cpu", torch.float64, requires_grad=True):
        trial = trial_of(op, sample) if count < most else None
        if trial is None:
            continue
        count += 1
        try:
            with limited(SECONDS, Late()):
                for mode, error in differences(trial):
                    text = f"{sample.summary()}"[:200]
                    found.setdefault(mode, Difference(name_of(op), mode, error, text))
        except Exception:  # it takes too long, or PyTorch refuses the sample
            continue
    return count, list(found.values())


def name_of(op: Any) -> str:
    return f"{op.name} ({op.variant_test_name})" if op.variant_test_name else str(op.name)


def main() -> int:
    """Print what differs, known and new apart; 1 if something is new."""
    from torch.testing._internal.common_methods_invocations import op_db

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="*", help="names of the operator database; else all")
    parser.add_argument("--samples", type=int, default=12, help="of each operator, at most")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    table = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    known, random = table["known"], set(table["random"])
    count, found, start = 0, [], time.monotonic()
    for op in op_db:
        usable = op.supports_autograd and torch.float64 in op.supported_dtypes("cpu")
        if (
            usable
            and op.name not in random
            and (not options.operators or op.name in options.operators)
        ):
            samples, differing = hunt(op, options.samples)
            count, found = count + samples, [*found, *differing]
    new = [each for each in found if each.operator.partition(" ")[0] not in known]
    for title, some in {"new": new, "known": [each for each in found if each not in new]}.items():
        print(f"{title}: {len(some)}")
        for each in some:
            why = known.get(each.operator.partition(" ")[0], "")
            print(f"  {each.operator}, {each.mode}: {each.error}  {why or each.sample}")
    print(f"{count:,} samples in {time.monotonic() - start:.0f} s")
    return int(bool(new))


if __name__ == "__main__":
    sys.exit(main())

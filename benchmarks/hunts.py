"""PyTorch's own modes against each other, on its own samples: no formula is needed.

Run by `tox -e samples`; it needs the extra `samples`. On thousands of samples the Jacobian by
`torch.autograd.grad`, row by row, is held against `torch.func.jacrev`, `jacfwd` and dual
tensors, and the Hessian of a weighted sum by reverse over reverse against the four nestings of
`torch.func`. Which of two is wrong it does not say: where modes differ a case has to be written.
What is known is in `hunts.yaml`, and docs/findings.md tells why; what is new is printed first.

Modes may differ where there is no derivative that they could share, so these are not compared:
what is a result of no finite number, or of an infinite input; a kink, and the derivative of what
has no finite one; what PyTorch calls nondeterministic and overwrites; entries of a matrix that the
operator takes to be symmetric, in another way than both together; and what rounding makes of a
derivative that is 0.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
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
ROUNDING = 1e-12
"""Of |f| / |x|, or of |f|: so much rounding makes of a derivative that is 0."""
STEP, KINK = 1e-6, 1e-2
"""How far slopes to the left and right are taken, and how much of |f| / |x| is a kink between."""
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
    """None where the sample has no finite real strided inputs, or too many."""
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
        torch.default_generator.manual_seed(0)  # what is random is so in the same way
        result = _symmetric(op)(op.op, first, *arguments, **keywords)
        return flat(sample.output_process_fn_grad(result))

    at = torch.cat([each.detach().reshape(-1) for each in inputs])
    return Trial(function, at) if at.isfinite().all() else None


def _symmetric(op: Any) -> Callable[..., Any]:
    """PyTorch's own way to call an operator that reads one of two triangles and derives by both."""
    if op.gradcheck_wrapper.__name__ == "gradcheck_wrapper_hermitian_input":
        return op.gradcheck_wrapper
    return lambda function, *arguments, **keywords: function(*arguments, **keywords)


def fair(trial: Trial) -> Trial | None:
    """The results of a trial that have one derivative; None where there are none, or too many."""
    result = _tried(lambda: trial.function(trial.at))
    if result is None or not 0 < result.numel() <= MOST_OUTPUTS or _is_a_race(trial, result):
        return None
    kept = (result.isfinite() & ~_kinks(trial, result)).nonzero()[:, 0]
    if len(kept) == len(result):
        return trial
    return Trial(lambda row: trial.function(row)[kept], trial.at) if len(kept) else None


def _kinks(trial: Trial, result: Tensor) -> Tensor:
    """Which results have another slope to the left than to the right, or jump."""
    step = STEP * _scale(trial.at) * torch.linspace(0.6, 1.4, len(trial.at), dtype=trial.at.dtype)
    before, after = trial.function(trial.at - step), trial.function(trial.at + step)
    if before.shape != result.shape or after.shape != result.shape:
        return torch.ones_like(result, dtype=torch.bool)
    turn = (after - 2 * result.detach() + before).abs()
    slope = (after - before).abs() + STEP * result.detach().abs()
    return turn > KINK * slope


def _is_a_race(trial: Trial, result: Tensor) -> bool:
    """Whether inputs are written to one place, and PyTorch does not promise which one stays."""
    if result.count_nonzero() >= trial.at.count_nonzero():
        return False
    torch.use_deterministic_algorithms(mode=True)
    try:
        trial.function(trial.at)
    except RuntimeError as error:
        return "deterministic" in str(error)
    finally:
        torch.use_deterministic_algorithms(mode=False)
    return False


def differences(trial: Trial) -> Iterator[tuple[str, str]]:
    """The modes that differ from eager reverse mode, each with how far off it is."""
    function, at = trial.function, trial.at
    jacobian = _tried(lambda: _rows(function, at))
    if jacobian is None:
        return
    noise = ROUNDING * _largest(function(at)) / _scale(at)
    yield from _compared(jacobian, noise, _JACOBIANS, function, at)
    direction = 1 + torch.arange(at.numel(), dtype=at.dtype) % 7 / 8  # exact in half precision
    along = {"dual tensors": lambda f, at: _dual(f, at, direction)}
    yield from _compared(jacobian @ direction, noise, along, function, at)
    if at.numel() > MOST_FOR_HESSIANS or not jacobian.isfinite().all():
        return
    weights = torch.linspace(0.3, 1.7, len(jacobian), dtype=at.dtype)

    def weighed(u: Tensor) -> Tensor:
        return (function(u) * weights).sum()

    hessian = _tried(lambda: _reverse_over_reverse(weighed, at))
    if hessian is not None:
        noise = (ROUNDING * _largest(jacobian) + noise) / _scale(at)
        yield from _compared(hessian, noise, _HESSIANS, weighed, at)


def _largest(numbers: Tensor) -> float:
    finite = numbers.detach()[numbers.isfinite()]
    return float(finite.abs().max()) if finite.numel() else 0.0


def _scale(at: Tensor) -> float:
    """The length on which a function changes: of the inputs, but at most 1."""
    return min(_largest(at), 1.0) or 1.0


def _rows(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    row = at.clone().requires_grad_()
    results = function(row)
    return torch.stack([torch.autograd.grad(y, row, retain_graph=True)[0] for y in results])


def _reverse_over_reverse(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    row = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(row), row, create_graph=True)
    return torch.stack([torch.autograd.grad(each, row, retain_graph=True)[0] for each in slope])


def _dual(function: Callable[[Tensor], Tensor], at: Tensor, tangent: Tensor) -> Tensor:
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(function(forward_ad.make_dual(at, tangent)))
        return torch.zeros_like(dual.primal) if dual.tangent is None else dual.tangent.clone()


_Mode = Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]
_JACOBIANS: dict[str, _Mode] = {
    "jacrev": lambda f, at: jacrev(f)(at),
    "jacfwd": lambda f, at: jacfwd(f)(at),
}
_HESSIANS: dict[str, _Mode] = {
    "jacfwd of jacrev": lambda f, at: jacfwd(jacrev(f))(at),
    "jacrev of jacfwd": lambda f, at: jacrev(jacfwd(f))(at),
    "jacfwd of jacfwd": lambda f, at: jacfwd(jacfwd(f))(at),
    "jacrev of jacrev": lambda f, at: jacrev(jacrev(f))(at),
}


def _compared(
    eager: Tensor,
    noise: float,
    modes: Mapping[str, _Mode],
    function: Callable[[Tensor], Tensor],
    at: Tensor,
) -> Iterator[tuple[str, str]]:
    for name, mode in modes.items():
        found = _tried(lambda mode=mode: mode(function, at))
        error = "" if found is None else distance(found, eager, noise)
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


def distance(found: Tensor, eager: Tensor, noise: float) -> str:
    """How far apart two derivatives are, as a text; empty where they are one."""
    if found.shape != eager.shape:
        return f"shape {list(found.shape)} for {list(eager.shape)}"
    finite = eager.isfinite()
    if not found[finite].isfinite().all():
        return "not finite"
    off, largest = _largest(found[finite] - eager[finite]), _largest(eager)
    return f"{off:.1e}, where the largest is {largest:.1e}" \
        if off > TOLERANCE * largest + noise else ""  # fmt: skip


class Late(Exception):
    """A sample takes too long."""


def hunt(op: Any, most: int) -> tuple[int, list[Difference]]:
    """How many samples of an operator were held, and each mode that differs on one."""
    samples = op.sample_inputs("cpu", torch.float64, requires_grad=True)
    both = [(trial_of(op, sample), sample) for sample in samples]
    trials = [(trial, sample) for trial, sample in both if trial is not None]
    count, found = 0, {}
    for trial, sample in trials[:: max(1, -(-len(trials) // most))]:
        try:
            with limited(SECONDS, Late()):
                kept = fair(trial)
                for mode, error in differences(kept) if kept else ():
                    text = f"{sample.summary()}"[:200]
                    found.setdefault(mode, Difference(name_of(op), mode, error, text))
                count += kept is not None
        except Late:
            continue
    return count, list(found.values())


def name_of(op: Any) -> str:
    return f"{op.name} ({op.variant_test_name})" if op.variant_test_name else str(op.name)


def operators(names: Sequence[str] = ()) -> list[Any]:
    """Those of PyTorch's database that have a derivative in float64, or those named."""
    from torch.testing._internal.common_methods_invocations import op_db

    return [
        op
        for op in op_db
        if op.supports_autograd
        and torch.float64 in op.supported_dtypes("cpu")
        and (not names or op.name in names)
    ]


def known_differences() -> dict[tuple[str, str], str]:
    """By operator and mode what docs/findings.md calls the defect."""
    table = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return {
        (operator, mode): what
        for operator, findings in table.items()
        for what, modes in findings.items()
        for mode in modes
    }


def report_of(
    found: Sequence[Difference], known: Mapping[tuple[str, str], str]
) -> dict[str, list[str]]:
    """What is new, what is known, and what is known and was not met, in lines."""
    met = {(each.operator, each.mode): each for each in found}
    return {
        "new": [_line(*key, each.error, each.sample)
                for key, each in met.items() if key not in known],
        "known": [_line(*key, each.error, known[key]) for key, each in met.items() if key in known],
        "known, and not met": [_line(*key, what)
                               for key, what in known.items() if key not in met],
    }  # fmt: skip


def _line(operator: str, mode: str, *parts: str) -> str:
    return f"  {operator}, {mode}: {'  '.join(parts)}"


def _hunted(place: int, names: Sequence[str], most: int) -> tuple[int, list[Difference]]:
    from torch.testing._internal.common_utils import set_rng_seed

    set_rng_seed(0)
    warnings.simplefilter("ignore")
    return hunt(operators(names)[place], most)


def main() -> int:
    """Print what differs, new and known apart; 1 if something is new, or known and not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("operators", nargs="*", help="names of the operator database; else all")
    parser.add_argument("--samples", type=int, default=72, help="of each operator, at most")
    options = parser.parse_args()
    start = time.monotonic()
    places = range(len(operators(options.operators)))
    jobs = [(place, options.operators, options.samples) for place in places]
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        results = pool.starmap(_hunted, jobs, chunksize=8)
    names = {name_of(op) for op in operators(options.operators)}
    known = {key: what for key, what in known_differences().items() if key[0] in names}
    report = report_of([each for _, found in results for each in found], known)
    for title, lines in report.items():
        print(f"{title}: {len(lines)}", *lines, sep="\n")
    count = sum(each for each, _ in results)
    print(f"{count:,} samples in {time.monotonic() - start:.0f} s")
    return int(bool(report["new"] or report["known, and not met"]))


if __name__ == "__main__":
    sys.exit(main())

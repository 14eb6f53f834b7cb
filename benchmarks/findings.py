"""What PyTorch gets wrong: each script of findings.yaml is run, and docs/findings.md written anew.

Run by hand after a new PyTorch or a new finding. The truth is mpmath's at 60 digits, or exact; no
other code of this repository takes part. A script whose number is right after all is an error.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from mpmath import mp

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "findings.md"
BEGIN, END = "<!-- written by benchmarks/findings.py -->\n", "<!-- to here -->\n"
LEAST = 16  # ulps from which on a number is wrong, not rounded
PRELUDE = """\
import torch
from mpmath import mp
from torch.autograd import forward_ad
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
mp.dps = 60

def reverse(f):  # the gradient of the sum of f
    return lambda x: torch.autograd.grad(f(leaf(x)).sum(), x)[0]

def graphed(f):  # the same, to be derived again by reverse mode
    return lambda x: torch.autograd.grad(f(leaf(x)).sum(), x, create_graph=True)[0]

def leaf(x):
    return x if x.requires_grad else x.requires_grad_()

def forward(f):  # the derivative of f along ones
    def derivative(x):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(leaf(x), torch.ones_like(x))
            tangent = forward_ad.unpack_dual(f(dual)).tangent
            return torch.zeros_like(x) if tangent is None else tangent
    return derivative

def forward_twice(f):
    def jvp(f):
        return lambda x: torch.func.jvp(f, (x,), (torch.ones_like(x),))[1]
    return jvp(jvp(f))
"""
_MODES = re.compile(r"(?:reverse|forward|forward_twice|graphed|\(|\))+")


@dataclass(frozen=True, slots=True)
class Finding:
    """A defect: ``f`` at ``x``, what is asked, and the truth, all of them as a script has them."""

    what: str
    f: str
    x: str
    call: str
    truth: str
    issue: str | int | list[int]
    because: str
    cases: tuple[str, ...] = ()

    @property
    def is_of_a_mode(self) -> bool:
        return _MODES.fullmatch(self.call) is not None

    @property
    def asked(self) -> str:
        """The second line of the script."""
        if self.call == "value":
            return "f(x)"
        return f"{_applied(self.call)}(x)" if self.is_of_a_mode else self.call

    @property
    def lines(self) -> tuple[str, str, str]:
        return f"f, x = {self.f}, torch.tensor({self.x})", self.asked, self.truth


def _applied(modes: str) -> str:
    """``reverse(forward)`` as it is called: ``reverse(forward(f))``."""
    depth = modes.count("(")
    return f"{modes.rstrip(')')}(f){')' * depth}"


@dataclass(frozen=True, slots=True)
class Result:
    """What a script gave: the worst entry of PyTorch's numbers, and how torch's checkers fare.

    ``got`` and ``true`` are texts; where PyTorch raises, ``got`` begins with that word.
    Units: ``ulps`` in units of the last place of the true number, in the dtype of PyTorch's.
    """

    finding: Finding
    got: str
    true: str
    relative: float
    ulps: float
    notices: str

    @property
    def raised(self) -> bool:
        return self.got.startswith("raises: ")

    @property
    def is_wrong(self) -> bool:
        return self.ulps >= LEAST


def findings() -> tuple[Finding, ...]:
    listed = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return tuple(
        Finding(**{**each, "truth": str(each["truth"]), "cases": tuple(each.get("cases", ()))})
        for each in listed
    )


def result_of(finding: Finding) -> Result:
    """Run a script, and torch's own checker on its function at its point."""
    names: dict[str, Any] = {}
    default = torch.get_default_dtype()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(PRELUDE, names)
            exec(finding.lines[0], names)
            return _judged(finding, names)
    finally:
        torch.set_default_dtype(default)


def _judged(finding: Finding, names: dict[str, Any]) -> Result:
    true = eval(finding.truth, names)
    notices = _notices(finding, names)
    try:
        got = eval(finding.asked, names)
    except RuntimeError as error:
        text = f"raises: {str(error).splitlines()[0].strip()[:60]}"
        return Result(finding, text, _shown(true), math.inf, math.inf, notices)
    if not isinstance(got, torch.Tensor):
        off = 0.0 if str(got) == str(true) else math.inf
        return Result(finding, str(got), str(true), off, off, notices)
    pairs = zip(got.detach().flatten().tolist(), _flat(true, got.numel()), strict=True)
    (relative, ulps), number, exact = max((_error(*pair, got.dtype), *pair) for pair in pairs)
    return Result(finding, f"{number:.12g}", _shown(exact), relative, ulps, notices)


def _flat(true: Any, count: int) -> list[Any]:
    """The true numbers in a row; one that stands for all is repeated."""
    if not isinstance(true, list):
        return [mp.mpf(true)] * count
    return [number for each in true for number in _flat(each, 1)]


def _error(got: float, true: Any, dtype: torch.dtype) -> tuple[float, float]:
    """Units: relative to the true number, and in ulps of it."""
    if not math.isfinite(got):
        return math.inf, math.inf
    off = abs(mp.mpf(got) - true)
    if off == 0:
        return 0.0, 0.0
    if not true:
        return math.inf, math.inf
    facts = torch.finfo(dtype)
    exponent = max(mp.floor(mp.log(abs(true), 2)), mp.log(facts.tiny, 2))
    return float(off / abs(true)), float(off / (mp.mpf(facts.eps) * mp.mpf(2) ** exponent))


def _shown(true: Any) -> str:
    if isinstance(true, list):
        return f"[{', '.join(map(_shown, true))}]"
    return true if isinstance(true, str) else mp.nstr(mp.mpf(true), 20, strip_zeros=True)


def _notices(finding: Finding, names: dict[str, Any]) -> str:
    """Whether torch's gradcheck, or gradgradcheck of a second derivative, notices at this point."""
    f, x = names["f"], names["x"].detach().clone()
    if x.dtype != torch.float64:
        return "cannot run"
    x.requires_grad_()
    second = finding.is_of_a_mode and ("(" in finding.call or "twice" in finding.call)
    options = {"check_batched_grad": "func" in finding.call, "raise_exception": False}
    try:
        if second:
            forwards = {"check_fwd_over_rev": "forward" in finding.call}
            passes = torch.autograd.gradgradcheck(f, (x,), **options, **forwards)
        else:
            forwards = {"check_forward_ad": finding.call == "forward"}
            passes = torch.autograd.gradcheck(f, (x,), **options, **forwards)
    except (RuntimeError, TypeError, ValueError) as error:
        return "yes, it raises" if isinstance(error, RuntimeError) else "cannot run"
    return "no" if passes else "yes"


def page_of(results: list[Result]) -> str:
    """The generated part of the page: a table, worst first, and the scripts in its order."""
    ordered = sorted(results, key=_badness)
    return "\n".join([*_table(ordered), "", *_scripts(ordered)])


def _badness(result: Result) -> tuple[Any, ...]:
    return result.raised, -result.relative, -result.ulps, result.finding.what, result.finding.asked


_COLUMNS = (
    *("number", "function", "asked", "at", "PyTorch", "truth", "relative", "ulps"),
    *("torch's checker notices", "upstream", "cause"),
)


def _table(ordered: list[Result]) -> Iterator[str]:
    unreported = sum(each.finding.issue == "not reported" for each in ordered)
    silent = sum(each.notices == "no" for each in ordered)
    version = torch.__version__.partition("+")[0]
    functions = {each.finding.what.split()[0].rstrip(",") for each in ordered}
    yield (
        f"{len(ordered)} scripts, for {len(functions)} functions, run with torch {version}. "
        f"{unreported} are not reported upstream; of {silent} torch's own checkers notice nothing."
        "\n"
    )
    yield _row(*_COLUMNS)
    yield _row("--:", *["---"] * 5, "--:", "--:", *["---"] * 3)
    for number, each in enumerate(ordered, 1):
        off = ("", "") if each.raised else (_rounded(each.relative), _rounded(each.ulps))
        what, at = f"`{each.finding.what}`", f"`{each.finding.x}`"
        issue, because = _issue(each.finding.issue), each.finding.because
        shown = (what, _call(each.finding), at, each.got, each.true, *off)
        yield _row(str(number), *shown, each.notices, issue, because)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rounded(error: float) -> str:
    return "∞" if math.isinf(error) else f"{error:.1e}"


def _call(finding: Finding) -> str:
    if finding.is_of_a_mode or finding.call == "value":
        words = {"forward_twice": "forward over forward", "graphed": "reverse"}
        parts = finding.call.rstrip(")").split("(")
        return " over ".join(words.get(part, part) for part in parts)
    return "see the script"


def _issue(issue: str | int | list[int]) -> str:
    if isinstance(issue, str):
        return issue
    numbers = issue if isinstance(issue, list) else [issue]
    return ", ".join(f"[{n}](https://github.com/pytorch/pytorch/issues/{n})" for n in numbers)


def _scripts(ordered: list[Result]) -> Iterator[str]:
    yield f"## Scripts\n\nBefore each of them stands\n\n```py\n{PRELUDE}```\n"
    yield "The second line is what PyTorch says, the third the truth.\n"
    for number, each in enumerate(ordered, 1):
        yield f"{number}. `{each.finding.what}`\n"
        yield "   ```py"
        yield from (f"   {line}" for line in each.finding.lines)
        yield "   ```\n"


def main() -> None:
    """Write docs/findings.md, or say which scripts find nothing wrong and end with code 1."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    results = [result_of(each) for each in findings()]
    right = [each for each in results if not each.is_wrong]
    if right:
        lines = (f"{each.finding.lines}: {each.got}, truth {each.true}" for each in right)
        sys.exit("nothing is wrong in\n" + "\n".join(lines))
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + "\n" + page_of(results) + END + after, "utf-8")


if __name__ == "__main__":
    main()

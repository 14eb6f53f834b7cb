"""The share of planted errors whose kind is guessed, over all functions that each is planted in.

Run by hand; the tests hold each error in one function. A guess counts where its kind and its words
are right, for an error of no kind where there is none, and for two errors at once where both are
told or nothing is: a wrong guess is told apart from none.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "run"))  # no package, on purpose
from culprits import case_of, check_of
from planted_errors import CONTROLS, FUNCTIONS, MIXED, PLANTED, Planted, planted

from gradcheck.answer import Outcome, Ruling, RunOptions
from gradcheck.run import examine


def main() -> None:
    """Print what is not guessed rightly, then the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=RunOptions().points)
    parser.add_argument("--dtype", default="float64")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for title, table in (("planted", PLANTED), ("of no kind", CONTROLS), ("two at once", MIXED)):
        counts = Counter(
            _how(error, name, options.dtype, options.points)
            for error in table
            for name in error.functions
        )
        print(f"{title}: {', '.join(f'{count} {how}' for how, count in counts.items())}")


def _how(error: Planted, name: str, dtype: str, points: int) -> str:
    """Whether the guess is right, wrong or none; what is not right is printed."""
    outcome = _examined(error, name, dtype, points)
    if outcome.verdict is not Ruling.DISAGREE:
        return "not convicted"
    if error.is_told_by(outcome.guess):
        return "right"
    print(f"  {error.name} in {name}: {outcome.guess}")
    return "none" if outcome.guess is None else "wrong"


def _examined(error: Planted, name: str, dtype: str, points: int) -> Outcome:
    plain = FUNCTIONS[name]
    case = case_of(plain.declaration, planted(plain, error.act))
    return examine(check_of(case, "reverse", dtype), RunOptions(points))


if __name__ == "__main__":
    main()

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

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # no packages, on purpose
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "diagnosis"))
from planted_errors import CONTROLS, FUNCTIONS, MIXED, PLANTED, Planted, guess_of

from gradcheck.answer import RunOptions


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
    guess = guess_of(FUNCTIONS[name], error.act, dtype, points)
    if error.is_told_by(guess):
        return "right"
    print(f"  {error.name} in {name}: {guess}", flush=True)
    return "none" if guess is None else "wrong"


if __name__ == "__main__":
    main()

"""What starting costs: pytest with the plugin beside pytest without it, and the command's answers.

Run by hand; never a test. All commands run in turn, several times over, so that their ratios hold
where single figures do not: seconds of user time, the median of the rounds.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CASES = Path(__file__).parent.parent / "cases"
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider")
WITHOUT = "pytest, without the plugin"
COMMANDS = {
    WITHOUT: (*PYTEST, "-p", "no:gradcheck.plugin"),
    "pytest, with the plugin": (*PYTEST, "-p", "gradcheck.plugin"),
    "gradcheck --version": ("gradcheck", "--version"),
    "gradcheck list": ("gradcheck", "list"),
    "gradcheck validate, the catalog": ("gradcheck", "validate", str(CASES)),
    "gradcheck check, a wrong formula": ("gradcheck", "check", "x**2 + y", "--input", "x=real"),
    "gradcheck explain, a wrong formula": ("gradcheck", "explain", "3x^2", "--at", "x=3"),
}


def main() -> None:
    """Print for each command its seconds, and how many times those of a bare pytest that is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_plain.py").write_text("def test_plain():\n    assert True\n")
        taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(rounds):
            for name, words in COMMANDS.items():
                taken[name].append(user_seconds(words, folder))
    middle = {name: statistics.median(seconds) for name, seconds in taken.items()}
    for name, seconds in middle.items():
        print(f"{name:36} {seconds:6.2f} s {seconds / middle[WITHOUT]:6.2f} times")


def user_seconds(words: tuple[str, ...], folder: str) -> float:
    """The user time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, check=False)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


if __name__ == "__main__":
    main()

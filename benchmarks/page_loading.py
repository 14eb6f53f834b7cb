"""How soon the page of a large run is there: the milliseconds until a browser has loaded it.

Run by hand, where there is a Chromium with its driver. The bound is a second of a user's patience
and one for a machine that is slower; no test holds it, since a busy machine is no defect.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from selenium.webdriver.support.ui import WebDriverWait

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "report"))  # no package, on purpose
from browser import Browser
from large_results import write_large_results

from gradcheck.report.overview import Overview
from gradcheck.report.page import page
from gradcheck.report.records import read_all

MOST = 2_000  # milliseconds
_END = "return performance.getEntriesByType('navigation')[0].loadEventEnd"


def main() -> int:
    """Print the time of each round and their median; return 1 where that is beyond the bound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), options.cases)
        browser = Browser(Path(folder, "profile"))
        took = [_loading(browser, path) for _ in range(options.rounds)]
        browser.driver.quit()
    middle = median(took)
    print(f"{options.cases:,} cases: {', '.join(f'{each:.0f}' for each in took)} ms")
    print(f"median {middle:.0f} ms, under {MOST:,}: {'met' if middle < MOST else 'missed'}")
    return int(middle >= MOST)


def _written(folder: Path, cases: int) -> Path:
    write_large_results(folder / "large.jsonl", cases)
    path = folder / "report.html"
    made = page(Overview(read_all([folder / "large.jsonl"])), seconds=20, now=datetime.now(UTC))
    path.write_text(made, encoding="utf-8")
    return path


def _loading(browser: Browser, path: Path) -> float:
    """When the load event has ended; the driver may return before that, when it is told as 0."""
    browser.open(path)
    return float(WebDriverWait(browser.driver, 60).until(lambda _: browser.run(_END)))


if __name__ == "__main__":
    sys.exit(main())

"""Results as large as anyone's, made from a few that a real run wrote."""

import json
from itertools import cycle, islice
from pathlib import Path

SAMPLE = Path(__file__).with_name("sample_results.jsonl")
_EVERY = 50
"""One case in so many fails."""


def write_large_results(path: Path, cases: int) -> int:
    """Write the results of so many cases, of about 20 checks each; returns how many checks."""
    by_case: dict[str, list[dict[str, object]]] = {}
    for line in SAMPLE.read_text("utf-8").splitlines():
        record = json.loads(line)
        by_case.setdefault(record["case"], []).append(record)
    failing = by_case.pop("swish")
    lines = [
        json.dumps(_renamed(record, number), ensure_ascii=False)
        for number, passing in enumerate(islice(cycle(by_case.values()), cases))
        for record in (failing if number % _EVERY == 0 else passing)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def _renamed(record: dict[str, object], number: int) -> dict[str, object]:
    case, file = f"{record['case']}_{number}", f"cases/family_{number // _EVERY}.yaml"
    check = str(record["id"]).partition("[")[2]
    return {**record, "id": f"{file}::{case}[{check}", "case": case, "file": file, "line": number}

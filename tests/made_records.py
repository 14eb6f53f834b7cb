"""Records of checks, as a run would have written them, for tests of what reads them."""

from gradcheck.answer import KNOWN_FAILURES
from gradcheck.report.records import Record

_STALE = "cases/known_failures.yaml:9:3: the known failure no longer fails: remove the entry"


def check(name="swish", witness="reverse", device="cpu", dtype="float64", **facts):
    """The record of a check that agrees, unless ``facts`` say otherwise."""
    file = facts.get("file", "cases/small.yaml")
    record = {
        "id": f"{file}::{name}[{witness}-{device}-{dtype}]",
        "file": file,
        "case": name,
        "variant": "",
        "implementation": "mine:swish",
        "witness": witness,
        "order": 1,
        "device": device,
        "dtype": dtype,
        "verdict": "agree",
        "reason": "",
        "blame": "",
        "guess": "",
        "line": 2,
        "entries": 1,
        "abstained": 0,
        "counts": {},
        "points": 16,
        "visited": {},
        "seconds": 0.25,
        "seed": 0,
        "torch": "2.13.0",
        "device_name": "a processor",
        "gradcheck": "0.1.0",
        "python": "3.11.7",
        "platform": "Linux",
        "ulps": 1.0,
        **dict.fromkeys(("relative", "at", "index", "got", "true", "radius", "route")),
    }
    return Record(**{**record, **facts})


def wrong(**facts):
    return check(verdict="disagree", blame="the backward is wrong", ulps=1e9, **facts)


def stale(**facts):
    return check(verdict="disagree", blame=KNOWN_FAILURES, reason=_STALE, **facts)

"""An explanation of a function at one point: what is true, what each witness says, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gradcheck.answer import EntryReport
from gradcheck.catalog.checks import Check
from gradcheck.explanation.accuracy import Allowance, Precision
from gradcheck.explanation.blocks import Manner, as_text, heading_of, html_of, latex_of
from gradcheck.explanation.formulas import Formulas, formula_text
from gradcheck.explanation.graph_drawing import BackwardGraph
from gradcheck.explanation.statements import Derivative, title_of
from gradcheck.query import Array
from gradcheck.report.records import in_json_types


@dataclass(frozen=True, slots=True)
class CertifiedValue:
    """A derivative, its certified digits, what kind of knowledge they are, and the radius of the
    enclosure: empty at a kink, whose digits are the ends of a hull."""

    of: Derivative
    digits: str
    status: str
    radius: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Explanation:
    """A function at one point.

    ``formulas`` pairs a derivative with a sympy expression, of many the first; empty where they are
    too large. ``undefined`` says, for each output that has no value there, why; ``statements``
    pairs a witness with one thing that it says. ``allowances`` tell where the error comes from that
    values and first derivatives may have, and ``precisions`` what PyTorch gives in each dtype.
    """

    check: Check
    values: dict[str, Array]
    inside: bool
    orders: tuple[int, ...]
    formulas: Formulas
    truths: tuple[CertifiedValue, ...]
    undefined: tuple[str, ...]
    statements: tuple[tuple[str, EntryReport], ...]
    allowances: tuple[Allowance, ...]
    precisions: tuple[Precision, ...]
    graph: BackwardGraph

    def text(self, *, everything: bool = False) -> str:
        """Return it for people; ``everything``: each number of each witness, each formula."""
        return as_text(self, Manner(everything=everything))

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def __repr__(self) -> str:
        return f"<gradcheck explanation: {heading_of(self, Manner())}>"

    def _repr_html_(self) -> str:
        return "".join(html_of(self))

    def _repr_latex_(self) -> str:
        return latex_of(self)

    def _repr_svg_(self) -> str | None:
        return self.graph.svg() if self.graph else None


def json_of(found: Explanation) -> Any:
    """In types that JSON has."""
    return in_json_types({
        "case": title_of(found.check),
        "variant": found.check.variant.name,
        "implementation": found.check.implementation.text,
        "dtype": found.check.dtype,
        "device": found.check.device,
        "at": {name: value.tolist() for name, value in found.values.items()},
        "inside": found.inside,
        "orders": list(found.orders),
        "latex": latex_of(found),
        "formulas": {name.name: formula_text(formula) for name, formula in found.formulas},
        "true": [
            {
                "what": truth.of.name,
                "true": truth.digits,
                "radius": truth.radius,
                "status": truth.status,
            }
            for truth in found.truths
        ],
        "undefined": list(found.undefined),
        "statements": [_said_as_json(name, said) for name, said in found.statements],
        "allowances": [asdict(each) for each in found.allowances],
        "precisions": [
            {"dtype": each.dtype, "note": each.note}
            | ({} if each.said is None else _said_as_json("", each.said))
            for each in found.precisions
        ],
        "graph": [asdict(node) for node in found.graph],
    })  # fmt: skip


def _said_as_json(witness: str, said: EntryReport) -> dict[str, Any]:
    return {
        "witness": witness,
        "label": said.label,
        "index": said.index,
        "got": said.got,
        "true": said.true,
        "radius": said.radius,
        "ulps": said.ulps,
        "relative": said.relative,
        "verdict": said.ruling.value,
        "reason": said.reason,
    }

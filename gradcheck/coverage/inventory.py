"""What PyTorch has that a derivative can be wrong of, and what no catalog can reach of it.

Names are those of PyTorch's own operator database. They ship as a list, since reading the database
takes packages that PyTorch does not require. Formulas are those of the installed release: they
come from the ``derivatives.yaml`` that lies in its wheel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from gradcheck.errors import UsageError

OPERATOR, BACKWARD_NODE, DOUBLE_BACKWARD_NODE, FORWARD_FORMULA = (
    "operator",
    "backward",
    "double backward",
    "forward",
)
KINDS = {
    OPERATOR: "names of the operator database",
    BACKWARD_NODE: "backward nodes",
    DOUBLE_BACKWARD_NODE: "of them double-backward nodes",
    FORWARD_FORMULA: "forward formulas",
}
"""What is counted. A double-backward node is the derivative of a backward, a backward node too."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A name of the operator database, with its other names; ``core`` where everyone uses it."""

    name: str
    aliases: tuple[str, ...]
    core: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Why whatever a pattern matches is not reached, among operators or formulas.

    ``impossible``: no catalog can reach it on a CPU; else this one does not yet.
    """

    of: str
    pattern: str
    impossible: bool
    text: str

    def matches(self, item: Item) -> bool:
        is_operator = item.kind == OPERATOR
        return is_operator == (self.of == "operator") and fnmatchcase(item.schema, self.pattern)


@dataclass(frozen=True, slots=True)
class Item:
    """Something that a catalog reaches or not.

    ``schema`` is what reasons speak of: of an operator its name, of a formula the schema of its
    function (``add.Tensor``), behind the dispatch key where that is not the default one.
    ``raises``: PyTorch declares that the backward is not implemented.
    """

    kind: str
    name: str
    schema: str
    core: bool = False
    raises: bool = False


@cache
def listed() -> tuple[Listed, ...]:
    """Every differentiable name of the operator database, sorted."""
    rows = (line.split("\t") for line in _lines("operators.tsv"))
    return tuple(Listed(name, tuple(aliases.split()), bool(core)) for name, aliases, core in rows)


@cache
def reasons() -> tuple[Reason, ...]:
    """The reviewed reasons; of several that match, the first counts."""
    rows = (line.split("\t") for line in _lines("reasons.tsv"))
    return tuple(Reason(of, pattern, why == "impossible", text) for of, pattern, why, text in rows)


def reason_for(item: Item) -> Reason:
    """Why the item is not reached, where no case does."""
    if item.raises:
        return _RAISES
    return next((reason for reason in reasons() if reason.matches(item)), _UNKNOWN)


_RAISES = Reason(
    of="formula",
    pattern="",
    impossible=True,
    text="declared by PyTorch as not implemented: its backward raises",
)
_UNKNOWN = Reason(of="", pattern="", impossible=False, text="no case yet")


def _lines(name: str) -> list[str]:
    """The rows of a table of this room, without its heading."""
    text = files("gradcheck.coverage").joinpath(name).read_text("utf-8")
    return text.splitlines()[1:]


@cache
def items() -> tuple[Item, ...]:
    """All that can be reached or not, kind by kind, sorted.

    Errors: UsageError where the installed PyTorch has no list of its derivatives.
    """
    found = {
        *(Item(OPERATOR, each.name, each.name, each.core) for each in listed()),
        *_formulas(),
    }
    order = list(KINDS)
    return tuple(sorted(found, key=lambda item: (order.index(item.kind), item.name)))


def _formulas() -> Iterator[Item]:
    for keys in _derivatives().values():
        for key, info in keys.items():
            yield from _formulas_of(key, info)


def _formulas_of(key: str, info: Any) -> Iterator[Item]:
    """What one entry declares for a dispatch key.

    ``info.op`` is the node's name as PyTorch's own generator makes it.
    """
    name = str(info.func.func.name)
    schema = name if key == "Default" else f"{key}::{name}"
    if info.op and info.derivatives:
        raises = all("not_implemented" in each.formula for each in info.derivatives)
        yield Item(BACKWARD_NODE, info.op, schema, raises=raises)
        if "_backward" in name:
            yield Item(DOUBLE_BACKWARD_NODE, info.op, schema, raises=raises)
    if info.forward_derivatives:
        yield Item(FORWARD_FORMULA, functional_name(schema), functional_name(schema))


def _derivatives() -> Mapping[Any, Mapping[str, Any]]:
    try:
        import torchgen
        from torchgen.packaged.autograd.load_derivatives import load_derivatives

        folder = files(torchgen) / "packaged"
        native = folder / "ATen" / "native"
        lists = (folder / "autograd" / "derivatives.yaml", native / "native_functions.yaml")
        found: Mapping[Any, Any] = load_derivatives(*map(str, (*lists, native / "tags.yaml")))[0]
        return found
    except (ImportError, OSError) as error:
        raise UsageError(
            f"the installed PyTorch has no list of its derivatives: {error}",
            "torchgen/packaged/autograd/derivatives.yaml, as in PyTorch's own wheels",
            "install PyTorch from its wheel",
        ) from None


_IN_PLACE = re.compile(r"(?<=[A-Za-z0-9])_(?=\.|$)")


def functional_name(schema: str) -> str:
    """The schema's name without the mark of its in-place form, which shares the formula.

    ``exp_`` is ``exp`` and ``add_.Tensor`` is ``add.Tensor``.
    """
    return _IN_PLACE.sub("", schema, count=1)

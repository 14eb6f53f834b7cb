"""The witnesses by name, as far as a catalog needs to know them."""

from __future__ import annotations

WITNESSES = ("value", "reverse", "forward", "second", "gradcheck")
"""Those that testify in this version, in the order in which their checks are planned."""

LATER_WITNESSES = ("functional", "compiled", "contract")
"""Those that the format names and that come later: a case may already say `without` them."""


def order_of(witness: str) -> int:
    """Return the order of the derivatives that a witness answers for; 0 is the value."""
    return {"value": 0, "second": 2}.get(witness, 1)

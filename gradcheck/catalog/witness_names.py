"""The witnesses by name, as far as a catalog needs to know them."""

from __future__ import annotations

WITNESSES = ("value", "reverse", "forward", "second", "gradcheck")
"""Those that testify in this version, in the order in which their checks are planned."""

LATER_WITNESSES = ("functional", "compiled", "contract")
"""Those that the format names and that come later: a case may already say `without` them."""

"""The witnesses, as far as a catalog and a run need to know them: one row each, without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WitnessFacts:
    """What must be known of a witness before it is asked.

    ``order`` is that of the derivatives that its answers are held against: a case of a lower order
    has no check by it. ``differences``: it takes finite differences, so it is asked point by
    point, since its cost grows with the square, and with settings that the enclosures give.

    Units: ``share`` and ``share_alone`` are of a run's drawn points, by what an answer costs:
           where one call takes many points, and where each point is a call of its own.
    """

    name: str
    order: int
    share: float
    share_alone: float
    differences: bool = False


FACTS = {
    facts.name: facts
    for facts in (
        WitnessFacts("value", order=0, share=1, share_alone=3 / 8),
        WitnessFacts("reverse", order=1, share=1, share_alone=3 / 8),
        WitnessFacts("forward", order=1, share=1, share_alone=3 / 16),
        WitnessFacts("second", order=2, share=1 / 2, share_alone=1 / 16),
        WitnessFacts("gradcheck", order=1, share=1 / 16, share_alone=1 / 16, differences=True),
    )
}
WITNESSES = tuple(FACTS)
"""Those that testify in this version, in the order in which their checks are planned."""

LATER_WITNESSES = ("functional", "compiled", "contract")
"""Those that the format names and that come later: a case may already say `without` them."""


def order_of(witness: str) -> int:
    """Return the order of the derivatives that a witness answers for; 0 is the value."""
    return FACTS[witness].order

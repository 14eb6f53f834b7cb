"""A function, its derivatives, and the error of PyTorch's gradient along a line, as values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.answer import Floats, Ruling
from gradcheck.explanation.drawn import Drawn
from gradcheck.explanation.panels import draw_svg


@dataclass(frozen=True, slots=True)
class Curve:
    """One true curve; NaN is a gap. ``label`` names the derivative as everywhere, ``name`` as it
    is written by hand, and ``legend`` is its equation, where that is short."""

    label: str
    numbers: Floats
    order: int = 0
    name: str = ""
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What PyTorch says a curve is, where that is wrong or inaccurate, and NaN elsewhere.

    ``missing`` are the places at which it says infinity or NaN.
    """

    of: str
    dtype: str
    x: Floats
    numbers: Floats
    order: int
    missing: Floats

    @property
    def has_curve(self) -> bool:
        return bool(np.isfinite(self.numbers).any())


@dataclass(frozen=True, slots=True)
class Errors:
    """The error of PyTorch's gradient in one dtype on one device.

    Shapes: all are equally long.
    Units:  ``ulps`` is NaN where nothing was judged, and inf where the number is no number;
            ``allowed`` is the largest error that agrees, in ulps too.
    """

    setting: str
    x: Floats
    ulps: Floats
    allowed: Floats
    rulings: tuple[Ruling, ...]


@dataclass(frozen=True, slots=True)
class Tangent:
    """The line through a point of the curve, of the curve's slope there."""

    x: float
    y: float
    slope: float


@dataclass(frozen=True, slots=True, repr=False)
class Picture(Drawn):
    """What is drawn over ``x``, which is sorted: of a real output the value and its derivatives, of
    a complex one both parts of each. ``claims`` are PyTorch's own curves where they differ;
    ``errors`` has an element for each dtype and device; ``equations`` say in LaTeX what the curves
    are, as far as that is short.

    Shapes: ``x`` and the numbers of all curves are equally long.
    """

    title: str
    subtitle: str
    variable: str
    x: Floats
    curves: tuple[Curve, ...]
    errors: tuple[Errors, ...]
    claims: tuple[Claim, ...] = ()
    tangents: tuple[Tangent, ...] = ()
    equations: tuple[str, ...] = ()

    @property
    def ulps(self) -> Floats:
        """The errors in the first dtype."""
        return self.errors[0].ulps

    @property
    def rulings(self) -> tuple[Ruling, ...]:
        """How each point was ruled in the first dtype."""
        return self.errors[0].rulings

    def svg(self) -> str:
        """Return the picture as an SVG document."""
        return draw_svg(self)

    def __repr__(self) -> str:
        return f"<gradcheck plot: {self.title} over {self.variable}; {self.subtitle}>"

"""What every drawn function is in a terminal and in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod

from gradcheck.explanation.formulas import latex_block


class Drawn(ABC):
    """A picture that draws itself; ``equations`` say in LaTeX what is drawn, if that is short."""

    __slots__ = ()
    equations: tuple[str, ...]

    @abstractmethod
    def svg(self) -> str:
        """Return the picture as an SVG document."""

    def __str__(self) -> str:
        return self.svg()

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return self.svg()

    def _repr_latex_(self) -> str | None:
        return latex_block(self.equations) if self.equations else None

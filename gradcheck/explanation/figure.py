"""A picture by matplotlib, which comes with the extra `plot`: axes for papers, PNG and PDF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from gradcheck.answer import Floats, Ruling
from gradcheck.explanation.axes import breaks, svg_number
from gradcheck.explanation.heat_map import Surface, maps_of
from gradcheck.explanation.panels import (
    MOST_TRIANGLES,
    claim_legend,
    claim_order,
    cut_off,
    legend_of,
    missing_legend,
    poles_of,
    shown_range,
    summary_of,
    tangent_legend,
)
from gradcheck.explanation.picture import Claim, Errors, Picture

_LETTERS = 110  # of a legend, in the width of a page
_COLUMN = 45  # letters that leave room for a second column
_STYLES = {0: "-", 1: "--", 2: ":"}
_CLAIM_STYLES = {0: "-.", 1: (0, (6, 1.5)), 2: (0, (1, 1))}  # of PyTorch's own curves, all red
_MARKS = {Ruling.AGREE: ("C0", "."), Ruling.INACCURATE: ("C1", "."), Ruling.DISAGREE: ("C3", "x")}


def save(picture: Picture | Surface, path: str) -> None:
    """Write it to a file, in the format that the file's ending names."""
    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    if isinstance(picture, Surface):
        _draw_maps(picture, figure)
    else:
        _draw_panels(picture, figure)
    title = f"{picture.title}\n{picture.subtitle}"
    figure.suptitle(title, fontsize="medium", wrap=True, parse_math=False)
    figure.savefig(path, dpi=150)


def draw_curves(picture: Picture | Surface, ax: Any) -> Any:
    """Draw the curves, or the map of a surface, into matplotlib's axes, and return these."""
    if isinstance(picture, Surface):
        _draw_map(picture, 0, ax)
        return ax
    low, high = shown_range(picture)
    lines = {}
    for curve in picture.curves:
        line = _interrupted(curve.numbers, low, high)
        (drawn,) = ax.plot(picture.x, line, _STYLES[curve.order], label=legend_of(curve))
        lines[curve.label] = drawn.get_color()
    for claim in picture.claims:
        _draw_claim(picture, claim, ax, _interrupted(claim.numbers, low, high))
    for tangent in picture.tangents:
        label = tangent_legend(picture, tangent)
        ax.axline((tangent.x, tangent.y), slope=tangent.slope, color="0.5", lw=1, label=label)
        ax.plot([tangent.x], [tangent.y], "o", color="0.5")
    for number, place in enumerate(poles_of(picture, low, high)):
        ax.axvline(place, color="0.4", ls=":", lw=1, label="pole" if number == 0 else None)
    _mark_cut_off(picture, lines, ax, low, high)
    ax.set_xlim(picture.x[0], picture.x[-1])
    ax.set_ylim(low, high)
    ax.set_xlabel(picture.variable, parse_math=False)
    ax.set_ylabel(", ".join(curve.name or curve.label for curve in picture.curves),
                  parse_math=False)  # fmt: skip
    _plain(ax.legend(fontsize="small"), _LETTERS // 2)
    ax.grid(alpha=0.3)
    return ax


def _draw_claim(picture: Picture, claim: Claim, ax: Any, line: Floats) -> None:
    """Draw PyTorch's own curve where it differs, and a cross below where it has no number."""
    if claim.has_curve:
        style = _CLAIM_STYLES[claim_order(picture, claim)]
        ax.plot(claim.x, line, ls=style, color="C3", label=claim_legend(picture, claim))
    if claim.missing.size:
        edge, label = ax.get_xaxis_transform(), missing_legend(picture, claim)
        heights = np.full(claim.missing.shape, 0.02)
        ax.plot(claim.missing, heights, "x", color="C3", transform=edge, label=label)


def _mark_cut_off(
    picture: Picture, colours: Mapping[str, Any], ax: Any, low: float, high: float
) -> None:
    """Put a triangle at the edge where a curve leaves the frame, pointing to where it goes."""
    label: str | None = "beyond the frame"
    for curve in picture.curves:
        for place, above in cut_off(curve.numbers, low, high)[:MOST_TRIANGLES]:
            ax.plot(
                [picture.x[place]],
                [0.97 if above else 0.03],
                "^" if above else "v",
                color=colours[curve.label],
                mfc="none",
                transform=ax.get_xaxis_transform(),
                label=label,
            )
            label = None


def _plain(legend: Any, letters: int) -> None:
    """Take its texts as they are, cut to what fits: a name with dollars is no formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)
        label = text.get_text()
        text.set_text(label if len(label) <= letters else f"{label[: letters - 1]}…")


def _interrupted(numbers: Floats, low: float, high: float) -> Floats:
    """The numbers with a gap at each pole and jump."""
    broken = numbers.copy()
    broken[breaks(numbers, low, high)] = np.nan
    return broken


def _draw_panels(picture: Picture, figure: Figure) -> None:
    heights = [3.0, *(1.2 for _ in picture.errors)]
    figure.set_size_inches(8, 1 + 1.35 * sum(heights))
    panels = figure.subplots(len(heights), squeeze=False, sharex=True, height_ratios=heights)
    draw_curves(picture, panels[0, 0]).get_legend().remove()
    handles, labels = panels[0, 0].get_legend_handles_labels()
    columns = 2 if max(map(len, labels)) <= _COLUMN else 1
    legend = figure.legend(handles, labels, loc="outside lower left", ncols=columns,
                           fontsize="small")  # fmt: skip
    _plain(legend, _LETTERS)
    for errors, ax in zip(picture.errors, panels[1:, 0], strict=True):
        _draw_errors(errors, ax)
    for ax in panels[:, 0]:
        ax.tick_params(labelbottom=True)
        ax.set_xlabel(picture.variable, parse_math=False)


def _draw_errors(errors: Errors, ax: Any) -> None:
    known = np.isfinite(errors.ulps)
    top = max([10.0, *errors.ulps[known]])
    ax.fill_between(errors.x, 0, errors.allowed, color="C2", alpha=0.15, lw=0)
    for ruling, (colour, mark) in _MARKS.items():
        chosen = np.array([each is ruling for each in errors.rulings], dtype=bool)
        heights = np.where(known, errors.ulps, 2 * top)
        ax.plot(errors.x[chosen], heights[chosen], mark, color=colour, ms=4)
    unjudged = np.array([each is Ruling.ABSTAIN for each in errors.rulings], dtype=bool)
    ax.plot(errors.x[unjudged], np.zeros(unjudged.sum()), "|", color="0.5")
    ax.set_yscale("asinh", linear_width=1.0)
    decades = int(np.log10(top))
    ax.set_yticks([0.0, *(10.0**k for k in range(1, decades + 1, max(1, -(-decades // 4))))])
    ax.minorticks_off()
    ax.set_ylim(-0.2, 3 * top)
    ax.set_ylabel("ulps")
    ax.set_title(f"error in {errors.setting}: {summary_of(errors)}", fontsize="small", loc="left")
    ax.grid(alpha=0.3)


def _draw_maps(surface: Surface, figure: Figure) -> None:
    figure.set_size_inches(9, 8)
    for place, ax in enumerate(figure.subplots(2, 2).ravel()):
        _draw_map(surface, place, ax)


def _draw_map(surface: Surface, place: int, ax: Any) -> None:
    title, numbers, levels = maps_of(surface)[place]
    norm = BoundaryNorm(levels, 256, extend="both")
    drawn = ax.pcolormesh(
        surface.x, surface.y, numbers, norm=norm, shading="nearest", rasterized=True
    )  # as shapes, a PDF shows hairlines between them
    if numbers is surface.errors:
        rows, columns = np.nonzero(surface.disagrees)
        ax.plot(surface.x[columns], surface.y[rows], "x", color="C3", ms=3, mew=0.8)
    shown = levels[:: max(1, len(levels) // 10)]
    ax.figure.colorbar(drawn, ax=ax).set_ticks(shown, labels=list(map(svg_number, shown)))
    ax.set_title(title, fontsize="small", parse_math=False)
    ax.set_xlabel(surface.variables[0], parse_math=False)
    ax.set_ylabel(surface.variables[1], parse_math=False)

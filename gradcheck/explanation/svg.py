"""Pieces of an SVG: the document with its title and description, its colours, and text that fits.

Colours are those of a light page; a reader who prefers dark ones gets them where styles are read.
The same content gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from zlib import crc32

_COLOURS = {  # what a name paints, in the light and in the dark
    "paper": ("fill", "#ffffff", "#15181d"),
    "ink": ("fill", "#222222", "#e8eaed"),
    "pale": ("fill", "#555555", "#adb5bd"),
    "frame": ("stroke", "#555555", "#8b949e"),
    "grid": ("stroke", "#e3e3e3", "#2c323a"),
    "band": ("fill", "#d7efe3", "#163a2d"),
    "box": ("fill", "#e8f1fa", "#1b2b3d"),
    "leaf": ("fill", "#e3f4e5", "#17331f"),
    "plain": ("fill", "#f0f0f0", "#2a2d33"),
    # Okabe and Ito's, safe for all eyes
    "blue": ("stroke", "#0072b2", "#4aa8e0"),
    "orange": ("stroke", "#d55e00", "#ff8f3f"),
    "green": ("stroke", "#009e73", "#2fc99b"),
    "sky": ("stroke", "#56b4e9", "#9bd4f7"),
    "pink": ("stroke", "#cc79a7", "#e8a3c9"),
    "amber": ("stroke", "#b8860b", "#f0b840"),
    "red": ("stroke", "#c1121f", "#ff6b6b"),
}
_DARK = "".join(
    f".gradcheck-{name} {{{what}: {dark}}}" for name, (what, _, dark) in _COLOURS.items()
)
STYLE = f"@media (prefers-color-scheme: dark) {{{_DARK}}}"
"""The one style sheet in each document: what a page has to allow that shows pictures."""
SANS = "Helvetica, Arial, sans-serif"
MONO = "Menlo, Consolas, monospace"


def paint(name: str, *, only: str = "") -> str:
    """The attributes that paint in a colour: what it is for, or ``only`` a fill or a stroke."""
    what, light, _ = _COLOURS[name]
    other = "" if what == "fill" else ' fill="none"'
    return f'class="gradcheck-{name}" {only or what}="{light}"{other}'


def document(title: str, summary: str, size: tuple[float, float], body: Iterable[str]) -> str:
    """A whole SVG, which a screen reader can tell of."""
    width, height = (math.ceil(side) for side in size)
    key = key_of(title, summary)
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="{key}-title {key}-summary" '
        f'font-family="{SANS}">',
        f'<title id="{key}-title">{escape(title)}</title>',
        f'<desc id="{key}-summary">{escape(summary)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect width="100%" height="100%" {paint("paper")}/>',
        *body,
        "</svg>",
    ]) + "\n"  # fmt: skip


def key_of(*texts: str) -> str:
    """What the ids of a picture begin with, so that several stand in one page."""
    return f"g{crc32(chr(0).join(texts).encode()):08x}"


def text(  # noqa: PLR0913 - the attributes of the element, each by its name
    column: float,
    row: float,
    content: str,
    *,
    size: float = 12,
    colour: str = "ink",
    anchor: str = "start",
    weight: str = "",
    family: str = "",
    turned: bool = False,
) -> str:
    """One line of text; ``turned``: upwards."""
    more = f' font-weight="{weight}"' if weight else ""
    more += f' font-family="{family}"' if family else ""
    more += f' transform="rotate(-90 {column:.2f} {row:.2f})"' if turned else ""
    return (
        f'<text x="{column:.2f}" y="{row:.2f}" font-size="{size:g}" {paint(colour)} '
        f'text-anchor="{anchor}"{more}>{escape(content)}</text>'
    )


_NARROW, _WIDE = frozenset("iIjl.,:;'|!()[]ft/ "), frozenset("mwMW@%—⋅−")


def text_width(content: str, size: float) -> float:
    """The room of a text without serifs, in any of the usual fonts. Units: pixels."""
    wide = sum(0.38 if c in _NARROW else 0.92 if c in _WIDE else 0.64 for c in content)
    return size * wide


def fitted(content: str, size: float, room: float) -> str:
    """The text, its end left out where it is too long."""
    if text_width(content, size) <= room:
        return content
    content = content[: int(room / (0.38 * size))]  # more letters never fit
    while content and text_width(f"{content}…", size) > room:
        content = content[:-1]
    return f"{content.rstrip()}…"


def wrapped(content: str, size: float, room: float, most: int) -> list[str]:
    """The text on as many lines as it takes, ``most`` at most; the last one may be cut."""
    lines = [""]
    for word in content.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and text_width(longer, size) > room and len(lines) < most:
            lines.append(word)
        else:
            lines[-1] = longer
    return [fitted(line, size, room) for line in lines]


def smooth(spots: Sequence[tuple[float, float]]) -> str:
    """A path through spots that lie below each other, which leaves and meets each upright."""
    (column, row), *others = spots
    parts = [f"M{column:.1f} {row:.1f}"]
    for right, below in others:
        middle = (row + below) / 2
        parts.append(f"C{column:.1f} {middle:.1f} {right:.1f} {middle:.1f} {right:.1f} {below:.1f}")
        column, row = right, below
    return "".join(parts)

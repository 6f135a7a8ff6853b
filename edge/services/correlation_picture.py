"""What moves what, as a picture: one self-contained SVG. Pure; no fonts, scripts or files from elsewhere.

Rows are classes, columns influences. A cell is red where units rise with the influence, blue where they
fall, the stronger the further from white; it says by how many percent for one standard deviation, and
after how many days. Sign and number stand in words too, so nobody needs the colours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

CELL_W, CELL_H, LEFT, TOP, FONT = 86, 26, 210, 96, 12
FULL = 0.30
"""An effect of this share is drawn in the full colour."""
_UP, _DOWN, _NONE = (178, 24, 43), (33, 102, 172), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Cell:
    """One discovery."""

    effect: float | None
    """Share by which units change; ``None``: it has no direction (a season)."""
    share: float
    """Share of the variance explained; counts where there is no direction."""
    lag_days: int


def svg(
    title: str,
    note: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Mapping[tuple[int, int], Cell],
) -> str:
    """The picture; ``cells`` by (row, column). Empty cells are pairs of which nothing was found."""
    width = LEFT + CELL_W * max(len(columns), 1) + 20
    height = TOP + CELL_H * max(len(rows), 1) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" font-family="sans-serif" '
        f'font-size="{FONT}">',
        f"<title>{escape(title)}</title><desc>{escape(note)}</desc>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="22" font-size="16" font-weight="bold">{escape(title)}</text>',
        f'<text x="10" y="{height - 14}" fill="#555">{escape(note)}</text>',
    ]
    for j, name in enumerate(columns):
        x = LEFT + CELL_W * j + CELL_W / 2
        for line, words in enumerate(_two_lines(name)):
            parts.append(
                f'<text x="{x:g}" y="{TOP - 24 + 14 * line}" text-anchor="middle">'
                f"{escape(words)}</text>"
            )
    for i, name in enumerate(rows):
        y = TOP + CELL_H * i
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 17}" text-anchor="end">{escape(_short(name, 32))}</text>'
        )
        for j in range(len(columns)):
            parts += _cell(LEFT + CELL_W * j, y, cells.get((i, j)))
    if not rows:
        parts.append(f'<text x="10" y="{TOP}">Nothing was found.</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _cell(x: int, y: int, cell: Cell | None) -> list[str]:
    colour, words, dark = "#f4f4f4", "", False
    if cell is not None and cell.effect is not None:
        strength = min(abs(cell.effect) / FULL, 1.0)
        colour, dark = _mixed(_UP if cell.effect > 0 else _DOWN, strength), strength > 0.55
        words = f"{cell.effect:+.0%}, {cell.lag_days} d" if cell.lag_days else f"{cell.effect:+.0%}"
    elif cell is not None:
        strength = min(cell.share, 1.0)
        colour, dark = _mixed((80, 80, 80), strength), strength > 0.55
        words = f"{cell.share:.0%}"
    made = [
        f'<rect x="{x + 1}" y="{y + 1}" width="{CELL_W - 2}" height="{CELL_H - 2}" fill="{colour}"/>'
    ]
    if words:
        made.append(
            f'<text x="{x + CELL_W / 2:g}" y="{y + 17}" text-anchor="middle" '
            f'fill="{"#fff" if dark else "#000"}">{escape(words)}</text>'
        )
    return made


def _mixed(full: tuple[int, int, int], strength: float) -> str:
    """A colour between white and ``full``.

    >>> _mixed((0, 0, 0), 0.5)
    '#808080'
    """
    parts = [round(n + (f - n) * strength) for f, n in zip(full, _NONE, strict=True)]
    return "#" + "".join(f"{part:02x}" for part in parts)


def _two_lines(name: str) -> list[str]:
    """``weather.temperature_c`` in two lines."""
    kind, _, rest = name.partition(".")
    return [_short(kind, 14), _short(rest, 14)] if rest else [_short(name, 14)]


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

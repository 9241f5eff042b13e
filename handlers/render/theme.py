"""Themes: the colours of pictures, light and dark, that people who see fewer colours can tell apart.

Source: the palette of Okabe and Ito, 2008; on white bitcoin's is the darker of its two oranges. Styles differ too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from handlers.render.picture import Role

SOLID, DASHED, DOTTED = "solid", (0, (5, 1.8)), (0, (1.2, 1.6))
STYLES = {Role.ETF: SOLID, Role.CRYPTO: DASHED, Role.PROXY: DOTTED, Role.WATCHED: SOLID}
WIDTHS = {Role.ETF: 5.0, Role.CRYPTO: 4.5, Role.PROXY: 4.5, Role.WATCHED: 4.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours for the ground, for what is written, and for lines; `alarm` is for where rules fire."""

    ground: str
    ink: str
    muted: str
    grid: str
    alarm: str
    lines: dict[Role, str]


class Scheme(Enum):
    """What a picture is looked at on."""

    LIGHT = "light"
    DARK = "dark"


THEMES = {
    Scheme.LIGHT: Theme(
        ground="#ffffff",
        ink="#1a1d21",
        muted="#565b63",
        grid="#e3e5e8",
        alarm="#a8457f",
        lines={Role.ETF: "#0072b2", Role.CRYPTO: "#d55e00", Role.PROXY: "#00795a", Role.WATCHED: "#1a1d21"},
    ),
    Scheme.DARK: Theme(
        ground="#14181d",
        ink="#eceff2",
        muted="#a9b1ba",
        grid="#2c333b",
        alarm="#e08fbb",
        lines={Role.ETF: "#56b4e9", Role.CRYPTO: "#e69f00", Role.PROXY: "#2fc79b", Role.WATCHED: "#eceff2"},
    ),
}

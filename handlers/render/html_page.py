"""A page for the browser that stands by itself: blocks of messages and pictures as HTML, nothing from elsewhere."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from handlers.render.message import Block, Message

HERE = Path(__file__).parent
_TEMPLATES = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows beneath a head, with a caption; on a phone each row stands by itself, each cell after its head.

    Cells hold numbers, or sentences where they are `worded`.
    """

    kind: ClassVar = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    worded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture in both schemes, as PNG files, with its words."""

    kind: ClassVar = "picture"
    light: bytes
    dark: bytes
    alt: str

    @property
    def light_uri(self) -> str:
        """The picture for a light page, and for paper."""
        return _uri(self.light)

    @property
    def dark_uri(self) -> str:
        """The picture for a dark page."""
        return _uri(self.dark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """A paragraph; `small` for small print."""

    kind: ClassVar = "lines"
    lines: Sequence[str]
    small: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A title inside a section."""

    kind: ClassVar = "heading"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A table that is long, and opens when it is asked for."""

    kind: ClassVar = "folded"
    table: Table


Part = Table | Shown | Lines | Heading | Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page with a title, and an anchor for its contents."""

    title: str
    parts: Sequence[Part]

    @property
    def anchor(self) -> str:
        """The name that links to it."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A whole page."""

    title: str
    lead: Sequence[str]
    simulated: bool
    sections: Sequence[Section]


def written(page: Page) -> bytes:
    """Write a page; whatever stands in it is escaped."""
    return _TEMPLATES.get_template("page.html").render(page=page).encode()


def parts_of(message: Message, caption: str) -> list[Part]:
    """Take a message apart, so that a page says the same."""
    made = [_part(block, caption) for block in message.blocks]
    return [part for part in made if part is not None]


def _part(block: Block, caption: str) -> Part | None:
    match block["type"]:
        case "header":
            return Heading(text=plain(block["text"]["text"]))
        case "section":
            return Lines(lines=_lines(block["text"]["text"]))
        case "context":
            return Lines(lines=_lines("\n".join(one["text"] for one in block["elements"])), small=True)
        case "table":
            head, *rows = [[plain(cell["text"]) for cell in row] for row in block["rows"]]
            return Table(caption=caption, head=head, rows=rows)
        case _:
            return None


def _lines(text: str) -> list[str]:
    return [plain(line) for line in text.splitlines()]


def plain(text: str) -> str:
    """Take Slack's markup off a text that this app has written."""
    return html.unescape(text.replace("*", "").replace("`", ""))


def _uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"

"""A self-contained HTML page of message blocks and pictures, without external resources."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from handlers.render.message import Block, Message

TEMPLATE_FOLDER = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(TEMPLATE_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlTable:
    """A table with a caption; on a phone each row is a block, with its header before each cell.

    Cells hold numbers, or sentences if `text_cells` is set.
    """

    kind: ClassVar = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_cells: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePicture:
    """A picture as light and dark PNG bytes, with its alt text."""

    kind: ClassVar = "picture"
    light: bytes
    dark: bytes
    alt: str

    @property
    def light_uri(self) -> str:
        """The picture for a light page and for print, as a data URI."""
        return _data_uri(self.light)

    @property
    def dark_uri(self) -> str:
        """The picture for a dark page, as a data URI."""
        return _data_uri(self.dark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A paragraph, in small print if `small` is set."""

    kind: ClassVar = "lines"
    lines: Sequence[str]
    small: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar = "heading"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapsedTable:
    """A long table that opens on a click."""

    kind: ClassVar = "folded"
    table: HtmlTable


PagePart = HtmlTable | PagePicture | Paragraph | Heading | CollapsedTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled section, linked from the table of contents."""

    title: str
    parts: Sequence[PagePart]

    @property
    def anchor(self) -> str:
        """The id that links to the section."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: a title, opening lines and sections."""

    title: str
    lead: Sequence[str]
    simulated: bool
    sections: Sequence[Section]


def render_html(page: Page) -> bytes:
    """Return the page as UTF-8 HTML; all values are escaped."""
    return _TEMPLATES.get_template("page.html").render(page=page).encode()


def page_parts(message: Message, caption: str) -> list[PagePart]:
    """Return a message's blocks as page parts, without buttons and charts."""
    parts = [_page_part(block, caption) for block in message.blocks]
    return [part for part in parts if part is not None]


def _page_part(block: Block, caption: str) -> PagePart | None:
    match block["type"]:
        case "header":
            return Heading(text=strip_markup(block["text"]["text"]))
        case "section":
            return Paragraph(lines=_lines(block["text"]["text"]))
        case "context":
            return Paragraph(lines=_lines("\n".join(element["text"] for element in block["elements"])), small=True)
        case "table":
            head, *rows = [[strip_markup(cell["text"]) for cell in row] for row in block["rows"]]
            return HtmlTable(caption=caption, header=head, rows=rows)
        case _:
            return None


def _lines(text: str) -> list[str]:
    return [strip_markup(line) for line in text.splitlines()]


def strip_markup(text: str) -> str:
    """Return text written by this app without Slack's markup."""
    return html.unescape(text.replace("*", "").replace("`", ""))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"

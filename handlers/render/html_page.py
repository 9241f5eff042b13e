"""A self-contained HTML page of text, tables and charts: no external resources, and a policy that allows none."""

import base64
import hashlib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from handlers.render.markup import plain
from handlers.render.message import Block, Message
from handlers.render.picture import THEMES, ColorRole, ColorScheme, Theme
from handlers.render.svg_chart import Chart, Sparkline

TEMPLATE_FOLDER = Path(__file__).parent
ROWS_SHOWN = 8  # of a long table, until its button is pressed; page.css hides the others
_TEMPLATES = Environment(
    loader=FileSystemLoader(TEMPLATE_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell whose text doesn't sort as it reads, such as a date; `key` is what it sorts by."""

    kind: ClassVar = "cell"
    text: str
    key: str


TableCell = str | Cell | Sparkline


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlTable:
    """A table with a caption; each column of texts sorts.

    Cells hold numbers, or sentences if `text_cells` is set.
    """

    kind: ClassVar = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    text_cells: bool = False

    @property
    def is_long(self) -> bool:
        """Whether the table shows a part of its rows until a button is pressed."""
        return len(self.rows) > ROWS_SHOWN

    @property
    def sortable(self) -> list[bool]:
        """Whether each column sorts: it has several rows, and no pictures."""
        columns = zip(*self.rows, strict=True) if len(self.rows) > 1 else [()] * len(self.header)
        return [bool(column) and not any(isinstance(cell, Sparkline) for cell in column) for column in columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Lines of text, in small print if `small` is set; what the reader must see first has `finding`."""

    kind: ClassVar = "lines"
    lines: Sequence[str]
    small: bool = False
    finding: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar = "heading"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """Terms with their meanings."""

    kind: ClassVar = "definitions"
    terms: Sequence[tuple[str, str]]


PagePart = HtmlTable | Chart | Paragraph | Heading | Definitions


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
    """Return the page as UTF-8 HTML; all values are escaped, and only this page's own style and script may run."""
    style = f"{_theme_css()}{_asset('page.css')}"
    script = _asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_csp_hash(style)}; script-src {_csp_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    template = _TEMPLATES.get_template("page.html")
    return template.render(page=page, style=style, script=script, policy=policy).encode()


def _theme_css() -> str:
    """Return the colours of both themes; print is light."""
    light, dark = (_css_variables(THEMES[scheme]) for scheme in (ColorScheme.LIGHT, ColorScheme.DARK))
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def _css_variables(theme: Theme) -> str:
    names = ("background", "text", "muted", "grid", "threshold")
    colors = {name: str(getattr(theme, name)) for name in names}
    colors |= {role.name.lower(): color for role, color in theme.curves.items()}
    colors["link"] = theme.curves[ColorRole.ETF]
    return " ".join(f"--{name}: {color};" for name, color in colors.items())


def _asset(name: str) -> str:
    return (TEMPLATE_FOLDER / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """Return the hash by which a content security policy allows an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


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
    """Return text written by this app without Slack's markup; a time is in New York's zone."""
    return html.unescape(plain(text))

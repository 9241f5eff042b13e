"""Render Slack messages in a terminal: Block Kit and mrkdwn with rich, at any width."""

import html
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType
from rich.emoji import Emoji
from rich.rule import Rule
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from handlers.render.fmt import sparkline
from handlers.render.message import Message
from services.core.text import escape_control

Block = dict[str, Any]

_MARKED = r"(?<!\w){mark}(?!\s)(?P<{name}>(?:<[^<>\n]+>|[^{mark}<\n])+)(?<!\s){mark}(?!\w)"  # a date may contain _
_TOKEN = re.compile(
    "|".join(
        [
            r"```\n?(?P<pre>.+?)```",
            r"`(?P<code>[^`\n]+)`",
            r"<(?P<link>[^<>\n]+)>",
            r"(?P<emoji>:[a-z][a-z0-9_+-]*: ?)",
            _MARKED.format(mark=r"\*", name="bold"),
            _MARKED.format(mark="_", name="italic"),
            _MARKED.format(mark="~", name="strike"),
        ]
    ),
    re.DOTALL,
)
_SIGILS = {"@": "@", "#": "#", "!": "@"}


class SafeConsole(Console):
    """A console that escapes the control characters in what it prints; its own styles remain.

    Attributes:
        on_closed: Called once the output is closed, as after `| head`. Without it, the process exits.
    """

    def __init__(self, on_closed: Callable[[], object] | None = None) -> None:
        super().__init__(highlight=False)
        self.on_closed = on_closed

    def on_broken_pipe(self) -> None:
        """Print nothing more; exit, or call `on_closed`, as an exit inside a server's task would be logged."""
        try:
            super().on_broken_pipe()
        except SystemExit:
            if self.on_closed is None:
                raise
            self.on_closed()

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments of a renderable."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else escape_control(text), style, control)


def render_message(text: str, blocks: Sequence[Block]) -> RenderableType:
    """Render a message's blocks, or its text if it has none."""
    return Group(*(render_block(block) for block in blocks)) if blocks else render_mrkdwn(text)


def print_message(message: Message) -> None:
    """Print a message on stdout."""
    SafeConsole().print(render_message(message.text, message.blocks))


def render_block(block: Block) -> RenderableType:
    """Render a block; an unknown one as its type."""
    show = RENDERERS.get(block["type"])
    return show(block) if show else Text(f"[{block['type']}]", style="dim")


def render_mrkdwn(text: str, style: str = "") -> Text:
    """Render Slack's markup: *bold*, _italic_, ~struck~, `code`, <links>, mentions and the three escapes."""
    rendered, end = Text(style=style), 0
    for match in _TOKEN.finditer(text):
        rendered.append(html.unescape(text[end : match.start()]))
        rendered.append_text(_token(str(match.lastgroup), str(match[match.lastgroup or 0])))
        end = match.end()
    return rendered.append(html.unescape(text[end:]))


def _token(kind: str, inner: str) -> Text:
    if kind in ("pre", "code"):
        return Text(html.unescape(inner), style="cyan")
    if kind == "link":
        return _link(inner)
    if kind == "emoji":  # the status is in words, too
        return Text(inner if Emoji.replace(inner) == inner else "")
    return render_mrkdwn(inner, style=kind)


def _link(inner: str) -> Text:
    """Render a link, a mention or a date (`!date^…|fallback`) as its label, if it has one."""
    target, _, label = inner.partition("|")
    if target.startswith("!date"):
        return Text(html.unescape(label))
    sigil = _SIGILS.get(target[:1])
    if sigil:
        return Text(f"{sigil}{label or target[1:]}", style="bold cyan")
    return Text(html.unescape(label or target), style="underline")


def _text(part: Block) -> Text:
    return (
        render_mrkdwn(part["text"]) if part.get("type") == "mrkdwn" else Text(html.unescape(str(part.get("text", ""))))
    )


def _header(block: Block) -> RenderableType:
    rendered = _text(block["text"])
    rendered.stylize("bold")
    return rendered


def _section(block: Block) -> RenderableType:
    elements: list[RenderableType] = [_text(block["text"])] if "text" in block else []
    if "fields" in block:
        elements.append(_field_grid([_text(field) for field in block["fields"]]))
    accessory = block.get("accessory")
    if accessory is None:
        return Group(*elements)
    if accessory["type"] != "overflow":
        return Group(*elements, _control(accessory))
    beside = Table.grid(expand=True, padding=(0, 1, 0, 0))
    beside.add_column(ratio=1)
    beside.add_row(Group(*elements), _control(accessory))
    return beside


def _field_grid(fields: Sequence[Text]) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    for left in range(0, len(fields), 2):
        table.add_row(*fields[left : left + 2])
    return table


def _context(block: Block) -> RenderableType:
    elements = [_element(part) for part in block["elements"]]
    rendered = Text("  ").join(elements)
    rendered.stylize("dim")
    return rendered


def _element(part: Block) -> Text:
    return Text(f"[{part['alt_text']}]") if part["type"] == "image" else _text(part)


def _actions(block: Block) -> RenderableType:
    return Text(" ").join(_control(element) for element in block["elements"])


def _control(element: Block) -> Text:
    """Render a button as its label, and a menu as its placeholder."""
    if element["type"] == "image":
        return Text(f"[{element['alt_text']}]")
    if element["type"] == "button":
        return Text(f"[{element['text']['text']}]", style="reverse", no_wrap=True)
    return Text(f"[{element.get('placeholder', {}).get('text', 'More')} ▾]", style="reverse", no_wrap=True)


def _table(block: Block) -> RenderableType:
    head, *rows = block["rows"]
    settings = block.get("column_settings") or []
    table = Table(box=None, pad_edge=False, title=block.get("caption"), title_justify="left")
    for index, cell in enumerate(head):
        setting = settings[index] if index < len(settings) and settings[index] else {}
        align: JustifyMethod = setting.get("align", "right" if index else "left")
        table.add_column(_cell(cell), justify=align, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(cell) for cell in row))
    return table


def _cell(cell: Block) -> Text:
    if cell["type"] == "rich_text":
        return _rich_text(cell)
    return Text(html.unescape(str(cell.get("text", cell.get("value", "")))))


def _rich_text(block: Block) -> Text:
    """Flatten rich text: the text of each part, one line per section."""
    if block["type"] in _MULTILINE:
        return Text("\n").join(_rich_text(part) for part in block["elements"])
    if "elements" in block:
        return Text("").join(_rich_text(part) for part in block["elements"])
    style = " ".join(name for name, on in block.get("style", {}).items() if on and name in ("bold", "italic", "strike"))
    label = block.get("text") or block.get("url") or block.get("name") or block.get("fallback")
    return Text(str(label or f"@{block.get('user_id', block['type'])}"), style=style)


_MULTILINE = ("rich_text", "rich_text_list")


def _image(block: Block) -> RenderableType:
    return Text(f"[Image: {block['alt_text']}]", style="dim")


def _markdown(block: Block) -> RenderableType:
    return Text(block["text"])


def _chart(block: Block) -> RenderableType:
    """Render each series as a sparkline between its first and last values."""
    lines = [Text(block["title"], style="bold")]
    for series in block["chart"]["series"]:
        values = [point["value"] for point in series["data"]]
        lines.append(Text(f"{series['name']}  {values[0]:g} {sparkline(values)} {values[-1]:g}"))
    return Group(*lines)


def _container(block: Block) -> RenderableType:
    return Group(_header({"text": block["title"]}), *(render_block(child) for child in block["child_blocks"]))


RENDERERS: dict[str, Callable[[Block], RenderableType]] = {
    "actions": _actions,
    "container": _container,
    "context": _context,
    "data_table": _table,
    "data_visualization": _chart,
    "divider": lambda _block: Rule(style="dim"),
    "header": _header,
    "image": _image,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "section": _section,
    "table": _table,
}

"""Slack messages: Block Kit blocks within Slack's limits, and the text of their notification.

Workspaces that reject newer blocks get a fallback form.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from handlers.render.markup import MINUS, code_block, plain

Block = dict[str, Any]

CHART = "data_visualization"

# Slack's limits and the app's text budgets, mostly in characters
FALLBACK_TEXT = 4_000
PUSH_TEXT = 260  # of a notification
ALERT_PUSH_TEXT = 185  # about four lines on a phone
HEADER_TEXT = 150
SECTION_TEXT = 3_000
CONTEXT_TEXT = 2_000
LIST_TEXT = 6_000  # of a long list; keeps its message well below Slack's 12,000 for all blocks
LIST_FALLBACK = 2_800  # of the same list in the fallback text, which also holds other lines
SHORT_LIST_TEXT = 1_200  # of one of several lists in a message
CHART_TITLE = 50
CHART_LABEL = 20  # of a point or a series
CHART_POINTS = 20
ALT_TEXT = 2_000
FORM_TITLE = 24
OPTION_TEXT = 75
PROBLEMS_SHOWN = 4
PROBLEM_TEXT = 300  # of a source's error
REASON_TEXT = 500  # of a user's reason, so that the alert's message keeps room for the rest


class Message(NamedTuple):
    """A message's blocks, and the short text of its notification, which screen readers read first."""

    blocks: list[Block]
    text: str

    @property
    def full_text(self) -> str:
        """Everything that the blocks say, as mrkdwn."""
        return "\n".join(filter(None, map(block_text, self.blocks)))


def compose(blocks: list[Block | None], text: list[str]) -> Message:
    """Return a message of the blocks that aren't None; its notification is the text, as plain text."""
    present = [block for block in blocks if block is not None]
    return Message(blocks=present, text=clip(plain("\n".join(text)), FALLBACK_TEXT))


def notification(*sentences: str, limit: int = PUSH_TEXT) -> list[str]:
    """Return the sentences that fit into a notification, for `compose`; the first one always does."""
    sentences, used = tuple(filter(None, sentences)), 0
    for index, sentence in enumerate(sentences):
        used += len(plain(sentence)) + 1
        if index and used - 1 > limit:
            return [" ".join(sentences[:index])]
    return [" ".join(sentences)]


def text_message(*lines: str) -> Message:
    """Return a message of one section with a few lines."""
    return compose([section(*lines)], list(lines))


def stack(first: Message, second: Message) -> Message:
    """Return one message with the blocks and the text of both."""
    return compose([*first.blocks, *second.blocks], [first.text, second.text])


def header(text: str) -> Block:
    """Return a header block."""
    return {"type": "header", "text": plain_text(clip(text, HEADER_TEXT))}


def section(*lines: str, accessory: Block | None = None) -> Block | None:
    """Return a section of lines, with a button or menu beside them; None without lines."""
    text = "\n".join(line for line in lines if line)
    if not text:
        return None
    block: Block = {"type": "section", "text": _mrkdwn(clip(text, SECTION_TEXT))}
    return block if accessory is None else {**block, "accessory": accessory}


def sections(*lines: str) -> list[Block | None]:
    """Return as many sections as needed, so that no line is cut."""
    groups, length = [list[str]()], 0
    for line in lines:
        length += len(line) + 1
        if length > SECTION_TEXT and groups[-1]:
            groups.append([])
            length = len(line) + 1
        groups[-1].append(line)
    return [section(*group) for group in groups]


def context(*lines: str) -> Block | None:
    """Return a context block (small print); None without lines."""
    text = "\n".join(line for line in lines if line)
    return {"type": "context", "elements": [_mrkdwn(clip(text, CONTEXT_TEXT))]} if text else None


def table(rows: list[list[str]]) -> Block:
    """Return a table; its first row is the header, and columns after the first are right-aligned numbers."""
    return {
        "type": "table",
        "column_settings": [{"align": "left"}, *({"align": "right"} for _ in rows[0][1:])],
        "rows": [[{"type": "raw_text", "text": cell} for cell in row] for row in rows],
    }


def line_chart(title: str, labels: list[str], series: dict[str, list[float]], *, x_label: str, y_label: str) -> Block:
    """Return a line chart of series over the same points, at most 20; the y label ends with `(%)` if in percent."""
    names = [clip(label, CHART_LABEL) for label in labels]
    return {
        "type": CHART,
        "title": title,
        "chart": {
            "type": "line",
            "series": [
                {"name": clip(name, CHART_LABEL), "data": _data_points(names, values)}
                for name, values in series.items()
            ],
            "axis_config": {"categories": names, "x_label": x_label, "y_label": y_label},
        },
    }


def actions(*elements: Block | None) -> Block:
    """Return a row of buttons and menus; None is skipped."""
    return {"type": "actions", "elements": [element for element in elements if element is not None]}


def button(
    action_id: str, label: str, value: str, *, primary: bool = False, confirm: str = "", names: str = ""
) -> Block:
    """Return a button that sends `value`; with a `confirm` text, only after a confirmation dialog.

    `names` is its label for screen readers, if the text alone doesn't name what it acts on.
    """
    element: Block = {"type": "button", "action_id": action_id, "text": plain_text(label), "value": value}
    if names:
        element["accessibility_label"] = names
    if confirm:
        dialog = {"title": f"{label}?", "text": confirm, "confirm": label, "deny": "Cancel"}
        element["confirm"] = {part: plain_text(text) for part, text in dialog.items()}
    return {**element, "style": "primary"} if primary else element


def overflow(action_id: str, options: dict[str, str]) -> Block:
    """Return a menu of rarer actions, two to five, with labels by the value that each sends."""
    return {
        "type": "overflow",
        "action_id": action_id,
        "options": [{"text": plain_text(clip(text, OPTION_TEXT)), "value": value} for value, text in options.items()],
    }


def select_menu(action_id: str, label: str, options: dict[str, str]) -> Block:
    """Return a select menu with labels by the value that each option sends."""
    return {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": plain_text(label),
        "options": [{"text": plain_text(text), "value": value} for value, text in options.items()],
    }


def _data_points(names: list[str], values: list[float]) -> list[Block]:
    return [{"label": name, "value": value} for name, value in zip(names, values, strict=True)]


def plain_text(text: str) -> Block:
    """Return a text object without markup."""
    return {"type": "plain_text", "text": text}


def _mrkdwn(text: str) -> Block:
    """Return a text object with markup; Slack doesn't turn a quoted name or `@channel` into a mention or a link."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def clip(text: str, limit: int) -> str:
    """Return the text, shortened to `limit` characters with an ellipsis if it is longer."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def fit_lines(lines: Sequence[str], max_chars: int, noun: str = "") -> list[str]:
    """Return the first lines that fit into `max_chars`, then how many more `noun` there are."""
    used = 0
    for index, line in enumerate(lines):
        used += len(line) + 1
        if used > max_chars:
            return [*lines[:index], f"… and {len(lines) - index} more{noun}"]
    return list(lines)


def fit_newest_lines(lines: Sequence[str], max_chars: int, noun: str) -> list[str]:
    """Return the last lines that fit, in their order, after how many earlier `noun` there are."""
    return fit_lines(lines[::-1], max_chars, noun)[::-1]


def with_picture(message: Message, file_id: str, alt: str) -> Message:
    """Return the message with an uploaded image in place of its chart, or below its first section."""
    image: Block = {"type": "image", "slack_file": {"id": file_id}, "alt_text": alt}
    kinds = [block["type"] for block in message.blocks]
    index = kinds.index(CHART) if CHART in kinds else kinds.index("section") + 1
    after = message.blocks[index + (CHART in kinds) :]
    return Message(blocks=[*message.blocks[:index], image, *after], text=message.text)


def block_text(block: Block) -> str:
    """Return everything that a block says, as mrkdwn; its controls say nothing."""
    write = _BLOCK_TEXTS.get(block["type"])
    return "" if write is None else write(block)


def _section_text(block: Block) -> str:
    parts = [*([block["text"]] if "text" in block else []), *block.get("fields", ())]
    return "\n".join(part["text"] for part in parts)


def _table_text(block: Block) -> str:
    return "\n".join(" | ".join(cell["text"] for cell in row) for row in block["rows"])


_BLOCK_TEXTS: dict[str, Callable[[Block], str]] = {
    "header": lambda block: f"*{block['text']['text']}*",
    "section": _section_text,
    "context": lambda block: "  ".join(str(part.get("text") or part.get("alt_text")) for part in block["elements"]),
    "table": _table_text,
    "image": lambda block: str(block["alt_text"]),
    CHART: lambda block: _table_text(_chart_as_table(block)),
}


def text_only(message: Message) -> Message:
    """Return the message as text and its buttons, in Slack's oldest blocks."""
    buttons = [block for block in message.blocks if block["type"] == "actions"]
    text = sections(*message.full_text.split("\n"))
    return Message(blocks=[block for block in [*text, *buttons] if block], text=message.text)


def without_charts(message: Message) -> Message:
    """Return the message without its charts."""
    return Message(blocks=[block for block in message.blocks if block["type"] != CHART], text=message.text)


def monospaced(message: Message) -> Message:
    """Return the message with charts and tables as monospaced text."""
    return Message(blocks=[_monospaced_table(block) for block in _charts_as_tables(message.blocks)], text=message.text)


def fallback_forms(message: Message) -> list[Message]:
    """Return the forms to try, richest first, if Slack rejects the message.

    Slack shows one table in a message, so that a chart beside a table is left out before both become text.
    """
    has_table = any(block["type"] == "table" for block in message.blocks)
    as_tables = without_charts(message).blocks if has_table else _charts_as_tables(message.blocks)
    tables_only = [Message(blocks=as_tables, text=message.text)] if as_tables != message.blocks else []
    return [
        *tables_only,
        *([monospaced(message)] if any(block["type"] == "table" for block in as_tables) else []),
        text_only(message),
    ]


def _charts_as_tables(blocks: list[Block]) -> list[Block]:
    return [_chart_as_table(block) if block["type"] == CHART else block for block in blocks]


def _chart_as_table(chart: Block) -> Block:
    series, axis = chart["chart"]["series"], chart["chart"]["axis_config"]
    unit, decimals = (" (%)", 1) if axis["y_label"].endswith("(%)") else ("", 2)
    head = [axis["x_label"], *(f"{line['name']}{unit}" for line in series)]
    rows = [
        [label, *(f"{line['data'][index]['value']:.{decimals}f}".replace("-", MINUS) for line in series)]
        for index, label in enumerate(axis["categories"])
    ]
    return table([head, *rows])


def _monospaced_table(block: Block) -> Block:
    if block["type"] != "table":
        return block
    rows = [[cell["text"] for cell in row] for row in block["rows"]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return section(code_block("\n".join(line.rstrip() for line in lines))) or block

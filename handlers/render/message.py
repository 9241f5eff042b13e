"""Slack messages: Block Kit blocks, and a fallback text with the same content for notifications and screen readers."""

from typing import Any, NamedTuple

from handlers.render.limits import CHART_LABEL, CONTEXT_TEXT, FALLBACK_TEXT, HEADER_TEXT, SECTION_TEXT, clip

Block = dict[str, Any]

CHART = "data_visualization"


class Message(NamedTuple):
    """A message's blocks, and a text that alone says everything that the blocks say."""

    blocks: list[Block]
    text: str


def compose(blocks: list[Block | None], text: list[str]) -> Message:
    """Return a message of the blocks that aren't None, and of the lines of its fallback text."""
    present = [block for block in blocks if block is not None]
    return Message(blocks=present, text=clip("\n".join(text), FALLBACK_TEXT))


def text_message(*lines: str) -> Message:
    """Return a message of one section with a few lines."""
    return compose([section(*lines)], list(lines))


def stack(first: Message, second: Message) -> Message:
    """Return one message with the blocks and the text of both."""
    return compose([*first.blocks, *second.blocks], [first.text, second.text])


def header(text: str) -> Block:
    """Return a header block."""
    return {"type": "header", "text": _plain_text(clip(text, HEADER_TEXT))}


def section(*lines: str) -> Block | None:
    """Return a section of lines; None without any."""
    text = "\n".join(line for line in lines if line)
    return {"type": "section", "text": _mrkdwn(clip(text, SECTION_TEXT))} if text else None


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


def line_chart(title: str, labels: list[str], series: dict[str, list[float]], *, x_label: str) -> Block:
    """Return a line chart of series over the same points, at most 20; `x_label` names the points."""
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
            "axis_config": {"categories": names, "x_label": x_label, "y_label": "%"},
        },
    }


def actions(*elements: Block | None) -> Block:
    """Return a row of buttons and menus; None is skipped."""
    return {"type": "actions", "elements": [element for element in elements if element is not None]}


def button(action_id: str, label: str, value: str, *, primary: bool = False, confirm: str = "") -> Block:
    """Return a button that sends `value`; with a `confirm` text, only after a confirmation dialog."""
    element: Block = {"type": "button", "action_id": action_id, "text": _plain_text(label), "value": value}
    if confirm:
        dialog = {"title": f"{label}?", "text": confirm, "confirm": label, "deny": "No"}
        element["confirm"] = {part: _plain_text(text) for part, text in dialog.items()}
    return {**element, "style": "primary"} if primary else element


def select_menu(action_id: str, label: str, options: dict[str, str]) -> Block:
    """Return a select menu with labels by the value that each option sends."""
    return {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": _plain_text(label),
        "options": [{"text": _plain_text(text), "value": value} for value, text in options.items()],
    }


def _data_points(names: list[str], values: list[float]) -> list[Block]:
    return [{"label": name, "value": value} for name, value in zip(names, values, strict=True)]


def _plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}

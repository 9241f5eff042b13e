"""A message as Slack takes it: blocks to look at, and a text that says the same to phones and screen readers."""

from __future__ import annotations

from typing import Any, NamedTuple

from handlers.render.limits import CHART_LABEL, CONTEXT_TEXT, FALLBACK_TEXT, HEADER_TEXT, SECTION_TEXT, clip

Block = dict[str, Any]

CHART = "data_visualization"


class Message(NamedTuple):
    """What is sent: `text` alone tells everything that the blocks tell."""

    blocks: list[Block]
    text: str


def compose(blocks: list[Block | None], text: list[str]) -> Message:
    """Put a message together; None leaves a block out."""
    kept = [block for block in blocks if block is not None]
    return Message(blocks=kept, text=clip("\n".join(text), FALLBACK_TEXT))


def text_message(*lines: str) -> Message:
    """Make a message of a few lines and nothing else."""
    return compose([section(*lines)], list(lines))


def stacked(first: Message, then: Message) -> Message:
    """Put one message below another."""
    return compose([*first.blocks, *then.blocks], [first.text, then.text])


def header(text: str) -> Block:
    """Make a title."""
    return {"type": "header", "text": _plain(clip(text, HEADER_TEXT))}


def section(*lines: str) -> Block | None:
    """Make a paragraph of lines; None where there are none."""
    text = "\n".join(line for line in lines if line)
    return {"type": "section", "text": _markdown(clip(text, SECTION_TEXT))} if text else None


def paragraphs(*lines: str) -> list[Block | None]:
    """Make as many paragraphs as it takes to cut no line."""
    groups, length = [list[str]()], 0
    for line in lines:
        length += len(line) + 1
        if length > SECTION_TEXT and groups[-1]:
            groups.append([])
            length = len(line) + 1
        groups[-1].append(line)
    return [section(*group) for group in groups]


def note(*lines: str) -> Block | None:
    """Make a paragraph in small print; None where there are no lines."""
    text = "\n".join(line for line in lines if line)
    return {"type": "context", "elements": [_markdown(clip(text, CONTEXT_TEXT))]} if text else None


def table(rows: list[list[str]]) -> Block:
    """Make a table whose first row is its head and whose columns, after the first, hold numbers."""
    return {
        "type": "table",
        "column_settings": [{"align": "left"}, *({"align": "right"} for _ in rows[0][1:])],
        "rows": [[{"type": "raw_text", "text": cell} for cell in row] for row in rows],
    }


def line_chart(title: str, labels: list[str], series: dict[str, list[float]], *, across: str) -> Block:
    """Draw lines over the same points, 20 at most; `across` names what the points are."""
    names = [clip(label, CHART_LABEL) for label in labels]
    return {
        "type": CHART,
        "title": title,
        "chart": {
            "type": "line",
            "series": [
                {"name": clip(name, CHART_LABEL), "data": _points(names, values)} for name, values in series.items()
            ],
            "axis_config": {"categories": names, "x_label": across, "y_label": "%"},
        },
    }


def actions(*elements: Block | None) -> Block:
    """Make a row of buttons and choices; None leaves one out."""
    return {"type": "actions", "elements": [element for element in elements if element is not None]}


def button(action_id: str, label: str, value: str, *, primary: bool = False, sure: str = "") -> Block:
    """Make a button that carries `value` back; where `sure` asks something, only after a yes."""
    made: Block = {"type": "button", "action_id": action_id, "text": _plain(label), "value": value}
    if sure:
        asked = {"title": f"{label}?", "text": sure, "confirm": label, "deny": "No"}
        made["confirm"] = {part: _plain(text) for part, text in asked.items()}
    return {**made, "style": "primary"} if primary else made


def choice(action_id: str, label: str, options: dict[str, str]) -> Block:
    """Make a list to choose from, of labels by the value that each carries back."""
    return {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": _plain(label),
        "options": [{"text": _plain(text), "value": value} for value, text in options.items()],
    }


def _points(names: list[str], values: list[float]) -> list[Block]:
    return [{"label": name, "value": value} for name, value in zip(names, values, strict=True)]


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def _markdown(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}

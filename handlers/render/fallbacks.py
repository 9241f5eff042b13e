"""The forms of a message: as it is meant, without the newest blocks, and in the oldest ones alone."""

from __future__ import annotations

from handlers.render.markup import block as fixed
from handlers.render.message import CHART, Block, Message, compose, section, table


def pictured(message: Message, file: str, alt: str) -> Message:
    """Put a picture that Slack keeps as a file in the place of the chart, or beneath the first paragraph."""
    image: Block = {"type": "image", "slack_file": {"id": file}, "alt_text": alt}
    kinds = [block["type"] for block in message.blocks]
    at = kinds.index(CHART) if CHART in kinds else kinds.index("section") + 1
    after = message.blocks[at + (CHART in kinds) :]
    return Message(blocks=[*message.blocks[:at], image, *after], text=message.text)


def as_plain(message: Message) -> Message:
    """Put a message in the oldest blocks that Slack knows: its text and its buttons."""
    buttons = [block for block in message.blocks if block["type"] == "actions"]
    return compose([section(message.text), *buttons], [message.text])


def without_charts(message: Message) -> Message:
    """Leave charts out of a message that tells in words what they show."""
    return Message(blocks=[block for block in message.blocks if block["type"] != CHART], text=message.text)


def classic(message: Message) -> Message:
    """Set charts and tables in fixed width, for those who are not shown them."""
    return Message(blocks=[_set(block) for block in _without_charts(message.blocks)], text=message.text)


def plainer(message: Message) -> list[Message]:
    """List the forms that a message has for a Slack that refuses it, the nearest first."""
    drawn = _without_charts(message.blocks)
    nearer = [Message(blocks=drawn, text=message.text)] if drawn != message.blocks else []
    return [
        *nearer,
        *([classic(message)] if any(block["type"] == "table" for block in drawn) else []),
        as_plain(message),
    ]


def _without_charts(blocks: list[Block]) -> list[Block]:
    return [_as_table(block) if block["type"] == CHART else block for block in blocks]


def _as_table(chart: Block) -> Block:
    """Write the points of a chart in rows, a column for each line."""
    series, axis = chart["chart"]["series"], chart["chart"]["axis_config"]
    head = [axis["x_label"], *(f"{line['name']} {axis['y_label']}" for line in series)]
    rows = [
        [label, *(f"{line['data'][at]['value']:.1f}" for line in series)] for at, label in enumerate(axis["categories"])
    ]
    return table([head, *rows])


def _set(block: Block) -> Block:
    """Set a table in fixed width; any other block stays as it is."""
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
    return section(fixed("\n".join(line.rstrip() for line in lines))) or block

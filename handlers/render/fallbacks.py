"""Fallback forms of a message, for clients and workspaces that reject newer blocks."""

from handlers.render.markup import code_block
from handlers.render.message import CHART, Block, Message, compose, section, table


def with_picture(message: Message, file_id: str, alt: str) -> Message:
    """Return the message with an uploaded image in place of its chart, or below its first section."""
    image: Block = {"type": "image", "slack_file": {"id": file_id}, "alt_text": alt}
    kinds = [block["type"] for block in message.blocks]
    index = kinds.index(CHART) if CHART in kinds else kinds.index("section") + 1
    after = message.blocks[index + (CHART in kinds) :]
    return Message(blocks=[*message.blocks[:index], image, *after], text=message.text)


def text_only(message: Message) -> Message:
    """Return the message as its fallback text and its buttons, in Slack's oldest blocks."""
    buttons = [block for block in message.blocks if block["type"] == "actions"]
    return compose([section(message.text), *buttons], [message.text])


def without_charts(message: Message) -> Message:
    """Return the message without its charts; its text still says what they show."""
    return Message(blocks=[block for block in message.blocks if block["type"] != CHART], text=message.text)


def monospaced(message: Message) -> Message:
    """Return the message with charts and tables as monospaced text."""
    return Message(blocks=[_monospaced_table(block) for block in _charts_as_tables(message.blocks)], text=message.text)


def fallback_forms(message: Message) -> list[Message]:
    """Return the forms to try, richest first, if Slack rejects the message."""
    as_tables = _charts_as_tables(message.blocks)
    tables_only = [Message(blocks=as_tables, text=message.text)] if as_tables != message.blocks else []
    return [
        *tables_only,
        *([monospaced(message)] if any(block["type"] == "table" for block in as_tables) else []),
        text_only(message),
    ]


def _charts_as_tables(blocks: list[Block]) -> list[Block]:
    return [_chart_as_table(block) if block["type"] == CHART else block for block in blocks]


def _chart_as_table(chart: Block) -> Block:
    """Return a chart's points as a table, with a column per series."""
    series, axis = chart["chart"]["series"], chart["chart"]["axis_config"]
    head = [axis["x_label"], *(f"{line['name']} {axis['y_label']}" for line in series)]
    rows = [
        [label, *(f"{line['data'][index]['value']:.1f}" for line in series)]
        for index, label in enumerate(axis["categories"])
    ]
    return table([head, *rows])


def _monospaced_table(block: Block) -> Block:
    """Return a table as monospaced text, and any other block unchanged."""
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

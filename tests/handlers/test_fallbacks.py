"""Fallback forms of a message keep its numbers."""

import re

from handlers.render.board import board_message
from handlers.render.fallbacks import fallback_forms, monospaced
from tests.fakes.blockkit import checked
from tests.handlers.boards import OPEN_AT, a_board, open_view


def test_a_table_has_a_fixed_width_fallback() -> None:
    board = board_message(a_board(open_view()), OPEN_AT)
    (table,) = [block for block in board.blocks if block["type"] == "table"]
    cells = [[cell["text"] for cell in row] for row in table["rows"]]

    shown = checked(monospaced(board)._asdict())

    (fixed,) = [block["text"]["text"] for block in shown["blocks"] if "```" in str(block)]
    lines = fixed.strip("`").splitlines()
    assert cells == [re.split(" {2,}", line) for line in lines]
    assert len({len(line) for line in lines}) == 1
    assert board.text == shown["text"]


def test_a_board_has_two_fallback_forms() -> None:
    board = board_message(a_board(open_view()), OPEN_AT)

    forms = [{block["type"] for block in checked(form._asdict())["blocks"]} for form in fallback_forms(board)]

    assert [{"header", "section", "context", "actions"}, {"section", "actions"}] == forms

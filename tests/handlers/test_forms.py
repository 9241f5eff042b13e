"""A message that not everybody can be shown has plainer forms, with the same numbers in them."""

from __future__ import annotations

import re

from handlers.render.board import board_message
from handlers.render.fallbacks import classic, plainer
from tests.fakes.blockkit import checked
from tests.handlers.boards import OPEN_AT, a_board, open_view


def test_a_table_is_set_in_fixed_width_for_those_who_are_shown_none() -> None:
    board = board_message(a_board(open_view()), OPEN_AT)
    (table,) = [block for block in board.blocks if block["type"] == "table"]
    cells = [[cell["text"] for cell in row] for row in table["rows"]]

    shown = checked(classic(board)._asdict())

    (fixed,) = [block["text"]["text"] for block in shown["blocks"] if "```" in str(block)]
    lines = fixed.strip("`").splitlines()
    assert cells == [re.split(" {2,}", line) for line in lines]
    assert len({len(line) for line in lines}) == 1
    assert board.text == shown["text"]


def test_a_board_that_slack_refuses_has_two_plainer_forms() -> None:
    board = board_message(a_board(open_view()), OPEN_AT)

    forms = [{block["type"] for block in checked(form._asdict())["blocks"]} for form in plainer(board)]

    assert [{"header", "section", "context", "actions"}, {"section", "actions"}] == forms

"""Strict Block Kit validator: rejects what Slack rejects, and what only its documentation forbids.

Slack's own checker needs the network, and no library knows every rule: one table per message, unique action ids,
no ragged or empty cells, which block is allowed where, the total number of characters, and a text beside the blocks.
"""

from typing import Any

from tests.fakes.blockkit.blocks import BLOCKS, Surface
from tests.fakes.blockkit.elements import ID
from tests.fakes.blockkit.message import message_problems
from tests.fakes.blockkit.shapes import Shape, anything, flag, list_of, one_of, plain, text

MAX_FALLBACK = 4_000
MAX_BLOCKS = {Surface.MESSAGE: 50, Surface.MODAL: 100, Surface.HOME: 100}
TITLE, PRIVATE_METADATA = 24, 3_000
_ANY_VIEW = {"callback_id": text(ID), "external_id": text(ID), "private_metadata": text(PRIVATE_METADATA)}
_VIEWS = {
    Surface.HOME: Shape({"type": one_of("home"), "blocks": anything}, _ANY_VIEW),
    Surface.MODAL: Shape(
        {"type": one_of("modal"), "title": plain(TITLE), "blocks": anything},
        {**_ANY_VIEW, "submit": plain(TITLE), "close": plain(TITLE), "notify_on_close": flag, "clear_on_close": flag},
    ),
}

__all__ = ["Surface", "checked", "problems", "view_problems"]


def problems(message: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with a message of `text` and `blocks`."""
    found = [f"{key}: is unknown" for key in message.keys() - {"text", "blocks"}]
    found += text(MAX_FALLBACK)(message.get("text"), "text")
    return found + (_blocks(message["blocks"], Surface.MESSAGE) if "blocks" in message else [])


def view_problems(view: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with a modal or a Home tab."""
    surface = Surface.HOME if view.get("type") == "home" else Surface.MODAL
    found = [*_VIEWS[surface](view, "view"), *_blocks(view.get("blocks"), surface)]
    if surface is Surface.MODAL and "submit" not in view and not found and _has_input(view):
        found.append("view.submit: is missing, though there is something to enter")
    return found


def checked(message: dict[str, Any]) -> dict[str, Any]:
    """Assert that a message is valid, and return it."""
    assert problems(message) == []
    return message


def _has_input(view: dict[str, Any]) -> bool:
    return any(block["type"] == "input" for block in view["blocks"])


def _blocks(blocks: object, surface: Surface) -> list[str]:
    found = list(list_of(BLOCKS[surface], MAX_BLOCKS[surface])(blocks, "blocks"))
    return found if found or not isinstance(blocks, list) else list(message_problems(blocks))

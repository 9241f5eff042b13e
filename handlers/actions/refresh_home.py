"""Refresh on the Home tab: the tab again, as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.home import publish

if TYPE_CHECKING:
    from handlers.ask import Ask


async def answer(ask: Ask) -> None:
    """Show the tab as it is now."""
    await publish(ask)

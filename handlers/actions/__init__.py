"""Buttons and choices, by action_id; a new one is a file and a row here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.actions import acknowledge, refresh, resolve, share, snooze, start, unacknowledge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from handlers.ask import Ask, Reply

ACTIONS: dict[str, Callable[[Ask], Awaitable[Reply | None]]] = {
    "acknowledge": acknowledge.answer,
    "refresh": refresh.answer,
    "resolve": resolve.answer,
    "share": share.answer,
    "snooze": snooze.answer,
    "start": start.answer,
    "unacknowledge": unacknowledge.answer,
}

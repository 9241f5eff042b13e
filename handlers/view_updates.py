"""Ordered updates of open views: the newest input wins, whichever result is ready first."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack_errors import translate_slack_error

MAX_OPEN_VIEWS = 500  # least recently used views are dropped first
STALE_UPDATE = frozenset({"hash_conflict", "not_found", "view_not_found"})  # changed elsewhere or closed
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _OpenView:
    newest: int = 0
    next_hash: dict[str, str] = field(default_factory=dict)  # hash before and after each of our own updates
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ViewUpdates:
    """The open views that this process updates."""

    def __init__(self) -> None:
        self._views: LRUCache[str, _OpenView] = LRUCache(MAX_OPEN_VIEWS)

    async def update(
        self, client: AsyncWebClient, view_id: str, view_hash: str, work: Awaitable[dict[str, Any]]
    ) -> None:
        """Update a view with the result of `work`, unless a newer update was requested meanwhile.

        `view_hash` is the hash of the view that the person saw. Slack rejects an update of any other, so the hashes of
        this process's own updates are followed from there. Raises DeliveryError.
        """
        open_view = self._views.setdefault(view_id, _OpenView())
        open_view.newest += 1
        sequence = open_view.newest
        view = await work
        async with open_view.lock:
            if sequence != open_view.newest:
                return
            while view_hash in open_view.next_hash:
                view_hash = open_view.next_hash[view_hash]
            if new_hash := await _update(client, view_id, view_hash, view):
                open_view.next_hash[view_hash] = new_hash


async def _update(client: AsyncWebClient, view_id: str, view_hash: str, view: dict[str, Any]) -> str | None:
    """Update a view and return its new hash; None if another process was faster or the view is closed."""
    with translate_slack_error():
        try:
            response = await client.views_update(view_id=view_id, hash=view_hash, view=view)
        except SlackApiError as error:
            if error.response.get("error") not in STALE_UPDATE:
                raise
            log.info("view changed or closed; update dropped")
            return None
    return str((response.get("view") or {}).get("hash", "")) or None

"""What was typed last wins: updates of one open form, in their order, whoever's answer is ready first."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack_errors import translate_slack_error

MOST_FORMS = 500  # that are open at a time; the oldest is forgotten first
OUTRUN = frozenset({"hash_conflict", "not_found", "view_not_found"})  # changed by another process, or closed
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Form:
    turn: int = 0
    next_hash: dict[str, str] = field(default_factory=dict)  # what our own updates made of a hash
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ViewUpdates:
    """The open forms that this process updates."""

    def __init__(self) -> None:
        self._forms: OrderedDict[str, _Form] = OrderedDict()

    async def show(self, client: AsyncWebClient, view_id: str, seen: str, work: Awaitable[dict[str, Any]]) -> None:
        """Put into a form what `work` makes of it, unless something newer was asked for in between.

        `seen` is the hash of the form that the person had before them: Slack refuses an update of any other, so that
        what this process has put there itself meanwhile is followed. Raises DeliveryError.
        """
        form = self._form(view_id)
        form.turn += 1
        turn = form.turn
        view = await work
        async with form.lock:
            if turn != form.turn:
                return
            while seen in form.next_hash:
                seen = form.next_hash[seen]
            if made := await _update(client, view_id, seen, view):
                form.next_hash[seen] = made

    def _form(self, view_id: str) -> _Form:
        form = self._forms.setdefault(view_id, _Form())
        self._forms.move_to_end(view_id)
        if len(self._forms) > MOST_FORMS:
            self._forms.popitem(last=False)
        return form


async def _update(client: AsyncWebClient, view_id: str, seen: str, view: dict[str, Any]) -> str | None:
    """Update a form; give its new hash, None where someone was quicker or it is closed."""
    with translate_slack_error():
        try:
            answer = await client.views_update(view_id=view_id, hash=seen, view=view)
        except SlackApiError as error:
            if error.response.get("error") not in OUTRUN:
                raise
            log.info("a form has changed or is closed; its update is dropped")
            return None
    return str((answer.get("view") or {}).get("hash", "")) or None

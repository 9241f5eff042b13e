"""Which channels a person is a member of, as Slack says, cached for minutes."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cachetools import LRUCache
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack_errors import translate_slack_error
from services.core.clock import Clock
from services.core.errors import DeliveryError

CACHE_TTL = timedelta(minutes=5)
CAPACITY = 1_000  # people
PAGE_SIZE = 999  # the most that Slack accepts
MAX_PAGES = 10
KINDS = "public_channel,private_channel"
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Memberships:
    """Channels by person. Needs the scopes `channels:read` and `groups:read`; without them, nothing is known.

    Of private channels, Slack lists only those that the app is in, too.
    """

    clock: Clock
    _cached: LRUCache[tuple[str, str], tuple[datetime, frozenset[str]]] = field(
        default_factory=lambda: LRUCache(CAPACITY)
    )

    async def channels_of(self, client: AsyncWebClient, team: str, person: str) -> frozenset[str] | None:
        """Return the ids of the channels that a person is in; None if Slack doesn't say."""
        now, key = self.clock.now(), (team, person)
        loaded_at, channels = self._cached.get(key, (None, frozenset[str]()))
        if loaded_at is not None and timedelta(0) <= now - loaded_at < CACHE_TTL:
            return channels
        try:
            channels = await _load(client, team, person)
        except DeliveryError as error:
            log.warning("memberships of a person are unknown, so the Home tab hides their channels: %s", error)
            return None
        self._cached[key] = now, channels
        return channels

    def forget(self, team: str, person: str) -> None:
        """Ask Slack again the next time, because the person has joined or left a channel."""
        self._cached.pop((team, person), None)


async def _load(client: AsyncWebClient, team: str, person: str) -> frozenset[str]:
    channels, cursor = set[str](), ""
    for _ in range(MAX_PAGES):
        with translate_slack_error():
            page = await client.users_conversations(
                user=person, team_id=team, types=KINDS, limit=PAGE_SIZE, exclude_archived=False, cursor=cursor
            )
        channels |= {str(channel["id"]) for channel in page["channels"]}
        cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            break
    return frozenset(channels)

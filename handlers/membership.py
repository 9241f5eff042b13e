"""Which channels a person or the app is a member of, as Slack says."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cachetools import LRUCache
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from handlers.slack_errors import response_body, translate_slack_error
from services.core.clock import Clock
from services.core.errors import DeliveryError

CACHE_TTL = timedelta(minutes=5)
CAPACITY = 1_000  # people
PAGE_SIZE = 999  # the most that Slack accepts
MAX_PAGES = 10
KINDS = "public_channel,private_channel"
NOT_FOUND = "channel_not_found"
NO_CHANNEL = (
    "Slack can't find this channel: the ID is wrong, or the channel is private and MinerPulse isn't in it. "
    "Check the ID, or type /invite @MinerPulse there."
)
ARCHIVED = "this channel is archived. Unarchive it, or remove it from the file."
NOT_IN = "MinerPulse isn't in this channel{name}. Type /invite @MinerPulse there."
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
            log.warning("a person's memberships are unknown, so the Home tab hides their channels: %s", error)
            return None
        self._cached[key] = now, channels
        return channels

    def forget(self, team: str, person: str) -> None:
        """Ask Slack again the next time, because the person has joined or left a channel."""
        self._cached.pop((team, person), None)


async def channel_problems(client: AsyncWebClient, team: str, channels: Iterable[str]) -> dict[str, str]:
    """Return why the app can't post in these channels; those that it can post in are left out. Raises DeliveryError.

    One list shows where the app is a member; only of other channels Slack is asked one by one.
    """
    joined = await _load(client, team, None, exclude_archived=True)
    asked = [channel for channel in dict.fromkeys(channels) if channel not in joined]
    problems = {channel: await _channel_problem(client, channel) for channel in asked}
    return {channel: problem for channel, problem in problems.items() if problem is not None}


async def _channel_problem(client: AsyncWebClient, channel: str) -> str | None:
    with translate_slack_error():
        try:
            response = await client.conversations_info(channel=channel)
        except SlackApiError as error:
            if isinstance(error.response, AsyncSlackResponse) and error.response.get("error") == NOT_FOUND:
                return NO_CHANNEL
            raise
    found = response_body(response).get("channel") or {}
    if found.get("is_archived"):
        return ARCHIVED
    name = f" (#{found['name']})" if found.get("name") else ""
    return None if found.get("is_member") else NOT_IN.format(name=name)


async def _load(
    client: AsyncWebClient, team: str, person: str | None, *, exclude_archived: bool = False
) -> frozenset[str]:
    """Return the channels that a person is in; without one, the app itself."""
    channels, cursor = set[str](), ""
    for _ in range(MAX_PAGES):
        with translate_slack_error():
            page = await client.users_conversations(
                user=person,
                team_id=team,
                types=KINDS,
                limit=PAGE_SIZE,
                exclude_archived=exclude_archived,
                cursor=cursor,
            )
        channels |= {str(channel["id"]) for channel in page["channels"]}
        cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            break
    return frozenset(channels)

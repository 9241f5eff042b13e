"""Channels of one person, for the app's home tab."""

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil

from services.alerting.alert import Alert
from services.alerting.ports import ChannelRule
from services.channels.ports import ChannelStore
from services.core.identity import Channel

CHANNELS_PER_PAGE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSummary:
    """A channel with its open alerts and its rules; at least one of them is not empty."""

    channel: Channel
    alerts: tuple[Alert, ...]
    rules: tuple[ChannelRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPage:
    """Some of a person's channels; pages count from 0, and there is always one."""

    channels: tuple[ChannelSummary, ...]
    page: int = 0
    page_count: int = 1


async def channels_of_user(
    store: ChannelStore, team: str, person: str, member_of: Collection[str], page: int = 0
) -> ChannelPage:
    """Return a page of the channels in which this person has added a rule or acted on an alert, and is still a member.

    Channels with open alerts come first; channels with neither alerts nor rules are left out. No other channel is
    mentioned, not even its existence, because it may be private. After the last page comes the last page.
    """
    active = await store.active_channels(team)
    channels = [
        channel for channel in await store.channels_of(team, person) if channel.id in active and channel.id in member_of
    ]
    channels.sort(key=lambda channel: not active[channel.id])
    page_count = max(1, ceil(len(channels) / CHANNELS_PER_PAGE))
    page = min(page, page_count - 1)
    shown = channels[page * CHANNELS_PER_PAGE : (page + 1) * CHANNELS_PER_PAGE]
    summaries = [await _summary(store, channel) for channel in shown]
    return ChannelPage(channels=tuple(summaries), page=page, page_count=page_count)


async def _summary(store: ChannelStore, channel: Channel) -> ChannelSummary:
    alerts = tuple(stored.alert for stored in await store.open_alerts(channel))
    return ChannelSummary(channel=channel, alerts=alerts, rules=tuple(await store.rules(channel)))

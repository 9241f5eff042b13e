"""Places: the channels that one person has acted in, with what is open and watched there."""

from __future__ import annotations

from dataclasses import dataclass

from services.alerting.alert import Alert
from services.alerting.records import ChannelRule
from services.channels.ports import CommandStore
from services.core.identity import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSummary:
    """A channel with its open alerts and its rules, of which there is at least one."""

    channel: Channel
    alerts: tuple[Alert, ...]
    watches: tuple[ChannelRule, ...]


async def channels_of_user(store: CommandStore, team: str, person: str) -> tuple[ChannelSummary, ...]:
    """Look into the channels where this person has added a rule or acted on an alert.

    Those with open alerts come first, those where nothing is watched any more not at all. Of no other channel is
    anything told, not even that it is there: it may be a private one.
    """
    found = [await _place(store, channel) for channel in await store.channels_of(team, person)]
    told = [place for place in found if place.alerts or place.watches]
    return tuple(sorted(told, key=lambda place: not place.alerts))


async def _place(store: CommandStore, channel: Channel) -> ChannelSummary:
    alerts = tuple(stored.alert for stored in await store.open_alerts(channel))
    return ChannelSummary(channel=channel, alerts=alerts, watches=tuple(await store.rules(channel)))

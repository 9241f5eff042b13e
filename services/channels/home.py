"""Channels of one person, for the app's home tab."""

from dataclasses import dataclass

from services.alerting.alert import Alert
from services.alerting.ports import ChannelRule
from services.channels.ports import ChannelStore
from services.core.identity import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSummary:
    """A channel with its open alerts and its rules; at least one of them is not empty."""

    channel: Channel
    alerts: tuple[Alert, ...]
    rules: tuple[ChannelRule, ...]


async def channels_of_user(store: ChannelStore, team: str, person: str) -> tuple[ChannelSummary, ...]:
    """Return the channels in which this person has added a rule or acted on an alert.

    Channels with open alerts come first; channels with neither alerts nor rules are left out. No other channel is
    mentioned, not even its existence, because it may be private.
    """
    summaries = [await _summary(store, channel) for channel in await store.channels_of(team, person)]
    active = [summary for summary in summaries if summary.alerts or summary.rules]
    return tuple(sorted(active, key=lambda summary: not summary.alerts))


async def _summary(store: ChannelStore, channel: Channel) -> ChannelSummary:
    alerts = tuple(stored.alert for stored in await store.open_alerts(channel))
    return ChannelSummary(channel=channel, alerts=alerts, rules=tuple(await store.rules(channel)))

"""A channel with something in every table that a workspace can have a row in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import Digest, Notice, Outage
from services.alerting.ports import SettingChange, StoredChannel, StoredNotice
from services.alerting.records import AlertChange, ChannelRule, RuleAuditKind, RuleChange, StoredAlert
from services.core.identity import Channel, Mention
from services.core.prices import WGMI_BTC
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import an_alert, an_entry

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnished:
    """What such a channel holds; its open alert and the notice of an outage are kept back by a silence."""

    watch: ChannelRule
    paused: ChannelRule
    alert: StoredAlert
    notice: StoredNotice
    settings: StoredChannel


async def furnish(store: SqlStore, channel: Channel, at: datetime, by: str = "U1") -> Furnished:
    """Furnish a channel.

    1. Add two rules, and pause the second.
    2. Give up the message of an alert, and let the channel rest.
    3. Open and end a silence whose digest tells an outage.
    4. Open the next silence, which keeps back another alert, which somebody votes on, and another outage.
    """
    watch, paused = await _rules(store, channel, at, by)
    await _given_up(store, channel, at)
    await _silence(store, channel, at, by)
    alert = an_alert(channel=channel, side=Side.BELOW)
    await store.record([], [AlertChange(alert=alert, revision=0, entries=(an_entry(),))], at)
    await store.add_notices([_outage(channel, at + HOUR)], at)
    await store.vote(channel, (await store.history(channel, 1))[0].id, by, at, noise=True)
    (open_alert,) = [one for one in await store.open_alerts(channel) if one.alert.side is Side.BELOW]
    notices = [one for one in await store.open_notices(Outage) if one.notice.channel == channel]
    return Furnished(
        watch=watch,
        paused=paused,
        alert=open_alert,
        notice=notices[-1],
        settings=await store.channel(channel),
    )


async def _rules(store: SqlStore, channel: Channel, at: datetime, by: str) -> tuple[ChannelRule, ChannelRule]:
    watch, other = await store.add_rules(channel, [parse_rule("1d 8pp"), parse_rule("5d 15pp")], by, at)
    await store.record([], [], at, rules=[RuleChange(kind=RuleAuditKind.PAUSED, watch=other, by=by)])
    paused = await store.rule(channel, other.id)
    assert isinstance(paused, ChannelRule)
    return watch, paused


async def _given_up(store: SqlStore, channel: Channel, at: datetime) -> None:
    alert = an_alert(channel=channel)
    await store.record([], [AlertChange(alert=alert, revision=0, entries=(an_entry(),))], at)
    (due,) = [one for one in await store.due(at) if one.channel == channel]
    leased = await store.mark_attempting(due, at)
    assert leased is not None
    await store.mark_dead(leased, "invalid_blocks", at)
    await store.hold(channel, at + HOUR, "not_in_channel")


async def _silence(store: SqlStore, channel: Channel, at: datetime, by: str) -> None:
    stored = await store.channel(channel)
    only = Mention(text=f"<@{by}>", name=by, person=by)
    muted = replace(stored, settings=ChannelSettings(muted_until=at + DAY, editors=(only,)), silent_from=at)
    await store.change_channel(muted, SettingChange(by=by, at=at, what="mute 1d"))
    await store.add_notices([_outage(channel, at)], at)
    (told,) = (await store.kept_back(channel, at)).notices
    await store.end_silence(await store.channel(channel), _digest(channel, at), at, notices=[told.id])
    await store.expect_silence(replace(await store.channel(channel), silent_from=at))


def _outage(channel: Channel, since: datetime) -> Notice:
    content = Outage(pair=WGMI_BTC, since=since, reason=f"no prices in {channel.team!r}")
    return Notice(id=0, channel=channel, name=f"outage:{since.isoformat()}", content=content, opened_at=since)


def _digest(channel: Channel, at: datetime) -> Notice:
    content = Digest(since=at, until=at, why="a mute")
    return Notice(id=0, channel=channel, name=f"digest:{at.isoformat()}", content=content, opened_at=at, closed_at=at)

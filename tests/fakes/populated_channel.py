"""A channel with rows in every table that a workspace can have rows in."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import Digest, Notice, Outage
from services.alerting.paging import PageRoute
from services.alerting.ports import (
    AlertChange,
    ChannelRule,
    ManagedRule,
    RuleAuditKind,
    RuleCaps,
    RuleChange,
    RulesFileChange,
    SettingChange,
    StoredAlert,
    StoredChannel,
    StoredNotice,
)
from services.core.identity import Channel, Mention
from services.core.prices import WGMI_BTC
from services.delivery.sinks.config import SinkConfig
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore, generate_key
from tests.fakes.alerts import an_alert, an_entry
from tests.fakes.clock import SetClock

RULES_FILE = "rules.yaml"
DESK = PageRoute(sink="desk")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulatedChannel:
    """The rows of the channel; quiet hours hold back its open alert and the outage notice."""

    rule: ChannelRule
    paused: ChannelRule
    alert: StoredAlert
    notice: StoredNotice
    settings: StoredChannel


async def populate_channel(store: SqlStore, channel: Channel, at: datetime, by: str = "U1") -> PopulatedChannel:
    """Populate a channel.

    1. Add two rules, and pause the second.
    2. Dead-letter an alert's message, and pause delivery to the channel.
    3. Start and end a quiet period whose digest reports an outage.
    4. Start the next quiet period, which holds back another alert, with a vote and a page, and another outage.
    5. Define the workspace's sink, and hold it.
    6. Let a rules file manage the first rule.
    """
    rule, paused = await _rules(store, channel, at, by)
    await _dead_letter(store, channel, at)
    await _quiet_period(store, channel, at, by)
    alert = an_alert(channel=channel, side=Side.BELOW)
    await store.record([], [AlertChange(alert=alert, revision=0, entries=(an_entry(),))], at)
    sink = SinkConfig(name=DESK.sink, type="pagerduty", options={"by": channel.team}, secret="s")
    await store.sinks([generate_key()], SetClock(at)).save_sink(channel.team, sink)
    await store.hold_sink(channel.team, DESK.sink, at + HOUR, "refused")
    await store.add_notices([_outage(channel, at + HOUR)], at)
    await store.vote(channel, (await store.history(channel, 1))[0].id, by, at, noise=True)
    managed = ManagedRule(key="day", file=RULES_FILE, rule_id=rule.id, rule=str(rule.rule), paused=False)
    change = RulesFileChange(before=await store.channel_rules(channel), managed=(managed,))
    await store.apply_rules_file([change], by, at, caps=RuleCaps())
    (open_alert,) = [one for one in await store.open_alerts(channel) if one.alert.side is Side.BELOW]
    notices = [one for one in await store.open_notices(Outage) if one.notice.channel == channel]
    return PopulatedChannel(
        rule=rule,
        paused=paused,
        alert=open_alert,
        notice=notices[-1],
        settings=await store.channel(channel),
    )


async def _rules(store: SqlStore, channel: Channel, at: datetime, by: str) -> tuple[ChannelRule, ChannelRule]:
    rule, other = await store.add_rules(channel, [parse_rule("1d 8pp"), parse_rule("5d 15pp")], by, at)
    await store.record([], [], at, rules=[RuleChange(kind=RuleAuditKind.PAUSED, channel_rule=other, by=by)])
    paused = await store.rule(channel, other.id)
    assert isinstance(paused, ChannelRule)
    return rule, paused


async def _dead_letter(store: SqlStore, channel: Channel, at: datetime) -> None:
    alert = an_alert(channel=channel)
    await store.record([], [AlertChange(alert=alert, revision=0, entries=(an_entry(),))], at)
    (due,) = [one for one in await store.due(at) if one.channel == channel]
    leased = await store.mark_attempting(due, at)
    assert leased is not None
    await store.mark_dead(leased, "invalid_blocks", at)
    await store.pause_channel(channel, at + HOUR, "not_in_channel")


async def _quiet_period(store: SqlStore, channel: Channel, at: datetime, by: str) -> None:
    stored = await store.channel(channel)
    only = Mention(text=f"<@{by}>", name=by, person=by)
    muted = replace(
        stored, settings=ChannelSettings(muted_until=at + DAY, editors=(only,), pages=(DESK,)), silent_from=at
    )
    await store.change_channel(muted, SettingChange(by=by, at=at, summary="mute 1d"))
    await store.add_notices([_outage(channel, at)], at)
    (notice_row,) = (await store.withheld_messages(channel, at)).notices
    await store.end_silence(await store.channel(channel), _digest(channel, at), at, notices=[notice_row.id])
    await store.schedule_silence(replace(await store.channel(channel), silent_from=at))


def _outage(channel: Channel, since: datetime) -> Notice:
    content = Outage(pair=WGMI_BTC, since=since, reason=f"no prices in {channel.team!r}")
    return Notice(id=0, channel=channel, name=f"outage:{since.isoformat()}", content=content, opened_at=since)


def _digest(channel: Channel, at: datetime) -> Notice:
    content = Digest(since=at, until=at, reason="a mute")
    return Notice(id=0, channel=channel, name=f"digest:{at.isoformat()}", content=content, opened_at=at, closed_at=at)

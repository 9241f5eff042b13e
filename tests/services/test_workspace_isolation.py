"""Workspaces are isolated: IDs of another workspace neither show nor change anything in it."""

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import select

from services.alerting.notice import Digest, Notice
from services.alerting.ports import (
    AlertChange,
    ChannelRule,
    RuleAuditKind,
    RuleCaps,
    RuleChange,
    RulesFileChange,
    SettingChange,
    StoredAlert,
    StoredNotice,
    UnreadableRule,
)
from services.alerting.snooze import SnoozeUntil
from services.channels.commands import ChannelCommands
from services.channels.permissions import Act
from services.channels.settings import SettingCommands
from services.core.errors import ChannelSettingError, ConflictError, NotFoundError
from services.core.identity import Channel
from services.core.prices import Symbol
from services.market.measure import Window
from services.rules.grammar import parse_rule
from services.rules.rule import Rule
from services.storage import SqlStore, tables
from services.storage.installations import GLOBAL_TABLES
from tests.fakes.alerts import an_entry, removal
from tests.fakes.harness import CHANNEL, OPEN, Harness, open_harness
from tests.fakes.populated_channel import DAY, RULES_FILE, PopulatedChannel, populate_channel
from tests.fakes.store_snapshots import load_snapshot, save_snapshot

SNAPSHOT = "populated"
OWN_CHANNEL = Channel(team="T2", id=CHANNEL.id)  # two workspaces can have the same channel ID
MARKET_METHODS = {
    "check_prices",
    "source_status",
    "preview",
    "view",
}  # commands without a channel: prices belong to no workspace
GLOBAL_METHODS = {
    "aclose": "closes the database",
    "alerted_pairs": "monitor: pairs without their channels",
    "closed_alerts": "monitor: alerts of all workspaces, each with its channel",
    "backlog": "health: counts",
    "channels": "maintenance: each names its channel",
    "claim_key": "keys name their channel or request",
    "release_key": "as claim_key",
    "confirm_key": "as claim_key",
    "key_expires_at": "as claim_key",
    "purge_workspace": "uninstall: the workspace that the app left",
    "erase_person": "an operator's command: one person in all workspaces",
    "delete_older": "retention: by age in all workspaces",
    "exported_acts": "an operator's command: exports all workspaces",
    "exported_alerts": "as exported_acts",
    "exported_deliveries": "as exported_acts",
    "listen": "delivery: wake-ups without content",
    "last_ticks": "ticks belong to no workspace",
    "messages_without_permalink": "maintenance: each names its channel",
    "save_permalink": "maintenance: only for messages without one",
    "status_counts": "metrics: counts",
    "teams": "an operator's command: the workspaces",
    "discard_ahead": "monitor: ticks belong to no workspace",
    "claim_tick": "monitor: ticks belong to no workspace",
    "due": "delivery: each message names its channel",
    "due_pages": "delivery: each page names its channel",
    "next_page_due_at": "delivery: a time",
    "lease_page": "delivery: only for pages that are due",
    "page_sent": "delivery: only for pages that are due",
    "page_failed": "delivery: only for pages that are due",
    "page_dead": "delivery: only for pages that are due",
    "page_backlogs": "health: counts per sink",
    "hold_sink": "delivery: names the workspace of the page",
    "extremes": "prices belong to no workspace",
    "finish_tick": "as claim_tick",
    "load_bars": "prices belong to no workspace",
    "load_closes": "prices belong to no workspace",
    "load_declared": "prices belong to no workspace",
    "load_holdings": "holdings belong to no workspace",
    "mark_attempting": "delivery: only for messages that are due",
    "mark_dead": "delivery: only for messages that are due",
    "mark_failed": "delivery: only for messages that are due",
    "mark_sent": "delivery: only for messages that are due",
    "due_keys": "delivery: every workspace",
    "load_due": "delivery: only for messages that are due",
    "next_due_at": "delivery: a time",
    "open_notices": "maintenance: each names its channel",
    "open": "opens the database",
    "release_tick": "as claim_tick",
    "replace_closes": "prices belong to no workspace",
    "revisions": "prices belong to no workspace",
    "rulebook": "monitor: each rule names its channel",
    "save_bars": "prices belong to no workspace",
    "save_closes": "prices belong to no workspace",
    "save_holdings": "holdings belong to no workspace",
    "pair_statuses": "prices belong to no workspace",
    "add_source_records": "sources belong to no workspace",
    "source_records": "sources belong to no workspace",
    "first_attempt_at": "delivery: only for messages that are due",
    "unposted_alerts": "maintenance: ids without their channels",
    "verdicts": "ticks belong to no workspace",
}  # store methods without a channel, and why they need none


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWorkspace:
    """The data of workspace T1, and the services that a user of T2 calls with T1's IDs."""

    harness: Harness
    content: PopulatedChannel

    @property
    def channel_rule(self) -> ChannelRule:
        return self.content.rule

    @property
    def stored(self) -> StoredAlert:
        return self.content.alert

    @property
    def alert(self) -> int:
        return self.stored.alert.id

    @property
    def notice(self) -> StoredNotice:
        return self.content.notice

    @property
    def store(self) -> SqlStore:
        return self.harness.store

    async def rows(self) -> list[str]:
        """Return every row that belongs to T1."""
        owned = [table for table in tables.metadata.sorted_tables if table.name not in GLOBAL_TABLES]
        queries = {table: select(table) for table in owned}
        of_alert = queries[tables.timeline_entries].join(tables.alerts)  # an entry doesn't name its workspace
        queries[tables.timeline_entries] = of_alert.where(tables.alerts.c.team == CHANNEL.team)
        async with self.store._database.read() as tx:  # noqa: SLF001 -- no method returns it
            found = [str(row) for query in queries.values() for row in await tx.execute(query)]
        return [row for row in found if "'T2'" not in row]


def _forged(kind: RuleAuditKind, channel_rule: ChannelRule, rule: Rule | None = None) -> RuleChange:
    return RuleChange(kind=kind, channel_rule=replace(channel_rule, channel=OWN_CHANNEL), by="U2", rule=rule)


def _moved_alert(stored: StoredAlert) -> AlertChange:
    return AlertChange(
        alert=replace(stored.alert, channel=OWN_CHANNEL), revision=stored.revision, entries=(an_entry(),)
    )


def _moved_notice(stored: StoredNotice) -> StoredNotice:
    return replace(stored, notice=replace(stored.notice, channel=OWN_CHANNEL, closed_at=OPEN))


async def _change_channel(other: OtherWorkspace) -> None:
    """Change a setting of T2's channel with T1's revision."""
    after = replace(other.content.settings, channel=OWN_CHANNEL)
    await other.store.change_channel(after, SettingChange(by="U2", at=OPEN, summary="thread ends"))


async def _schedule_silence(other: OtherWorkspace) -> None:
    await other.store.schedule_silence(replace(other.content.settings, channel=OWN_CHANNEL, silent_from=None))


async def _end_silence(other: OtherWorkspace) -> None:
    """End T2's quiet period with a digest that claims T1's messages."""
    content = Digest(since=OPEN, until=OPEN, reason="a mute")
    digest = Notice(id=0, channel=OWN_CHANNEL, name="digest", content=content, opened_at=OPEN, closed_at=OPEN)
    stored = await other.store.channel(OWN_CHANNEL)
    await other.store.end_silence(stored, digest, OPEN, alerts=[other.alert], notices=[other.notice.notice.id])


async def _apply_rules_file(other: OtherWorkspace) -> None:
    """Remove T1's rule by a rules file for T2's channel."""
    before = await other.store.channel_rules(OWN_CHANNEL)
    change = RulesFileChange(before=before, rules=(removal(replace(other.channel_rule, channel=OWN_CHANNEL)),))
    await other.store.apply_rules_file([change], "U2", OPEN, caps=RuleCaps())


def _unknown_name(_name: str) -> None:
    """Resolve no name."""


COMMAND_CALLS: dict[str, Callable[[OtherWorkspace], Awaitable[object]]] = {
    "acknowledge": lambda other: other.harness.commands.acknowledge(OWN_CHANNEL, other.alert, "U2"),
    "add_rule": lambda other: other.harness.commands.add_rule(OWN_CHANNEL, "1d 8pp", "U2"),
    "alert": lambda other: other.harness.commands.alert(OWN_CHANNEL, other.alert),
    "board": lambda other: other.harness.commands.board(OWN_CHANNEL),
    "brief": lambda other: other.harness.commands.brief(OWN_CHANNEL),
    "rejoin": lambda other: other.harness.commands.rejoin(OWN_CHANNEL),
    "authorize": lambda other: other.harness.commands.authorize(OWN_CHANNEL, Act.MUTE, "U2"),
    "has_acted_in": lambda other: other.harness.commands.has_acted_in(OWN_CHANNEL, "U1"),
    "chart": lambda other: other.harness.commands.chart(OWN_CHANNEL, Window.D1),
    "edit_rule": lambda other: other.harness.commands.edit_rule(OWN_CHANNEL, other.channel_rule.id, "1d 9pp", "U2"),
    "history": lambda other: other.harness.commands.history(OWN_CHANNEL),
    "leave": lambda other: other.harness.commands.leave(OWN_CHANNEL, "U2"),
    "rule_list": lambda other: other.harness.commands.rule_list(OWN_CHANNEL),
    "open_alerts": lambda other: other.harness.commands.open_alerts(OWN_CHANNEL),
    "overview": lambda other: other.harness.commands.overview(
        OWN_CHANNEL.team, "U1", {"C1", "C2"}
    ),  # a user ID can exist in two workspaces
    "claim_announcement": lambda other: other.harness.commands.claim_announcement(OWN_CHANNEL),
    "claim_messages_hint": lambda other: other.harness.commands.claim_messages_hint(OWN_CHANNEL.team, "U1"),
    "release_messages_hint": lambda other: other.harness.commands.release_messages_hint(OWN_CHANNEL.team, "U1"),
    "rule_figures": lambda other: other.harness.commands.rule_figures([other.channel_rule]),
    "undo_add": lambda other: other.harness.commands.undo_add(OWN_CHANNEL, other.channel_rule.id, "1d 8pp", "U2"),
    "undo_edit": lambda other: other.harness.commands.undo_edit(OWN_CHANNEL, other.channel_rule.id, "1d 8pp", "U2"),
    "undo_remove": lambda other: other.harness.commands.undo_remove(OWN_CHANNEL, other.channel_rule.id, "1d 8pp", "U2"),
    "release_announcement": lambda other: other.harness.commands.release_announcement(OWN_CHANNEL),
    "move_rules": lambda other: other.harness.commands.move_rules(OWN_CHANNEL, Symbol("WGMI"), Symbol("MARA"), "U2"),
    "pause_rule": lambda other: other.harness.commands.pause_rule(OWN_CHANNEL, other.channel_rule.id, "U2"),
    "coverage": lambda other: other.harness.commands.coverage(OWN_CHANNEL),
    "audit": lambda other: other.harness.commands.audit(OWN_CHANNEL, other.alert),
    "remove_rule": lambda other: other.harness.commands.remove_rule(OWN_CHANNEL, other.channel_rule.id, "U2"),
    "resolve": lambda other: other.harness.commands.resolve(OWN_CHANNEL, other.alert, "U2", ""),
    "resume_rule": lambda other: other.harness.commands.resume_rule(OWN_CHANNEL, other.content.paused.id, "U2"),
    "rules": lambda other: other.harness.commands.rules(OWN_CHANNEL),
    "snooze": lambda other: other.harness.commands.snooze(OWN_CHANNEL, other.alert, "U2", SnoozeUntil.HOUR),
    "add_default_rules": lambda other: other.harness.commands.add_default_rules(OWN_CHANNEL, "U2"),
    "start_drill": lambda other: other.harness.commands.start_drill(OWN_CHANNEL, "U2"),
    "unsnooze": lambda other: other.harness.commands.unsnooze(OWN_CHANNEL, other.alert, "U2"),
    "unacknowledge": lambda other: other.harness.commands.unacknowledge(OWN_CHANNEL, other.alert, "U2"),
    "vote": lambda other: other.harness.commands.vote(OWN_CHANNEL, other.alert, "U2", noise=True),
    "votes": lambda other: other.harness.commands.votes(OWN_CHANNEL),
}
SETTING_CALLS: dict[str, Callable[[OtherWorkspace], Awaitable[object]]] = {
    "check_sinks": lambda other: other.harness.commands.settings.check_sinks(OWN_CHANNEL.team, ["desk"]),
    "release": lambda other: other.harness.commands.settings.release(OWN_CHANNEL, OPEN),
    "mute": lambda other: other.harness.commands.settings.mute(OWN_CHANNEL, "off", "U2"),
    "set": lambda other: other.harness.commands.settings.set(OWN_CHANNEL, "thread ends", "U2", _unknown_name),
    "show": lambda other: other.harness.commands.settings.show(OWN_CHANNEL),
    "silence": lambda other: other.harness.commands.settings.silence(OWN_CHANNEL),
    "sink_names": lambda other: other.harness.commands.settings.sink_names(OWN_CHANNEL.team),
    "test_page": lambda other: other.harness.commands.settings.test_page(OWN_CHANNEL, "desk", "U2"),
}
STORE_CALLS: dict[str, Callable[[OtherWorkspace], Awaitable[object]]] = {
    "disconnect_channel": lambda other: other.store.disconnect_channel(
        OWN_CHANNEL, SettingChange(by="U2", at=OPEN, summary="all off")
    ),
    "apply_rules_file": _apply_rules_file,
    "channel_rules": lambda other: other.store.channel_rules(OWN_CHANNEL),
    "managed_channels": lambda other: other.store.managed_channels(OWN_CHANNEL.team, RULES_FILE),
    "managed_rules": lambda other: other.store.managed_rules(OWN_CHANNEL),
    "rule_audits": lambda other: other.store.rule_audits(OWN_CHANNEL, 10),
    "add_notices": lambda other: other.store.add_notices(
        [replace(other.notice.notice, id=0, channel=OWN_CHANNEL)], OPEN
    ),
    "add_rules": lambda other: other.store.add_rules(OWN_CHANNEL, [parse_rule("1d 8pp")], "U2", OPEN),
    "alert": lambda other: other.store.alert(OWN_CHANNEL, other.alert),
    "update_notice": lambda other: other.store.update_notice(_moved_notice(other.notice), OPEN),
    "change_channel": _change_channel,
    "channel": lambda other: other.store.channel(OWN_CHANNEL),
    "channel_changes": lambda other: other.store.channel_changes(OWN_CHANNEL, 10),
    "active_channels": lambda other: other.store.active_channels(OWN_CHANNEL.team),
    "channels_of": lambda other: other.store.channels_of(OWN_CHANNEL.team, "U1"),
    "end_silence": _end_silence,
    "schedule_silence": _schedule_silence,
    "has_notice": lambda other: other.store.has_notice(OWN_CHANNEL, other.notice.notice.name),
    "history": lambda other: other.store.history(OWN_CHANNEL, 10),
    "pause_workspace": lambda other: other.store.pause_workspace(OWN_CHANNEL.team, OPEN + DAY),
    "pause_channel": lambda other: other.store.pause_channel(OWN_CHANNEL, OPEN + DAY),
    "withheld_messages": lambda other: other.store.withheld_messages(OWN_CHANNEL, OPEN - DAY),
    "unreadable_rules": lambda other: other.store.unreadable_rules(OWN_CHANNEL),
    "open_alerts": lambda other: other.store.open_alerts(OWN_CHANNEL),
    "posted": lambda other: other.store.posted(OWN_CHANNEL, OPEN - DAY),
    "alert_audit": lambda other: other.store.alert_audit(OWN_CHANNEL, None),
    "record": lambda other: other.store.record([], [_moved_alert(other.stored)], OPEN),
    "reconnect_channel": lambda other: other.store.reconnect_channel(OWN_CHANNEL, OPEN),
    "rule": lambda other: other.store.rule(OWN_CHANNEL, other.channel_rule.id),
    "rules": lambda other: other.store.rules(OWN_CHANNEL),
    "delivery_problems": lambda other: other.store.delivery_problems(OWN_CHANNEL.team),
    "vote": lambda other: other.store.vote(OWN_CHANNEL, other.alert, "U2", OPEN, noise=True),
    "votes": lambda other: other.store.votes(OWN_CHANNEL),
}
FORGED_CHANGES: dict[str, Callable[[OtherWorkspace], RuleChange]] = {
    "a removal": lambda other: removal(replace(other.channel_rule, channel=OWN_CHANNEL)),
    "the removal of an unreadable rule": lambda other: removal(
        UnreadableRule(id=other.channel_rule.id, channel=OWN_CHANNEL, rule="")
    ),
    "an edit": lambda other: _forged(RuleAuditKind.EDITED, other.channel_rule, rule=parse_rule("1d 9pp")),
    "a pause": lambda other: _forged(RuleAuditKind.PAUSED, other.channel_rule),
    "a resumption": lambda other: _forged(RuleAuditKind.RESUMED, other.content.paused),
}
CALLS = {
    **{f"commands.{name}": call for name, call in COMMAND_CALLS.items()},
    **{f"channels.{name}": call for name, call in SETTING_CALLS.items()},
    **{f"store.{name}": call for name, call in STORE_CALLS.items()},
}


async def populate(store: SqlStore) -> PopulatedChannel:
    """Populate T1's channel; only the first time by way of the store's methods."""
    if not _populated:
        _populated.append(await populate_channel(store, CHANNEL, OPEN))
        save_snapshot(SNAPSHOT, store)
    load_snapshot(SNAPSHOT, store)
    return _populated[0]


_populated: list[PopulatedChannel] = []


@pytest.fixture
async def workspaces() -> AsyncIterator[tuple[OtherWorkspace, OtherWorkspace]]:
    """Yield a T1 with everything that a channel can have, and an empty one."""
    async with AsyncExitStack() as stack:
        full, empty = [await stack.enter_async_context(open_harness(warm=False)) for _ in range(2)]
        content = await populate(full.store)
        yield OtherWorkspace(harness=full, content=content), OtherWorkspace(harness=empty, content=content)


async def _result(call: Callable[[OtherWorkspace], Awaitable[object]], other: OtherWorkspace) -> str:
    """Return what a user of T2 gets from a call, without the numbers of new rows."""
    try:
        seen = repr(await call(other))
    except (NotFoundError, ConflictError, ChannelSettingError) as error:
        seen = repr(error)
    return re.sub(r"\b(id|rule_id)=\d+", r"\1=_", seen)


@pytest.mark.parametrize("call", CALLS)
async def test_calls_neither_show_nor_change_another_workspaces_data(
    workspaces: tuple[OtherWorkspace, OtherWorkspace], call: str
) -> None:
    other, empty = workspaces
    before = await other.rows()

    seen = await _result(CALLS[call], other)

    assert before == await other.rows()
    assert await _result(CALLS[call], empty) == seen
    assert [trace for trace in ("'T1'", "'U1'") if trace in seen] == []


@pytest.mark.parametrize("change", FORGED_CHANGES)
async def test_a_rule_change_with_a_forged_channel_is_rejected(
    workspaces: tuple[OtherWorkspace, OtherWorkspace], change: str
) -> None:
    other, _ = workspaces
    before = await other.rows()

    with pytest.raises(ConflictError):
        await other.store.record([], [], OPEN, rules=[FORGED_CHANGES[change](other)])

    assert before == await other.rows()


async def test_alerts_are_not_escalated_into_another_workspace(
    workspaces: tuple[OtherWorkspace, OtherWorkspace],
) -> None:
    other, _ = workspaces

    with pytest.raises(ChannelSettingError, match="in another workspace"):
        await other.harness.commands.settings.set(OWN_CHANNEL, "escalate 30m C1", "U2", lambda _name: CHANNEL)


def _public_coroutines(kind: type) -> set[str]:
    members = inspect.getmembers(kind, inspect.isroutine)
    return {name for name, one in members if not name.startswith("_") and inspect.iscoroutinefunction(one)}


def test_every_public_method_is_covered() -> None:
    assert _public_coroutines(ChannelCommands) == COMMAND_CALLS.keys() | MARKET_METHODS
    assert _public_coroutines(SettingCommands) == SETTING_CALLS.keys()
    assert _public_coroutines(SqlStore) == STORE_CALLS.keys() | GLOBAL_METHODS.keys()

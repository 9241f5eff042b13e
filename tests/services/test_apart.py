"""Workspaces are strictly apart: the numbers of another one let nobody see it or change anything in it."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import select

from services.alerting.notice import Digest, Notice
from services.alerting.ports import SettingChange, StoredNotice
from services.alerting.records import AlertChange, ChannelRule, RuleAuditKind, RuleChange, StoredAlert, UnreadableRule
from services.alerting.snooze import SnoozeUntil
from services.channels.commands import ChannelCommands
from services.channels.settings import SettingCommands
from services.core.errors import ChannelSettingError, ConflictError, NotFoundError
from services.core.identity import Channel
from services.market.measure import Window
from services.rules.grammar import parse_rule
from services.rules.rule import Rule
from services.storage import SqlStore, tables
from services.storage.purge import GLOBAL_TABLES
from tests.fakes.alerts import an_entry, removal
from tests.fakes.harness import CHANNEL, OPEN, Harness, open_harness
from tests.fakes.populated_channel import DAY, PopulatedChannel, populate_channel

AWAY = Channel(team="T2", id=CHANNEL.id)  # Slack's ids of channels may be the same in two workspaces
ABOUT_PRICES = {"source_status", "preview", "view"}  # methods of the desk that take no channel: prices are nobody's
OVER_ALL = {
    "aclose": "closes the database",
    "alerted_pairs": "the clockwork's: pairs, without whose they are",
    "closed_alerts": "the clockwork's: alerts of all workspaces, each with its own channel",
    "backlog": "the health's: counts",
    "channels": "the clockwork's: each names its channel",
    "claim_tick": "the clockwork's: ticks are nobody's",
    "due": "delivery's: each message names its channel",
    "extremes": "prices are nobody's",
    "finish_tick": "as claim_tick",
    "load_bars": "prices are nobody's",
    "load_closes": "prices are nobody's",
    "load_declared": "prices are nobody's",
    "load_holdings": "holdings are nobody's",
    "mark_attempting": "delivery's: of what is due",
    "mark_dead": "delivery's: of what is due",
    "mark_failed": "delivery's: of what is due",
    "mark_sent": "delivery's: of what is due",
    "next_due_at": "delivery's: a time",
    "open_notices": "the clockwork's: each names its channel",
    "open": "opens the database",
    "release_tick": "as claim_tick",
    "replace_closes": "prices are nobody's",
    "revisions": "prices are nobody's",
    "rulebook": "the clockwork's: each rule names its channel",
    "save_bars": "prices are nobody's",
    "save_closes": "prices are nobody's",
    "save_holdings": "holdings are nobody's",
    "pair_statuses": "prices are nobody's",
    "first_attempt_at": "delivery's: of what is due",
    "unposted_alerts": "the clockwork's: numbers, without whose they are",
    "verdicts": "ticks are nobody's",
}  # methods of the store that take no channel, and why they may


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """What the workspace T1 holds, and the services through which somebody in T2 reaches for it."""

    harness: Harness
    holds: PopulatedChannel

    @property
    def watch(self) -> ChannelRule:
        return self.holds.rule

    @property
    def stored(self) -> StoredAlert:
        return self.holds.alert

    @property
    def alert(self) -> int:
        return self.stored.alert.id

    @property
    def notice(self) -> StoredNotice:
        return self.holds.notice

    @property
    def store(self) -> SqlStore:
        return self.harness.store

    async def rows(self) -> list[str]:
        """Every row that is theirs, as it stands."""
        owned = [table for table in tables.metadata.sorted_tables if table.name not in GLOBAL_TABLES]
        async with self.store._database.read() as tx:  # noqa: SLF001 -- what no method tells
            found = [str(row) for table in owned for row in await tx.execute(select(table))]
        return [row for row in found if "'T2'" not in row]


def _forged(kind: RuleAuditKind, watch: ChannelRule, rule: Rule | None = None) -> RuleChange:
    return RuleChange(kind=kind, channel_rule=replace(watch, channel=AWAY), by="U2", rule=rule)


def _taken_over(stored: StoredAlert) -> AlertChange:
    return AlertChange(alert=replace(stored.alert, channel=AWAY), revision=stored.revision, entries=(an_entry(),))


def _taken_over_notice(stored: StoredNotice) -> StoredNotice:
    return replace(stored, notice=replace(stored.notice, channel=AWAY, closed_at=OPEN))


async def _change_channel(their: Theirs) -> None:
    """Set something, at the revision that theirs has."""
    after = replace(their.holds.settings, channel=AWAY)
    await their.store.change_channel(after, SettingChange(by="U2", at=OPEN, summary="thread ends"))


async def _expect_silence(their: Theirs) -> None:
    await their.store.schedule_silence(replace(their.holds.settings, channel=AWAY, silent_from=None))


async def _end_silence(their: Theirs) -> None:
    """End a silence of ours, with a digest that claims to tell what is theirs."""
    content = Digest(since=OPEN, until=OPEN, reason="a mute")
    digest = Notice(id=0, channel=AWAY, name="digest", content=content, opened_at=OPEN, closed_at=OPEN)
    stored = await their.store.channel(AWAY)
    await their.store.end_silence(stored, digest, OPEN, alerts=[their.alert], notices=[their.notice.notice.id])


def _nobody(_name: str) -> None:
    """Know no name."""


BY_DESK: dict[str, Callable[[Theirs], Awaitable[object]]] = {
    "acknowledge": lambda their: their.harness.commands.acknowledge(AWAY, their.alert, "U2"),
    "add_rule": lambda their: their.harness.commands.add_rule(AWAY, "1d 8pp", "U2"),
    "alert": lambda their: their.harness.commands.alert(AWAY, their.alert),
    "board": lambda their: their.harness.commands.board(AWAY),
    "brief": lambda their: their.harness.commands.brief(AWAY),
    "rejoin": lambda their: their.harness.commands.rejoin(AWAY),
    "check_editor": lambda their: their.harness.commands.check_editor(AWAY, "U2"),
    "chart": lambda their: their.harness.commands.chart(AWAY, Window.D1),
    "edit_rule": lambda their: their.harness.commands.edit_rule(AWAY, their.watch.id, "1d 9pp", "U2"),
    "history": lambda their: their.harness.commands.history(AWAY),
    "leave": lambda their: their.harness.commands.leave(AWAY, "U2"),
    "rule_list": lambda their: their.harness.commands.rule_list(AWAY),
    "open_alerts": lambda their: their.harness.commands.open_alerts(AWAY),
    "overview": lambda their: their.harness.commands.overview(
        AWAY.team, "U1"
    ),  # people may have one number in two workspaces
    "pause_rule": lambda their: their.harness.commands.pause_rule(AWAY, their.watch.id, "U2"),
    "coverage": lambda their: their.harness.commands.coverage(AWAY),
    "audit": lambda their: their.harness.commands.audit(AWAY, their.alert),
    "remove_rule": lambda their: their.harness.commands.remove_rule(AWAY, their.watch.id, "U2"),
    "resolve": lambda their: their.harness.commands.resolve(AWAY, their.alert, "U2", ""),
    "resume_rule": lambda their: their.harness.commands.resume_rule(AWAY, their.holds.paused.id, "U2"),
    "rules": lambda their: their.harness.commands.rules(AWAY),
    "snooze": lambda their: their.harness.commands.snooze(AWAY, their.alert, "U2", SnoozeUntil.HOUR),
    "add_default_rules": lambda their: their.harness.commands.add_default_rules(AWAY, "U2"),
    "unacknowledge": lambda their: their.harness.commands.unacknowledge(AWAY, their.alert, "U2"),
    "vote": lambda their: their.harness.commands.vote(AWAY, their.alert, "U2", noise=True),
    "votes": lambda their: their.harness.commands.votes(AWAY),
}
BY_SETTINGS: dict[str, Callable[[Theirs], Awaitable[object]]] = {
    "mute": lambda their: their.harness.commands.settings.mute(AWAY, "off", "U2"),
    "set": lambda their: their.harness.commands.settings.set(AWAY, "thread ends", "U2", _nobody),
    "show": lambda their: their.harness.commands.settings.show(AWAY),
    "silence": lambda their: their.harness.commands.settings.silence(AWAY),
}
BY_STORE: dict[str, Callable[[Theirs], Awaitable[object]]] = {
    "disconnect_channel": lambda their: their.store.disconnect_channel(AWAY, SettingChange(by="U2", at=OPEN, summary="all off")),
    "rule_audits": lambda their: their.store.rule_audits(AWAY, 10),
    "add_notices": lambda their: their.store.add_notices([replace(their.notice.notice, id=0, channel=AWAY)], OPEN),
    "add_rules": lambda their: their.store.add_rules(AWAY, [parse_rule("1d 8pp")], "U2", OPEN),
    "alert": lambda their: their.store.alert(AWAY, their.alert),
    "update_notice": lambda their: their.store.update_notice(_taken_over_notice(their.notice), OPEN),
    "change_channel": _change_channel,
    "channel": lambda their: their.store.channel(AWAY),
    "channel_changes": lambda their: their.store.channel_changes(AWAY, 10),
    "channels_of": lambda their: their.store.channels_of(AWAY.team, "U1"),
    "end_silence": _end_silence,
    "schedule_silence": _expect_silence,
    "has_notice": lambda their: their.store.has_notice(AWAY, their.notice.notice.name),
    "history": lambda their: their.store.history(AWAY, 10),
    "pause_channel": lambda their: their.store.pause_channel(AWAY, OPEN + DAY),
    "withheld_messages": lambda their: their.store.withheld_messages(AWAY, OPEN - DAY),
    "unreadable_rules": lambda their: their.store.unreadable_rules(AWAY),
    "open_alerts": lambda their: their.store.open_alerts(AWAY),
    "posted": lambda their: their.store.posted(AWAY, OPEN - DAY),
    "alert_audit": lambda their: their.store.alert_audit(AWAY, None),
    "record": lambda their: their.store.record([], [_taken_over(their.stored)], OPEN),
    "reconnect_channel": lambda their: their.store.reconnect_channel(AWAY, OPEN),
    "rule": lambda their: their.store.rule(AWAY, their.watch.id),
    "rules": lambda their: their.store.rules(AWAY),
    "delivery_problems": lambda their: their.store.delivery_problems(AWAY.team),
    "vote": lambda their: their.store.vote(AWAY, their.alert, "U2", OPEN, noise=True),
    "votes": lambda their: their.store.votes(AWAY),
}
FORGED: dict[str, Callable[[Theirs], RuleChange]] = {
    "a removal": lambda their: removal(replace(their.watch, channel=AWAY)),
    "the removal of a lost rule": lambda their: removal(UnreadableRule(id=their.watch.id, channel=AWAY, rule="")),
    "an edit": lambda their: _forged(RuleAuditKind.EDITED, their.watch, rule=parse_rule("1d 9pp")),
    "a pause": lambda their: _forged(RuleAuditKind.PAUSED, their.watch),
    "a resumption": lambda their: _forged(RuleAuditKind.RESUMED, their.holds.paused),
}
CROSSINGS = {
    **{f"desk.{name}": crossing for name, crossing in BY_DESK.items()},
    **{f"channels.{name}": crossing for name, crossing in BY_SETTINGS.items()},
    **{f"store.{name}": crossing for name, crossing in BY_STORE.items()},
}


@pytest.fixture
async def floors() -> AsyncIterator[tuple[Theirs, Theirs]]:
    """A floor on which they hold everything that a channel can, and one on which they hold nothing of that."""
    async with AsyncExitStack() as stack:
        full, bare = [await stack.enter_async_context(open_harness(warm=False)) for _ in range(2)]
        holds = await populate_channel(full.store, CHANNEL, OPEN)
        yield Theirs(harness=full, holds=holds), Theirs(harness=bare, holds=holds)


async def _seen(crossing: Callable[[Theirs], Awaitable[object]], theirs: Theirs) -> str:
    """Tell what somebody in T2 is given or told, but for the numbers that what is new there gets."""
    try:
        seen = repr(await crossing(theirs))
    except (NotFoundError, ConflictError) as error:
        seen = repr(error)
    return re.sub(r"\b(id|rule_id)=\d+", r"\1=_", seen)


@pytest.mark.parametrize("crossing", CROSSINGS)
async def test_nobody_sees_or_changes_what_is_another_workspaces(floors: tuple[Theirs, Theirs], crossing: str) -> None:
    theirs, bare = floors
    before = await theirs.rows()

    seen = await _seen(CROSSINGS[crossing], theirs)

    assert before == await theirs.rows()
    assert await _seen(CROSSINGS[crossing], bare) == seen
    assert [sign for sign in ("'T1'", "'U1'") if sign in seen] == []


@pytest.mark.parametrize("forgery", FORGED)
async def test_nobody_changes_another_workspaces_rule_under_a_forged_address(
    floors: tuple[Theirs, Theirs], forgery: str
) -> None:
    theirs, _ = floors
    before = await theirs.rows()

    with pytest.raises(ConflictError):
        await theirs.store.record([], [], OPEN, rules=[FORGED[forgery](theirs)])

    assert before == await theirs.rows()


async def test_alerts_are_not_escalated_into_another_workspace(floors: tuple[Theirs, Theirs]) -> None:
    theirs, _ = floors

    with pytest.raises(ChannelSettingError, match="in another workspace"):
        await theirs.harness.commands.settings.set(AWAY, "escalate 30m C1", "U2", lambda _name: CHANNEL)


def _public(kind: type) -> set[str]:
    members = inspect.getmembers(kind, inspect.isroutine)
    return {name for name, one in members if not name.startswith("_") and inspect.iscoroutinefunction(one)}


def test_every_method_is_tried() -> None:
    assert _public(ChannelCommands) == BY_DESK.keys() | ABOUT_PRICES
    assert _public(SettingCommands) == BY_SETTINGS.keys()
    assert _public(SqlStore) == BY_STORE.keys() | OVER_ALL.keys()

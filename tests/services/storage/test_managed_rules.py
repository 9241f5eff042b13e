"""A rules file is applied in one transaction, and remembered as the owner of its rules."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.alerting.channel_settings import ChannelSettings
from services.alerting.paging import PageRoute
from services.alerting.ports import (
    ChannelRules,
    ManagedRule,
    NewRule,
    RuleAuditKind,
    RuleCaps,
    RuleChange,
    RulesFileChange,
    SettingChange,
)
from services.core.errors import ConflictError, RuleLimitError
from services.core.identity import Channel
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, removal

OTHER = Channel(team="T1", id="C2")
FILE, BY = "rules.yaml", "file:rules.yaml"


def new(key: str, text: str, *, paused: bool = False) -> NewRule:
    return NewRule(key=key, file=FILE, rule=parse_rule(text), paused=paused)


def managed(key: str, rule_id: int, text: str) -> ManagedRule:
    return ManagedRule(key=key, file=FILE, rule_id=rule_id, rule=text, paused=False)


async def add(store: SqlStore, *texts: str) -> ChannelRules:
    await store.add_rules(CHANNEL, [parse_rule(text) for text in texts], "U1", AT)
    return await store.channel_rules(CHANNEL)


async def apply(store: SqlStore, changes: Sequence[RulesFileChange], caps: RuleCaps | None = None) -> None:
    await store.apply_rules_file(changes, BY, AT, caps=caps or RuleCaps())


async def test_rules_are_removed_added_and_owned_and_routes_get_their_numbers(store: SqlStore) -> None:
    before = await add(store, "1d 8pp", "5d 15pp")
    settings = ChannelSettings(pages=(PageRoute(sink="desk", rule_id=0), PageRoute(sink="mail")))
    change = RulesFileChange(
        before=before,
        rules=[removal(before.rules[0], BY)],
        taken=[2],
        additions=[new("month", "20d 30pp", paused=True)],
        managed=[managed("week", 2, "5d 15pp")],
        settings=replace(before.stored, settings=settings),
        setting_changes=[SettingChange(by=BY, at=AT, summary="page desk")],
        route_keys={"desk": "month"},
    )
    await apply(store, [change])
    after = await store.channel_rules(CHANNEL)

    assert [("5d 15pp", None), ("20d 30pp", AT)] == [(str(one.rule), one.paused_at) for one in after.rules]
    assert ({2: 1, 3: 1}, ("month", "week")) == (after.editions, tuple(one.key for one in after.managed))
    assert (3, True) == (after.managed[0].rule_id, after.managed[0].paused)
    assert [3, None] == [one.rule_id for one in after.stored.settings.pages]
    audits = [(one.kind, one.rule_id) for one in await store.rule_audits(CHANNEL, 3)]
    assert [(RuleAuditKind.PAUSED, 3), (RuleAuditKind.ADDED, 3), (RuleAuditKind.REMOVED, 1)] == audits
    assert ["page desk"] == [one.summary for one in await store.channel_changes(CHANNEL, 5)]
    assert ([CHANNEL], []) == (await store.managed_channels("T1", FILE), await store.managed_channels("T2", FILE))
    assert ["T1"] == await store.teams()


@pytest.mark.parametrize("how", ["a rule was added", "a rule was paused", "another file came first"])
async def test_a_channel_that_changed_since_it_was_read_is_not_changed_nor_any_other(store: SqlStore, how: str) -> None:
    before, there = await add(store, "1d 8pp"), await store.channel_rules(OTHER)
    if how == "a rule was added":
        await add(store, "5d 15pp")
    elif how == "a rule was paused":
        paused = RuleChange(kind=RuleAuditKind.PAUSED, channel_rule=before.rules[0], by="U1")
        await store.record([], [], AT, rules=[paused])
    else:
        await apply(store, [RulesFileChange(before=before, managed=[managed("day", 1, "1d 8pp")])])
    seen = await store.channel_rules(CHANNEL)
    stale = RulesFileChange(before=before, additions=[new("month", "20d 30pp")])

    with pytest.raises(ConflictError):
        await apply(store, [RulesFileChange(before=there, additions=[new("day", "1d 8pp")]), stale])
    assert seen == await store.channel_rules(CHANNEL)
    assert there == await store.channel_rules(OTHER)


async def test_settings_that_changed_since_they_were_read_are_not_replaced(store: SqlStore) -> None:
    before = await store.channel_rules(CHANNEL)
    there = replace(before.stored, settings=ChannelSettings(broadcast=True))
    await store.change_channel(there, SettingChange(by="U1", at=AT, summary="broadcast on"))
    quiet = replace(before.stored, settings=ChannelSettings(zone="Europe/London"))

    with pytest.raises(ConflictError):
        await apply(store, [RulesFileChange(before=before, additions=[new("day", "1d 8pp")], settings=quiet)])
    assert ([], True) == (await store.rules(CHANNEL), (await store.channel(CHANNEL)).settings.broadcast)


async def test_a_taken_rule_can_not_be_changed_by_who_has_read_it_before(store: SqlStore) -> None:
    before = await add(store, "1d 8pp")
    await apply(store, [RulesFileChange(before=before, taken=[1], managed=[managed("day", 1, "1d 8pp")])])

    with pytest.raises(ConflictError):
        await store.record([], [], AT, rules=[removal(before.rules[0])])


async def test_a_file_with_too_many_rules_adds_none(store: SqlStore) -> None:
    before = await add(store, "1d 8pp")
    change = RulesFileChange(before=before, additions=[new("week", "5d 15pp")])

    with pytest.raises(RuleLimitError):
        await apply(store, [change], RuleCaps(channel=1))
    assert before == await store.channel_rules(CHANNEL)

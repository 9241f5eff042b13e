"""What a rules file changes in a channel, and what it refuses."""

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from handlers.addressees import parse_addressee
from services.alerting.channel_settings import ChannelSettings
from services.alerting.ports import ChannelRule, ChannelRules, ManagedRule, StoredChannel, UnreadableRule
from services.channels.rules_file import (
    Action,
    ChannelPlan,
    Drift,
    FileChannel,
    FileRule,
    Manage,
    Plan,
    PlanOutdatedError,
    RulesFile,
    RulesFileError,
    plan_channel,
)
from services.channels.rules_file_commands import Options, RulesFiles
from services.core.errors import NoHistoryError
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from services.rules.rule import Rule
from tests.fakes.alerts import AT, CHANNEL
from tests.fakes.harness import OTHER_CHANNEL, Harness, open_harness

FILE = "rules.yaml"
FIRING = RuleState(firing=Side.ABOVE, fired_at=AT)


def rule(number: int, text: str, *, paused: bool = False, state: RuleState | None = None) -> ChannelRule:
    return ChannelRule(
        id=number,
        channel=CHANNEL,
        rule=parse_rule(text),
        state=state or RuleState(),
        created_by="U1",
        created_at=AT,
        paused_at=AT if paused else None,
    )


def made(key: str, number: int, text: str, *, paused: bool = False, file: str = FILE) -> ManagedRule:
    return ManagedRule(key=key, file=file, rule_id=number, rule=text, paused=paused)


def found(*rules: ChannelRule | UnreadableRule, managed: tuple[ManagedRule, ...] = ()) -> ChannelRules:
    return ChannelRules(
        channel=CHANNEL,
        stored=StoredChannel(channel=CHANNEL, settings=ChannelSettings(), revision=0),
        rules=tuple(one for one in rules if isinstance(one, ChannelRule)),
        unreadable=tuple(one for one in rules if isinstance(one, UnreadableRule)),
        managed=managed,
        editions=dict.fromkeys([one.id for one in rules], 0),
    )


def wanted(*rules: tuple[str, str], paused: bool = False, manage: Manage = Manage.ALL) -> FileChannel:
    entries = tuple(FileRule(key=key, rule=parse_rule(text), paused=paused) for key, text in rules)
    return FileChannel(id=CHANNEL.id, rules=entries, manage=manage)


def plan(file: FileChannel, channel: ChannelRules, *, unpause: bool = False) -> ChannelPlan:
    return plan_channel(file, channel, FILE, channel.stored.settings, unpause=unpause)


def actions(planned: ChannelPlan) -> list[tuple[Action, str, int | None]]:
    return [(one.action, one.key, one.rule_id) for one in planned.rules]


@pytest.mark.parametrize(
    ("after", "keeps"),
    [
        pytest.param("1d 9pp", True, id="same subject"),
        pytest.param("1d 9pp below", False, id="other side"),
        pytest.param("drawdown 60%", False, id="other subject"),
    ],
)
def test_a_changed_rule_keeps_its_open_alert_if_it_is_still_about_the_same(after: str, keeps: bool) -> None:
    channel = found(rule(1, "1d 8pp", state=FIRING), managed=(made("day", 1, "1d 8pp"),))
    (change,) = plan(wanted(("day", after)), channel).rules

    assert (Action.CHANGE, keeps) == (change.action, change.keeps_alert)


def test_two_keys_that_swap_their_rules_change_no_rule() -> None:
    channel = found(rule(1, "1d 8pp"), rule(2, "5d 15pp"), managed=(made("a", 1, "1d 8pp"), made("b", 2, "5d 15pp")))
    swapped = plan(wanted(("a", "5d 15pp"), ("b", "1d 8pp")), channel)

    assert [(Action.TAKE, "a", 2), (Action.TAKE, "b", 1)] == actions(swapped)
    assert () == swapped.drifts


@pytest.mark.parametrize("manage", Manage)
def test_a_key_that_gets_the_text_of_another_rule_removes_its_old_rule(manage: Manage) -> None:
    channel = found(rule(1, "1d 8pp"), rule(2, "5d 15pp"), managed=(made("a", 1, "1d 8pp"),))

    assert [(Action.TAKE, "a", 2), (Action.REMOVE, "a", 1)] == actions(
        plan(wanted(("a", "5d 15pp"), manage=manage), channel)
    )


def test_a_rule_that_can_not_be_read_is_replaced_or_removed() -> None:
    channel = found(
        UnreadableRule(id=1, channel=CHANNEL, rule="1d ?"),
        UnreadableRule(id=2, channel=CHANNEL, rule="5d ?"),
        managed=(made("a", 1, "1d 8pp"),),
    )
    planned = plan(wanted(("a", "1d 8pp"), paused=True), channel)

    assert [(Action.CHANGE, "a", 1), (Action.PAUSE, "a", 1), (Action.REMOVE, "", 2)] == actions(planned)
    assert [Drift.EDITED] == [one.drift for one in planned.drifts]


@pytest.mark.parametrize(
    ("is_paused", "was_paused", "asks", "expected"),
    [
        pytest.param(True, False, False, ([], [Drift.PAUSED]), id="paused in Slack"),
        pytest.param(False, True, True, ([Action.PAUSE], [Drift.RESUMED]), id="resumed in Slack"),
        pytest.param(True, True, False, ([Action.RESUME], []), id="the file resumes"),
        pytest.param(False, False, True, ([Action.PAUSE], []), id="the file pauses"),
        pytest.param(True, True, True, ([], []), id="still paused"),
        pytest.param(True, False, True, ([], []), id="both pause"),
    ],
)
def test_a_pause_in_slack_is_drift_and_one_in_the_file_a_change(
    is_paused: bool,
    was_paused: bool,
    asks: bool,
    expected: tuple[list[Action], list[Drift]],
) -> None:
    channel = found(rule(1, "1d 8pp", paused=is_paused), managed=(made("a", 1, "1d 8pp", paused=was_paused),))
    planned = plan(wanted(("a", "1d 8pp"), paused=asks), channel)

    assert expected == ([one.action for one in planned.rules], [one.drift for one in planned.drifts])


def test_a_paused_rule_that_fires_leaves_its_alert() -> None:
    channel = found(rule(1, "1d 8pp", state=FIRING), managed=(made("a", 1, "1d 8pp"),))
    (paused,) = plan(wanted(("a", "1d 8pp"), paused=True), channel).rules

    assert paused.keeps_alert is False


def test_the_revision_differs_if_a_rule_its_owner_or_a_setting_does_and_not_if_a_rule_fires() -> None:
    base = found(rule(1, "1d 8pp"))
    settings = replace(base.stored, settings=ChannelSettings(broadcast=True), revision=1)
    states = [
        base,
        found(rule(1, "1d 9pp")),
        found(rule(1, "1d 8pp", paused=True)),
        found(rule(1, "1d 8pp"), managed=(made("a", 1, "1d 8pp"),)),
        replace(base, stored=settings),
        replace(base, editions={1: 1}),
    ]

    assert len(states) == len({revision(one) for one in states})
    assert revision(base) == revision(found(rule(1, "1d 8pp", state=FIRING)))
    assert revision(base) == revision(replace(base, stored=replace(base.stored, revision=3, silent_from=AT)))


def revision(channel: ChannelRules) -> str:
    file = RulesFile(name=FILE, team=CHANNEL.team, channels=())
    return Plan(file=file, channels=(plan(wanted(), channel),)).revision


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        yield harness


def service(harness: Harness) -> RulesFiles:
    return RulesFiles(store=harness.store, commands=harness.commands, resolve=parse_addressee)


def file_of(*channels: FileChannel) -> RulesFile:
    return RulesFile(name=FILE, team=CHANNEL.team, channels=channels)


async def apply(harness: Harness, *channels: FileChannel) -> None:
    files = service(harness)
    await files.apply(file_of(*channels), (await files.plan(file_of(*channels))).revision)


def settings(channel: str, **values: str) -> FileChannel:
    return FileChannel(
        id=channel, manage=Manage.LISTED, settings={word.replace("_", "-"): value for word, value in values.items()}
    )


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        pytest.param(
            [settings("C1", escalate="30m C00000002")], "C1: C00000002 doesn't accept escalations.", id="not accepted"
        ),
        pytest.param(
            [settings("C00000002", escalate="30m C00000002")],
            "C00000002: alerts are already posted there.",
            id="to itself",
        ),
        pytest.param([settings("C1", remind="15m")], "reminders need a mention.", id="remind"),
    ],
)
async def test_settings_that_do_not_fit_together_are_refused(
    harness: Harness, channels: list[FileChannel], expected: str
) -> None:
    with pytest.raises(RulesFileError, match=expected):
        await service(harness).plan(file_of(*channels))


async def test_a_channel_accepts_escalations_by_the_same_file_and_refuses_them_after_the_other(
    harness: Harness,
) -> None:
    here, there = settings("C1", escalate="30m C00000002"), settings("C00000002", accept_escalations="on")
    await apply(harness, here, there)
    closed = settings("C00000002", accept_escalations="off")

    with pytest.raises(RulesFileError, match=r"C00000002: C1 escalates to it\. Turn that off first\."):
        await apply(harness, closed)
    await apply(harness, settings("C1", escalate="off"), closed)
    assert ChannelSettings() == (await harness.store.channel(CHANNEL)).settings


async def test_reminders_end_before_the_mention_that_they_use(harness: Harness) -> None:
    await apply(harness, settings("C1", mention="U00000001", remind="15m"))
    await apply(harness, settings("C1", mention="off", remind="off"))

    assert ChannelSettings() == (await harness.store.channel(CHANNEL)).settings


async def test_a_symbol_without_prices_is_refused_unless_offline(harness: Harness) -> None:
    file = file_of(FileChannel(id=CHANNEL.id, rules=(FileRule(key="a", rule=parse_rule("1d 8pp on NONE/BTC")),)))
    harness.vendors.faults["yahoo"] = [httpx.Response(404)]

    with pytest.raises(NoHistoryError):
        await service(harness).plan(file)
    assert (await service(harness).plan(file, Options(is_offline=True))).has_changes


async def test_every_change_has_its_alerts_of_two_years_or_why_they_are_unknown(harness: Harness) -> None:
    (before,) = await harness.store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
    rules = ("1d 9pp", "gap 5%")
    file = file_of(wanted(*zip(("a", "b"), rules, strict=True)))
    previews = await service(harness).previews(await service(harness).plan(file))

    expected: set[Rule] = {before.rule, *map(parse_rule, rules)}
    assert expected == set(previews)
    assert previews[before.rule].since is not None
    assert previews[parse_rule("gap 5%")].since is None


async def test_a_plan_is_outdated_when_somebody_changed_the_channel(harness: Harness) -> None:
    files, file = service(harness), file_of(wanted(("a", "5d 15pp")))
    planned = await files.plan(file)
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

    with pytest.raises(PlanOutdatedError):
        await files.apply(file, planned.revision)
    assert ["1d 8pp"] == [str(one.rule) for one in await harness.store.rules(CHANNEL)]
    assert [] == await harness.store.rules(OTHER_CHANNEL)

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from handlers.addressees import parse_addressee
from services.alerting.alert import Alert, EntryKind
from services.alerting.notice import Digest, Escalation
from services.alerting.quiet_hours import SilenceCause
from services.alerting.setting_syntax import Addressee
from services.channels.permissions import Permissions
from services.core.errors import NoHistoryError, NotAllowedError
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.reason import Code
from services.delivery.ports import AlertMessage
from services.rules.decide import Side
from services.storage import SqlStore
from tests.fakes.harness import CHANNEL, OPEN, OTHER_CHANNEL, Harness, open_harness
from tests.fakes.reasons import reason
from tests.services.channels.test_maintenance import delivered, round_at

MINUTE = timedelta(minutes=1)
BEGIN = OPEN + 30 * MINUTE
ONCALL, BOSS = "<!subteam^S1|@oncall>", "<@U9|boss>"


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A channel with one rule in an open session, and no message left to deliver."""
    async with open_harness() as harness:
        await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
        await round_at(harness, BEGIN, 0.01)
        yield harness


async def apply_settings(harness: Harness, *texts: str) -> None:
    def resolve_name(text: str) -> Addressee | None:
        return parse_addressee(text, CHANNEL.team)

    for text in texts:
        await harness.commands.settings.set(CHANNEL, text, "U1", resolve_name)
    await delivered(harness)


async def start(harness: Harness) -> Alert:
    alert = (await harness.commands.start_drill(CHANNEL, "U1")).alert
    assert alert is not None
    return alert


async def kinds(harness: Harness, alert: Alert) -> list[EntryKind]:
    return [entry.kind for entry in (await harness.commands.audit(CHANNEL, alert.id)).entries]


async def test_a_test_alert_shows_the_current_prices_and_wakes_the_delivery(harness: Harness) -> None:
    wakes = len(harness.wake_ups)

    started = await harness.commands.start_drill(CHANNEL, "U1")

    assert started.alert is not None
    assert (True, None, wakes + 1) == (started.is_new, started.silence, len(harness.wake_ups))
    assert (True, Side.ABOVE, BEGIN) == (started.alert.is_drill, started.alert.side, started.alert.opened_at)
    assert pytest.approx(0.01) == started.alert.lead.measurement.spread
    assert reason(Code.DRILL_STARTED) == started.alert.reason
    assert ["alert 1 in C1"] == await delivered(harness)


async def test_a_test_alert_mentions_reminds_escalates_and_resolves_after_five_minutes(harness: Harness) -> None:
    await apply_settings(harness, f"mention {ONCALL}", "remind 15m", f"escalate 30m {BOSS}")
    alert = await start(harness)
    (message,) = [delivery.message for delivery in await harness.store.due(BEGIN)]
    posts = {minute: await round_at(harness, BEGIN + minute * MINUTE, 0.01) for minute in range(1, 7)}

    assert isinstance(message, AlertMessage)
    assert message.mention is not None
    assert {
        1: ["alert 1 in C1"],
        2: ["reminded in C1", "edit alert 1 in C1"],
        3: ["escalated in C1", "edit alert 1 in C1"],
        4: ["reminded in C1", "edit alert 1 in C1"],
        5: ["edit alert 1 in C1", "resolved in C1"],
        6: [],
    } == posts
    assert reason(Code.DRILL_ENDED) == (await harness.commands.alert(CHANNEL, alert.id)).reason


async def test_a_test_alert_escalates_into_another_channel_and_ends_there(harness: Harness) -> None:
    await harness.commands.settings.set(OTHER_CHANNEL, "accept-escalations on", "U1", lambda _name: None)
    await apply_settings(harness, "escalate 1m <#C2|other>")
    alert = await start(harness)

    posts = [await round_at(harness, BEGIN + minute * MINUTE) for minute in (1, 5)]

    assert "escalation in C2" in posts[0]
    assert "edit escalation in C2" in posts[1]
    assert [] == await harness.store.open_notices(Escalation)
    assert (await harness.commands.alert(CHANNEL, alert.id)).closed_at == BEGIN + 5 * MINUTE


async def test_a_restart_does_not_keep_a_test_alert_open(harness: Harness) -> None:
    alert = await start(harness)

    await replace(harness.maintenance).tick(BEGIN + 60 * MINUTE)  # another process, after an hour without one

    assert (await harness.commands.alert(CHANNEL, alert.id)).closed_at == BEGIN + 60 * MINUTE


async def test_several_presses_give_one_test_alert_per_channel(harness: Harness) -> None:
    results = await asyncio.gather(*(harness.commands.start_drill(CHANNEL, f"U{number}") for number in range(4)))
    elsewhere = await harness.commands.start_drill(OTHER_CHANNEL, "U1")

    assert [1, 1, 1, 1] == [one.alert.id for one in results if one.alert]
    assert [False, False, False, True] == sorted(one.is_new for one in results)
    assert (True, [1, 2]) == (elsewhere.is_new, [alert.id for alert in await harness.open_alerts()])


async def test_a_test_alert_and_a_real_one_do_not_affect_each_other(harness: Harness) -> None:
    drill = await start(harness)
    await round_at(harness, BEGIN + MINUTE, 0.09)
    await round_at(harness, BEGIN + 2 * MINUTE, 0.01)
    await harness.commands.remove_rule(CHANNEL, 1, "U1")

    real = await harness.commands.alert(CHANNEL, 2)
    assert (False, True) == (real.is_drill, real.closed_at is not None)
    assert [drill] == await harness.open_alerts()


async def test_people_can_handle_a_test_alert_like_a_real_one(harness: Harness) -> None:
    alert, commands = await start(harness), harness.commands
    changed = [
        (await commands.acknowledge(CHANNEL, alert.id, "U1")).changed,
        (await commands.unacknowledge(CHANNEL, alert.id, "U1")).changed,
        (await commands.snooze(CHANNEL, alert.id, "U1", timedelta(hours=1))).changed,
        (await commands.unsnooze(CHANNEL, alert.id, "U1")).changed,
        (await commands.resolve(CHANNEL, alert.id, "U1", "works")).changed,
    ]
    await harness.maintenance.tick(BEGIN + 6 * MINUTE)

    assert [True] * 5 == changed
    assert [
        EntryKind.FIRED,
        EntryKind.ACKNOWLEDGED,
        EntryKind.UNACKNOWLEDGED,
        EntryKind.SNOOZED,
        EntryKind.UNSNOOZED,
        EntryKind.RESOLVED,
    ] == await kinds(harness, alert)


async def test_a_member_may_resolve_a_test_alert_past_the_threshold(harness: Harness) -> None:
    await apply_settings(harness, "editors <@U1>")
    await harness.tick(BEGIN + MINUTE, 0.12)
    alert = await start(harness)

    assert (await harness.commands.resolve(CHANNEL, alert.id, "U2", "")).changed


async def test_a_snoozed_test_alert_resolves_too(harness: Harness) -> None:
    alert = await start(harness)
    await harness.commands.snooze(CHANNEL, alert.id, "U1", timedelta(hours=1))

    assert "resolved in C1" in await round_at(harness, BEGIN + 5 * MINUTE)


async def test_a_test_alert_that_changes_meanwhile_resolves_in_the_next_round(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert, open_alerts = await start(harness), SqlStore.open_alerts

    async def read_before_a_person_acknowledges(store: SqlStore) -> object:
        stored = await open_alerts(store)
        monkeypatch.undo()
        await harness.commands.acknowledge(CHANNEL, alert.id, "U2")
        return stored

    monkeypatch.setattr(SqlStore, "open_alerts", read_before_a_person_acknowledges)
    await harness.maintenance.tick(BEGIN + 5 * MINUTE)
    between = await kinds(harness, alert)
    await harness.maintenance.tick(BEGIN + 6 * MINUTE)

    assert EntryKind.RESOLVED not in between
    assert EntryKind.RESOLVED is (await kinds(harness, alert))[-1]


async def test_a_test_alert_counts_in_no_list_or_report(harness: Harness) -> None:
    await apply_settings(harness, "daily on")
    before = await harness.commands.coverage(CHANNEL)
    alert = await start(harness)
    await harness.commands.acknowledge(CHANNEL, alert.id, "U1")
    await delivered(harness)
    await harness.commands.vote(CHANNEL, alert.id, "U1", noise=True)
    brief_while_open = await harness.commands.brief(CHANNEL)
    await round_at(harness, BEGIN + 5 * MINUTE)

    listing = await harness.commands.rule_list(CHANNEL)
    assert [] == await harness.commands.history(CHANNEL)
    assert ((), ()) == (brief_while_open.alerts, (await harness.commands.brief(CHANNEL)).alerts)
    assert {} == dict(listing.noise)
    after = await harness.commands.coverage(CHANNEL)
    assert (before.alerts, before.message_counts) == (after.alerts, after.message_counts)


async def test_a_closed_test_alert_is_not_corrected_with_its_close(harness: Harness) -> None:
    alert = await start(harness)
    await round_at(harness, BEGIN + 5 * MINUTE)

    assert [] == await harness.store.closed_alerts(alert.pair, BEGIN)


async def test_a_muted_channel_gets_no_test_alert_but_the_reason(harness: Harness) -> None:
    await harness.commands.settings.mute(CHANNEL, "2h", "U1")

    started = await harness.commands.start_drill(CHANNEL, "U1")

    assert (None, False) == (started.alert, started.is_new)
    assert started.silence is not None
    assert (BEGIN + 120 * MINUTE, (SilenceCause.MUTE,)) == (started.silence.until, started.silence.causes)
    assert [] == await harness.open_alerts()


async def test_a_test_alert_that_ends_in_a_mute_is_not_in_the_digest(harness: Harness) -> None:
    await start(harness)
    await delivered(harness)
    await harness.commands.settings.mute(CHANNEL, "30m", "U1")
    silent = await round_at(harness, BEGIN + 5 * MINUTE)

    assert ["edit alert 1 in C1"] == silent
    assert ["resolved in C1"] == await round_at(harness, BEGIN + 31 * MINUTE)
    assert [] == await harness.store.open_notices(Digest)


async def test_only_editors_start_test_alerts(harness: Harness) -> None:
    await apply_settings(harness, "editors <@U1>")

    outsider = replace(harness.commands, permissions=Permissions(is_outsider=True))

    with pytest.raises(NotAllowedError):
        await harness.commands.start_drill(CHANNEL, "U2")
    with pytest.raises(NotAllowedError):
        await outsider.start_drill(OTHER_CHANNEL, "U3")

    assert [] == await harness.open_alerts()


async def test_without_live_prices_a_test_alert_shows_the_last_close(harness: Harness) -> None:
    await harness.tick(BEGIN + 60 * MINUTE)  # the last trade is too old

    alert = await start(harness)

    assert (False, 20.0) == (alert.lead.measurement.live, alert.etf.price)


async def test_a_test_alert_is_on_the_pair_of_the_first_rule_or_else_on_the_default_pair(harness: Harness) -> None:
    harness.vendors.faults["yahoo"] = [httpx.Response(404)] * 10
    desk = replace(harness.commands, pair=Pair(etf=Symbol("WGMX"), crypto=Symbol("BTC")))

    started = await desk.start_drill(CHANNEL, "U1")

    assert started.alert is not None
    assert WGMI_BTC == started.alert.pair
    with pytest.raises(NoHistoryError):  # nothing is known of WGMX
        await desk.start_drill(OTHER_CHANNEL, "U1")

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest

from handlers.mentions import read_addressee
from services.alerting.alert import EntryKind
from services.alerting.notice import Content, CoverageReport, Digest, Escalation, Outage
from services.alerting.setting_syntax import Addressee
from services.channels.maintenance import Maintenance
from services.delivery.ports import AlertMessage, Delivery, MessageRef, NoticeMessage, ThreadMessage
from services.rules.decide import GRACE
from services.storage.codec import kind_of
from tests.fakes.floor import CLOSE, DESK, OPEN, OTHER_DESK, TODAY, Floor, trading_floor
from tests.fakes.postgresql import empty_database

MINUTE = timedelta(minutes=1)
BEGIN = OPEN + 30 * MINUTE
ONCALL, BOSS_ROOM = "<!subteam^S1|@oncall>", "<#C2|boss-room>"


@pytest.fixture(params=["sqlite", "postgresql"])
async def floor(request: pytest.FixtureRequest) -> AsyncIterator[Floor]:
    async with trading_floor("sqlite://" if request.param == "sqlite" else empty_database()) as floor:
        await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
        yield floor


@pytest.fixture
async def plain_floor() -> AsyncIterator[Floor]:
    async with trading_floor() as floor:
        yield floor


async def setting(floor: Floor, *texts: str) -> None:
    def who(text: str) -> Addressee | None:
        return read_addressee(text, DESK.team)

    for text in texts:
        await floor.desk.channels.set(DESK, text, "U1", who)


async def round_at(floor: Floor, at: datetime, spread: float | None = None) -> list[str]:
    """Tick, do the upkeep and deliver; give what was posted or edited."""
    await floor.tick(at, spread)
    await floor.upkeep.tick(at)
    return await delivered(floor)


async def delivered(floor: Floor) -> list[str]:
    done: list[str] = []
    while due := await floor.store.due(floor.clock.at):
        for one in due:
            await floor.store.mark_attempting(one, floor.clock.at)
            await floor.store.mark_sent(one, one.message_id or f"{one.id}", floor.clock.at)
            done.append(named(one))
    return done


def named(one: Delivery) -> str:
    what = "edit " if one.message_id else ""
    return f"{what}{kind(one.told)} in {one.channel.id}"


def kind(told: MessageRef) -> str:
    match told:
        case AlertMessage():
            return told.name
        case ThreadMessage():
            return told.entry.kind.value
        case NoticeMessage():
            return kind_of(told.notice.content)


async def digest_of(floor: Floor) -> Digest:
    """What the digest says that is due first."""
    told = (await floor.store.due(floor.clock.at))[0].told
    assert isinstance(told, NoticeMessage)
    assert isinstance(told.notice.content, Digest)
    return told.notice.content


async def content_of(floor: Floor, kind: type[Content]) -> list[Content]:
    return [stored.notice.content for stored in await floor.store.open_notices(kind)]


async def test_a_silence_keeps_back_what_is_new_and_ends_with_one_digest(floor: Floor) -> None:
    await round_at(floor, BEGIN, 0.09)
    await floor.desk.channels.mute(DESK, "1h", "U1")
    ended = await round_at(floor, BEGIN + 5 * MINUTE, 0.01)
    came_and_went = [
        await round_at(floor, BEGIN + 10 * MINUTE, -0.09),
        await round_at(floor, BEGIN + 15 * MINUTE, 0.01),
    ]
    still_open = await round_at(floor, BEGIN + 50 * MINUTE, 0.12)

    await floor.tick(BEGIN + 60 * MINUTE, 0.12)
    before = await delivered(floor)
    await floor.upkeep.tick(BEGIN + 60 * MINUTE)
    digest = await digest_of(floor)
    after = await delivered(floor)

    assert (["edit alert 1 in C1"], [[], []], [], []) == (ended, came_and_went, still_open, before)
    assert ["digest in C1", "resolved in C1", "alert 3 in C1"] == after
    assert [(1, False), (2, False), (3, True)] == [(one.id, one.closed_at is None) for one in digest.alerts]
    assert "muted" == digest.why
    receipt = await floor.desk.receipt(DESK, 2)
    assert {BEGIN + 60 * MINUTE} == {posting.digest_at for posting in receipt.postings}
    assert [] == await round_at(floor, BEGIN + 61 * MINUTE)


async def test_what_a_digest_has_told_is_corrected_in_history_and_leaves_nothing_waiting(plain_floor: Floor) -> None:
    floor, day = plain_floor, timedelta(days=1)
    floor.vendors.etf_moves |= {TODAY: 21.68, TODAY + day: 21.7}
    await floor.desk.add_rule(DESK, "1d 8pp at close", "U1")
    await floor.desk.channels.mute(DESK, "48h", "U1")
    await floor.tick(CLOSE + 20 * MINUTE)
    await floor.tick(CLOSE + day + 20 * MINUTE)
    await floor.desk.channels.mute(DESK, "off", "U1")
    told = await delivered(floor)

    floor.vendors.etf_moves[TODAY] = 21.42
    floor.vendors.etf_last = (21.7, OPEN + 2 * day + MINUTE)
    corrected = await round_at(floor, OPEN + 2 * day + 2 * MINUTE)

    receipt = await floor.desk.receipt(DESK, 1)
    assert (["digest in C1"], []) == (told, corrected)
    assert (EntryKind.RETRACTED, True) == (receipt.entries[-1].kind, receipt.entries[-1].silent)
    assert 0 == (await floor.store.backlog(floor.clock.at)).waiting


async def test_a_silence_begins_at_its_instant_though_nobody_has_looked_yet(floor: Floor) -> None:
    await setting(floor, "zone UTC", "quiet 15:00-15:30")
    await floor.upkeep.tick(BEGIN - 5 * MINUTE)

    await floor.tick(BEGIN + MINUTE, 0.09)
    kept = await delivered(floor)

    assert [] == kept
    assert ["digest in C1", "alert 1 in C1"] == await round_at(floor, BEGIN + 30 * MINUTE)


async def test_a_mute_that_is_ended_early_releases_at_once(floor: Floor) -> None:
    await floor.desk.channels.mute(DESK, "2h", "U1")
    await floor.tick(BEGIN, 0.09)

    await floor.desk.channels.mute(DESK, "off", "U2")

    assert ["digest in C1", "alert 1 in C1"] == await delivered(floor)
    assert [("U2", "mute off"), ("U1", "mute 2h")] == [
        (one.by, one.what) for one in (await floor.desk.channels.show(DESK)).changes
    ]


async def test_a_silence_in_which_nothing_happened_ends_without_a_word(floor: Floor) -> None:
    await floor.desk.channels.mute(DESK, "1h", "U1")

    assert [] == await round_at(floor, BEGIN + 60 * MINUTE, 0.01)


async def test_a_message_that_may_stand_already_is_looked_up_after_the_silence(floor: Floor) -> None:
    await floor.tick(BEGIN, 0.09)
    (post,) = await floor.store.due(BEGIN)
    await floor.store.mark_attempting(post, BEGIN)
    await floor.desk.channels.mute(DESK, "1h", "U1")
    await floor.tick(BEGIN + 5 * MINUTE, 0.01)
    await floor.upkeep.tick(BEGIN + 60 * MINUTE)
    floor.clock.at = BEGIN + 60 * MINUTE

    waiting = await delivered(floor)

    assert ["digest in C1", "alert 1 in C1", "resolved in C1"] == waiting


async def test_reminders_and_escalation_come_once_each_in_their_time_whoever_makes_them(floor: Floor) -> None:
    await setting(floor, f"mention {ONCALL}", "remind 15m", f"escalate 30m {BOSS_ROOM}")
    posted = await round_at(floor, BEGIN, 0.09)
    told = []
    for minutes in (14, 15, 16, 29, 30, 31):
        floor.upkeep = replace(floor.upkeep)
        told.append(await round_at(floor, BEGIN + minutes * MINUTE, 0.09))
    await floor.desk.acknowledge(DESK, 1, "U3")
    acknowledged = await round_at(floor, BEGIN + 60 * MINUTE, 0.09)
    ended = await round_at(floor, BEGIN + 70 * MINUTE, 0.01)

    lines = [[one for one in round_ if not one.startswith("edit")] for round_ in told]
    assert ["alert 1 in C1"] == posted
    assert [
        [],
        ["reminded in C1"],
        [],
        [],
        ["escalation in C2", "escalated in C1", "reminded in C1"],
        [],
    ] == lines
    assert "edit escalation in C2" in acknowledged
    assert "acknowledged in C1" in acknowledged
    assert not any("reminded" in one for one in acknowledged)
    assert "edit escalation in C2" in ended
    assert [] == await content_of(floor, Escalation)


async def test_the_first_post_calls_the_mention_and_an_edit_does_not(floor: Floor) -> None:
    await setting(floor, f"mention {ONCALL}")
    await floor.tick(BEGIN, 0.09)
    (post,) = await floor.store.due(BEGIN)

    assert isinstance(post.told, AlertMessage)
    assert post.told.calls is not None
    assert "<!subteam^S1>" == post.told.calls.text
    await floor.desk.acknowledge(DESK, 1, "U1")
    (seen,) = await floor.store.due(BEGIN)
    assert isinstance(seen.told, AlertMessage)
    assert seen.told.calls is None


async def test_reminders_do_not_pile_up_while_slack_takes_nothing(floor: Floor) -> None:
    await setting(floor, f"mention {ONCALL}", "remind 15m")
    await floor.tick(BEGIN, 0.09)

    for minutes in (15, 30, 45):
        await floor.tick(BEGIN + minutes * MINUTE, 0.09)
        await floor.upkeep.tick(BEGIN + minutes * MINUTE)

    assert ["alert 1 in C1"] == await delivered(floor)
    assert ["reminded in C1"] == [
        one for one in await round_at(floor, BEGIN + 46 * MINUTE, 0.09) if not one.startswith("edit")
    ]


async def test_a_silent_channel_is_neither_reminded_nor_escalated(floor: Floor) -> None:
    await setting(floor, f"mention {ONCALL}", "remind 15m", f"escalate 30m {ONCALL}")
    await round_at(floor, BEGIN, 0.09)
    await floor.desk.channels.mute(DESK, "2h", "U1")

    told = [await round_at(floor, BEGIN + hour * 60 * MINUTE, 0.09) for hour in (1, 2)]
    later = await round_at(floor, BEGIN + 135 * MINUTE, 0.09)

    entries = (await floor.desk.receipt(DESK, 1)).entries
    assert [False, False] == [any("reminded" in one for one in round_) for round_ in told]
    assert "reminded in C1" in later
    assert [EntryKind.FIRED, EntryKind.REMINDED] == [one.kind for one in entries]


async def test_an_outage_is_told_once_for_all_rules_after_the_grace_and_edited_at_its_end(floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "5d 15pp", "U1")
    await floor.desk.add_rule(OTHER_DESK, "1d 9pp", "U1")
    await round_at(floor, BEGIN, 0.01)
    floor.vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})] * 100
    dark = BEGIN + 25 * MINUTE  # the last price is too old from then on

    rounds = [await round_at(floor, dark + n * MINUTE, 0.01) for n in range(0, 45, 5)]
    (told, _) = await content_of(floor, Outage)
    floor.vendors.faults["coinbase"] = []
    back = await round_at(floor, dark + 60 * MINUTE, 0.01)

    both = ["outage in C1", "outage in C2"]
    begun = [n for n, posts in enumerate(rounds) if posts]
    assert [both] == [rounds[n] for n in begun]
    assert begun[0] * 5 * MINUTE > GRACE
    assert isinstance(told, Outage)
    assert ["Yahoo", "Coinbase"] == [stamp.source for stamp in told.prices]
    assert [f"edit {one}" for one in both] == back
    assert [] == await round_at(floor, dark + 65 * MINUTE, 0.01)


async def test_a_break_of_the_session_is_no_outage(plain_floor: Floor) -> None:
    await plain_floor.desk.add_rule(DESK, "1d 8pp", "U1")
    await round_at(plain_floor, CLOSE - 5 * MINUTE, 0.01)

    told = [await round_at(plain_floor, CLOSE + hour * 60 * MINUTE) for hour in range(1, 16)]

    assert [[]] * 15 == told


async def test_each_close_is_told_once_to_those_who_asked(floor: Floor) -> None:
    await floor.desk.add_rule(OTHER_DESK, "1d 9pp", "U1")
    await setting(floor, "daily on")
    for minute in range(0, 390, 30):
        await round_at(floor, OPEN + minute * MINUTE, 0.07 if minute == 120 else 0.01)
    before = await floor.desk.proof(DESK)

    told = [await round_at(floor, CLOSE + n * MINUTE) for n in (0, 1, 300)]

    assert [["daily in C1"], [], []] == told
    assert (False, 0, 1) == (before.final, before.alerts, before.rules)
    day = await floor.desk.proof(DESK)
    assert isinstance(day, CoverageReport)
    (pair,) = day.pairs
    assert day.final
    assert (390, 13) == (pair.expected, pair.done)
    assert day.miss is not None
    assert ("1d 8pp for 0s", OPEN + 120 * MINUTE) == (day.miss.rule, day.miss.at)
    assert pytest.approx(0.875) == day.miss.share


async def test_a_rule_whose_alert_still_stands_from_the_day_before_is_no_near_miss(floor: Floor) -> None:
    floor.vendors.etf_moves[TODAY] = 21.8
    await round_at(floor, CLOSE - MINUTE, 0.09)
    floor.vendors.etf_last = (23.8, OPEN + timedelta(days=1, hours=1))
    await round_at(floor, OPEN + timedelta(days=1, hours=1))

    day = await floor.desk.proof(DESK)

    assert 1 == len(await floor.open_alerts(DESK))
    assert (0, None) == (day.alerts, day.miss)


async def test_two_processes_do_each_round_once(floor: Floor) -> None:
    await setting(floor, f"mention {ONCALL}", "remind 15m")
    await round_at(floor, BEGIN, 0.09)
    other = Maintenance(
        store=floor.store, market=floor.market, watchlist=floor.upkeep.watchlist, nudge=floor.upkeep.nudge
    )

    done = [await one.tick(BEGIN + 15 * MINUTE) for one in (floor.upkeep, other)]

    assert [1, 0] == done

"""Rules on hashprice and difficulty behave like all others when the network's data is stale, unavailable or unknown."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest

from handlers.render.reasons import sentence, sentences
from services.alerting.alert import EntryKind
from services.alerting.enrichment import TrackRecordEnricher
from services.alerting.notice import Outage
from services.core.trust import Verdict
from services.market.metrics import DIFFICULTY, DIVERGENCE, HASHPRICE
from services.research.service import preview_rule
from services.rules.decide import RuleStatus, Side
from services.rules.grammar import parse_rule
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, OTHER_CHANNEL, Harness, open_harness
from tests.fakes.mempool import FakeMempool
from tests.services.channels.test_maintenance import content_of, round_at

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HARDER = OPEN - 12 * HOUR  # the night before the session
FRIDAY_CLOSE, SATURDAY = CLOSE + 2 * DAY, CLOSE + 2 * DAY + 18 * HOUR
MONDAY_OPEN, MONDAY_CLOSE = OPEN + 5 * DAY - HOUR, CLOSE + 5 * DAY - HOUR  # the clocks change on Sunday


@pytest.fixture
async def pool() -> FakeMempool:
    return FakeMempool(SetClock(OPEN - 10 * MINUTE))


@pytest.fixture
async def harness(pool: FakeMempool) -> AsyncIterator[Harness]:
    mining = pool.service()
    async with open_harness(clock=pool.clock, network=mining) as harness:
        harness.monitor.track_records = TrackRecordEnricher(harness.market.history, mining)
        yield harness


async def ticks(harness: Harness, begin: datetime, count: int = 3) -> None:
    await harness.ticks(begin, [0.0] * count)


async def test_a_retarget_opens_one_alert_with_both_values_source_and_track_record(
    harness: Harness, pool: FakeMempool
) -> None:
    pool.retargets[HARDER] = 106e12
    for text in ("1d difficulty 5%", "5d difficulty 5%", "1d hashprice 5%", "1d 8pp"):
        await harness.commands.add_rule(CHANNEL, text, "U1")

    await ticks(harness, OPEN + 5 * MINUTE)

    hard, earned = sorted(await harness.open_alerts(), key=lambda alert: alert.subject)
    assert [(DIFFICULTY.subject, Side.ABOVE), (HASHPRICE.subject, Side.BELOW)] == [
        (one.subject, one.side) for one in (hard, earned)
    ]
    assert ["1d difficulty 5%", "5d difficulty 5%"] == [fact.rule for fact in hard.hits]
    assert (0.06, 1 / 1.06 - 1) == pytest.approx((hard.lead.value, earned.lead.value))
    mined = hard.lead.measurement.mining
    assert mined is not None
    assert ("mempool.space", 106e12, 100e12) == (mined.source, mined.difficulty, mined.difficulty_before)
    assert Verdict.DEGRADED is hard.trust.verdict
    assert "difficulty from mempool.space only, updated Mar 4, 9:40 AM ET" in sentences(hard.trust.reasons)
    assert hard.lead.track_record is not None
    assert 0 == hard.lead.track_record.episodes


async def test_a_fall_of_bitcoin_lowers_the_hashprice_and_resolves_with_it(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d hashprice 10% below", "U1")
    harness.vendors.crypto_moves[OPEN] = 44_000.0
    await ticks(harness, OPEN + 5 * MINUTE)
    (fallen,) = await harness.open_alerts()
    harness.vendors.crypto_moves[OPEN + 30 * MINUTE] = 49_000.0
    await ticks(harness, OPEN + 35 * MINUTE)

    assert -0.12 == pytest.approx(fallen.lead.value)
    assert [] == await harness.open_alerts()


async def test_a_stale_network_neither_fires_nor_resolves_and_is_reported_once(
    harness: Harness, pool: FakeMempool
) -> None:
    for channel, text in (
        (CHANNEL, "1d hashprice 10% below"),
        (CHANNEL, "1d difficulty 5%"),
        (CHANNEL, "1d 8pp below for 0s"),
        (OTHER_CHANNEL, "60d 90pp"),
    ):
        await harness.commands.add_rule(channel, text, "U1")
    harness.vendors.crypto_moves[OPEN] = 44_000.0
    await ticks(harness, OPEN + 5 * MINUTE)
    pool.down = True
    await ticks(harness, OPEN + 30 * MINUTE)
    failing = await harness.open_alerts()
    at = OPEN + 6 * HOUR + 20 * MINUTE  # the last response is from 14:45
    harness.vendors.crypto_moves[at] = 50_000.0
    rounds = [await round_at(harness, at + n * 3 * MINUTE, -0.09 if n else 0.0) for n in range(3)]
    (waiting, other) = await harness.open_alerts()
    rounds += [await round_at(harness, at + n * MINUTE) for n in (40, 55)]
    (out,) = await content_of(harness, Outage)
    pool.down = False
    back = await round_at(harness, at + 70 * MINUTE)

    assert [HASHPRICE.subject] == [one.subject for one in failing]
    assert [HASHPRICE.subject, DIVERGENCE] == [waiting.subject, other.subject]
    assert 1 == [post for posts in rounds for post in posts].count("outage in C1")
    assert "outage in C2" not in [post for posts in rounds for post in posts]
    assert isinstance(out, Outage)
    assert out.network
    assert "the latest mempool.space data is from Mar 4," in sentence(out.reason)
    assert "edit outage in C1" in back


async def test_a_window_too_long_for_the_history_is_not_an_outage(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "252d hashprice 10%", "U1")
    harness.vendors.etf_since = (OPEN - 100 * DAY).date()

    rounds = [await round_at(harness, OPEN + n * 20 * MINUTE, 0.0) for n in range(5)]

    assert [] == [post for posts in rounds for post in posts if "outage" in post]


async def test_rules_wait_until_the_history_includes_a_retarget(harness: Harness, pool: FakeMempool) -> None:
    await harness.commands.add_rule(CHANNEL, "1d difficulty 5% for 0s", "U1")
    await harness.tick(OPEN + 5 * MINUTE, 0.0)
    pool.retargets[OPEN + 10 * MINUTE] = 107e12
    pool.stale_history = True
    await harness.ticks(OPEN + 15 * MINUTE, [0.0] * 3)
    lagging, asked = await harness.open_alerts(), len([path for path in pool.requests if path.endswith("3y")])
    pool.stale_history = False
    await harness.ticks(OPEN + 30 * MINUTE, [0.0] * 2)

    assert [] == lagging
    assert asked <= 4  # every five minutes, not at every tick
    assert [DIFFICULTY.subject] == [one.subject for one in await harness.open_alerts()]


async def test_the_network_is_fetched_only_for_its_rules_and_once_for_all(harness: Harness, pool: FakeMempool) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await ticks(harness, OPEN + 5 * MINUTE)
    without = len(pool.requests)
    for channel in (CHANNEL, OTHER_CHANNEL):
        for window in ("1d", "5d", "20d"):
            await harness.commands.add_rule(channel, f"{window} hashprice 10%", "U1")
    await harness.tick(OPEN + 20 * MINUTE, 0.0)

    assert 0 == without
    assert 5 == len(pool.requests)  # four endpoints for the current state, one for the history


async def test_without_a_network_source_its_rules_have_no_data(pool: FakeMempool) -> None:
    async with open_harness(clock=pool.clock) as harness:
        await harness.commands.add_rule(CHANNEL, "1d difficulty 5%", "U1")
        await harness.ticks(OPEN + 5 * MINUTE, [0.0] * 9)
        (watch,) = await harness.commands.rules(CHANNEL)

    assert RuleStatus.NODATA is watch.state.status(pool.clock.at)


async def test_a_network_rule_is_previewed_and_backtested_on_history(harness: Harness, pool: FakeMempool) -> None:
    pool.retargets = {OPEN - 30 * DAY: 108e12, OPEN - 20 * DAY: 109e12}
    found = await preview_rule(harness.market, parse_rule("5d difficulty 5%"), harness.commands.pair, pool.clock.at)
    tested = await harness.research.backtest(parse_rule("5d difficulty 5%"), pool.clock.at)

    assert 1 == found.firings == len(tested.backtest.episodes)
    assert CLOSE.date() > (found.until or CLOSE.date())


async def test_a_saturday_retarget_fires_then_and_not_again_on_monday(harness: Harness, pool: FakeMempool) -> None:
    for text in ("1d difficulty 5%", "1d 8pp"):
        await harness.commands.add_rule(CHANNEL, text, "U1")
    pool.retargets[SATURDAY] = 107e12
    await harness.ticks(FRIDAY_CLOSE, [None] * 3)
    before = await harness.commands.history(CHANNEL)
    await harness.ticks(SATURDAY, [None] * 2)
    (alert,) = await harness.open_alerts()
    posted = [entry.kind for entry in await harness.deliver_all()]
    await harness.ticks(MONDAY_OPEN, [0.0] * 3)
    (same,) = await harness.open_alerts()

    assert [] == before
    assert 0.07 == pytest.approx(alert.lead.value)
    assert FRIDAY_CLOSE.date() == alert.lead.measurement.anchor
    assert (FRIDAY_CLOSE, SATURDAY + 5 * MINUTE) == (
        alert.etf.at,
        alert.crypto.at,
    )  # the ETF's price is still Friday's close
    assert (alert.id, SATURDAY + 5 * MINUTE) == (same.id, same.opened_at)
    assert ([EntryKind.FIRED], []) == (posted, await harness.deliver_all())


async def test_a_firing_between_closes_is_one_backtest_episode_at_the_next_close(
    harness: Harness, pool: FakeMempool
) -> None:
    for text in ("1d difficulty 5%", "1d difficulty 5% at close"):
        await harness.commands.add_rule(CHANNEL, text, "U1")
    pool.retargets |= {SATURDAY: 107e12, MONDAY_CLOSE - MINUTE: 114e12}
    await harness.ticks(SATURDAY, [None] * 2)
    alone = (await harness.open_alerts())[0].hits
    await harness.tick(MONDAY_CLOSE + MINUTE)
    (both,) = await harness.open_alerts()
    await harness.tick(MONDAY_CLOSE + 30 * MINUTE)
    (left,) = await harness.open_alerts()
    past = (await harness.research.backtest(parse_rule("1d difficulty 5%"), harness.clock.at)).backtest.episodes

    assert ["1d difficulty 5%"] == [fact.rule for fact in alone]
    assert [0.14, 0.14] == pytest.approx([fact.value for fact in both.hits])
    assert ["1d difficulty 5% at close"] == [fact.rule for fact in left.hits if fact.active]
    assert [MONDAY_CLOSE.date()] == [one.fired_on for one in past]
    assert [0.14] == pytest.approx([one.value for one in past])


async def test_a_breach_just_before_the_close_is_decided_at_the_close_as_a_replay_does(
    harness: Harness, pool: FakeMempool
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d difficulty 5%", "U1")
    pool.retargets[CLOSE - MINUTE] = 107e12

    await harness.tick(CLOSE - MINUTE, 0.0)
    before = await harness.open_alerts()
    await harness.tick(CLOSE + MINUTE)
    (alert,) = await harness.open_alerts()

    assert [] == before
    assert ("+7.0% crossed the 5% threshold at the close", CLOSE) == (sentence(alert.reason), alert.as_of)


async def test_network_rules_need_no_etf_price(harness: Harness, pool: FakeMempool) -> None:
    for text in ("1d difficulty 5%", "1d 8pp"):
        await harness.commands.add_rule(CHANNEL, text, "U1")
    pool.retargets[OPEN + HOUR] = 107e12
    harness.vendors.etf_last = (20.0, OPEN + MINUTE)

    await harness.ticks(OPEN + HOUR, [None] * 9)
    (alert,) = await harness.open_alerts()
    states = {str(watch.rule): watch.state.status(harness.clock.at) for watch in await harness.commands.rules(CHANNEL)}

    assert DIFFICULTY.subject == alert.subject
    assert {"1d difficulty 5%": RuleStatus.FIRING, "1d 8pp": RuleStatus.NODATA} == states


async def test_a_session_without_etf_trades_does_not_delay_network_rules(harness: Harness, pool: FakeMempool) -> None:
    await harness.commands.add_rule(CHANNEL, "1d difficulty 5%", "U1")
    harness.vendors.no_trade_sessions = {FRIDAY_CLOSE.date()}
    pool.retargets[SATURDAY] = 107e12

    await harness.ticks(SATURDAY, [None] * 2)
    (alert,) = await harness.open_alerts()

    assert (DIFFICULTY.subject, FRIDAY_CLOSE.date()) == (alert.subject, alert.lead.measurement.anchor)


async def test_on_a_weekend_without_a_bitcoin_price_an_alert_stays_open_with_a_notice(
    harness: Harness,
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d hashprice 10% below", "U1")
    harness.vendors.crypto_moves[SATURDAY] = 44_000.0
    await harness.ticks(SATURDAY, [None] * 2)
    harness.vendors.faults["coinbase"] = [httpx.Response(403)] * 99
    await harness.ticks(SATURDAY + 25 * MINUTE, [None] * 9)
    (waiting,) = await harness.open_alerts()
    (watch,) = await harness.commands.rules(CHANNEL)
    rounds = [await round_at(harness, SATURDAY + n * MINUTE) for n in (90, 95)]
    (out,) = await content_of(harness, Outage)
    harness.vendors.faults["coinbase"] = []
    harness.vendors.crypto_moves[SATURDAY + 2 * HOUR] = 50_000.0
    await harness.ticks(SATURDAY + 2 * HOUR, [None] * 9)
    back = await round_at(harness, SATURDAY + 3 * HOUR)

    assert SATURDAY + 5 * MINUTE == waiting.as_of
    assert RuleStatus.NODATA is watch.state.status(SATURDAY + 65 * MINUTE)
    assert [1, 0] == [posts.count("outage in C1") for posts in rounds]
    assert isinstance(out, Outage)
    assert out.network
    assert sentence(out.reason).startswith("the last BTC trade is from ")
    assert "edit outage in C1" in back
    assert [] == await harness.open_alerts()

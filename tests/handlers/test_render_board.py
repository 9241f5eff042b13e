from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from handlers.render.board import board_message, status_message
from handlers.render.market import gap_lines
from handlers.render.message import Block, Message
from services.alerting.alert import ActorStamp
from services.channels.commands import Board
from services.core.prices import WGMI_BTC
from services.core.reason import Code, Reason
from services.core.trust import Trust, Verdict
from services.market.align import Exclusion, Leg
from services.market.gap import GapBasis
from services.market.measure import Window
from services.rules.decide import RuleState, Side
from tests.fakes.alerts import an_alert
from tests.fakes.blockkit import shown
from tests.fakes.harness import open_harness
from tests.handlers.boards import HALF_DAY_AT, OPEN_AT, SHUT_AT, a_board, a_channel_rule, closes, open_view, shut_view
from tests.handlers.conftest import Golden


def test_the_board_of_an_open_market(golden: Golden) -> None:
    fired = RuleState(firing=Side.ABOVE, fired_at=OPEN_AT)
    rules = [a_channel_rule("1d 8pp", state=fired), a_channel_rule("5d 15pp", id=2), a_channel_rule("20d 30pp", id=3)]
    alert = an_alert(id=12, acknowledged=ActorStamp(by="U2", at=OPEN_AT))
    golden("board_open", board_message(a_board(open_view(), alerts=[alert], rules=rules), OPEN_AT))


def test_the_board_of_a_shut_market_without_rules(golden: Golden) -> None:
    golden("board_shut", board_message(a_board(shut_view()), SHUT_AT))


def test_the_board_of_simulated_prices(golden: Golden) -> None:
    golden("board_simulated", board_message(a_board(open_view(simulated=True), rules=[a_channel_rule()]), OPEN_AT))


def test_the_board_with_a_short_history_and_failing_sources(golden: Golden) -> None:
    view = open_view(
        market=closes(25),
        problems=["Yahoo (WGMI): HTTP 429 <too many requests>"],
        left_out=[
            Exclusion(
                session=date(2026, 11, 10),
                leg=Leg.CRYPTO,
                reason=Reason.of(Code.OF_SYMBOL, symbol="no BTC bar", reason="ended in the 2 h before the close"),
            )
        ],
    )
    golden("board_with_gaps", board_message(a_board(view, rules=[a_channel_rule()]), OPEN_AT))


def test_the_board_says_that_older_history_is_loading_and_since_when_it_is_there() -> None:
    view = replace(open_view(), loading_since=date(2024, 5, 14))
    assert "Older history is loading (since May 14, 2024)." in board_text(a_board(view))


def test_a_shared_board(golden: Golden) -> None:
    message = board_message(a_board(open_view(), rules=[a_channel_rule()]), OPEN_AT, shared_by="U7")
    golden("board_shared", message)
    assert [] == [block for block in message.blocks if block["type"] == "actions"]


def test_a_half_day_shows_its_early_close() -> None:
    message = board_text(a_board(open_view(now=HALF_DAY_AT)), HALF_DAY_AT)
    assert "Market open, closes early <!date^1795802400^{time}|1:00 PM ET>" in message


def test_a_board_without_a_live_spread_says_why_and_falls_back_to_the_close() -> None:
    view = replace(
        open_view(), live=None, live_reason=Reason.of(Code.TRADE_TOO_OLD, symbol="WGMI", source="Yahoo", age_min=31)
    )
    message = board_text(a_board(view))
    assert "no live spread (the last WGMI trade from Yahoo is 31 min old) · table at the Nov 16 close · " in message
    assert message.startswith("WGMI closed 3.0 pp ahead of BTC, Nov 16.")


def test_a_board_after_the_close_says_that_the_official_close_is_pending() -> None:
    view = replace(open_view(), market=shut_view().market)
    assert "last trades; the official close isn't in yet" in board_text(a_board(view))


@pytest.mark.parametrize(
    ("crypto", "expected"),
    [
        pytest.param(92_208.0 * 1.02, "Implied WGMI gap *+", id="bitcoin up"),
        pytest.param(92_208.0 * 0.98, "Implied WGMI gap *−", id="bitcoin down"),
    ],
)
def test_out_of_hours_bitcoins_move_implies_a_gap(crypto: float, expected: str) -> None:
    assert expected in board_text(a_board(shut_view(crypto=crypto)), SHUT_AT)


def test_without_a_beta_no_gap_is_implied() -> None:
    view = shut_view()
    assert view.gap is not None
    bare = replace(view.gap, beta=None, beta_error=None, implied=None, low=None, high=None)
    assert "No implied gap: not enough history for a beta." in board_text(a_board(replace(view, gap=bare)), SHUT_AT)


def test_an_implied_gap_shows_its_interval_and_the_error_of_beta() -> None:
    view = shut_view()
    assert view.gap is not None
    gap = replace(view.gap, beta=1.38, beta_error=0.24, implied=0.0312, low=-0.0197, high=0.0821, r2=0.7)
    message = board_text(a_board(replace(view, gap=gap)), SHUT_AT)
    assert "Implied WGMI gap *+3.1%*, 90% interval −2.0 to +8.2%\n" in message
    assert " · β 1.38 ± 0.24, correlation 0.84, R² 0.70 · fitted on 60 opens · " in message


def test_a_gap_without_opening_prices_is_approximate() -> None:
    view = shut_view()
    assert view.gap is not None
    gap = replace(view.gap, basis=GapBasis.CLOSES)
    assert " · approximate: no opening prices · " in board_text(a_board(replace(view, gap=gap)), SHUT_AT)


def test_a_gap_without_hourly_prices_has_no_interval() -> None:
    view = shut_view()
    assert view.gap is not None
    gap = replace(view.gap, low=None, high=None)
    expected = "%*, no interval: hourly prices are missing\n"
    assert expected in board_text(a_board(replace(view, gap=gap)), SHUT_AT)


def test_a_negative_beta_keeps_its_sign() -> None:
    view = shut_view()
    assert view.gap is not None
    message = board_text(a_board(replace(view, gap=replace(view.gap, beta=-0.42, implied=-0.0084))), SHUT_AT)
    assert " · β −0.42 ± " in message


def test_one_windows_beta_has_its_error_correlation_and_r2() -> None:
    lines = shown(status_message(a_board(open_view()), Window.D5, OPEN_AT)).splitlines()
    fit = "correlation 0.86 (90% interval 0.79 to 0.90), R² 0.73"
    assert f"Residual *+12.1 pp* with β *1.38* ± 0.11, {fit}, over the 60 sessions before the window" in lines
    assert "*96th percentile of 252 sessions*, robust z +2.3" in lines


def test_a_beta_without_error_or_correlation_stands_alone() -> None:
    view = open_view()
    assert view.live is not None
    measurement = replace(an_alert().lead.measurement, beta=0.0, beta_error=None, residual=0.031, correlation=None)
    still = replace(view, live=replace(view.live, measurements={Window.D1: measurement}))
    lines = shown(status_message(a_board(still), Window.D1, OPEN_AT)).splitlines()
    assert "Residual *+3.1 pp* with β *0.00*, over the 60 sessions before the window" in lines


def test_without_a_bitcoin_price_no_gap_is_shown() -> None:
    message = board_text(a_board(replace(shut_view(), gap=None)), SHUT_AT)
    assert "No BTC price since WGMI's close." in message


async def test_a_session_without_trades_is_shown_as_a_possible_market_closure() -> None:
    evening = datetime(2026, 3, 4, 22, 0, tzinfo=UTC)
    async with open_harness() as harness:
        harness.vendors.no_trade_sessions = {date(2026, 3, 4)}
        harness.clock.at = evening
        message = board_text(a_board(await harness.market.view(WGMI_BTC, evening)), evening)
    why = "no WGMI trade from any source; the exchange may have been closed."
    assert f"1, 5, 20, 60 and 252 sessions and year to date: on Mar 4, 2026, {why}" in message
    assert f"1 session (Mar 4, 2026) has no WGMI price: {why}" in message
    assert ":warning:" not in message


def test_a_window_that_starts_at_a_close_from_one_source_says_so() -> None:
    view = open_view()
    assert view.live is not None
    cause = Reason.of(Code.CLOSE_FROM_ONE_SOURCE, symbol="WGMI", sources=["Yahoo"])
    alone = Trust(verdict=Verdict.DEGRADED, reasons=(Reason.of(Code.WINDOW_BEGINS_WHERE, window="20d", reason=cause),))
    view_with_origins = replace(view, live=replace(view.live, anchor_trust={Window.D20: alone}))

    lines = board_text(a_board(view_with_origins)).splitlines()

    assert "At the start of the 20-session window, WGMI's close is from Yahoo only." in lines


def test_out_of_hours_the_board_has_the_time_of_bitcoins_price() -> None:
    text = board_text(a_board(shut_view()), SHUT_AT)
    at = "<!date^1794878980^{date_short_pretty} at {time}|Nov 16, 8:29 PM ET>"
    assert f" · table at the Nov 16 close: WGMI $40.03, BTC $92,208 · BTC as of {at} · " in text


def test_a_leg_without_a_price_says_so() -> None:
    view = shut_view()
    message = board_text(a_board(replace(view, close=replace(view.close, etf=None, etf_drawdown=None))), SHUT_AT)
    assert " · no WGMI price, BTC Coinbase · " in message


def test_a_leg_at_its_high_has_no_drawdown() -> None:
    assert "Drawdown: WGMI at its high, BTC " in board_text(a_board(open_view(etf=900.0)))


def test_without_a_one_session_spread_the_headline_says_so() -> None:
    view = open_view(market=closes(25))
    short = replace(view, live=None, close=replace(view.close, measurements={}))
    missing = {Window.D1: open_view(market=closes(25)).current.measurements[Window.D252]}
    message = board_text(a_board(replace(short, close=replace(short.close, measurements=missing))))
    assert message.startswith("WGMI and BTC: no 1-session spread")


def test_legs_that_move_alike_are_level() -> None:
    assert board_text(a_board(open_view(etf=40.03, crypto=92_208.0))).startswith("WGMI level with BTC today")


def test_the_start_button_is_shown_only_without_rules() -> None:
    assert ["start", "refresh", "share"] == action_ids(board_message(a_board(open_view()), OPEN_AT))
    assert ["refresh", "board_chart", "share"] == action_ids(
        board_message(a_board(open_view(), rules=[a_channel_rule()]), OPEN_AT)
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(RuleState(), "`1d 8pp`\n", id="OK"),
        pytest.param(RuleState(breach=Side.ABOVE, breach_at=OPEN_AT), "`1d 8pp` Pending\n", id="pending"),
        pytest.param(RuleState(firing=Side.ABOVE, fired_at=OPEN_AT), "`1d 8pp` Firing\n", id="firing"),
        pytest.param(RuleState(nodata_since=OPEN_AT - timedelta(hours=1)), "`1d 8pp` No data\n", id="no data"),
    ],
)
def test_a_rule_is_shown_with_its_status(state: RuleState, expected: str) -> None:
    assert f"Rules: {expected}" in board_text(a_board(open_view(), rules=[a_channel_rule(state=state)]))


def test_many_rules_and_problems_fit_into_the_message() -> None:
    rules = [a_channel_rule(f"1d {n}.5pp above clear 0.1pp for 10m", id=n) for n in range(1, 300)]
    view = open_view(problems=["Yahoo (WGMI): " + "x" * 5_000] * 9)
    message = board_message(a_board(view, rules=rules), OPEN_AT)
    assert "… and 268 more\n" in shown(message)


def board_text(board: Board, now: datetime = OPEN_AT) -> str:
    return shown(board_message(board, now))


def action_ids(message: Message) -> list[str]:
    rows: list[Block] = [block for block in message.blocks if block["type"] == "actions"]
    return [element["action_id"] for row in rows for element in row["elements"]]


def test_a_disputed_bitcoin_price_implies_no_gap_and_shows_the_dispute() -> None:
    apart = Reason.of(Code.PRICES_DISPUTED, prices=[("Coinbase", 50_000.0), ("Kraken", 60_000.0)])
    disputed = Trust(verdict=Verdict.SUSPECT, reasons=(apart,))

    lines = gap_lines(replace(shut_view(), gap=None, crypto_trust=disputed))

    assert ["No implied gap: Coinbase has $50,000 and Kraken $60,000, 20.0% apart."] == lines

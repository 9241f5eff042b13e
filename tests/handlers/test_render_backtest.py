from dataclasses import replace

import numpy as np

from handlers.render.backtest import backtest_message
from handlers.render.message import Message
from services.core.prices import Pair, Symbol
from services.market.align import Aligned
from services.research.service import BacktestResult, Provenance, backtest_with_curve
from services.rules.grammar import parse_rule
from tests.fakes.blockkit import problems
from tests.fakes.market import aligned_market, random_market
from tests.fakes.mempool import PAST
from tests.handlers.conftest import Golden

MARKET = random_market(500)


def message_for(rule: str, market: Aligned = MARKET, provenance: Provenance | None = None) -> Message:
    backtest, curve = backtest_with_curve(market, parse_rule(rule, market.pair))
    return backtest_message(BacktestResult(backtest=backtest, curve=curve, provenance=provenance or Provenance()))


def test_a_backtest_of_a_rule(golden: Golden) -> None:
    golden("backtest", message_for("5d 15pp"))


def test_a_rule_that_never_fired() -> None:
    message = message_for("5d 90pp")
    assert message.text.startswith("5d 90pp: never fired\nFrom 15 Feb 2022 to 5 Feb 2024.\nDecided once")
    assert [] == [block for block in message.blocks if block["type"] == "table"]
    assert [] == problems(message._asdict())


def test_a_rule_that_was_never_measurable_says_so() -> None:
    assert "It could not be measured at any session's close." in message_for("252d 8pp", MARKET.head(200)).text


def test_a_single_open_episode_shows_only_what_is_known() -> None:
    message = message_for("1d 8pp", aligned_market([100.0, 100.0, 110.0], [100.0] * 3))
    assert "1d 8pp: 1 episode, 126.0 a year" in message.text
    assert "1 session so far" in message.text
    assert "the gap had closed" not in message.text
    assert "the gap grew" not in message.text
    assert [] == problems(message._asdict())


def test_a_single_forward_return_has_no_quartiles() -> None:
    message = message_for("1d 8pp", aligned_market([100.0, 110.0, *[110.0] * 6], [100.0] * 8))
    assert "5 sessions later: the gap grew in 0 of 1; median change 0.0 pp. Any 5 sessions: grew in 33%" in message.text


def test_overlapping_forward_returns_show_the_non_overlapping_count() -> None:
    etf = [100.0] * 9 + [112.0] * 8 + [126.0] * 30
    text = message_for("1d 10pp", aligned_market(etf, [100.0] * len(etf))).text
    assert (
        "5 sessions later: the gap grew in 0 of 2; median change 0.0 pp, half of them between 0.0 and 0.0 pp." in text
    )
    assert "20 sessions later: the gap grew in 1 of 2; median change +6.2 pp" in text
    assert "; at most 1 of the 2 share no session. Any 20 sessions: grew in" in text
    assert "\nAt most 2 of 2 can be picked whose windows share no session." in text


def test_simulated_prices_are_marked_and_other_pairs_show_their_legs() -> None:
    market = aligned_market([100.0, 110.0, 110.0], [100.0, 100.0, 104.0])
    other_pair = replace(market, pair=Pair(etf=Symbol("MARA"), crypto=Symbol("ETH")))
    text = message_for("1d 8pp", other_pair, Provenance(simulated=True)).text
    assert text.startswith("SIMULATED: 1d 8pp on MARA/ETH: 1 episode")
    assert "MARA" in text.splitlines()[0]


def test_a_network_rule_shows_both_legs_forward_returns_and_no_gap() -> None:
    market = aligned_market([100.0] * 3 + [100.0] * 5 + [112.0], [100.0, 100.0, 80.0, *[80.0] * 5, 84.0])
    network = replace(PAST, retargets_at=PAST.retargets_at - np.timedelta64(200, "D"))
    message = message_for("1d hashprice 15% below", replace(market, network=network))
    assert "5 sessions later: WGMI 0.0%, bitcoin 0.0% at the median of 1. Any 5 sessions: WGMI 0.0%" in message.text
    assert "Live it is decided between closes too" in message.text
    assert "gap" not in message.text
    assert [] == problems(message._asdict())

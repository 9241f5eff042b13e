from dataclasses import replace

import numpy as np

from handlers.render.backtest import backtest_message
from handlers.render.help import RUN_COMMAND
from handlers.render.message import Message, button
from handlers.render.study import study_message
from services.core.prices import Pair, Symbol
from services.market.align import Aligned
from services.research.service import BacktestResult, Provenance, backtest_with_curve
from services.rules.grammar import parse_rule
from tests.fakes.blockkit import problems, shown
from tests.fakes.market import aligned_market, random_market
from tests.fakes.mempool import PAST
from tests.handlers.conftest import Golden

MARKET = random_market(500)


def message_for(rule: str, market: Aligned = MARKET, provenance: Provenance | None = None) -> Message:
    backtest, curve = backtest_with_curve(market, parse_rule(rule, market.pair))
    return backtest_message(BacktestResult(backtest=backtest, curve=curve, provenance=provenance or Provenance()))


def test_a_backtest_of_a_rule(golden: Golden) -> None:
    add = button(RUN_COMMAND[0], "Add Rule", "rule add 5d 15pp", names="Add rule 5d 15pp")
    golden("backtest", study_message(message_for("5d 15pp"), "backtest", "5d 15pp", add))


def test_a_rule_that_never_fired() -> None:
    message = message_for("5d 90pp")
    assert "5d 90pp: never fired. Data OK." == message.text
    assert "\nFeb 15, 2022 to Feb 5, 2024\nEvaluated on session closes, no hold · Data OK" in shown(message)
    assert [] == [block for block in message.blocks if block["type"] == "table"]
    assert [] == problems(message._asdict())


def test_a_rule_that_was_never_measurable_says_so() -> None:
    assert "Not measurable at any session's close" in shown(message_for("252d 8pp", MARKET.head(200)))


def test_a_single_open_episode_shows_only_what_is_known() -> None:
    message = message_for("1d 8pp", aligned_market([100.0, 100.0, 110.0], [100.0] * 3))
    text = shown(message)
    assert "1d 8pp: fired 1 time, 126.0 a year" in text
    assert "Fired | Peak pp | Sess. | 5d fwd pp\n" in text
    assert " | +10.0 | 1+ | –" in text
    assert "closed within" not in text
    assert "forward change" not in text
    assert [] == problems(message._asdict())


def test_a_single_forward_return_has_no_quartiles() -> None:
    text = shown(message_for("1d 8pp", aligned_market([100.0, 110.0, *[110.0] * 6], [100.0] * 8)))
    assert "5-session forward change: median 0.0 pp, wider in 0 of 1. Base rate: median 0.0 pp, wider in 33%." in text


def test_overlapping_forward_returns_show_the_non_overlapping_count() -> None:
    etf = [100.0] * 9 + [112.0] * 8 + [126.0] * 30
    text = shown(message_for("1d 10pp", aligned_market(etf, [100.0] * len(etf))))
    assert (
        "5-session forward change: median 0.0 pp (interquartile range 0.0 to 0.0 pp), wider in 0 of 2. Base rate"
        in text
    )
    assert "20-session forward change: median +6.2 pp (interquartile range " in text
    assert "wider in 1 of 2 (non-overlapping n = 1). Base rate: median" in text
    assert "\nAlerts with non-overlapping look-back windows: 2 of 2." in text


def test_simulated_prices_are_marked_and_other_pairs_show_their_legs() -> None:
    market = aligned_market([100.0, 110.0, 110.0], [100.0, 100.0, 104.0])
    other_pair = replace(market, pair=Pair(etf=Symbol("MARA"), crypto=Symbol("ETH")))
    text = shown(message_for("1d 8pp", other_pair, Provenance(simulated=True)))
    assert text.startswith("SIMULATED · 1d 8pp on MARA/ETH: fired 1 time, 126.0 a year. ")


def test_a_network_rule_shows_both_legs_forward_returns_and_no_gap() -> None:
    market = aligned_market([100.0] * 3 + [100.0] * 5 + [112.0], [100.0, 100.0, 80.0, *[80.0] * 5, 84.0])
    network = replace(PAST, retargets_at=PAST.retargets_at - np.timedelta64(200, "D"))
    message = message_for("1d hashprice 15% below", replace(market, network=network))
    text = shown(message)
    assert "5-session forward return: median WGMI 0.0%, BTC 0.0%, n = 1. Base rate: median WGMI 0.0%" in text
    assert "Fired | Peak % | Sess. | 5d fwd %\n" in text
    assert "Live, the rule is also evaluated overnight and on weekends" in text
    assert "gap" not in text
    assert [] == problems(message._asdict())


def test_a_levels_peak_is_shown_as_it_is() -> None:
    text = shown(message_for("60d beta 1.05 below"))
    assert "Fired | Peak beta | Sess. | 5d fwd %\n" in text

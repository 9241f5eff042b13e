from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from handlers.render.drawdown import drawdown_message
from handlers.render.study import study_message
from services.core.prices import WGMI_BTC, Bars
from services.research.report import summarize_daily_drawdown, summarize_drawdown
from services.research.service import DrawdownResult, Provenance
from tests.fakes.blockkit import shown
from tests.handlers.boards import LAST_CLOSE, closes
from tests.handlers.conftest import Golden


def a_result(*, simulated: bool = False) -> DrawdownResult:
    rows = closes()
    legs = (summarize_drawdown(rows, rows.pair.etf, rows.etf), summarize_drawdown(rows, rows.pair.crypto, rows.crypto))
    return DrawdownResult(
        session=LAST_CLOSE, legs=tuple(leg for leg in legs if leg), provenance=Provenance(simulated=simulated)
    )


def test_both_drawdowns_with_their_basis(golden: Golden) -> None:
    golden("drawdown", study_message(drawdown_message(a_result()), "drawdown"))


def test_bitcoin_at_daily_closes_says_so_and_that_older_history_is_loading() -> None:
    daily = Bars(
        symbol=WGMI_BTC.crypto,
        interval=timedelta(days=1),
        opened_at=np.array(["2015-07-20", "2015-07-21", "2015-07-22"], dtype="datetime64[s]"),
        closes=np.array([100.0, 200.0, 150.0]),
        source="Coinbase",
    )
    result = replace(a_result(), legs=(summarize_daily_drawdown(daily, loading=True),))
    lines = shown(drawdown_message(result)).splitlines()

    assert "*BTC −25.0%* from the high of Jul 21, 2015 ($200.00), 1 day ago" in lines
    assert "Deeper than on 83% of the days since Jul 20, 2015. Deepest: 25.0%, Jul 22, 2015" in lines
    assert "BTC daily closes since Jul 20, 2015 (3 days, Coinbase; older history is loading)" in lines[-1]


def test_a_percentile_just_below_100_is_not_rounded_up() -> None:
    legs = tuple(replace(leg, percentile=99.95) for leg in a_result().legs)
    text = shown(drawdown_message(replace(a_result(), legs=legs)))
    assert "Deeper than on 99% of the sessions since" in text
    assert "100%" not in text


def test_simulated_prices_are_marked_first() -> None:
    assert drawdown_message(a_result(simulated=True)).text.startswith("SIMULATED · Drawdown: WGMI 23.1%, BTC 8.7%. ")


def test_a_leg_at_its_high_says_so() -> None:
    rows = closes().head(2)
    leg = summarize_drawdown(rows, rows.pair.etf, rows.etf[:2] * 0 + [1.0, 2.0])
    assert leg is not None
    text = shown(drawdown_message(DrawdownResult(session=date(2024, 1, 3), legs=(leg,), provenance=Provenance())))
    assert text.startswith("Drawdown: WGMI at its high. Data OK.\n")
    assert "\n*WGMI* at its high, $2.00\nDeepest: 0.0%, " in text

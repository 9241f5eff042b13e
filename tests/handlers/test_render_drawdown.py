from dataclasses import replace
from datetime import date

from handlers.render.drawdown import drawdown_message
from services.research.report import summarize_drawdown
from services.research.service import DrawdownResult, Provenance
from tests.handlers.boards import LAST_CLOSE, closes
from tests.handlers.conftest import Golden


def a_result(*, simulated: bool = False) -> DrawdownResult:
    rows = closes()
    legs = (summarize_drawdown(rows, rows.pair.etf, rows.etf), summarize_drawdown(rows, rows.pair.crypto, rows.crypto))
    return DrawdownResult(
        session=LAST_CLOSE, legs=tuple(leg for leg in legs if leg), provenance=Provenance(simulated=simulated)
    )


def test_both_drawdowns_with_their_basis(golden: Golden) -> None:
    golden("drawdown", drawdown_message(a_result()))


def test_a_percentile_just_below_100_is_not_rounded_up() -> None:
    legs = tuple(replace(leg, percentile=99.95) for leg in a_result().legs)
    text = drawdown_message(replace(a_result(), legs=legs)).text
    assert "Deeper than on 99% of the sessions since" in text
    assert "100%" not in text


def test_simulated_prices_are_marked_first() -> None:
    assert drawdown_message(a_result(simulated=True)).text.startswith("SIMULATED: WGMI ")


def test_a_leg_at_its_high_says_so() -> None:
    rows = closes().head(2)
    leg = summarize_drawdown(rows, rows.pair.etf, rows.etf[:2] * 0 + [1.0, 2.0])
    assert leg is not None
    text = drawdown_message(DrawdownResult(session=date(2024, 1, 3), legs=(leg,), provenance=Provenance())).text
    assert text.startswith("WGMI at its high\n*WGMI* at its highest session close since ")

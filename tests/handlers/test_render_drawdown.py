from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from handlers.render.drawdown import drawdown_message
from handlers.render.message import Message
from services.research.drawdown import underwater
from services.research.results import DrawdownResult, Provenance
from tests.handlers.boards import LAST_CLOSE, closes

Golden = Callable[[str, "Message"], None]


def told(*, simulated: bool = False) -> DrawdownResult:
    rows = closes()
    legs = (underwater(rows, rows.pair.etf, rows.etf), underwater(rows, rows.pair.crypto, rows.crypto))
    return DrawdownResult(
        session=LAST_CLOSE, legs=tuple(leg for leg in legs if leg), basis=Provenance(simulated=simulated)
    )


def test_both_drawdowns_with_their_basis(golden: Golden) -> None:
    golden("drawdown", drawdown_message(told()))


def test_a_depth_that_was_passed_once_is_not_deeper_than_all() -> None:
    legs = tuple(replace(leg, rank=99.95) for leg in told().legs)
    text = drawdown_message(replace(told(), legs=legs)).text
    assert "Deeper than on 99% of the sessions since" in text
    assert "100%" not in text


def test_simulated_prices_are_named_first() -> None:
    assert drawdown_message(told(simulated=True)).text.startswith("SIMULATED: WGMI ")


def test_a_leg_at_its_high_says_so() -> None:
    rows = closes().head(2)
    leg = underwater(rows, rows.pair.etf, rows.etf[:2] * 0 + [1.0, 2.0])
    assert leg is not None
    text = drawdown_message(DrawdownResult(session=date(2024, 1, 3), legs=(leg,), basis=Provenance())).text
    assert text.startswith("WGMI at its high\n*WGMI* at its highest session close since ")

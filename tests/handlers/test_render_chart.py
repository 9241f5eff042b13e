from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from handlers import render
from handlers.render.fallbacks import pictured
from services.channels.charts import ChartResult
from services.market.measure import Measurement, NotMeasured, Window
from services.rules.chart_series import indexed_returns
from tests.fakes.blockkit import checked
from tests.handlers.boards import OPEN_AT, a_board, closes, open_view, shut_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from handlers.render import Message
    from services.rules.market_service import MarketView


def charted(view: MarketView, window: Window) -> ChartResult:
    measured = view.current.measurements[window]
    assert isinstance(measured, Measurement)
    return ChartResult(view=view, curve=indexed_returns(closes(), measured))


def test_a_chart_while_the_market_is_open(golden: Callable[[str, Message], None]) -> None:
    golden("chart_open", render.chart(charted(open_view(), Window.D20), OPEN_AT))


def test_a_chart_with_its_picture(golden: Callable[[str, Message], None]) -> None:
    told = charted(open_view(), Window.D20)
    picture = render.chart_picture(told)
    assert picture is not None
    golden("chart_pictured", pictured(render.chart(told, OPEN_AT), "F0123456789", picture.alt))


def test_a_picture_does_not_change_while_its_prices_grow_older() -> None:
    told = charted(open_view(), Window.D20)
    assert render.chart_picture(told) == render.chart_picture(charted(open_view(), Window.D20))
    assert " old" not in str(render.chart_picture(told))


def test_a_chart_of_closes_says_so() -> None:
    view = shut_view()
    told = render.chart(charted(view, Window.D252), view.now)
    checked({"text": told.text, "blocks": told.blocks})
    assert "to the close of Mon 16 Nov" in told.text.splitlines()[0]
    assert "Session closes; bitcoin at the ETF's own close." in told.text


def test_a_simulated_chart_says_so_in_its_title_and_in_its_picture() -> None:
    told = render.chart(charted(open_view(simulated=True), Window.YTD), OPEN_AT)
    assert told.text.startswith("SIMULATED: ")
    assert told.blocks[1]["title"].startswith("SIMULATED: ")


def test_what_cannot_be_drawn_says_why() -> None:
    why = NotMeasured(window=Window.D252, reason="the history begins on 2026-01-02, less than 252d ago")
    nothing = ChartResult(view=open_view(), curve=why)
    told = render.chart(nothing, OPEN_AT)
    assert render.chart_picture(nothing) is None
    assert "No chart of WGMI over 252 days: the history begins on 2026-01-02, less than 252d ago." == told.text


def test_a_window_that_is_not_measured_has_a_status_that_says_why() -> None:
    view = open_view()
    why = NotMeasured(window=Window.D5, reason="2026-11-10: no WGMI close")
    live = view.live and replace(view.live, measurements={**view.live.measurements, Window.D5: why})
    told = render.status(a_board(replace(view, live=live)), Window.D5, OPEN_AT)
    assert "No spread of WGMI over 5 days: 2026-11-10: no WGMI close" == told.text.splitlines()[0]

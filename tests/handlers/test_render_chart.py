from dataclasses import replace

from handlers.render.board import status_message
from handlers.render.chart import chart_message, chart_picture
from handlers.render.message import with_picture
from services.channels.charts import ChartResult
from services.core.reason import Code, Reason
from services.market.measure import Measurement, NotMeasured, Window
from services.rules.chart_series import indexed_returns
from services.rules.market_view import MarketView
from tests.fakes.blockkit import checked
from tests.handlers.boards import OPEN_AT, a_board, closes, open_view, shut_view
from tests.handlers.conftest import Golden


def a_chart(view: MarketView, window: Window) -> ChartResult:
    measured = view.current.measurements[window]
    assert isinstance(measured, Measurement)
    return ChartResult(view=view, curve=indexed_returns(closes(), measured))


def test_a_chart_while_the_market_is_open(golden: Golden) -> None:
    golden("chart_open", chart_message(a_chart(open_view(), Window.D20), OPEN_AT))


def test_a_chart_with_its_picture(golden: Golden) -> None:
    chart = a_chart(open_view(), Window.D20)
    picture = chart_picture(chart)
    assert picture is not None
    golden("chart_pictured", with_picture(chart_message(chart, OPEN_AT), "F0123456789", picture.alt))


def test_a_picture_does_not_change_as_its_prices_age() -> None:
    chart = a_chart(open_view(), Window.D20)
    assert chart_picture(chart) == chart_picture(a_chart(open_view(), Window.D20))
    assert " old" not in str(chart_picture(chart))


def test_a_chart_of_closes_says_so() -> None:
    view = shut_view()
    message = chart_message(a_chart(view, Window.D252), view.now)
    checked({"text": message.text, "blocks": message.blocks})
    assert "to the close of Mon 16 Nov" in message.text.splitlines()[0]
    assert "Session closes; bitcoin at the ETF's own close." in message.text


def test_a_simulated_chart_says_so_in_its_title_and_in_its_picture() -> None:
    message = chart_message(a_chart(open_view(simulated=True), Window.YTD), OPEN_AT)
    assert message.text.startswith("SIMULATED: ")
    assert message.blocks[1]["title"].startswith("SIMULATED: ")


def test_a_chart_that_cannot_be_drawn_says_why() -> None:
    begins = Reason.of(Code.WINDOW_BEFORE_HISTORY, session="2026-01-02", window="252d")
    not_measured = NotMeasured(window=Window.D252, reason=begins)
    not_drawn = ChartResult(view=open_view(), curve=not_measured)
    message = chart_message(not_drawn, OPEN_AT)
    assert chart_picture(not_drawn) is None
    assert "No chart of WGMI over 252 days: the history begins on 2026-01-02, less than 252d ago." == message.text


def test_the_status_of_an_unmeasured_window_says_why() -> None:
    view = open_view()
    not_measured = NotMeasured(
        window=Window.D5, reason=Reason.of(Code.MISSING_PRICE, session="2026-11-10", reasons=["no WGMI close"])
    )
    live = view.live and replace(view.live, measurements={**view.live.measurements, Window.D5: not_measured})
    message = status_message(a_board(replace(view, live=live)), Window.D5, OPEN_AT)
    assert "No spread of WGMI over 5 days: 2026-11-10: no WGMI close" == message.text.splitlines()[0]

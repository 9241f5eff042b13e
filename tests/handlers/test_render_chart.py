from dataclasses import replace

import pytest

from handlers.render.board import status_message
from handlers.render.chart import chart_message, chart_picture, native_chart
from handlers.render.markup import NBSP
from handlers.render.message import monospaced, with_picture
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


def test_a_chart_of_closes_names_the_last_one_and_the_sources() -> None:
    view = shut_view()
    chart = a_chart(view, Window.D252)
    message, picture = chart_message(chart, view.now), chart_picture(chart)
    checked({"text": message.text, "blocks": message.blocks})
    assert message.blocks[-1]["elements"][0]["text"].startswith("WGMI Yahoo · BTC Coinbase · close of Mon Nov 16 · ")
    assert picture is not None
    assert picture.footer.startswith(f"WGMI Yahoo · BTC Coinbase · close of Nov{NBSP}16,{NBSP}2026, 4:00 PM ET · ")


def test_a_picture_has_the_time_of_its_prices_in_new_york() -> None:
    picture = chart_picture(a_chart(open_view(), Window.D20))
    assert picture is not None
    assert f"as of Nov{NBSP}17,{NBSP}2026, 10:39 AM ET" in picture.footer
    assert "<!date" not in str(picture)


def test_a_source_of_the_last_price_alone_is_named_too() -> None:
    view = open_view()
    assert view.live is not None
    assert view.live.etf is not None
    live = replace(view.live, etf=replace(view.live.etf, source="Nasdaq"))
    picture = chart_picture(a_chart(replace(view, live=live), Window.D20))
    assert picture is not None
    assert picture.footer.startswith("WGMI Yahoo + Nasdaq · BTC Coinbase · ")


@pytest.mark.parametrize(
    ("window", "title", "y_label", "first"),
    [
        (Window.D20, f"WGMI and BTC, last 20{NBSP}sessions", "Return since Oct 20 (%)", "Oct 20"),
        (Window.YTD, "WGMI and BTC, 2026 to date", "Return since Dec 31, 2025 (%)", "Dec 31, 2025"),
        (Window.D252, f"WGMI and BTC, last 252{NBSP}sessions", "Return since Nov 14, 2025 (%)", "Nov 14, 2025"),
    ],
)
def test_slacks_own_chart_names_its_period_and_its_axis(window: Window, title: str, y_label: str, first: str) -> None:
    measured = open_view().current.measurements[window]
    assert isinstance(measured, Measurement)
    block = native_chart(indexed_returns(closes(), measured), simulated=False)
    axis = block["chart"]["axis_config"]
    assert (title, y_label, first) == (block["title"], axis["y_label"], axis["categories"][0])
    assert len(set(axis["categories"])) == len(axis["categories"])


def test_slacks_own_chart_as_a_table_has_its_units_in_the_header() -> None:
    message = monospaced(chart_message(a_chart(open_view(), Window.D20), OPEN_AT))
    head, first, *_more = message.blocks[1]["text"]["text"].strip("`").strip().splitlines()
    assert (["Session", "WGMI (%)", "BTC (%)"], ["Oct 20", "0.0", "0.0"]) == (cells(head), cells(first))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_a_simulated_chart_says_so_in_its_title_and_in_its_picture() -> None:
    message = chart_message(a_chart(open_view(simulated=True), Window.YTD), OPEN_AT)
    assert message.text.startswith("SIMULATED · ")
    assert message.blocks[1]["title"].startswith("SIMULATED · ")


def test_a_chart_that_cannot_be_drawn_says_why() -> None:
    begins = Reason.of(Code.WINDOW_BEFORE_HISTORY, session="2026-01-02", window="252d")
    not_measured = NotMeasured(window=Window.D252, reason=begins)
    not_drawn = ChartResult(view=open_view(), curve=not_measured)
    message = chart_message(not_drawn, OPEN_AT)
    assert chart_picture(not_drawn) is None
    why = "history starts on Jan 2, 2026, after the start of the 252-session window"
    assert f"No chart of WGMI over 252{NBSP}sessions: {why}." == message.text


def test_the_status_of_an_unmeasured_window_says_why() -> None:
    view = open_view()
    not_measured = NotMeasured(
        window=Window.D5, reason=Reason.of(Code.MISSING_PRICE, session="2026-11-10", reasons=["no WGMI close"])
    )
    live = view.live and replace(view.live, measurements={**view.live.measurements, Window.D5: not_measured})
    message = status_message(a_board(replace(view, live=live)), Window.D5, OPEN_AT)
    expected = f"WGMI and BTC: no spread over 5{NBSP}sessions. On Nov 10, 2026, no WGMI close. Data OK."
    assert expected == message.text

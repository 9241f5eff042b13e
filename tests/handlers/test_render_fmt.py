from datetime import UTC, date, datetime, timedelta

import pytest

from handlers.render import fmt, markup
from handlers.render.markup import NBSP
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.market.measure import Window
from services.market.metrics import CORRELATION, PERCENT, PP, ROBUST_Z, SIGMA, Unit


def spaced(text: str) -> str:
    """The text with ordinary spaces."""
    return text.replace(NBSP, " ")


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        pytest.param(0.084, "+8.4 pp", id="above"),
        pytest.param(-0.084, "−8.4 pp", id="below, with a real minus sign"),
        pytest.param(0.0004, "0.0 pp", id="rounds to nothing"),
        pytest.param(-0.0004, "0.0 pp", id="rounds to nothing from below"),
        pytest.param(12.3456, "+1,234.6 pp", id="thousands"),
    ],
)
def test_percentage_points_have_a_sign(fraction: float, expected: str) -> None:
    assert expected == spaced(fmt.pp(fraction))


def test_percents_have_a_sign() -> None:
    assert ["+3.1%", "−0.6%", "0.0%"] == [fmt.percent(value) for value in (0.031, -0.006, 0.0)]


@pytest.mark.parametrize(
    ("value", "unit", "metric_value", "threshold"),
    [
        pytest.param(0.0831, PP, "+8.3 pp", "8.31 pp", id="points"),
        pytest.param(0.6, PERCENT, "+60.0%", "60%", id="percent"),
        pytest.param(3.5, ROBUST_Z, "z +3.5", "z 3.5", id="z"),
        pytest.param(-2.25, SIGMA, "−2.2σ", "−2.25σ", id="sigma"),
        pytest.param(-0.204, CORRELATION, "−0.20", "−0.204", id="a level"),
    ],
)
def test_a_metric_is_formatted_in_its_unit(value: float, unit: Unit, metric_value: str, threshold: str) -> None:
    assert (metric_value, threshold) == (spaced(fmt.metric_value(value, unit)), spaced(fmt.threshold(value, unit)))


@pytest.mark.parametrize(
    ("dollars", "expected"),
    [
        pytest.param(67_310.4, "$67,310", id="bitcoin"),
        pytest.param(41.2, "$41.20", id="an ETF"),
        pytest.param(0.083412, "$0.08341", id="a coin of cents"),
    ],
)
def test_prices_have_as_many_digits_as_they_need(dollars: float, expected: str) -> None:
    assert expected == fmt.price(dollars)


def test_network_figures_have_their_units_or_are_unknown() -> None:
    assert ["1,012 EH/s", "unknown"] == [fmt.hashrate(1.0123e21), fmt.hashrate(None)]
    assert ["150.25 T", "unknown"] == [fmt.difficulty(150.25e12), fmt.difficulty(None)]


def test_a_leg_is_called_by_its_symbol() -> None:
    assert ["BTC", "WGMI"] == [fmt.name(Symbol("BTC")), fmt.name(Symbol("WGMI"))]


@pytest.mark.parametrize(
    ("spread", "expected"),
    [
        pytest.param(0.084, "8.4 pp ahead of BTC", id="ahead"),
        pytest.param(-0.084, "8.4 pp behind BTC", id="behind"),
        pytest.param(-0.0004, "level with BTC", id="level"),
    ],
)
def test_a_spread_is_ahead_behind_or_level(spread: float, expected: str) -> None:
    assert expected == spaced(fmt.spread_phrase(WGMI_BTC, spread))


def test_another_pair_is_compared_with_its_own_coin() -> None:
    pair = Pair(etf=Symbol("IREN"), crypto=Symbol("ETH"))
    assert "1.0 pp ahead of ETH" == spaced(fmt.spread_phrase(pair, 0.01))


@pytest.mark.parametrize(
    ("percentile", "phrase", "cell"),
    [
        pytest.param(97.4, "97th percentile", "97th", id="large"),
        pytest.param(99.8, "99th percentile", "99th", id="never rounded up to all"),
        pytest.param(100.0, "highest", "top", id="beyond all"),
        pytest.param(0.2, "1st percentile", "1st", id="nearly the smallest"),
        pytest.param(0.0, "lowest", "low", id="below all"),
    ],
)
def test_a_percentile_is_counted_from_the_lowest(percentile: float, phrase: str, cell: str) -> None:
    assert (phrase, cell) == (fmt.percentile_phrase(percentile), fmt.percentile_cell(percentile))


@pytest.mark.parametrize(
    ("percentile", "expected"),
    [
        pytest.param(100.0, "top", id="beyond all"),
        pytest.param(99.9, "99th", id="nearly beyond all"),
        pytest.param(0.0, "low", id="below all"),
        pytest.param(0.3, "1st", id="nearly below all"),
        pytest.param(52.0, "52nd", id="second"),
        pytest.param(93.0, "93rd", id="third"),
        pytest.param(11.0, "11th", id="eleventh"),
        pytest.param(12.0, "12th", id="twelfth"),
    ],
)
def test_a_percentile_cell_is_an_ordinal_below_100(percentile: float, expected: str) -> None:
    assert expected == fmt.percentile_cell(percentile)


def test_windows_are_formatted_as_adjectives_and_as_periods() -> None:
    assert ["1-session", "20-session", "year-to-date"] == [
        fmt.window(span) for span in (Window.D1, Window.D20, Window.YTD)
    ]
    assert ["over 1 session", "over 20 sessions", "this year"] == [
        spaced(fmt.over_window(span)) for span in (Window.D1, Window.D20, Window.YTD)
    ]


def test_a_year_to_date_that_has_ended_shows_its_year() -> None:
    """On 1 January, or with old prices, "this year" would be wrong."""
    assert ["over 20 sessions", "in 2025"] == [
        spaced(fmt.over_window(span, date(2025, 12, 31))) for span in (Window.D20, Window.YTD)
    ]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        pytest.param(timedelta(seconds=-3), "0 s", id="a clock that is a little behind"),
        pytest.param(timedelta(seconds=45), "45 s", id="seconds"),
        pytest.param(timedelta(minutes=3, seconds=59), "3 min", id="minutes"),
        pytest.param(timedelta(hours=2), "2 h", id="hours"),
        pytest.param(timedelta(hours=2, minutes=10), "2 h 10 min", id="hours and minutes"),
        pytest.param(timedelta(hours=47, minutes=59), "47 h 59 min", id="almost two days"),
        pytest.param(timedelta(days=3, hours=5, minutes=59), "3 days 5 h", id="days and hours"),
        pytest.param(timedelta(days=3, minutes=59), "3 days", id="days"),
    ],
)
def test_durations(span: timedelta, expected: str) -> None:
    assert expected == spaced(fmt.duration(span))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(datetime(2026, 11, 20, 20, 42, tzinfo=UTC), "Nov 20, 3:42 PM ET", id="winter time"),
        pytest.param(datetime(2026, 7, 7, 13, 30, tzinfo=UTC), "Jul 7, 9:30 AM ET", id="summer time"),
        pytest.param(datetime(2026, 11, 17, 1, 30, tzinfo=UTC), "Nov 16, 8:30 PM ET", id="another day in UTC"),
    ],
)
def test_times_are_in_the_zone_of_the_reader_and_in_new_york_where_slack_cannot(at: datetime, expected: str) -> None:
    seconds, time_of_day = int(at.timestamp()), expected.split(", ")[1]
    assert f"<!date^{seconds}^{{date_short_pretty}} at {{time}}|{expected}>" == fmt.instant(at)
    assert f"<!date^{seconds}^{{time}}|{time_of_day}>" == fmt.clock_time(at)
    assert (expected, time_of_day) == (fmt.plain_instant(at), fmt.plain_time(at))


def test_a_session_has_its_year_if_that_is_another_one() -> None:
    assert ["Tue Feb 8", "Feb 8, 2022"] == [fmt.day_in(date(2022, 2, 8), year) for year in (2022, 2026)]


def test_a_number_and_its_unit_stay_on_one_line() -> None:
    written = [fmt.pp(0.084), fmt.duration(timedelta(hours=2, minutes=10)), fmt.sessions(5)]
    assert ["+8.4\u00a0pp", "2\u00a0h 10\u00a0min", "5\u00a0sessions"] == written


def test_external_text_is_escaped() -> None:
    assert "&lt;!here&gt; &amp; co" == markup.escape("<!here> & co")
    assert "`1d &lt;8pp`" == markup.code("1d `<8pp")
    assert "```    &lt;```" == markup.code_block("``` <")

import struct
import zlib
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
from matplotlib.font_manager import get_font

from handlers.render.chart import curve_picture, replay_picture
from handlers.render.drawing import BOLD, FONTS, REGULAR, Font, axis_ticks, log_ticks, render_png
from handlers.render.markup import NBSP
from handlers.render.picture import (
    LINE_STYLES,
    THEMES,
    ColorRole,
    ColorScheme,
    FiringSpan,
    Level,
    Picture,
    Size,
    visible_indexes,
)
from services.market.align import Aligned
from services.market.chart_points import common_rows
from services.rules.chart_series import IndexedReturns, RuleEvent, indexed_returns_over, replayed_series
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import aligned_market, random_market, session_days
from tests.fakes.mempool import PAST

TITLE = "The spread of two legs"
WIDTHS = {Size.PHONE: 1_080, Size.DESKTOP: 1_200}


def a_picture(market: Aligned, *rules: str, simulated: bool = False) -> Picture:
    rows = common_rows(market)
    replays = replay(market, [parse_rule(rule) for rule in rules]).rules
    curve = indexed_returns_over(market, rows, [replayed_series(market, rows, rule_replay) for rule_replay in replays])
    return curve_picture(curve, TITLE, ["Session closes."], simulated=simulated)


def size(picture: bytes) -> tuple[int, int]:
    """Return width and height from a PNG's header."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def drawn_bytes(picture: bytes) -> int:
    """Return the length of the PNG after recompression, as a measure of how much is drawn."""
    return len(zlib.compress(picture))


def test_a_picture_shows_both_legs_indexed_to_100_and_their_returns() -> None:
    panel = a_picture(aligned_market([20.0, 22.0, 25.0], [50.0, 50.0, 40.0], first="2026-03-02")).panels[0]
    etf, crypto = panel.curves
    assert [100.0, 110.0, 125.0] == pytest.approx(list(etf.values))
    assert [100.0, 100.0, 80.0] == pytest.approx(list(crypto.values))
    assert ("WGMI\n+25.0%", "BTC\n−20.0%") == (etf.label, crypto.label)
    assert ("WGMI and BTC since Mar 2, 2026", "Rebased to 100 at the close on Mar 2, 2026") == (
        panel.title,
        panel.caption,
    )


@pytest.mark.parametrize(
    ("last", "caption"),
    [
        pytest.param(29.9, "Rebased to 100 at the close on Mar 2, 2026", id="within"),
        pytest.param(30.1, "Rebased to 100 at the close on Mar 2, 2026; log scale", id="beyond"),
    ],
)
def test_levels_that_differ_by_more_than_a_factor_of_3_are_on_a_log_scale(last: float, caption: str) -> None:
    market = aligned_market([10.0, last], [100.0, 100.0], first="2026-03-02")
    assert caption == a_picture(market).panels[0].caption


def test_the_panel_of_a_spread_is_never_on_a_log_scale() -> None:
    panel = a_picture(aligned_market([10.0, 11.0, 30.0], [100.0] * 3), "1d 8pp above").panels[1]
    assert "log" not in panel.caption


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (90, 310, [100, 150, 200, 300]),
        (45, 560, [50, 100, 200, 300, 500]),
        (8, 1_200, [10, 20, 50, 100, 200, 500, 1_000]),
        (2e-3, 3e7, [0.01, 1, 100, 1e4, 1e6]),
    ],
)
def test_a_log_scale_has_round_values(low: float, high: float, ticks: list[float]) -> None:
    assert ticks == pytest.approx(log_ticks(low, high))


def test_a_rules_panel_shows_its_metric_its_levels_and_when_it_was_firing() -> None:
    panel = a_picture(aligned_market([10.0, 11.0, 11.0], [100.0] * 3), "1d 8pp").panels[1]
    assert ("1-session spread, pp", f"Fires at ±8{NBSP}pp, clears at ±4.8{NBSP}pp") == (panel.title, panel.caption)
    assert (Level(fires=8.0, clears=4.8), Level(fires=-8.0, clears=-4.8)) == panel.levels
    assert (f"0.0{NBSP}pp", (FiringSpan(first=1, last=2),)) == (panel.curves[0].label, panel.firings)


@pytest.mark.parametrize(
    ("rule", "title", "levels"),
    [
        pytest.param("1d 8pp above", "1-session spread, pp", (Level(fires=8.0, clears=4.8),), id="above"),
        pytest.param("1d 8pp below", "1-session spread, pp", (Level(fires=-8.0, clears=-4.8),), id="below"),
        pytest.param(
            "1d z3", "1-session spread, robust z", (Level(fires=3, clears=1.8), Level(fires=-3, clears=-1.8)), id="z"
        ),
        pytest.param("drawdown 60%", "BTC drawdown, %", (Level(fires=60.0, clears=36.0),), id="drawdown"),
    ],
)
def test_levels_are_on_the_sides_of_the_rule_in_its_unit(rule: str, title: str, levels: tuple[Level, ...]) -> None:
    panel = a_picture(aligned_market([10.0, 10.1, 10.0], [100.0] * 3), rule).panels[1]
    assert (title, levels) == (panel.title, panel.levels)


def test_a_network_metric_is_in_percent() -> None:
    past = replace(PAST, retargets_at=PAST.retargets_at - np.timedelta64(200, "D"))
    market = replace(aligned_market([100.0] * 8, [100.0] * 6 + [80.0, 80.0]), network=past)
    panel = a_picture(market, "1d hashprice 15% below").panels[1]
    assert ("1-session hashprice, %", "0.0%") == (panel.title, panel.curves[0].label)
    assert (Level(fires=-15.0, clears=-9.0),) == panel.levels


def test_a_session_without_a_price_is_a_gap_and_is_in_the_alt_text() -> None:
    picture = a_picture(aligned_market([10.0, None, 11.0], [100.0] * 3), "1d 8pp")
    (etf, crypto), (spread,) = (panel.curves for panel in picture.panels)
    assert [100.0, nan, 110.0] == pytest.approx(list(etf.values), nan_ok=True)
    assert [100.0] * 3 == list(crypto.values)
    assert [nan] * 3 == pytest.approx(list(spread.values), nan_ok=True)
    assert f"1 of 3{NBSP}sessions has no price." in picture.alt
    assert "1-session spread: too little history." in picture.alt


def test_the_alt_text_has_the_numbers() -> None:
    picture = a_picture(aligned_market([10.0, 11.0, 11.0], [100.0] * 3, first="2026-03-02"), "1d 8pp")
    assert [
        f"{TITLE}.",
        "From the close of Mar 2, 2026 to Mar 4, 2026: WGMI +10.0%, BTC 0.0%, spread +10.0 pp.",
        "1-session spread at the end: 0.0 pp, range 0.0 pp to +10.0 pp.",
        "A rule fires at ±8 pp, clears at ±4.8 pp.",
        "Fired once on Mar 3, 2026.",
        "Session closes.",
    ] == picture.alt.replace(NBSP, " ").replace(". ", ".\n").splitlines()


FIRED, RESOLVED = Change.FIRING, Change.RESOLVED


@pytest.mark.parametrize(
    ("events", "spans"),
    [
        pytest.param([(1, FIRED), (3, RESOLVED)], [(0, 1)], id="began-before-the-chart"),
        pytest.param([(3, RESOLVED)], [(0, 1)], id="firing-not-known"),
        pytest.param([(4, FIRED)], [(2, 4)], id="still-firing"),
        pytest.param([(0, FIRED), (1, RESOLVED)], [], id="before-the-chart"),
        pytest.param([(3, FIRED), (3, RESOLVED)], [(1, 1)], id="within-a-session"),
        pytest.param([(3, FIRED), (5, RESOLVED), (4, FIRED), (6, RESOLVED)], [(1, 4)], id="two-alerts-overlap"),
        pytest.param([(2, FIRED), (3, RESOLVED), (5, FIRED), (6, RESOLVED)], [(0, 1), (3, 4)], id="one-after-another"),
    ],
)
def test_a_chart_shows_when_at_least_one_alert_was_firing(
    events: list[tuple[int, Change]], spans: list[tuple[int, int]]
) -> None:
    """The chart begins with the third of seven sessions."""
    market = aligned_market([10.0] * 7, [100.0] * 7)
    curve = a_curve(market, [RuleEvent(session=market.sessions[at].item(), change=change) for at, change in events])
    panel = curve_picture(curve, TITLE, [], simulated=False).panels[1]
    assert spans == [(firing.first, firing.last) for firing in panel.firings]


def a_curve(market: Aligned, events: list[RuleEvent]) -> IndexedReturns:
    """Return the sessions from the third on, with the events of a rule."""
    rows = common_rows(market, market.sessions[2].item())
    series = replayed_series(market, rows, replay(market, [parse_rule("1d 8pp")]).rules[0])
    return indexed_returns_over(market, rows, [replace(series, events=tuple(events))])


def test_a_firing_before_the_chart_is_not_in_its_alt_text() -> None:
    market = aligned_market([10.0] * 7, [100.0] * 7)
    fired = RuleEvent(session=market.sessions[1].item(), change=FIRED)
    assert "Fired" not in curve_picture(a_curve(market, [fired]), TITLE, [], simulated=False).alt


def test_many_values_are_thinned_to_what_pixels_show_and_extremes_and_gaps_stay() -> None:
    values = [float(index % 7) for index in range(1_000)]
    values[501], values[502], values[777] = 99.0, -99.0, nan
    kept = visible_indexes(values, 50)
    assert {0, 501, 502, 777, 999} <= set(kept)
    assert kept == sorted(kept)
    assert len(kept) <= 5 * 50


def test_few_values_are_all_drawn() -> None:
    assert list(range(50)) == visible_indexes([1.0] * 50, 50)


def test_a_column_without_any_value_is_a_gap() -> None:
    assert [0, 2] == visible_indexes([nan, nan, 5.0, 5.0], 2)[:2]


@pytest.mark.parametrize("path", [REGULAR, BOLD])
def test_the_bundled_font_has_tabular_figures_and_the_signs_that_numbers_need(path: Path) -> None:
    assert 1 == len({round(Font(path=path, size=33).width(sign * 20)) for sign in "0123456789"})
    glyphs = get_font(path).get_charmap()
    assert [] == [sign for sign in "±·–“”…×σβ²≥%$−" if ord(sign) not in glyphs]
    assert "SIL OPEN FONT LICENSE" in (FONTS / "LICENSE.txt").read_text(encoding="utf-8")


def test_a_line_is_wrapped_at_the_width_and_a_number_stays_with_its_unit() -> None:
    font = Font(path=REGULAR, size=20)
    width = font.width("WGMI is now 8.4")
    lines = font.wrap(f"WGMI is now 8.4{NBSP}pp ahead of BTC", width)
    assert ["WGMI is now", f"8.4{NBSP}pp ahead of", "BTC"] == lines
    assert all(font.width(line) <= width for line in lines)


def test_a_replay_picture_has_a_panel_per_rule_over_its_period() -> None:
    market = random_market(60)
    rules = [parse_rule("1d 8pp"), parse_rule("5d 15pp")]
    first, last = market.sessions[[10, 50]].tolist()
    picture = replay_picture(market, replay(market, rules, first=first, last=last))
    assert (3, first, last) == (len(picture.panels), picture.days[0], picture.days[-1])


@pytest.mark.parametrize(
    "market",
    [
        pytest.param(aligned_market([10.0], [100.0]), id="one-session"),
        pytest.param(aligned_market([10.0] * 5, [100.0] * 5), id="nothing-moves"),
        pytest.param(aligned_market([1e-6, 5e9, 2e12], [1e9, 1.0, 1e-9]), id="very-large"),
        pytest.param(aligned_market([10.0, None, 11.0, None, 9.0], [100.0] * 5), id="single-sessions-between-gaps"),
        pytest.param(random_market(1_000), id="four-years"),
    ],
)
@pytest.mark.parametrize("shown", Size)
@pytest.mark.parametrize("scheme", ColorScheme)
def test_any_market_is_drawn_in_both_widths(market: Aligned, scheme: ColorScheme, shown: Size) -> None:
    picture = render_png(a_picture(market, "1d 8pp", "5d 15pp"), scheme, shown)
    width, height = size(picture)
    assert WIDTHS[shown] == width
    assert 1_000 < height < 2_000
    assert drawn_bytes(picture) > 10_000


def test_light_dark_and_simulated_pictures_differ() -> None:
    market = random_market(30)
    plain, stamped = a_picture(market), a_picture(market, simulated=True)
    assert 3 == len(
        {
            render_png(plain, ColorScheme.LIGHT),
            render_png(plain, ColorScheme.DARK),
            render_png(stamped, ColorScheme.LIGHT),
        }
    )


def test_drawing_is_deterministic() -> None:
    assert render_png(a_picture(random_market(30)), ColorScheme.LIGHT) == render_png(
        a_picture(random_market(30)), ColorScheme.LIGHT
    )


def test_a_long_footer_adds_height_and_not_width() -> None:
    picture = a_picture(random_market(30))
    short, long = (render_png(replace(picture, footer=text), ColorScheme.LIGHT) for text in ("WGMI", "WGMI " * 90))
    assert (1_200, True) == (size(long)[0], size(long)[1] > size(short)[1])


def test_the_headline_is_left_to_the_message() -> None:
    picture = a_picture(random_market(30))
    assert render_png(picture, ColorScheme.LIGHT) == render_png(replace(picture, title="Other"), ColorScheme.LIGHT)


def test_markup_in_a_footer_is_drawn_as_text() -> None:
    assert size(render_png(replace(a_picture(random_market(5)), footer="$\\frac{$ <b>"), ColorScheme.LIGHT))


@pytest.mark.parametrize("scheme", ColorScheme)
def test_curves_differ_in_style_and_contrast_with_the_background(scheme: ColorScheme) -> None:
    theme = THEMES[scheme]
    assert len({str(LINE_STYLES[role]) for role in (ColorRole.ETF, ColorRole.CRYPTO, ColorRole.PROXY)}) == 3
    for color in (*theme.curves.values(), theme.text, theme.muted, theme.threshold):
        assert contrast(color, theme.background) >= (4.5 if color in {theme.text, theme.muted} else 3)


def contrast(rule_replay: str, other: str) -> float:
    """Source: WCAG 2.2, contrast ratio."""
    darker, lighter = sorted(map(luminance, (rule_replay, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    ("sessions", "phone", "desktop"),
    [
        pytest.param(1, "Mar 3 2025", "Mar 3 2025", id="one"),
        pytest.param(2, "Mar 3 2025, Mar 4 2025", "Mar 3 2025, Mar 4 2025", id="two"),
        pytest.param(
            4, "Mar 3 2025, Mar 4, Mar 5, Mar 6 2025", "Mar 3 2025, Mar 4, Mar 5, Mar 6 2025", id="all-of-a-few"
        ),
        pytest.param(
            20,
            "Mar 3 2025, Mar 10, Mar 17, Mar 21, Mar 28 2025",
            "Mar 3 2025, Mar 5, Mar 7, Mar 11, Mar 13, Mar 17, Mar 20, Mar 24, Mar 26, Mar 28 2025",
            id="weeks",
        ),
        pytest.param(60, "Mar 3 2025, Apr, May, May 27 2025", "Mar 3 2025, Apr, May, May 27 2025", id="months"),
        pytest.param(
            252,
            "Mar 3 2025, Jul, Oct, Mar 3 2026",
            "Mar 3 2025, May, Jun, Jul, Aug, Sep, Oct, Nov, Dec, Jan 2026, Mar 3 2026",
            id="a-year",
        ),
        pytest.param(
            600, "Mar 3 2025, Jan 2026, Jul 22 2027", "Mar 3 2025, Jan 2026, Jan 2027, Jul 22 2027", id="years"
        ),
    ],
)
def test_dates_fit_the_width_and_the_ends_have_their_year(sessions: int, phone: str, desktop: str) -> None:
    days = session_days("2025-03-03", sessions)
    shown = [", ".join(axis_ticks(days, share).values()).replace("\n", " ") for share in (0.14, 0.055)]
    assert [phone, desktop] == shown

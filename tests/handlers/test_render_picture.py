import struct
import zlib
from dataclasses import replace
from math import nan

import numpy as np
import pytest

from handlers.render.chart import curve_picture, replay_picture
from handlers.render.drawing import axis_ticks, render_png
from handlers.render.picture import LINE_STYLES, THEMES, ColorRole, ColorScheme, Level, Picture
from services.market.align import Aligned
from services.market.chart_points import common_rows
from services.rules.chart_series import indexed_returns_over, replayed_series
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import aligned_market, random_market, session_days
from tests.fakes.mempool import PAST

TITLE = "The spread of two legs"


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


def test_a_picture_shows_both_legs_indexed_to_100_and_their_last_values() -> None:
    etf, crypto = a_picture(aligned_market([20.0, 22.0, 25.0], [50.0, 50.0, 40.0])).panels[0].curves
    assert [100.0, 110.0, 125.0] == pytest.approx(list(etf.values))
    assert [100.0, 100.0, 80.0] == pytest.approx(list(crypto.values))
    assert ("WGMI\n125.0", "Bitcoin\n80.0") == (etf.label, crypto.label)


def test_a_rules_panel_shows_its_metric_levels_firings_and_resolutions() -> None:
    panel = a_picture(aligned_market([10.0, 11.0, 11.0], [100.0] * 3), "1d 8pp").panels[1]
    assert ("1-day spread, pp", "fires at ±8 pp, clears at ±4.8 pp  ▲\xa0fired  ○\xa0resolved") == (
        panel.title,
        panel.subtitle,
    )
    assert (Level(fires=8.0, clears=4.8), Level(fires=-8.0, clears=-4.8)) == panel.levels
    assert [(1, pytest.approx(10.0), Change.FIRING), (2, 0.0, Change.RESOLVED)] == [
        (spot.index, spot.value, spot.change) for spot in panel.markers
    ]


@pytest.mark.parametrize(
    ("rule", "title", "levels"),
    [
        pytest.param("1d 8pp above", "1-day spread, pp", (Level(fires=8.0, clears=4.8),), id="above"),
        pytest.param("1d 8pp below", "1-day spread, pp", (Level(fires=-8.0, clears=-4.8),), id="below"),
        pytest.param(
            "1d z3", "1-day spread, robust z", (Level(fires=3, clears=1.8), Level(fires=-3, clears=-1.8)), id="z"
        ),
        pytest.param("drawdown 60%", "Bitcoin below its high, %", (Level(fires=60.0, clears=36.0),), id="drawdown"),
    ],
)
def test_levels_are_on_the_sides_of_the_rule_in_its_unit(rule: str, title: str, levels: tuple[Level, ...]) -> None:
    panel = a_picture(aligned_market([10.0, 10.1, 10.0], [100.0] * 3), rule).panels[1]
    assert (title, levels) == (panel.title, panel.levels)


def test_a_network_metric_is_in_percent() -> None:
    past = replace(PAST, retargets_at=PAST.retargets_at - np.timedelta64(200, "D"))
    market = replace(aligned_market([100.0] * 8, [100.0] * 6 + [80.0, 80.0]), network=past)
    panel = a_picture(market, "1d hashprice 15% below").panels[1]
    assert ("1-day hashprice, %", "0.0%") == (panel.title, panel.curves[0].label)
    assert (Level(fires=-15.0, clears=-9.0),) == panel.levels


def test_a_session_without_a_price_is_a_gap_and_is_in_the_alt_text() -> None:
    picture = a_picture(aligned_market([10.0, None, 11.0], [100.0] * 3), "1d 8pp")
    (etf, crypto), (spread,) = (panel.curves for panel in picture.panels)
    assert [100.0, nan, 110.0] == pytest.approx(list(etf.values), nan_ok=True)
    assert [100.0] * 3 == list(crypto.values)
    assert [nan] * 3 == pytest.approx(list(spread.values), nan_ok=True)
    assert "1 of 3 sessions has a price missing: a gap." in picture.alt
    assert "1-day spread: too little history." in picture.alt


def test_the_alt_text_has_the_numbers() -> None:
    picture = a_picture(aligned_market([10.0, 11.0, 11.0], [100.0] * 3, first="2026-03-02"), "1d 8pp")
    assert [
        f"{TITLE}.",
        "From the close of 2 Mar 2026 to 4 Mar 2026: WGMI +10.0%, bitcoin 0.0%, +10.0 pp apart.",
        "1-day spread now 0.0 pp, between 0.0 pp and +10.0 pp.",
        "A rule fires at ±8 pp, clears at ±4.8 pp.",
        "Fired once on 3 Mar 2026.",
        "Session closes.",
    ] == picture.alt.replace(". ", ".\n").splitlines()


def test_markers_on_other_days_are_omitted() -> None:
    market = aligned_market([10.0, 11.0, 11.0, 11.0], [100.0] * 4)
    rows = common_rows(market, market.sessions[3].item())
    curve = indexed_returns_over(
        market, rows, [replayed_series(market, rows, replay(market, [parse_rule("1d 8pp")]).rules[0])]
    )
    assert () == curve_picture(curve, TITLE, [], simulated=False).panels[1].markers


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
@pytest.mark.parametrize("scheme", ColorScheme)
def test_any_market_is_drawn_1080_pixels_wide(market: Aligned, scheme: ColorScheme) -> None:
    picture = render_png(a_picture(market, "1d 8pp", "5d 15pp"), scheme)
    width, height = size(picture)
    assert 1_080 == width
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


def test_a_long_title_adds_height_and_not_width() -> None:
    picture = a_picture(random_market(30))
    short, long = (render_png(replace(picture, title=title), ColorScheme.LIGHT) for title in ("WGMI", "WGMI " * 30))
    assert (1_080, True) == (size(long)[0], size(long)[1] > size(short)[1])


def test_markup_in_a_title_is_drawn_as_text() -> None:
    assert size(render_png(replace(a_picture(random_market(5)), title="$\\frac{$ <b>"), ColorScheme.LIGHT))


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
    ("sessions", "labels"),
    [
        pytest.param(1, ["3 Mar"], id="one"),
        pytest.param(2, ["3 Mar", "4 Mar"], id="two"),
        pytest.param(20, ["10 Mar", "17 Mar", "24 Mar"], id="weeks"),
        pytest.param(60, ["17 Mar", "1 Apr", "15 Apr", "1 May", "15 May"], id="half-months"),
        pytest.param(100, ["Apr '25", "May '25", "Jun '25", "Jul '25"], id="months"),
        pytest.param(252, ["Apr '25", "Jul '25", "Oct '25", "Jan '26"], id="a-year"),
        pytest.param(600, ["Jan '26", "Jan '27"], id="years"),
    ],
)
def test_ticks_fit_the_width(sessions: int, labels: list[str]) -> None:
    assert labels == list(axis_ticks(session_days("2025-03-03", sessions)).values())

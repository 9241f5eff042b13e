from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from math import nan

import numpy as np
import pytest

from handlers.render.chart import curve_picture, replay_picture
from handlers.render.drawing import png
from handlers.render.picture import STYLES, THEMES, Level, Picture, Role, Scheme, ticks
from services.market.align import Aligned
from services.rules.chart_series import between, replayed_series, stretch
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.market import aligned_market, random_market, session_days
from tests.fakes.network import PAST

LINES = "The spread of two legs"


def drawn(market: Aligned, *rules: str, simulated: bool = False) -> Picture:
    rows = between(market)
    found = replay(market, [parse_rule(rule) for rule in rules]).rules
    curve = stretch(market, rows, [replayed_series(market, rows, one) for one in found])
    return curve_picture(curve, LINES, ["Session closes."], simulated=simulated)


def size(picture: bytes) -> tuple[int, int]:
    """The width and the height that a PNG says it has."""
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def shades(picture: bytes) -> int:
    """How much there is to be seen: the bytes of its lines, squeezed once more."""
    return len(zlib.compress(picture))


def test_a_picture_has_both_legs_from_a_hundred_on_and_labels_their_last_values() -> None:
    etf, crypto = drawn(aligned_market([20.0, 22.0, 25.0], [50.0, 50.0, 40.0])).panels[0].lines
    assert [100.0, 110.0, 125.0] == pytest.approx(list(etf.values))
    assert [100.0, 100.0, 80.0] == pytest.approx(list(crypto.values))
    assert ("WGMI\n125.0", "Bitcoin\n80.0") == (etf.label, crypto.label)


def test_what_a_rule_watches_stands_beneath_with_its_levels_and_where_it_fired_and_resolved() -> None:
    beneath = drawn(aligned_market([10.0, 11.0, 11.0], [100.0] * 3), "1d 8pp").panels[1]
    assert ("1-day spread, pp", "fires at ±8 pp, clears at ±4.8 pp  ▲\xa0fired  ○\xa0resolved") == (
        beneath.title,
        beneath.small,
    )
    assert (Level(fires=8.0, clears=4.8), Level(fires=-8.0, clears=-4.8)) == beneath.levels
    assert [(1, pytest.approx(10.0), Change.FIRING), (2, 0.0, Change.RESOLVED)] == [
        (spot.at, spot.value, spot.to) for spot in beneath.spots
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
def test_levels_stand_on_the_sides_of_a_rule_in_its_own_unit(rule: str, title: str, levels: tuple[Level, ...]) -> None:
    beneath = drawn(aligned_market([10.0, 10.1, 10.0], [100.0] * 3), rule).panels[1]
    assert (title, levels) == (beneath.title, beneath.levels)


def test_a_change_of_the_network_is_in_percent() -> None:
    past = replace(PAST, retargets_at=PAST.retargets_at - np.timedelta64(200, "D"))
    market = replace(aligned_market([100.0] * 8, [100.0] * 6 + [80.0, 80.0]), network=past)
    beneath = drawn(market, "1d hashprice 15% below").panels[1]
    assert ("1-day hashprice, %", "0.0%") == (beneath.title, beneath.lines[0].label)
    assert (Level(fires=-15.0, clears=-9.0),) == beneath.levels


def test_a_session_without_a_price_is_a_gap_that_the_words_tell_of() -> None:
    picture = drawn(aligned_market([10.0, None, 11.0], [100.0] * 3), "1d 8pp")
    (etf, crypto), (spread,) = (panel.lines for panel in picture.panels)
    assert [100.0, nan, 110.0] == pytest.approx(list(etf.values), nan_ok=True)
    assert [100.0] * 3 == list(crypto.values)
    assert [nan] * 3 == pytest.approx(list(spread.values), nan_ok=True)
    assert "1 of 3 sessions has a price missing: a gap." in picture.alt
    assert "1-day spread: too little history." in picture.alt


def test_the_words_tell_the_numbers() -> None:
    picture = drawn(aligned_market([10.0, 11.0, 11.0], [100.0] * 3, first="2026-03-02"), "1d 8pp")
    assert [
        f"{LINES}.",
        "From the close of 2 Mar 2026 to 4 Mar 2026: WGMI +10.0%, bitcoin 0.0%, +10.0 pp apart.",
        "1-day spread now 0.0 pp, between 0.0 pp and +10.0 pp.",
        "A rule fires at ±8 pp, clears at ±4.8 pp.",
        "Fired once on 3 Mar 2026.",
        "Session closes.",
    ] == picture.alt.replace(". ", ".\n").splitlines()


def test_the_marks_of_other_days_are_left_out() -> None:
    market = aligned_market([10.0, 11.0, 11.0, 11.0], [100.0] * 4)
    rows = between(market, market.sessions[3].item())
    curve = stretch(market, rows, [replayed_series(market, rows, replay(market, [parse_rule("1d 8pp")]).rules[0])])
    assert () == curve_picture(curve, LINES, [], simulated=False).panels[1].spots


def test_a_replay_has_a_panel_for_each_rule_between_its_own_sessions() -> None:
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
@pytest.mark.parametrize("scheme", Scheme)
def test_anything_can_be_drawn_as_wide_as_three_times_a_phone(market: Aligned, scheme: Scheme) -> None:
    picture = png(drawn(market, "1d 8pp", "5d 15pp"), scheme)
    width, height = size(picture)
    assert 1_080 == width
    assert 1_000 < height < 2_000
    assert shades(picture) > 10_000


def test_light_is_not_dark_and_simulated_is_stamped() -> None:
    market = random_market(30)
    plain, stamped = drawn(market), drawn(market, simulated=True)
    assert 3 == len({png(plain, Scheme.LIGHT), png(plain, Scheme.DARK), png(stamped, Scheme.LIGHT)})


def test_the_same_content_is_the_same_drawing() -> None:
    assert png(drawn(random_market(30)), Scheme.LIGHT) == png(drawn(random_market(30)), Scheme.LIGHT)


def test_a_long_title_takes_more_room_and_not_more_width() -> None:
    picture = drawn(random_market(30))
    short, long = (png(replace(picture, title=title), Scheme.LIGHT) for title in ("WGMI", "WGMI " * 30))
    assert (1_080, True) == (size(long)[0], size(long)[1] > size(short)[1])


def test_markup_in_a_title_is_only_text() -> None:
    assert size(png(replace(drawn(random_market(5)), title="$\\frac{$ <b>"), Scheme.LIGHT))


@pytest.mark.parametrize("scheme", Scheme)
def test_lines_of_one_panel_differ_in_style_and_stand_out_from_the_ground(scheme: Scheme) -> None:
    theme = THEMES[scheme]
    assert len({str(STYLES[role]) for role in (Role.ETF, Role.CRYPTO, Role.PROXY)}) == 3
    for color in (*theme.lines.values(), theme.ink, theme.muted, theme.alarm):
        assert contrast(color, theme.ground) >= (4.5 if color in {theme.ink, theme.muted} else 3)


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, contrast ratio."""
    darker, lighter = sorted(map(luminance, (one, other)))
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
        pytest.param(20, ["3 Mar", "10 Mar", "17 Mar", "21 Mar", "28 Mar"], id="weeks"),
        pytest.param(100, ["Apr 2025", "May 2025", "Jun 2025", "Jul 2025"], id="months"),
        pytest.param(252, ["Apr 2025", "Jul 2025", "Oct 2025", "Jan 2026"], id="a-year"),
        pytest.param(600, ["2026", "2027"], id="years"),
    ],
)
def test_days_are_named_as_far_apart_as_there_is_room(sessions: int, labels: list[str]) -> None:
    assert labels == [tick.label for tick in ticks(session_days("2025-03-03", sessions))]

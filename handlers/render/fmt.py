"""Numbers, times and names as people read them; nothing else in the app formats any."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from handlers.render.markup import MINUS, escape
from services.core.prices import Pair, Symbol
from services.core.statistics import UNUSUAL_SESSIONS
from services.market.measure import Unit, Window

NEW_YORK = ZoneInfo("America/New_York")

NOTHING = "–"  # stands in an empty table cell
ALL = 100.0
WHOLE_DOLLARS = 1_000
MILLION, TERA, EXA = 1e6, 1e12, 1e18
MINUTE, HOUR, DAY = 60, 3_600, 86_400
LONG = 2 * DAY  # from here on hours no longer matter
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def pp(fraction: float) -> str:
    """Write a difference of returns: 0.084 is `+8.4 pp`."""
    return f"{signed(100 * fraction)} pp"


def percent(fraction: float) -> str:
    """Write a return: -0.031 is `−3.1%`."""
    return f"{signed(100 * fraction)}%"


def signed(number: float) -> str:
    """Write one decimal with its sign; what rounds to zero has none."""
    rounded = round(number, 1)
    sign = "+" if rounded > 0 else MINUS if rounded < 0 else ""
    return f"{sign}{size(rounded)}"


def decimal(number: float) -> str:
    """Write one decimal, with a sign only where it is negative."""
    return signed(number).removeprefix("+")


def ratio(number: float) -> str:
    """Write two decimals, with a sign only where it is negative: a beta of -0.2 is `−0.20`."""
    rounded = round(number, 2)
    return f"{MINUS if rounded < 0 else ''}{abs(rounded):.2f}"


def size(number: float) -> str:
    """Write one decimal without a sign."""
    return f"{abs(number):,.1f}"


def reading(value: float, unit: Unit) -> str:
    """Write a metric's value in its unit."""
    match unit:
        case Unit.PP:
            return pp(value)
        case Unit.PERCENT:
            return percent(value)
        case Unit.SIGMA:
            return f"z {signed(value)}"
        case _:
            assert_never(unit)


def threshold(value: float, unit: Unit) -> str:
    """Write a threshold in its unit, with no more digits than were typed: 0.08 is `8 pp`."""
    match unit:
        case Unit.PP:
            return f"{100 * value:.6g} pp"
        case Unit.PERCENT:
            return f"{100 * value:.6g}%"
        case Unit.SIGMA:
            return f"z {value:.6g}"
        case _:
            assert_never(unit)


def price(dollars: float) -> str:
    """Write a price: cents below a thousand dollars, four digits below one."""
    if dollars >= WHOLE_DOLLARS:
        return f"${dollars:,.0f}"
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4g}"


def hashrate(hashes: float | None) -> str:
    """Write hashes a second: 1.012e21 is `1,012 EH/s`; what is not known is `unknown`."""
    return "unknown" if hashes is None else f"{hashes / EXA:,.0f} EH/s"


def difficulty(units: float | None) -> str:
    """Write a difficulty: 150e12 is `150.00 T`; what is not known is `unknown`."""
    return "unknown" if units is None else f"{units / TERA:,.2f} T"


def name(symbol: Symbol) -> str:
    """Name a leg: bitcoin by its name, any other by its symbol."""
    return "bitcoin" if symbol == "BTC" else escape(symbol)


def title(symbol: Symbol) -> str:
    """Name a leg at the start of a line."""
    return "Bitcoin" if symbol == "BTC" else escape(symbol)


def stands(pair: Pair, spread: float) -> str:
    """Say where the ETF stands: `8.4 pp above bitcoin`."""
    points = size(100 * spread)
    if points == size(0):
        return f"level with {name(pair.crypto)}"
    return f"{points} pp {'above' if spread > 0 else 'below'} {name(pair.crypto)}"


def window(span: Window) -> str:
    """Write a window as an adjective: `5-day`."""
    return "year-to-date" if span is Window.YTD else f"{span.value.removesuffix('d')}-day"


def over(span: Window, end: date | None = None) -> str:
    """Write a window as a stretch of time: `over 5 days`, `in 2026` for a year to date that ends on a day of it."""
    if span is Window.YTD:
        return f"in {end.year}" if end else "this year"
    count = span.value.removesuffix("d")
    return f"over {count} day{'' if count == '1' else 's'}"


def unusual(percentile: float, *, above: bool) -> str:
    """Say how far out a spread lies, seen from the side that it is on: `larger than 97% of the last 252 sessions`."""
    beyond = share(percentile if above else ALL - percentile)
    return f"{'larger' if above else 'lower'} than {beyond} of the last {UNUSUAL_SESSIONS} sessions"


def share(percent: float) -> str:
    """Write how many of a hundred, cut off to a whole one; all and none are those alone: 99.7 is `99%`."""
    return "all" if percent >= ALL else "none" if percent <= 0 else f"{max(1, int(percent))}%"


def rank(percentile: float) -> str:
    """Write a percentile for a table cell: whole, and in words where it lies outside everything before."""
    if percentile >= ALL:
        return "highest"
    if percentile <= 0:
        return "lowest"
    return ordinal(min(99, max(1, int(percentile))))


def ordinal(number: int) -> str:
    """Write a place in a row: `1st`, `12th`, `23rd`."""
    return f"{number}{_ORDINALS.get(number % 10, 'th') if number % 100 // 10 != 1 else 'th'}"


def sessions(count: float) -> str:
    """Count sessions: `1 session`, `2.5 sessions`."""
    return f"{count:,g} session{'' if count == 1 else 's'}"


def duration(span: timedelta) -> str:
    """Write a length of time or an age: `45 s`, `3 min`, `2 h 10 min`, `3 days`."""
    seconds = int(span.total_seconds())
    if seconds < MINUTE:
        return f"{max(0, seconds)} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < LONG:
        minutes = seconds % HOUR // MINUTE
        return f"{seconds // HOUR} h {minutes} min" if minutes else f"{seconds // HOUR} h"
    return f"{seconds // DAY} days"


def hour(at: datetime) -> str:
    """Write an instant within today: `15:42 New York (20:42 UTC)`."""
    return f"{at.astimezone(NEW_YORK):%H:%M} New York ({at:%H:%M} UTC)"


def moment(at: datetime) -> str:
    """Write an instant: `Fri 20 Nov 15:42 New York`."""
    local = at.astimezone(NEW_YORK)
    return f"{day(local)} {local:%H:%M} New York"


def moment_utc(at: datetime) -> str:
    """Write an instant with its UTC time: `Fri 20 Nov 15:42 New York (20:42 UTC)`."""
    return f"{moment(at)} ({at:%H:%M} UTC)"


def full_moment(at: datetime) -> str:
    """Write an instant of any year with its UTC time: `Fri 20 Nov 2026 15:42 New York (20:42 UTC)`."""
    local = at.astimezone(NEW_YORK)
    return f"{local:%a} {full_day(local)} {local:%H:%M} New York ({at:%H:%M} UTC)"


def day(on: date) -> str:
    """Write a date of these weeks: `Fri 20 Nov`."""
    return f"{on:%a} {on.day} {on:%b}"


def short_day(on: date) -> str:
    """Write a date without its weekday, with two digits of its year: `20 Nov 26`."""
    return f"{on.day} {on:%b} {on:%y}"


def clock(at: datetime) -> str:
    """Write a time of day in New York: `15:42`."""
    return f"{at.astimezone(NEW_YORK):%H:%M}"


def full_day(on: date) -> str:
    """Write a date of any year: `20 Nov 2026`."""
    return f"{on.day} {on:%b} {on.year}"


def index(level: float) -> str:
    """Write a level of something that began at 100: `95.6`, `12,346`, `1.2e+09`."""
    if abs(level) >= MILLION:
        return f"{level:.1e}"
    return f"{level:,.1f}" if abs(level) < WHOLE_DOLLARS else f"{level:,.0f}"

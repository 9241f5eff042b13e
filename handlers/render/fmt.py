"""Formatting of numbers, times and names; nothing else in the app formats them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from handlers.render.markup import MINUS, escape
from services.core.prices import Pair, Symbol
from services.core.statistics import LOOKBACK_SESSIONS
from services.core.text import counted
from services.market.measure import Correlation, Window
from services.market.metrics import Unit

NEW_YORK = ZoneInfo("America/New_York")

NO_VALUE = "–"  # in an empty table cell
BLOCK_BARS, NO_BAR = "▁▂▃▄▅▆▇█", "·"
PERCENT_MAX = 100.0
MIN_P, WHOLE_P = 0.001, 0.01  # a smaller p-value is not written out; from the second one on, two decimals suffice
WHOLE_DOLLARS = 1_000
TEN = 10
MILLION, TERA, EXA = 1e6, 1e12, 1e18
MINUTE, HOUR, DAY = 60, 3_600, 86_400
DAYS_FROM = 2 * DAY  # from here on, days and hours are shown
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


def pp(fraction: float) -> str:
    """Return a difference of returns in percentage points: 0.084 is `+8.4 pp`."""
    return f"{signed(100 * fraction)} pp"


def pp_with_error(fraction: float, error: float | None) -> str:
    """Return a difference of returns with its standard error if known: `+8.4 pp ± 0.5`."""
    return pp(fraction) if error is None else f"{pp(fraction)} {pp_error(error)}"


def pp_error(error: float | None) -> str:
    """Return the standard error of a difference of returns for a table cell: `± 0.5`."""
    return NO_VALUE if error is None else f"± {unsigned(100 * error)}"


def percent(fraction: float) -> str:
    """Return a return in percent: -0.031 is `−3.1%`."""
    return f"{signed(100 * fraction)}%"


def signed(number: float) -> str:
    """Return one decimal with its sign; what rounds to zero has none."""
    rounded = round(number, 1)
    sign = "+" if rounded > 0 else MINUS if rounded < 0 else ""
    return f"{sign}{unsigned(rounded)}"


def decimal(number: float) -> str:
    """Return one decimal, with a sign only if it is negative."""
    return signed(number).removeprefix("+")


def ratio(number: float) -> str:
    """Return two decimals, with a sign only if negative: a beta of -0.2 is `−0.20`."""
    rounded = round(number, 2)
    return f"{MINUS if rounded < 0 else ''}{abs(rounded):.2f}"


def beta(value: float, error: float | None) -> str:
    """Return a beta with its standard error if known: `β *1.37* ± 0.12`."""
    return f"β *{ratio(value)}*{'' if error is None else f' ± {ratio(error)}'}"


def correlation(value: Correlation) -> str:
    """Return a correlation with its interval and R²: `correlation 0.60 (90% interval 0.45 to 0.72), R² 0.37`."""
    low, high = value.interval
    return f"correlation {ratio(value.value)} (90% interval {ratio(low)} to {ratio(high)}), R² {ratio(value.r2)}"


def p_value(p: float) -> str:
    """Return a p-value: `p = 0.04`, with three decimals below 0.01."""
    if p < MIN_P:
        return f"p below {MIN_P}"
    return f"p = {p:.2f}" if p >= WHOLE_P else f"p = {p:.3f}"


def unsigned(number: float) -> str:
    """Return one decimal without a sign."""
    return f"{abs(number):,.1f}"


def metric_value(value: float, unit: Unit) -> str:
    """Return a metric's value in its unit; a level has two decimals, and no sign if positive."""
    return unit.written.format(ratio(value) if unit.is_level else signed(unit.scale * value))


def unsigned_value(value: float, unit: Unit) -> str:
    """Return a metric's value in its unit, without its sign; a level keeps it."""
    return unit.written.format(ratio(value) if unit.is_level else unsigned(unit.scale * value))


def threshold(value: float, unit: Unit) -> str:
    """Return a threshold in its unit, with no more digits than were typed: 0.08 is `8 pp`."""
    return unit.written.format(f"{unit.scale * value:.6g}")


def price(dollars: float) -> str:
    """Return a price in dollars: cents below $1,000, four significant digits below $1."""
    if dollars >= WHOLE_DOLLARS:
        return f"${dollars:,.0f}"
    return f"${dollars:.2f}" if dollars >= 1 else f"${dollars:.4g}"


def hashrate(hashes: float | None) -> str:
    """Return hashes per second: 1.012e21 is `1,012 EH/s`; None is `unknown`."""
    return "unknown" if hashes is None else f"{hashes / EXA:,.0f} EH/s"


def difficulty(units: float | None) -> str:
    """Return a difficulty: 150e12 is `150.00 T`; None is `unknown`."""
    return "unknown" if units is None else f"{units / TERA:,.2f} T"


def gigawatts(power: float) -> str:
    """Return a power in gigawatts: `15.3 GW`."""
    return f"{power:,.1f} GW"


def terawatt_hours(energy: float) -> str:
    """Return an energy in terawatt hours: `134 TWh`; one decimal below 10."""
    return f"{energy:,.0f} TWh" if energy >= TEN else f"{energy:.1f} TWh"


def efficiency(joules: float) -> str:
    """Return a machine's efficiency: `21.5 J/TH`."""
    return f"{joules:,.1f} J/TH"


def electricity(dollars: float) -> str:
    """Return a price of electricity with at least two decimals: `$0.05/kWh`, `$0.047/kWh`."""
    rounded = f"{dollars:.3f}"
    return f"${rounded.removesuffix('0')}/kWh"


def name(symbol: Symbol) -> str:
    """Return a leg's name: `bitcoin`, or any other symbol itself."""
    return "bitcoin" if symbol == "BTC" else escape(symbol)


def title(symbol: Symbol) -> str:
    """Return a leg's name for the start of a line."""
    return "Bitcoin" if symbol == "BTC" else escape(symbol)


def spread_phrase(pair: Pair, spread: float) -> str:
    """Return the spread in words: `8.4 pp above bitcoin`."""
    points = unsigned(100 * spread)
    if points == unsigned(0):
        return f"level with {name(pair.crypto)}"
    return f"{points} pp {'above' if spread > 0 else 'below'} {name(pair.crypto)}"


def window(span: Window) -> str:
    """Return a window as an adjective: `5-day`."""
    return "year-to-date" if span is Window.YTD else f"{span.value.removesuffix('d')}-day"


def over_window(span: Window, end: date | None = None) -> str:
    """Return a window as a period: `over 5 days`, or `in 2026` for a year to date with an end."""
    if span is Window.YTD:
        return f"in {end.year}" if end else "this year"
    count = span.value.removesuffix("d")
    return f"over {count} day{'' if count == '1' else 's'}"


def percentile_phrase(percentile: float, *, above: bool) -> str:
    """Return how far out a spread is on its own side: `larger than 97% of the last 252 sessions`."""
    beyond = whole_percent(percentile if above else PERCENT_MAX - percentile)
    return f"{'larger' if above else 'lower'} than {beyond} of the last {LOOKBACK_SESSIONS} sessions"


def sigma(value: float) -> str:
    """Return a volatility-scaled move: `+1.5σ`."""
    return f"{signed(value)}σ"


def sigma_phrase(value: float, count: int) -> str:
    """Return a volatility-scaled move with the sessions that it covers: `+1.5σ for 3 sessions`."""
    return f"{sigma(value)} for {sessions(count)}"


def whole_percent(percent: float) -> str:
    """Return a percentage, truncated so that only exact ones are `all` or `none`: 99.7 is `99%`."""
    return "all" if percent >= PERCENT_MAX else "none" if percent <= 0 else f"{max(1, int(percent))}%"


def percentile_cell(percentile: float) -> str:
    """Return a percentile for a table cell: `93rd`, or a word if it is outside all values before."""
    if percentile >= PERCENT_MAX:
        return "highest"
    if percentile <= 0:
        return "lowest"
    return ordinal(min(99, max(1, int(percentile))))


def ordinal(number: int) -> str:
    """Return an ordinal number: `1st`, `12th`, `23rd`."""
    return f"{number}{_ORDINALS.get(number % 10, 'th') if number % 100 // 10 != 1 else 'th'}"


def sessions(count: float) -> str:
    """Return a number of sessions: `1 session`, `2.5 sessions`."""
    return counted(count, "session")


def duration(span: timedelta) -> str:
    """Return a duration or an age: `45 s`, `3 min`, `2 h 10 min`, `3 days 4 h`."""
    seconds = int(span.total_seconds())
    if seconds < MINUTE:
        return f"{max(0, seconds)} s"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAYS_FROM:
        minutes = seconds % HOUR // MINUTE
        return f"{seconds // HOUR} h {minutes} min" if minutes else f"{seconds // HOUR} h"
    hours = seconds % DAY // HOUR
    return f"{seconds // DAY} days {hours} h" if hours else f"{seconds // DAY} days"


def time_utc(at: datetime) -> str:
    """Return a time today: `15:42 New York (20:42 UTC)`."""
    return f"{at.astimezone(NEW_YORK):%H:%M} New York ({at:%H:%M} UTC)"


def moment(at: datetime) -> str:
    """Return a date and time: `Fri 20 Nov 15:42 New York`."""
    local = at.astimezone(NEW_YORK)
    return f"{day(local)} {local:%H:%M} New York"


def moment_utc(at: datetime) -> str:
    """Return a date and time with UTC: `Fri 20 Nov 15:42 New York (20:42 UTC)`."""
    return f"{moment(at)} ({at:%H:%M} UTC)"


def full_moment(at: datetime) -> str:
    """Return a date and time with year and UTC: `Fri 20 Nov 2026 15:42 New York (20:42 UTC)`."""
    local = at.astimezone(NEW_YORK)
    return f"{local:%a} {full_day(local)} {local:%H:%M} New York ({at:%H:%M} UTC)"


def day(on: date) -> str:
    """Return a date without its year: `Fri 20 Nov`."""
    return f"{on:%a} {on.day} {on:%b}"


def short_day(on: date) -> str:
    """Return a date without its weekday, with a two-digit year: `20 Nov 26`."""
    return f"{on.day} {on:%b} {on:%y}"


def time(at: datetime) -> str:
    """Return the time of day in New York: `15:42`."""
    return f"{at.astimezone(NEW_YORK):%H:%M}"


def full_day(on: date) -> str:
    """Return a date with its year: `20 Nov 2026`."""
    return f"{on.day} {on:%b} {on.year}"


def index_level(level: float) -> str:
    """Return a level of a series indexed to 100: `95.6`, `12,346`, `1.2e+09`."""
    if abs(level) >= MILLION:
        return f"{level:.1e}"
    return f"{level:,.1f}" if abs(level) < WHOLE_DOLLARS else f"{level:,.0f}"


def sparkline(values: Sequence[float | None]) -> str:
    """Return one bar per value, scaled between the smallest and the largest, and a dot for None.

    If all values are equal, every bar is the lowest.
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = high - low or 1.0
    return "".join(
        NO_BAR if value is None else BLOCK_BARS[int((value - low) / span * (len(BLOCK_BARS) - 1) + 0.5)]
        for value in values
    )

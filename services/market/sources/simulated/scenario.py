"""The scenario of the simulated market: what each leg does from close to close, year by year.

In even years bitcoin makes a high and falls to 60% below it, while the ETF ends 90% higher because miners turn
to AI. In odd years bitcoin recovers; the ETF moves with it from day to day but loses its gain. So two years
together are flat, and prices always stay in their range.
"""

import math
import zlib
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Symbol
from services.core.sessions import Sessions

FIRST_DAY, LAST_DAY = date(2019, 12, 31), date(2041, 12, 31)
YEARS = range(2020, 2042)

HIGH = 118_000.0  # bitcoin's high of 2020; each later high is slightly above, so that it is an all-time high
GROWTH = 0.0075  # per year
DEPTH = 0.604  # slightly above 60%, so that a 60% rule fires
HIGH_AT, LOW_AT = 0.22, 0.82  # as fractions of an even year
START, END = 0.72, 1.18  # first price of an even year relative to its high; last price relative to its low
DAILY_NOISE, REVERSION = 0.021, 0.03

ETF_START = 34.0
ETF_GAIN = 1.90
BETA, LATE_BETA = 1.1, 0.55
OWN_NOISE, CALM_LIMIT = 0.027, 0.065  # move apart from bitcoin on a day without news: standard deviation and maximum
NEWS_DAYS, NEWS_SIZE = (9, 14), (0.10, 0.15)  # number of news days in a year, and the size of their moves
NEWS_SPACING = 8  # sessions

PROXY_START = 180.0
PROXY_BETA, PROXY_NOISE = 0.15, 0.6  # beta to bitcoin; own noise as a fraction of bitcoin's
SHARED_BY_YEAR = (2024, 2026), (0.08, 0.45)  # share of the miners' own moves, by year


def random_stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random generator of these names; it doesn't depend on other streams or on call order."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


def session_years(sessions: Sessions) -> NDArray[np.int_]:
    """Return the calendar year of each session."""
    return sessions.days.astype("datetime64[Y]").astype(np.int_) + 1970


def crypto_path(seed: int, symbol: Symbol, years: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return the log price at each session's close; the first session is the start of the path."""
    path = [np.array([math.log(START) + _high(2020)])]
    for year in YEARS:
        noise = _noise(random_stream(seed, symbol, "days", year), int(np.sum(years == year)))
        path.append(_crypto_year(year, float(path[-1][-1]), noise)[1:])
    return np.concatenate(path) + _scale_offset(seed, symbol, default="BTC", low=-2, high=-1)


def etf_path(seed: int, symbol: Symbol, years: NDArray[np.int_], crypto: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log price at each session's close; `crypto` is the path that it follows or leaves."""
    path = [np.array([math.log(ETF_START)])]
    for year in YEARS:
        rng = random_stream(seed, symbol, "days", year)
        moves = np.diff(crypto)[years[1:] == year]
        start = float(path[-1][-1])
        own_moves = _betas(year, len(moves)) * moves + _news(rng, year, len(moves))
        drift = (_etf_end(rng, year, start) - start - own_moves.sum()) / len(moves)
        path.append(start + np.cumsum(own_moves + drift))
    return np.concatenate(path) + _scale_offset(seed, symbol, default="WGMI", low=-0.4, high=0.4)


def proxy_path(
    seed: int, symbol: Symbol, years: NDArray[np.int_], crypto: NDArray[np.float64], etf: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the log price at each session's close of the chip-maker ETF, the proxy for AI.

    It shares the miners' moves that don't come from bitcoin, and more of them each year as more miners turn to AI.
    """
    moves = np.diff(crypto)
    betas = np.concatenate([_betas(year, int(np.sum(years == year))) for year in YEARS])
    shared_moves = np.interp(years[1:], *SHARED_BY_YEAR) * (np.diff(etf) - betas * moves)
    own_moves = PROXY_NOISE * _noise(random_stream(seed, symbol, "days"), len(moves))
    return math.log(PROXY_START) + np.append(0.0, np.cumsum(PROXY_BETA * moves + shared_moves)) + own_moves


def _crypto_year(year: int, start: float, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one year, from the close before it to its last: knots, plus noise that keeps the knots in place."""
    last = len(noise) - 1
    if year % 2:
        return _interpolate([0, last], [start, math.log(START) + _high(year + 1)], noise)
    high, low = _high(year), _high(year) + math.log(1 - DEPTH)
    knots = [0, round(HIGH_AT * last), round(LOW_AT * last), last]
    path = _interpolate(knots, [start, high, low, low + math.log(END)], noise)
    for _ in range(20):  # shift the peak, then the trough, until both are at their scenario levels
        path += (high - path.max()) * _triangle(knots[:3], last)
        path += (low - path[np.argmax(path) :].min()) * _triangle(knots[1:], last)
    return path


def _interpolate(knots: list[int], levels: list[float], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.arange(len(noise))
    path: NDArray[np.float64] = np.interp(steps, knots, np.array(levels) - noise[knots]) + noise
    return path


def _triangle(knots: list[int], last: int) -> NDArray[np.float64]:
    """Return a triangle: 0 at the first knot, 1 at the second, 0 at the third."""
    return np.interp(np.arange(last + 1), knots, [0.0, 1.0, 0.0])


def _noise(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return `count` steps of mean-reverting noise around zero, starting at zero."""
    level, path = 0.0, [0.0]
    for shock in rng.normal(0, DAILY_NOISE, count):
        level += shock - REVERSION * level
        path.append(level)
    return np.array(path)


def _high(year: int) -> float:
    return math.log(HIGH) + GROWTH * (year - 2020)


def _scale_offset(seed: int, symbol: Symbol, *, default: str, low: float, high: float) -> float:
    """Return a log offset that gives every symbol but the default one its own price level."""
    return 0.0 if symbol == default else math.log(10) * float(random_stream(seed, symbol, "scale").uniform(low, high))


def _betas(year: int, count: int) -> NDArray[np.float64]:
    """Return the ETF's daily betas; in even years they fall from bitcoin's high on, as miners turn to AI."""
    return np.interp(np.arange(count), [HIGH_AT * count, count], [BETA, BETA if year % 2 else LATE_BETA])


def _news(rng: np.random.Generator, year: int, count: int) -> NDArray[np.float64]:
    """Return the ETF's own daily moves: calm days, a few news days, and a quieter day after each of them."""
    own_moves = CALM_LIMIT * np.tanh(rng.normal(0, OWN_NOISE / CALM_LIMIT, count))
    news = int(rng.integers(*NEWS_DAYS))
    weeks = rng.choice(count // NEWS_SPACING, news, replace=False)
    days = weeks * NEWS_SPACING + rng.integers(0, NEWS_SPACING - 2, news)
    is_good = rng.random(news) < (0.35 if year % 2 else 0.7)
    own_moves[days] = np.where(is_good, 1, -1) * rng.uniform(*NEWS_SIZE, news)
    own_moves[days + 1] *= 0.4
    return own_moves


def _etf_end(rng: np.random.Generator, year: int, start: float) -> float:
    """Return the log price at the end of a year: 90% higher, or back at the start of its two years."""
    wobble = float(rng.uniform(-0.015, 0.015))
    return wobble + (math.log(ETF_START) if year % 2 else start + math.log(ETF_GAIN))

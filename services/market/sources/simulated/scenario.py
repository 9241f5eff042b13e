"""The story of the simulated market: what each leg does from one session's close to the next, year by year.

In even years bitcoin makes a high and falls to 60% below it, while the ETF ends nine tenths higher, because miners
turn to AI. In odd years bitcoin recovers, and the ETF moves with it from day to day but gives its gain back, so that
two years together are flat and prices stay in their range for ever.
"""

from __future__ import annotations

import math
import zlib
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Symbol
from services.core.sessions import Sessions

FIRST_DAY, LAST_DAY = date(2019, 12, 31), date(2041, 12, 31)
YEARS = range(2020, 2042)

HIGH = 118_000.0  # bitcoin's high of 2020; each later one is a little above, so that it is always the all-time high
GROWTH = 0.0075  # a year
DEPTH = 0.604  # a little more than 60%, so that a rule on 60% fires
HIGH_AT, LOW_AT = 0.22, 0.82  # shares of an even year
START, END = 0.72, 1.18  # an even year's first price, of its high; and its last, of its low
DAILY_NOISE, REVERSION = 0.021, 0.03

ETF_START = 34.0
ETF_GAIN = 1.90
BETA, LATE_BETA = 1.1, 0.55
OWN_NOISE, CALM = 0.027, 0.065  # a day without news: its usual move apart from bitcoin, and the largest
NEWS, NEWS_SIZE = (9, 14), (0.10, 0.15)  # days with news in a year, and their moves
NEWS_APART = 8  # sessions

PROXY_START = 180.0
PROXY_BETA, PROXY_NOISE = 0.15, 0.6  # to bitcoin; a share of bitcoin's usual noise
SHARED_BY_YEAR = (2024, 2026), (0.08, 0.45)  # of the miners' own moves


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Make the random numbers that belong to these names, whoever asks first."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


def years_of(sessions: Sessions) -> NDArray[np.int_]:
    """Give the calendar year of each session."""
    return sessions.days.astype("datetime64[Y]").astype(np.int_) + 1970


def crypto_path(seed: int, symbol: Symbol, years: NDArray[np.int_]) -> NDArray[np.float64]:
    """Give the log price at each session's close; the first session is where the path starts."""
    path = [np.array([math.log(START) + _high(2020)])]
    for year in YEARS:
        noise = _noise(stream(seed, symbol, "days", year), int(np.sum(years == year)))
        path.append(_crypto_year(year, float(path[-1][-1]), noise)[1:])
    return np.concatenate(path) + _scale(seed, symbol, usual="BTC", low=-2, high=-1)


def etf_path(seed: int, symbol: Symbol, years: NDArray[np.int_], crypto: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the log price at each session's close; `crypto` is the path that it follows or leaves."""
    path = [np.array([math.log(ETF_START)])]
    for year in YEARS:
        rng = stream(seed, symbol, "days", year)
        moves = np.diff(crypto)[years[1:] == year]
        start = float(path[-1][-1])
        own = _betas(year, len(moves)) * moves + _news(rng, year, len(moves))
        drift = (_etf_end(rng, year, start) - start - own.sum()) / len(moves)
        path.append(start + np.cumsum(own + drift))
    return np.concatenate(path) + _scale(seed, symbol, usual="WGMI", low=-0.4, high=0.4)


def proxy_path(
    seed: int, symbol: Symbol, years: NDArray[np.int_], crypto: NDArray[np.float64], etf: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the log price at each session's close of the ETF of chip makers, which stands for AI.

    It moves with what of the miners' moves is not bitcoin's, from year to year more, as more of them turn to AI.
    """
    moves = np.diff(crypto)
    betas = np.concatenate([_betas(year, int(np.sum(years == year))) for year in YEARS])
    shared = np.interp(years[1:], *SHARED_BY_YEAR) * (np.diff(etf) - betas * moves)
    own = PROXY_NOISE * _noise(stream(seed, symbol, "days"), len(moves))
    return math.log(PROXY_START) + np.append(0.0, np.cumsum(PROXY_BETA * moves + shared)) + own


def _crypto_year(year: int, start: float, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw one year, from the close before it to its last: knots, and noise that leaves the knots where they are."""
    last = len(noise) - 1
    if year % 2:
        return _through([0, last], [start, math.log(START) + _high(year + 1)], noise)
    high, low = _high(year), _high(year) + math.log(1 - DEPTH)
    knots = [0, round(HIGH_AT * last), round(LOW_AT * last), last]
    path = _through(knots, [start, high, low, low + math.log(END)], noise)
    for _ in range(20):  # lift or lower the peak, then the trough, until both stand where the story has them
        path += (high - path.max()) * _tent(knots[:3], last)
        path += (low - path[np.argmax(path) :].min()) * _tent(knots[1:], last)
    return path


def _through(knots: list[int], levels: list[float], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    steps = np.arange(len(noise))
    path: NDArray[np.float64] = np.interp(steps, knots, np.array(levels) - noise[knots]) + noise
    return path


def _tent(knots: list[int], last: int) -> NDArray[np.float64]:
    """Rise from 0 at the first knot to 1 at the second and fall to 0 at the third."""
    return np.interp(np.arange(last + 1), knots, [0.0, 1.0, 0.0])


def _noise(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Wander around zero, from zero, for `count` days."""
    level, path = 0.0, [0.0]
    for shock in rng.normal(0, DAILY_NOISE, count):
        level += shock - REVERSION * level
        path.append(level)
    return np.array(path)


def _high(year: int) -> float:
    return math.log(HIGH) + GROWTH * (year - 2020)


def _scale(seed: int, symbol: Symbol, *, usual: str, low: float, high: float) -> float:
    """Put any other symbol on a price level of its own."""
    return 0.0 if symbol == usual else math.log(10) * float(stream(seed, symbol, "scale").uniform(low, high))


def _betas(year: int, count: int) -> NDArray[np.float64]:
    """Give the ETF's beta day by day: it falls from bitcoin's high on, as miners turn to AI."""
    return np.interp(np.arange(count), [HIGH_AT * count, count], [BETA, BETA if year % 2 else LATE_BETA])


def _news(rng: np.random.Generator, year: int, count: int) -> NDArray[np.float64]:
    """Draw what moves the ETF but not bitcoin: calm days, a few with news, and a quiet day after each of them."""
    own = CALM * np.tanh(rng.normal(0, OWN_NOISE / CALM, count))
    news = int(rng.integers(*NEWS))
    weeks = rng.choice(count // NEWS_APART, news, replace=False)
    days = weeks * NEWS_APART + rng.integers(0, NEWS_APART - 2, news)
    good = rng.random(news) < (0.35 if year % 2 else 0.7)
    own[days] = np.where(good, 1, -1) * rng.uniform(*NEWS_SIZE, news)
    own[days + 1] *= 0.4
    return own


def _etf_end(rng: np.random.Generator, year: int, start: float) -> float:
    """Say where the ETF ends a year: nine tenths higher, or back where its two years began."""
    wobble = float(rng.uniform(-0.015, 0.015))
    return wobble + (math.log(ETF_START) if year % 2 else start + math.log(ETF_GAIN))

"""How often the 90% interval of the implied gap holds the opening, at six times between close and open."""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np

from services.core.prices import Bars, Closes, Symbol, to_datetime
from services.core.sessions import Sessions
from services.market.gap import CLOSURES, OffHours, predict_gap, read_off_hours
from services.market.sources.files.prices import read_crypto_csv
from tests.fakes.price_files import DATA, real_openings, real_pair
from tests.study.claim import Claim

HOUR = timedelta(hours=1)
AFTER_CLOSE = (1, 4, 8)
BEFORE_OPEN = (4, 1, 0)


def run() -> Iterator[Claim]:
    """Yield the coverage over all openings that have 60 closures before them, and without opening prices."""
    openings, bars = real_openings(), read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", Symbol("BTC"))
    for hours in AFTER_CLOSE:
        yield Claim(
            f"The opening lies in the interval, close + {hours} h", "90%", _coverage(openings, bars, hours, None)
        )
    for hours in BEFORE_OPEN:
        yield Claim(
            f"The opening lies in the interval, opening − {hours} h", "90%", _coverage(openings, bars, None, hours)
        )
    measured = _coverage(openings, bars, None, 0, with_openings=False)
    yield Claim("The opening lies in the approximate interval, at the opening", "90%", measured)


def _coverage(
    openings: Closes, bars: Bars, after_close: int | None, before_open: int | None, *, with_openings: bool = True
) -> str:
    market, calendar = real_pair(), Sessions(date(2018, 1, 1), date(2026, 12, 31))
    held, widths = list[bool](), list[float]()
    for session, in_session in zip(openings.sessions[CLOSURES:], openings.known_open_to_close[CLOSURES:], strict=True):
        row = int(np.searchsorted(market.sessions, session))
        closes = market.head(row)
        opens_at = to_datetime(calendar.opens_at[calendar.index_of(session) or 0])
        at = (
            opens_at - (before_open or 0) * HOUR
            if after_close is None
            else to_datetime(closes.at[-1]) + after_close * HOUR
        )
        last = bars.last_complete(at)
        off_hours = read_off_hours(closes, openings, bars, calendar)
        if not with_openings:
            off_hours = OffHours(off_hours.crypto, np.full_like(off_hours.etf, np.nan), off_hours.hourly_variance)
        if last is None:
            continue
        gap = predict_gap(closes, off_hours, last[0], at, opens_at)
        opening = market.etf[row] / (1 + in_session) / market.etf[row - 1] - 1
        if gap.low is not None and gap.high is not None:
            held.append(bool(gap.low <= opening <= gap.high))
            widths.append(50 * (gap.high - gap.low))
    return f"{np.mean(held):.1%} of {len(held)}, median ±{np.median(widths):.1f} pp"

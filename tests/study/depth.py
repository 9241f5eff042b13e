"""Depth of history: how far a look-back of 930 days understates bitcoin's drawdown, at daily UTC closes."""

from datetime import date

import numpy as np

from services.core.prices import WGMI_BTC
from services.market.basis import daily_closes
from services.market.measure import drawdown_series
from services.market.sources.files.prices import read_crypto_csv
from tests.fakes.price_files import DATA
from tests.study.claim import Claim

LIVE_DAYS = 930  # what is loaded before the first answer


def run() -> list[Claim]:
    """Return one row."""
    daily = daily_closes(read_crypto_csv(DATA / "btc/btc_usd_yahoo_daily.csv", WGMI_BTC.crypto), None, date.max)
    closes = daily.closes if daily else np.array([])
    full, rows = drawdown_series(closes), range(LIVE_DAYS, len(closes))
    short = np.array([1 - closes[row] / closes[row - LIVE_DAYS : row + 1].max() for row in rows])
    missed = full[LIVE_DAYS:] - short
    days = int((missed > 1e-9).sum())
    claim = "Days on which bitcoin's drawdown is understated, since 2014; with a look-back of 930 days"
    return [Claim(claim, "0", f"0 of {len(missed):,}; {days} by up to {100 * missed.max():.1f} pp")]

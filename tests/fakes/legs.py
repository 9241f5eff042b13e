"""Both legs and the AI proxy, from a seed with known betas or from real prices."""

from dataclasses import replace
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Bars, Closes, Pair, Symbol
from services.market.align import Aligned, align
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv
from services.research.attribution import Legs, prices_on
from tests.fakes.market import CALENDAR, aligned_market
from tests.fakes.price_files import DATA


def proxy_closes(sessions: NDArray[np.datetime64], prices: NDArray[np.float64]) -> Closes:
    return Closes(symbol=Symbol("SMH"), sessions=sessions, prices=prices, source="hand")


def legs_of(etf: NDArray[np.float64], crypto: NDArray[np.float64], proxy: NDArray[np.float64], first: str) -> Legs:
    """Return legs with these simple returns per session."""
    paths = [100 * np.cumprod(np.append(1.0, 1 + moves)) for moves in (etf, crypto, proxy)]
    market = aligned_market(paths[0].tolist(), paths[1].tolist(), first=first)
    return Legs.of(market, proxy_closes(market.sessions, paths[2]))


def random_legs(
    sessions: int, *, seed: int = 5, crypto_beta: float = 0.6, proxy_beta: float = 1.1, first: str = "2022-02-08"
) -> Legs:
    """Return legs where bitcoin and the proxy are weakly correlated, and the ETF follows both with noise and drift."""
    rng = np.random.default_rng(seed)
    crypto = rng.normal(0, 0.03, sessions - 1)
    proxy = 0.2 * crypto + rng.normal(0, 0.02, sessions - 1)
    etf = 0.001 + crypto_beta * crypto + proxy_beta * proxy + rng.normal(0, 0.03, sessions - 1)
    return legs_of(etf, crypto, proxy, first)


def real_legs(crypto: Closes | Bars, last: date, first: date = date(2022, 2, 8)) -> Legs:
    """Return real WGMI and SMH prices against closes of bitcoin, or of a bitcoin fund, up to a session."""
    etf = read_etf_csv(DATA / "equities/WGMI.csv", Symbol("WGMI"))
    etf = etf.select((etf.sessions >= np.datetime64(first)) & (etf.sessions <= np.datetime64(last)))
    market = align(Pair(etf=etf.symbol, crypto=crypto.symbol), etf, crypto, CALENDAR)
    return Legs.of(market, read_etf_csv(DATA / "equities/SMH.csv", Symbol("SMH")))


@lru_cache
def real_bitcoin() -> Bars:
    """Return real hourly bars of bitcoin."""
    return read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", Symbol("BTC"))


def real_market(symbol: str, last: date = date(2026, 7, 31), first: date = date(2022, 2, 8)) -> Aligned:
    """Return real closes of a share with bitcoin's at each; after bitcoin's last hourly bar, it follows IBIT."""
    etf = read_etf_csv(DATA / f"equities/{symbol}.csv", Symbol(symbol))
    etf = etf.select((etf.sessions >= np.datetime64(first)) & (etf.sessions <= np.datetime64(last)))
    coin = real_bitcoin()
    market = align(Pair(etf=etf.symbol, crypto=coin.symbol), etf, coin, CALENDAR)
    fund = prices_on(read_etf_csv(DATA / "equities/IBIT.csv", Symbol("IBIT")), market.sessions)
    end = int(np.flatnonzero(np.isfinite(market.crypto))[-1])
    later = np.arange(len(market)) > end
    return replace(market, crypto=np.where(later, market.crypto[end] * fund / fund[end], market.crypto))


def spliced_legs(last: date) -> Legs:
    """Return WGMI, bitcoin and SMH as `real_market` has them."""
    return Legs.of(real_market("WGMI", last), read_etf_csv(DATA / "equities/SMH.csv", Symbol("SMH")))

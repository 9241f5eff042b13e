"""Corrupt vendor responses until a wrong price gets through: `python -m tests.bench.fuzz --cases 200000`."""

import argparse
import asyncio
import logging
import math
import resource
import sys
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import httpx
import numpy as np
import stamina

from services.core.errors import SourceError
from services.core.prices import Bars, Closes, Quote, Symbol
from services.market.holdings import Holdings
from services.market.network import Network
from services.market.ports import EquityPrices
from services.market.sources.catalogue import CRYPTO, EQUITY, NETWORK, SOURCES, build_source
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.nasdaq import Nasdaq
from tests.bench.fuzz_checks import wrongly_trusted
from tests.fakes.clock import SetClock
from tests.fakes.corrupt import corrupt
from tests.fakes.vendors import no_wait

ROOT = Path(__file__).parents[2]
HERE, SHARED = ROOT / "tests" / "responses", ROOT.parent / "shared" / "wire"
API_KEYS = {name: "k" for row in SOURCES for name in row.keys}
SINCE = date(2000, 1, 1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ODD_HEADERS = (
    "",
    "0",
    "-1",
    "soon",
    "9" * 5000,
    "Fri, 99999999999 Nov 2026 17:59:00 GMT",
    "Fri, 20 Nov 2026 18:10:00 GMT",
)
AUTUMN = datetime(2026, 10, 30, 17, 20, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResponse:
    """A vendor's valid response.

    `page` is a part of the path of its requests; `symbol`, `at` and `interval` are what to fetch to get it.
    """

    vendor: str
    page: str
    file: str
    symbol: str = "WGMI"
    at: datetime = datetime(2026, 11, 20, 18, tzinfo=UTC)
    interval: timedelta = HOUR
    folder: Path = HERE

    def __str__(self) -> str:
        return f"{self.vendor} {self.folder.name}/{self.file}"

    @property
    def body(self) -> bytes:
        return (self.folder / self.file).read_bytes()


def coin(vendor: str, page: str, file: str, at: datetime = AUTUMN, interval: timedelta = HOUR) -> RecordedResponse:
    return RecordedResponse(vendor=vendor, page=page, file=file, symbol="BTC", at=at, interval=interval)


def network(vendor: str, page: str, file: str) -> RecordedResponse:
    return RecordedResponse(vendor=vendor, page=page, file=file, symbol="network")


def etf(vendor: str, page: str, file: str, symbol: str = "WGMI") -> RecordedResponse:
    return RecordedResponse(vendor=vendor, page=page, file=file, symbol=symbol)


OWN_RESPONSES = (
    etf("yahoo", "chart", "yahoo_chart.json"),
    etf("yahoo", "chart", "yahoo_chart_empty_window.json"),
    etf("yahoo", "chart", "yahoo_not_found.json"),
    etf("nasdaq", "historical", "nasdaq_historical.json"),
    etf("nasdaq", "historical", "nasdaq_unknown.json"),
    etf("nasdaq", "company", "nasdaq_holdings.json"),
    etf("alpaca", "stocks/bars", "alpaca_stock_bars.json"),
    etf("alpaca", "trades/latest", "alpaca_stock_trades.json"),
    etf("tiingo", "daily", "tiingo_daily.json"),
    etf("tiingo", "iex", "tiingo_iex.json"),
    etf("tiingo", "daily", "tiingo_spent.json"),
    etf("twelvedata", "series", "twelvedata_series.json"),
    etf("twelvedata", "series", "twelvedata_error.json"),
    coin("coinbase", "candles", "coinbase_candles.json"),
    coin("coinbase", "ticker", "coinbase_ticker.json"),
    coin("kraken", "OHLC", "kraken_ohlc.json"),
    coin("kraken", "Trades", "kraken_trades.json"),
    coin("bitstamp", "ohlc", "bitstamp_ohlc.json"),
    coin("bitstamp", "ticker", "bitstamp_ticker.json"),
    coin("binance", "klines", "binance_klines.json"),
    coin("binance", "trades", "binance_trades.json"),
    coin("alpaca", "crypto/us/bars", "alpaca_crypto_bars.json"),
    coin("alpaca", "latest/trades", "alpaca_crypto_trades.json"),
    network("mempool", "hashrate", "mempool_hashrate.json"),
    network("mempool", "difficulty-adjustment", "mempool_adjustment.json"),
    network("mempool", "reward-stats", "mempool_rewards.json"),
    network("mempool", "fees", "mempool_fees.json"),
    network("blockchain", "charts", "blockchain_hashrate.json"),
)
SHARED_RESPONSES = (
    etf("yahoo", "chart", "yahoo_chart_1d_AAPL_dividend.json", "AAPL"),
    etf("yahoo", "chart", "yahoo_chart_range6mo_AAPL.json", "AAPL"),
    etf("yahoo", "chart", "yahoo_chart_1d_NVDA_split.json", "NVDA"),
    etf("yahoo", "chart", "yahoo_chart_1d_QQQ.json", "QQQ"),
    etf("yahoo", "chart", "yahoo_chart_1m_empty_no_timestamp.json", "AAPL"),
    etf("yahoo", "chart", "SYNTH_yahoo_chart_null_last_bar.json", "QQQ"),
    etf("yahoo", "chart", "yahoo_error_404.json"),
    etf("yahoo", "chart", "yahoo_error_401_crumb.json"),
    etf("nasdaq", "historical", "nasdaq_historical.json", "AAPL"),
    etf("nasdaq", "historical", "SYNTH_stooq_pow_interstitial.html"),
    etf("nasdaq", "historical", "stooq_daily.csv"),
    etf("alpaca", "stocks/bars", "alpaca_stock_bars_1Day.json", "AAPL"),
    etf("alpaca", "stocks/bars", "alpaca_error_403_sip.json"),
    etf("tiingo", "daily", "tiingo_eod_GOOGL.json", "GOOGL"),
    etf("tiingo", "daily", "tiingo_error_429.json"),
    etf("tiingo", "iex", "tiingo_iex_30min_GOOGL.json", "GOOGL"),
    etf("twelvedata", "series", "twelvedata_time_series_1day.json", "AAPL"),
    etf("twelvedata", "series", "twelvedata_error_429.json"),
    coin("coinbase", "candles", "coinbase_candles_1h_one_row.json", datetime(2024, 3, 13, 13, tzinfo=UTC)),
    coin(
        "coinbase",
        "candles",
        "SYNTH_coinbase_candles_1h_newest_first_gap.json",
        datetime(2025, 11, 28, 23, 59, tzinfo=UTC),
    ),
    coin("coinbase", "ticker", "coinbase_error_404.json"),
    coin("coinbase", "ticker", "coinbase_error_400_too_many.json"),
    coin("kraken", "OHLC", "kraken_ohlc_1m_XBTUSD.json", datetime(2026, 9, 3, 6, 4, tzinfo=UTC), timedelta(minutes=1)),
    coin("kraken", "OHLC", "kraken_error_throttled.json"),
    coin("kraken", "OHLC", "kraken_error_unknown_pair.json"),
    coin("kraken", "Trades", "kraken_ticker_XBTUSD.json"),
    coin("kraken", "Trades", "kraken_time.json"),
    coin("bitstamp", "ohlc", "bitstamp_ohlc_1h.json", datetime(2024, 3, 13, 13, tzinfo=UTC)),
    coin("bitstamp", "ticker", "bitstamp_ticker.json"),
    coin("binance", "klines", "binance_klines.json", datetime(2017, 7, 4, tzinfo=UTC)),
    coin("alpaca", "crypto/us/bars", "alpaca_crypto_bars.json", datetime(2022, 3, 9, 7, tzinfo=UTC)),
    network("mempool", "hashrate", "mempool_hashrate_3d.json"),
    network("mempool", "difficulty-adjustment", "mempool_difficulty_adjustment.json"),
    network("mempool", "reward-stats", "mempool_reward_stats_100.json"),
    network("mempool", "fees", "mempool_fees_recommended.json"),
    network("mempool", "hashrate", "mempool_error_500.json"),
    network("blockchain", "charts", "DOC_blockchain_info_chart_hash-rate.json"),
)
TRUE_RESULTS: dict[RecordedResponse, list[object]] = {}
RECORDED_RESPONSES = OWN_RESPONSES + tuple(
    replace(recorded, folder=SHARED) for recorded in SHARED_RESPONSES if SHARED.exists()
)


class WrongResultError(Exception):
    """A corrupted response led to a result that must not be used."""


async def fuzz(recorded: RecordedResponse, seed: int) -> int:
    """Corrupt one response, fetch everything from its vendor, and return the number of prices that got through.

    Raises WrongResultError if a result is invalid, or is trusted although it differs from the valid response. Any
    exception except SourceError propagates.
    """
    random = Random(seed)  # noqa: S311 -- not a secret
    corrupted = corrupt(recorded.body, random)
    status = random.choice([200, 200, 200, 200, 200, 400, 404, 429, 500, 503])
    headers = {"Retry-After": random.choice(ODD_HEADERS)} if random.random() < 0.3 else {}
    good = {other.page: other.body for other in reversed(OWN_RESPONSES) if other.vendor == recorded.vendor}

    def respond(request: httpx.Request) -> httpx.Response:
        if recorded.page in request.url.path:
            return httpx.Response(status, content=corrupted, headers=headers)
        return httpx.Response(200, content=next(body for page, body in good.items() if page in request.url.path))

    client = HttpClient(transport=httpx.MockTransport(respond), sleep=no_wait)
    prices = 0
    for fetch, true in zip(fetch_all(recorded, client), await true_results(recorded), strict=True):
        try:
            found = await fetch
            prices += check_result(found)
            if wrong := wrongly_trusted(found, true):
                raise WrongResultError("; ".join(wrong))
        except SourceError as error:
            if len(str(error)) > 1000:
                raise WrongResultError(f"{len(str(error))} characters in an error message") from error
    return prices


async def true_results(recorded: RecordedResponse) -> list[object]:
    """Fetch everything from a vendor without corruption; None for what raises SourceError."""
    if recorded not in TRUE_RESULTS:
        good = {
            other.page: other.body for other in (*reversed(OWN_RESPONSES), recorded) if other.vendor == recorded.vendor
        }

        def respond(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=next(body for page, body in good.items() if page in request.url.path))

        client = HttpClient(transport=httpx.MockTransport(respond), sleep=no_wait)
        TRUE_RESULTS[recorded] = [await _or_none(fetch) for fetch in fetch_all(recorded, client)]
    return TRUE_RESULTS[recorded]


async def _or_none(fetch: Awaitable[object]) -> object:
    try:
        return await fetch
    except SourceError:
        return None


def fetch_all(recorded: RecordedResponse, client: HttpClient) -> Iterator[Awaitable[object]]:
    """Yield a fetch of each kind of data from a vendor."""
    clock, symbol = SetClock(recorded.at), Symbol(recorded.symbol)
    row = next(row for row in SOURCES if row.name == recorded.vendor)
    if recorded.page == "company":
        yield Nasdaq(client, clock).top_ten(symbol)
    elif recorded.symbol == "network":
        yield build_source(NETWORK, row.name, client, clock).network()
    elif recorded.symbol == "BTC":
        crypto = build_source(CRYPTO, row.name, client, clock, keys=API_KEYS)
        yield crypto.bars(symbol, recorded.interval, recorded.at - 24 * recorded.interval, recorded.at)
        yield crypto.quote(symbol)
    else:
        yield build_source(EQUITY, row.name, client, clock, keys=API_KEYS).prices(symbol, SINCE)


def check_result(found: object) -> int:
    """Return the number of prices. Raises WrongResultError if one isn't finite and positive, or keys don't ascend."""
    match found:
        case EquityPrices(closes=closes, quote=quote, actions=actions):
            if not all(math.isfinite(one.value) for one in actions):
                raise WrongResultError(f"{found}")
            return check_result(closes) + check_result(quote)
        case Closes(sessions=keys, prices=prices) | Bars(opened_at=keys, closes=prices):
            if not (np.all(np.isfinite(prices) & (prices > 0)) and np.all(keys[1:] > keys[:-1])):
                raise WrongResultError(f"{found}")
            return len(prices)
        case Quote(price=price, at=at):
            _positive(price)
            if at.utcoffset() != timedelta(0):
                raise WrongResultError(f"{found}")
        case Holdings():
            _positive(found.total)
        case Network():
            _check_network(found)
    return int(found is not None)


def _check_network(found: Network) -> None:
    for number in (found.hashrate, found.difficulty):
        _positive(1.0 if number is None else number)
    if found.reward is not None and not 0 <= found.reward.fees <= found.reward.total < math.inf:
        raise WrongResultError(f"{found}")
    if found.retarget is not None and not -1 < found.retarget.change < math.inf:
        raise WrongResultError(f"{found}")


def _positive(number: float) -> None:
    if not 0 < number < math.inf:
        raise WrongResultError(f"{number}")


async def _run(cases: int, seed: int) -> Mapping[str, int]:
    prices = dict.fromkeys(map(str, RECORDED_RESPONSES), 0)
    for case in range(cases):
        recorded = RECORDED_RESPONSES[case % len(RECORDED_RESPONSES)]
        try:
            prices[str(recorded)] += await fuzz(recorded, seed + case)
        except Exception:
            print(f"{recorded}, seed {seed + case}:", file=sys.stderr)  # noqa: T201 -- a script
            raise
    return prices


def main() -> None:
    """Run the cases; print the number of prices per response and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with stamina.set_testing(testing=True, attempts=1):
        prices = asyncio.run(_run(options.cases, options.seed))
    for name, count in prices.items():
        print(f"{count:>9,} prices of {name}")  # noqa: T201 -- a script
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB peak memory")  # noqa: T201 -- a script


if __name__ == "__main__":
    main()

"""Coinbase Exchange: bars and last trade of a coin in US dollars. Official API; no key."""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

from pydantic import TypeAdapter

from services.core.prices import Quote, Symbol
from services.market.sources.http.bar_vendor import BarRange, BarVendor, iso_seconds
from services.market.sources.http.odd_values import DROP
from services.market.sources.http.payload import DecimalPrice, EpochSeconds, Payload, Price, Rows, Timestamp
from services.market.sources.http.vendor import NOT_FOUND, Limit

# open time, low, high, open, close, volume
_CoinbaseCandle = tuple[EpochSeconds, object, object, object, Price, object]
_CANDLES = TypeAdapter(Rows[_CoinbaseCandle])


class _CoinbaseTicker(Payload):
    price: DecimalPrice
    time: Timestamp


class Coinbase(BarVendor):
    """A CryptoSource over Coinbase Exchange candles and ticker."""

    name = "Coinbase"
    base_url = "https://api.exchange.coinbase.com"
    backoff = timedelta(minutes=1)
    limits = (Limit(calls=1, per=timedelta(seconds=0.125)),)  # documented: 10 calls per second and IP address
    unknown_symbol_statuses = (NOT_FOUND,)
    message_field = "message"
    intervals = (60, 300, 900, 3600, 21600, 86400)
    page_size = 300

    async def quote(self, symbol: Symbol) -> Quote:
        """Fetch the last trade."""
        ticker = await self._get(f"{_product(symbol)}/ticker", {}, symbol, _CoinbaseTicker.model_validate_json)
        return self._last_trade(symbol, ticker.price, ticker.time)

    async def _fetch_page(self, symbol: Symbol, page: BarRange) -> Mapping[int, float]:
        """Fetch one page; Coinbase may include a few earlier bars.

        `end` is one second before the end of the page: an `end` on a bar's opening would include that bar.
        """
        params: Mapping[str, str | int] = {
            "granularity": page.step,
            "start": iso_seconds(page.first),
            "end": iso_seconds(page.stop - 1),
        }
        path = f"{_product(symbol)}/candles"
        candles = await self._get(path, params, symbol, _CANDLES.validate_json, droppable={"*": DROP})
        return {candle[0]: candle[4] for candle in candles}


def _product(symbol: Symbol) -> str:
    return f"/products/{quote(symbol, safe='')}-USD"

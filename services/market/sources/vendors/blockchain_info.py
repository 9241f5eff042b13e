"""Blockchain.com's charts: the network's hash rate by day, as a second witness. Official, and without a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import FailFast, Field

from services.core.clock import Clock
from services.market.network import NETWORK, Network
from services.market.sources.http.client import HttpClient
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import Epoch, Wire, seconds
from services.market.sources.http.vendor import VendorClient

BASE_URL = "https://api.blockchain.info"
REST = timedelta(minutes=15)
LIMITS = (Limit(calls=6, per=timedelta(minutes=1)),)
TERA = 1e12
LAG = timedelta(days=3)  # the day itself, the day that its point is late by, and the day until the next one


class _Point(Wire):
    x: Epoch
    y: Annotated[float, Field(gt=0, lt=1e18, allow_inf_nan=False)]


class _Chart(Wire):
    unit: str
    values: Annotated[list[_Point], FailFast()]


class BlockchainInfo:
    """A NetworkSource over the hash-rate chart of Blockchain.com, which knows nothing else of the network here.

    A point is a day's average and about a day late; averages by the day scatter by a tenth around the truth. Limits
    are not published, and six calls a minute are kept to. Terms: blockchain.com/legal/terms.
    """

    name = "Blockchain.com"
    simulated = False

    def __init__(self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(client, clock, source=self.name, base_url=base_url, rest=REST, limits=LIMITS)

    async def network(self) -> Network:
        """Fetch the hash rate of the last day on the chart, with that day's time."""
        chart = await self._vendor.get(
            "/charts/hash-rate",
            {"timespan": "10days", "format": "json", "sampled": "false"},
            symbol=NETWORK,
            read=_Chart.model_validate_json,
        )
        if "TH/s" not in chart.unit:
            raise self._vendor.error(NETWORK, f"counts in “{chart.unit[:30]}” and not in TH/s", retryable=True)
        if not chart.values:
            raise self._vendor.error(NETWORK, "sent a chart without a point; it will be asked again", retryable=True)
        last = max(chart.values, key=lambda point: seconds(point.x))
        at = datetime.fromtimestamp(seconds(last.x), UTC)
        return Network(at=at, source=self.name, hashrate=last.y * TERA, lag=LAG)

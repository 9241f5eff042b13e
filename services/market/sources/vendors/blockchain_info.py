"""Blockchain.com charts: daily hash rate of the network, to corroborate other sources. Official API; no key."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from services.market.network import NETWORK, Network
from services.market.sources.http.odd_values import DROP
from services.market.sources.http.payload import Epoch, Payload, Rows, epoch_time
from services.market.sources.http.vendor import Limit, VendorSource

HASHES_PER_TERAHASH = 1e12
LAG = timedelta(days=3)  # the day itself, one day of publication delay, and one day until the next point


class _BlockchainPoint(Payload):
    x: Epoch
    y: Annotated[float, Field(gt=0, lt=1e18, allow_inf_nan=False)]


class _BlockchainChart(Payload):
    unit: str
    values: Rows[_BlockchainPoint]


class BlockchainInfo(VendorSource):
    """A NetworkSource over Blockchain.com's hash-rate chart, its only network data used here.

    Each point is a daily average, about a day late; daily averages scatter by about 10% around the true hash rate.
    Rate limits are not published; we stay at six calls a minute. Terms: blockchain.com/legal/terms.
    """

    name = "Blockchain.com"
    base_url = "https://api.blockchain.info"
    backoff = timedelta(minutes=15)
    limits = (Limit(calls=6, per=timedelta(minutes=1)),)

    async def network(self) -> Network:
        """Fetch the hash rate of the chart's last day, stamped with that day."""
        params = {"timespan": "10days", "format": "json", "sampled": "false"}
        chart = await self._get(
            "/charts/hash-rate",
            params,
            NETWORK,
            _BlockchainChart.model_validate_json,
            droppable={"values.*": DROP},
        )
        if "TH/s" not in chart.unit:
            raise self._vendor.error(NETWORK, f"reports “{chart.unit[:30]}” instead of TH/s", retryable=True)
        if not chart.values:
            raise self._vendor.error(NETWORK, "sent a chart without data points; MinerPulse retries", retryable=True)
        last = max(chart.values, key=lambda point: epoch_time(point.x))
        return Network(at=epoch_time(last.x), source=self.name, hashrate=last.y * HASHES_PER_TERAHASH, lag=LAG)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from handlers.render.message import Message
from handlers.render.network import network_message
from services.core.prices import Quote, Symbol
from services.core.trust import FULL
from services.market.network import Network, Retarget, Reward
from services.market.network_checks import CheckedNetwork
from services.market.network_history import PercentileRank
from services.research.results import NetworkView, Provenance

Golden = Callable[[str, "Message"], None]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SEEN = Network(
    at=NOW - timedelta(minutes=4),
    source="mempool.space",
    hashrate=1.012e21,
    difficulty=150e12,
    retarget=Retarget(change=-0.025, height=977_760, at=datetime(2026, 11, 27, tzinfo=UTC)),
    reward=Reward(blocks=144, total=3.225, fees=0.1),
    fee_rate=3.0,
)


def stands(rank: float, high: float, low: float) -> PercentileRank:
    return PercentileRank(
        rank=rank,
        count=1_095,
        since=date(2023, 11, 20),
        high=high,
        high_on=date(2025, 11, 11),
        low=low,
        low_on=date(2024, 8, 5),
    )


TOLD = NetworkView(
    judged=CheckedNetwork(network=SEEN, trust=FULL),
    price=Quote(symbol=Symbol("BTC"), price=60_500.0, at=NOW - timedelta(seconds=20), source="Coinbase"),
    hashprice=26.17,
    without_fees=25.36,
    difficulty=stands(100.0, 148.2e12, 64.7e12),
    hashrate=stands(91.4, 1.151e21, 0.4e21),
    hashprice_standing=stands(0.0, 112.0, 27.9),
    basis=Provenance(),
)


def test_the_network_with_each_figure_against_its_past(golden: Golden) -> None:
    golden("network", network_message(TOLD, NOW))


def test_only_the_highest_is_higher_than_all() -> None:
    for rank, share in ((99.95, "99%"), (0.05, "1%"), (50.6, "50%")):
        text = network_message(replace(TOLD, hashrate=stands(rank, 1.151e21, 0.4e21)), NOW).text
        assert f"*Hash rate* 1,012 EH/s, higher than {share} of 1,095 figures since" in text


def test_what_is_not_known_is_said() -> None:
    bare = Network(at=NOW, source="Blockchain.com", hashrate=1e21)
    told = replace(
        TOLD,
        judged=CheckedNetwork(network=bare, trust=FULL),
        price=None,
        hashprice=None,
        without_fees=None,
        difficulty=None,
        hashrate=None,
    )
    text = network_message(told, NOW).text
    assert text.startswith("The bitcoin network: hashprice unknown\n*Difficulty* unknown, its past unknown.")
    for said in ("*Next retarget* unknown.", "*Fees* unknown.", "*Hashprice* unknown: it takes", "No bitcoin price."):
        assert said in text


def test_a_simulated_price_is_named_first() -> None:
    assert network_message(replace(TOLD, basis=Provenance(simulated=True)), NOW).text.startswith(
        "SIMULATED: Mining earns "
    )

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from handlers.render.network import network_message
from services.core.prices import Quote, Symbol
from services.core.trust import TRUSTED
from services.market.network import Network, Retarget, Reward
from services.market.network_checks import CheckedNetwork
from services.market.network_history import PercentileRank
from services.research.service import NetworkResult, Provenance
from tests.handlers.conftest import Golden

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NETWORK = Network(
    at=NOW - timedelta(minutes=4),
    source="mempool.space",
    hashrate=1.012e21,
    difficulty=150e12,
    retarget=Retarget(change=-0.025, height=977_760, at=datetime(2026, 11, 27, tzinfo=UTC)),
    reward=Reward(blocks=144, total=3.225, fees=0.1),
    fee_rate=3.0,
)


def a_rank(rank: float, high: float, low: float) -> PercentileRank:
    return PercentileRank(
        rank=rank,
        count=1_095,
        since=date(2023, 11, 20),
        high=high,
        high_on=date(2025, 11, 11),
        low=low,
        low_on=date(2024, 8, 5),
    )


RESULT = NetworkResult(
    checked=CheckedNetwork(network=NETWORK, trust=TRUSTED),
    price=Quote(symbol=Symbol("BTC"), price=60_500.0, at=NOW - timedelta(seconds=20), source="Coinbase"),
    hashprice=26.17,
    hashprice_without_fees=25.36,
    difficulty_rank=a_rank(100.0, 148.2e12, 64.7e12),
    hashrate_rank=a_rank(91.4, 1.151e21, 0.4e21),
    hashprice_rank=a_rank(0.0, 112.0, 27.9),
    provenance=Provenance(),
)


def test_the_network_with_each_figure_ranked_in_its_history(golden: Golden) -> None:
    golden("network", network_message(RESULT, NOW))


def test_a_percentile_is_truncated_and_never_100_or_0() -> None:
    for rank, share in ((99.95, "99%"), (0.05, "1%"), (50.6, "50%")):
        text = network_message(replace(RESULT, hashrate_rank=a_rank(rank, 1.151e21, 0.4e21)), NOW).text
        assert f"*Hash rate* 1,012 EH/s, higher than {share} of 1,095 figures since" in text


def test_unknown_figures_are_shown_as_unknown() -> None:
    bare = Network(at=NOW, source="Blockchain.com", hashrate=1e21)
    unknown = replace(
        RESULT,
        checked=CheckedNetwork(network=bare, trust=TRUSTED),
        price=None,
        hashprice=None,
        hashprice_without_fees=None,
        difficulty_rank=None,
        hashrate_rank=None,
    )
    text = network_message(unknown, NOW).text
    assert text.startswith("The bitcoin network: hashprice unknown\n*Difficulty* unknown, its past unknown.")
    for line in ("*Next retarget* unknown.", "*Fees* unknown.", "*Hashprice* unknown: it takes", "No bitcoin price."):
        assert line in text


def test_a_simulated_price_is_marked_first() -> None:
    assert network_message(replace(RESULT, provenance=Provenance(simulated=True)), NOW).text.startswith(
        "SIMULATED: Mining earns "
    )

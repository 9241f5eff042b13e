from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta

from handlers.render.network import network_message
from handlers.render.study import study_message
from services.core.prices import Quote, Symbol
from services.core.trust import TRUSTED
from services.market.mining_power import PowerBound, PowerEstimate
from services.market.network import Network, Retarget, Reward
from services.market.network_checks import CheckedNetwork
from services.market.network_history import PercentileRank
from services.research.service import NetworkResult, Provenance
from tests.fakes.blockkit import shown
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


POWER = PowerEstimate(
    day=date(2026, 11, 20),
    hashrate=1.012e21,
    electricity=0.05,
    hashprice=48.44,
    lower=PowerBound(
        efficiency=9.5, pue=1.01, power_mw=9_710.14, machine="Antminer S23 Hyd", rank=a_rank(99.5, 9_900.0, 4_000.0)
    ),
    best=PowerBound(efficiency=20.0, pue=1.1, power_mw=22_264.0, rank=a_rank(83.2, 24_000.0, 9_000.0)),
    upper=PowerBound(
        efficiency=40.0, pue=1.2, power_mw=48_576.0, machine="Antminer S17+", rank=a_rank(0.0, 90_000.0, 49_000.0)
    ),
    machines=88,
    profitable=69,
    table_as_of=date(2026, 8, 20),
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
    power=POWER,
)


def text(result: NetworkResult) -> str:
    return shown(network_message(result, NOW))


def test_the_network_with_each_figure_ranked_in_its_history(golden: Golden) -> None:
    golden("network", study_message(network_message(RESULT, NOW), "network"))


def test_power_and_energy_are_a_range_with_assumptions() -> None:
    lines = text(RESULT).splitlines()
    span = "n = 1,095 sessions since Nov 20, 2023"
    row = lines.index("*Power draw* 22.3 GW, range 9.7 GW to 48.6 GW")
    assert [
        "*Energy* 195 TWh a year at this power draw, range 85 TWh to 426 TWh",
        f"*Percentiles* lower bound 99th, best estimate 83rd, upper bound at its low ({span})",
        "*Break-even* 40.4 J/TH; 69 of 88 machine models earn more than their electricity costs",
    ] == lines[row + 1 : row + 4]
    basis = "Break-even: 14-day mean hashprice $48.44/PH/s/day excluding fees ÷ (24 h × electricity at $0.05/kWh)."
    assert basis in lines[row + 4]


def test_without_a_profitable_machine_the_message_says_what_is_known() -> None:
    unprofitable = replace(POWER, hashprice=11.0, best=None, upper=None, profitable=0)
    message = text(replace(RESULT, power=unprofitable))
    assert "*Power draw* at least 9.7 GW (85 TWh a year); best estimate and upper bound unknown" in message
    assert (
        "no machine earns more than its electricity costs. "
        "The most efficient, Antminer S23 Hyd, breaks even at $0.048/kWh"
    ) in message


def test_unknown_inputs_of_the_power_are_named() -> None:
    young = replace(POWER, hashprice=None, best=None, upper=None, profitable=0, lower=replace(POWER.lower, rank=None))
    message = text(replace(RESULT, power=young))
    assert "*Break-even* unknown: it needs the hashprice" in message
    assert "*Percentiles* unknown" in message
    assert "*Power draw* unknown: it needs the hash rate" in text(replace(RESULT, power=None))


def test_figures_with_different_pasts_show_their_own() -> None:
    assert POWER.best is not None
    short = replace(POWER.best, rank=PercentileRank(**{**asdict(a_rank(100.0, 1.0, 1.0)), "count": 10}))
    message = text(replace(RESULT, power=replace(POWER, best=short)))
    assert (
        "best estimate at its high (n = 10 sessions since Nov 20, 2023); upper bound at its low (n = 1,095 " in message
    )


def test_a_machines_name_cannot_mention_anybody() -> None:
    named = replace(POWER, lower=replace(POWER.lower, machine="<!channel>"))
    assert "<!channel>" not in text(replace(RESULT, power=named))


def test_a_percentile_is_truncated_and_never_100_or_0() -> None:
    for rank, shown_rank in ((99.95, "99th"), (0.05, "1st"), (50.6, "50th")):
        message = text(replace(RESULT, hashrate_rank=a_rank(rank, 1.151e21, 0.4e21)))
        assert (
            f"*Hash rate* 1,012 EH/s, {shown_rank} percentile (n = 1,095 since Nov 20, 2023; high 1,151 EH/s" in message
        )


def test_a_figure_beyond_its_history_has_the_extreme_before() -> None:
    message = text(RESULT)
    assert (
        "*Difficulty* 150.00 T, highest (n = 1,095 since Nov 20, 2023; previous high 148.20 T, Nov 11, 2025)" in message
    )
    assert (
        "*Excluding fees* $25.36/PH/s/day, lowest (n = 1,095 since Nov 20, 2023; previous low $27.90, Aug 5, 2024)"
        in message
    )


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
        power=None,
    )
    message = text(unknown)
    assert message.startswith("Hashprice unknown. Difficulty unknown, percentile unknown.")
    for line in ("*Next retarget* unknown", "*Fees* unknown", "*Hashprice* unknown: it needs", "no BTC price"):
        assert line in message


def test_a_simulated_price_is_marked_first() -> None:
    assert text(replace(RESULT, provenance=Provenance(simulated=True))).startswith(
        "SIMULATED · Hashprice $26.17/PH/s/day. Difficulty 150.00 T, highest"
    )

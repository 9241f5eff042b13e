"""The bitcoin network: hashprice, difficulty, hash rate, retarget, fees and power draw, ranked in their own history."""

from collections.abc import Callable
from datetime import datetime

from handlers.render import fmt
from handlers.render.market import context_lines, data_quality
from handlers.render.markup import escape, mark_simulated, plain
from handlers.render.message import Message, compose, context, header, notification, section
from handlers.render.power import METHOD as POWER_METHOD
from handlers.render.power import power_assumptions, power_lines
from services.market.network import Network, Retarget, Reward
from services.market.network_history import PercentileRank
from services.research.service import NetworkResult

METHOD = (
    "Hashprice is what 1 PH/s earns in a day: 86,400 s × 10^15 hashes ÷ the 2^32 × difficulty hashes that a block "
    "takes, × the block reward × BTC's price. Its percentile excludes fees, because past fees aren't known. "
    f"{POWER_METHOD}"
)


def network_message(result: NetworkResult, now: datetime) -> Message:
    """Return the network as of `now`."""
    network = result.checked.network
    title = mark_simulated(_title(result), when=result.provenance.simulated)
    difficulty = _figure_line("Difficulty", fmt.difficulty(network.difficulty), result.difficulty_rank, fmt.difficulty)
    hash_rate = _figure_line("Hash rate", fmt.hashrate(network.hashrate), result.hashrate_rank, fmt.hashrate)
    retarget = _retarget_line(network.retarget, now)
    figures = [_hashprice_line(result), difficulty, hash_rate, retarget, _fee_line(network)]
    source = f"Network {escape(network.source)}, {fmt.age(network.age(now))}"
    small = context_lines(result.provenance, source, _price_text(result, now))
    return compose(
        [
            header(title),
            section(*figures),
            section(*power_lines(result.power)),
            context(*power_assumptions(result.power), *small),
        ],
        notification(
            f"{title}.",
            *(f"{plain(figure)}." for figure in (difficulty, hash_rate)),
            f"{plain(data_quality(result.provenance.trust))}.",
        ),
    )


def _title(result: NetworkResult) -> str:
    return "Hashprice unknown" if result.hashprice is None else f"Hashprice {_hashprice(result.hashprice)}"


def _hashprice(dollars: float) -> str:
    return f"{fmt.price(dollars)}/PH/s/day"


def _figure_line(name: str, value: str, rank: PercentileRank | None, format_value: Callable[[float], str]) -> str:
    return f"*{name}* {value}, {_rank_text(rank, format_value)}"


def _rank_text(rank: PercentileRank | None, format_value: Callable[[float], str]) -> str:
    """Return a figure's percentile in its own history, with the extreme of that history."""
    if rank is None:
        return "percentile unknown"
    high = f"{format_value(rank.high)}, {fmt.full_day(rank.high_on)}"
    basis = f"n = {rank.count:,} since {fmt.full_day(rank.since)}"
    if rank.is_highest:
        return f"highest ({basis}; previous high {high})"
    if rank.is_lowest:
        return f"lowest ({basis}; previous low {format_value(rank.low)}, {fmt.full_day(rank.low_on)})"
    return f"{fmt.percentile_phrase(rank.rank)} ({basis}; high {high})"


def _retarget_line(retarget: Retarget | None, now: datetime) -> str:
    if retarget is None:
        return "*Next retarget* unknown"
    when = f"{fmt.instant(retarget.at)}, in {fmt.duration(retarget.at - now)}"
    return f"*Next retarget* {fmt.percent(retarget.change)} (estimate) at block {retarget.height:,}, {when}"


def _fee_line(network: Network) -> str:
    """Return the fee rate of the next block, and the share of fees in the block reward."""
    rate = [] if network.fee_rate is None else [f"{network.fee_rate:g} sat/vB for the next block"]
    parts = [*rate, *([] if network.reward is None else [_fee_share(network.reward)])]
    return f"*Fees* {'; '.join(parts) or 'unknown'}"


def _fee_share(reward: Reward) -> str:
    share = 100 * reward.fees / reward.total if reward.total else 0.0
    return f"{share:.1f}% of the block reward of {reward.total:.3f} BTC, mean of {reward.blocks} blocks"


def _hashprice_line(result: NetworkResult) -> str:
    if result.hashprice is None or result.hashprice_without_fees is None:
        return "*Hashprice* unknown: it needs the difficulty, the block reward and BTC's price"
    without_fees = _hashprice(result.hashprice_without_fees)
    return f"*Excluding fees* {without_fees}, {_rank_text(result.hashprice_rank, fmt.price)}"


def _price_text(result: NetworkResult, now: datetime) -> str:
    if result.price is None:
        return "no BTC price"
    price = result.price
    return f"BTC {fmt.price(price.price)} {escape(price.source)}, {fmt.age(price.age(now))}"

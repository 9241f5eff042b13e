"""The bitcoin network: difficulty, hash rate, retarget, fees, hashprice and power draw, ranked in their own history."""

from collections.abc import Callable
from datetime import datetime

from handlers.render import fmt
from handlers.render.market import provenance_lines
from handlers.render.markup import escape, mark_simulated
from handlers.render.message import Message, compose, context, header, section
from handlers.render.power import power_lines, power_notes
from services.market.network import Network, Retarget, Reward
from services.market.network_history import PercentileRank
from services.research.service import NetworkResult

FORMULA = (
    "Hashprice: 86,400 s × 10^15 hashes a second, over the 2^32 × difficulty hashes that a block takes, × what a block "
    "pays in bitcoin × bitcoin's price. Its past is without fees, of which none is known."
)


def network_message(result: NetworkResult, now: datetime) -> Message:
    """Return the network as of `now`."""
    network = result.checked.network
    title = mark_simulated(_title(result), when=result.provenance.simulated)
    lines = [
        _figure_line("Difficulty", fmt.difficulty(network.difficulty), result.difficulty_rank, fmt.difficulty),
        _figure_line("Hash rate", fmt.hashrate(network.hashrate), result.hashrate_rank, fmt.hashrate),
        _retarget_line(network.retarget, now),
        *_fee_lines(network),
        *_hashprice_lines(result),
        *power_lines(result.power),
    ]
    source = f"Network from {escape(network.source)}, {fmt.duration(network.age(now))} old."
    notes = [
        FORMULA,
        *power_notes(result.power),
        *provenance_lines(result.provenance, source, *_price_notes(result, now)),
    ]
    return compose([header(title), section(*lines), context(*notes)], [title, *lines, *notes])


def _title(result: NetworkResult) -> str:
    earned = "hashprice unknown" if result.hashprice is None else f"{fmt.price(result.hashprice)} a PH/s a day"
    return f"Mining earns {earned}" if result.hashprice is not None else f"The bitcoin network: {earned}"


def _figure_line(name: str, value: str, rank: PercentileRank | None, format_value: Callable[[float], str]) -> str:
    return f"*{name}* {value}{_rank_text(rank, format_value)}."


def _rank_text(rank: PercentileRank | None, format_value: Callable[[float], str]) -> str:
    """Return a figure's percentile in its own history, with the prior extreme."""
    if rank is None:
        return ", its past unknown"
    since = fmt.full_day(rank.since)
    if rank.is_highest:
        return f", the highest since {since}; before: {format_value(rank.high)} on {fmt.full_day(rank.high_on)}"
    if rank.is_lowest:
        return f", the lowest since {since}; before: {format_value(rank.low)} on {fmt.full_day(rank.low_on)}"
    high = f"highest {format_value(rank.high)} on {fmt.full_day(rank.high_on)}"
    return f", higher than {fmt.whole_percent(rank.rank)} of {rank.count:,} figures since {since}; {high}"


def _retarget_line(retarget: Retarget | None, now: datetime) -> str:
    if retarget is None:
        return "*Next retarget* unknown."
    when = f"{fmt.full_moment(retarget.at)}, in {fmt.duration(retarget.at - now)}"
    return f"*Next retarget* {fmt.percent(retarget.change)} at block {retarget.height:,}, about {when}."


def _fee_lines(network: Network) -> list[str]:
    """Return the fee rate of the next block, and the share of fees in the block reward."""
    rate = [] if network.fee_rate is None else [f"{network.fee_rate:g} sat/vB for the next block"]
    parts = [*rate, *([] if network.reward is None else [_fee_share(network.reward)])]
    return [f"*Fees* {'; '.join(parts)}."] if parts else ["*Fees* unknown."]


def _fee_share(reward: Reward) -> str:
    share = 100 * reward.fees / reward.total if reward.total else 0.0
    return f"{share:.1f}% of the {reward.total:.3f} BTC that a block paid, over the last {reward.blocks} blocks"


def _hashprice_lines(result: NetworkResult) -> list[str]:
    if result.hashprice is None or result.hashprice_without_fees is None:
        return ["*Hashprice* unknown: it takes the difficulty, what a block pays, and bitcoin's price."]
    without_fees = (
        f"without fees {fmt.price(result.hashprice_without_fees)}{_rank_text(result.hashprice_rank, fmt.price)}"
    )
    return [f"*Hashprice* {fmt.price(result.hashprice)} a PH/s a day; {without_fees}."]


def _price_notes(result: NetworkResult, now: datetime) -> list[str]:
    if result.price is None:
        return ["No bitcoin price."]
    price = result.price
    return [f"Bitcoin {fmt.price(price.price)} from {escape(price.source)}, {fmt.duration(price.age(now))} old."]

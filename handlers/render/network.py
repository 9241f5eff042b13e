"""The bitcoin network: difficulty, hash rate, retarget, fees and hashprice, each against its own past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from handlers.render import fmt
from handlers.render.footers import basis
from handlers.render.markup import escape, simulated
from handlers.render.message import Message, compose, header, note, section
from services.market.network import Network, Retarget, Reward
from services.market.network_history import PercentileRank
from services.research.results import NetworkView

FORMULA = (
    "Hashprice: 86,400 s × 10^15 hashes a second, over the 2^32 × difficulty hashes that a block takes, × what a block "
    "pays in bitcoin × bitcoin's price. Its past is without fees, of which none is known."
)


def network_message(told: NetworkView, now: datetime) -> Message:
    """Render the network as of `now`."""
    seen = told.judged.network
    title = simulated(_title(told), when=told.basis.simulated)
    lines = [
        _figure("Difficulty", fmt.difficulty(seen.difficulty), told.difficulty, fmt.difficulty),
        _figure("Hash rate", fmt.hashrate(seen.hashrate), told.hashrate, fmt.hashrate),
        _retarget(seen.retarget, now),
        *_fees(seen),
        *_hashprice(told),
    ]
    source = f"Network from {escape(seen.source)}, {fmt.duration(seen.age(now))} old."
    small = [FORMULA, *basis(told.basis, source, *_price(told, now))]
    return compose([header(title), section(*lines), note(*small)], [title, *lines, *small])


def _title(told: NetworkView) -> str:
    earned = "hashprice unknown" if told.hashprice is None else f"{fmt.price(told.hashprice)} a PH/s a day"
    return f"Mining earns {earned}" if told.hashprice is not None else f"The bitcoin network: {earned}"


def _figure(name: str, written: str, stands: PercentileRank | None, write: Callable[[float], str]) -> str:
    return f"*{name}* {written}{_stands(stands, write)}."


def _stands(stands: PercentileRank | None, write: Callable[[float], str]) -> str:
    """Place a figure in its past, so that “harder than ever” is a number."""
    if stands is None:
        return ", its past unknown"
    since = fmt.full_day(stands.since)
    if stands.is_highest:
        return f", the highest since {since}; before: {write(stands.high)} on {fmt.full_day(stands.high_on)}"
    if stands.is_lowest:
        return f", the lowest since {since}; before: {write(stands.low)} on {fmt.full_day(stands.low_on)}"
    high = f"highest {write(stands.high)} on {fmt.full_day(stands.high_on)}"
    return f", higher than {fmt.share(stands.rank)} of {stands.count:,} figures since {since}; {high}"


def _retarget(coming: Retarget | None, now: datetime) -> str:
    if coming is None:
        return "*Next retarget* unknown."
    when = f"{fmt.full_moment(coming.at)}, in {fmt.duration(coming.at - now)}"
    return f"*Next retarget* {fmt.percent(coming.change)} at block {coming.height:,}, about {when}."


def _fees(seen: Network) -> list[str]:
    """Tell what the next block asks for, and what part of the reward fees are."""
    asked = [] if seen.fee_rate is None else [f"{seen.fee_rate:g} sat/vB for the next block"]
    parts = [*asked, *([] if seen.reward is None else [_share(seen.reward)])]
    return [f"*Fees* {'; '.join(parts)}."] if parts else ["*Fees* unknown."]


def _share(reward: Reward) -> str:
    share = 100 * reward.fees / reward.total if reward.total else 0.0
    return f"{share:.1f}% of the {reward.total:.3f} BTC that a block paid, over the last {reward.blocks} blocks"


def _hashprice(told: NetworkView) -> list[str]:
    if told.hashprice is None or told.without_fees is None:
        return ["*Hashprice* unknown: it takes the difficulty, what a block pays, and bitcoin's price."]
    bare = f"without fees {fmt.price(told.without_fees)}{_stands(told.hashprice_standing, fmt.price)}"
    return [f"*Hashprice* {fmt.price(told.hashprice)} a PH/s a day; {bare}."]


def _price(told: NetworkView, now: datetime) -> list[str]:
    if told.price is None:
        return ["No bitcoin price."]
    price = told.price
    return [f"Bitcoin {fmt.price(price.price)} from {escape(price.source)}, {fmt.duration(price.age(now))} old."]

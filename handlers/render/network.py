"""The bitcoin network: difficulty, hash rate, retarget, fees and hashprice, each against its own past."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.basis import basis
from handlers.render.markup import escape, simulated
from handlers.render.message import compose, header, note, section

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from handlers.render.message import Message
    from services.answers import NetworkView
    from services.domain.network import Network, Retarget, Reward
    from services.domain.network_past import Standing

FORMULA = (
    "Hashprice: 86,400 s × 10^15 hashes a second, over the 2^32 × difficulty hashes that a block takes, × what a block "
    "pays in bitcoin × bitcoin's price. Its past is without fees, of which none is known."
)


def network(told: NetworkView, now: datetime) -> Message:
    """Render the network as of `now`."""
    seen = told.judged.network
    title = simulated(_title(told), when=told.basis.simulated)
    lines = [
        _figure("Difficulty", words.difficulty(seen.difficulty), told.difficulty, words.difficulty),
        _figure("Hash rate", words.hashrate(seen.hashrate), told.hashrate, words.hashrate),
        _retarget(seen.retarget, now),
        *_fees(seen),
        *_hashprice(told),
    ]
    source = f"Network from {escape(seen.source)}, {words.duration(seen.age(now))} old."
    small = [FORMULA, *basis(told.basis, source, *_price(told, now))]
    return compose([header(title), section(*lines), note(*small)], [title, *lines, *small])


def _title(told: NetworkView) -> str:
    earned = "hashprice unknown" if told.hashprice is None else f"{words.price(told.hashprice)} a PH/s a day"
    return f"Mining earns {earned}" if told.hashprice is not None else f"The bitcoin network: {earned}"


def _figure(name: str, written: str, stands: Standing | None, write: Callable[[float], str]) -> str:
    return f"*{name}* {written}{_stands(stands, write)}."


def _stands(stands: Standing | None, write: Callable[[float], str]) -> str:
    """Place a figure in its past, so that “harder than ever” is a number."""
    if stands is None:
        return ", its past unknown"
    since = words.full_day(stands.since)
    if stands.is_highest:
        return f", the highest since {since}; before: {write(stands.high)} on {words.full_day(stands.high_on)}"
    if stands.is_lowest:
        return f", the lowest since {since}; before: {write(stands.low)} on {words.full_day(stands.low_on)}"
    high = f"highest {write(stands.high)} on {words.full_day(stands.high_on)}"
    return f", higher than {words.share(stands.rank)} of {stands.count:,} figures since {since}; {high}"


def _retarget(coming: Retarget | None, now: datetime) -> str:
    if coming is None:
        return "*Next retarget* unknown."
    when = f"{words.full_moment(coming.at)}, in {words.duration(coming.at - now)}"
    return f"*Next retarget* {words.percent(coming.change)} at block {coming.height:,}, about {when}."


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
    bare = f"without fees {words.price(told.without_fees)}{_stands(told.hashprice_standing, words.price)}"
    return [f"*Hashprice* {words.price(told.hashprice)} a PH/s a day; {bare}."]


def _price(told: NetworkView, now: datetime) -> list[str]:
    if told.price is None:
        return ["No bitcoin price."]
    price = told.price
    return [f"Bitcoin {words.price(price.price)} from {escape(price.source)}, {words.duration(price.age(now))} old."]

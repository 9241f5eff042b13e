"""A witness beside a garbled answer: whatever came of it, nothing that is wrong may be marked ok."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from services.core.prices import Bars, Closes, Quote
from services.core.sessions import sessions_between
from services.core.trust import Verdict
from services.market.consensus.closes import ConsensusHistory, consensus_bars, consensus_closes
from services.market.consensus.quorum import COIN_LIMITS, TRADE_LIMITS, AgreementLimits, consensus_trade
from services.market.feeds.freshness import MAX_LIVE_AGE
from services.market.network import Network
from services.market.network_checks import WARN, NetworkAnswer, check_network_sources
from services.market.ports import EquityPrices

SESSIONS = sessions_between(date(2015, 1, 1), date(2027, 12, 31))
MINUTE = timedelta(minutes=1)


def believed(found: object, true: object) -> list[str]:
    """Judge what came of a garbled answer alone and beside the true one; list what is marked ok and should not be."""
    match found, true:
        case EquityPrices(), EquityPrices():
            return _closes(found.closes, true.closes) + _trade(found.quote, true.quote, TRADE_LIMITS)
        case Bars(), Bars():
            return _bars(found, true)
        case Quote(), Quote():
            return _trade(found, true, COIN_LIMITS)
        case Network(), Network():
            return _network(found, true)
    return []


def _closes(found: Closes, true: Closes) -> list[str]:
    witness = replace(true, source="a witness")
    alone, both = (
        consensus_closes(true.symbol, told, SESSIONS, requires_witness=True) for told in ([found], [found, witness])
    )
    return _ok(alone, found.sessions[-1:]) + _ok(both, _wrong(both, witness.sessions, witness.prices))


def _bars(found: Bars, true: Bars) -> list[str]:
    witness = replace(true, source="a witness")
    alone, both = (consensus_bars(true.symbol, told, requires_witness=True) for told in ([found], [found, witness]))
    ended = np.timedelta64(true.interval)
    wrong = _wrong(both, witness.opened_at, witness.closes)
    return _ok(alone, found.ended_at[-1:]) + _ok(both, wrong + ended)


def _wrong(
    judged: ConsensusHistory, keys: np.typing.NDArray[np.datetime64], prices: np.typing.NDArray[np.float64]
) -> np.typing.NDArray[np.datetime64]:
    """Find the keys at which sources agree on a price that is not the witness's."""
    shared, mine, theirs = np.intersect1d(judged.agreed.keys, keys, return_indices=True)
    off = np.abs(judged.agreed.prices[mine] / prices[theirs] - 1)
    wrong: np.typing.NDArray[np.datetime64] = shared[off > judged.limits.warn]
    return wrong


def _ok(judged: ConsensusHistory, keys: np.typing.NDArray[np.datetime64]) -> list[str]:
    return [f"{judged.symbol} at {key} is ok" for key in keys if judged.trust(key).verdict is Verdict.OK]


def _trade(found: Quote | None, true: Quote | None, limits: AgreementLimits) -> list[str]:
    if found is None or true is None:
        return []
    now = true.at + MINUTE
    alone, both = (
        consensus_trade(told, limits, now, max_age=MAX_LIVE_AGE)
        for told in ([found], [found, replace(true, source="a witness")])
    )
    wrong = both.quote is not None and abs(both.quote.price / true.price - 1) > limits.warn
    seen = (alone, *([both] if wrong else []))
    return [f"{one.quote} is ok" for one in seen if one.trust.verdict is Verdict.OK]


def _network(found: Network, true: Network) -> list[str]:
    witness = Network(at=true.at, source="a witness", hashrate=true.hashrate)
    alone, both = (
        check_network_sources(told, true.at)
        for told in ([NetworkAnswer(network=found)], [NetworkAnswer(network=found), NetworkAnswer(network=witness)])
    )
    rates = [found.hashrate or 1.0, true.hashrate or 1.0]
    seen = [alone, *([both] if max(rates) > WARN * min(rates) else [])]
    return [f"{one.network} is ok" for one in seen if one and one.trust.verdict is Verdict.OK]

"""Checks that no wrong result of a corrupted response is trusted, alone or with a second source."""

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


def wrongly_trusted(result: object, true: object) -> list[str]:
    """Return what is marked OK in the result of a corrupted response, alone or next to the true one, but is wrong."""
    match result, true:
        case EquityPrices(), EquityPrices():
            return _closes(result.closes, true.closes) + _trade(result.quote, true.quote, TRADE_LIMITS)
        case Bars(), Bars():
            return _bars(result, true)
        case Quote(), Quote():
            return _trade(result, true, COIN_LIMITS)
        case Network(), Network():
            return _network(result, true)
    return []


def _closes(result: Closes, true: Closes) -> list[str]:
    witness = replace(true, source="a witness")
    alone, both = (
        consensus_closes(true.symbol, given, SESSIONS, requires_witness=True) for given in ([result], [result, witness])
    )
    return _ok(alone, result.sessions[-1:]) + _ok(both, _wrong(both, witness.sessions, witness.prices))


def _bars(result: Bars, true: Bars) -> list[str]:
    witness = replace(true, source="a witness")
    alone, both = (consensus_bars(true.symbol, given, requires_witness=True) for given in ([result], [result, witness]))
    ended = np.timedelta64(true.interval)
    wrong = _wrong(both, witness.opened_at, witness.closes)
    return _ok(alone, result.ended_at[-1:]) + _ok(both, wrong + ended)


def _wrong(
    history: ConsensusHistory, keys: np.typing.NDArray[np.datetime64], prices: np.typing.NDArray[np.float64]
) -> np.typing.NDArray[np.datetime64]:
    """Return the keys at which the agreed price isn't the witness's."""
    shared, mine, theirs = np.intersect1d(history.agreed.keys, keys, return_indices=True)
    deviation = np.abs(history.agreed.prices[mine] / prices[theirs] - 1)
    wrong: np.typing.NDArray[np.datetime64] = shared[deviation > history.limits.warn]
    return wrong


def _ok(history: ConsensusHistory, keys: np.typing.NDArray[np.datetime64]) -> list[str]:
    return [f"{history.symbol} at {key} is ok" for key in keys if history.trust(key).verdict is Verdict.OK]


def _trade(result: Quote | None, true: Quote | None, limits: AgreementLimits) -> list[str]:
    if result is None or true is None:
        return []
    now = true.at + MINUTE
    alone, both = (
        consensus_trade(given, limits, now, max_age=MAX_LIVE_AGE)
        for given in ([result], [result, replace(true, source="a witness")])
    )
    wrong = both.quote is not None and abs(both.quote.price / true.price - 1) > limits.warn
    checked = (alone, *([both] if wrong else []))
    return [f"{one.quote} is ok" for one in checked if one.trust.verdict is Verdict.OK]


def _network(result: Network, true: Network) -> list[str]:
    witness = Network(at=true.at, source="a witness", hashrate=true.hashrate)
    alone, both = (
        check_network_sources(given, true.at)
        for given in (
            [NetworkAnswer(network=result)],
            [NetworkAnswer(network=result), NetworkAnswer(network=witness)],
        )
    )
    rates = [result.hashrate or 1.0, true.hashrate or 1.0]
    checked = [alone, *([both] if max(rates) > WARN * min(rates) else [])]
    return [f"{one.network} is ok" for one in checked if one and one.trust.verdict is Verdict.OK]

"""How far the bitcoin network's figures can be trusted: against the clock, their own difficulty, and a witness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.trust import FULL, Trust, Verdict
from services.market.network import Network
from services.market.network_history import NetworkHistory

# Of the 1,818 days to April 2025 five had an average more than 1.3 times apart from the week's, and none was more than
# 2.44 times from what the difficulty implied, as in June 2021, when China forbade mining.
WARN, REJECT = 1.3, 2.5
FRESH = timedelta(hours=6)  # a quarter of the day that rewards are averaged over, and little of any hash rate
AHEAD = timedelta(minutes=5)  # by which a vendor's clock may be before ours, and an answer after the question
DUE = timedelta(hours=1)  # by which the time of a retarget is misjudged, six hours before
BEYOND_WORDS = 1e6
SAME = 1e-6  # by which one difficulty may be written differently; a retarget moves it by a thousandth at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a source has last told of the network, if ever, and what it has failed at since."""

    network: Network | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedNetwork:
    """The network as its main source sees it, and how far that can be trusted."""

    network: Network
    trust: Trust


def check_network_sources(reports: Sequence[Report], now: datetime) -> CheckedNetwork | None:
    """Hold sources, which stand in order of preference, against the clock and each other; None where none has answered.

    1. The main source is the first that knows the difficulty, else the first that has answered.
    2. What it has not told lately is stale, and so is a difficulty that was due to change since.
    3. A hash rate beyond all scatter from what its own difficulty implies, or from another source's, is suspect;
       one that is only far from another's, or without another, is degraded.
    """
    answered = [(report, report.network) for report in reports if report.network is not None]
    if not answered:
        return None
    report, main = next((pair for pair in answered if pair[1].difficulty is not None), answered[0])
    others = [other for other in reports if other is not report]
    trust = _failing(report).also(_aged(main, now)).also(_whole(main)).also(_consistent(main))
    return CheckedNetwork(network=main, trust=trust.also(_seconded(main, others, now)))


def for_rules(judged: CheckedNetwork, past: NetworkHistory | None) -> Trust:
    """Tell how far the network's past, up to now, can be trusted by a rule that measures changes on it.

    Nothing without a difficulty, nor where that is not the one since the last retarget that the past tells of. A
    difficulty has no second witness: at its best it is degraded, and its source and its time are named.
    """
    network = judged.network
    if network.difficulty is None:
        return judged.trust.also(_stale(f"{network.source} does not know the difficulty"))
    if past is None or not len(past.difficulties):
        return judged.trust.also(_stale("no source remembers the difficulties before"))
    if abs(network.difficulty / past.difficulties[-1] - 1) > SAME:
        return judged.trust.also(_stale(f"{past.source} does not know since when the difficulty is what it is"))
    return judged.trust.also(_degraded(f"the difficulty is {network.source}'s alone, of {_utc(network.at)}"))


def _failing(report: Report) -> Trust:
    return Trust(verdict=Verdict.DEGRADED, reasons=(report.problem,)) if report.problem else FULL


def _aged(network: Network, now: datetime) -> Trust:
    """Judge by the clock."""
    if network.age(now) < -AHEAD:
        return _suspect(f"the figures of {network.source} are of {_utc(network.at)}, ahead of our clock")
    if network.age(now) > network.lag + FRESH:
        return _stale(f"the last figures of {network.source} are of {_utc(network.at)}")
    if network.retarget is not None and now - network.retarget.at > DUE:
        return _stale(f"the difficulty of {network.source} was due to change at {_utc(network.retarget.at)}")
    return FULL


def _whole(network: Network) -> Trust:
    """Name what is not known; where its node is down, a source knows neither."""
    known = {"difficulty": network.difficulty, "hash rate": network.hashrate}
    missing = [name for name, figure in known.items() if figure is None]
    return _degraded(f"{network.source} does not know the {' and the '.join(missing)}") if missing else FULL


def _consistent(network: Network) -> Trust:
    """Hold a hash rate against what the difficulty implies; short of the impossible, a difference is news."""
    if network.hashrate is None or network.implied_hashrate is None:
        return FULL
    trust = _compared({_rate_of(network): network.hashrate, _implied_by(network): network.implied_hashrate})
    return trust if trust.verdict is Verdict.SUSPECT else FULL


def _seconded(main: Network, others: Sequence[Report], now: datetime) -> Trust:
    """Hold the main hash rate, or where that is unknown the implied one, against every other that is not too old."""
    own = main.hashrate or main.implied_hashrate
    trust, alone = FULL, True
    for other in others:
        witness = other.network
        if own is None or witness is None or witness.hashrate is None or _aged(witness, now) != FULL:
            continue
        name = _rate_of(main) if main.hashrate else _implied_by(main)
        trust, alone = trust.also(_compared({name: own, _rate_of(witness): witness.hashrate})), False
    if not alone:
        return trust
    return _degraded(f"{main.source} has no witness", *(other.problem for other in others if other.problem))


def _compared(rates: dict[str, float]) -> Trust:
    """Compare two hash rates, by what they are called."""
    (low, least), (high, most) = sorted(rates.items(), key=lambda rate: rate[1])
    times = most / least
    if times > REJECT:
        size = f"{times:,.1f}" if times < BEYOND_WORDS else "over a million"
        return _suspect(f"{high} is {size} times {low}")
    return _degraded(f"{high} is {times - 1:.0%} above {low}") if times > WARN else FULL


def _rate_of(network: Network) -> str:
    return f"the hash rate of {network.source}"


def _implied_by(network: Network) -> str:
    return f"what the difficulty of {network.source} implies"


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _degraded(*reasons: str) -> Trust:
    return Trust(verdict=Verdict.DEGRADED, reasons=reasons)


def _stale(reason: str) -> Trust:
    return Trust(verdict=Verdict.STALE, reasons=(reason,))


def _suspect(reason: str) -> Trust:
    return Trust(verdict=Verdict.SUSPECT, reasons=(reason,))

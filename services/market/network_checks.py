"""Cross-checks of the bitcoin network's figures against the clock, their own difficulty, and a second source."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.reason import Code, Reason
from services.core.trust import TRUSTED, Trust, Verdict
from services.market.network import Network
from services.market.network_history import NetworkHistory

# Of the 1,818 days to April 2025, five had a daily average more than 1.3 times apart from the week's. None was more
# than 2.44 times apart from what the difficulty implied; that was June 2021, when China banned mining.
WARN, REJECT = 1.3, 2.5
MAX_AGE = timedelta(hours=6)  # a quarter of the day that rewards are averaged over, and short for any hash rate
MAX_CLOCK_SKEW = timedelta(minutes=5)  # a vendor's clock may be ahead of ours, and an answer may be newer than `now`
RETARGET_TOLERANCE = timedelta(hours=1)  # error of a retarget's estimated time, six hours before it
DIFFICULTY_TOLERANCE = 1e-6  # sources round a difficulty differently; a retarget changes it by at least 0.1%


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAnswer:
    """A source's last answer about the network, if any, and its problem since."""

    network: Network | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedNetwork:
    """The network as its main source reports it, and how far that can be trusted."""

    network: Network
    trust: Trust


def check_network_sources(answers: Sequence[NetworkAnswer], now: datetime) -> CheckedNetwork | None:
    """Check sources, in order of preference, against the clock and each other; None if none has answered.

    1. The main source is the first that knows the difficulty, else the first that has answered.
    2. Its figures are stale if they are too old, or if the difficulty was due to change since.
    3. A hash rate is suspect if it is beyond all scatter from what its own difficulty implies or from another source.
       It is degraded if it is only far from another source, or if there is no other source.
    """
    answered = [(answer, answer.network) for answer in answers if answer.network is not None]
    if not answered:
        return None
    answer, main = next((pair for pair in answered if pair[1].difficulty is not None), answered[0])
    others = [other for other in answers if other is not answer]
    trust = (
        _failure_trust(answer)
        .combined_with(_age_trust(main, now))
        .combined_with(_completeness_trust(main))
        .combined_with(_consistency_trust(main))
    )
    return CheckedNetwork(network=main, trust=trust.combined_with(_witness_trust(main, others, now)))


def trust_for_rules(checked: CheckedNetwork, history: NetworkHistory | None) -> Trust:
    """Return how far a rule that measures changes can trust the network's history up to now.

    The history is stale without a difficulty, or if the current difficulty differs from that of the last known
    retarget. The difficulty has no second source, so it is degraded at best; the reason names its source and time.
    """
    network = checked.network
    if network.difficulty is None:
        return checked.trust.combined_with(_stale(Reason.of(Code.DIFFICULTY_UNKNOWN, source=network.source)))
    if history is None or not len(history.difficulties):
        return checked.trust.combined_with(_stale(Reason.of(Code.NO_PAST_DIFFICULTIES)))
    if abs(network.difficulty / history.difficulties[-1] - 1) > DIFFICULTY_TOLERANCE:
        return checked.trust.combined_with(_stale(Reason.of(Code.DIFFICULTY_START_UNKNOWN, source=history.source)))
    return checked.trust.combined_with(
        _degraded(Reason.of(Code.DIFFICULTY_FROM_ONE_SOURCE, source=network.source, at=network.at))
    )


def _failure_trust(answer: NetworkAnswer) -> Trust:
    return Trust(verdict=Verdict.DEGRADED, reasons=(answer.problem,)) if answer.problem else TRUSTED


def _age_trust(network: Network, now: datetime) -> Trust:
    """Check the figures' age and the retarget's due time."""
    if network.age(now) < -MAX_CLOCK_SKEW:
        return _suspect(Reason.of(Code.FIGURES_AHEAD_OF_CLOCK, source=network.source, at=network.at))
    if network.age(now) > network.lag + MAX_AGE:
        return _stale(Reason.of(Code.FIGURES_TOO_OLD, source=network.source, at=network.at))
    if network.retarget is not None and now - network.retarget.at > RETARGET_TOLERANCE:
        return _stale(Reason.of(Code.RETARGET_OVERDUE, source=network.source, due_at=network.retarget.at))
    return TRUSTED


def _completeness_trust(network: Network) -> Trust:
    """Return DEGRADED with the names of missing figures; a source whose node is down knows neither."""
    known = {"difficulty": network.difficulty, "hashrate": network.hashrate}
    missing = [name for name, figure in known.items() if figure is None]
    unknown = Reason.of(Code.FIGURES_UNKNOWN, source=network.source, figures=missing)
    return _degraded(unknown) if missing else TRUSTED


def _consistency_trust(network: Network) -> Trust:
    """Compare a hash rate with the one that the difficulty implies; only an impossible difference is suspect."""
    if network.hashrate is None or network.implied_hashrate is None:
        return TRUSTED
    trust = _comparison_trust(
        {_hashrate_name(network): network.hashrate, _implied_name(network): network.implied_hashrate}
    )
    return trust if trust.verdict is Verdict.SUSPECT else TRUSTED


def _witness_trust(main: Network, others: Sequence[NetworkAnswer], now: datetime) -> Trust:
    """Compare the main hash rate (or the implied one if it is unknown) with every other source that is fresh."""
    main_rate = main.hashrate or main.implied_hashrate
    trust, has_witness = TRUSTED, False
    for other in others:
        witness = other.network
        if main_rate is None or witness is None or witness.hashrate is None or _age_trust(witness, now) != TRUSTED:
            continue
        name = _hashrate_name(main) if main.hashrate else _implied_name(main)
        trust = trust.combined_with(_comparison_trust({name: main_rate, _hashrate_name(witness): witness.hashrate}))
        has_witness = True
    if has_witness:
        return trust
    no_witness = Reason.of(Code.NO_WITNESS, source=main.source)
    return _degraded(no_witness, *(other.problem for other in others if other.problem))


def _comparison_trust(rates: dict[Reason, float]) -> Trust:
    """Compare two hash rates, keyed by their names in the reason."""
    (low_name, low_rate), (high_name, high_rate) = sorted(rates.items(), key=lambda rate: rate[1])
    ratio = high_rate / low_rate
    if ratio > REJECT:
        return _suspect(Reason.of(Code.HASHRATES_IMPOSSIBLE, high=high_name, low=low_name, ratio=ratio))
    if ratio > WARN:
        return _degraded(Reason.of(Code.HASHRATES_APART, high=high_name, low=low_name, ratio=ratio))
    return TRUSTED


def _hashrate_name(network: Network) -> Reason:
    return Reason.of(Code.HASHRATE_OF, source=network.source)


def _implied_name(network: Network) -> Reason:
    return Reason.of(Code.IMPLIED_HASHRATE_OF, source=network.source)


def _degraded(*reasons: Reason | str) -> Trust:
    return Trust(verdict=Verdict.DEGRADED, reasons=reasons)


def _stale(reason: Reason) -> Trust:
    return Trust(verdict=Verdict.STALE, reasons=(reason,))


def _suspect(reason: Reason) -> Trust:
    return Trust(verdict=Verdict.SUSPECT, reasons=(reason,))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrustedHistory:
    """The network's history up to now for rules, and how far it can be trusted."""

    history: NetworkHistory
    trust: Trust

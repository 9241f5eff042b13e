import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.reason import Code, Reason
from services.core.trust import TRUSTED, Trust, Verdict
from services.market.network import Network, Retarget
from services.market.network_checks import (
    MAX_AGE,
    CheckedNetwork,
    NetworkAnswer,
    check_network_sources,
    trust_for_rules,
)
from services.market.network_history import EMPTY_HISTORY, NetworkHistory
from tests.fakes.reasons import reason

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MAIN = Network(
    at=NOW,
    source="mempool.space",
    hashrate=1.0e21,
    difficulty=140e12,  # which implies 1.002e21
    retarget=Retarget(change=-0.025, height=977760, at=NOW + 7 * DAY),
)
WITNESS = Network(at=NOW - 1.75 * DAY, source="Blockchain.com", hashrate=0.98e21, lag=3 * DAY)


def checked(*networks: Network, now: datetime = NOW) -> CheckedNetwork:
    result = check_network_sources([NetworkAnswer(network=network) for network in networks], now)
    assert result is not None
    return result


def test_the_difficulty_implies_the_hash_rate_that_finds_a_block_in_ten_minutes() -> None:
    assert 2**32 * 7 == replace(MAIN, difficulty=4200.0).implied_hashrate
    assert WITNESS.implied_hashrate is None


def test_two_agreeing_sources_are_trusted_and_the_one_with_the_difficulty_is_main() -> None:
    assert CheckedNetwork(network=MAIN, trust=TRUSTED) == checked(MAIN, WITNESS) == checked(WITNESS, MAIN)


DAYS = np.array(["2026-11-01", "2026-11-15"], dtype="datetime64[s]")
HISTORY = replace(
    EMPTY_HISTORY,
    source="mempool.space",
    retargets_at=DAYS,
    difficulties=np.array([120e12, 140e12]),
    heights=np.array([1, 2]),
)


@pytest.mark.parametrize(
    ("main", "past", "verdict", "reason"),
    [
        pytest.param(
            MAIN,
            HISTORY,
            Verdict.DEGRADED,
            reason(Code.DIFFICULTY_FROM_ONE_SOURCE, at="2026-11-20T18:00:00+00:00", source="mempool.space"),
            id="ok",
        ),
        pytest.param(
            replace(MAIN, difficulty=None),
            HISTORY,
            Verdict.STALE,
            reason(Code.DIFFICULTY_UNKNOWN, source="mempool.space"),
            id="none",
        ),
        pytest.param(MAIN, None, Verdict.STALE, reason(Code.NO_PAST_DIFFICULTIES), id="no history"),
        pytest.param(MAIN, EMPTY_HISTORY, Verdict.STALE, reason(Code.NO_PAST_DIFFICULTIES), id="an empty history"),
        pytest.param(
            replace(MAIN, difficulty=141e12),
            HISTORY,
            Verdict.STALE,
            reason(Code.DIFFICULTY_START_UNKNOWN, source="mempool.space"),
            id="a retarget that the history does not have yet",
        ),
        pytest.param(
            replace(MAIN, retarget=Retarget(change=0.01, height=2, at=NOW - 2 * HOUR)),
            HISTORY,
            Verdict.STALE,
            reason(Code.RETARGET_OVERDUE, due_at="2026-11-20T16:00:00+00:00", source="mempool.space"),
            id="an overdue retarget",
        ),
    ],
)
def test_trust_for_rules_needs_a_difficulty_that_matches_the_history(
    main: Network, past: NetworkHistory | None, verdict: Verdict, reason: Reason
) -> None:
    trust = trust_for_rules(checked(main, WITNESS), past)

    assert verdict is trust.verdict
    assert reason in trust.reasons


def test_without_an_answer_there_is_no_checked_network() -> None:
    assert check_network_sources([NetworkAnswer(problem="mempool.space (network): away"), NetworkAnswer()], NOW) is None


@pytest.mark.parametrize(
    ("main", "witness", "verdict", "reason"),
    [
        pytest.param({}, {"hashrate": 1.29e21}, Verdict.OK, None, id="a witness within its scatter"),
        pytest.param(
            {},
            {"hashrate": 1.4e21},
            Verdict.DEGRADED,
            reason(
                Code.HASHRATES_APART,
                high=reason(Code.HASHRATE_OF, source="Blockchain.com"),
                low=reason(Code.HASHRATE_OF, source="mempool.space"),
                ratio=1.4,
            ),
            id="a witness beyond it",
        ),
        pytest.param(
            {},
            {"hashrate": 0.5e21},
            Verdict.DEGRADED,
            reason(
                Code.HASHRATES_APART,
                high=reason(Code.HASHRATE_OF, source="mempool.space"),
                low=reason(Code.HASHRATE_OF, source="Blockchain.com"),
                ratio=2.0,
            ),
            id="a witness beyond it on the other side",
        ),
        pytest.param(
            {},
            {"hashrate": 1e24},
            Verdict.SUSPECT,
            reason(
                Code.HASHRATES_IMPOSSIBLE,
                high=reason(Code.HASHRATE_OF, source="Blockchain.com"),
                low=reason(Code.HASHRATE_OF, source="mempool.space"),
                ratio=1000.0,
            ),
            id="a witness in another unit",
        ),
        pytest.param(
            {"hashrate": 1e18},
            {},
            Verdict.SUSPECT,
            reason(
                Code.HASHRATES_IMPOSSIBLE,
                high=reason(Code.IMPLIED_HASHRATE_OF, source="mempool.space"),
                low=reason(Code.HASHRATE_OF, source="mempool.space"),
                ratio=1002.0,
            ),
            id="a hash rate in another unit than its difficulty",
        ),
        pytest.param(
            {"difficulty": 1.0},
            {},
            Verdict.SUSPECT,
            reason(
                Code.HASHRATES_IMPOSSIBLE,
                high=reason(Code.HASHRATE_OF, source="mempool.space"),
                low=reason(Code.IMPLIED_HASHRATE_OF, source="mempool.space"),
                ratio=139700000000000.0,
            ),
            id="a difficulty of another network",
        ),
        pytest.param(
            {"hashrate": 0.6e21}, {"hashrate": 0.6e21}, Verdict.OK, None, id="half the miners gone, as in 2021"
        ),
        pytest.param(
            {"hashrate": None},
            {},
            Verdict.DEGRADED,
            reason(Code.FIGURES_UNKNOWN, figures=("hashrate",), source="mempool.space"),
            id="an unknown hash rate",
        ),
        pytest.param(
            {"hashrate": None},
            {"hashrate": 1e24},
            Verdict.SUSPECT,
            reason(
                Code.HASHRATES_IMPOSSIBLE,
                high=reason(Code.HASHRATE_OF, source="Blockchain.com"),
                low=reason(Code.IMPLIED_HASHRATE_OF, source="mempool.space"),
                ratio=997.8,
            ),
            id="a witness against the difficulty alone",
        ),
        pytest.param(
            {"hashrate": None, "difficulty": None},
            {},
            Verdict.DEGRADED,
            reason(Code.FIGURES_UNKNOWN, figures=("difficulty", "hashrate"), source="mempool.space"),
            id="a node that is down",
        ),
        pytest.param(
            {"at": NOW - MAX_AGE - timedelta(seconds=1)},
            {},
            Verdict.STALE,
            reason(Code.FIGURES_TOO_OLD, at="2026-11-20T11:59:59+00:00", source="mempool.space"),
            id="figures that are too old",
        ),
        pytest.param({"at": NOW - MAX_AGE}, {}, Verdict.OK, None, id="figures at the age limit"),
        pytest.param(
            {"at": NOW + timedelta(minutes=6)},
            {},
            Verdict.SUSPECT,
            reason(Code.FIGURES_AHEAD_OF_CLOCK, at="2026-11-20T18:06:00+00:00", source="mempool.space"),
            id="figures in the future",
        ),
        pytest.param({"at": NOW + timedelta(minutes=5)}, {}, Verdict.OK, None, id="an answer slightly newer than now"),
        pytest.param(
            {"retarget": Retarget(change=0.05, height=977760, at=NOW - timedelta(minutes=61))},
            {},
            Verdict.STALE,
            reason(Code.RETARGET_OVERDUE, due_at="2026-11-20T16:59:00+00:00", source="mempool.space"),
            id="a difficulty from before its change",
        ),
        pytest.param(
            {"retarget": Retarget(change=0.05, height=977760, at=NOW - HOUR)}, {}, Verdict.OK, None, id="a late block"
        ),
        pytest.param({"retarget": None}, {}, Verdict.OK, None, id="no retarget known"),
        pytest.param({}, {"at": NOW - 3 * DAY - MAX_AGE}, Verdict.OK, None, id="a witness at its normal age"),
        pytest.param(
            {},
            {"at": NOW - 3 * DAY - 7 * HOUR},
            Verdict.DEGRADED,
            reason(Code.NO_WITNESS, source="mempool.space"),
            id="a witness that is too old",
        ),
        pytest.param(
            {},
            {"hashrate": None},
            Verdict.DEGRADED,
            reason(Code.NO_WITNESS, source="mempool.space"),
            id="a witness without figures",
        ),
    ],
)
def test_figures_are_checked_against_the_clock_and_the_witness(
    main: dict[str, object], witness: dict[str, object], verdict: Verdict, reason: Reason | None
) -> None:
    trust = checked(replace(MAIN, **main), replace(WITNESS, **witness)).trust  # type: ignore[arg-type]

    assert verdict is trust.verdict
    assert (reason in trust.reasons) if reason else () == trust.reasons


def test_a_source_with_only_a_hash_rate_is_degraded() -> None:
    assert CheckedNetwork(
        network=WITNESS,
        trust=Trust(
            verdict=Verdict.DEGRADED,
            reasons=(
                reason(Code.FIGURES_UNKNOWN, figures=("difficulty",), source="Blockchain.com"),
                reason(Code.NO_WITNESS, source="Blockchain.com"),
            ),
        ),
    ) == checked(WITNESS)


def test_a_failing_source_is_named_and_its_old_answer_ages() -> None:
    answers = [NetworkAnswer(network=MAIN, problem="mempool.space (network): away"), NetworkAnswer(network=WITNESS)]
    fresh, old = check_network_sources(answers, NOW), check_network_sources(answers, NOW + 7 * HOUR)

    assert fresh is not None
    assert Trust(verdict=Verdict.DEGRADED, reasons=("mempool.space (network): away",)) == fresh.trust
    assert old is not None
    assert Verdict.STALE is old.trust.verdict
    assert (
        "mempool.space (network): away",
        reason(Code.FIGURES_TOO_OLD, at="2026-11-20T18:00:00+00:00", source="mempool.space"),
    ) == old.trust.reasons


def test_a_witness_that_never_answered_is_named_with_its_failure() -> None:
    result = check_network_sources(
        [NetworkAnswer(network=MAIN), NetworkAnswer(problem="Blockchain.com (network): away")], NOW
    )

    assert result is not None
    assert (reason(Code.NO_WITNESS, source="mempool.space"), "Blockchain.com (network): away") == result.trust.reasons


@given(st.floats(min_value=1e-300, max_value=1e40), st.floats(min_value=1e-300, max_value=1e40))
def test_any_figures_give_a_verdict_with_short_reasons(main_rate: float, witness_rate: float) -> None:
    trust = checked(replace(MAIN, hashrate=main_rate), replace(WITNESS, hashrate=witness_rate)).trust

    assert all(len(str(reason)) < 400 for reason in trust.reasons)
    assert trust.verdict is Verdict.SUSPECT or abs(math.log(main_rate / witness_rate)) <= math.log(2.5)

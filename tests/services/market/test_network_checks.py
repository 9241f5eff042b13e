from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
            "the difficulty is mempool.space's alone, of 2026-11-20 18:00 UTC",
            id="ok",
        ),
        pytest.param(
            replace(MAIN, difficulty=None),
            HISTORY,
            Verdict.STALE,
            "mempool.space does not know the difficulty",
            id="none",
        ),
        pytest.param(MAIN, None, Verdict.STALE, "no source remembers the difficulties before", id="no history"),
        pytest.param(
            MAIN, EMPTY_HISTORY, Verdict.STALE, "no source remembers the difficulties before", id="an empty history"
        ),
        pytest.param(
            replace(MAIN, difficulty=141e12),
            HISTORY,
            Verdict.STALE,
            "mempool.space does not know since when the difficulty is what it is",
            id="a retarget that the history does not have yet",
        ),
        pytest.param(
            replace(MAIN, retarget=Retarget(change=0.01, height=2, at=NOW - 2 * HOUR)),
            HISTORY,
            Verdict.STALE,
            "was due to change at 2026-11-20 16:00 UTC",
            id="an overdue retarget",
        ),
    ],
)
def test_trust_for_rules_needs_a_difficulty_that_matches_the_history(
    main: Network, past: NetworkHistory | None, verdict: Verdict, reason: str
) -> None:
    trust = trust_for_rules(checked(main, WITNESS), past)

    assert verdict is trust.verdict
    assert reason in "; ".join(trust.reasons)


def test_without_an_answer_there_is_no_checked_network() -> None:
    assert (
        check_network_sources([NetworkAnswer(problem="mempool.space on network: away"), NetworkAnswer()], NOW) is None
    )


@pytest.mark.parametrize(
    ("main", "witness", "verdict", "reason"),
    [
        pytest.param({}, {"hashrate": 1.29e21}, Verdict.OK, None, id="a witness within its scatter"),
        pytest.param(
            {},
            {"hashrate": 1.4e21},
            Verdict.DEGRADED,
            "the hash rate of Blockchain.com is 40% above the hash rate of mempool.space",
            id="a witness beyond it",
        ),
        pytest.param(
            {},
            {"hashrate": 0.5e21},
            Verdict.DEGRADED,
            "the hash rate of mempool.space is 100% above the hash rate of Blockchain.com",
            id="a witness beyond it on the other side",
        ),
        pytest.param(
            {},
            {"hashrate": 1e24},
            Verdict.SUSPECT,
            "the hash rate of Blockchain.com is 1,000.0 times the hash rate of mempool.space",
            id="a witness in another unit",
        ),
        pytest.param(
            {"hashrate": 1e18},
            {},
            Verdict.SUSPECT,
            "what the difficulty of mempool.space implies is 1,002.2 times the hash rate of mempool.space",
            id="a hash rate in another unit than its difficulty",
        ),
        pytest.param(
            {"difficulty": 1.0},
            {},
            Verdict.SUSPECT,
            "the hash rate of mempool.space is over a million times what the difficulty of mempool.space implies",
            id="a difficulty of another network",
        ),
        pytest.param(
            {"hashrate": 0.6e21}, {"hashrate": 0.6e21}, Verdict.OK, None, id="half the miners gone, as in 2021"
        ),
        pytest.param(
            {"hashrate": None},
            {},
            Verdict.DEGRADED,
            "mempool.space does not know the hash rate",
            id="an unknown hash rate",
        ),
        pytest.param(
            {"hashrate": None},
            {"hashrate": 1e24},
            Verdict.SUSPECT,
            "the hash rate of Blockchain.com is 997.8 times what the difficulty of mempool.space implies",
            id="a witness against the difficulty alone",
        ),
        pytest.param(
            {"hashrate": None, "difficulty": None},
            {},
            Verdict.DEGRADED,
            "mempool.space does not know the difficulty and the hash rate",
            id="a node that is down",
        ),
        pytest.param(
            {"at": NOW - MAX_AGE - timedelta(seconds=1)},
            {},
            Verdict.STALE,
            "the last figures of mempool.space are of 2026-11-20 11:59 UTC",
            id="figures that are too old",
        ),
        pytest.param({"at": NOW - MAX_AGE}, {}, Verdict.OK, None, id="figures at the age limit"),
        pytest.param(
            {"at": NOW + timedelta(minutes=6)},
            {},
            Verdict.SUSPECT,
            "the figures of mempool.space are of 2026-11-20 18:06 UTC, ahead of our clock",
            id="figures in the future",
        ),
        pytest.param({"at": NOW + timedelta(minutes=5)}, {}, Verdict.OK, None, id="an answer slightly newer than now"),
        pytest.param(
            {"retarget": Retarget(change=0.05, height=977760, at=NOW - timedelta(minutes=61))},
            {},
            Verdict.STALE,
            "the difficulty of mempool.space was due to change at 2026-11-20 16:59 UTC",
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
            "mempool.space has no witness",
            id="a witness that is too old",
        ),
        pytest.param(
            {}, {"hashrate": None}, Verdict.DEGRADED, "mempool.space has no witness", id="a witness without figures"
        ),
    ],
)
def test_figures_are_checked_against_the_clock_and_the_witness(
    main: dict[str, object], witness: dict[str, object], verdict: Verdict, reason: str | None
) -> None:
    trust = checked(replace(MAIN, **main), replace(WITNESS, **witness)).trust  # type: ignore[arg-type]

    assert verdict is trust.verdict
    assert (reason in trust.reasons) if reason else () == trust.reasons


def test_a_source_with_only_a_hash_rate_is_degraded() -> None:
    assert CheckedNetwork(
        network=WITNESS,
        trust=Trust(
            verdict=Verdict.DEGRADED,
            reasons=("Blockchain.com does not know the difficulty", "Blockchain.com has no witness"),
        ),
    ) == checked(WITNESS)


def test_a_failing_source_is_named_and_its_old_answer_ages() -> None:
    answers = [NetworkAnswer(network=MAIN, problem="mempool.space on network: away"), NetworkAnswer(network=WITNESS)]
    fresh, old = check_network_sources(answers, NOW), check_network_sources(answers, NOW + 7 * HOUR)

    assert fresh is not None
    assert Trust(verdict=Verdict.DEGRADED, reasons=("mempool.space on network: away",)) == fresh.trust
    assert old is not None
    assert Verdict.STALE is old.trust.verdict
    assert (
        "mempool.space on network: away",
        "the last figures of mempool.space are of 2026-11-20 18:00 UTC",
    ) == old.trust.reasons


def test_a_witness_that_never_answered_is_named_with_its_failure() -> None:
    result = check_network_sources(
        [NetworkAnswer(network=MAIN), NetworkAnswer(problem="Blockchain.com on network: away")], NOW
    )

    assert result is not None
    assert ("mempool.space has no witness", "Blockchain.com on network: away") == result.trust.reasons


@given(st.floats(min_value=1e-300, max_value=1e40), st.floats(min_value=1e-300, max_value=1e40))
def test_any_figures_give_a_verdict_with_short_reasons(main_rate: float, witness_rate: float) -> None:
    trust = checked(replace(MAIN, hashrate=main_rate), replace(WITNESS, hashrate=witness_rate)).trust

    assert all(len(reason) < 200 for reason in trust.reasons)
    assert trust.verdict is Verdict.SUSPECT or abs(math.log(main_rate / witness_rate)) <= math.log(2.5)

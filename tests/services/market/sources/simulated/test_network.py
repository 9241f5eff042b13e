from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from services.core.errors import SourceError
from services.core.prices import to_datetime64
from services.core.reason import Code, Reason
from services.market.feeds.network import NetworkFeed
from services.market.network import BLOCK_S, HASHES
from services.market.network_checks import check_network_sources
from services.market.sources.simulated.network import BLOCKS_PER_RETARGET, REWARD_BLOCKS, SimulatedNetwork
from tests.fakes.clock import SetClock

NOW = datetime(2026, 6, 18, 15, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def at(now: datetime = NOW, seed: int = 1) -> SimulatedNetwork:
    return SimulatedNetwork(SetClock(now), seed=seed)


async def test_blocks_arrive_about_every_ten_minutes_even_after_a_retarget() -> None:
    past = await at().history()
    spans = np.diff(past.retargets_at).astype(np.float64) / BLOCKS_PER_RETARGET
    changes = past.difficulties[1:] / past.difficulties[:-1]

    assert {BLOCKS_PER_RETARGET} == set(np.diff(past.heights).tolist())
    assert spans.mean() == pytest.approx(BLOCK_S, rel=0.02)
    np.testing.assert_allclose(changes, BLOCK_S / spans, rtol=1e-4)
    assert abs(np.log(changes)).max() < 0.2


async def test_the_difficulty_follows_the_hash_rate() -> None:
    past = await at().history()
    implied = past.difficulties_at(past.days.astype("datetime64[s]")) * HASHES / BLOCK_S
    apart = past.hashrates / implied
    assert np.nanmedian(apart) == pytest.approx(1.0, abs=0.02)
    assert 0.75 < np.nanmin(apart) < np.nanmax(apart) < 1.35


@pytest.mark.parametrize("year", range(2022, 2041, 2))
async def test_in_even_years_mining_is_harder_than_ever(year: int) -> None:
    past = await at(datetime(year, 12, 1, tzinfo=UTC)).history()
    hardest = past.retargets_at[np.argmax(past.difficulties)]
    assert year == hardest.astype(datetime).year


async def test_a_retarget_happens_as_estimated() -> None:
    before = await at().network()
    assert before.retarget is not None
    assert before.difficulty is not None

    after = await at(before.retarget.at).network()
    past = await at(before.retarget.at).history()

    assert after.difficulty == pytest.approx(before.difficulty * (1 + before.retarget.change))
    assert (before.retarget.height, to_datetime64(before.retarget.at)) == (past.heights[-1], past.retargets_at[-1])
    assert past.difficulties[-1] == after.difficulty


async def test_the_history_ends_at_the_clock() -> None:
    past, later = await at().history(), await at(NOW + 40 * DAY).history()
    assert past.retargets_at[-1] <= to_datetime64(NOW)
    assert past.days[-1] < to_datetime64(NOW).astype("datetime64[D]")
    np.testing.assert_array_equal(past.hashrates[40:], later.hashrates[: len(past.days) - 40])


async def test_a_halving_halves_the_block_subsidy() -> None:
    before = await at(datetime(2024, 1, 1, tzinfo=UTC)).network()
    after = await at(datetime(2025, 1, 1, tzinfo=UTC)).network()
    assert before.reward is not None
    assert after.reward is not None
    assert (6.25, 3.125) == pytest.approx(
        (before.reward.total - before.reward.fees, after.reward.total - after.reward.fees)
    )
    assert REWARD_BLOCKS == before.reward.blocks
    assert after.fee_rate is not None
    assert after.fee_rate >= 1


async def test_its_data_passes_the_checks_on_every_day_of_a_year() -> None:
    for days in range(0, 365, 7):
        now = datetime(2026, 1, 1, 3, tzinfo=UTC) + days * DAY
        judged = check_network_sources([await NetworkFeed(at(now)).read(now)], now)
        assert judged is not None
        assert (Reason.of(Code.NO_WITNESS, source="SIMULATED"),) == judged.trust.reasons


async def test_each_seed_has_its_own_network_and_name() -> None:
    one, same, other = at(), at(), at(seed=7)
    assert await one.network() == await same.network()
    assert (await one.network()).difficulty != (await other.network()).difficulty
    assert ("SIMULATED", "SIMULATED 7") == (one.name, other.name)


@pytest.mark.parametrize("year", [2020, 2041])
async def test_a_time_outside_its_years_is_an_error(year: int) -> None:
    source = at(datetime(year, 6, 1, tzinfo=UTC))
    with pytest.raises(SourceError, match="from 2021 to 2040"):
        await source.network()
    with pytest.raises(SourceError, match="from 2021 to 2040"):
        await source.history()

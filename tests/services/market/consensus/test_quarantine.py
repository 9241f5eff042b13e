from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.prices import WGMI_BTC, Closes, Symbol
from services.core.reason import Code, Reason
from services.core.sessions import sessions_between
from services.market.align import align
from services.market.consensus.quarantine import (
    COIN_QUARANTINE,
    quarantined_rows,
    spike_reason,
    unexplained_split_reason,
)
from services.market.consensus.quorum import CLOSE_LIMITS, ConsensusPrices, SourcePrices, consensus_prices
from services.market.sources.files.prices import read_crypto_csv
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.price_files import DATA, bad_feed, bitcoin, closes, needs_data
from tests.fakes.reasons import reason, reason_with

DAILY = np.tile([0.02, -0.02, 0.01, -0.01], 80)  # a robust sigma of 2.2%: six are 13.3%
HISTORY = 20 * np.cumprod(np.append(1.0, 1 + DAILY))


def unconfirmed(code: Code, **move: object) -> Reason:
    """Return the reason of a move that no second source confirms."""
    expected: Reason = reason(Code.MOVE_UNCONFIRMED, move=reason_with(code, **move))
    return expected


def quarantine_moves(
    *moves: float, witnesses: int = 1, past: int = len(HISTORY)
) -> tuple[ConsensusPrices, dict[int, Reason]]:
    """Append moves to a history of small ones; return the consensus and the reasons by the index of the move."""
    prices = HISTORY[-past:][-1] * np.cumprod(1 + np.array(moves))
    agreed = consensus_of(np.append(HISTORY[-past:], prices), [1] * past + [witnesses] * len(moves))
    return agreed, {row - past: reason for row, reason in quarantined_rows(agreed, np.arange(len(agreed.keys))).items()}


def consensus_of(prices: np.typing.ArrayLike, witnesses: list[int]) -> ConsensusPrices:
    column = np.asarray(prices, dtype=float)
    return ConsensusPrices(
        keys=np.datetime64("2024-01-02", "D") + np.arange(len(column)),
        prices=column,
        witnesses=np.array(witnesses, dtype=np.intp),
        dispersion=np.zeros(len(column)),
        rejected=(),
    )


@pytest.mark.parametrize(
    ("moves", "quarantined"),
    [
        pytest.param([0.13, 0.01], [], id="within six sigmas"),
        pytest.param([0.14], [0], id="beyond six sigmas, up"),
        pytest.param([-0.14], [0], id="beyond six sigmas, down"),
        pytest.param([0.30, -0.23], [0], id="a bad tick of one session"),
        pytest.param([0.30, 0.01, -0.23], [0, 1], id="a bad tick of two sessions"),
        pytest.param([0.30, 0.01], [0, 1], id="a new level, one session later"),
        pytest.param([0.30, 0.01, -0.02], [], id="a new level that two sessions confirm"),
        pytest.param([0.30, 0.01, -0.02, 0.30, 0.01, 0.01], [], id="two new levels"),
        pytest.param([0.30, 0.01, -0.02, 0.30], [3], id="a bad tick after a new level"),
        *(
            pytest.param([0.12, -0.12] * wild + [0.30], [2 * wild], id=f"a bad tick after {2 * wild} wild sessions")
            for wild in range(1, 4)
        ),
        pytest.param([0.12, 0.30], [1], id="a bad tick after a wild session"),
        pytest.param([9.0], [0], id="a reverse split"),
        pytest.param([9.0, 0.04, 0.01, 0.0], [0], id="a confirmed reverse split is quarantined on its own day"),
        pytest.param([9.0, -0.9], [0], id="a reverted reverse split"),
        pytest.param([0.30, 1.0, 0.01, 0.01], [0], id="a bad tick on the day before a new level"),
        pytest.param([0.0, 0.0, 0.0], [], id="nothing"),
    ],
)
def test_which_single_source_prices_are_quarantined(moves: list[float], quarantined: list[int]) -> None:
    assert quarantined == list(quarantine_moves(*moves)[1])


@pytest.mark.parametrize("move", [0.6, -0.5, 9.0])
def test_a_price_of_two_sources_is_accepted(move: float) -> None:
    assert {} == quarantine_moves(move, 0.01, witnesses=2)[1]


@pytest.mark.parametrize(
    ("move", "reason"),
    [
        pytest.param(0.30, unconfirmed(Code.MOVED_FAR, moved=0.3, period="day"), id="a spike"),
        pytest.param(9.0, unconfirmed(Code.MOVED_LIKE_SPLIT, moved=9.0, new=1, old=10), id="a reverse split"),
        pytest.param(-0.9, unconfirmed(Code.MOVED_LIKE_SPLIT, moved=-0.9, new=10, old=1), id="a split"),
        pytest.param(-0.33, unconfirmed(Code.MOVED_LIKE_SPLIT, moved=-0.33, new=3, old=2), id="three for two"),
        pytest.param(0.985, unconfirmed(Code.MOVED_LIKE_SPLIT, moved=0.985, new=1, old=2), id="0.75% off a split"),
        pytest.param(0.96, unconfirmed(Code.MOVED_FAR, moved=0.96, period="day"), id="2% off a split"),
    ],
)
def test_the_reason_names_a_spike_or_a_split(move: float, reason: Reason) -> None:
    agreed, quarantined = quarantine_moves(move)

    assert {0: reason} == quarantined
    assert reason == spike_reason(consensus_of(HISTORY, [1] * len(HISTORY)), float(agreed.prices[-1]))


HOURLY = np.tile([0.002, -0.002, 0.001, -0.001], 80)  # six robust sigmas are 1.3%
HOURS = 50_000 * np.cumprod(np.append(1.0, 1 + HOURLY))


@pytest.mark.parametrize(
    ("moves", "reasons"),
    [
        pytest.param([0.049], {}, id="an hour within the limit"),
        pytest.param([0.051], {0: unconfirmed(Code.MOVED_FAR, moved=0.051, period="hour")}, id="a jump"),
        pytest.param([-0.3], {0: unconfirmed(Code.MOVED_FAR, moved=-0.3, period="hour")}, id="a flash crash"),
        pytest.param(
            [1.0],
            {0: unconfirmed(Code.MOVED_FAR, moved=1.0, period="hour")},
            id="a split ratio, which coins do not have",
        ),
        pytest.param([-0.3, 0.01, -0.01], {}, id="a level that two hours confirm"),
    ],
)
def test_a_jump_of_a_coin_at_a_single_venue_is_quarantined(moves: list[float], reasons: dict[int, Reason]) -> None:
    prices = np.append(HOURS, HOURS[-1] * np.cumprod(1 + np.array(moves)))
    rows = len(HOURS)

    quarantined = quarantined_rows(consensus_of(prices, [1] * len(prices)), np.arange(len(prices)), COIN_QUARANTINE)

    assert reasons == {row - rows: reason for row, reason in quarantined.items()}
    if len(moves) == 1:
        assert reasons.get(0) == spike_reason(consensus_of(HOURS, [1] * rows), float(prices[-1]), COIN_QUARANTINE)


def test_a_coin_may_move_further_over_several_hours() -> None:
    past = consensus_of(HOURS, [1] * len(HOURS))

    assert spike_reason(past, HOURS[-1] * 1.09, COIN_QUARANTINE, steps=4) is None
    assert unconfirmed(Code.MOVED_FAR, moved=0.11, period="hour", step="hour", steps=4) == spike_reason(
        past, HOURS[-1] * 1.11, COIN_QUARANTINE, steps=4
    )


def test_a_short_history_detects_splits_but_no_spikes() -> None:
    assert {} == quarantine_moves(0.3, past=60)[1]  # 59 returns
    assert [0] == list(quarantine_moves(0.3, past=61)[1])
    assert [0] == list(quarantine_moves(1.0, past=2)[1])


def test_a_price_that_never_moved_has_no_spikes() -> None:
    agreed = consensus_of([20.0] * 100 + [26.0], [1] * 101)

    assert {} == quarantined_rows(agreed, np.arange(101))


def test_a_share_that_hardly_moved_may_start_moving() -> None:
    shell = 10 + 0.01 * (np.arange(100) % 3)
    agreed = consensus_of([*shell, 10.9, 10.0, 10.8], [1] * 103)  # hundreds of its sigmas, but less than a tenth

    assert {} == quarantined_rows(agreed, np.arange(103))


def test_a_return_over_missing_sessions_may_be_larger() -> None:
    agreed = consensus_of(np.append(HISTORY, HISTORY[-1] * 1.25), [1] * (len(HISTORY) + 1))
    positions = np.arange(len(agreed.keys))
    later = positions + np.where(positions == len(HISTORY), 3, 0)  # three sessions are missing: twice the sigma

    assert unconfirmed(Code.MOVED_FAR, moved=0.25, period="day") == quarantined_rows(agreed, positions)[len(HISTORY)]
    assert {} == quarantined_rows(agreed, later)
    agreed.prices[-1] = HISTORY[-1] * 1.27
    assert (
        unconfirmed(Code.MOVED_FAR, moved=0.27, period="day", step="session", steps=4)
        == quarantined_rows(agreed, later)[len(HISTORY)]
    )


def test_two_keys_of_one_session_are_a_session_apart() -> None:
    agreed = consensus_of([*HISTORY, HISTORY[-1] * 1.01, HISTORY[-1] * 1.3], [1] * (len(HISTORY) + 2))
    positions = np.minimum(
        np.arange(len(agreed.keys)), len(HISTORY)
    )  # a close on a holiday has the position of the next session

    assert [len(HISTORY) + 1] == list(quarantined_rows(agreed, positions))


def test_a_key_without_an_accepted_price_is_skipped() -> None:
    agreed = consensus_of([*HISTORY, np.nan, HISTORY[-1] * 1.01, np.nan], [1] * len(HISTORY) + [0, 1, 0])

    assert {} == quarantined_rows(agreed, np.arange(len(agreed.keys)))


def test_a_witness_at_the_new_level_releases_the_prices_after_it() -> None:
    agreed = consensus_of(
        [*HISTORY, *(HISTORY[-1] * np.array([2.0, 2.02, 2.0, 2.01]))], [1] * len(HISTORY) + [1, 2, 1, 1]
    )

    assert [len(HISTORY)] == list(quarantined_rows(agreed, np.arange(len(agreed.keys))))


@pytest.mark.parametrize(
    ("prices", "price", "quarantined"),
    [
        pytest.param(list(HISTORY), HISTORY[-1] * 1.13, False, id="an ordinary price"),
        pytest.param(list(HISTORY), HISTORY[-1] * 1.14, True, id="a spike"),
        pytest.param([*HISTORY, HISTORY[-1] * 10], HISTORY[-1] * 10.1, True, id="at the level of a quarantined close"),
        pytest.param([*HISTORY, HISTORY[-1] * 10], HISTORY[-1] * 1.01, False, id="back from a quarantined close"),
        pytest.param([*HISTORY, np.nan, np.nan], HISTORY[-1] * 1.2, False, id="after two missing sessions"),
        pytest.param([], 20.0, False, id="the first price"),
    ],
)
def test_a_last_trade_is_compared_with_the_last_accepted_close(
    prices: list[float], price: float, quarantined: bool
) -> None:
    agreed = consensus_of(prices, [int(np.isfinite(known)) for known in prices])

    assert quarantined is (spike_reason(agreed, price) is not None)


random_walks = st.lists(
    st.tuples(
        st.one_of(st.floats(-0.05, 0.05), st.sampled_from([1.0, -0.5, 0.3, -0.25, 9.0, -0.9, np.nan])),
        st.integers(1, 2),
        st.integers(1, 3),
    ),
    max_size=30,
)


@pytest.mark.parametrize(
    ("price", "move"),
    [
        pytest.param(10.0, reason(Code.MOVED_LIKE_SPLIT, moved=-0.5, new=2, old=1, step="session", steps=1), id="2:1"),
        pytest.param(
            200.0, reason(Code.MOVED_LIKE_SPLIT, moved=9.0, new=1, old=10, step="session", steps=1), id="1:10"
        ),
        pytest.param(
            1.84, reason(Code.MOVED_FAR, moved=-0.908, period="day", step="session", steps=1), id="10:1 on a day of -8%"
        ),
        pytest.param(
            184.0, reason(Code.MOVED_FAR, moved=8.2, period="day", step="session", steps=1), id="1:10 on a day of -8%"
        ),
        pytest.param(15.9, None, id="a crash of a fifth"),
        pytest.param(9.5, None, id="a crash of more than a half"),
        pytest.param(26.0, None, id="news"),
        pytest.param(20.1, None, id="nothing much"),
    ],
)
def test_a_trade_of_several_sources_is_suspicious_only_if_it_looks_like_a_split(
    price: float, move: Reason | None
) -> None:
    expected = move and reason(Code.SPLIT_UNDECLARED, move=move)

    assert expected == unexplained_split_reason(20.0, price)


def walk(steps: list[tuple[float, int, int]]) -> tuple[ConsensusPrices, np.typing.NDArray[np.intp]]:
    moves = np.array([move for move, *_ in steps])
    prices = HISTORY[-1] * np.cumprod(1 + np.nan_to_num(moves, nan=0.0))
    gone = np.isnan(moves)
    witnesses = [0 if lost else count for (_move, count, _gap), lost in zip(steps, gone, strict=True)]
    agreed = consensus_of([*HISTORY, *np.where(gone, np.nan, prices)], [1] * len(HISTORY) + witnesses)
    return agreed, np.cumsum([1] * len(HISTORY) + [gap for *_, gap in steps])


@given(random_walks)
def test_only_a_price_with_one_witness_is_quarantined(steps: list[tuple[float, int, int]]) -> None:
    agreed, positions = walk(steps)

    quarantined = quarantined_rows(agreed, positions)

    assert {1} >= {int(agreed.witnesses[row]) for row in quarantined}
    assert sorted(quarantined) == list(quarantined)
    assert all(row >= len(HISTORY) and reason.code is Code.MOVE_UNCONFIRMED for row, reason in quarantined.items())


@given(random_walks)
def test_quarantined_prices_do_not_affect_later_ones(steps: list[tuple[float, int, int]]) -> None:
    agreed, positions = walk(steps)
    quarantined = quarantined_rows(agreed, positions)

    agreed.prices[list(quarantined)] = np.nan

    assert {} == quarantined_rows(agreed, positions)


@given(random_walks)
def test_a_later_price_can_release_an_earlier_one_but_never_quarantine_it(steps: list[tuple[float, int, int]]) -> None:
    agreed, positions = walk(steps)
    rows = len(HISTORY) + len(steps) // 2

    part = quarantined_rows(consensus_of(agreed.prices[:rows], agreed.witnesses[:rows].tolist()), positions[:rows])

    assert {row for row in quarantined_rows(agreed, positions) if row < rows} <= set(part)


@given(random_walks)
def test_a_last_trade_is_tested_like_a_close(steps: list[tuple[float, int, int]]) -> None:
    agreed, _positions = walk([*steps, (0.3, 1, 1)])
    rows = len(agreed.keys) - 1
    before = consensus_of(agreed.prices[:rows], agreed.witnesses[:rows].tolist())

    assert quarantined_rows(agreed, np.arange(rows + 1)).get(rows) == spike_reason(before, float(agreed.prices[rows]))


CALENDAR = sessions_between(date(1994, 1, 1), date(2027, 12, 31))


def quarantined_days(*columns: SourcePrices) -> dict[str, Reason]:
    agreed = consensus_prices(columns, CLOSE_LIMITS)
    quarantined = quarantined_rows(agreed, np.searchsorted(CALENDAR.days, agreed.keys))
    return {str(agreed.keys[row]): reason for row, reason in quarantined.items()}


def window(column: SourcePrices, since: str, until: str) -> SourcePrices:
    inside = (column.keys >= np.datetime64(since)) & (column.keys <= np.datetime64(until))
    return SourcePrices(source=column.source, keys=column.keys[inside], prices=column.prices[inside])


@needs_data
@pytest.mark.parametrize("symbol", ["WGMI", "IBIT", "BITQ", "STCE", "SMH", "SPY", "IREN", "CORZ"])
def test_no_true_day_since_the_etf_was_listed_is_quarantined(symbol: str) -> None:
    assert {} == quarantined_days(window(closes(f"{symbol}.csv"), "2022-02-08", "2026-08-03"))


@needs_data
@pytest.mark.parametrize(
    ("symbol", "day", "reason"),
    [
        ("WULF", "2025-08-14", unconfirmed(Code.MOVED_FAR, moved=0.595, period="day")),
        ("APLD", "2025-06-02", unconfirmed(Code.MOVED_LIKE_SPLIT, moved=0.485, new=2, old=3)),
    ],
)
def test_true_news_is_quarantined_until_a_second_source_has_it(symbol: str, day: str, reason: Reason) -> None:
    alone = window(closes(f"{symbol}.csv"), "2023-01-01", day)
    witness = window(closes(f"{symbol}.csv", "another"), day, day)

    assert reason == quarantined_days(alone)[day]
    assert day not in quarantined_days(alone, witness)


@needs_data
def test_a_single_source_is_accepted_again_after_true_news() -> None:
    wulf, apld = (window(closes(f"{name}.csv"), "2025-01-01", "2025-12-31") for name in ("WULF", "APLD"))

    assert {} == quarantined_days(wulf)
    assert ["2025-06-02", "2025-06-03"] == list(quarantined_days(apld))  # twice as far as a 2:3 split


@needs_data
def test_a_shell_company_that_starts_moving_is_mostly_accepted() -> None:
    days = list(quarantined_days(closes("CIFR.csv")))

    assert (5, "2021-10-19") == (len(days), days[-1])  # of 1,452; the last is the merger's


@needs_data
def test_few_true_hours_of_bitcoin_at_a_single_venue_are_quarantined() -> None:
    hours = bitcoin("btcusdt_binance_1h.csv", "2021-12-01")
    rows = np.flatnonzero(hours.keys >= np.datetime64("2022-02-08"))

    waiting = [
        row
        for row in rows
        if spike_reason(consensus_of(hours.prices[row - 253 : row], [1] * 253), hours.prices[row], COIN_QUARANTINE)
    ]

    assert (13, 36_627) == (len(waiting), len(rows))
    assert ["2022-05-11T12:00:00"] == [
        f"{hours.keys[row]}" for row in quarantined_hours(hours)
    ]  # recovered in the next hour


@needs_data
def test_bad_ticks_of_a_single_venue_are_quarantined() -> None:
    hours = bitcoin("btcusdt_binance_1h.csv", "2021-12-01")
    rng = np.random.default_rng(1)
    bad = rng.random(len(hours.keys)) < 0.03
    prices = np.where(bad, hours.prices * np.where(rng.random(len(bad)) < 0.5, 0.7, 1.3), hours.prices)

    quarantined = quarantined_hours(SourcePrices(source=hours.source, keys=hours.keys, prices=prices))

    assert (1141, 2, 1142) == (int(bad[quarantined].sum()), int((~bad[quarantined]).sum()), int(bad.sum()))


def quarantined_hours(column: SourcePrices) -> list[int]:
    positions = (column.keys - column.keys[0]) // np.timedelta64(1, "h")
    return list(
        quarantined_rows(
            consensus_of(column.prices, [1] * len(column.keys)), positions.astype(np.intp), COIN_QUARANTINE
        )
    )


TRUE, BAD_FEED = "true closes", "the bad feed unfiltered"
ALONE, WITH_TRUE, OUTVOTED = "alone", "with the true closes", "outvoted by the true closes under two names"


def prices_of(case: str) -> tuple[np.typing.NDArray[np.datetime64], np.typing.NDArray[np.float64]]:
    """Return the accepted prices in the sessions of the bad feed."""
    true = window(closes("WGMI.csv", "Yahoo"), "2022-03-04", "2025-04-04")
    columns = {
        TRUE: [true],
        BAD_FEED: [bad_feed(volumes=False)],
        ALONE: [bad_feed()],
        WITH_TRUE: [bad_feed(), true],
        OUTVOTED: [bad_feed(), true, window(closes("WGMI.csv", "Nasdaq"), "2022-03-04", "2025-04-04")],
    }[case]
    agreed = consensus_prices(columns, CLOSE_LIMITS)
    quarantined = {} if case == BAD_FEED else quarantined_rows(agreed, np.searchsorted(CALENDAR.days, agreed.keys))
    accepted = np.isfinite(agreed.prices)
    accepted[list(quarantined)] = False
    return agreed.keys[accepted], agreed.prices[accepted]


def alerts(case: str) -> set[date]:
    keys, prices = prices_of(case)
    aligned = align(
        WGMI_BTC,
        Closes(symbol=Symbol("WGMI"), sessions=keys, prices=prices, source="hand"),
        read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", Symbol("BTC")),
        CALENDAR,
    )
    steps = replay(aligned, [parse_rule("1d 8pp")]).rules[0].steps
    return {step.session for step in steps if step.change is Change.FIRING}


@needs_data
@pytest.mark.parametrize(
    ("case", "sessions", "far", "over_gaps"),
    [
        pytest.param(TRUE, 775, 0, 0, id=TRUE),
        pytest.param(BAD_FEED, 700, 37, 1, id=BAD_FEED),
        pytest.param(ALONE, 558, 0, 3, id=ALONE),  # true moves, over 33, 25 and 24 sessions
        pytest.param(WITH_TRUE, 640, 0, 2, id=WITH_TRUE),
        pytest.param(OUTVOTED, 775, 0, 0, id=OUTVOTED),
    ],
)
def test_no_one_session_move_of_a_quarter_is_accepted_from_a_bad_feed(
    case: str, sessions: int, far: int, over_gaps: int
) -> None:
    keys, prices = prices_of(case)

    moved = np.abs(prices[1:] / prices[:-1] - 1) > 0.25
    adjacent = np.diff(np.searchsorted(CALENDAR.days, keys)) == 1
    assert (sessions, far, over_gaps) == (len(keys), int((moved & adjacent).sum()), int((moved & ~adjacent).sum()))


@needs_data
@pytest.mark.parametrize(("case", "furthest"), [(ALONE, 0.0874), (WITH_TRUE, 0.0050), (OUTVOTED, 0.0)])
def test_accepted_prices_are_close_to_the_true_ones(case: str, furthest: float) -> None:
    keys, prices = prices_of(case)
    true = closes("WGMI.csv")

    off = np.abs(prices / true.prices[np.searchsorted(true.keys, keys)] - 1)

    assert furthest == round(float(off.max()), 4)
    assert case == ALONE or furthest < CLOSE_LIMITS.reject


@needs_data
@pytest.mark.parametrize(
    ("case", "right", "false", "missed"),
    [(BAD_FEED, 19, 55, 12), (ALONE, 15, 7, 16), (WITH_TRUE, 18, 0, 13), (OUTVOTED, 31, 0, 0)],
)
def test_alerts_on_a_bad_feed(case: str, right: int, false: int, missed: int) -> None:
    true, fired = alerts(TRUE), alerts(case)

    assert (right, false, missed) == (len(fired & true), len(fired - true), len(true - fired))

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from services.core.prices import WGMI_BTC, Closes, Quote, Symbol, to_datetime, to_datetime64
from tests.fakes.market import crypto_bars

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def test_a_pair_is_formatted_with_a_slash() -> None:
    assert str(WGMI_BTC) == "WGMI/BTC"


def test_a_quote_has_an_age() -> None:
    quote = Quote(symbol=Symbol("BTC"), price=67_000.0, at=NOON, source="hand")

    assert quote.age(NOON + timedelta(minutes=3)) == timedelta(minutes=3)


def test_the_last_complete_bar_has_ended_by_then() -> None:
    bars = crypto_bars({NOON: 100.0, NOON + timedelta(hours=1): 101.0})

    assert bars.last_complete(NOON + timedelta(minutes=59)) is None
    assert bars.last_complete(NOON + timedelta(hours=1)) == (100.0, NOON + timedelta(hours=1))
    assert bars.last_complete(NOON + timedelta(hours=9)) == (101.0, NOON + timedelta(hours=2))
    assert len(bars) == 2


def test_time_conversions_are_inverse() -> None:
    assert to_datetime(to_datetime64(NOON)) == NOON


@pytest.mark.parametrize(
    ("sessions", "prices", "problem"),
    [
        pytest.param(["2026-03-02"], [1.0, 2.0], "1 times but 2 prices", id="lengths differ"),
        pytest.param(["2026-03-03", "2026-03-02"], [1.0, 2.0], "not strictly ascending", id="unsorted"),
        pytest.param(["2026-03-02", "2026-03-02"], [1.0, 2.0], "not strictly ascending", id="twice the same"),
        pytest.param(["2026-03-02"], [0.0], "not a positive number", id="zero"),
        pytest.param(["2026-03-02"], [-1.0], "not a positive number", id="negative"),
        pytest.param(["2026-03-02"], [np.nan], "not a positive number", id="nan"),
        pytest.param(["2026-03-02"], [np.inf], "not a positive number", id="infinite"),
    ],
)
def test_invalid_price_columns_are_rejected(sessions: list[str], prices: list[float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Closes(
            symbol=Symbol("WGMI"),
            sessions=np.array(sessions, dtype="datetime64[D]"),
            prices=np.array(prices),
            source="hand",
        )


def test_volumes_of_another_length_are_rejected() -> None:
    with pytest.raises(ValueError, match="1 prices but 2 volumes"):
        Closes(
            symbol=Symbol("WGMI"),
            sessions=np.array(["2026-03-02"], dtype="datetime64[D]"),
            prices=np.array([20.0]),
            source="hand",
            volumes=np.array([1.0, 2.0]),
        )


def test_open_to_close_returns_of_another_length_are_rejected() -> None:
    with pytest.raises(ValueError, match="1 prices but 2 returns inside sessions"):
        Closes(
            symbol=Symbol("WGMI"),
            sessions=np.array(["2026-03-02"], dtype="datetime64[D]"),
            prices=np.array([20.0]),
            source="hand",
            open_to_close=np.array([0.01, 0.02]),
        )


@pytest.mark.parametrize("volumes", [None, [1_000.0, np.nan]])
def test_selected_sessions_keep_volumes_and_open_to_close_returns(volumes: list[float] | None) -> None:
    closes = Closes(
        symbol=Symbol("WGMI"),
        sessions=np.array(["2026-03-02", "2026-03-03"], dtype="datetime64[D]"),
        prices=np.array([20.0, 21.0]),
        source="hand",
        volumes=None if volumes is None else np.array(volumes),
        open_to_close=None if volumes is None else np.array([0.01, 0.02]),
    )

    first = closes.select(np.array([True, False]))

    assert [20.0] == first.prices.tolist()
    np.testing.assert_array_equal([np.nan if volumes is None else 1_000.0], first.known_volumes)
    np.testing.assert_array_equal([np.nan if volumes is None else 0.01], first.known_open_to_close)

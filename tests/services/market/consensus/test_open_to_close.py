from dataclasses import replace

import numpy as np
import pytest

from services.core.prices import Closes, Symbol
from services.market.consensus.closes import consensus_closes, consensus_open_to_close
from services.market.consensus.corporate_actions import Action, ActionKind, DeclaredActions
from services.market.consensus.quorum import CLOSE_LIMITS, SourcePrices, consensus_prices
from tests.fakes.market import CALENDAR, session_days

DAYS = session_days("2025-11-24", 4)


def session_close(source: str, price: float, inside: float, *, volume: float = 900.0) -> Closes:
    return Closes(
        symbol=Symbol("WGMI"),
        sessions=np.array(DAYS[:1], dtype="datetime64[D]"),
        prices=np.array([price]),
        source=source,
        volumes=np.array([volume]),
        open_to_close=np.array([inside]),
    )


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        pytest.param([session_close("A", 20.0, 0.03)], 0.03, id="a single source"),
        pytest.param([session_close("A", 20.0, 0.03), session_close("B", 20.0, 0.032)], 0.031, id="two agree"),
        pytest.param([session_close("A", 20.0, 0.03), session_close("B", 20.0, 0.05)], np.nan, id="two differ"),
        pytest.param(
            [session_close("A", 20.0, 0.03), session_close("B", 20.0, np.nan)], 0.03, id="one without an opening"
        ),
        pytest.param(
            [session_close("A", 20.0, 0.03), session_close("B", 20.0, 0.03), session_close("C", 25.0, 0.3)],
            0.03,
            id="an outvoted close",
        ),
        pytest.param(
            [session_close("A", 20.0, 0.03), session_close("B", 20.0, 0.5, volume=0.0)], 0.03, id="one without a trade"
        ),
        pytest.param([session_close("A", 20.0, 0.03), session_close("B", 25.0, 0.03)], np.nan, id="disputed closes"),
        pytest.param([session_close("A", 20.0, np.nan)], np.nan, id="no opening"),
    ],
)
def test_the_open_to_close_return_is_that_of_the_accepted_sources(sources: list[Closes], expected: float) -> None:
    columns = [
        SourcePrices(source=one.source, keys=one.sessions, prices=one.prices, volumes=one.volumes) for one in sources
    ]
    np.testing.assert_allclose(consensus_open_to_close(sources, consensus_prices(columns, CLOSE_LIMITS)), [expected])


def test_splits_and_dividends_do_not_change_open_to_close_returns() -> None:
    """A 4:1 split at the third session, and a dividend with the same ex-date."""
    closes = Closes(
        symbol=Symbol("WGMI"),
        sessions=np.array(DAYS, dtype="datetime64[D]"),
        prices=np.array([80.0, 84.0, 20.0, 21.0]),
        source="A",
        open_to_close=np.array([np.nan, 0.05, -0.02, 0.04]),
    )
    actions = (
        Action(session=DAYS[2], kind=ActionKind.SPLIT, value=4.0),
        Action(session=DAYS[2], kind=ActionKind.DIVIDEND, value=0.2),
    )
    declared = [DeclaredActions(source="A", since=DAYS[0], actions=actions)]

    prices = consensus_closes(
        Symbol("WGMI"), [closes, replace(closes, source="B")], CALENDAR, requires_witness=True, declared=declared
    ).prices

    assert isinstance(prices, Closes)
    assert [19.8, 20.79, 20.0, 21.0] == pytest.approx(prices.prices.tolist(), rel=1e-3)
    np.testing.assert_array_equal([np.nan, 0.05, -0.02, 0.04], prices.known_open_to_close)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.core.prices import Closes, Symbol
from services.market.consensus.closes import agreed_inside, consensus_closes
from services.market.consensus.corporate_actions import Action, Declared, Kind
from services.market.consensus.quorum import CLOSES, Column, consensus_price
from tests.fakes.market import CALENDAR, session_days

DAYS = session_days("2025-11-24", 4)


def told(source: str, price: float, inside: float, *, volume: float = 900.0) -> Closes:
    return Closes(
        symbol=Symbol("WGMI"),
        sessions=np.array(DAYS[:1], dtype="datetime64[D]"),
        prices=np.array([price]),
        source=source,
        volumes=np.array([volume]),
        inside=np.array([inside]),
    )


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        pytest.param([told("A", 20.0, 0.03)], 0.03, id="one alone"),
        pytest.param([told("A", 20.0, 0.03), told("B", 20.0, 0.032)], 0.031, id="two are near"),
        pytest.param([told("A", 20.0, 0.03), told("B", 20.0, 0.05)], np.nan, id="two are apart"),
        pytest.param([told("A", 20.0, 0.03), told("B", 20.0, np.nan)], 0.03, id="one does not know it"),
        pytest.param(
            [told("A", 20.0, 0.03), told("B", 20.0, 0.03), told("C", 25.0, 0.3)],
            0.03,
            id="whose close is outvoted is not asked",
        ),
        pytest.param([told("A", 20.0, 0.03), told("B", 20.0, 0.5, volume=0.0)], 0.03, id="one had no trade"),
        pytest.param([told("A", 20.0, 0.03), told("B", 25.0, 0.03)], np.nan, id="nobody's close is believed"),
        pytest.param([told("A", 20.0, np.nan)], np.nan, id="nobody knows it"),
    ],
)
def test_an_opening_is_that_of_the_sources_behind_the_close(sources: list[Closes], expected: float) -> None:
    columns = [Column(source=one.source, keys=one.sessions, prices=one.prices, volumes=one.volumes) for one in sources]
    np.testing.assert_allclose(agreed_inside(sources, consensus_price(columns, CLOSES)), [expected])


def test_splits_and_dividends_leave_what_a_session_did_alone() -> None:
    """Four for one from the third session on, and a dividend that goes out at its opening."""
    closes = Closes(
        symbol=Symbol("WGMI"),
        sessions=np.array(DAYS, dtype="datetime64[D]"),
        prices=np.array([80.0, 84.0, 20.0, 21.0]),
        source="A",
        inside=np.array([np.nan, 0.05, -0.02, 0.04]),
    )
    actions = (
        Action(session=DAYS[2], kind=Kind.SPLIT, value=4.0),
        Action(session=DAYS[2], kind=Kind.DIVIDEND, value=0.2),
    )
    declared = [Declared(source="A", since=DAYS[0], actions=actions)]

    judged = consensus_closes(
        Symbol("WGMI"), [closes, replace(closes, source="B")], CALENDAR, witnessed=True, declared=declared
    ).prices

    assert isinstance(judged, Closes)
    assert [19.8, 20.79, 20.0, 21.0] == pytest.approx(judged.prices.tolist(), rel=1e-3)
    np.testing.assert_array_equal([np.nan, 0.05, -0.02, 0.04], judged.known_inside)

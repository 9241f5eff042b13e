from dataclasses import replace

import numpy as np
import pytest

from services.core.errors import NoHistoryError
from services.core.prices import Symbol
from services.core.reason import Code
from services.market.measure import Window
from services.research.attribution import attribute_return
from services.research.explain import LaterSessions, explain, rolling_betas
from tests.fakes.legs import proxy_closes, random_legs
from tests.fakes.market import CALENDAR
from tests.fakes.reasons import reason

LEGS = random_legs(500)
CLOSES = proxy_closes(LEGS.aligned.sessions, LEGS.aligned.crypto)


def test_an_explanation_ends_with_the_last_complete_session() -> None:
    incomplete = replace(LEGS, proxy_prices=np.append(LEGS.proxy_prices[:-2], [np.nan, np.nan]))
    result = explain(incomplete, Window.D20, CLOSES, CLOSES, CALENDAR)
    assert attribute_return(LEGS.head(498), Window.D20) == result.attribution
    assert attribute_return(LEGS.head(498), Window.D20, lookback=60) == result.short_lookback
    assert rolling_betas(LEGS.head(498)) == result.betas
    assert ("hand", "hand", "hand") == result.sources
    last = LEGS.aligned.sessions[-1].item()
    assert LaterSessions(count=2, last=last, missing=(Symbol("SMH"),)) == result.later_sessions


def test_later_sessions_name_each_missing_price() -> None:
    crypto = np.append(LEGS.aligned.crypto[:-1], np.nan)
    incomplete = replace(LEGS, proxy_prices=np.append(LEGS.proxy_prices[:-2], [np.nan, 1.0]))
    result = explain(
        replace(incomplete, aligned=replace(LEGS.aligned, crypto=crypto)), Window.D20, CLOSES, CLOSES, CALENDAR
    )
    assert result.later_sessions is not None
    assert (2, ("BTC", "SMH")) == (result.later_sessions.count, result.later_sessions.missing)
    assert explain(LEGS, Window.D20, CLOSES, CLOSES, CALENDAR).later_sessions is None


def test_a_short_lookback_without_enough_prices_is_left_out() -> None:
    prices = LEGS.proxy_prices.copy()
    prices[440:470] = np.nan  # half of the last 60, a quarter of the last 126
    result = explain(replace(LEGS, proxy_prices=prices), Window.D1, CLOSES, CLOSES, CALENDAR)
    assert result.short_lookback is None


def test_an_impossible_explanation_raises_the_reason() -> None:
    with pytest.raises(NoHistoryError) as error:
        explain(LEGS.head(4), Window.D5, CLOSES, CLOSES, CALENDAR)
    begins = reason(Code.HISTORY_BEGINS, session="2022-02-08")
    assert reason(Code.CANNOT_EXPLAIN, window="5d", reason=begins) == error.value.reason
    with pytest.raises(NoHistoryError, match="WGMI/BTC and SMH have no session in common"):
        explain(replace(LEGS, proxy_prices=np.full(500, np.nan)), Window.D5, CLOSES, CLOSES, CALENDAR)

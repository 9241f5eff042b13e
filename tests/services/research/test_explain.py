from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.core.errors import NoHistoryError
from services.core.prices import Symbol
from services.market.measure import Window
from services.research.attribution import attribute
from services.research.explain import Later, beta_gauge, explain
from tests.fakes.legs import proxy_closes, random_legs
from tests.fakes.market import CALENDAR

LEGS = random_legs(500)
CLOSES = proxy_closes(LEGS.aligned.sessions, LEGS.aligned.crypto)


def test_an_explanation_ends_where_all_three_prices_are_known() -> None:
    short = replace(LEGS, proxy_prices=np.append(LEGS.proxy_prices[:-2], [np.nan, np.nan]))
    told = explain(short, Window.D20, CLOSES, CLOSES, CALENDAR)
    assert attribute(LEGS.head(498), Window.D20) == told.attribution
    assert attribute(LEGS.head(498), Window.D20, lookback=60) == told.shorter
    assert beta_gauge(LEGS.head(498)) == told.gauge
    assert ("hand", "hand", "hand") == told.sources
    last = LEGS.aligned.sessions[-1].item()
    assert Later(sessions=2, last=last, lacking=(Symbol("SMH"),)) == told.later


def test_sessions_after_an_explanation_tell_each_price_that_they_lack() -> None:
    crypto = np.append(LEGS.aligned.crypto[:-1], np.nan)
    short = replace(LEGS, proxy_prices=np.append(LEGS.proxy_prices[:-2], [np.nan, 1.0]))
    told = explain(replace(short, aligned=replace(LEGS.aligned, crypto=crypto)), Window.D20, CLOSES, CLOSES, CALENDAR)
    assert told.later is not None
    assert (2, ("BTC", "SMH")) == (told.later.sessions, told.later.lacking)
    assert explain(LEGS, Window.D20, CLOSES, CLOSES, CALENDAR).later is None


def test_a_shorter_look_back_that_lacks_prices_is_left_out() -> None:
    prices = LEGS.proxy_prices.copy()
    prices[440:470] = np.nan  # half of the last 60, a quarter of the last 126
    told = explain(replace(LEGS, proxy_prices=prices), Window.D1, CLOSES, CLOSES, CALENDAR)
    assert told.shorter is None


def test_what_cannot_be_explained_is_refused_with_its_reason() -> None:
    with pytest.raises(NoHistoryError, match="5d cannot be explained: the history begins on 2022-02-08"):
        explain(LEGS.head(4), Window.D5, CLOSES, CLOSES, CALENDAR)
    with pytest.raises(NoHistoryError, match="WGMI/BTC and SMH have no session in common"):
        explain(replace(LEGS, proxy_prices=np.full(500, np.nan)), Window.D5, CLOSES, CLOSES, CALENDAR)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from services.market.measure import Window, returns
from services.research.attribution import Attribution, IntradayAttribution, attribute, intraday_attribution
from tests.fakes.alerts import AT
from tests.fakes.legs import random_legs

LEGS = random_legs(500)
BEFORE = LEGS.head(499)
MOVED = [float(prices[499] / prices[498] - 1) for prices in LEGS.columns]


def parted(etf: float = MOVED[0]) -> IntradayAttribution:
    found = intraday_attribution(BEFORE, AT, etf=etf, crypto=MOVED[1], proxy=MOVED[2])
    assert found is not None
    return found


def test_a_session_parts_so_far_as_its_day_does_once_it_is_over() -> None:
    live, closed = parted(), attribute(LEGS, Window.D1)
    assert isinstance(closed, Attribution)
    assert closed.anchor == live.anchor
    for ours, theirs in ((live.crypto, closed.crypto), (live.proxy, closed.proxy), (live.residual, closed.residual)):
        assert (theirs.amount, theirs.error) == pytest.approx((ours.amount, ours.error), rel=1e-9)


def test_the_parts_add_up_and_their_errors_are_those_of_least_squares() -> None:
    live = parted(etf=0.123)
    assert 0.123 == pytest.approx(live.crypto.amount + live.proxy.amount + live.residual.amount, abs=1e-12)
    etf, crypto, proxy = (returns(prices, np.arange(500) - 1)[499 - 126 : 499] for prices in LEGS.columns)
    oracle = sm.OLS(etf, sm.add_constant(np.column_stack([crypto, proxy]))).fit()
    both = oracle.t_test(np.array([0.0, MOVED[1], MOVED[2]]))
    assert float(both.sd.item()) == pytest.approx(live.residual.error, rel=1e-9)


def test_without_the_last_close_or_enough_of_them_nothing_is_parted() -> None:
    prices = BEFORE.proxy_prices.copy()
    prices[-1] = np.nan
    for legs in (replace(BEFORE, proxy_prices=prices), LEGS.head(40), LEGS.head(0)):
        assert intraday_attribution(legs, AT, etf=0.1, crypto=0.1, proxy=0.1) is None

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from services.market.measure import Window, returns
from services.research.attribution import Attribution, IntradayAttribution, attribute_intraday, attribute_return
from tests.fakes.alerts import AT
from tests.fakes.legs import random_legs

LEGS = random_legs(500)
UNTIL_YESTERDAY = LEGS.head(499)
RETURNS = [float(prices[499] / prices[498] - 1) for prices in LEGS.columns]


def intraday(etf: float = RETURNS[0]) -> IntradayAttribution:
    result = attribute_intraday(UNTIL_YESTERDAY, AT, etf=etf, crypto=RETURNS[1], proxy=RETURNS[2])
    assert result is not None
    return result


def test_an_open_session_is_attributed_like_its_close() -> None:
    live, closed = intraday(), attribute_return(LEGS, Window.D1)
    assert isinstance(closed, Attribution)
    assert closed.anchor == live.anchor
    for expected, actual in (
        (live.crypto, closed.crypto),
        (live.proxy, closed.proxy),
        (live.residual, closed.residual),
    ):
        assert (actual.amount, actual.error) == pytest.approx((expected.amount, expected.error), rel=1e-9)


def test_the_parts_add_up_and_their_errors_equal_statsmodels() -> None:
    live = intraday(etf=0.123)
    assert 0.123 == pytest.approx(live.crypto.amount + live.proxy.amount + live.residual.amount, abs=1e-12)
    etf, crypto, proxy = (returns(prices, np.arange(500) - 1)[499 - 126 : 499] for prices in LEGS.columns)
    reference = sm.OLS(etf, sm.add_constant(np.column_stack([crypto, proxy]))).fit()
    residual_test = reference.t_test(np.array([0.0, RETURNS[1], RETURNS[2]]))
    assert float(residual_test.sd.item()) == pytest.approx(live.residual.error, rel=1e-9)


def test_a_missing_last_close_or_a_short_history_has_no_attribution() -> None:
    prices = UNTIL_YESTERDAY.proxy_prices.copy()
    prices[-1] = np.nan
    for legs in (replace(UNTIL_YESTERDAY, proxy_prices=prices), LEGS.head(40), LEGS.head(0)):
        assert attribute_intraday(legs, AT, etf=0.1, crypto=0.1, proxy=0.1) is None

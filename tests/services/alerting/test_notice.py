from services.alerting.notice import PairCoverage
from services.core.prices import WGMI_BTC


def test_only_ticks_with_usable_prices_count_as_usable() -> None:
    verdicts = (("degraded", 3), ("missing", 5), ("ok", 7), ("stale", 11), ("suspect", 13), ("waiting", 17))

    assert 10 == PairCoverage(pair=WGMI_BTC, expected=60, done=56, verdicts=verdicts).usable

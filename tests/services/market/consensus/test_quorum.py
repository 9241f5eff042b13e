import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from math import nan
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.prices import Quote, Symbol
from services.core.reason import Code, Reason
from services.core.trust import Trust, Verdict
from services.market.consensus.quorum import (
    CLOSE_LIMITS,
    COIN_LIMITS,
    TRADE_LIMITS,
    AgreementLimits,
    ConsensusPrices,
    ConsensusQuote,
    SourcePrices,
    consensus_prices,
    consensus_trade,
)
from tests.fakes.price_files import DATA, bad_feed, bitcoin, closes, needs_data
from tests.fakes.reasons import reason

DAY = np.datetime64("2026-03-02", "D")
NOW = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
HALF = AgreementLimits(warn=0.25, reject=0.5)  # exact in binary
FRESH = timedelta(minutes=15)
NAMES = ("Yahoo", "Nasdaq", "Stooq", "Tiingo", "Kraken")


def after(days: int) -> np.datetime64:
    return DAY + np.timedelta64(days, "D")


def source_prices(prices: dict[int, float], source: str = "Yahoo", volumes: list[float] | None = None) -> SourcePrices:
    """Build source prices from prices keyed by days after 2026-03-02."""
    return SourcePrices(
        source=source,
        keys=np.array([after(day) for day in prices], dtype="datetime64[D]"),
        prices=np.array(list(prices.values()), dtype=float),
        volumes=None if volumes is None else np.array(volumes),
    )


def sources_of(*prices_by_source: dict[int, float]) -> list[SourcePrices]:
    return [source_prices(prices, source) for source, prices in zip(NAMES, prices_by_source, strict=False)]


def one_key(*prices: float, limits: AgreementLimits = HALF) -> ConsensusPrices:
    return consensus_prices(sources_of(*({0: price} for price in prices)), limits)


def reasons(agreed: ConsensusPrices) -> list[Reason]:
    return [rejection.reason for rejection in agreed.rejected]


@pytest.mark.parametrize(
    ("prices", "price", "witnesses", "spread", "rejected"),
    [
        pytest.param([20.0], 20.0, 1, 0.0, [], id="one is accepted"),
        pytest.param([20.0, 30.0], 25.0, 2, 0.5, [], id="two at the limit are accepted"),
        pytest.param([20.0, 30.01], nan, 0, 0.0, [20.0, 30.01], id="two beyond it are not"),
        pytest.param([20.0, 21.0, 50.0], 20.5, 2, 0.05, [50.0], id="two outvote a third"),
        pytest.param([20.0, 9.9, 21.0], 20.5, 2, 0.05, [9.9], id="two outvote a third that is below"),
        pytest.param([16.0, 10.0, 24.0], 16.0, 3, 1.4, [], id="three within the limit of the median"),
        pytest.param([10.0, 20.0, 40.0], 15.0, 2, 1.0, [40.0], id="the median and one other"),
        pytest.param([8.0, 20.0, 40.0], nan, 0, 0.0, [8.0, 20.0, 40.0], id="three that all differ"),
        pytest.param([10.0, 10.0, 90.0, 90.0], nan, 0, 0.0, [10.0, 10.0, 90.0, 90.0], id="two against two"),
        pytest.param([10.0, 10.0, 11.0, 90.0], 10.0, 3, 0.1, [90.0], id="three against one"),
        pytest.param([10.0, 10.0, 11.0, 90.0, 1.0], 10.0, 3, 0.1, [90.0, 1.0], id="three against two that differ"),
    ],
)
def test_which_sources_are_accepted(
    prices: list[float], price: float, witnesses: int, spread: float, rejected: list[float]
) -> None:
    agreed = one_key(*prices)

    np.testing.assert_equal(agreed.prices, [price])
    assert [witnesses] == agreed.witnesses.tolist()
    assert spread == pytest.approx(agreed.dispersion[0])
    assert sorted(rejected) == sorted(rejection.price for rejection in agreed.rejected)


def test_two_disputing_sources_are_named_with_their_prices_the_lower_first() -> None:
    expected = reason(Code.PRICES_DISPUTED, prices=(("Yahoo", 20.31), ("Nasdaq", 21.05)))

    assert [expected] * 2 == reasons(one_key(20.31, 21.05, limits=CLOSE_LIMITS))
    swapped = reason(Code.PRICES_DISPUTED, prices=(("Nasdaq", 20.31), ("Yahoo", 21.05)))
    assert [swapped] * 2 == reasons(one_key(21.05, 20.31, limits=CLOSE_LIMITS))


def test_an_outlier_is_named_with_its_distance() -> None:
    assert [reason(Code.PRICE_OUTLIER, off=0.02062, price=61020.0, source="Stooq")] == reasons(
        one_key(62_300.0, 62_310.0, 61_020.0, limits=COIN_LIMITS)
    )


def test_three_disputing_sources_are_all_named() -> None:
    agreed = one_key(21.05, 20.31, 22.1, limits=CLOSE_LIMITS)

    assert [reason(Code.PRICES_DISPUTED, prices=(("Nasdaq", 20.31), ("Yahoo", 21.05), ("Stooq", 22.1)))] * 3 == reasons(
        agreed
    )
    assert ["Nasdaq", "Stooq", "Yahoo"] == [rejection.source for rejection in agreed.rejected]


def test_a_price_without_volume_is_ignored() -> None:
    idle = source_prices({0: 20.0, 1: 20.0, 2: 20.0, 3: 20.0}, "Alpaca", [0.0, 100.0, 0.0, nan])

    agreed = consensus_prices([idle, source_prices({0: 21.0, 1: 20.0, 3: 20.0})], CLOSE_LIMITS)

    np.testing.assert_equal(agreed.prices, [21.0, 20.0, nan, 20.0])
    assert [1, 2, 0, 2] == agreed.witnesses.tolist()
    assert [(DAY, "Alpaca", 20.0), (after(2), "Alpaca", 20.0)] == [(d.key, d.source, d.price) for d in agreed.rejected]
    assert [reason(Code.NO_VOLUME)] * 2 == reasons(agreed)


def test_the_consensus_of_each_key_uses_the_sources_that_have_it() -> None:
    agreed = consensus_prices(sources_of({0: 20.0, 1: 20.0, 3: 20.0}, {1: 20.02, 2: 20.0, 3: 30.0}), CLOSE_LIMITS)

    assert [DAY, after(1), after(2), after(3)] == list(agreed.keys)
    np.testing.assert_allclose(agreed.prices, [20.0, 20.01, 20.0, nan])
    assert [1, 2, 1, 0] == agreed.witnesses.tolist()
    assert [after(3)] * 2 == [rejection.key for rejection in agreed.rejected]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_sources_without_prices_give_an_empty_consensus(count: int) -> None:
    agreed = consensus_prices([source_prices({})] * count, CLOSE_LIMITS)

    assert [0, 0, 0, 0] == [len(part) for part in (agreed.keys, agreed.prices, agreed.witnesses, agreed.dispersion)]
    assert () == agreed.rejected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(partial(source_prices, {1: 20.0, 0: 20.0}), "not strictly ascending", id="unsorted"),
        pytest.param(partial(source_prices, {0: 0.0}), "not a positive number", id="zero"),
        pytest.param(
            partial(source_prices, {0: 20.0}, volumes=[1.0, 2.0]), "1 times but 2 volumes", id="lengths differ"
        ),
    ],
)
def test_invalid_source_prices_raise(make: Callable[[], SourcePrices], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


markets = st.lists(
    st.dictionaries(st.integers(0, 5), st.integers(900, 1100).map(lambda cents: cents / 10), max_size=6).map(
        lambda prices: dict(sorted(prices.items()))
    ),
    min_size=1,
    max_size=5,
)
limits = st.sampled_from([CLOSE_LIMITS, COIN_LIMITS, TRADE_LIMITS, AgreementLimits(warn=0.02, reject=0.08)])


def comparable(agreed: ConsensusPrices) -> object:
    rows = zip(agreed.keys.tolist(), agreed.prices.tolist(), agreed.witnesses.tolist(), agreed.dispersion, strict=True)
    return [(key, repr(price), witnesses, spread) for key, price, witnesses, spread in rows], agreed.rejected


@given(markets, limits, st.permutations(range(5)))
def test_the_order_of_the_sources_does_not_matter(
    market: list[dict[int, float]], limits: AgreementLimits, order: list[int]
) -> None:
    sources = sources_of(*market)
    shuffled = [sources[number] for number in order if number < len(sources)]

    assert comparable(consensus_prices(sources, limits)) == comparable(consensus_prices(shuffled, limits))


@given(markets, limits)
def test_every_price_is_accepted_or_rejected(market: list[dict[int, float]], limits: AgreementLimits) -> None:
    agreed = consensus_prices(sources_of(*market), limits)

    assert sum(map(len, market)) == int(agreed.witnesses.sum()) + len(agreed.rejected)
    assert list(agreed.keys) == sorted(after(day) for day in set().union(*market))
    assert [rejection.key for rejection in agreed.rejected] == sorted(rejection.key for rejection in agreed.rejected)
    assert np.isnan(agreed.prices).tolist() == (agreed.witnesses == 0).tolist()
    assert (agreed.dispersion <= 2 * limits.reject / (1 - limits.reject) + 1e-12).all()


@given(markets, limits)
def test_the_consensus_matches_its_definition(market: list[dict[int, float]], limits: AgreementLimits) -> None:
    agreed = consensus_prices(sources_of(*market), limits)

    for row, day in enumerate(sorted(set().union(*market))):
        prices = [source[day] for source in market if day in source]
        expected = expected_accepted(prices, limits.reject)
        assert len(expected) == agreed.witnesses[row]
        if expected:
            assert (median(expected), max(expected) / min(expected) - 1) == (agreed.prices[row], agreed.dispersion[row])


def expected_accepted(prices: list[float], reject: float) -> list[float]:
    if max(prices) / min(prices) - 1 <= reject:
        return prices
    near = [price for price in prices if abs(price / median(prices) - 1) <= reject]
    return near if len(prices) > 2 and 2 * len(near) > len(prices) else []


@given(markets, limits, st.integers(-8, 8))
def test_the_unit_of_the_prices_does_not_matter(
    market: list[dict[int, float]], limits: AgreementLimits, power: int
) -> None:
    scale = 2.0**power

    mine = consensus_prices(sources_of(*market), limits)
    theirs = consensus_prices(
        sources_of(*({day: price * scale for day, price in source.items()} for source in market)), limits
    )

    np.testing.assert_array_equal(mine.prices * scale, theirs.prices)
    np.testing.assert_array_equal(mine.witnesses, theirs.witnesses)


@given(st.lists(st.floats(99.9, 100.1), min_size=2, max_size=4), st.one_of(st.floats(1, 98), st.floats(102, 10_000)))
def test_one_wrong_source_never_moves_the_consensus_of_the_others(honest: list[float], lie: float) -> None:
    agreed = one_key(*honest, lie, limits=CLOSE_LIMITS)

    assert median(honest) == agreed.prices[0]
    assert [lie] == [rejection.price for rejection in agreed.rejected]


def quote(price: float, source: str = "Yahoo", ago: float = 5) -> Quote:
    return Quote(symbol=Symbol("WGMI"), price=price, at=NOW - timedelta(seconds=ago), source=source)


def trades(*quotes: Quote, limits: AgreementLimits = TRADE_LIMITS) -> ConsensusQuote:
    return consensus_trade(quotes, limits, NOW, max_age=FRESH)


def test_without_quotes_the_consensus_is_stale() -> None:
    assert (
        ConsensusQuote(quote=None, trust=Trust(verdict=Verdict.STALE, reasons=(reason(Code.NO_LAST_TRADE),)))
        == trades()
    )


ALONE = reason(Code.TRADE_FROM_ONE_SOURCE, source="Yahoo", symbol="WGMI")


@pytest.mark.parametrize(
    ("quotes", "price", "verdict", "expected"),
    [
        pytest.param([quote(20)], 20, Verdict.DEGRADED, [ALONE], id="a single source"),
        pytest.param([quote(20, ago=900)], 20, Verdict.DEGRADED, [ALONE], id="15 min are fresh"),
        pytest.param(
            [quote(19, "Nasdaq", 2_000), quote(20, ago=1_300)],
            20,
            Verdict.STALE,
            [reason(Code.TRADE_TOO_OLD, age_min=21, source="Yahoo", symbol="WGMI")],
            id="none is fresh",
        ),
        pytest.param([quote(20), quote(30, "Nasdaq", 901)], 20, Verdict.DEGRADED, [ALONE], id="the other is stale"),
        pytest.param([quote(20), quote(30, "Nasdaq", 96)], 20, Verdict.DEGRADED, [ALONE], id="91 s apart"),
        pytest.param([quote(20, ago=860), quote(20, "Nasdaq", 930)], 20, Verdict.DEGRADED, [ALONE], id="one too old"),
        pytest.param([quote(20), quote(20.1, "Nasdaq", 95)], 20.05, Verdict.OK, [], id="two that agree, 90 s apart"),
        pytest.param(
            [quote(20.3), quote(20, "Nasdaq")],
            20.15,
            Verdict.DEGRADED,
            [reason(Code.TRADES_APART, apart=0.015, high_source="Yahoo", low_source="Nasdaq")],
            id="two that differ slightly",
        ),
        pytest.param(
            [quote(20, ago=9), quote(21, "Nasdaq")],
            21,
            Verdict.SUSPECT,
            [reason(Code.PRICES_DISPUTED, prices=(("Yahoo", 20), ("Nasdaq", 21)))],
            id="two far apart: the newest is shown",
        ),
        pytest.param(
            [quote(20), quote(21, "Nasdaq"), quote(20.1, "Stooq")],
            20.05,
            Verdict.OK,
            [reason(Code.PRICE_OUTLIER, off=0.04738, price=21.0, source="Nasdaq")],
            id="a majority and an outlier",
        ),
        pytest.param(
            [quote(20), quote(30, "Nasdaq"), quote(20.4, "Stooq")],
            20.2,
            Verdict.DEGRADED,
            [
                reason(Code.TRADES_APART, apart=0.02, high_source="Stooq", low_source="Yahoo"),
                reason(Code.PRICE_OUTLIER, off=0.4851, price=30.0, source="Nasdaq"),
            ],
            id="a majority that differs slightly",
        ),
        pytest.param(
            [quote(20), quote(21, "Nasdaq"), quote(22, "Stooq")],
            20,
            Verdict.SUSPECT,
            [reason(Code.PRICES_DISPUTED, prices=(("Yahoo", 20), ("Nasdaq", 21), ("Stooq", 22)))],
            id="three that all differ",
        ),
    ],
)
def test_the_consensus_of_last_trades(quotes: list[Quote], price: float, verdict: Verdict, expected: list[str]) -> None:
    consensus = trades(*quotes)

    assert consensus.quote is not None
    assert price == pytest.approx(consensus.quote.price)
    assert Trust(verdict=verdict, reasons=tuple(expected)) == consensus.trust


def test_a_consensus_trade_has_the_age_of_its_oldest_witness_and_names_them() -> None:
    consensus = trades(quote(20.1, "Nasdaq", 5), quote(25, "Stooq", 80), quote(20, "Yahoo", 60))

    assert quote(consensus.quote.price if consensus.quote else nan, "Nasdaq and Yahoo", 60) == consensus.quote


@given(
    st.lists(st.tuples(st.integers(190, 210), st.integers(0, 1_200)), min_size=1, max_size=4, unique_by=lambda q: q[1])
)
def test_the_order_of_the_trades_changes_only_the_source_names(given_trades: list[tuple[int, int]]) -> None:
    quotes = [quote(price / 10, name, ago) for (price, ago), name in zip(given_trades, NAMES, strict=False)]

    mine, theirs = trades(*quotes), trades(*reversed(quotes))

    assert mine.trust.verdict is theirs.trust.verdict
    assert mine.quote is not None
    assert theirs.quote is not None
    assert (mine.quote.price, mine.quote.at) == (theirs.quote.price, theirs.quote.at)
    assert set(mine.trust.reasons) == set(theirs.trust.reasons)


@needs_data
def test_two_honest_files_of_closes_agree_to_the_last_digit() -> None:
    agreed = consensus_prices(
        [closes(name) for name in ("WGMI.csv", "WGMI_ohlcv_adj_2023-12_2025-09.csv")], CLOSE_LIMITS
    )

    both = agreed.witnesses == 2
    assert (440, 0.0, ()) == (int(both.sum()), agreed.dispersion[both].max(), agreed.rejected)


@needs_data
def test_a_snapshot_taken_before_the_close_is_rejected() -> None:
    agreed = consensus_prices([closes("WGMI.csv"), closes("WGMI_ohlcv_2026-07_2026-10.csv")], CLOSE_LIMITS)

    disputed = reason(Code.PRICES_DISPUTED, prices=(("WGMI.csv", 54.06), ("WGMI_ohlcv_2026-07_2026-10.csv", 54.75)))
    assert [("2026-08-03", disputed)] * 2 == [(str(rejection.key), rejection.reason) for rejection in agreed.rejected]
    assert float(agreed.dispersion.max()) < 1e-7


def test_a_difference_by_distributions_is_accepted_with_a_warning() -> None:
    adjusted, plain = 20.0 / 1.0055, 20.0  # the largest difference for WGMI

    agreed = one_key(adjusted, plain, limits=CLOSE_LIMITS)

    assert [2] == agreed.witnesses.tolist()
    assert CLOSE_LIMITS.warn < agreed.dispersion[0] < CLOSE_LIMITS.reject


@needs_data
def test_a_single_venue_feed_of_a_thin_etf_is_rejected_on_many_days() -> None:
    feed, true = bad_feed(), closes("WGMI.csv")
    agreed = consensus_prices([feed, true], CLOSE_LIMITS)
    rejected = {rejection.key for rejection in agreed.rejected if rejection.reason.code is Code.PRICES_DISPUTED}

    known = true.prices[np.searchsorted(true.keys, feed.keys)]
    years = feed.keys.astype("datetime64[Y]")
    wrong = np.abs(feed.prices / known - 1) > CLOSE_LIMITS.reject

    assert [0.78, 0.52, 0.13, 0.02] == [round(float(wrong[years == year].mean()), 2) for year in np.unique(years)]
    assert 135 == len(rejected)


@needs_data
def test_two_venues_of_bitcoin_agree_within_their_limits() -> None:
    agreed = consensus_prices(
        [bitcoin(f"{name}_daily.csv", "2022-01-01") for name in ("btc_usd_yahoo", "btcusdt_binance")], COIN_LIMITS
    )

    spread = agreed.dispersion[agreed.witnesses == 2]
    worst = agreed.keys[np.argmax(agreed.dispersion)].astype("datetime64[D]")
    assert (1617, 0.0004, 0.0037) == (len(spread), *np.percentile(spread, [50, 99]).round(4))
    assert ("2026-03-27", 0.0104, ()) == (str(worst), round(float(spread.max()), 4), agreed.rejected)


@needs_data
def test_honest_last_trades_are_within_their_limits() -> None:
    """Five-minute moves of SMH, scaled by daily volatility, approximate the moves of WGMI in 90 seconds."""
    wgmi, smh = (np.diff(np.log(closes(name).prices)) for name in ("WGMI.csv", "SMH.csv"))
    scale = wgmi.std() / smh[-251:].std() * np.sqrt(90 / 300)

    moves = np.concatenate([five_minutes(path) for path in sorted((DATA / "intraday_5m").glob("SMH_*.json"))]) * scale

    assert (2367, 0.0014, 0.0089, 0.0164) == (len(moves), *np.quantile(moves, [0.5, 0.99, 1.0]).round(4))
    assert np.quantile(moves, 0.99) < TRADE_LIMITS.warn
    assert moves.max() + 0.0031 < TRADE_LIMITS.reject


def five_minutes(path: Path) -> np.typing.NDArray[np.float64]:
    """Return the absolute log returns between the five-minute bars of one day."""
    bars = json.loads(path.read_text(encoding="utf-8"))["day"]
    at, prices = (np.array([bar[name] for bar in bars], dtype=float) for name in ("time", "close"))
    moves: np.typing.NDArray[np.float64] = np.abs(np.diff(np.log(prices)))[np.diff(at) == 300]
    return moves

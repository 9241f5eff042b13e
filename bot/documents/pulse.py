"""The document of `minerpulse pulse --json`: the board."""

from datetime import date, datetime
from functools import partial
from typing import Annotated

from typing_extensions import TypedDict

from bot.documents.fields import (
    About,
    Correlation,
    Count,
    DataQuality,
    Document,
    Fraction,
    LeftOut,
    Percentile,
    Seconds,
    Share,
    StandardError,
    Usd,
    data_quality,
    if_known,
    left_out,
    record,
    schema_id,
)
from handlers.render.reasons import sentence, sentences
from services.core.prices import PriceStamp
from services.core.sessions import MarketState
from services.market.gap import Gap
from services.market.measure import Drawdown, Measurement, NotMeasured, Window
from services.market.snapshot import Snapshot
from services.rules.market_view import MarketView


class PriceFields(TypedDict):
    """The price of one leg."""

    symbol: str
    source: str
    price: Usd
    at: datetime
    age_s: Seconds


class Prices(TypedDict):
    """The prices of both legs; null for a leg without a price."""

    etf: PriceFields | None
    btc: PriceFields | None


WindowStart = TypedDict("WindowStart", {"from": Annotated[date, About("session whose close the returns start from")]})


class WindowFields(WindowStart, DataQuality):
    """The returns of both legs over one window, and how unusual the spread is.

    Of `percentile` and `sigma`, at most one is known: `percentile` up to 20 sessions, `sigma` for longer windows.
    """

    window: Window
    etf_return: Fraction
    btc_return: Fraction
    spread: Annotated[Fraction, About("fraction: the ETF's return minus bitcoin's")]
    relative: Annotated[Fraction, About("fraction: return of the ratio of the ETF's price to bitcoin's")]
    beta: Annotated[float | None, About("from the 60 sessions before the window")]
    beta_se: StandardError | None
    r2: Share | None
    correlation: Correlation | None
    residual: Annotated[Fraction | None, About("fraction: the ETF's return minus beta times bitcoin's")]
    z: Annotated[float | None, About("robust z of the spread against the 252 sessions before it")]
    percentile: Percentile | None
    sigma: Annotated[float | None, About("volatility-scaled move, in units of its usual size")]
    sessions: Annotated[Count, About("sessions that the window covers")]


class UnmeasuredWindow(TypedDict):
    """A window without a measurement."""

    window: Window
    reason: Annotated[str, About("sentence")]


class Drawdowns(TypedDict):
    """The drawdowns of both legs; null for a leg without a price."""

    etf: Drawdown | None
    btc: Drawdown | None


class PulseDocument(Document, DataQuality):
    """The board: prices, every window, drawdowns, and the implied gap while the market is closed."""

    pair: Annotated[str, About("such as WGMI/BTC")]
    simulated: bool
    now: Annotated[datetime, About("time of the document; with price files, when the last close became final")]
    session: date
    live: Annotated[bool, About("whether the prices are from the open session, not from a close")]
    live_reason: Annotated[str, About("why there are no live prices; empty if there are")]
    market: MarketState
    prices: Prices
    windows: list[WindowFields | UnmeasuredWindow]
    drawdowns: Drawdowns
    gap: Gap | None
    left_out: list[LeftOut]
    problems: Annotated[list[str], About("sentences: source failures, and warnings about files")]


def view_document(view: MarketView) -> PulseDocument:
    """Return the document of a view."""
    snapshot = view.current
    return {
        "schema": schema_id("pulse"),
        "as_of": snapshot.at,
        "pair": str(view.pair),
        "simulated": view.simulated,
        "now": view.now,
        "session": snapshot.session,
        "live": snapshot.live,
        "live_reason": sentence(view.live_reason),
        "market": record(view.market),
        **data_quality(snapshot.trust),
        "prices": {
            "etf": if_known(snapshot.etf, partial(_price_fields, now=view.now)),
            "btc": if_known(snapshot.crypto, partial(_price_fields, now=view.now)),
        },
        "windows": [_window_fields(measurement, snapshot) for measurement in snapshot.measurements.values()],
        "drawdowns": {
            "etf": if_known(snapshot.etf_drawdown, record),
            "btc": if_known(snapshot.crypto_drawdown, record),
        },
        "gap": if_known(view.gap, record),
        "left_out": left_out(view.left_out),
        "problems": sentences(view.problems),
    }


def _price_fields(stamp: PriceStamp, now: datetime) -> PriceFields:
    return {
        "symbol": stamp.symbol,
        "source": stamp.source,
        "price": stamp.price,
        "at": stamp.at,
        "age_s": (now - stamp.at).total_seconds(),
    }


def _window_fields(measurement: Measurement | NotMeasured, snapshot: Snapshot) -> WindowFields | UnmeasuredWindow:
    if isinstance(measurement, NotMeasured):
        return {"window": measurement.window, "reason": sentence(measurement.reason)}
    return {
        "window": measurement.window,
        "from": measurement.anchor,
        "etf_return": measurement.etf_return,
        "btc_return": measurement.crypto_return,
        "spread": measurement.spread,
        "relative": measurement.relative,
        "beta": measurement.beta,
        "beta_se": measurement.beta_error,
        "r2": measurement.r2,
        "correlation": measurement.correlation,
        "residual": measurement.residual,
        "z": measurement.z,
        "percentile": measurement.percentile,
        "sigma": measurement.sigma,
        "sessions": measurement.sessions,
        **data_quality(snapshot.trust_over(measurement.window)),
    }

"""Alerts for tests: each builder returns a consistent value and takes by keyword what the test is about."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from services.alerting.alert import ActorStamp, Alert, EntryKind, HitEnd, RuleHit, TimelineEntry, sort_hits
from services.alerting.ports import ChannelRule, RuleAuditKind, RuleChange, UnreadableRule
from services.core.identity import Channel
from services.core.prices import WGMI_BTC, Pair, PriceStamp
from services.core.reason import Code, Reason
from services.market.chart_points import AlertChart, alert_chart
from services.market.measure import Measurement, Window
from services.research.attribution import AlertAttribution
from services.research.track_record import TrackRecord
from services.rules.decide import Side
from tests.fakes.market import aligned_market

AT = datetime(2026, 11, 17, 15, 40, tzinfo=UTC)
TODAY = date(2026, 11, 17)
CHANNEL = Channel(team="T1", id="C1")
PAST = Reason.of(Code.RULE_PAST_THRESHOLD, value=0.083, threshold=0.08, unit="pp", held_s=300.0, at_close=False)
CLEARED = Reason.of(
    Code.OF_RULE,
    rule="1d 8pp",
    reason=Reason.of(Code.RULE_CLEARED, value=0.041, clear=0.048, unit="pp", kept_s=0.0),
)
RETRACTED = Reason.of(
    Code.RULE_RETRACTED,
    rule="1d 8pp at close",
    corrections=[Reason.of(Code.CORRECTION, session=None, old=0.084, new=0.071, threshold=0.08, unit="pp")],
    threshold=0.08,
    unit="pp",
)
ANCHORS = {
    Window.D1: date(2026, 11, 16),
    Window.D5: date(2026, 11, 10),
    Window.D20: date(2026, 10, 20),
    Window.D60: date(2026, 8, 24),
    Window.D252: date(2025, 11, 14),
    Window.YTD: date(2025, 12, 31),
}


def a_measurement(
    *,
    window: Window = Window.D1,
    etf_return: float = 0.031,
    crypto_return: float = -0.052,
    pair: Pair = WGMI_BTC,
    session: date = TODAY,
    anchor: date | None = None,
    as_of: datetime = AT,
    live: bool = True,
    beta: float | None = 1.6,
    z: float | None = 3.4,
    percentile: float | None = 99.2,
    crypto_since: date | None = None,
) -> Measurement:
    """Build a measurement; the spread, the relative return and the residual follow from the legs and beta."""
    return Measurement(
        pair=pair,
        window=window,
        session=session,
        anchor=anchor or ANCHORS[window],
        as_of=as_of,
        live=live,
        etf_return=etf_return,
        crypto_return=crypto_return,
        spread=etf_return - crypto_return,
        relative=(1 + etf_return) / (1 + crypto_return) - 1,
        beta=beta,
        residual=None if beta is None else etf_return - beta * crypto_return,
        z=z,
        crypto_since=crypto_since,
        percentile=percentile,
    )


def a_rule_hit(
    *,
    rule_id: int = 1,
    rule: str = "1d 8pp",
    measurement: Measurement | None = None,
    value: float | None = None,
    peak: float | None = None,
    corrected_from: float | None = None,
    active: bool = True,
    track_record: TrackRecord | None = None,
    attribution: AlertAttribution | None = None,
) -> RuleHit:
    """Build the hit of one rule; its value is the measured spread, and so is its peak."""
    measurement = measurement or a_measurement()
    value = measurement.spread if value is None else value
    return RuleHit(
        rule_id=rule_id,
        rule=rule,
        at=measurement.as_of,
        value=value,
        peak=value if peak is None else peak,
        measurement=measurement,
        corrected_from=corrected_from,
        active=active,
        ended=None if active else HitEnd.CLEARED,
        track_record=track_record,
        attribution=attribution,
    )


def an_alert_chart(measurement: Measurement | None = None) -> AlertChart:
    """Build the chart of a one-session measurement: the 20 sessions from 20 October on, and that."""
    etf = [36.6, 36.2, 37.1, 37.9, 37.2, 36.8, 37.4, 38.3, 38.9, 38.1, 37.7, 38.6, 39.4, 39.9, 39.1, 38.8, 39.5, 40.2]
    btc = [93.8, 93.1, 94.0, 94.9, 94.2, 93.0, 92.4, 93.3, 94.1, 94.6, 93.9, 93.2, 92.8, 93.6, 93.0, 92.5, 92.1, 92.4]
    closes = aligned_market([*etf, 39.8, 40.03], [1_000 * price for price in (*btc, 92.0, 92.2)], first="2026-10-20")
    drawn = alert_chart(closes, measurement or a_measurement())
    assert drawn is not None
    return drawn


def a_stamp(*, symbol: str = "WGMI", source: str = "Yahoo", price: float = 41.27, at: datetime = AT) -> PriceStamp:
    """Build the source, price and instant of one leg."""
    return PriceStamp(symbol=symbol, source=source, price=price, at=at)


def an_alert(
    *,
    id: int = 0,  # noqa: A002 -- the field's own name
    channel: Channel = CHANNEL,
    pair: Pair = WGMI_BTC,
    side: Side = Side.ABOVE,
    opened_at: datetime = AT - timedelta(minutes=5),
    as_of: datetime = AT,
    hits: Sequence[RuleHit] | None = None,
    etf: PriceStamp | None = None,
    crypto: PriceStamp | None = None,
    simulated: bool = False,
    reason: Reason | str = PAST,
    closed_at: datetime | None = None,
    acknowledged: ActorStamp | None = None,
    snoozed: ActorStamp | None = None,
    unacknowledged_since: datetime | None = None,
    reminded_at: datetime | None = None,
    escalated_at: datetime | None = None,
    chart: AlertChart | None = None,
) -> Alert:
    """Build an open alert of one rule, not yet saved; hits are sorted."""
    return Alert(
        id=id,
        channel=channel,
        pair=pair,
        side=side,
        opened_at=opened_at,
        as_of=as_of,
        hits=sort_hits([a_rule_hit()] if hits is None else hits),
        etf=etf or a_stamp(symbol=pair.etf, at=as_of),
        crypto=crypto or a_stamp(symbol=pair.crypto, source="Coinbase", price=87_412.5, at=as_of),
        simulated=simulated,
        reason=reason,
        closed_at=closed_at,
        acknowledged=acknowledged,
        snoozed=snoozed,
        unacknowledged_since=unacknowledged_since,
        reminded_at=reminded_at,
        escalated_at=escalated_at,
        chart=chart,
    )


def an_entry(
    *,
    kind: EntryKind = EntryKind.FIRED,
    at: datetime = AT,
    reason: Reason | str = PAST,
    by: str | None = None,
    until: datetime | None = None,
    silent: bool = False,
) -> TimelineEntry:
    """Build one timeline entry."""
    return TimelineEntry(kind=kind, at=at, reason=reason, by=by, until=until, silent=silent)


def removal(channel_rule: ChannelRule | UnreadableRule, by: str = "U1") -> RuleChange:
    """Build the removal of a rule by a person."""
    return RuleChange(kind=RuleAuditKind.REMOVED, channel_rule=channel_rule, by=by)

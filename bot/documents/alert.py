"""The document of a webhook: one alert, with the keys and units of `pulse --json`."""

from datetime import datetime
from typing import Annotated

from typing_extensions import TypedDict

from bot.documents.fields import About, Fraction, Percentile, Usd, Versioned, schema_id
from handlers.render.page import page_summary
from services.core.trust import Verdict
from services.delivery.pages import Page
from services.market.measure import Window
from services.rules.grammar import parse_rule


class RuleFields(TypedDict):
    """A rule of the alert."""

    id: int
    rule: Annotated[str, About("rule as it is typed, such as `5d 15pp`")]


class AlertFields(TypedDict):
    """The alert."""

    id: int
    version: Annotated[int, About("increases with every change; ignore a body with a lower one")]
    status: Annotated[str, About("`open`, `acknowledged` or `ended`: resolved or retracted")]
    retracted: Annotated[bool, About("whether a price correction retracted it")]
    pair: str
    subject: str
    side: str
    severity: str
    rules: list[RuleFields]
    opened_at: datetime
    closed_at: datetime | None
    acknowledged_at: datetime | None


class MeasurementFields(TypedDict):
    """The last measurement of the rule that heads the alert."""

    window: Window
    etf_return: Fraction
    btc_return: Fraction
    spread: Annotated[Fraction, About("fraction: the ETF's return minus bitcoin's")]
    value: Annotated[float, About("the rule's metric, in its unit")]
    peak: Annotated[float, About("the largest value on the alert's side, in the metric's unit")]
    clear: Annotated[float, About("the level at which the rule clears, in the metric's unit")]
    percentile: Percentile | None
    sigma: float | None
    etf_price: Usd
    btc_price: Usd
    as_of: datetime
    verdict: Verdict


class AlertData(Versioned):
    """One alert in its current state; each body replaces all earlier ones."""

    alert: AlertFields
    measurement: MeasurementFields
    summary: Annotated[str, About("the alert in one line")]
    slack: Annotated[str | None, About("address of the alert's message; null while that is unknown")]


def alert_document(page: Page) -> AlertData:
    """Return the snapshot of an alert that a webhook sends."""
    alert, hit = page.alert, page.alert.lead
    measurement = hit.measurement
    return {
        "schema": schema_id("webhook"),
        "alert": {
            "id": alert.id,
            "version": page.version,
            "status": page.stage.value,
            "retracted": alert.retracted,
            "pair": str(alert.pair),
            "subject": str(alert.subject),
            "side": alert.side.value,
            "severity": page.severity.value,
            "rules": [{"id": one.rule_id, "rule": one.rule} for one in alert.hits],
            "opened_at": alert.opened_at,
            "closed_at": alert.closed_at,
            "acknowledged_at": alert.acknowledged.at if alert.acknowledged else None,
        },
        "measurement": {
            "window": measurement.window,
            "etf_return": measurement.etf_return,
            "btc_return": measurement.crypto_return,
            "spread": measurement.spread,
            "value": hit.value,
            "peak": hit.peak,
            "clear": parse_rule(hit.rule).clear,
            "percentile": measurement.percentile,
            "sigma": measurement.sigma,
            "etf_price": alert.etf.price,
            "btc_price": alert.crypto.price,
            "as_of": alert.as_of,
            "verdict": alert.trust.verdict,
        },
        "summary": page_summary(page),
        "slack": page.link or None,
    }

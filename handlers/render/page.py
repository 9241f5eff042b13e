"""The words of pages, which people read outside Slack: plain text, New York time."""

from collections.abc import Mapping

from handlers.render import fmt
from handlers.render.alert_text import alert_peak, clear_text, data_text, heading, mark_alert, rank_text, short_heading
from handlers.render.markup import plain
from handlers.render.reasons import sentence
from services.alerting.paging import Stage
from services.delivery.pages import Page
from services.rules.grammar import parse_rule


def page_summary(page: Page) -> str:
    """Return a page in one line: `WGMI 8.3 pp ahead of BTC over 1 session (rule 1d 8pp)`."""
    alert = page.alert
    if page.stage is not Stage.ENDED:
        return _plain(mark_alert(f"{heading(alert.lead)} (rule {alert.lead.rule})", alert))
    state = "Retracted" if alert.retracted else "Resolved"
    return _plain(mark_alert(f"{state}: {short_heading(alert.lead)}, peak {alert_peak(alert)}", alert))


def page_details(page: Page) -> Mapping[str, object]:
    """Return what a responder sees beside the summary, by name."""
    alert, hit = page.alert, page.alert.lead
    etf, crypto = str(alert.pair.etf), str(alert.pair.crypto)
    return {
        "alert": alert.id,
        "rule": hit.rule,
        etf: f"{fmt.percent(hit.measurement.etf_return)} to {fmt.price(alert.etf.price)}",
        crypto: f"{fmt.percent(hit.measurement.crypto_return)} to {fmt.price(alert.crypto.price)}",
        "rank": _plain(rank_text(alert)),
        "clears": _plain(clear_text(parse_rule(hit.rule), alert.side)),
        "data": _plain(data_text(alert.trust)),
        "as_of": fmt.plain_instant(alert.as_of),
        "version": page.version,
    }


def page_body(page: Page) -> str:
    """Return a page as the text of an email."""
    details = {name: value for name, value in page_details(page).items() if name not in ("alert", "version") and value}
    why = f"{sentence(page.alert.reason)}.".replace("`", "")
    link = [f"In Slack: {page.link}"] if page.link else []
    lines = [
        page_summary(page),
        "",
        f"{why[:1].upper()}{why[1:]}",
        *(f"{name}: {value}" for name, value in details.items()),
    ]
    return "\n".join([*map(_plain, lines), *link])


def _plain(text: str) -> str:
    return plain(text).replace("\u00a0", " ").replace(":warning: ", "")

"""PagerDuty, by its Events API v2.

Source: https://developer.pagerduty.com/docs/events-api-v2/overview/
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.alerting.paging import Severity, Stage
from services.core.rows import complete
from services.delivery.pages import Page
from services.delivery.sinks.http import SinkClient

ENDPOINTS = {
    "us": "https://events.pagerduty.com/v2/enqueue",
    "eu": "https://events.eu.pagerduty.com/v2/enqueue",
}
KEY_LENGTH = 32
MAX_SUMMARY = 1_024
ACTIONS = complete("ACTIONS", Stage, {Stage.OPEN: "trigger", Stage.ACKNOWLEDGED: "acknowledge", Stage.ENDED: "resolve"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDutySink:
    """Opens, acknowledges and resolves one PagerDuty alert per alert; PagerDuty matches them by the page's key."""

    url: str
    routing_key: str
    client: SinkClient
    summarize: Callable[[Page], str]
    details: Callable[[Page], Mapping[str, object]]
    kind: str = "pagerduty"
    stages: frozenset[Stage] = frozenset(Stage)
    shows_changes: bool = False
    repeats_safely: bool = True

    async def show(self, page: Page) -> str:
        """Send the page's stage as an event; return the dedup key. Raises DeliveryError.

        An alert that is acknowledged before PagerDuty knows it is opened first, or the acknowledgement is dropped.
        """
        if page.is_first and page.stage is Stage.ACKNOWLEDGED:
            await self._send(self._event(page, Stage.OPEN))
        await self._send(self._event(page, page.stage))
        return page.key

    async def test(self, key: str, channel_name: str) -> str:
        """Open and resolve an alert titled TEST. Raises DeliveryError."""
        summary = f"TEST: MinerPulse pages for {channel_name}"
        payload = {"summary": summary, "source": "minerpulse", "severity": Severity.INFO.value}
        await self._send({"event_action": "trigger", "dedup_key": key, "payload": payload})
        await self._send({"event_action": "resolve", "dedup_key": key})
        return key

    def _event(self, page: Page, stage: Stage) -> dict[str, object]:
        event: dict[str, object] = {"event_action": ACTIONS[stage], "dedup_key": page.key}
        if stage is not Stage.OPEN:
            return event
        payload = {
            "summary": self.summarize(page)[:MAX_SUMMARY],
            "source": f"minerpulse {page.alert.pair}",
            "severity": page.severity.value,
            "timestamp": page.alert.opened_at.isoformat(),
            "component": str(page.alert.pair),
            "class": str(page.alert.subject),
            "custom_details": self.details(page),
        }
        links = {"links": [{"href": page.link, "text": "Alert in Slack"}]} if page.link else {}
        return {**event, "client": "MinerPulse", "payload": payload, **links}

    async def _send(self, event: Mapping[str, object]) -> None:
        body = json.dumps({"routing_key": self.routing_key, **event}, ensure_ascii=False).encode()
        await self.client.post(self.url, body, {"Content-Type": "application/json"})

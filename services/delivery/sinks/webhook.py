"""Webhooks by Standard Webhooks 1.0.0.

Source: https://github.com/standard-webhooks/standard-webhooks
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from services.alerting.paging import Stage
from services.core.clock import Clock
from services.core.errors import InvalidSinkError
from services.delivery.pages import Page
from services.delivery.sinks.http import SinkClient

PREFIX = "whsec_"  # of a secret
SECRET_BYTES = range(24, 65)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSink:
    """POSTs a snapshot of an alert on every change, signed with each of its secrets."""

    name: str
    url: str
    secrets: tuple[bytes, ...]
    client: SinkClient
    clock: Clock
    document: Callable[[Page], Mapping[str, object]]
    kind: str = "webhook"
    stages: frozenset[Stage] = frozenset(Stage)
    shows_changes: bool = True
    repeats_safely: bool = True

    async def show(self, page: Page) -> str:
        """POST the alert as it is; return the webhook's id. Raises DeliveryError."""
        webhook_id = f"alert_{page.alert.id}_v{page.version}_{self.name}"
        await self._send(webhook_id, event_type(page), page.alert.closed_at or page.alert.as_of, self.document(page))
        return webhook_id

    async def test(self, key: str, channel_name: str) -> str:
        """POST an event of the type `sink.test`. Raises DeliveryError."""
        webhook_id = f"test_{hashlib.sha256(key.encode()).hexdigest()[:16]}_{self.name}"
        await self._send(webhook_id, "sink.test", self.clock.now(), {"channel": channel_name})
        return webhook_id

    async def _send(self, webhook_id: str, kind: str, at: datetime, data: Mapping[str, object]) -> None:
        document = {"type": kind, "timestamp": at.isoformat(), "data": data}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()
        timestamp = str(int(self.clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": sign(self.secrets, webhook_id, timestamp, body),
        }
        await self.client.post(self.url, body, headers)


def _plain(value: object) -> str:
    """Return a time or an enum's member as JSON has it."""
    return value.isoformat() if isinstance(value, datetime) else str(value.value if isinstance(value, Enum) else value)


def event_type(page: Page) -> str:
    """Return what has happened to an alert since the sink's last page of it."""
    if page.stage is Stage.ENDED:
        return "alert.retracted" if page.alert.retracted else "alert.resolved"
    if page.is_first:
        return "alert.fired"
    return "alert.acknowledged" if page.stage is Stage.ACKNOWLEDGED is not page.before else "alert.changed"


def sign(secrets: Sequence[bytes], webhook_id: str, timestamp: str, body: bytes) -> str:
    """Return the signatures of a webhook, one per secret, separated by spaces."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    digests = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def parse_secret(name: str, text: str) -> bytes:
    """Return the bytes of a secret such as `whsec_…`. Raises InvalidSinkError."""
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not text.startswith(PREFIX) or len(secret) not in SECRET_BYTES:
        raise InvalidSinkError(name, "Its secret isn't `whsec_` followed by 24 to 64 bytes in base64.")
    return secret

"""The acknowledgement of /minerpulse beside that of a bare Bolt app in the same mode, signed requests and all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlencode

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import build_bolt
from handlers import listeners
from tests.bench.measurement import Measurement, paired_ms
from tests.fakes.harness import open_harness
from tests.fakes.slack import SECRET, TOKEN, slack_server

RUNS = 300


async def bench() -> list[Measurement]:
    """Help goes out in the acknowledgement itself; for the board it is empty, and the answer comes after it."""
    async with slack_server() as slack, open_harness() as harness:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/")
        ours, bare = build_bolt(client, SECRET), build_bolt(client, SECRET)
        errands = listeners.register(ours, harness.commands, harness.research, harness.clock)
        bare.command("/minerpulse")(_bare)
        measurements = []
        for text in ("help", ""):
            measurements.append(
                await _measurement(f"ack of /minerpulse {text}".strip(), ours, bare, text, f"{slack.url}responses/1")
            )
            await errands.drain()
    return measurements


async def _measurement(what: str, ours: AsyncApp, theirs: AsyncApp, text: str, response_url: str) -> Measurement:
    form = {"command": "/minerpulse", "text": text, "team_id": "T1", "channel_id": "C1", "user_id": "U1"}
    body = urlencode({**form, "response_url": response_url})

    async def ask(app: AsyncApp) -> None:
        stamp = str(int(time.time()))
        headers: dict[str, str | Sequence[str]] = {
            "content-type": ["application/x-www-form-urlencoded"],
            "x-slack-request-timestamp": [stamp],
            "x-slack-signature": [str(SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body))],
        }
        response = await app.async_dispatch(AsyncBoltRequest(body=body, headers=headers))
        if response.status != 200:
            raise AssertionError(response.body)

    measured, bare = await paired_ms(lambda: ask(ours), lambda: ask(theirs), RUNS)
    return Measurement(
        name=what, measured=measured, baseline=bare, baseline_name="a bare Bolt ack", unit="ms", budget=1.5, budget_is_ratio=True
    )


async def _bare(ack: AsyncAck) -> None:
    await ack("ok")

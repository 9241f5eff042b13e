"""A Slack user: sends commands and clicks as signed requests to the real listeners."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.signature import SignatureVerifier

from bot.fake_slack.workspace import PostedMessage, Workspace

APP = "AREHEARSAL"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user in one channel; `id` is the user ID, and the name."""

    id: str
    channel: str
    signing_secret: str
    bolt: AsyncApp
    workspace: Workspace

    async def type_command(self, command: str, text: str) -> None:
        """Send a slash command; its acknowledgement appears to this person, as in Slack."""
        response = await self._send(
            {
                "team_id": self.workspace.team,
                "channel_id": self.channel,
                "channel_name": self.channel.lower(),
                "user_id": self.id,
                "user_name": self.id,
                "command": command,
                "text": text,
                "api_app_id": APP,
                "is_enterprise_install": "false",
                "response_url": self.workspace.response_url(self.channel, self.id),
                "trigger_id": "1.1",
            }
        )
        if response.body:
            message = json.loads(response.body) if response.body.startswith("{") else {"text": response.body}
            self.workspace.show_acknowledgement(self.channel, self.id, message)

    async def click(
        self, message: PostedMessage, element: dict[str, Any], option: dict[str, Any] | None = None
    ) -> None:
        """Press a button of a message, or choose an option of a menu."""
        choice = {"selected_option": option} if option else {"value": element["value"]}
        action = {key: element[key] for key in ("type", "action_id")}
        payload = {
            "type": "block_actions",
            "api_app_id": APP,
            "team": {"id": self.workspace.team, "domain": "rehearsal"},
            "user": {"id": self.id, "username": self.id, "team_id": self.workspace.team},
            "channel": {"id": self.channel, "name": self.channel.lower()},
            "container": {"type": "message", "message_ts": message.ts, "channel_id": self.channel},
            "message": {"ts": message.ts, "text": message.text, "blocks": message.blocks},
            "state": {"values": {}},
            "is_enterprise_install": False,
            "response_url": self.workspace.response_url(self.channel, self.id, message.ts),
            "trigger_id": "1.1",
            "actions": [{**action, **choice, "block_id": "b", "action_ts": message.ts}],
        }
        await self._send({"payload": json.dumps(payload)})

    async def _send(self, form: dict[str, str]) -> BoltResponse:
        """Sign a request and dispatch it to Bolt. Raises RuntimeError if it is rejected."""
        body, timestamp = urlencode(form), f"{time.time():.0f}"  # the signature's age is checked against the wall clock
        signature = SignatureVerifier(self.signing_secret).generate_signature(timestamp=timestamp, body=body)
        headers: dict[str, str | Sequence[str]] = {
            "content-type": FORM,
            "x-slack-request-timestamp": timestamp,
            "x-slack-signature": str(signature),
        }
        response = await self.bolt.async_dispatch(AsyncBoltRequest(body=body, headers=headers))
        if response.status != 200:  # noqa: PLR2004 -- HTTP's OK
            raise RuntimeError(f"the request got HTTP {response.status}: {response.body}")
        return response

"""The Bolt app of one workspace: its client, its authorization, its listeners."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize

import handlers

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

    from services.desk import Desk
    from services.ports import Clock


class OneWorkspace(AsyncAuthorize):
    """Authorizes every request as the one bot token; Slack is asked who that is once, not at each request."""

    def __init__(self, client: AsyncWebClient) -> None:
        self.client = client
        self._lock = asyncio.Lock()
        self._known: AuthorizeResult | None = None

    async def __call__(self, **_request: object) -> AuthorizeResult:
        """Give the bot's identity. Raises SlackApiError where the token is not accepted."""
        async with self._lock:
            if self._known is None:
                answer = await self.client.auth_test()
                self._known = AuthorizeResult.from_auth_test_response(
                    auth_test_response=answer, bot_token=self.client.token
                )
            return self._known


def build_bolt(client: AsyncWebClient, signing_secret: str, desk: Desk, clock: Clock) -> AsyncApp:
    """Make the Bolt app; `process_before_response` saves the 10 ms that Bolt's default spends in each acknowledgement."""
    bolt = AsyncApp(
        client=client,
        authorize=OneWorkspace(client),
        signing_secret=signing_secret,
        process_before_response=True,
    )
    handlers.register(bolt, desk, clock)
    return bolt

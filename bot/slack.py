"""The Bolt app of one workspace, and who it is there."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient


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


def build_bolt(client: AsyncWebClient, signing_secret: str) -> AsyncApp:
    """Make the Bolt app; processing before the response saves the 10 ms that Bolt's default adds to each answer."""
    anonymous = copy.copy(client)
    anonymous.token = None  # each request gets the token that it is authorized with
    return AsyncApp(
        client=anonymous,
        authorize=OneWorkspace(client),
        signing_secret=signing_secret,
        process_before_response=True,
    )

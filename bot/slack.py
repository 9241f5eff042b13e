"""The Bolt app: authorized from memory, each event once, each request under its number."""

from __future__ import annotations

import copy
import logging
import time
from http import HTTPStatus
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_sdk.web.async_client import AsyncWebClient

from bot.http.replay_guard import ReplayGuard
from bot.logs import numbered
from bot.oauth.tokens import ManyWorkspaces, Tokens

EVENTS_KEPT_S = 3_600.0  # Slack sends an event again at once, after a minute and after five
NOT_INSTALLED = "MinerPulse is not installed in this workspace any more. Ask whoever runs it for its install link."
log = logging.getLogger(__name__)


class OneWorkspace(AsyncAuthorize):
    """Authorizes every request as the one bot token, from memory: an acknowledgement waits for nothing."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def __call__(self, *, enterprise_id: str | None, team_id: str | None, **_request: object) -> AuthorizeResult:
        """Let the request through, in its own workspace."""
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=self.token)


class SlackApp(AsyncApp):
    """Takes requests that are known to come from Slack: through the gate, or over the socket."""

    def __init__(self, *, tokens: Tokens | None = None, **options: Any) -> None:  # noqa: ANN401 -- Bolt's own options
        super().__init__(**options)
        self._tokens = tokens
        self._seen = ReplayGuard(keep_s=EVENTS_KEPT_S)

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Work on a request; an event that Slack sends again is answered without acting twice.

        An event that nobody listens to is well, too: Slack would send it again, and in the end stop sending any.
        """
        with numbered():
            event = str(req.body.get("event_id", ""))
            if event and not self._seen.first(event, time.monotonic()):
                log.info("an event came again, and is left alone")
                return BoltResponse(status=HTTPStatus.OK)
            try:
                answer = await self._answered(req)
            except BaseException:
                self._seen.forget(event)
                raise
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._seen.forget(event)
            return BoltResponse(status=HTTPStatus.OK) if event and answer.status == HTTPStatus.NOT_FOUND else answer

    async def _answered(self, req: AsyncBoltRequest) -> BoltResponse:
        return await super().async_dispatch(req) if await self._is_installed(req) else _not_installed(req)

    async def _is_installed(self, req: AsyncBoltRequest) -> bool:
        """Tell whether the app is in the workspace that a request comes from; one workspace alone asks nobody.

        What comes from no workspace is Slack's look at the address, which Bolt answers.
        """
        team, enterprise = req.context.team_id, req.context.enterprise_id
        if self._tokens is None or not (team or enterprise):
            return True
        return await self._tokens.of(team, enterprise) is not None


def _not_installed(req: AsyncBoltRequest) -> BoltResponse:
    """Answer well where the app is not installed: events that fail would end those of all other workspaces."""
    log.info("a request of a workspace where the app is not installed")
    return BoltResponse(status=HTTPStatus.OK, body=NOT_INSTALLED if "command" in req.body else "")


def build_bolt(client: AsyncWebClient, signing_secret: str, tokens: Tokens | None = None) -> SlackApp:
    """Make the Bolt app of one workspace, or of the many that have tokens.

    Processing before the response saves the 10 ms that Bolt's default adds to each answer.
    """
    anonymous = copy.copy(client)
    anonymous.token = None  # each request gets the token that it is authorized with
    return SlackApp(
        client=anonymous,
        authorize=OneWorkspace(str(client.token)) if tokens is None else ManyWorkspaces(tokens),
        tokens=tokens,
        signing_secret=signing_secret,
        process_before_response=True,
    )

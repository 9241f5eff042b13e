"""The Bolt app: authorizes from memory, handles each event once, sets a request ID."""

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

from bot.http.slack_requests import ReplayGuard
from bot.logs import request_id_scope
from bot.oauth.tokens import InstallationCache, MultiWorkspaceAuthorize

EVENT_TTL_S = 3_600.0  # Slack retries at once, after a minute and after five
NOT_INSTALLED = "MinerPulse is not installed in this workspace any more. Ask whoever runs it for its install link."
log = logging.getLogger(__name__)


class SingleWorkspaceAuthorize(AsyncAuthorize):
    """Authorizes every request with the one bot token, from memory, so that the acknowledgement does no I/O."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def __call__(self, *, enterprise_id: str | None, team_id: str | None, **_request: object) -> AuthorizeResult:
        """Return the authorization for the request's workspace."""
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=self.token)


class SlackApp(AsyncApp):
    """A Bolt app for verified requests, from SlackRequests or Socket Mode."""

    def __init__(self, *, installation_cache: InstallationCache | None = None, **options: Any) -> None:  # noqa: ANN401 -- Bolt's own options
        super().__init__(**options)
        self._installation_cache = installation_cache
        self._replay_guard = ReplayGuard(ttl_s=EVENT_TTL_S)

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Handle a request; a retried event is acknowledged without acting twice.

        An event without a listener is acknowledged, too: Slack would retry it, and later stop sending events.
        """
        with request_id_scope():
            event_id = str(req.body.get("event_id", ""))
            if not event_id:
                return await self._dispatch_if_installed(req)
            response = await self._replay_guard.handle_once(
                event_id, time.monotonic(), lambda: self._dispatch_if_installed(req)
            )
            if response is None:
                log.info("ignored a repeated event")
            elif response.status != HTTPStatus.NOT_FOUND:
                return response
            return BoltResponse(status=HTTPStatus.OK)

    async def _dispatch_if_installed(self, req: AsyncBoltRequest) -> BoltResponse:
        return await super().async_dispatch(req) if await self._is_installed(req) else _not_installed_response(req)

    async def _is_installed(self, req: AsyncBoltRequest) -> bool:
        """Return whether the app is installed in the request's workspace; always true with one workspace.

        A request without a workspace is Slack's URL verification, which Bolt answers.
        """
        team, enterprise = req.context.team_id, req.context.enterprise_id
        if self._installation_cache is None or not (team or enterprise):
            return True
        return await self._installation_cache.get(team, enterprise) is not None


def _not_installed_response(req: AsyncBoltRequest) -> BoltResponse:
    """Return status 200: failed events would disable events for all other workspaces."""
    log.info("request from a workspace without an installation")
    return BoltResponse(status=HTTPStatus.OK, body=NOT_INSTALLED if "command" in req.body else "")


def build_bolt(
    client: AsyncWebClient, signing_secret: str, installation_cache: InstallationCache | None = None
) -> SlackApp:
    """Build the Bolt app for one workspace, or for the installations in a cache.

    `process_before_response` saves the 10 ms that Bolt's default adds to each response.
    """
    anonymous = copy.copy(client)
    anonymous.token = None  # each request gets the token of its authorization
    return SlackApp(
        client=anonymous,
        authorize=SingleWorkspaceAuthorize(str(client.token))
        if installation_cache is None
        else MultiWorkspaceAuthorize(installation_cache),
        installation_cache=installation_cache,
        signing_secret=signing_secret,
        process_before_response=True,
    )

"""The Bolt app: authorizes from memory, handles each event once, sets a request ID."""

import copy
import json
import logging
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.http.slack_requests import ProcessedKeys, ReplayGuard
from bot.logs import request_id_scope
from bot.oauth.tokens import InstallationCache, MultiWorkspaceAuthorize
from bot.settings import without_variables
from bot.socket_mode import ENVELOPE_ID
from handlers.background import BackgroundTasks, run_and_log
from handlers.events import UNINSTALL_EVENTS
from handlers.render.form_fields import result_modal
from handlers.render.message import text_message
from services.core.clock import Clock

EVENT_TTL_S = 90_000.0  # Slack retries within five minutes, and hourly for a day if the app asks for delayed events
# With these in the environment, Bolt stores tokens in the home folder, and warns of tokens that it does not use.
BOLT_VARIABLES = ("SLACK_BOT_TOKEN", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")
JSON: dict[str, str | Sequence[str]] = {"content-type": "application/json;charset=utf-8"}
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
    """A Bolt app for verified requests, from SlackRequests or Socket Mode.

    `background` sends answers that an acknowledgement cannot carry.
    """

    background: BackgroundTasks | None = None

    def __init__(
        self,
        *,
        installation_cache: InstallationCache | None = None,
        shared_keys: ProcessedKeys | None = None,
        clock: Clock | None = None,
        **options: Any,  # noqa: ANN401 -- Bolt's own options
    ) -> None:
        super().__init__(**options)
        self._installation_cache = installation_cache
        self._replay_guard = ReplayGuard(ttl_s=EVENT_TTL_S, shared=shared_keys, clock=clock)

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Handle a request; a retried event or envelope is acknowledged without acting twice.

        An event without a listener is acknowledged, too: Slack would retry it, and later stop sending events.
        """
        with request_id_scope():
            response = await self._dispatch_once(req, _repeat_key(req))
            if response is None:
                log.info("ignored a repeated event")
                return BoltResponse(status=HTTPStatus.OK)
            is_unknown_event = response.status == HTTPStatus.NOT_FOUND and bool(req.body.get("event_id"))
            return BoltResponse(status=HTTPStatus.OK) if is_unknown_event else response

    async def _dispatch_once(self, req: AsyncBoltRequest, key: str) -> BoltResponse | None:
        """Return the response; None if the request with this key was handled before."""
        if not key:
            return await self._dispatch_if_installed(req)
        return await self._replay_guard.handle_once(key, time.monotonic(), lambda: self._dispatch_if_installed(req))

    async def _dispatch_if_installed(self, req: AsyncBoltRequest) -> BoltResponse:
        return await super().async_dispatch(req) if await self._is_installed(req) else self._refuse(req)

    def _refuse(self, req: AsyncBoltRequest) -> BoltResponse:
        """Answer a person of a workspace without an installation: at once, or a press over its response_url.

        The status is 200, as failed events would disable events for all other workspaces.
        """
        log.info("request from a workspace without an installation")
        if "command" in req.body:
            return BoltResponse(status=HTTPStatus.OK, body=NOT_INSTALLED)
        if req.body.get("type") == "view_submission":
            answer = {"response_action": "update", "view": result_modal(text_message(NOT_INSTALLED))}
            return BoltResponse(status=HTTPStatus.OK, body=json.dumps(answer), headers=JSON)
        response_url = req.body.get("response_url")
        if response_url and self.background is not None:
            self.background.start(run_and_log(self._respond(str(response_url))), "answer without an installation")
        return BoltResponse(status=HTTPStatus.OK)

    async def _respond(self, response_url: str) -> None:
        webhook = AsyncWebhookClient(response_url, session=self.client.session)
        await webhook.send(text=NOT_INSTALLED, response_type="ephemeral", replace_original=False)

    async def _is_installed(self, req: AsyncBoltRequest) -> bool:
        """Return whether the app is installed in the request's workspace; always true with one workspace.

        A request without a workspace is Slack's URL verification, which Bolt answers.
        """
        team, enterprise = req.context.team_id, req.context.enterprise_id
        if self._installation_cache is None or not (team or enterprise):
            return True
        return await self._installation_cache.get(team, enterprise) is not None


def _repeat_key(req: AsyncBoltRequest) -> str:
    """Return what identifies a request that Slack may send again; empty for commands and presses over HTTP.

    Over a socket, Slack repeats an envelope that was not acknowledged. An event keeps its own ID in a new envelope.
    Events that end an installation may be handled again: a crash in between must not leave data behind.
    """
    event = req.body.get("event")
    if isinstance(event, dict) and event.get("type") in UNINSTALL_EVENTS:
        return ""
    if event_id := req.body.get("event_id"):
        return f"event:{event_id}"
    envelope_id = req.headers.get(ENVELOPE_ID, [""])[0] if req.mode == "socket_mode" else ""
    return f"envelope:{envelope_id}" if envelope_id else ""


def build_bolt(
    client: AsyncWebClient,
    signing_secret: str,
    installation_cache: InstallationCache | None = None,
    *,
    shared_keys: ProcessedKeys | None = None,
    clock: Clock | None = None,
) -> SlackApp:
    """Build the Bolt app for one workspace, or for the installations in a cache.

    With `shared_keys` and a clock it recognizes what another process handled, or this one before a restart.

    `process_before_response` saves the 10 ms that Bolt's default adds to each response.
    """
    anonymous = copy.copy(client)
    anonymous.token = None  # each request gets the token of its authorization
    with without_variables(BOLT_VARIABLES):
        return SlackApp(
            client=anonymous,
            authorize=SingleWorkspaceAuthorize(str(client.token))
            if installation_cache is None
            else MultiWorkspaceAuthorize(installation_cache),
            installation_cache=installation_cache,
            shared_keys=shared_keys,
            clock=clock,
            signing_secret=signing_secret,
            process_before_response=True,
        )

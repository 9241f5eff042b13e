"""The Bolt app: authorizes from memory, handles each event once, sets a request ID."""

import asyncio
import copy
import json
import logging
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from cachetools import LRUCache
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.http.slack_requests import BEING_HANDLED, ProcessedKeys, ReplayGuard
from bot.logs import request_id_scope
from bot.metric_families import SlackResult
from bot.metrics import Metrics
from bot.oauth.tokens import InstallationCache, MultiWorkspaceAuthorize
from bot.settings import without_variables
from bot.socket_mode import ENVELOPE_ID
from handlers.background import BackgroundTasks, run_and_log
from handlers.events import UNINSTALL_EVENTS
from handlers.render.form_fields import result_modal
from handlers.render.message import text_message
from handlers.slack_errors import translate_slack_error
from services.core.clock import Clock
from services.core.errors import DeliveryError

EVENT_TTL_S = 90_000.0  # Slack retries within five minutes, and hourly for a day if the app asks for delayed events
# With these in the environment, Bolt stores tokens in the home folder, and warns of tokens that it does not use.
BOLT_VARIABLES = ("SLACK_BOT_TOKEN", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET")
JSON: dict[str, str | Sequence[str]] = {"content-type": "application/json;charset=utf-8"}
NOT_INSTALLED = "MinerPulse isn't installed in this workspace. Ask your MinerPulse administrator for the install link."
TEAM_UNKNOWN = "MinerPulse can't ask Slack which workspace this is, so nothing was changed. Try again in a minute."
REFUSED = (
    "workspace %s sends requests, but MinerPulse is not installed there. Home tabs and shortcuts do not work "
    "without an installation: install the app there again, or remove it from the workspace in Slack"
)
IDENTITY_TIMEOUT_S = 1.0  # of the three seconds in which a request must be acknowledged
MAX_REFUSED_TEAMS = 1_000  # that are logged once each
log = logging.getLogger(__name__)


class SingleWorkspaceAuthorize(AsyncAuthorize):
    """Authorizes every request with the one bot token, from memory, so that the acknowledgement does no I/O."""

    def __init__(self, token: str) -> None:
        self.token = token

    async def __call__(self, *, enterprise_id: str | None, team_id: str | None, **_request: object) -> AuthorizeResult:
        """Return the authorization for the request's workspace."""
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=self.token)


class Refusal(BoltResponse):
    """The response to a request that is not handled."""


class SlackApp(AsyncApp):
    """A Bolt app for verified requests, from SlackRequests or Socket Mode.

    Attributes:
        background: Sends answers that an acknowledgement cannot carry.
        only_team: The one workspace of the bot token; None for many. A request that names another one comes from a
            channel that is shared with it, and is refused: it would have rules of its own there, and the token would
            post their alerts into the shared channel.
        is_team_unknown: Whether Slack hasn't answered yet which workspace the bot token is for. Each request asks
            again, and is refused without an answer.
        metrics: Counts the requests, if metrics are on.
    """

    background: BackgroundTasks | None = None
    only_team: str | None = None
    is_team_unknown: bool = False
    metrics: Metrics | None = None

    def __init__(
        self,
        *,
        installation_cache: InstallationCache | None = None,
        shared_keys: ProcessedKeys | None = None,
        clock: Clock | None = None,
        single_token: str | None = None,
        **options: Any,  # noqa: ANN401 -- Bolt's own options
    ) -> None:
        super().__init__(name="minerpulse", **options)  # else Bolt searches all modules for its caller, for 0.1 s
        self._installation_cache = installation_cache
        self._replay_guard = ReplayGuard(ttl_s=EVENT_TTL_S, shared=shared_keys, clock=clock)
        self._single_token = single_token
        self._refused_teams: LRUCache[str, None] = LRUCache(MAX_REFUSED_TEAMS)

    def learn_team(self, identity: AsyncSlackResponse) -> None:
        """Limit requests to the workspace that `auth.test` names, unless the token is of a whole organization."""
        self.only_team = None if identity.get("is_enterprise_install") else identity.get("team_id")
        self.is_team_unknown = False

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Handle a request; a retried event or envelope is acknowledged without acting twice.

        An event without a listener is acknowledged, too: Slack would retry it, and later stop sending events.
        """
        started_s = time.perf_counter()
        with request_id_scope():
            response = await self._dispatch_once(req, _repeat_key(req))
            if self.metrics is not None:
                self.metrics.count_slack_request(req.body, _result(response), time.perf_counter() - started_s)
            if response is None:
                log.info("ignored a repeated event")
                return BoltResponse(status=HTTPStatus.OK)
            if response.body == BEING_HANDLED:
                log.info("another process has started to handle an event; Slack sends it again if that process fails")
            is_unknown_event = response.status == HTTPStatus.NOT_FOUND and bool(req.body.get("event_id"))
            return BoltResponse(status=HTTPStatus.OK) if is_unknown_event else response

    async def _dispatch_once(self, req: AsyncBoltRequest, key: str) -> BoltResponse | None:
        """Return the response; None if the request with this key was handled before."""
        if not key:
            return await self._dispatch_if_installed(req)
        return await self._replay_guard.handle_once(key, time.monotonic(), lambda: self._dispatch_if_installed(req))

    async def _dispatch_if_installed(self, req: AsyncBoltRequest) -> BoltResponse:
        if self.is_team_unknown and req.context.team_id is not None:
            await self._ask_team()
            if self.is_team_unknown:
                return self._refuse_unknown(req)
        if await self._is_installed(req):
            return await super().async_dispatch(req)
        self._log_refusal(req)
        return self._refuse(req, NOT_INSTALLED)

    async def _ask_team(self) -> None:
        """Ask Slack which workspace the bot token is for."""
        try:
            async with asyncio.timeout(IDENTITY_TIMEOUT_S):
                with translate_slack_error():
                    identity = await self.client.auth_test(token=self._single_token)
        except (DeliveryError, TimeoutError) as error:
            log.warning("refused a request: Slack has not said which workspace the bot token is for (%s)", error)
            return
        self.learn_team(identity)

    def _refuse_unknown(self, req: AsyncBoltRequest) -> BoltResponse:
        """Answer a person that the workspace cannot be checked; let Slack send an event again."""
        if req.body.get("event_id"):
            return Refusal(status=HTTPStatus.SERVICE_UNAVAILABLE)
        return self._refuse(req, TEAM_UNKNOWN)

    def _refuse(self, req: AsyncBoltRequest, why: str) -> BoltResponse:
        """Answer a person whose request is not handled: at once, over a response_url, or in a form.

        The status is 200, as failed events would disable events for all other workspaces.
        """
        if "command" in req.body:
            return Refusal(status=HTTPStatus.OK, body=why)
        if req.body.get("type") == "view_submission":
            answer = {"response_action": "update", "view": result_modal(text_message(why))}
            return Refusal(status=HTTPStatus.OK, body=json.dumps(answer), headers=JSON)
        if self.background is not None:
            self.background.start(run_and_log(self._answer_refused(req, why)), "answer to a refused request")
        return Refusal(status=HTTPStatus.OK)

    async def _answer_refused(self, req: AsyncBoltRequest, why: str) -> None:
        """Answer over the response_url, or else in a form; raise DeliveryError if Slack takes neither.

        A form needs a token: that of another workspace or organization that the request names. Home tabs and global
        shortcuts have no response_url, so without such a token nothing can be shown.
        """
        if response_url := req.body.get("response_url"):
            webhook = AsyncWebhookClient(str(response_url), session=self.client.session)
            await webhook.send(text=why, response_type="ephemeral", replace_original=False)
            return
        trigger_id = req.body.get("trigger_id")
        token = await self._other_token(req) if trigger_id else None
        if token is not None:
            with translate_slack_error():
                view = result_modal(text_message(why))
                await self.client.views_open(token=token, trigger_id=str(trigger_id), view=view)

    async def _other_token(self, req: AsyncBoltRequest) -> str | None:
        """Return the token of another workspace or organization that a request names; None if none has the app."""
        cache = self._installation_cache
        if cache is None:
            return self._single_token
        for home in _named_homes(req.body):
            if (installation := await cache.get(home)) is not None:
                return installation.bot_token
        return None

    def _log_refusal(self, req: AsyncBoltRequest) -> None:
        """Log each workspace without an installation once."""
        team = str(req.context.team_id or req.context.enterprise_id)
        if team not in self._refused_teams:
            log.warning(REFUSED, team)
        self._refused_teams[team] = None

    async def _is_installed(self, req: AsyncBoltRequest) -> bool:
        """Return whether the app is installed in the request's workspace.

        A request without a workspace is Slack's URL verification, which Bolt answers.
        """
        team, enterprise = req.context.team_id, req.context.enterprise_id
        if self._installation_cache is None:
            return self.only_team is None or team in {None, self.only_team}
        if not (team or enterprise):
            return True
        return await self._installation_cache.get(team, enterprise) is not None


def _result(response: BoltResponse | None) -> SlackResult:
    """Return how a request ended, before it is known whether the answer was in time."""
    if response is None:
        return SlackResult.REPLAYED
    failed = isinstance(response, Refusal) or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return SlackResult.REFUSED if failed else SlackResult.OK


def _named_homes(body: Mapping[str, Any]) -> list[str]:
    """Return the workspaces and organizations that a request names, organizations first."""
    parts = [part for part in (body.get("enterprise"), body.get("team"), body.get("user"), body.get("view")) if part]
    fields = ("enterprise_id", "id", "team_id", "app_installed_team_id")
    values = [part.get(field) for field in fields for part in parts if isinstance(part, Mapping)]
    return [home for home in dict.fromkeys(values) if isinstance(home, str) and home.startswith(("E", "T"))]


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
            single_token=client.token if installation_cache is None else None,
            signing_secret=signing_secret,
            process_before_response=True,
        )

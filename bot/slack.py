"""The Bolt app: authorized from memory, each event once, each request under its number."""

from __future__ import annotations

import copy
import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize

from bot.front.seen import Seen
from bot.logs import numbered

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncBoltRequest
    from slack_sdk.web.async_client import AsyncWebClient

EVENTS_KEPT_S = 3_600.0  # Slack sends an event again at once, after a minute and after five
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

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 -- Bolt's own options
        super().__init__(**options)
        self._seen = Seen(keep_s=EVENTS_KEPT_S)

    async def async_dispatch(self, req: AsyncBoltRequest) -> BoltResponse:
        """Work on a request; an event that Slack sends again is answered without acting twice.

        An event that nobody listens to is well, too: Slack would send it again, and in the end stop sending any.
        """
        with numbered():
            event = str(req.body.get("event_id", ""))
            if event and not self._seen.first(event, time.monotonic()):
                log.info("an event came again, and is left alone")
                return BoltResponse(status=HTTPStatus.OK)
            answer = await super().async_dispatch(req)
            if event and answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._seen.forget(event)
            return BoltResponse(status=HTTPStatus.OK) if event and answer.status == HTTPStatus.NOT_FOUND else answer


def build_bolt(client: AsyncWebClient, signing_secret: str) -> SlackApp:
    """Make the Bolt app; processing before the response saves the 10 ms that Bolt's default adds to each answer."""
    anonymous = copy.copy(client)
    anonymous.token = None  # each request gets the token that it is authorized with
    return SlackApp(
        client=anonymous,
        authorize=OneWorkspace(str(client.token)),
        signing_secret=signing_secret,
        process_before_response=True,
    )

"""The flow: from /slack/install over Slack's page back to /slack/oauth_redirect, and the app is installed."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot.oauth.pages import HEADERS, page
from bot.oauth.token_exchange import TokenExchange
from bot.oauth.tokens import Tokens
from services.core.clock import Clock
from services.core.errors import AccessError
from services.core.installation import InstallationStore

INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"
AUTHORIZE_URL = "https://slack.com/oauth/v2/authorize"
STATE_LASTS = timedelta(minutes=10)
COOKIE = "minerpulse_state"
NOT_INSTALLED = "MinerPulse is not installed"
AGAIN = f"Begin again at {INSTALL_PATH}."
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthFlow:
    """Lets workspaces install the app.

    1. /slack/install sends the browser to Slack with a state: noted in the database, and in a cookie of that browser.
    2. Slack asks the person, and sends the browser back with the state and a code.
    3. The state must be the cookie's, noted, in time, and not used before; then the code is turned into a token.
    """

    access: TokenExchange
    store: InstallationStore
    tokens: Tokens
    clock: Clock
    scopes: Sequence[str]

    def routes(self) -> list[Route]:
        """Give the two addresses, which browsers ask for."""
        return [
            Route(INSTALL_PATH, self.begin, methods=["GET"]),
            Route(REDIRECT_PATH, self.end, methods=["GET"]),
        ]

    async def begin(self, _request: Request) -> Response:
        """Send the browser to Slack."""
        state, now = secrets.token_urlsafe(32), self.clock.now()
        await self.store.begin(state, now, now + STATE_LASTS)
        asked = {"client_id": self.access.client_id, "scope": ",".join(self.scopes), "state": state}
        answer = RedirectResponse(f"{AUTHORIZE_URL}?{urlencode(asked)}", status_code=HTTPStatus.FOUND, headers=HEADERS)
        answer.set_cookie(
            COOKIE,
            state,
            max_age=int(STATE_LASTS.total_seconds()),
            path=REDIRECT_PATH,
            secure=True,
            httponly=True,
            samesite="lax",
        )
        return answer

    async def end(self, request: Request) -> Response:
        """Install the app where the person has agreed to it; what is wrong is told without what was sent."""
        told = await self._told(request)
        told.delete_cookie(COOKIE, path=REDIRECT_PATH, secure=True, httponly=True, samesite="lax")
        return told

    async def _told(self, request: Request) -> Response:
        asked, now = request.query_params, self.clock.now()
        if not await self._is_expected(request):
            return page(
                NOT_INSTALLED, f"This link is too old, used, or another browser's. {AGAIN}", HTTPStatus.BAD_REQUEST
            )
        if "error" in asked:
            return page(NOT_INSTALLED, f"Slack says that nobody agreed to it. {AGAIN}", HTTPStatus.BAD_REQUEST)
        try:
            installation = await self.access.granted(asked.get("code", ""), now)
        except AccessError as error:
            log.warning("an installation failed: %s", error)
            status = HTTPStatus.BAD_REQUEST if error.refused else HTTPStatus.BAD_GATEWAY
            return page(NOT_INSTALLED, f"{error} {AGAIN}", status)
        await self.store.save(installation)
        self.tokens.forget(installation.home)
        log.info("installed in %s by %s", installation.home, installation.installed_by)
        return page(
            "MinerPulse is installed",
            f"In the channel of {installation.name} that is to get alerts, type /invite @MinerPulse, then /minerpulse.",
        )

    async def _is_expected(self, request: Request) -> bool:
        """Tell whether this browser is on the way: its cookie has the state that came back, which is used up now."""
        state, cookie = request.query_params.get("state", ""), request.cookies.get(COOKIE, "")
        same = bool(state) and secrets.compare_digest(state.encode(), cookie.encode())
        return same and await self.store.arrive(state, self.clock.now())

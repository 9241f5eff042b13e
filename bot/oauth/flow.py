"""The OAuth flow: from /slack/install over Slack's consent page to /slack/oauth_redirect."""

import hashlib
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from html import escape
from http import HTTPStatus
from urllib.parse import urlencode

from cryptography.fernet import InvalidToken, MultiFernet
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from bot.http.slack_requests import ProcessedKeys, ReplayGuard
from bot.manifest import REDIRECT_PATH
from bot.oauth.rotation import TokenExchange
from bot.oauth.tokens import InstallationCache
from services.core.clock import Clock
from services.core.errors import TokenExchangeError
from services.core.installation import InstallationStore

INSTALL_PATH = "/slack/install"
AUTHORIZE_URL = "https://slack.com/oauth/v2/authorize"
STATE_TTL = timedelta(minutes=10)
STATE_COOKIE = "__Host-minerpulse_state"  # browsers accept this prefix only over https and for this host alone
STATE_PREFIX = b"install:"
STATE_RANDOM_BYTES = 24  # with the prefix, encrypts to base64 without "=", which cookies would quote
LINK_INVALID = "This link has expired, has already been used, or belongs to another browser."
NOT_INSTALLED = "MinerPulse isn't installed"
RETRY_HINT = f"Start again at {INSTALL_PATH}."
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the URL of this page contains the code
    "X-Content-Type-Options": "nosniff",
}
PAGE_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthFlow:
    """Installs the app in workspaces.

    1. /slack/install redirects the browser to Slack, with an encrypted state in the URL and in a cookie. It stores
       nothing, because anyone can open it as often as they want.
    2. Slack asks for consent, and redirects the browser back with the state and a code.
    3. The state must match the cookie, be ours, unexpired and unused. Then the code is exchanged for a token.
    4. After the exchange, which needs a person's consent, the state is recorded as used for all processes.
    """

    token_exchange: TokenExchange
    store: InstallationStore
    installation_cache: InstallationCache
    clock: Clock
    scopes: Sequence[str]
    state_cipher: MultiFernet
    processed_keys: ProcessedKeys
    nudge: Callable[[], None] = lambda: None
    _used_states: ReplayGuard = field(default_factory=lambda: ReplayGuard(ttl_s=STATE_TTL.total_seconds()))

    def routes(self) -> list[Route]:
        """Return the two routes, which browsers open."""
        return [
            Route(INSTALL_PATH, self.start, methods=["GET"]),
            Route(REDIRECT_PATH, self.finish, methods=["GET"]),
        ]

    async def start(self, _request: Request) -> Response:
        """Redirect the browser to Slack."""
        content = STATE_PREFIX + secrets.token_bytes(STATE_RANDOM_BYTES)
        state = self.state_cipher.encrypt_at_time(content, int(self.clock.now().timestamp())).decode()
        parameters = {"client_id": self.token_exchange.client_id, "scope": ",".join(self.scopes), "state": state}
        response = RedirectResponse(
            f"{AUTHORIZE_URL}?{urlencode(parameters)}", status_code=HTTPStatus.FOUND, headers=PAGE_HEADERS
        )
        response.set_cookie(
            STATE_COOKIE,
            state,
            max_age=int(STATE_TTL.total_seconds()),
            path="/",
            secure=True,
            httponly=True,
            samesite="lax",
        )
        return response

    async def finish(self, request: Request) -> Response:
        """Install the app if the person consented. Error pages show nothing from the request."""
        response = await self._install(request)
        response.delete_cookie(STATE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return response

    async def _install(self, request: Request) -> Response:
        query, now = request.query_params, self.clock.now()
        state = self._valid_state(request)
        if state is None:
            return render_page(NOT_INSTALLED, f"{LINK_INVALID} {RETRY_HINT}", HTTPStatus.BAD_REQUEST)
        if "error" in query:
            return render_page(
                NOT_INSTALLED,
                f"Slack says the installation wasn't approved. {RETRY_HINT}",
                HTTPStatus.BAD_REQUEST,
            )
        try:
            installation = await self.token_exchange.exchange_code(query.get("code", ""), now)
        except TokenExchangeError as error:
            log.warning("installation failed: %s", error)
            status = HTTPStatus.BAD_REQUEST if error.refused else HTTPStatus.BAD_GATEWAY
            return render_page(NOT_INSTALLED, f"{error} {RETRY_HINT}", status)
        key = f"oauth-state:{hashlib.sha256(state.encode()).hexdigest()}"
        if not await self.processed_keys.claim_key(key, now=now, ttl=STATE_TTL):
            return render_page(NOT_INSTALLED, f"{LINK_INVALID} {RETRY_HINT}", HTTPStatus.BAD_REQUEST)
        await self.store.save(installation)
        self.installation_cache.invalidate(installation.home)
        self.nudge()
        log.info("installed in %s by %s", installation.home, installation.installed_by)
        return render_page(
            "MinerPulse is installed",
            f"To get alerts in a channel of {installation.name}, type /invite @MinerPulse there, then /minerpulse.",
        )

    def _valid_state(self, request: Request) -> str | None:
        """Return the state if it is this browser's, not expired, and not used in this process; then it is used."""
        state, cookie = request.query_params.get("state", ""), request.cookies.get(STATE_COOKIE, "")
        if not state.isascii() or not state or not secrets.compare_digest(state.encode(), cookie.encode()):
            return None  # Fernet raises another error for what isn't ASCII
        now_s = int(self.clock.now().timestamp())
        try:
            content = self.state_cipher.decrypt_at_time(state, int(STATE_TTL.total_seconds()) - 1, now_s)
        except InvalidToken:
            return None
        return state if content.startswith(STATE_PREFIX) and self._used_states.add(state, now_s) else None


def render_page(title: str, text: str, status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    """Return an HTML page; both texts are untrusted and escaped."""
    return HTMLResponse(
        PAGE_TEMPLATE.format(title=escape(title), text=escape(text)), status_code=status, headers=PAGE_HEADERS
    )

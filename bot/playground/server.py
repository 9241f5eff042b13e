"""The stand-in at work: one workspace with one app and one channel, served until it is left."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from services.core.errors import PlaygroundError

LOOPBACK = "127.0.0.1"
STARTS_WITHIN_S = 30
LOOKS_EVERY_S = 0.1
ENDS_WITHIN_S = 5
TEAM, CHANNEL, BOT, APP = "T1DESK", "C1DESK", "U1PULSE", "A1PULSE"
PEOPLE = {"U1ALEX": "Alex Trader", "U2SAM": "Sam Oncall"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the app and the stand-in share; made up, and good for nothing outside."""

    bot_token: str = "xoxb-playground"  # noqa: S105 -- made up
    app_token: str = "xapp-playground"  # noqa: S105 -- made up
    signing_secret: str = "playground"  # noqa: S105 -- made up


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A running stand-in: `origin` shows it in a browser, `api_url` is what a Slack client calls."""

    origin: str
    secrets: Secrets

    @property
    def api_url(self) -> str:
        """The base URL for a Slack client."""
        return f"{self.origin}/api/"


def workspace(secrets: Secrets, request_url: str | None) -> dict[str, object]:
    """Describe the workspace; without a URL to send requests to, they go over Socket Mode."""
    delivery = {"mode": "socket"} if request_url is None else {"mode": "events", "requestUrl": request_url}
    people = [{"id": number, "name": name.split()[0].lower(), "real_name": name} for number, name in PEOPLE.items()]
    return {
        "workspace": {"name": "Playground", "domain": "playground", "teamId": TEAM},
        "app": {
            "appId": APP,
            "botUserId": BOT,
            "botName": "minerpulse",
            "botToken": secrets.bot_token,
            "appToken": secrets.app_token,
            "signingSecret": secrets.signing_secret,
            **delivery,
        },
        "users": people,
        "channels": [{"id": CHANNEL, "name": "mining-desk", "members": [*PEOPLE, BOT]}],
    }


@asynccontextmanager
async def serving(program: Path, *, port: int = 0, request_url: str | None = None) -> AsyncIterator[StandIn]:
    """Start the stand-in and end it with its files. Raises PlaygroundError where it does not start."""
    secrets = Secrets()
    with tempfile.TemporaryDirectory(prefix="minerpulse-playground-") as folder:
        config = Path(folder) / "workspace.json"
        config.write_text(json.dumps(workspace(secrets, request_url)), encoding="utf-8")
        origin = f"http://{LOOPBACK}:{port or _free_port()}"
        running = await _start(program, config, origin)
        try:
            await _until_it_answers(running, origin)
            yield StandIn(origin=origin, secrets=secrets)
        finally:
            await _end(running)


async def _start(program: Path, config: Path, origin: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            str(program),
            *("--config", str(config)),
            *("--port", origin.rpartition(":")[2]),
            *("--base-host", LOOPBACK),
            *("--files-dir", str(config.parent / "files")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        raise PlaygroundError(f"The stand-in at {program} cannot be started: {error.strerror}.") from error


async def _until_it_answers(running: asyncio.subprocess.Process, origin: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(int(STARTS_WITHIN_S / LOOKS_EVERY_S)):
            if running.returncode is not None:
                break
            with suppress(aiohttp.ClientError):
                async with session.get(f"{origin}/_control/state") as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(LOOKS_EVERY_S)
    raise PlaygroundError(f"The stand-in did not start at {origin}; `minerpulse rehearse --no-web` needs none.")


async def _end(running: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        running.terminate()
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            await running.wait()
    except TimeoutError:
        running.kill()
        await running.wait()


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port

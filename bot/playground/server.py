"""Run the Slack emulator with one workspace, one app and one channel."""

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
START_TIMEOUT_S = 30
POLL_INTERVAL_S = 0.1
STOP_TIMEOUT_S = 5
TEAM, CHANNEL, BOT, APP = "T1DESK", "C1DESK", "U1PULSE", "A1PULSE"
USERS = {"U1ALEX": "Alex Trader", "U2SAM": "Sam Oncall"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Credentials shared by the app and the emulator; valid nowhere else."""

    bot_token: str = "xoxb-playground"  # noqa: S105 -- made up
    app_token: str = "xapp-playground"  # noqa: S105 -- made up
    signing_secret: str = "playground"  # noqa: S105 -- made up


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackEmulator:
    """A running emulator.

    Attributes:
        origin: The URL to open in a browser.
    """

    origin: str
    credentials: Credentials

    @property
    def api_url(self) -> str:
        """The base URL for a Slack client."""
        return f"{self.origin}/api/"


def workspace_config(credentials: Credentials, request_url: str | None) -> dict[str, object]:
    """Return the emulator's configuration; requests use Socket Mode if `request_url` is None."""
    delivery = {"mode": "socket"} if request_url is None else {"mode": "events", "requestUrl": request_url}
    users = [{"id": user_id, "name": name.split()[0].lower(), "real_name": name} for user_id, name in USERS.items()]
    return {
        "workspace": {"name": "Playground", "domain": "playground", "teamId": TEAM},
        "app": {
            "appId": APP,
            "botUserId": BOT,
            "botName": "minerpulse",
            "botToken": credentials.bot_token,
            "appToken": credentials.app_token,
            "signingSecret": credentials.signing_secret,
            **delivery,
        },
        "users": users,
        "channels": [{"id": CHANNEL, "name": "mining-desk", "members": [*USERS, BOT]}],
    }


@asynccontextmanager
async def run_emulator(program: Path, *, port: int = 0, request_url: str | None = None) -> AsyncIterator[SlackEmulator]:
    """Start the emulator; stop it and delete its files on exit. Raises PlaygroundError if it does not start."""
    credentials = Credentials()
    with tempfile.TemporaryDirectory(prefix="minerpulse-playground-") as folder:
        config = Path(folder) / "workspace.json"
        config.write_text(json.dumps(workspace_config(credentials, request_url)), encoding="utf-8")
        origin = f"http://{LOOPBACK}:{port or _free_port()}"
        process = await _start(program, config, origin)
        try:
            await _wait_until_ready(process, origin)
            yield SlackEmulator(origin=origin, credentials=credentials)
        finally:
            await _stop(process)


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


async def _wait_until_ready(process: asyncio.subprocess.Process, origin: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(int(START_TIMEOUT_S / POLL_INTERVAL_S)):
            if process.returncode is not None:
                break
            with suppress(aiohttp.ClientError):
                async with session.get(f"{origin}/_control/state") as response:
                    if response.ok:
                        return
            await asyncio.sleep(POLL_INTERVAL_S)
    raise PlaygroundError(f"The stand-in did not start at {origin}; `minerpulse rehearse --no-web` needs none.")


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port

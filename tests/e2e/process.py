"""The processes of an end-to-end run: the stand-in for Slack, and MinerPulse as it is deployed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.playground import server
from bot.playground.server import StandIn

MINERPULSE = str(Path(sys.executable).with_name("minerpulse"))
PORT = 3001
EVENTS = f"http://127.0.0.1:{PORT}/slack/events"
STARTS_WITHIN_S = 60


@contextmanager
def stand_in(program: Path, *, http: bool) -> Iterator[StandIn]:
    """Serve the stand-in from this thread's own event loop."""
    loop = asyncio.new_event_loop()
    serving = server.serving(program, request_url=EVENTS if http else None)
    try:
        yield loop.run_until_complete(serving.__aenter__())
    finally:
        loop.run_until_complete(serving.__aexit__(None, None, None))
        loop.close()


@contextmanager
def minerpulse(slack: StandIn, folder: Path, *, http: bool) -> Iterator[None]:
    """Run MinerPulse on simulated prices, wait until it is alive, and stop it with SIGTERM."""
    secrets = slack.secrets
    over = {"SLACK_SIGNING_SECRET": secrets.signing_secret} if http else {"SLACK_APP_TOKEN": secrets.app_token}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SLACK_BOT_TOKEN": secrets.bot_token,
        "MINERPULSE_SLACK_API_URL": slack.api_url,
        "MINERPULSE_ETF_SOURCES": "simulated",
        "MINERPULSE_CRYPTO_SOURCES": "simulated",
        "MINERPULSE_TICK_SECONDS": "15",
        "PORT": str(PORT),
        **over,
    }
    with (folder / "minerpulse.log").open("wb") as log:
        running = subprocess.Popen(  # noqa: S603 -- our own command
            [MINERPULSE, "run"], env=environment, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            _until_alive(running)
            yield
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(timeout=40)


def _until_alive(running: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and running.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz"):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("MinerPulse did not start; its log tells why")

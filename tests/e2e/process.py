"""The processes of an end-to-end run: the Slack emulator and MinerPulse, in their own network namespace."""

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.playground.emulator import SlackEmulator, run_emulator

MINERPULSE = str(Path(sys.executable).with_name("minerpulse"))
PORT = 3001
EVENTS = f"http://127.0.0.1:{PORT}/slack/events"
START_TIMEOUT_S = 60


@contextmanager
def run_slack_emulator(program: Path, *, http: bool) -> Iterator[SlackEmulator]:
    """Run the emulator on an event loop of this thread."""
    loop = asyncio.new_event_loop()
    running = run_emulator(program, request_url=EVENTS if http else None)
    try:
        yield loop.run_until_complete(running.__aenter__())
    finally:
        loop.run_until_complete(running.__aexit__(None, None, None))
        loop.close()


@contextmanager
def run_minerpulse(emulator: SlackEmulator, folder: Path, *, http: bool) -> Iterator[None]:
    """Run MinerPulse on simulated prices, wait until it is alive, and stop it with SIGTERM."""
    secrets = emulator.credentials
    credentials = {"SLACK_SIGNING_SECRET": secrets.signing_secret} if http else {"SLACK_APP_TOKEN": secrets.app_token}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SLACK_BOT_TOKEN": secrets.bot_token,
        "MINERPULSE_SLACK_API_URL": emulator.api_url,
        "MINERPULSE_ETF_SOURCES": "simulated",
        "MINERPULSE_CRYPTO_SOURCES": "simulated",
        "MINERPULSE_TICK_SECONDS": "15",
        "PORT": str(PORT),
        **credentials,
    }
    with (folder / "minerpulse.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 -- our own command
            [MINERPULSE, "run"], env=environment, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            _wait_until_alive(process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=40)


def _wait_until_alive(process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz"):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("MinerPulse did not start; its log tells why")


SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 0x1


def network_namespace_command() -> list[str] | None:
    """Return the command prefix that runs a program in its own network namespace; None if unsupported."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    command = [unshare, "--user", "--map-root-user", "--net", "--"]
    result = subprocess.run([*command, "true"], check=False, capture_output=True)  # noqa: S603 -- util-linux
    return command if result.returncode == 0 else None


def enable_loopback() -> None:
    """Enable the loopback interface of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        flags = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack("16sh14x", b"lo", 0))
        _, new_flags = struct.unpack("16sh14x", flags)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", new_flags | IFF_UP))

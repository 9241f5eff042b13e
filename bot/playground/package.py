"""The stand-in that the playground runs on: an npm package, fetched on first use and kept."""

from __future__ import annotations

import asyncio
import platform
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

from services.core.errors import PlaygroundError

VERSION = "0.1.8"
MEGABYTES = 95
SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
PROCESSORS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
FETCHED_WITHIN_S = 600
EVERY_S = 5
TERMINAL = "`minerpulse rehearse --no-web` plays in the terminal."


def package_name(system: str, processor: str) -> str:
    """Name the package for a machine. Raises PlaygroundError where there is none."""
    if system not in SYSTEMS or processor.lower() not in PROCESSORS:
        raise PlaygroundError(f"The playground has no stand-in for {system} on {processor}; {TERMINAL}")
    return f"local-slack-{SYSTEMS[system]}-{PROCESSORS[processor.lower()]}"


def is_at_hand() -> bool:
    """Tell whether this machine can run the playground: it has npm, and there is a package for it."""
    try:
        package_name(platform.system(), platform.machine())
    except PlaygroundError:
        return False
    return shutil.which("npm") is not None


async def program(cache: Path, say: Callable[[str], None]) -> Path:
    """Give the path of the stand-in's program, fetched through npm where it is not in the cache yet.

    Raises PlaygroundError, which says what to do.
    """
    name = package_name(platform.system(), platform.machine())
    folder = cache / f"{name}-{VERSION}"
    found = folder / "node_modules" / name / "bin" / "local-slack"
    if not found.exists():
        await _fetch(f"{name}@{VERSION}", folder, say)
    if not found.exists():
        raise PlaygroundError(
            f"The package {name} {VERSION} holds no program; remove {folder} and try again. {TERMINAL}"
        )
    return found


async def _fetch(wanted: str, folder: Path, say: Callable[[str], None]) -> None:
    """Let npm install into a folder beside the one that is wanted, which so is whole or not there at all."""
    npm = shutil.which("npm")
    if npm is None:
        raise PlaygroundError(f"The playground needs Node.js with npm, which are not installed here; {TERMINAL}")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    say(f"Fetching {wanted} through npm, once (about {MEGABYTES} MB) …")
    try:
        await _run(npm, partial, wanted, say)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


async def _run(npm: str, folder: Path, wanted: str, say: Callable[[str], None]) -> None:
    quiet = ("--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--ignore-scripts")
    running = await asyncio.create_subprocess_exec(
        npm,
        "install",
        *quiet,
        "--prefix",
        str(folder),
        wanted,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    telling = asyncio.create_task(_tell_progress(say))
    try:
        async with asyncio.timeout(FETCHED_WITHIN_S):
            _, said = await running.communicate()
    except TimeoutError as error:
        running.kill()
        raise PlaygroundError(f"npm did not end within {FETCHED_WITHIN_S} s; try again, or {TERMINAL}") from error
    finally:
        telling.cancel()
    if running.returncode:
        last = said.decode(errors="replace").strip().splitlines()[:1] or ["it does not say why"]
        raise PlaygroundError(f"npm could not fetch {wanted} ({last[0]}); mend that and try again, or {TERMINAL}")


async def _tell_progress(say: Callable[[str], None]) -> None:
    for rounds in count(1):
        await asyncio.sleep(EVERY_S)
        say(f"… {rounds * EVERY_S} s")

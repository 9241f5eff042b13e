"""The compose file: what Docker Compose says about it, and its commands on a real PostgreSQL, without containers."""

import asyncio
import json
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import URL, make_url

from tests.bot.conftest import MINERPULSE, ROOT
from tests.bot.test_serve import eventually, free_port
from tests.deploy.test_systemd import is_ready
from tests.fakes import postgresql
from tests.fakes.slack import TOKEN, FakeSlack, slack_server

FILE, DOCKERFILE = ROOT / "deploy/compose.yaml", ROOT / "deploy/Dockerfile"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))["services"]
COMPOSE = shutil.which("docker-compose") or ""
PASSWORD = "hush"


def instruction(name: str) -> str:
    """Return the arguments of the last instruction of the Dockerfile with this name, on one line."""
    text = DOCKERFILE.read_text("utf-8").replace("\\\n", " ")
    return str(re.findall(rf"^\s*{name} (.*)$", text, re.MULTILINE)[-1])


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    pairs = (pair.partition("=") for pair in shlex.split(instruction("ENV")))
    return {name: value for name, _, value in pairs}


def command(service: str) -> list[str]:
    """Return what a service of our image runs, as Docker puts it together."""
    return [*json.loads(instruction("ENTRYPOINT")), *SERVICES[service].get("command", json.loads(instruction("CMD")))]


@pytest.mark.skipif(not COMPOSE, reason="needs Docker Compose; it checks the file without a daemon")
def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path)
    (tmp_path / "minerpulse.env").write_text("SLACK_BOT_TOKEN=xoxb-made-up\n", encoding="utf-8")
    checked = subprocess.run(  # noqa: S603 -- Docker's own
        [COMPOSE, "-f", str(tmp_path / FILE.name), "config", "--quiet"],
        env={"POSTGRES_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (checked.returncode, checked.stderr)


def test_the_app_waits_for_the_migration_and_the_migration_for_the_database() -> None:
    waits = {
        name: {other: one["condition"] for other, one in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }

    assert {
        "app": {"migrate": "service_completed_successfully"},
        "migrate": {"db": "service_healthy"},
        "db": {},
    } == waits


async def test_its_commands_migrate_run_and_stop_on_postgresql(tmp_path: Path) -> None:
    """The address of the database and the port differ; everything else is as the files say."""
    url, port = make_url(postgresql.empty_database()), free_port()
    database = str(SERVICES["app"]["environment"]["MINERPULSE_DATABASE_URL"])
    address = "postgresql://minerpulse:${POSTGRES_PASSWORD:?}@db/minerpulse"
    assert database == address == SERVICES["migrate"]["environment"]["MINERPULSE_DATABASE_URL"]
    async with slack_server() as slack:
        environment = {
            **image_environment(),
            **settings(slack),
            "MINERPULSE_DATABASE_URL": url.render_as_string(hide_password=False),
            "PATH": f"{Path(MINERPULSE).parent}:/usr/bin:/bin",
            "MPLCONFIGDIR": str(tmp_path),
            "PORT": f"{port}",
        }
        healthy = await run(shlex.split(SERVICES["db"]["healthcheck"]["test"][1]), tmp_path, database_address(url))
        migrated = await run(command("migrate"), tmp_path, environment)
        app = await start(command("app"), tmp_path, environment)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            await eventually(lambda: app.returncode is not None or is_ready(client))
        alive = await run(json.loads(instruction("HEALTHCHECK").partition("CMD ")[2]), tmp_path, environment)
        app.send_signal(getattr(signal, instruction("STOPSIGNAL")))

        assert (0, 0, 0, 0) == (healthy, migrated, alive, await app.wait())


def settings(slack: FakeSlack) -> dict[str, str]:
    """Return what minerpulse.env could have."""
    return {
        "SLACK_BOT_TOKEN": TOKEN,
        "SLACK_SIGNING_SECRET": "0123456789abcdef0123456789abcdef",
        "MINERPULSE_SLACK_API_URL": f"{slack.url}api/",
        "MINERPULSE_ETF_SOURCES": "simulated",
        "MINERPULSE_CRYPTO_SOURCES": "simulated",
    }


def database_address(url: URL) -> dict[str, str]:
    """Return the variables with which PostgreSQL's programs find a cluster on a socket."""
    programs = max(postgresql.DEBIAN.glob("*/bin"))
    return {"PGHOST": str(url.query["host"]), "PATH": f"{programs}:/usr/bin:/bin"}


async def start(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        shutil.which(arguments[0], path=environment["PATH"]) or arguments[0],
        *arguments[1:],
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def run(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> int:
    return await (await start(arguments, folder, environment)).wait()

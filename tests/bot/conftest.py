import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import cachetools
import platformdirs
import pytest
import stamina
from sqlalchemy import Connection

from bot.cli import run_cli
from services.market.sources.simulated.market import SimulatedMarket
from services.storage import schema
from tests.fakes.store_snapshots import schema_statements

ROOT = Path(__file__).parents[2]
MINERPULSE = str(Path(sys.executable).with_name("minerpulse"))
SETTING_PREFIXES = ("MINERPULSE_", "SLACK_")


class CliResult(NamedTuple):
    """The exit code, stdout and stderr of a command line."""

    code: int
    out: str
    err: str


RunCli: TypeAlias = Callable[..., CliResult]
_shared_minutes = cachetools.cached(
    cachetools.LRUCache(4096),
    key=lambda market, symbol, day: (market._seed, symbol, day),  # noqa: SLF001 -- no method returns it
)(SimulatedMarket._crypto_minutes)  # noqa: SLF001 -- as above


@pytest.fixture(autouse=True)
def _one_attempt() -> Iterator[None]:
    """Call each vendor once; a second attempt would wait for the vendor's rate limit."""
    with stamina.set_testing(testing=True, attempts=1):
        yield


@pytest.fixture(autouse=True)
def _quick_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Create the schema of an empty database at once; the migrations are tested in tests/services/storage."""
    check = schema.check

    def create_and_check(connection: Connection) -> tuple[str, str]:
        if connection.dialect.name == "sqlite" and schema.schema_status(connection) is schema.SchemaStatus.EMPTY:
            for statement in schema_statements():
                connection.exec_driver_sql(statement)
        return check(connection)

    monkeypatch.setattr(schema, "check", create_and_check)


@pytest.fixture(autouse=True)
def _shared_simulated_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute each day of the simulated market once: that it depends on the seed alone is tested beside its source."""
    monkeypatch.setattr(SimulatedMarket, "_crypto_minutes", _shared_minutes)


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_names, **_options: tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))  # of other processes
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("PATH", f"{Path(MINERPULSE).parent}{os.pathsep}{os.environ['PATH']}")
    for name in os.environ:
        if name.startswith(SETTING_PREFIXES) or name.lower().endswith("_proxy") or name == "PORT":
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def minerpulse(clean: Path, capsys: pytest.CaptureFixture[str]) -> RunCli:  # noqa: ARG001 -- for its effect
    """Runs the command line in this process."""

    def run(*arguments: str | Path) -> CliResult:
        capsys.readouterr()
        code = run_cli([str(argument) for argument in arguments])
        return CliResult(code, *capsys.readouterr())

    return run


@pytest.fixture
def simulated(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 -- clean comes first
    """Prices from the simulated market."""
    monkeypatch.setenv("MINERPULSE_ETF_SOURCES", "simulated")
    monkeypatch.setenv("MINERPULSE_CRYPTO_SOURCES", "simulated")

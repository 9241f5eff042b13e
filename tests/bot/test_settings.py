"""Settings are read once, refused with what to do, and never tell a secret."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from bot.settings import KEYS, Settings, load_settings, variable
from services.core.errors import ConfigurationError
from services.core.prices import Pair, Symbol
from services.market.sources.catalogue import SOURCES
from services.market.sources.simulated.market import SEED
from services.storage import new_key

ROOT = Path(__file__).parents[2]
HTTP = {"SLACK_BOT_TOKEN": "xoxb-made-up", "SLACK_SIGNING_SECRET": "0123456789abcdef"}
SOCKET = {"SLACK_BOT_TOKEN": "xoxb-made-up", "SLACK_APP_TOKEN": "xapp-made-up"}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("MINERPULSE_", "SLACK_")) or name == "PORT":
            monkeypatch.delenv(name)


def given(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    given(monkeypatch, **variables)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    return str(refused.value)


def test_without_any_variable_the_defaults_hold() -> None:
    settings = load_settings()
    assert settings.pair == Pair(etf=Symbol("WGMI"), crypto=Symbol("BTC"))
    assert (settings.host, settings.port, settings.tick_every.total_seconds()) == ("127.0.0.1", 3000, 60)
    assert not settings.has_slack
    assert not settings.simulated


def test_the_env_file_is_read_and_the_environment_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MINERPULSE_ETF=iren\nMINERPULSE_SEED=7\nOTHER=x\n", encoding="utf-8")
    given(monkeypatch, MINERPULSE_SEED="8")
    settings = load_settings()
    assert (settings.etf, settings.seed) == ("IREN", 8)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, SLACK_BOT_TOKEN="", MINERPULSE_TICK_SECONDS="")
    assert load_settings().tick_seconds == 60


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


@pytest.mark.parametrize(
    ("variables", "socket"),
    [
        pytest.param(HTTP, False, id="signing-secret"),
        pytest.param(SOCKET, True, id="app-token"),
        pytest.param(HTTP | SOCKET, True, id="both-tokens"),
        pytest.param(HTTP | SOCKET | {"MINERPULSE_SLACK_MODE": "http"}, False, id="both-but-http-is-asked-for"),
    ],
)
def test_an_app_token_means_socket_mode_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, socket: bool
) -> None:
    given(monkeypatch, **variables)
    settings = load_settings()
    assert settings.has_slack
    assert settings.socket_mode is socket


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        pytest.param(
            {"SLACK_BOT_TOKEN": "xoxb-made-up"},
            "SLACK_SIGNING_SECRET (for HTTP) or SLACK_APP_TOKEN (for Socket Mode)",
            id="bot-token-alone",
        ),
        pytest.param({"SLACK_SIGNING_SECRET": "abc"}, "SLACK_BOT_TOKEN", id="signing-secret-alone"),
        pytest.param({"SLACK_APP_TOKEN": "xapp-made-up"}, "SLACK_BOT_TOKEN", id="app-token-alone"),
        pytest.param(HTTP | {"MINERPULSE_SLACK_MODE": "socket"}, "SLACK_APP_TOKEN", id="socket-without-app-token"),
        pytest.param(SOCKET | {"MINERPULSE_SLACK_MODE": "http"}, "SLACK_SIGNING_SECRET", id="http-without-secret"),
    ],
)
def test_half_configured_slack_is_refused_with_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], missing: str
) -> None:
    told = refusal(monkeypatch, **variables)
    assert told.startswith("Slack is half configured: ")
    assert missing in told


MANY = {
    "SLACK_CLIENT_ID": "1.2",
    "SLACK_CLIENT_SECRET": "hush",
    "SLACK_SIGNING_SECRET": "abc",
    "MINERPULSE_TOKEN_KEYS": f"{new_key()}, {new_key()}",
}


def test_many_workspaces_need_no_token_and_come_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, **MANY)
    settings = load_settings()
    assert (True, True, False) == (settings.has_slack, settings.distributed, settings.socket_mode)
    assert 2 == len(settings.token_keys)
    assert "hush" not in repr(settings)


@pytest.mark.parametrize("missing", MANY)
def test_what_many_workspaces_lack_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    told = refusal(monkeypatch, **{name: value for name, value in MANY.items() if name != missing})
    assert f"Slack is half configured: {missing} not set. Set it, or unset the others to run without Slack." == told


@pytest.mark.parametrize("token", [{"SLACK_BOT_TOKEN": "xoxb-hush"}, {"SLACK_APP_TOKEN": "xapp-hush"}])
def test_one_workspace_and_many_exclude_each_other(monkeypatch: pytest.MonkeyPatch, token: dict[str, str]) -> None:
    (name,) = token
    told = refusal(monkeypatch, **MANY, **token)
    assert f"SLACK_CLIENT_ID is for many workspaces, {name} for one: unset one of them." == told


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        pytest.param("MINERPULSE_TOKEN_KEYS", "hush", "it is no list of keys; `minerpulse keys new`", id="no key"),
        pytest.param("SLACK_BOT_TOKEN", "xapp-hush", "it does not begin with xoxb-", id="app-token-as-bot-token"),
        pytest.param("SLACK_APP_TOKEN", "xoxb-hush", "it does not begin with xapp-", id="bot-token-as-app-token"),
        pytest.param("SLACK_SIGNING_SECRET", "xoxb-hush", "it is a token", id="token-as-secret"),
        pytest.param("MINERPULSE_DATABASE_URL", "me:hush@host/db", "it is not a database URL", id="database"),
        pytest.param("MINERPULSE_TICK_SECONDS", "5", "greater than or equal to 15", id="too-often"),
        pytest.param("MINERPULSE_TICK_SECONDS", "901", "less than or equal to 900", id="too-seldom"),
        pytest.param("PORT", "http", "valid integer", id="port"),
        pytest.param("MINERPULSE_ETF", "W G", "it is not a ticker symbol", id="symbol"),
        pytest.param("MINERPULSE_ETF_SOURCES", "google", "'yahoo', 'nasdaq',", id="source"),
        pytest.param("MINERPULSE_ETF_SOURCES", "yahoo, yahoo", "it names a source twice", id="source-twice"),
        pytest.param("MINERPULSE_CRYPTO_SOURCES", ",", "it names no source", id="no-source"),
        pytest.param(
            "MINERPULSE_CRYPTO_SOURCES", "kraken simulated", "simulated prices stand alone", id="half-made-up"
        ),
        pytest.param("MINERPULSE_NETWORK_SOURCES", "yahoo", "'mempool' or 'blockchain'", id="network-source"),
        pytest.param("MINERPULSE_SOURCE_URLS", "yahoo=finance", "it is not a web address", id="address"),
        pytest.param("MINERPULSE_SOURCE_URLS", "http://127.0.0.1", "it is no list of addresses", id="address-of-whom"),
        pytest.param("MINERPULSE_LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'", id="level"),
        pytest.param("MINERPULSE_SLACK_MODE", "carrier", "'auto', 'http' or 'socket'", id="mode"),
    ],
)
def test_a_bad_value_is_told_in_one_line_that_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    line = refusal(monkeypatch, **{name: value})
    assert line.startswith(f"{name}: ")
    assert told in line
    assert "\n" not in line
    assert "hush" not in line


def test_every_problem_has_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    told = refusal(monkeypatch, PORT="x", MINERPULSE_TICK_SECONDS="1", MINERPULSE_TICKS="60")
    assert [line.split(":")[0] for line in told.splitlines()] == ["MINERPULSE_TICKS", "MINERPULSE_TICK_SECONDS", "PORT"]


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_misspelt_variable_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    if place == "file":
        Path(".env").write_text("MINERPULSE_TICK_SECOND=60", encoding="utf-8")
        told = refusal(monkeypatch)
    else:
        told = refusal(monkeypatch, MINERPULSE_TICK_SECOND="60")
    assert told == "MINERPULSE_TICK_SECOND: there is no such setting; did you mean MINERPULSE_TICK_SECONDS."


def test_a_misspelt_slack_variable_is_refused_and_those_of_others_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://hooks.example.com")
    told = refusal(monkeypatch, SLACK_BOT_TOKN="xoxb-1")
    assert told == "SLACK_BOT_TOKN: there is no such setting; did you mean SLACK_BOT_TOKEN."


def test_an_unheard_of_variable_points_to_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ".env.example lists all there are" in refusal(monkeypatch, MINERPULSE_ZZZZZ="1")


def test_an_env_file_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_bytes(b"MINERPULSE_ETF=\xff\xfe")
    assert refusal(monkeypatch) == ".env is not UTF-8 text; save it as UTF-8."


def test_printing_the_settings_tells_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = {
        "SLACK_BOT_TOKEN": "xoxb-hush",
        "SLACK_SIGNING_SECRET": "hush",
        "SLACK_APP_TOKEN": "xapp-hush",
        "MINERPULSE_DATABASE_URL": "postgresql://me:hush@host/db",
    }
    given(monkeypatch, **hidden)
    settings = load_settings()
    assert "hush" not in f"{settings} {settings!r}"


def test_slack_is_called_at_a_folder_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    given(
        monkeypatch,
        MINERPULSE_SLACK_API_URL="http://127.0.0.1:3100/api",
        MINERPULSE_SOURCE_URLS="Yahoo=http://127.0.0.1/",
    )
    settings = load_settings()
    assert (settings.slack_api_url, settings.source_urls["yahoo"]) == ("http://127.0.0.1:3100/api/", "http://127.0.0.1")


def test_the_sources_to_choose_from_are_those_of_the_table() -> None:
    choice = {
        name: set(get_args(get_args(Settings.model_fields[name].annotation)[0]))
        for name in ("etf_sources", "crypto_sources", "network_sources")
    }
    assert {row.name for row in SOURCES if row.equity} == choice["etf_sources"]
    assert {row.name for row in SOURCES if row.crypto} == choice["crypto_sources"]
    assert {row.name for row in SOURCES if row.network} == choice["network_sources"] | {"simulated"}


@pytest.mark.parametrize(
    ("sources", "networks"),
    [
        pytest.param({}, ("mempool", "blockchain"), id="real prices"),
        pytest.param({"MINERPULSE_ETF_SOURCES": "simulated"}, ("simulated",), id="a simulated ETF"),
        pytest.param({"MINERPULSE_CRYPTO_SOURCES": "simulated"}, ("simulated",), id="a simulated coin"),
    ],
)
def test_the_network_is_made_up_where_prices_are_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, sources: dict[str, str], networks: tuple[str, ...]
) -> None:
    given(monkeypatch, **sources)
    assert networks == load_settings().networks


def test_the_keys_are_those_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {row.name: row.keys for row in SOURCES if row.keys} == KEYS
    given(monkeypatch, MINERPULSE_TIINGO_KEY="hush", MINERPULSE_ETF_SOURCES="Tiingo,yahoo")
    settings = load_settings()
    assert ({"tiingo_key": "hush"}, ("tiingo", "yahoo")) == (settings.source_keys, settings.etf_sources)


def test_the_simulated_market_is_the_same_with_and_without_settings() -> None:
    assert load_settings().seed == SEED


@pytest.mark.parametrize(
    ("sources", "missing"),
    [
        pytest.param({"MINERPULSE_ETF_SOURCES": "tiingo"}, "set MINERPULSE_TIINGO_KEY, or", id="one key"),
        pytest.param(
            {"MINERPULSE_CRYPTO_SOURCES": "alpaca", "MINERPULSE_ALPACA_KEY_ID": "hush"},
            "set MINERPULSE_ALPACA_SECRET_KEY, or",
            id="the second of two keys",
        ),
    ],
)
def test_a_source_without_its_key_is_told_by_the_name_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, sources: dict[str, str], missing: str
) -> None:
    told = refusal(monkeypatch, **sources)
    assert missing in told
    assert "hush" not in told


def as_written(default: object) -> str:
    match default:
        case None | {}:
            return ""
        case tuple():
            return ",".join(default)
        case Enum():
            return str(default.value)
        case _:
            return str(default)


def test_the_example_file_lists_every_variable_with_its_meaning_and_default() -> None:
    lines = []
    for name, field in Settings.model_fields.items():
        lines += [
            f"# {field.description}",
            f"#{variable(name)}={as_written(field.get_default(call_default_factory=True))}",
            "",
        ]
    assert "\n".join(lines) == (ROOT / ".env.example").read_text(encoding="utf-8").partition("\n\n")[2]

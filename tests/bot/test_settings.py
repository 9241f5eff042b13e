"""Settings are validated with helpful messages and never reveal a secret."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.settings import Settings, load_settings, secret_names, variable_name
from docs.tables import env_value
from services.core.errors import InvalidSettingsError
from services.core.prices import Pair, Symbol
from services.market.sources.catalogue import CRYPTO, EQUITY, SOURCES, SourceKind
from services.market.sources.simulated.market import SEED
from services.storage import generate_key

ROOT = Path(__file__).parents[2]
UNREADABLE = Path("/proc/self/mem")
HTTP = {"SLACK_BOT_TOKEN": "xoxb-made-up", "SLACK_SIGNING_SECRET": "0123456789abcdef"}
SOCKET = {"SLACK_BOT_TOKEN": "xoxb-made-up", "SLACK_APP_TOKEN": "xapp-made-up"}


pytestmark = pytest.mark.usefixtures("clean")


def set_variables(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def settings_error(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    set_variables(monkeypatch, **variables)
    with pytest.raises(InvalidSettingsError) as refused:
        load_settings()
    return str(refused.value)


def test_without_variables_the_defaults_apply() -> None:
    settings = load_settings()
    assert settings.pair == Pair(etf=Symbol("WGMI"), crypto=Symbol("BTC"))
    assert (settings.host, settings.port, settings.tick_interval.total_seconds()) == ("127.0.0.1", 3000, 60)
    assert not settings.has_slack
    assert not settings.simulated


def test_the_environment_overrides_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MINERPULSE_ETF=iren\nMINERPULSE_SEED=7\nOTHER=x\n", encoding="utf-8")
    set_variables(monkeypatch, MINERPULSE_SEED="8")
    settings = load_settings()
    assert (settings.etf, settings.seed) == ("IREN", 8)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, SLACK_BOT_TOKEN="", MINERPULSE_TICK_SECONDS="")
    assert load_settings().tick_seconds == 60


def test_settings_are_immutable() -> None:
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
def test_an_app_token_implies_socket_mode_by_default(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], *, socket: bool
) -> None:
    set_variables(monkeypatch, **variables)
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
def test_incomplete_slack_settings_name_the_missing_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], missing: str
) -> None:
    error = settings_error(monkeypatch, **variables)
    assert error.startswith("Slack is only partly configured: missing ")
    assert missing in error


DISTRIBUTED = {
    "SLACK_CLIENT_ID": "1.2",
    "SLACK_CLIENT_SECRET": "hush",
    "SLACK_SIGNING_SECRET": "abc",
    "MINERPULSE_TOKEN_KEYS": f"{generate_key()}, {generate_key()}",
}


def test_a_distributed_app_needs_no_bot_token_and_uses_http(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, **DISTRIBUTED)
    settings = load_settings()
    assert (True, True, False) == (settings.has_slack, settings.distributed, settings.socket_mode)
    assert 2 == len(settings.token_keys)
    assert "hush" not in repr(settings)


@pytest.mark.parametrize("missing", DISTRIBUTED)
def test_a_missing_distributed_setting_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    error = settings_error(monkeypatch, **{name: value for name, value in DISTRIBUTED.items() if name != missing})
    assert (
        f"Slack is only partly configured: missing {missing}. "
        "Set what is missing, or unset all Slack variables to run without Slack." == error
    )


@pytest.mark.parametrize("token", [{"SLACK_BOT_TOKEN": "xoxb-hush"}, {"SLACK_APP_TOKEN": "xapp-hush"}])
def test_single_and_distributed_settings_are_exclusive(monkeypatch: pytest.MonkeyPatch, token: dict[str, str]) -> None:
    (name,) = token
    error = settings_error(monkeypatch, **DISTRIBUTED, **token)
    assert f"SLACK_CLIENT_ID is for many workspaces, {name} for one. Unset one of them." == error


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param(
            "MINERPULSE_TOKEN_KEYS", "hush", "isn't a list of keys; create them with `minerpulse keys new`", id="no key"
        ),
        pytest.param("SLACK_BOT_TOKEN", "xapp-hush", "doesn't begin with xoxb-", id="app-token-as-bot-token"),
        pytest.param("SLACK_APP_TOKEN", "xoxb-hush", "doesn't begin with xapp-", id="bot-token-as-app-token"),
        pytest.param("SLACK_SIGNING_SECRET", "xoxb-hush", "isn't a signing secret", id="token-as-secret"),
        pytest.param("MINERPULSE_DATABASE_URL", "me:hush@host/db", "isn't a database URL", id="database"),
        pytest.param("MINERPULSE_TICK_SECONDS", "5", "greater than or equal to 15", id="too-often"),
        pytest.param("MINERPULSE_TICK_SECONDS", "901", "less than or equal to 900", id="too-seldom"),
        pytest.param("PORT", "http", "should be a whole number", id="port"),
        pytest.param("MINERPULSE_ETF", "W G", "isn't a ticker symbol", id="symbol"),
        pytest.param("MINERPULSE_ETF_SOURCES", "google", "'yahoo', 'nasdaq',", id="source"),
        pytest.param("MINERPULSE_ETF_SOURCES", "yahoo, yahoo", "names a source twice", id="source-twice"),
        pytest.param("MINERPULSE_CRYPTO_SOURCES", ",", "doesn't name a source", id="no-source"),
        pytest.param(
            "MINERPULSE_CRYPTO_SOURCES", "kraken simulated", "simulated can't be combined with", id="half-made-up"
        ),
        pytest.param("MINERPULSE_NETWORK_SOURCES", "yahoo", "'mempool' or 'blockchain'", id="network-source"),
        pytest.param("MINERPULSE_PUE", "1.1", "write the lower, best and upper values, such as 1.01,", id="pue"),
        pytest.param("MINERPULSE_PUE", "1.2,1.1,1.0", "three ascending numbers from 1 to 3", id="pue-order"),
        pytest.param("MINERPULSE_PUE", "1,ten,2", "three ascending numbers from 1 to 3", id="pue-of-words"),
        pytest.param("MINERPULSE_PUE", "1,1,nan", "three ascending numbers from 1 to 3", id="pue-nan"),
        pytest.param("MINERPULSE_ELECTRICITY_USD_KWH", "5", "less than or equal to 1", id="electricity-in-cents"),
        pytest.param("MINERPULSE_ELECTRICITY_USD_KWH", "0", "greater than 0", id="electricity-for-nothing"),
        pytest.param("MINERPULSE_SOURCE_URLS", "yahoo=finance", "isn't a web address", id="address"),
        pytest.param("MINERPULSE_SOURCE_URLS", "http://127.0.0.1", "isn't a list of", id="address-of-whom"),
        pytest.param("SLACK_BOT_TOKEN", '"xoxb-hush"', "remove the quotation marks", id="quotation-marks"),
        pytest.param("SLACK_BOT_TOKEN", "xoxb-hush me", "contains a space", id="space-in-a-token"),
        pytest.param("SLACK_SIGNING_SECRET", "hush…", "a character that tokens never have", id="a-copied-ellipsis"),
        pytest.param("MINERPULSE_TIINGO_KEY", "hush\nhush", "contains a space", id="newline-in-a-key"),
        pytest.param("MINERPULSE_SOURCE_URLS", "yahooo=http://127.0.0.1", "“yahooo” isn't a source", id="source"),
        pytest.param("MINERPULSE_SOURCE_URLS", "yahoo=http://127.0.0.1:99999", "isn't a web address", id="port-of-URL"),
        pytest.param("MINERPULSE_SLACK_API_URL", "https://[::1", "isn't a web address", id="half-an-address"),
        pytest.param(
            "MINERPULSE_SOURCE_URLS",
            "yahoo=http://127.0.0.1 YAHOO=http://127.0.0.2",
            "has two addresses for yahoo; keep one of them",
            id="two-addresses",
        ),
        pytest.param("MINERPULSE_TICK_SECONDS", "6_0", "should be a whole number", id="underscore"),
        pytest.param("MINERPULSE_TICK_SECONDS", "\uff16\uff10", "should be a whole number", id="full-width-digits"),
        pytest.param("MINERPULSE_ELECTRICITY_USD_KWH", "0.0_5", "should be a number, such as 0.05", id="decimals"),
        pytest.param("MINERPULSE_PUE", "1,1_0,2", "three ascending numbers", id="underscore-in-pue"),
        pytest.param("MINERPULSE_HOST", "https://x", "isn't a host name or IP address", id="host-with-scheme"),
        pytest.param("MINERPULSE_HOST", "10.0.0.1:80", "without a port", id="host-and-port"),
        pytest.param("MINERPULSE_LOG_LEVEL", "loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'", id="level"),
        pytest.param("MINERPULSE_SLACK_MODE", "carrier", "'auto', 'http' or 'socket'", id="mode"),
    ],
)
def test_an_invalid_value_is_one_line_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    line = settings_error(monkeypatch, **{name: value})
    assert line.startswith((f"{name} ", f"{name}: "))
    assert expected in line
    assert "\n" not in line
    assert "hush" not in line


def test_every_problem_has_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    error = settings_error(monkeypatch, PORT="x", MINERPULSE_TICK_SECONDS="1", MINERPULSE_TICKS="60")
    assert [line.split()[0].rstrip(":") for line in error.splitlines()] == [
        "MINERPULSE_TICKS",
        "MINERPULSE_TICK_SECONDS",
        "PORT",
    ]


@pytest.mark.parametrize("location", ["environment", "file"])
def test_a_misspelled_variable_suggests_the_nearest_name(monkeypatch: pytest.MonkeyPatch, location: str) -> None:
    if location == "file":
        Path(".env").write_text("# mine\n\nMINERPULSE_TICK_SECOND=60", encoding="utf-8")
        error = settings_error(monkeypatch)
    else:
        error = settings_error(monkeypatch, MINERPULSE_TICK_SECOND="60")
    where = " (line 3 of .env)" if location == "file" else ""
    assert error == f"MINERPULSE_TICK_SECOND{where}: there is no such setting. Did you mean MINERPULSE_TICK_SECONDS?"


def test_a_misspelled_slack_variable_is_rejected_but_unrelated_ones_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://hooks.example.com")
    error = settings_error(monkeypatch, SLACK_BOT_TOKN="xoxb-1")
    assert error == "SLACK_BOT_TOKN: there is no such setting. Did you mean SLACK_BOT_TOKEN?"


@pytest.mark.parametrize("name", ["MINERPULS_ETF", "MINERPLUSE_ETF", "MINER_PULSE_ETF", "minerpulseetf"])
def test_a_misspelled_prefix_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    error = settings_error(monkeypatch, **{name: ""})
    assert error == f"{name.upper()}: there is no such setting. Did you mean MINERPULSE_ETF?"


@pytest.mark.parametrize("name", ["MINERVA_ETF", "SORT", "PULSE_SERVER", "MINER_SEED"])
def test_variables_of_other_programs_are_ignored(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    set_variables(monkeypatch, **{name: "1"})
    assert "WGMI" == load_settings().etf


def test_an_ipv6_address_may_have_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, MINERPULSE_HOST="[::1]")
    assert "::1" == load_settings().host


def test_an_unknown_variable_points_to_the_example_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ".env.example lists all settings" in settings_error(monkeypatch, MINERPULSE_ZZZZZ="1")


def test_an_env_file_that_is_not_utf8_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_bytes(b"MINERPULSE_ETF=\xff\xfe")
    assert settings_error(monkeypatch) == ".env isn't UTF-8 text. Save it as UTF-8."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("# mine\nhush hush\n", "Line 2 of .env can't be read. Write NAME=value, or begin", id="words"),
        pytest.param("PORT=1\n= hush\n", "Line 2 of .env can't be read.", id="no name"),
        pytest.param("PORT: hush\n", "Line 1 of .env can't be read.", id="a colon"),
        pytest.param(
            'SLACK_BOT_TOKEN="xoxb-hush\nPORT=1\n',
            "Line 1 of .env can't be read. Write NAME=value, and close each quotation mark.",
            id="an open quotation mark",
        ),
        pytest.param("\nMINERPULSE_ETF\n", "Line 2 of .env has no value.", id="no value"),
        pytest.param("\nMINERPULSE_TICK_SECONDS=5\n", "MINERPULSE_TICK_SECONDS (line 2 of .env) should", id="value"),
        pytest.param(
            "PORT=1\n\nPORT=2\nOTHER=x\nOTHER=hush\n", "Lines 1 and 3 of .env both set PORT. Delete one", id="twice"
        ),
        pytest.param(
            "MINERPULSE_ETF=A\nminerpulse_etf=B\n", "Lines 1 and 2 of .env both set MINERPULSE_ETF.", id="two-cases"
        ),
        pytest.param("\n\nSLACK_BOT_TOKN=hush\n", "SLACK_BOT_TOKN (line 3 of .env): there is no such", id="name"),
    ],
)
def test_a_wrong_line_of_the_env_file_is_an_error_with_its_number(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    Path(".env").write_text(text, encoding="utf-8")

    error = settings_error(monkeypatch)

    assert error.startswith(expected)
    assert "\n" not in error
    assert "hush" not in error


def test_a_variable_of_the_environment_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MINERPULSE_TICK_SECONDS=60\n", encoding="utf-8")

    assert settings_error(monkeypatch, MINERPULSE_TICK_SECONDS="5").startswith("MINERPULSE_TICK_SECONDS should ")


def test_every_wrong_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("one two\nMINERPULSE_SEED=1\nthree four\n", encoding="utf-8")

    assert ["Line 1", "Line 3"] == [line[:6] for line in settings_error(monkeypatch).splitlines()]


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    Path(".env").write_text("MINERPULSE_ETF=IREN\n", encoding="utf-8-sig")

    assert "IREN" == load_settings().etf


def test_comments_exports_and_quotes_are_read() -> None:
    Path(".env").write_text("# mine\n\nexport MINERPULSE_ETF='IREN' # my fund\nPORT=\n", encoding="utf-8")

    assert ("IREN", 3000) == (load_settings().etf, load_settings().port)


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_an_env_file_that_is_no_file_is_an_error(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    match kind:
        case "folder":
            Path(".env").mkdir()
        case "pipe":
            os.mkfifo(".env")
        case _:
            Path(".env").symlink_to("nowhere")

    error = settings_error(monkeypatch)

    assert error.startswith(".env is a folder. Rename it" if kind == "folder" else ".env is neither a file nor a link")


@pytest.mark.skipif(not UNREADABLE.exists(), reason="only Linux has a file that nobody can read from its start")
def test_an_env_file_that_cannot_be_read_is_an_error_with_the_reason() -> None:
    Path(".env").symlink_to(UNREADABLE)
    with pytest.raises(InvalidSettingsError, match=r"^Can't read \.env: Input/output error\. Make it readable"):
        load_settings()


def test_an_env_file_may_be_a_link_to_a_file() -> None:
    Path("desk.env").write_text("MINERPULSE_ETF=IREN\n", encoding="utf-8")
    Path(".env").symlink_to("desk.env")

    assert "IREN" == load_settings().etf


def test_printing_the_settings_reveals_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "SLACK_BOT_TOKEN": "xoxb-hush",
        "SLACK_SIGNING_SECRET": "hush",
        "SLACK_APP_TOKEN": "xapp-hush",
        "MINERPULSE_DATABASE_URL": "postgresql://me:hush@host/db",
    }
    set_variables(monkeypatch, **variables)
    settings = load_settings()
    assert "hush" not in f"{settings} {settings!r}"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        pytest.param("MINERPULSE_SLACK_API_URL", "http://slack.com/api/", "it has", id="Slack"),
        pytest.param("MINERPULSE_HEARTBEAT_URL", "http://hc-ping.com/hush", "it has", id="the watchdog"),
        pytest.param("MINERPULSE_SOURCE_URLS", "yahoo=http://10.0.0.7:8080", "yahoo has", id="a source"),
        pytest.param("MINERPULSE_SOURCE_URLS", "yahoo=http://127.0.0.1.evil.com", "yahoo has", id="a misleading name"),
        pytest.param("MINERPULSE_SOURCE_URLS", "yahoo=http://127.0.0.1@evil.com", "yahoo has", id="a misleading user"),
        pytest.param("MINERPULSE_SOURCE_URLS", "yahoo=http://0.0.0.0", "yahoo has", id="every address"),
    ],
)
def test_plain_http_to_another_machine_needs_an_explicit_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem: str
) -> None:
    assert settings_error(monkeypatch, **{variable: value}) == (
        f"{variable}: {problem} an unencrypted http:// address on another machine. "
        "Use https://, or set MINERPULSE_ALLOW_PLAIN_HTTP=true."
    )
    set_variables(monkeypatch, **{variable: value}, MINERPULSE_ALLOW_PLAIN_HTTP="true")
    load_settings()


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "localhost:80", "there.localhost"])
def test_plain_http_to_this_machine_is_allowed(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    set_variables(monkeypatch, MINERPULSE_SOURCE_URLS=f"yahoo=http://{host}")
    assert load_settings().source_urls == {"yahoo": f"http://{host}"}


def test_a_short_status_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    error = settings_error(monkeypatch, MINERPULSE_STATUS_TOKEN="a")
    assert error.startswith("MINERPULSE_STATUS_TOKEN is too short; use at least 8 characters. ")
    assert "8" in error


def test_urls_are_normalized(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(
        monkeypatch,
        MINERPULSE_SLACK_API_URL="http://127.0.0.1:3100/api",
        MINERPULSE_SOURCE_URLS="Yahoo=http://127.0.0.1/",
    )
    settings = load_settings()
    assert (settings.slack_api_url, settings.source_urls["yahoo"]) == ("http://127.0.0.1:3100/api/", "http://127.0.0.1")


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        pytest.param("MINERPULSE_ETF_SOURCES", EQUITY, id="ETF"),
        pytest.param("MINERPULSE_CRYPTO_SOURCES", CRYPTO, id="bitcoin"),
    ],
)
def test_an_unknown_source_gets_every_choice_of_the_catalogue(
    monkeypatch: pytest.MonkeyPatch, variable: str, kind: SourceKind[object]
) -> None:
    names = [f"'{row.name}'" for row in SOURCES if kind.factory(row)]
    error = settings_error(monkeypatch, **{variable: "google"})
    assert error.startswith(f"{variable} should be {', '.join(names[:-1])} or 'simulated'. Sources of ")


@pytest.mark.parametrize(
    ("sources", "networks"),
    [
        pytest.param({}, ("mempool", "blockchain"), id="real prices"),
        pytest.param({"MINERPULSE_ETF_SOURCES": "simulated"}, ("simulated",), id="a simulated ETF"),
        pytest.param({"MINERPULSE_CRYPTO_SOURCES": "simulated"}, ("simulated",), id="a simulated coin"),
    ],
)
def test_the_network_is_simulated_if_prices_are(
    monkeypatch: pytest.MonkeyPatch, sources: dict[str, str], networks: tuple[str, ...]
) -> None:
    set_variables(monkeypatch, **sources)
    assert networks == load_settings().network_source_names


def test_every_key_of_a_source_is_a_setting_and_no_other_exists() -> None:
    fields = {name for name in Settings.model_fields if "key" in name and not name.startswith(("slack_", "token_"))}

    assert {key for row in SOURCES for key in row.keys} == fields


def test_the_keys_of_sources_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, MINERPULSE_TIINGO_KEY="hush", MINERPULSE_ETF_SOURCES="Tiingo,yahoo")
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
def test_a_missing_source_key_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, sources: dict[str, str], missing: str
) -> None:
    error = settings_error(monkeypatch, **sources)
    assert missing in error
    assert "hush" not in error


def test_the_example_file_lists_every_variable_with_description_and_default() -> None:
    lines = []
    for name, field in Settings.model_fields.items():
        lines += [
            f"# {field.description}",
            f"#{variable_name(name)}={env_value(field.get_default(call_default_factory=True))}",
            "",
        ]
    assert "\n".join(lines) == (ROOT / ".env.example").read_text(encoding="utf-8").partition("\n\n")[2]


def test_a_database_in_this_folder_is_used_and_otherwise_the_one_in_the_data_folder(clean: Path) -> None:
    elsewhere = load_settings().database_url
    Path("minerpulse.db").touch()

    assert (f"sqlite:///{clean / 'minerpulse.db'}", "sqlite:///minerpulse.db") == (
        elsewhere,
        load_settings().database_url,
    )


def test_each_secret_can_be_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = HTTP | {"MINERPULSE_TIINGO_KEY": "k", "MINERPULSE_DATABASE_URL": "sqlite:///other.db"}
    for name, value in secrets.items():
        Path(name).write_text(f"{value}\n", encoding="utf-8")
        monkeypatch.setenv(f"{name}_FILE", name)
    settings = load_settings()

    assert "xoxb-made-up" == (settings.slack_bot_token and settings.slack_bot_token.get_secret_value())
    assert ("sqlite:///other.db", {"tiingo_key": "k"}) == (settings.database_url, settings.source_keys)


def test_every_secret_has_a_variable_for_a_file() -> None:
    assert {
        "slack_bot_token",
        "slack_signing_secret",
        "slack_app_token",
        "slack_client_secret",
        "token_keys",
        "database_url",
        "alpaca_key_id",
        "alpaca_secret_key",
        "tiingo_key",
        "twelvedata_key",
        "heartbeat_url",
        "status_token",
    } == set(secret_names())


def test_the_env_file_may_name_the_file_of_a_secret() -> None:
    Path("token").write_text("xoxb-made-up", encoding="utf-8")
    Path(".env").write_text("SLACK_BOT_TOKEN_FILE=token\nSLACK_SIGNING_SECRET=0123456789abcdef\n", encoding="utf-8")

    assert load_settings().has_slack


@pytest.mark.parametrize(
    ("content", "also", "problem"),
    [
        pytest.param(None, None, "SLACK_BOT_TOKEN_FILE: can't read token (No such file or directory).", id="missing"),
        pytest.param(b"", None, "SLACK_BOT_TOKEN_FILE: token is empty. Put the value in it.", id="empty"),
        pytest.param(b"\xff", None, "SLACK_BOT_TOKEN_FILE: can't read token (it isn't UTF-8 text).", id="binary"),
        pytest.param(b"nonsense", None, "SLACK_BOT_TOKEN", id="wrong"),
        pytest.param(b"xoxb-1", "xoxb-2", "SLACK_BOT_TOKEN and SLACK_BOT_TOKEN_FILE are both set.", id="both"),
    ],
)
def test_a_file_without_a_usable_secret_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, content: bytes | None, also: str | None, problem: str
) -> None:
    if content is not None:
        Path("token").write_bytes(content)
    if also is not None:
        monkeypatch.setenv("SLACK_BOT_TOKEN", also)
    error = settings_error(monkeypatch, SLACK_BOT_TOKEN_FILE="token")

    assert problem in error
    assert "nonsense" not in error
    assert "xoxb-1" not in error


def test_a_misspelled_variable_for_a_file_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    error = settings_error(monkeypatch, MINERPULSE_TINGO_KEY_FILE="key")

    assert "Did you mean MINERPULSE_TIINGO_KEY_FILE?" in error

"""What the environment does to calls: proxies, NO_PROXY and certificates."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from services.core.errors import InvalidSettingsError
from services.market.sources.http.client import HttpClient
from services.market.sources.http.environment import check_network_environment, describe_proxies, environment_proxy

PROXY = "http://me:hush@proxy.test:3128"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT_"):
            monkeypatch.delenv(name)


def set_variables(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[str]:
    """An HTTP server on this machine that answers everything with one body; its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())


@pytest.mark.parametrize(
    ("no_proxy", "answered_by"),
    [
        pytest.param("", b"proxy", id="none"),
        pytest.param("::1/128", b"proxy", id="an IPv6 network elsewhere"),
        pytest.param("[::1]", b"proxy", id="an IPv6 address elsewhere"),
        pytest.param("[::1], 127.0.0.0/8", b"vendor", id="its network"),
        pytest.param("127.0.0.1", b"vendor", id="its address"),
        pytest.param("*", b"vendor", id="all"),
    ],
)
async def test_a_call_goes_through_the_proxy_unless_no_proxy_covers_it(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, answered_by: bytes
) -> None:
    async with answering(b"proxy") as proxy, answering(b"vendor") as vendor, aclosing(HttpClient()) as client:
        set_variables(monkeypatch, {"ALL_PROXY": proxy, "NO_PROXY": no_proxy})

        assert answered_by == (await client.get(vendor, {})).body


@pytest.mark.parametrize(
    ("no_proxy", "url", "bypassed"),
    [
        pytest.param("::1/128", "http://[::1]:8080/", True, id="IPv6 network"),
        pytest.param("[::1]", "http://[::1]:8080/", True, id="IPv6 in brackets"),
        pytest.param("::1", "http://[::1]/", True, id="IPv6"),
        pytest.param("[fd00::]/8", "http://[fd00::1]/", True, id="IPv6 network in brackets"),
        pytest.param("10.0.0.0/8", "http://10.1.2.3/", True, id="network"),
        pytest.param("10.0.0.0/8", "http://11.1.2.3/", False, id="another network"),
        pytest.param("vendor.test", "https://api.vendor.test/", True, id="domain"),
        pytest.param(".vendor.test", "https://api.vendor.test/", True, id="domain with a dot"),
        pytest.param("vendor.test", "https://othervendor.test/", False, id="the end of a name"),
        pytest.param("vendor.test:8443", "https://vendor.test:8443/", True, id="port"),
        pytest.param("not/a/network, [::1", "https://vendor.test/", False, id="nonsense"),
    ],
)
def test_no_proxy_lists_names_addresses_and_networks(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, *, bypassed: bool
) -> None:
    set_variables(monkeypatch, {"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY, "NO_PROXY": no_proxy})

    assert (None if bypassed else PROXY) == environment_proxy(url)


@pytest.mark.parametrize("url", ["https://slack.test/", "wss://slack.test/"])
def test_a_proxy_for_https_holds_for_websockets(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("https_proxy", "proxy.test:3128")

    assert "http://proxy.test:3128" == environment_proxy(url)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"ALL_PROXY": "socks5://me:hush@127.0.0.1:1080"}, "ALL_PROXY names a SOCKS proxy", id="SOCKS"),
        pytest.param({"https_proxy": "socks5h://127.0.0.1:1080"}, "https_proxy names a SOCKS proxy", id="lower case"),
        pytest.param({"HTTPS_PROXY": "http://me:hush@[bad"}, "HTTPS_PROXY isn't the address", id="half an address"),
        pytest.param({"HTTPS_PROXY": "me:hush@proxy:99999"}, "HTTPS_PROXY isn't the address", id="port too high"),
        pytest.param({"HTTPS_PROXY": "http://me:hush@proxy:0"}, "HTTPS_PROXY isn't the address", id="port 0"),
        pytest.param({"HTTP_PROXY": "http://me:hush@proxy:http"}, "HTTP_PROXY isn't the address", id="port in words"),
        pytest.param({"HTTP_PROXY": "ftp://me:hush@proxy"}, "HTTP_PROXY isn't the address", id="scheme"),
        pytest.param({"HTTPS_PROXY": "http://"}, "HTTPS_PROXY isn't the address", id="no host"),
        pytest.param({"HTTPS_PROXY": "http://pro xy:1"}, "HTTPS_PROXY isn't the address", id="a space"),
        pytest.param({"HTTPS_PROXY": f"http://{'a' * 64}:1"}, "HTTPS_PROXY isn't the address", id="label too long"),
        pytest.param({"SSL_CERT_FILE": "/missing.pem"}, "SSL_CERT_FILE names /missing.pem, which can't", id="missing"),
        pytest.param({"SSL_CERT_FILE": __file__}, "which has no PEM certificates", id="not certificates"),
        pytest.param({"SSL_CERT_FILE": "/"}, "SSL_CERT_FILE names /, which", id="a folder"),
        pytest.param({"SSL_CERT_DIR": "/missing"}, "SSL_CERT_DIR names /missing, which isn't a folder", id="no folder"),
    ],
)
def test_an_unusable_environment_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    set_variables(monkeypatch, variables)

    with pytest.raises(InvalidSettingsError) as refused:
        check_network_environment()

    assert expected in str(refused.value)
    assert "unset" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "hush" not in str(refused.value)


async def test_a_call_raises_the_same_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/missing.pem")
    async with aclosing(HttpClient()) as client:
        with pytest.raises(InvalidSettingsError, match=r"SSL_CERT_FILE names /missing\.pem"):
            await client.get("https://vendor.test/", {})


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({}, id="empty"),
        pytest.param({"HTTPS_PROXY": PROXY, "HTTP_PROXY": PROXY, "ALL_PROXY": "socks5://h:1"}, id="unused SOCKS"),
        pytest.param({"HTTPS_PROXY": "http://[bad", "NO_PROXY": "*"}, id="no proxy at all"),
        pytest.param({"HTTPS_PROXY": "", "SSL_CERT_FILE": ""}, id="empty values"),
        pytest.param({"HTTPS_PROXY": "http://[::1]:3128", "NO_PROXY": "::1/128,[::1],,bad/net"}, id="IPv6"),
    ],
)
def test_a_usable_environment_passes(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    set_variables(monkeypatch, variables)

    check_network_environment()


def test_a_description_of_the_proxies_has_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no proxy" == describe_proxies()
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert "http://proxy.test:3128 for https" == describe_proxies()


def test_certificates_of_this_machine_are_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", f"/missing{os.pathsep}{tmp_path}")

    check_network_environment()

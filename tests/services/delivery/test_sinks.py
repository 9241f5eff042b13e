import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from bot.sinks import WORDS, read_sinks_file
from services.core.errors import DeliveryError, InvalidSinkError
from services.delivery.sinks.config import SinkConfig, SinkTools, build_sink
from services.delivery.sinks.http import AddressGuard, SinkClient
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, OPEN, Harness, open_harness
from tests.fakes.sinks import LOOPBACK, ROUTING_KEY, WEBHOOK_SECRET, Receiver, dispatcher, open_receiver

NAT64, SIX_TO_FOUR, TEREDO = "64:ff9b::a00:1", "2002:7f00:1::", "2001::1"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.9", "192.168.1.1", "100.64.0.1", "224.0.0.1"),
        *("169.254.169.254", "::1", "fe80::1", "fc00::1", "::ffff:10.0.0.1", NAT64, SIX_TO_FOUR, TEREDO),
        *("64:ff9b:1::a00:1", "::10.0.0.1", "::ffff:0:10.0.0.1", "fec0::1", "240.0.0.1", "::"),
    ],
)
def test_addresses_inside_a_network_are_refused(address: str) -> None:
    assert not AddressGuard().permits(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressGuard().permits(ipaddress.ip_address(address))


def test_an_operator_allows_a_network_but_never_the_metadata_of_a_cloud() -> None:
    guard = AddressGuard(allowed=(ipaddress.ip_network("10.20.0.0/16"), ipaddress.ip_network("0.0.0.0/0")))
    allowed = [guard.permits(ipaddress.ip_address(one)) for one in ("10.20.3.4", "192.168.0.1", "169.254.169.254")]
    assert [True, True, False] == allowed


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as receiver:
        yield receiver


async def test_a_name_of_which_one_address_is_private_is_refused_before_any_connection(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(*_args: object, **_options: object) -> list[tuple[Any, ...]]:
        return [(2, 1, 6, "", ("8.8.8.8", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(DeliveryError, match="inside a private network") as refused:
        await SinkClient().post("https://pages.example.com/hook", b"{}", {})
    assert (True, True) == (refused.value.permanent, refused.value.surely_not_posted)
    assert [] == receiver.requests


async def test_a_name_that_means_another_address_a_moment_later_is_connected_to_the_checked_one(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with DNS rebinding: the first answer passes the check, the next one is inside the network."""
    loop, asked = asyncio.get_running_loop(), list[str]()
    getaddrinfo = loop.getaddrinfo

    async def resolve(host: str, *arguments: Any, **options: Any) -> list[Any]:  # noqa: ANN401 -- as it is called
        if host != "pages.example.com":
            return await getaddrinfo(host, *arguments, **options)
        asked.append(host)
        return await getaddrinfo("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *arguments, **options)

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    client = SinkClient(guard=AddressGuard(allowed=(ipaddress.ip_network("127.0.0.1"),)), https_only=False)
    port = receiver.url.rpartition(":")[2]
    await client.post(f"http://pages.example.com:{port}/hook", b"{}", {})

    assert ["pages.example.com"] == asked
    assert [f"pages.example.com:{port}"] == [one.headers["host"] for one in receiver.requests]
    with pytest.raises(DeliveryError, match="without encryption"):
        await client.post(f"http://pages.example.com:{port}/hook", b"{}", {})


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [307], {"Location": f"{receiver.url}/elsewhere"}
    client = SinkClient(guard=AddressGuard(allowed=(ipaddress.ip_network(LOOPBACK),)), https_only=False)
    with pytest.raises(DeliveryError, match="redirects"):
        await client.post(f"{receiver.url}/hook", b"{}", {})
    assert ["/hook"] == [one.path for one in receiver.requests]


async def test_plain_http_outside_the_listed_networks_is_refused(receiver: Receiver) -> None:
    client = SinkClient(guard=AddressGuard(allowed=(ipaddress.ip_network("10.0.0.0/8"),)), https_only=False)
    with pytest.raises(DeliveryError, match="without encryption"):
        await client.post(f"{receiver.url}/hook", b"{}", {})
    assert [] == receiver.requests


@pytest.mark.parametrize(
    ("sink_type", "options", "secret", "expected"),
    [
        ("pager", {}, "x", "isn't a type of sink. Use pagerduty, webhook, email."),
        ("pagerduty", {}, "short", "isn't an integration key"),
        ("pagerduty", {"region": "mars"}, ROUTING_KEY, "Its region is “mars”. Use us or eu."),
        ("pagerduty", {"colour": "red"}, ROUTING_KEY, "“colour” isn't an option of pagerduty."),
        ("webhook", {}, WEBHOOK_SECRET, "Option “url” is missing."),
        ("webhook", {"url": "http://example.com/x"}, WEBHOOK_SECRET, "Its url must start with https://"),
        ("webhook", {"url": "https://example.com/x"}, "hunter2", "isn't `whsec_`"),
        ("webhook", {"url": "https://example.com/x"}, "", "It has no secret"),
        ("webhook", {"url": "https://x.example", "allow_networks": "ten"}, WEBHOOK_SECRET, "isn't a network"),
        ("email", {"host": "mail.example", "from": "a@b.c", "to": "desk"}, "", "must be email addresses such as"),
    ],
)
def test_a_sink_that_cannot_be_used_says_why(
    sink_type: str, options: dict[str, str], secret: str, expected: str
) -> None:
    config = SinkConfig(name="desk", type=sink_type, options=options, secret=secret)
    with pytest.raises(InvalidSinkError) as refused:
        build_sink(config, SinkTools(clock=SetClock(OPEN), words=WORDS))
    assert expected in str(refused.value)
    assert not secret or secret not in str(refused.value)


def test_the_file_of_sinks_takes_secrets_from_variables_and_files_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_file = tmp_path / "bus"
    secret_file.write_text(f"{WEBHOOK_SECRET}\n")
    monkeypatch.setenv("DESK_KEY", ROUTING_KEY)
    path = tmp_path / "sinks.toml"
    path.write_text(
        f'[desk]\ntype = "pagerduty"\nregion = "eu"\nsecret = "env:DESK_KEY"\n'
        f'[bus]\ntype = "webhook"\nurl = "https://x.example/hook"\nallow_networks = ["10.0.0.0/8", "10.1.0.0/16"]\n'
        f'secret = "file:{secret_file}"\n'
    )
    path.chmod(0o640)
    sinks = read_sinks_file(path)
    assert [ROUTING_KEY, WEBHOOK_SECRET] == [sinks["desk"].secret, sinks["bus"].secret]
    assert "10.0.0.0/8 10.1.0.0/16" == sinks["bus"].options["allow_networks"]
    assert ROUTING_KEY not in repr(sinks)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[desk]\ntype = "pagerduty"\nsecret = "0123"\n', "Its secret is in the file itself. Use `env:VARIABLE`"),
        ('[desk]\ntype = "pagerduty"\nsecret = "env:NOT_SET_HERE"\n', "variable NOT_SET_HERE, which isn't set"),
        ("desk = 1\n", "Write it as a table"),
        ('["Desk 1"]\n', "Use at most 40 lowercase letters"),
        ("[desk\n", "isn't valid TOML"),
    ],
)
def test_a_wrong_file_of_sinks_says_what_to_do(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "sinks.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InvalidSinkError, match=expected):
        read_sinks_file(path)


def test_a_file_that_everyone_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sinks.toml"
    path.write_text("")
    path.chmod(0o644)
    with pytest.raises(InvalidSinkError, match="chmod o-rwx"):
        read_sinks_file(path)


class Mailbox:
    """An SMTP handler that keeps messages; `replies` has the answer to each next recipient."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.replies: list[str] = []

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, _server: object, _session: object, envelope: Envelope, address: str, _options: object
    ) -> str:
        if self.replies:
            return self.replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def mailbox() -> Any:  # noqa: ANN401 -- a generator of pairs
    mailbox = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield mailbox, port
    controller.stop()


def email(port: int) -> SinkConfig:
    options = {
        "host": "127.0.0.1",
        "port": f"{port}",
        "security": "none",
        "from": "mp@desk.example",
        "to": "a@desk.example",
    }
    return SinkConfig(name="mail", type="email", options=options, secret="")


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        yield harness


async def fire(harness: Harness) -> int:
    await harness.commands.settings.set(CHANNEL, "page mail", "U1", lambda _name: None)
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(OPEN + timedelta(minutes=30), 0.10)
    (alert,) = await harness.open_alerts(CHANNEL)
    return alert.id


async def test_email_tells_the_opening_and_the_end_in_one_thread(harness: Harness, mailbox: Any) -> None:  # noqa: ANN401
    box, port = mailbox
    pages = dispatcher(harness, email(port))
    alert = await fire(harness)
    await pages.deliver()
    await harness.commands.acknowledge(CHANNEL, alert, "U2")
    await pages.deliver()
    await harness.commands.resolve(CHANNEL, alert, "U2", "")
    await pages.deliver()
    opened, ended = (one.content.decode() for one in box.envelopes)
    assert "Subject: WGMI 10.0 pp ahead of BTC over 1 session (rule 1d 8pp for 0s)" in opened.replace("\r\n ", " ")
    assert f"Message-ID: <alert-{alert}-open@desk.example>" in opened
    assert f"In-Reply-To: <alert-{alert}-open@desk.example>" in ended
    assert "Subject: Resolved: WGMI 10.0 pp ahead of BTC" in ended.replace("\r\n ", " ")


async def test_a_deferred_recipient_is_tried_again_and_a_refused_one_is_not(harness: Harness, mailbox: Any) -> None:  # noqa: ANN401
    box, port = mailbox
    pages = dispatcher(harness, email(port))
    box.replies = ["451 try later"]
    await fire(harness)
    await pages.deliver()
    harness.clock.at += timedelta(minutes=10)
    await pages.deliver()
    assert 1 == len(box.envelopes)

"""Pages to sinks that fail, by processes that are killed: what is lost, repeated, or sent in the wrong order."""

import asyncio
import email
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from random import Random

from aiosmtpd.smtp import SMTP, Envelope

from services.alerting.alert import close
from services.alerting.channel_settings import ChannelSettings
from services.alerting.paging import PageRoute
from services.alerting.ports import AlertChange, SettingChange
from services.core.prices import Pair, Symbol
from services.delivery.sinks.config import SinkConfig
from services.storage import SqlStore
from tests.fakes.alerts import CHANNEL, an_alert, an_entry
from tests.fakes.sinks import HANG, Receiver, open_receiver, pagerduty, webhook

ALERTS = 40
POLL_S = 0.2
OK = "250 OK"
FAULTS: tuple[int | None, ...] = (429, 503, None, HANG)  # None: the request arrives, its answer does not
OPENING, ENDING = frozenset({"trigger", "alert.fired", "open"}), frozenset({"resolve", "alert.resolved", "ended"})
MAIL_FAULTS = ("451 later", "421 closing", "lost", "hang")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageCounts:
    """What a sink got, of ALERTS alerts that opened and ended."""

    sink: str
    kills: int
    calls: int
    paged: int
    opened_twice: int
    not_ended: int
    opened_after_end: int
    ended_unopened: int

    @property
    def is_right(self) -> bool:
        """Whether nothing was lost, and nothing was opened after its end."""
        return not (self.not_ended or self.opened_after_end)

    def __str__(self) -> str:
        return (
            f"{self.sink}: {ALERTS} alerts, {self.kills} kills, {self.calls} calls: {self.paged} paged, "
            f"{self.not_ended} never ended, {self.opened_after_end} opened after their end, {self.ended_unopened} "
            f"ended though never opened, {self.opened_twice} openings repeated with the same key"
        )


@dataclass(slots=True)
class Mailbox:
    """A mail server that records what arrives, and answers as the scenario says."""

    port: int = 0
    answers: list[str] = field(default_factory=list)
    calls: int = 0
    stages: dict[str, list[str]] = field(default_factory=dict)

    async def handle_DATA(self, server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802 -- aiosmtpd's name
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else OK
        if answer[0] in "45":
            return answer
        content = envelope.content
        assert isinstance(content, bytes)
        _, number, stage = email.message_from_bytes(content)["Message-ID"].strip("<>").partition("@")[0].split("-")
        self.stages.setdefault(number, []).append(stage)
        if answer == "lost":
            assert server.transport is not None
            server.transport.close()
        if answer == "hang":
            await asyncio.Event().wait()
        return OK


@asynccontextmanager
async def open_mailbox() -> AsyncIterator[Mailbox]:
    """Serve a mailbox on a free port of 127.0.0.1."""
    mailbox = Mailbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(mailbox), "127.0.0.1", 0)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()


def email_sink(mailbox: Mailbox) -> SinkConfig:
    """Configure email at a mailbox."""
    options = {"host": "127.0.0.1", "port": f"{mailbox.port}", "security": "none"}
    people = {"from": "minerpulse@desk.example", "to": "duty@desk.example"}
    return SinkConfig(name="mail", type="email", options={**options, **people}, secret="")


async def page_under_kills(url: str, *, kills: int, seed: int) -> list[PageCounts]:
    """Open and end alerts while a worker is killed again and again, and the sinks fail at every third call."""
    random = Random(seed)  # noqa: S311 -- a seeded test
    async with (
        open_receiver() as desk,
        open_receiver() as bus,
        open_mailbox() as mailbox,
        aclosing(await SqlStore.open(url)) as store,
    ):
        for receiver in (desk, bus):
            receiver.answers = [random.choice(FAULTS) if random.random() < 1 / 3 else 202 for _ in range(10_000)]
        mailbox.answers = [random.choice(MAIL_FAULTS) if random.random() < 1 / 3 else OK for _ in range(10_000)]
        configs = json.dumps([asdict(pagerduty(desk)), asdict(webhook(bus)), asdict(email_sink(mailbox))])
        await _route(store)
        opener = asyncio.create_task(_live(store, random))
        for _ in range(kills):
            worker = await _start(url, configs)
            await asyncio.sleep(random.uniform(4.0, 8.0))
            worker.kill()
            await worker.wait()
        await opener
        desk.answers, bus.answers, mailbox.answers = [], [], []
        worker = await _start(url, configs)
        while await store.next_page_due_at() is not None:  # noqa: ASYNC110 -- the store has no event
            await asyncio.sleep(POLL_S)
        worker.kill()
        await worker.wait()
        return [
            _count("PagerDuty", _stages(desk), len(desk.requests), kills),
            _count("webhook", _stages(bus), len(bus.requests), kills),
            _count("email", mailbox.stages, mailbox.calls, kills),
        ]


async def _start(url: str, sinks: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.chaos.page_worker", url, sinks)


async def _route(store: SqlStore) -> None:
    stored = await store.channel(CHANNEL)
    settings = ChannelSettings(pages=tuple(PageRoute(sink=sink) for sink in ("desk", "bus", "mail")))
    change = SettingChange(by="U1", at=datetime.now(UTC), summary="page desk")
    await store.change_channel(replace(stored, settings=settings), change)


async def _live(store: SqlStore, random: Random) -> None:
    """Open alerts, each on a pair of its own, and end them a few seconds later."""
    for number in range(ALERTS):
        now, pair = datetime.now(UTC), Pair(etf=Symbol(f"M{number}"), crypto=Symbol("BTC"))
        alert = an_alert(pair=pair, opened_at=now, as_of=now)
        await store.record([], [AlertChange(alert=alert, revision=0, entries=(an_entry(at=now),))], now)
        await asyncio.sleep(random.uniform(0.0, 3.0))
        if number >= ALERTS // 4:
            await _end_oldest(store)
    while await store.open_alerts():
        await _end_oldest(store)
        await asyncio.sleep(random.uniform(0.0, 3.0))


async def _end_oldest(store: SqlStore) -> None:
    now, (stored, *_) = datetime.now(UTC), await store.open_alerts()
    alert = close(stored.alert, now, "back inside")
    await store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=(an_entry(at=now),))], now)


def _count(sink: str, stages: Mapping[str, list[str]], calls: int, kills: int) -> PageCounts:
    opened = {key for key, seen in stages.items() if OPENING.intersection(seen)}
    ended = {key for key, seen in stages.items() if ENDING.intersection(seen)}
    return PageCounts(
        sink=sink,
        kills=kills,
        calls=calls,
        paged=len(opened),
        opened_twice=sum(Counter(seen)[stage] > 1 for seen in stages.values() for stage in OPENING),
        not_ended=len(opened - ended),
        opened_after_end=sum(map(_opens_after_end, stages.values())),
        ended_unopened=len(ended - opened),
    )


def _stages(receiver: Receiver) -> dict[str, list[str]]:
    """Return what arrived about each alert, in order."""
    stages: dict[str, list[str]] = {}
    for request in receiver.requests:
        document = request.document
        if "event_action" in document:
            stages.setdefault(document["dedup_key"], []).append(document["event_action"])
        else:
            stages.setdefault(str(document["data"]["alert"]["id"]), []).append(document["type"])
    return stages


def _opens_after_end(seen: Sequence[str]) -> bool:
    first_end = next((at for at, stage in enumerate(seen) if stage in ENDING), len(seen))
    return bool(OPENING.intersection(seen[first_end:]))

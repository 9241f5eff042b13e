from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest
from sqlalchemy import select

from handlers.addressees import parse_addressee
from services.alerting.alert import EntryKind
from services.alerting.notice import Content, CoverageReport, Digest, Escalation, Outage
from services.alerting.setting_syntax import Addressee
from services.channels.maintenance import Maintenance
from services.core.reason import Code
from services.delivery.ports import AlertMessage, Delivery, NoticeMessage, OutboxMessage, ThreadMessage
from services.rules.decide import NODATA_GRACE
from services.storage import tables
from services.storage.codec import notice_kind, read_notice
from services.storage.retention import BATCH, CHANGES_KEPT
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, OTHER_CHANNEL, TODAY, Harness, open_harness
from tests.fakes.postgresql import migrated_database
from tests.fakes.reasons import reason
from tests.fakes.store_snapshots import MEMORY

# Two processes on the same rows depend on the database; its other SQL is tested in tests/services/storage.
on_each_database = pytest.mark.parametrize("harness", ["sqlite", "postgresql"], indirect=True)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
BEGIN = OPEN + 30 * MINUTE
ONCALL, BOSS_ROOM = "<!subteam^S1|@oncall>", "<#C2|boss-room>"


@pytest.fixture
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    """A harness with one rule, on SQLite or on the database of `on_each_database`."""
    on_postgresql = getattr(request, "param", None) == "postgresql"
    async with open_harness(migrated_database() if on_postgresql else MEMORY) as harness:
        await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
        yield harness


@pytest.fixture
async def empty_harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        yield harness


async def apply_settings(harness: Harness, *texts: str) -> None:
    def resolve_name(text: str) -> Addressee | None:
        return parse_addressee(text, CHANNEL.team)

    for text in texts:
        await harness.commands.settings.set(CHANNEL, text, "U1", resolve_name)


async def round_at(harness: Harness, at: datetime, spread: float | None = None) -> list[str]:
    """Run a tick, maintenance and delivery; return what was posted or edited, without lines on changes by people."""
    await harness.tick(at, spread)
    await harness.maintenance.tick(at)
    return await delivered(harness)


async def delivered(harness: Harness) -> list[str]:
    posts: list[str] = []
    while due := await harness.store.due(harness.clock.at):
        for delivery in due:
            await harness.store.mark_attempting(delivery, harness.clock.at)
            await harness.store.mark_sent(delivery, delivery.message_id or f"{delivery.id}", harness.clock.at)
            posts.append(named(delivery))
    return [post for post in posts if not post.startswith("change in ")]


def named(delivery: Delivery) -> str:
    prefix = "edit " if delivery.message_id else ""
    return f"{prefix}{kind(delivery.message)} in {delivery.channel.id}"


def kind(message: OutboxMessage) -> str:
    match message:
        case AlertMessage():
            return message.log_name
        case ThreadMessage():
            return message.entry.kind.value
        case NoticeMessage():
            return notice_kind(message.notice.content)


async def digest_of(harness: Harness) -> Digest:
    """Return the content of the only digest."""
    query = select(tables.notices).where(tables.notices.c.kind == notice_kind(Digest))
    async with harness.store._database.read() as tx:  # noqa: SLF001 -- no command shows a digest that waits
        row = (await tx.execute(query)).one()
    content = read_notice(row, row.id).content
    assert isinstance(content, Digest)
    return content


async def content_of(harness: Harness, kind: type[Content]) -> list[Content]:
    return [stored.notice.content for stored in await harness.store.open_notices(kind)]


async def test_a_silence_withholds_new_alerts_and_ends_with_one_digest(harness: Harness) -> None:
    await round_at(harness, BEGIN, 0.09)
    await harness.commands.settings.mute(CHANNEL, "1h", "U1")
    ended = await round_at(harness, BEGIN + 5 * MINUTE, 0.01)
    opened_and_closed = [
        await round_at(harness, BEGIN + 10 * MINUTE, -0.09),
        await round_at(harness, BEGIN + 15 * MINUTE, 0.01),
    ]
    still_open = await round_at(harness, BEGIN + 50 * MINUTE, 0.12)

    await harness.tick(BEGIN + 60 * MINUTE, 0.12)
    before = await delivered(harness)
    await harness.maintenance.tick(BEGIN + 60 * MINUTE)
    digest = await digest_of(harness)
    after = await delivered(harness)

    assert (["edit alert 1 in C1"], [[], []], [], []) == (ended, opened_and_closed, still_open, before)
    assert ["alert 3 in C1", "resolved in C1", "fired in C1", "digest in C1"] == after
    assert [(1, False), (2, False), (3, True)] == [(alert.id, alert.closed_at is None) for alert in digest.alerts]
    assert reason(Code.SILENT, causes=("mute",)) == digest.reason
    audit = await harness.commands.audit(CHANNEL, 2)
    assert {BEGIN + 60 * MINUTE} == {posting.digest_at for posting in audit.postings}
    assert [] == await round_at(harness, BEGIN + 61 * MINUTE)


async def test_an_alert_in_a_digest_is_corrected_without_a_new_message(empty_harness: Harness) -> None:
    harness, day = empty_harness, timedelta(days=1)
    harness.vendors.etf_moves |= {TODAY: 21.68, TODAY + day: 21.7}
    await harness.commands.add_rule(CHANNEL, "1d 8pp at close", "U1")
    await harness.commands.settings.mute(CHANNEL, "48h", "U1")
    await harness.tick(CLOSE + 20 * MINUTE)
    await harness.tick(CLOSE + day + 20 * MINUTE)
    await harness.commands.settings.mute(CHANNEL, "off", "U1")
    posted = await delivered(harness)

    harness.vendors.etf_moves[TODAY] = 21.42
    harness.vendors.etf_last = (21.7, OPEN + 2 * day + MINUTE)
    corrected = await round_at(harness, OPEN + 2 * day + 2 * MINUTE)

    audit = await harness.commands.audit(CHANNEL, 1)
    assert (["digest in C1"], []) == (posted, corrected)
    assert (EntryKind.RETRACTED, True) == (audit.entries[-1].kind, audit.entries[-1].silent)
    assert 0 == (await harness.store.backlog(harness.clock.at)).waiting


async def test_a_silence_starts_on_time_without_a_maintenance_round(harness: Harness) -> None:
    await apply_settings(harness, "zone UTC", "quiet 15:00-15:30")
    await harness.maintenance.tick(BEGIN - 5 * MINUTE)

    await harness.tick(BEGIN + MINUTE, 0.09)
    posted = await delivered(harness)

    assert [] == posted
    assert ["alert 1 in C1", "fired in C1", "digest in C1"] == await round_at(harness, BEGIN + 30 * MINUTE)


async def test_ending_a_mute_early_releases_messages_at_once(harness: Harness) -> None:
    await harness.commands.settings.mute(CHANNEL, "2h", "U1")
    await harness.tick(BEGIN, 0.09)

    await harness.commands.settings.mute(CHANNEL, "off", "U2")

    assert ["alert 1 in C1", "fired in C1", "digest in C1"] == await delivered(harness)
    assert [("U2", "mute off"), ("U1", "mute 2h")] == [
        (change.by, change.summary) for change in (await harness.commands.settings.show(CHANNEL)).changes
    ]


async def test_a_silence_without_events_has_no_digest(harness: Harness) -> None:
    await harness.commands.settings.mute(CHANNEL, "1h", "U1")

    assert [] == await round_at(harness, BEGIN + 60 * MINUTE, 0.01)


async def test_an_interrupted_post_is_completed_after_the_silence(harness: Harness) -> None:
    await harness.tick(BEGIN, 0.09)
    (post,) = await harness.store.due(BEGIN)
    await harness.store.mark_attempting(post, BEGIN)
    await harness.commands.settings.mute(CHANNEL, "1h", "U1")
    await harness.tick(BEGIN + 5 * MINUTE, 0.01)
    await harness.maintenance.tick(BEGIN + 60 * MINUTE)
    harness.clock.at = BEGIN + 60 * MINUTE

    waiting = await delivered(harness)

    assert ["alert 1 in C1", "fired in C1", "resolved in C1", "digest in C1"] == waiting


async def test_reminders_and_escalations_are_sent_once_when_due(harness: Harness) -> None:
    await harness.commands.settings.set(OTHER_CHANNEL, "accept-escalations on", "U1", lambda _name: None)
    await apply_settings(harness, f"mention {ONCALL}", "remind 15m", f"escalate 30m {BOSS_ROOM}")
    posted = await round_at(harness, BEGIN, 0.09)
    rounds = []
    for minutes in (14, 15, 16, 29, 30, 31):
        harness.maintenance = replace(harness.maintenance)
        rounds.append(await round_at(harness, BEGIN + minutes * MINUTE, 0.09))
    await harness.commands.acknowledge(CHANNEL, 1, "U3")
    acknowledged = await round_at(harness, BEGIN + 60 * MINUTE, 0.09)
    ended = await round_at(harness, BEGIN + 70 * MINUTE, 0.01)

    new_posts = [[post for post in posts if not post.startswith("edit")] for posts in rounds]
    assert ["alert 1 in C1", "fired in C1"] == posted
    assert [
        [],
        ["reminded in C1"],
        [],
        [],
        ["escalation in C2", "escalated in C1", "reminded in C1"],
        [],
    ] == new_posts
    assert "edit escalation in C2" in acknowledged
    assert "acknowledged in C1" in acknowledged
    assert not any("reminded" in post for post in acknowledged)
    assert "edit escalation in C2" in ended
    assert [] == await content_of(harness, Escalation)


async def test_the_first_post_mentions_people_and_an_edit_does_not(harness: Harness) -> None:
    await apply_settings(harness, f"mention {ONCALL}")
    await delivered(harness)
    await harness.tick(BEGIN, 0.09)
    (post,) = await harness.store.due(BEGIN)

    assert isinstance(post.message, AlertMessage)
    assert post.message.mention is not None
    assert "<!subteam^S1>" == post.message.mention.text
    await harness.commands.acknowledge(CHANNEL, 1, "U1")
    (edit,) = await harness.store.due(BEGIN)
    assert isinstance(edit.message, AlertMessage)
    assert edit.message.mention is None


async def test_reminders_do_not_pile_up_while_slack_is_down(harness: Harness) -> None:
    await apply_settings(harness, f"mention {ONCALL}", "remind 15m")
    await harness.tick(BEGIN, 0.09)

    for minutes in (15, 30, 45):
        await harness.tick(BEGIN + minutes * MINUTE, 0.09)
        await harness.maintenance.tick(BEGIN + minutes * MINUTE)

    assert ["alert 1 in C1", "fired in C1"] == await delivered(harness)
    assert ["reminded in C1"] == [
        post for post in await round_at(harness, BEGIN + 46 * MINUTE, 0.09) if not post.startswith("edit")
    ]


async def test_a_silent_channel_is_neither_reminded_nor_escalated(harness: Harness) -> None:
    await apply_settings(harness, f"mention {ONCALL}", "remind 15m", f"escalate 30m {ONCALL}")
    await round_at(harness, BEGIN, 0.09)
    await harness.commands.settings.mute(CHANNEL, "2h", "U1")

    rounds = [await round_at(harness, BEGIN + hour * 60 * MINUTE, 0.09) for hour in (1, 2)]
    later = await round_at(harness, BEGIN + 135 * MINUTE, 0.09)

    entries = (await harness.commands.audit(CHANNEL, 1)).entries
    assert [False, False] == [any("reminded" in one for one in posts) for posts in rounds]
    assert "reminded in C1" in later
    assert [EntryKind.FIRED, EntryKind.REMINDED] == [one.kind for one in entries]


async def test_an_outage_is_posted_once_per_channel_and_edited_at_its_end(harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "5d 15pp", "U1")
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 9pp", "U1")
    await round_at(harness, BEGIN, 0.01)
    harness.vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})] * 100
    nodata_at = BEGIN + 25 * MINUTE  # the last price is too old from then on

    rounds = [await round_at(harness, nodata_at + n * MINUTE, 0.01) for n in range(0, 45, 5)]
    (outage, _) = await content_of(harness, Outage)
    harness.vendors.faults["coinbase"] = []
    edits = await round_at(harness, nodata_at + 60 * MINUTE, 0.01)

    both = ["outage in C1", "outage in C2"]
    posting_rounds = [n for n, posts in enumerate(rounds) if posts]
    assert [both] == [rounds[n] for n in posting_rounds]
    assert posting_rounds[0] * 5 * MINUTE > NODATA_GRACE
    assert isinstance(outage, Outage)
    assert ["Yahoo", "Coinbase"] == [stamp.source for stamp in outage.prices]
    assert [f"edit {post}" for post in both] == edits
    assert [] == await round_at(harness, nodata_at + 65 * MINUTE, 0.01)


async def test_a_closed_market_is_not_an_outage(empty_harness: Harness) -> None:
    await empty_harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await round_at(empty_harness, CLOSE - 5 * MINUTE, 0.01)

    rounds = [await round_at(empty_harness, CLOSE + hour * 60 * MINUTE) for hour in range(1, 16)]

    assert [[]] * 15 == rounds


async def test_each_coverage_report_is_sent_once_to_subscribers(harness: Harness) -> None:
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 9pp", "U1")
    await apply_settings(harness, "daily on")
    for minute in range(0, 390, 30):
        await round_at(harness, OPEN + minute * MINUTE, 0.07 if minute == 120 else 0.01)
    before = await harness.commands.coverage(CHANNEL)

    rounds = [await round_at(harness, CLOSE + n * MINUTE) for n in (0, 1, 300)]

    assert [["daily in C1"], [], []] == rounds
    assert (False, 0, 1) == (before.final, before.alerts, before.rules)
    report = await harness.commands.coverage(CHANNEL)
    assert isinstance(report, CoverageReport)
    (pair,) = report.pairs
    assert report.final
    assert (390, 13) == (pair.expected, pair.done)
    assert report.nearest_miss is not None
    assert ("1d 8pp for 0s", OPEN + 120 * MINUTE) == (report.nearest_miss.rule, report.nearest_miss.at)
    assert pytest.approx(0.875) == report.nearest_miss.share


async def test_a_rule_with_an_open_alert_is_not_a_near_miss(harness: Harness) -> None:
    harness.vendors.etf_moves[TODAY] = 21.8
    await round_at(harness, CLOSE - MINUTE, 0.09)
    harness.vendors.etf_last = (23.8, OPEN + timedelta(days=1, hours=1))
    await round_at(harness, OPEN + timedelta(days=1, hours=1))

    report = await harness.commands.coverage(CHANNEL)

    assert 1 == len(await harness.open_alerts(CHANNEL))
    assert (0, None) == (report.alerts, report.nearest_miss)


@on_each_database
async def test_two_processes_run_each_round_once(harness: Harness) -> None:
    await apply_settings(harness, f"mention {ONCALL}", "remind 15m")
    await round_at(harness, BEGIN, 0.09)
    other = Maintenance(
        store=harness.store,
        market=harness.market,
        rule_index=harness.maintenance.rule_index,
        nudge=harness.maintenance.nudge,
    )

    changes = [await maintenance.tick(BEGIN + 15 * MINUTE) for maintenance in (harness.maintenance, other)]

    assert [1, 0] == changes


async def add_old_changes(harness: Harness, number: int) -> None:
    row = {"team": CHANNEL.team, "channel": CHANNEL.id, "by": "U1", "at": BEGIN, "what": "remind 1h"}
    async with harness.store._database.write() as tx:  # noqa: SLF001 -- so many commands would take too long
        await tx.execute(tables.channel_changes.insert(), [row] * number)


async def test_what_is_older_than_it_must_be_kept_is_deleted_once_an_hour_in_batches(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="services.channels.maintenance")
    harness.maintenance.keep = 30 * DAY
    await round_at(harness, BEGIN, 0.10)
    await round_at(harness, BEGIN + 10 * MINUTE, 0.0)
    (ended,) = await harness.store.history(CHANNEL, 9)
    await harness.tick(BEGIN + 20 * MINUTE, 0.10)  # open, and never delivered
    await add_old_changes(harness, 2 * BATCH)
    waiting = await harness.store.backlog(harness.clock.at)

    async def deleted_at(at: datetime) -> list[str]:
        caplog.clear()
        harness.clock.at = at
        await harness.maintenance.tick(at)
        return [record.getMessage().partition(": ")[2] for record in caplog.records if "deleted" in record.message]

    later = BEGIN + 31 * DAY
    batches = [await deleted_at(later + minutes * MINUTE) for minutes in range(4)]
    await add_old_changes(harness, 9)
    within_the_hour = await deleted_at(later + 30 * MINUTE)
    next_hours = [await deleted_at(later + hours * 60 * MINUTE) for hours in (2, 4)]

    def text(alerts: int, notices: int, attempts: int, changed: int) -> str:
        kinds = f"{alerts} alerts, {notices} notices, {attempts} delivery attempts"
        return f"{kinds}, {changed} records of changes"

    assert [[text(1, 0, 0, BATCH)], [text(0, 0, 0, BATCH - CHANGES_KEPT)], [], []] == batches
    assert ([], [[text(0, 0, 0, 9)], []]) == (within_the_hour, next_hours)
    assert ended.closed_at is not None
    assert [ended.id + 1] == [alert.id for alert in await harness.store.history(CHANNEL, 9)]
    assert waiting.waiting == (await harness.store.backlog(harness.clock.at)).waiting > 0
    assert 1 == len(await harness.store.rule_audits(CHANNEL, 9))


async def test_without_a_limit_nothing_is_deleted(harness: Harness) -> None:
    await round_at(harness, BEGIN, 0.10)
    await round_at(harness, BEGIN + 10 * MINUTE, 0.0)
    await round_at(harness, BEGIN + 20 * MINUTE, 0.10)
    harness.clock.at = BEGIN + 200 * DAY

    await harness.maintenance.tick(harness.clock.at)

    assert 2 == len(await harness.store.history(CHANNEL, 9))

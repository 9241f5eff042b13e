"""Deletion of old data and of one person's data, on every database."""

from dataclasses import replace
from datetime import datetime, timedelta

from services.alerting.alert import EntryKind, close
from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import ChannelChange, Notice
from services.alerting.ports import SettingChange, StoredChannel
from services.core.identity import ERASED_PERSON, Channel, Mention, Person
from services.core.reason import Code, Reason
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry
from tests.services.storage.conftest import post_alert

DAY = timedelta(days=1)
LATER = AT + 800 * DAY
OTHER = Channel(team="T1", id="C2")
PERSON, NAMESAKE, NAME = "U0ANN", "U0ANNE", "ann"


async def closed_alert(store: SqlStore, at: datetime, channel: Channel = CHANNEL) -> None:
    await post_alert(store, close(an_alert(channel=channel), at, "all clear"), an_entry(), at=at)


async def deliver(store: SqlStore, at: datetime) -> None:
    while due := await store.due(at):
        for delivery in due:
            await store.mark_attempting(delivery, at)
            await store.mark_sent(delivery, f"{delivery.id}", at)


def notice(name: str, at: datetime, closed_at: datetime | None) -> Notice:
    content = ChannelChange(by="U1", change="quiet hours were set")
    return Notice(id=0, channel=CHANNEL, name=name, content=content, opened_at=at, closed_at=closed_at)


async def test_old_closed_alerts_final_notices_and_attempts_are_deleted_in_batches(store: SqlStore) -> None:
    for at in (AT, AT, LATER):
        await closed_alert(store, at)
    await store.vote(CHANNEL, 1, "U1", AT, noise=True)
    await store.add_notices([notice("old", AT, AT), notice("new", LATER, LATER)], AT)
    await deliver(store, AT + DAY)
    await deliver(store, LATER)

    runs = [await store.delete_older(LATER - 730 * DAY, batch=1) for _ in range(3)]

    assert [(1, 1, True), (1, 0, True), (0, 0, False)] == [(one.alerts, one.notices, one.more) for one in runs]
    assert [3] == [alert.id for alert in await store.history(CHANNEL, 10)]
    assert [False, True] == [await store.has_notice(CHANNEL, name) for name in ("old", "new")]
    assert {} == await store.votes(CHANNEL)


async def test_what_is_open_or_not_delivered_stays_whatever_its_age(store: SqlStore) -> None:
    await post_alert(store, an_alert(), at=AT)
    await deliver(store, AT)
    await closed_alert(store, AT, OTHER)
    await closed_alert(store, LATER, Channel(team="T1", id="C3"))  # the newest one stays in any case
    await store.add_notices([notice("undelivered", AT, AT), notice("open", AT, None)], AT)

    deleted = await store.delete_older(LATER)

    assert (0, 0, 1) == (deleted.alerts, deleted.notices, deleted.attempts)  # the open alert's old attempt goes
    assert [1, 2] == [(await store.history(channel, 1))[0].id for channel in (CHANNEL, OTHER)]
    assert [True, True] == [await store.has_notice(CHANNEL, name) for name in ("undelivered", "open")]
    assert [] != await store.due(LATER)


async def test_changes_of_rules_and_settings_are_deleted_except_the_newest_of_each_channel(store: SqlStore) -> None:
    for days in range(8):
        for channel in (CHANNEL, OTHER):
            await store.add_rules(channel, [parse_rule(f"1d {days + 5}pp")], "U1", AT + days * DAY)
            change = SettingChange(by="U1", at=AT + days * DAY, summary=f"remind {days + 1}h")
            stored = await store.channel(channel)
            await store.change_channel(stored, change)

    runs = [await store.delete_older(AT + 2 * DAY, batch=3) for _ in range(3)]
    everything = await store.delete_older(LATER)

    assert [(6, True), (2, False), (0, False)] == [(one.changes, one.more) for one in runs]
    assert 4 == everything.changes
    for channel in (CHANNEL, OTHER):
        assert [12, 11, 10, 9, 8] == [int(one.after[3:-2]) for one in await store.rule_audits(channel, 9) if one.after]
        changes = await store.channel_changes(channel, 9)
        assert ["remind 8h", "remind 7h", "remind 6h", "remind 5h", "remind 4h"] == [one.summary for one in changes]


async def test_the_number_of_a_deleted_alert_is_not_used_again(store: SqlStore) -> None:
    await closed_alert(store, AT)
    await closed_alert(store, AT)
    await deliver(store, AT + DAY)

    await store.delete_older(LATER)
    await closed_alert(store, LATER)

    assert [3, 2] == [alert.id for alert in await store.history(CHANNEL, 10)]


async def test_a_persons_data_is_erased_and_nobody_elses(store: SqlStore) -> None:
    typed = Reason.of(Code.ENDED_BY_HAND, note=f"I am on leave, ask <@{PERSON}> or <@{NAMESAKE}>")
    resolved = close(an_alert(), AT, typed, PERSON)
    by_them = an_entry(kind=EntryKind.RESOLVED, by=Person(PERSON, NAME), reason=typed)
    by_another = an_entry(kind=EntryKind.ACKNOWLEDGED, by=Person(NAMESAKE, NAME))
    await post_alert(store, resolved, by_them, by_another)
    await store.vote(CHANNEL, 1, PERSON, AT, noise=True)
    await store.vote(CHANNEL, 1, NAMESAKE, AT, noise=True)
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], PERSON, AT)
    people = [Mention(text=f"<@{one}>", name=one, person=one) for one in (PERSON, NAMESAKE)]
    settings = ChannelSettings(editors=tuple(people), mention=people[0], muted_by=PERSON)
    change = SettingChange(by=PERSON, at=AT, summary=Reason.of(Code.SETTING_CHANGED, setting=f"mention <@{PERSON}>"))
    await store.change_channel(StoredChannel(channel=CHANNEL, settings=settings, revision=0), change)
    await store.add_notices(
        [replace(notice("n", AT, None), content=ChannelChange(by=Person(PERSON, NAME), change="x"))], AT
    )

    erased = await store.erase_person(PERSON)

    assert {"votes", "channels", "alerts", "timeline_entries", "notices", "channel_changes", "rule_audit", "rules"} == (
        erased.keys()
    )
    audit = await store.alert_audit(CHANNEL, 1)
    (entry, other_entry), (rule,) = audit.entries, await store.rules(CHANNEL)
    no_note = Reason.of(Code.ENDED_BY_HAND, note="")
    assert [(ERASED_PERSON, no_note)] * 2 == [(audit.alert.closed_by, audit.alert.reason), (entry.by, entry.reason)]
    assert ("", NAME) == (entry.by_name, other_entry.by_name)
    (posted,) = [one.notice.content for one in await store.open_notices(ChannelChange)]
    assert ChannelChange(by=ERASED_PERSON, change="x") == posted
    assert (1, ERASED_PERSON) == (audit.votes.noise, rule.created_by)
    after = (await store.channel(CHANNEL)).settings
    assert ((people[1],), None, ERASED_PERSON) == (after.editors, after.mention, after.muted_by)
    (changed,) = await store.channel_changes(CHANNEL, 5)
    assert (ERASED_PERSON, "mention @erased") == (changed.by, dict(_params(changed.summary))["setting"])
    assert {} == await store.erase_person(PERSON)
    assert {"votes", "channels", "timeline_entries"} == (await store.erase_person(NAMESAKE)).keys()


async def test_a_channel_whose_only_editor_is_erased_does_not_open_to_everyone(store: SqlStore) -> None:
    editor = Mention(text=f"<@{PERSON}>", name=PERSON, person=PERSON)
    change = SettingChange(by="U1", at=AT, summary="editors were set")
    stored = StoredChannel(channel=CHANNEL, settings=ChannelSettings(editors=(editor,)), revision=0)
    await store.change_channel(stored, change)

    await store.erase_person(PERSON)

    assert [ERASED_PERSON] == [one.person for one in (await store.channel(CHANNEL)).settings.editors]


def _params(reason: Reason | str) -> tuple[tuple[str, object], ...]:
    assert isinstance(reason, Reason)
    return reason.params

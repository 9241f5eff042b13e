"""Deletion of stored data: what is older than it must be kept, one person's data, and a whole workspace."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.alert import EntryKind
from services.alerting.channel_settings import ChannelSettings
from services.alerting.ports import Deleted
from services.core.identity import ERASED_PERSON, Channel, Mention
from services.core.reason import Code
from services.storage import tables
from services.storage.codec import read_settings, write_settings
from services.storage.installations import purge_workspace
from services.storage.outbox_queries import OUTSTANDING
from services.storage.page_rows import PAGE_WAITS
from services.storage.repository import Repository
from services.storage.rules import next_revision

BATCH = 500  # rows of one kind per transaction, which other writers wait for
CHANGES_KEPT = 5  # newest changes of a channel's rules and of its settings, which are shown whatever their age
_alerts, _notices, _entries = tables.alerts.c, tables.notices.c, tables.timeline_entries.c
_deliveries, _attempts = tables.deliveries.c, tables.attempts.c


class RetentionRepository(Repository):
    """Deletes rows; each method is one transaction or one per batch, and safe to repeat."""

    async def delete_older(self, before: datetime, *, batch: int = BATCH) -> Deleted:
        """Delete one batch of each kind from `before` a time.

        These are closed alerts with their threads, final notices, attempts, and changes of rules and settings. What is
        open or not delivered stays, whatever its age. A digest stays as long as a message that it stands for, and a
        channel keeps its newest changes. The newest alert stays, as SQLite would use its number again.
        """
        closed = select(_alerts.id).where(
            _alerts.closed_at < before,
            _alerts.id < select(func.max(_alerts.id)).scalar_subquery(),
            ~_alerts.id.in_(_waiting(_deliveries.alert_id)),
            ~_alerts.id.in_(select(tables.pages.c.alert_id).where(PAGE_WAITS)),
        )
        stands_for = select(_deliveries.superseded_by).where(_deliveries.superseded_by.is_not(None))
        final = select(_notices.id).where(
            _notices.closed_at < before,
            ~_notices.id.in_(_waiting(_deliveries.notice_id)),
            ~_notices.id.in_(stands_for),
        )
        settled = select(_deliveries.id).where(~OUTSTANDING)
        old = select(_attempts.id).where(_attempts.at < before, _attempts.delivery_id.in_(settled))
        async with self._database.write() as tx:
            alerts = await _first(tx, closed.order_by(_alerts.id), batch)
            await _delete_deliveries(tx, _deliveries.alert_id.in_(alerts))
            await tx.execute(delete(tables.pages).where(tables.pages.c.alert_id.in_(alerts)))
            await tx.execute(delete(tables.votes).where(tables.votes.c.alert_id.in_(alerts)))
            await tx.execute(delete(tables.timeline_entries).where(_entries.alert_id.in_(alerts)))
            await tx.execute(delete(tables.alerts).where(_alerts.id.in_(alerts)))
            notices = await _first(tx, final.order_by(_notices.id), batch)
            await _delete_deliveries(tx, _deliveries.notice_id.in_(notices))
            await tx.execute(delete(tables.notices).where(_notices.id.in_(notices)))
            attempts = await _first(tx, old.order_by(_attempts.id), batch)
            await tx.execute(delete(tables.attempts).where(_attempts.id.in_(attempts)))
            rule_changes = await _delete_changes(tx, tables.rule_audit, before, batch)
            setting_changes = await _delete_changes(tx, tables.channel_changes, before, batch)
        counts = len(alerts), len(notices), len(attempts), rule_changes, setting_changes
        return Deleted(
            alerts=len(alerts),
            notices=len(notices),
            attempts=len(attempts),
            changes=rule_changes + setting_changes,
            more=max(counts) == batch,
        )

    async def purge_workspace(self, team: str, at: datetime) -> None:
        """Delete all rows of a workspace."""
        async with self._database.write() as tx:
            await purge_workspace(tx, team, at)

    async def erase_person(self, person: str) -> dict[str, int]:
        """Erase a person: their votes, their name in every row, and the reasons that they typed.

        What they did stays, without a name. Returns the number of changed rows by table, without zeros.
        """
        async with self._database.write() as tx:
            votes = await tx.execute(delete(tables.votes).where(tables.votes.c.person == person))
            resolved = await _erase_typed_reasons(tx, person)
            erase, erase_acts = _eraser(person), _act_eraser(person)
            counts = {
                "votes": votes.rowcount,
                "channels": await _erase_settings(tx, person),
                "alerts": await _erase_column(tx, tables.alerts, "alert", person, erase=erase, also=resolved),
                "timeline_entries": await _erase_column(tx, tables.timeline_entries, "entry", person, erase=erase_acts),
                "notices": await _erase_column(tx, tables.notices, "content", person, erase=erase_acts),
                "channel_changes": await _erase_column(tx, tables.channel_changes, "what", person, erase=erase),
            }
            for table, column in ((tables.channel_changes, "by"), (tables.rule_audit, "by")):
                changed = update(table).where(table.c[column] == person).values({column: ERASED_PERSON})
                counts[table.name] = counts.get(table.name, 0) + (await tx.execute(changed)).rowcount
            rules = update(tables.rules).where(tables.rules.c.created_by == person)
            values = {"created_by": ERASED_PERSON, "revision": await next_revision(tx)}
            counts["rules"] = (await tx.execute(rules.values(values))).rowcount
            installed = update(tables.installations).where(tables.installations.c.installed_by == person)
            counts["installations"] = (await tx.execute(installed.values(installed_by=ERASED_PERSON))).rowcount
        return {name: count for name, count in counts.items() if count}


def _waiting(column: ColumnElement[int]) -> Select[Any]:
    return select(column).where(OUTSTANDING, column.is_not(None))


async def _first(tx: AsyncConnection, query: Select[Any], batch: int) -> list[int]:
    return list(await tx.scalars(query.limit(batch)))


async def _delete_changes(tx: AsyncConnection, table: Table, before: datetime, batch: int) -> int:
    """Delete a batch of old changes by people, except the newest of each channel; return their number."""
    age = func.row_number().over(partition_by=[table.c.team, table.c.channel], order_by=table.c.id.desc())
    ranked = select(table.c.id, table.c.at, age.label("age")).subquery()
    old = select(ranked.c.id).where(ranked.c.at < before, ranked.c.age > CHANGES_KEPT)
    ids = await _first(tx, old.order_by(ranked.c.id), batch)
    await tx.execute(delete(table).where(table.c.id.in_(ids)))
    return len(ids)


async def _delete_deliveries(tx: AsyncConnection, which: ColumnElement[bool]) -> None:
    ids = select(_deliveries.id).where(which)
    await tx.execute(delete(tables.attempts).where(_attempts.delivery_id.in_(ids)))
    await tx.execute(delete(tables.deliveries).where(which))


def _eraser(person: str) -> Callable[[str], str]:
    """Return a function that replaces a person's ID and mentions of them in a stored text."""
    mention = re.compile(rf"<@{re.escape(person)}(?:\|[^<>]*)?>")
    member_id = re.compile(rf"(?<![A-Za-z0-9]){re.escape(person)}(?![A-Za-z0-9])")
    return lambda text: member_id.sub(ERASED_PERSON, mention.sub(f"@{ERASED_PERSON}", text))


def _act_eraser(person: str) -> Callable[[str], str]:
    """Return a function that also removes a person's name from a stored document of what they did."""
    erase = _eraser(person)

    def erase_act(text: str) -> str:
        document = json.loads(text)
        if document.get("by") == person and document.get("by_name"):
            text = json.dumps({**document, "by_name": ""}, ensure_ascii=False)
        return erase(text)

    return erase_act


async def _erase_column(
    tx: AsyncConnection,
    table: Table,
    column: str,
    person: str,
    *,
    erase: Callable[[str], str],
    also: frozenset[int] = frozenset(),
) -> int:
    """Erase a person in a column; return the number of changed rows. Rows of `also` lose a typed reason, too.

    The revision of a changed row grows, so that a process that has read it cannot write it back.
    """
    contains = func.instr if tx.dialect.name == "sqlite" else func.strpos
    rows = await tx.execute(
        select(table.c.id, table.c[column]).where((contains(table.c[column], person) > 0) | table.c.id.in_(also))
    )
    changed = 0
    for row_id, text in rows.all():
        erased = erase(_without_typed_reason(text) if row_id in also else text)
        if erased != text:
            grown = {"revision": table.c.revision + 1} if "revision" in table.c else {}
            await tx.execute(update(table).where(table.c.id == row_id).values({column: erased, **grown}))
            changed += 1
    return changed


async def _erase_typed_reasons(tx: AsyncConnection, person: str) -> frozenset[int]:
    """Erase the reasons that a person typed when resolving alerts; return those alerts, which repeat the reason."""
    contains = func.instr if tx.dialect.name == "sqlite" else func.strpos
    rows = await tx.execute(
        select(_entries.id, _entries.alert_id, _entries.entry).where(contains(_entries.entry, person) > 0)
    )
    alerts = set()
    for entry_id, alert_id, text in rows.all():
        entry = json.loads(text)
        if entry.get("by") == person and entry.get("kind") == EntryKind.RESOLVED.value:
            erased = _without_typed_reason(text)
            await tx.execute(update(tables.timeline_entries).where(_entries.id == entry_id).values(entry=erased))
            alerts.add(alert_id)
    return frozenset(alerts)


def _without_typed_reason(text: str) -> str:
    document = json.loads(text)
    reason = document.get("reason")
    if isinstance(reason, dict) and reason.get("code") == Code.ENDED_BY_HAND.value and reason.get("note"):
        return json.dumps({**document, "reason": {**reason, "note": ""}}, ensure_ascii=False)
    return text


async def _erase_settings(tx: AsyncConnection, person: str) -> int:
    """Erase a person in the settings of channels; return the number of changed channels.

    A channel of which they were the only editor keeps a list with no one on it, so that it doesn't open to everyone.
    """
    columns, changed = tables.channels.c, 0
    for row in (await tx.execute(select(columns.team, columns.channel, columns.settings))).all():
        before = read_settings(row.settings)
        after = _without_person(before, person)
        if after != before:
            here = and_(columns.team == row.team, columns.channel == row.channel)
            values = {"settings": write_settings(after), "revision": columns.revision + 1}
            await tx.execute(update(tables.channels).where(here).values(values))
            changed += 1
    return changed


def _without_person(settings: ChannelSettings, person: str) -> ChannelSettings:
    editors = tuple(one for one in settings.editors if one.person != person)
    if settings.editors and not editors:
        editors = (Mention(text=f"@{ERASED_PERSON}", name=f"@{ERASED_PERSON}", person=ERASED_PERSON),)
    target = settings.escalate_to
    escalates_to_them = target is not None and not isinstance(target, Channel) and target.person == person
    return replace(
        settings,
        editors=editors,
        mention=None if settings.mention and settings.mention.person == person else settings.mention,
        escalate_to=None if escalates_to_them else target,
        escalate_after=None if escalates_to_them else settings.escalate_after,
        muted_by=ERASED_PERSON if settings.muted_by == person else settings.muted_by,
    )

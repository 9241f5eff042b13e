"""Rules with their states and their audit log; each change increments the revision, in the same transaction."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import ColumnElement, Row, Select, exc, func, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.notice import Notice
from services.alerting.ports import (
    AlertChange,
    ChannelRule,
    RuleAudit,
    RuleAuditKind,
    Rulebook,
    RuleCaps,
    RuleChange,
    StateChange,
    UnreadableRule,
)
from services.core.errors import ConflictError, NotFoundError, RuleError, RuleLimitError
from services.core.identity import Channel
from services.rules.decide import RuleState
from services.rules.rule import Rule
from services.storage import tables
from services.storage.alerts import record_alerts
from services.storage.channels import add_notice
from services.storage.codec import read_rule, read_rule_audit, write_state
from services.storage.repository import Repository, channel_columns, in_channel, insert

BATCH_SIZE = 1_000  # rules per statement or page
log = logging.getLogger(__name__)


class RuleRepository(Repository):
    """The rule methods of MonitorStore and ChannelStore.

    Lists leave out rules that cannot be read, so that one damaged row does not block the others.
    """

    async def rulebook(self, since: int = 0) -> Rulebook:
        """Load the rules of every channel that changed after a revision; every active one for revision 0.

        Many rules are read in pages, so that other tasks can run in between.
        """
        changed = tables.rules.c.revision > since
        removed_ids = select(tables.rules.c.id).where(changed, tables.rules.c.removed_at.is_not(None))
        async with self._database.read() as tx:
            revision: int = (await tx.execute(select(tables.rules_revision.c.revision))).scalar_one()
            if revision == since:
                return Rulebook(revision=revision)
            rows = await tx.stream(_active_rules(changed).order_by(None))  # ordering would bypass the index
            read = {row.id: _read(row) async for page in rows.partitions(BATCH_SIZE) for row in page}
            removed = frozenset(await tx.scalars(removed_ids)) if since else frozenset[int]()
        return Rulebook(
            revision=revision,
            rules=tuple(sorted(self._readable_rules(read.values()), key=lambda rule: rule.id)),
            removed=removed,
            unreadable=frozenset(rule_id for rule_id, rule in read.items() if isinstance(rule, UnreadableRule)),
        )

    async def rules(self, channel: Channel) -> list[ChannelRule]:
        """Load a channel's rules by id."""
        async with self._database.read() as tx:
            return self._readable_rules(await load_rules(tx, *in_channel(tables.rules, channel)))

    async def add_rules(
        self,
        channel: Channel,
        rules: Sequence[Rule],
        by: str,
        at: datetime,
        *,
        alerts: Sequence[AlertChange] = (),
        notices: Sequence[Notice] = (),
        caps: RuleCaps | None = None,
    ) -> list[ChannelRule]:
        """Add rules to a channel in one transaction; a rule that exists there already is returned as is.

        Returns one rule for each of `rules`, in that order. The `alerts` and `notices` report the new ones. Raises
        RuleLimitError, with nothing added, if there were more rules than `caps` allows.
        """
        texts = [str(rule) for rule in rules]
        async with self._database.write() as tx:
            known = await self._by_text(tx, channel)
            if new := [text for text in dict.fromkeys(texts) if text not in known]:
                await _insert_rules(tx, channel, new, by, at)
                if caps is not None:
                    await check_caps(tx, channel, caps)
                known = await self._by_text(tx, channel)
                await _record_audits(tx, channel, [_addition(known[text], by, at) for text in new])
                await record_alerts(tx, alerts, at)
                for notice in notices:
                    await add_notice(tx, notice, at)
        if new:
            self._count_events(alerts)
        return [known[text] for text in texts]

    async def rule(self, channel: Channel, rule_id: int) -> ChannelRule | UnreadableRule:
        """Load one rule of this channel, readable or not. Raises NotFoundError if there is none, or it was removed."""
        async with self._database.read() as tx:
            found = await load_rules(tx, *in_channel(tables.rules, channel), tables.rules.c.id == rule_id)
        if not found:
            raise NotFoundError(f"No rule {rule_id} in this channel.")
        return found[0]

    async def unreadable_rules(self, channel: Channel) -> list[UnreadableRule]:
        """Load the active rules of a channel that cannot be read."""
        async with self._database.read() as tx:
            return [
                rule
                for rule in await load_rules(tx, *in_channel(tables.rules, channel))
                if isinstance(rule, UnreadableRule)
            ]

    async def rule_audits(self, channel: Channel, limit: int) -> list[RuleAudit]:
        """Load the last changes of a channel's rules, newest first."""
        newest = (
            select(tables.rule_audit)
            .where(*in_channel(tables.rule_audit, channel))
            .order_by(tables.rule_audit.c.id.desc())
        )
        async with self._database.read() as tx:
            return [read_rule_audit(row) for row in await tx.execute(newest.limit(limit))]

    async def channels_of(self, team: str, person: str) -> list[Channel]:
        """Return the channels of a workspace in which a person changed a rule or acted on an alert, by id."""
        query = union(
            _with_added_rule(team, person), _with_changed_rule(team, person), _with_alert_action(team, person)
        ).order_by("channel")
        async with self._database.read() as tx:
            return [Channel(team=team, id=row.channel) for row in await tx.execute(query)]

    async def active_channels(self, team: str) -> dict[str, bool]:
        """Return the channels of a workspace with rules or open alerts, each with whether it has open alerts."""
        rules, alerts = tables.rules.c, tables.alerts.c
        watched = select(rules.channel).where(rules.team == team, rules.removed_at.is_(None)).distinct()
        alerted = select(alerts.channel).where(alerts.team == team, alerts.closed_at.is_(None)).distinct()
        async with self._database.read() as tx:
            return {
                **dict.fromkeys(await tx.scalars(watched), False),
                **dict.fromkeys(await tx.scalars(alerted), True),
            }

    async def _by_text(self, tx: AsyncConnection, channel: Channel) -> dict[str, ChannelRule]:
        return {
            str(known.rule): known
            for known in self._readable_rules(await load_rules(tx, *in_channel(tables.rules, channel)))
        }

    def _readable_rules(self, rules: Iterable[ChannelRule | UnreadableRule]) -> list[ChannelRule]:
        """Return the rules that can be read; log each of the others once."""
        read = list(rules)
        unreadable = [rule.id for rule in read if isinstance(rule, UnreadableRule)]
        message = "rule %d cannot be read and is not evaluated; restore its row from a backup, or remove it"
        self._log_once(log, message, unreadable)
        return [rule for rule in read if isinstance(rule, ChannelRule)]


async def update_states(tx: AsyncConnection, changes: Sequence[StateChange]) -> None:
    """Save rules' next states. Raises ConflictError if one is not in its `before` state, or was removed.

    Rules with the same change of state are updated together, as all change when prices stop.
    """
    groups: dict[tuple[RuleState, RuleState, int], list[int]] = defaultdict(list)
    for change in changes:
        groups[change.before, change.after, change.edition].append(change.rule_id)
    revision = await next_revision(tx) if changes else 0
    for (before, after, edition), ids in groups.items():
        expected = {**write_state(before), "edit_count": edition}
        for start in range(0, len(ids), BATCH_SIZE):
            await _update_unchanged(
                tx, ids[start : start + BATCH_SIZE], expected, {**write_state(after), "revision": revision}
            )


async def apply_rule_changes(tx: AsyncConnection, changes: Sequence[RuleChange], at: datetime) -> None:
    """Apply people's changes of rules, and record who made them; alerts that mention the rules stay as they are.

    Raises ConflictError as above, and if a rule would exist twice in its channel.
    """
    revision = await next_revision(tx) if changes else 0
    for change in changes:
        before = change.channel_rule
        expected = (
            {**write_state(before.state), "edit_count": before.edition} if isinstance(before, ChannelRule) else {}
        )
        edit_count = tables.rules.c.edit_count + 1
        values = {**_changed_columns(change, at), "edit_count": edit_count, "revision": revision}
        try:
            await _update_unchanged(tx, [before.id], expected, values, *in_channel(tables.rules, before.channel))
        except exc.IntegrityError as error:
            raise ConflictError("That rule already exists in the channel; read the rules again.") from error
        await _record_audits(tx, before.channel, [_audit_of(change, at)])


def _changed_columns(change: RuleChange, at: datetime) -> dict[str, Any]:
    """Return the columns that a person's change of a rule sets, with their values."""
    match change.kind:
        case RuleAuditKind.REMOVED:
            return {"removed_at": at}
        case RuleAuditKind.PAUSED:
            return {**write_state(change.state), "paused_at": at}
        case RuleAuditKind.RESUMED:
            return {**write_state(change.state), "paused_at": None}
        case RuleAuditKind.EDITED:
            return {**write_state(change.state), "rule": str(change.rule)}
        case RuleAuditKind.ADDED:
            raise ValueError("a rule is added by add_rules")
        case _:
            assert_never(change.kind)


async def _update_unchanged(
    tx: AsyncConnection,
    ids: Sequence[int],
    expected: dict[str, Any],
    values: dict[str, Any],
    *conditions: ColumnElement[bool],
) -> None:
    """Update rules whose columns have the `expected` values; none for an unreadable rule, which no tick changes."""
    columns = tables.rules.c
    unchanged = [columns[name] == value for name, value in expected.items()]
    changed = await tx.execute(
        update(tables.rules).where(columns.id.in_(ids), tables.ACTIVE, *unchanged, *conditions).values(values)
    )
    if changed.rowcount != len(ids):
        raise ConflictError("A rule changed after it was read; read the rules again.")


async def add_missing_rules(
    tx: AsyncConnection, channel: Channel, texts: Sequence[str], by: str, at: datetime
) -> dict[str, ChannelRule]:
    """Add rules that a channel doesn't have yet, with their audit records; return them by text."""
    await _insert_rules(tx, channel, texts, by, at)
    found = await load_rules(tx, *in_channel(tables.rules, channel), tables.rules.c.rule.in_(texts))
    added = {str(one.rule): one for one in found if isinstance(one, ChannelRule)}
    await _record_audits(tx, channel, [_addition(added[text], by, at) for text in texts])
    return added


async def _insert_rules(tx: AsyncConnection, channel: Channel, texts: Sequence[str], by: str, at: datetime) -> None:
    revision = await next_revision(tx)
    same = {**channel_columns(channel), "created_by": by, "created_at": at, "revision": revision}
    new = insert(tx, tables.rules)
    insert_missing = new.on_conflict_do_nothing(index_elements=["team", "channel", "rule"], index_where=tables.ACTIVE)
    await tx.execute(insert_missing, [{**same, "rule": text} for text in texts])


async def check_caps(tx: AsyncConnection, channel: Channel, caps: RuleCaps) -> None:
    """Raise RuleLimitError if a channel or its workspace has too many rules; writers count one after the other."""
    rules = tables.rules.c
    here = func.count().filter(rules.channel == channel.id)
    counts = select(here, func.count()).where(tables.ACTIVE, rules.team == channel.team)
    in_this_channel, in_workspace = (await tx.execute(counts)).one()
    if in_this_channel > caps.channel:
        raise RuleLimitError(
            f"Nothing was added: the channel limit is {caps.channel:,} rules. Remove one that you don't need: "
            "`/minerpulse rules` lists them."
        )
    if in_workspace > caps.workspace:
        raise RuleLimitError(
            f"Nothing was added: the workspace limit is {caps.workspace:,} rules. Remove some in any channel, or ask "
            "your MinerPulse administrator for more."
        )


async def load_rules(tx: AsyncConnection, *conditions: ColumnElement[bool]) -> list[ChannelRule | UnreadableRule]:
    """Load the active rules that meet the conditions, by id."""
    return [_read(row) for row in await tx.execute(_active_rules(*conditions))]


def _addition(added: ChannelRule, by: str, at: datetime) -> RuleAudit:
    return RuleAudit(kind=RuleAuditKind.ADDED, rule_id=added.id, by=by, at=at, before=None, after=str(added.rule))


def _read(row: Row[Any]) -> ChannelRule | UnreadableRule:
    try:
        return read_rule(row)
    except (RuleError, ValueError):
        return UnreadableRule(id=row.id, channel=Channel(team=row.team, id=row.channel), rule=row.rule)


def _active_rules(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(tables.rules).where(tables.ACTIVE, *conditions).order_by(tables.rules.c.id)


async def next_revision(tx: AsyncConnection) -> int:
    """Increment the rules' revision; concurrent writers wait here, so that revisions are committed in order."""
    revision = tables.rules_revision.c.revision
    updated = await tx.execute(update(tables.rules_revision).values({revision: revision + 1}).returning(revision))
    value: int = updated.scalar_one()
    return value


async def _record_audits(tx: AsyncConnection, channel: Channel, audits: Sequence[RuleAudit]) -> None:
    """Save audit records of rules of a channel."""
    rows = [
        {
            **channel_columns(channel),
            "rule_id": audit.rule_id,
            "kind": audit.kind.value,
            "by": audit.by,
            "at": audit.at,
            "before": audit.before,
            "after": audit.after,
        }
        for audit in audits
    ]
    await tx.execute(tables.rule_audit.insert(), rows)


def _audit_of(change: RuleChange, at: datetime) -> RuleAudit:
    """Return the audit record of a change."""
    before = str(change.channel_rule.rule)
    after = {RuleAuditKind.REMOVED: None, RuleAuditKind.EDITED: str(change.rule)}.get(change.kind, before)
    return RuleAudit(kind=change.kind, rule_id=change.channel_rule.id, by=change.by, at=at, before=before, after=after)


def _with_added_rule(team: str, person: str) -> Select[tuple[str]]:
    rules = tables.rules.c
    return select(rules.channel).where(rules.team == team, rules.created_by == person)


def _with_changed_rule(team: str, person: str) -> Select[tuple[str]]:
    audit = tables.rule_audit.c
    return select(audit.channel).where(audit.team == team, audit.by == person)


def _with_alert_action(team: str, person: str) -> Select[tuple[str]]:
    """Search the timelines, which are JSON: few entries name a person, and only a Home tab asks."""
    alerts, entries = tables.alerts.c, tables.timeline_entries.c
    by_person = entries.entry.contains(f'"by":"{person}"', autoescape=True)
    return (
        select(alerts.channel)
        .join(tables.timeline_entries, entries.alert_id == alerts.id)
        .where(alerts.team == team, by_person)
    )

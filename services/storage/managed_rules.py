"""Rules that a rules file manages, and the transaction that applies such a file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import delete, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.ports import (
    ChannelRule,
    ChannelRules,
    ManagedRule,
    NewRule,
    RuleAuditKind,
    RuleCaps,
    RuleChange,
    RulesFileChange,
    StoredChannel,
    UnreadableRule,
)
from services.core.errors import ConflictError
from services.core.identity import Channel
from services.storage import tables
from services.storage.alerts import record_alerts
from services.storage.channels import add_notice, load_channel, record_change, save_channel
from services.storage.repository import Repository, channel_columns, in_channel
from services.storage.rules import (
    add_missing_rules,
    apply_rule_changes,
    check_caps,
    load_rules,
    next_revision,
)

CHANGED = "The channel's rules changed after they were read; read them again."
_rules, _managed = tables.rules.c, tables.managed_rules.c


class ManagedRuleRepository(Repository):
    """The methods of RulesFileStore."""

    async def managed_rules(self, channel: Channel) -> list[ManagedRule]:
        """Return the rules of a channel that a file has made, by key; some may not exist any more."""
        async with self._database.read() as tx:
            return await _load_managed(tx, channel)

    async def channel_rules(self, channel: Channel) -> ChannelRules:
        """Return all that a rules file is compared with in a channel."""
        async with self._database.read() as tx:
            found = await load_rules(tx, *in_channel(tables.rules, channel))
            return ChannelRules(
                channel=channel,
                stored=await load_channel(tx, channel),
                rules=tuple(one for one in found if isinstance(one, ChannelRule)),
                unreadable=tuple(one for one in found if isinstance(one, UnreadableRule)),
                managed=tuple(await _load_managed(tx, channel)),
                editions=await _load_editions(tx, channel),
            )

    async def managed_channels(self, team: str, file: str) -> list[Channel]:
        """Return the channels of a workspace in which a file manages rules, by id."""
        query = select(_managed.channel).where(_managed.team == team, _managed.file == file).distinct()
        async with self._database.read() as tx:
            return [Channel(team=team, id=one) for one in await tx.scalars(query.order_by(_managed.channel))]

    async def teams(self) -> list[str]:
        """Return the workspaces with rules or settings, by id."""
        with_rules = select(_rules.team).where(tables.ACTIVE)
        query = union(with_rules, select(tables.channels.c.team)).order_by("team")
        async with self._database.read() as tx:
            return list(await tx.scalars(query))

    async def apply_rules_file(
        self, changes: Sequence[RulesFileChange], by: str, at: datetime, *, caps: RuleCaps
    ) -> None:
        """Apply a rules file to all its channels in one transaction.

        Raises ConflictError if a channel's rules, their owners or its settings changed after they were read, and
        RuleLimitError; then nothing is saved.
        """
        async with self._database.write() as tx:
            await next_revision(tx)  # other writers of rules wait until this transaction ends
            for change in changes:
                await _apply(tx, change, by, at, caps)
        self._count_events([alert for change in changes for alert in change.alerts])


async def _apply(tx: AsyncConnection, change: RulesFileChange, by: str, at: datetime, caps: RuleCaps) -> None:
    """Apply the changes of one channel.

    1. Check that the channel is as it was read.
    2. Change and remove rules before new ones are added, as no two may be the same.
    3. Save who manages which rule.
    4. Save alerts and settings, with what reports them.
    """
    channel = change.before.channel
    if (
        await _load_editions(tx, channel) != change.before.editions
        or tuple(await _load_managed(tx, channel)) != change.before.managed
    ):
        raise ConflictError(CHANGED)
    await apply_rule_changes(tx, change.rules, at)
    await _take(tx, channel, change.taken)
    added = await _add(tx, channel, change.additions, by, at)
    if change.additions:
        await check_caps(tx, channel, caps)
    await _save_managed(tx, channel, [*change.managed, *added.values()])
    await record_alerts(tx, change.alerts, at)
    for notice in change.notices:
        await add_notice(tx, notice, at)
    if change.settings is not None:
        await save_channel(tx, _with_routes(change.settings, change.route_keys, added))
    for setting in change.setting_changes:
        await record_change(tx, channel, setting)


async def _take(tx: AsyncConnection, channel: Channel, rule_ids: Sequence[int]) -> None:
    """Count rules as changed, so that no one who has read them as unmanaged can save a change."""
    if rule_ids:
        here = (*in_channel(tables.rules, channel), _rules.id.in_(rule_ids), tables.ACTIVE)
        values = {"edit_count": _rules.edit_count + 1, "revision": await next_revision(tx)}
        await tx.execute(update(tables.rules).where(*here).values(values))


async def _add(
    tx: AsyncConnection, channel: Channel, additions: Sequence[NewRule], by: str, at: datetime
) -> dict[str, ManagedRule]:
    """Add rules, and pause those that are paused in the file; return them by key."""
    if not additions:
        return {}
    added = await add_missing_rules(tx, channel, [str(new.rule) for new in additions], by, at)
    rules = {new.key: added[str(new.rule)] for new in additions}
    paused = [
        RuleChange(kind=RuleAuditKind.PAUSED, channel_rule=rules[new.key], by=by) for new in additions if new.paused
    ]
    await apply_rule_changes(tx, paused, at)
    return {
        new.key: ManagedRule(
            key=new.key, file=new.file, rule_id=rules[new.key].id, rule=str(new.rule), paused=new.paused
        )
        for new in additions
    }


async def _save_managed(tx: AsyncConnection, channel: Channel, managed: Sequence[ManagedRule]) -> None:
    await tx.execute(delete(tables.managed_rules).where(*in_channel(tables.managed_rules, channel)))
    rows = [
        {
            **channel_columns(channel),
            "key": one.key,
            "file": one.file,
            "rule_id": one.rule_id,
            "rule": one.rule,
            "paused": one.paused,
        }
        for one in managed
    ]
    if rows:
        await tx.execute(tables.managed_rules.insert(), rows)


async def _load_managed(tx: AsyncConnection, channel: Channel) -> list[ManagedRule]:
    query = select(tables.managed_rules).where(*in_channel(tables.managed_rules, channel)).order_by(_managed.key)
    return [
        ManagedRule(key=row.key, file=row.file, rule_id=row.rule_id, rule=row.rule, paused=row.paused)
        for row in await tx.execute(query)
    ]


async def _load_editions(tx: AsyncConnection, channel: Channel) -> dict[int, int]:
    query = select(_rules.id, _rules.edit_count).where(*in_channel(tables.rules, channel), tables.ACTIVE)
    return {row.id: row.edit_count for row in await tx.execute(query)}


def _with_routes(
    stored: StoredChannel, route_keys: Mapping[str, str], added: Mapping[str, ManagedRule]
) -> StoredChannel:
    """Return the settings with the numbers of new rules in the routes that name them by key."""
    pages = tuple(
        replace(route, rule_id=added[route_keys[route.sink]].rule_id) if route.sink in route_keys else route
        for route in stored.settings.pages
    )
    return replace(stored, settings=replace(stored.settings, pages=pages))

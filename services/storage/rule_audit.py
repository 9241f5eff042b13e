"""Audit log of rules: people's changes, saved in the same transaction as the rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.records import RuleAudit, RuleAuditKind, RuleChange
from services.core.identity import Channel
from services.storage import tables
from services.storage.codec import read_rule_audit
from services.storage.repository import Repository, in_channel


class RuleAuditRepository(Repository):
    """The rule audit methods of CommandStore."""

    async def rule_audits(self, channel: Channel, limit: int) -> list[RuleAudit]:
        """Load the last changes of a channel's rules, newest first."""
        newest = (
            select(tables.rule_audit)
            .where(*in_channel(tables.rule_audit, channel))
            .order_by(tables.rule_audit.c.id.desc())
        )
        async with self._database.read() as tx:
            return [read_rule_audit(row) for row in await tx.execute(newest.limit(limit))]


async def record_rule_audits(tx: AsyncConnection, channel: Channel, audits: Sequence[RuleAudit]) -> None:
    """Save audit records of rules of a channel."""
    rows = [
        {
            "team": channel.team,
            "channel": channel.id,
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


def rule_audit_of(change: RuleChange, at: datetime) -> RuleAudit:
    """Return the audit record of a change."""
    before = str(change.channel_rule.rule)
    after = {RuleAuditKind.REMOVED: None, RuleAuditKind.EDITED: str(change.rule)}.get(change.kind, before)
    return RuleAudit(kind=change.kind, rule_id=change.channel_rule.id, by=change.by, at=at, before=before, after=after)

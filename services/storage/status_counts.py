"""Counts of what the database has now, for metrics: rules, open alerts and installations."""

from datetime import datetime

from sqlalchemy import case, func, select

from services.alerting.ports import StatusCounts
from services.market.metrics import Subject
from services.rules.decide import NODATA_GRACE, RuleStatus
from services.storage import tables
from services.storage.outbox_queries import NO_DRILL
from services.storage.repository import Repository
from services.storage.tables import ACTIVE, OPEN

PAUSED = "paused"
_rules = tables.rules.c


class StatusRepository(Repository):
    """Counts over all workspaces; each is one query, in the database's thread."""

    async def status_counts(self, now: datetime) -> StatusCounts:
        """Count the rules by status, as `RuleState.status` has it, the open alerts, and the installations."""
        overdue = now - NODATA_GRACE
        status = case(
            (_rules.paused_at.is_not(None), PAUSED),
            (_rules.error_since < overdue, RuleStatus.ERROR.value),
            (_rules.nodata_since < overdue, RuleStatus.NODATA.value),
            (_rules.firing.is_not(None) & _rules.clear_since.is_(None), RuleStatus.FIRING.value),
            (_rules.firing.is_not(None), RuleStatus.RECOVERING.value),
            (_rules.breach.is_not(None), RuleStatus.PENDING.value),
            else_=RuleStatus.OK.value,
        ).label("status")
        rules = select(status, func.count().label("number")).where(ACTIVE).group_by(status)
        subject = tables.alerts.c.subject
        alerts = select(subject, func.count().label("number")).where(OPEN, NO_DRILL).group_by(subject)
        async with self._database.read() as tx:
            by_status = {row.status: row.number for row in await tx.execute(rules)}
            by_subject = {Subject(row.subject): row.number for row in await tx.execute(alerts)}
            installations = (await tx.execute(select(func.count()).select_from(tables.installations))).scalar_one()
        return StatusCounts(
            rules={status: by_status.get(status.value, 0) for status in RuleStatus},
            paused_rules=by_status.get(PAUSED, 0),
            alerts=by_subject,
            installations=installations,
        )

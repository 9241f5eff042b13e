"""Which message is sent first when many are due."""

from collections.abc import Mapping
from enum import IntEnum
from typing import get_args

from services.alerting.alert import Alert, EntryKind
from services.alerting.channel_settings import MENTIONING, ChannelSettings
from services.alerting.notice import (
    Brief,
    ChannelChange,
    Content,
    CoverageReport,
    Digest,
    Escalation,
    EscalationSource,
    Outage,
    PageFailed,
    RetiredRules,
    Untraded,
)
from services.core.rows import complete


class Priority(IntEnum):
    """Order of messages, the first of them first: Slack accepts only so many per minute from one workspace."""

    MENTION = 0  # notifies people
    NEW = 1  # a new alert or a problem
    UPDATE = 2  # an edit or a thread reply
    SUMMARY = 3  # a digest, a brief or a report
    ACKNOWLEDGED = 4  # an edit or a thread reply of an alert that someone has acknowledged


NOTICE_PRIORITIES: Mapping[type[Content], Priority] = complete(
    "NOTICE_PRIORITIES",
    get_args(Content),
    {
        Escalation: Priority.MENTION,
        Outage: Priority.NEW,
        PageFailed: Priority.NEW,
        EscalationSource: Priority.UPDATE,
        ChannelChange: Priority.UPDATE,
        Untraded: Priority.SUMMARY,
        RetiredRules: Priority.SUMMARY,
        Digest: Priority.SUMMARY,
        CoverageReport: Priority.SUMMARY,
        Brief: Priority.SUMMARY,
    },
)


def new_alert_priority(settings: ChannelSettings) -> Priority:
    """Return the priority of a new alert's message."""
    return Priority.NEW if settings.mention is None else Priority.MENTION


def update_priority(alert: Alert) -> Priority:
    """Return the priority of an edit of an alert's message."""
    return Priority.UPDATE if alert.acknowledged is None else Priority.ACKNOWLEDGED


def reply_priority(alert: Alert, kind: EntryKind) -> Priority:
    """Return the priority of a thread reply."""
    return Priority.MENTION if kind in MENTIONING else update_priority(alert)

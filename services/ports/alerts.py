"""Alerts as they are stored, and all that is known of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 -- as below

from services.domain.episode import (
    Alert,  # noqa: TC001 -- receipts are written as JSON by reading these types at run time
    Entry,  # noqa: TC001 -- receipts are written as JSON by reading these types at run time
)
from services.domain.noise import NO_VOTES, Votes


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """An alert as it is to be told from now on, with the entries that its timeline gains.

    `alert.id` is 0 for an episode that opens; the store gives it its number. `revision` is that of the alert when
    it was read, 0 for a new one. The store records the change only where it still holds.
    """

    alert: Alert
    revision: int
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """An alert with the revision that the next change must name."""

    alert: Alert
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to make Slack show a message: `outcome` is None where it was never learned."""

    at: datetime
    version: int
    outcome: str | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One message of an alert, its own (`entry` None) or a line of its thread, with every try to deliver it.

    `delivered` tells that Slack shows its newest wording; where not, it is tried again at `next_at`, or was given up.
    `digest_at` is when a digest told it in its stead, `silent_from` when its channel falls silent, or has done so, and
    `stuck` what a person must mend before anything reaches that.
    """

    key: str
    entry: Entry | None
    message_id: str | None
    delivered: bool
    given_up_at: datetime | None
    next_at: datetime
    attempts: tuple[Attempt, ...]
    digest_at: datetime | None = None
    silent_from: datetime | None = None
    stuck: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """All that is known of an alert: what it rests on, every decision in order, every message with its fate, votes."""

    alert: Alert
    entries: tuple[Entry, ...]
    postings: tuple[Posting, ...]
    votes: Votes = NO_VOTES

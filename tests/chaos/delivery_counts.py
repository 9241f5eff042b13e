"""Counts of lost and repeated messages: what the store expects in Slack, compared with what Slack accepted."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.alerting.ports import AlertAudit
from services.core.errors import NotFoundError
from services.storage import SqlStore
from tests.chaos.slack import SlackRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounts:
    """Messages that were expected, lost and repeated.

    Attributes:
        alerts: Expected alert messages.
        replies: Expected thread replies.
        lost: Expected messages that Slack never got.
        repeated: Posts beyond the first of each key.
        stale: Alert messages that don't show at the end that the alert is resolved.
        unknown: Posts with a key that isn't in the store.
        ticks: Ticks that were claimed more than once.
        calls: Calls to Slack; `faults` of them failed.
    """

    alerts: int
    replies: int
    lost: int
    repeated: int
    stale: int
    unknown: int
    ticks: int
    calls: int
    faults: int

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.repeated or self.stale or self.unknown)

    def __str__(self) -> str:
        return (
            f"{self.alerts} alerts with {self.replies} replies in {self.calls} calls, {self.faults} with faults: "
            f"{self.lost} lost, {self.repeated} repeated, {self.stale} stale, {self.unknown} unknown; "
            f"{self.ticks} ticks claimed more than once"
        )


async def count(database: str, record: SlackRecord, claims: Counter[str]) -> DeliveryCounts:
    """Compare the store with what a Slack accepted."""
    store = await SqlStore.open(database)
    audits = [audit async for audit in _audits(store)]
    await store.aclose()
    posted = Counter(post["key"] for post in record["posts"])
    last = {post["key"]: post["last"] for post in record["posts"]}
    postings = [posting for audit in audits for posting in audit.postings]
    roots = [posting.key for posting in postings if posting.entry is None]
    expected = {posting.key for posting in postings}
    return DeliveryCounts(
        alerts=len(audits),
        replies=len(postings) - len(roots),
        lost=sum(not posted[key] for key in expected),
        repeated=sum(number - 1 for number in posted.values()),
        stale=sum("Resolved:" not in last.get(key, "") for key in roots),
        unknown=len(posted.keys() - expected),
        ticks=sum(number > 1 for number in claims.values()),
        calls=sum(record["calls"].values()),
        faults=sum(record["faults"].values()),
    )


async def _audits(store: SqlStore) -> AsyncIterator[AlertAudit]:
    """Yield the audit of every alert; IDs have gaps where a transaction was rolled back."""
    try:
        last = (await store.alert_audit(None, None)).alert.id
    except NotFoundError:
        return
    for number in range(1, last + 1):
        try:
            yield await store.alert_audit(None, number)
        except NotFoundError:
            continue

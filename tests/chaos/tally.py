"""The count afterwards: what the store says must be in Slack, beside what Slack has accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.alerting.records import AlertAudit
from services.core.errors import NotFoundError
from services.storage import SqlStore
from tests.chaos.slack import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Alerts and lines that there were to tell, that Slack never got, and that it got once too often.

    `stale` counts alerts whose message does not say in the end that they are resolved, `strangers` posts with a key
    that the store does not know, and `ticks` those that were claimed more than once.
    """

    alerts: int
    lines: int
    lost: int
    repeated: int
    stale: int
    strangers: int
    ticks: int
    calls: int
    faults: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, repeated, left stale or invented."""
        return not (self.lost or self.repeated or self.stale or self.strangers)

    def __str__(self) -> str:
        return (
            f"{self.alerts} alerts with {self.lines} lines in {self.calls} calls, {self.faults} of them disturbed: "
            f"{self.lost} lost, {self.repeated} repeated, {self.stale} stale, {self.strangers} unknown; "
            f"{self.ticks} ticks claimed twice"
        )


async def count(database: str, told: Ledger, claims: Counter[str]) -> Tally:
    """Hold what the store has recorded against what a Slack has accepted."""
    store = await SqlStore.open(database)
    receipts = [receipt async for receipt in _receipts(store)]
    await store.aclose()
    posted = Counter(post["key"] for post in told["posts"])
    last = {post["key"]: post["last"] for post in told["posts"]}
    postings = [posting for receipt in receipts for posting in receipt.postings]
    roots = [posting.key for posting in postings if posting.entry is None]
    wanted = {posting.key for posting in postings}
    return Tally(
        alerts=len(receipts),
        lines=len(postings) - len(roots),
        lost=sum(not posted[key] for key in wanted),
        repeated=sum(number - 1 for number in posted.values()),
        stale=sum("Resolved after" not in last.get(key, "") for key in roots),
        strangers=len(posted.keys() - wanted),
        ticks=sum(number > 1 for number in claims.values()),
        calls=sum(told["calls"].values()),
        faults=sum(told["faults"].values()),
    )


async def _receipts(store: SqlStore) -> AsyncIterator[AlertAudit]:
    """Read every alert there is; their numbers have gaps, as what was not committed leaves them."""
    try:
        last = (await store.alert_audit(None, None)).alert.id
    except NotFoundError:
        return
    for number in range(1, last + 1):
        try:
            yield await store.alert_audit(None, number)
        except NotFoundError:
            continue

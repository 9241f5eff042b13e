"""A process that delivers pages: `python -m tests.chaos.page_worker DATABASE_URL SINKS`, to be killed."""

import asyncio
import json
import sys
from contextlib import aclosing

from bot.clock import SystemClock
from bot.sinks import WORDS
from services.delivery.page_dispatcher import PageDispatcher
from services.delivery.sinks import email, http
from services.delivery.sinks.config import SinkConfig, SinkTools
from services.delivery.sinks.directory import SinkBook
from services.storage import SqlStore, pages

pages.LEASE = pages.LEASE / 12  # so that what a kill interrupted is tried again within seconds
http.ANSWER_TIMEOUT_S = email.TIMEOUT_S = 2.0  # so that a hang ends before the next kill


async def run(url: str, sinks: str) -> None:
    """Deliver pages until killed."""
    clock = SystemClock()
    file = {one["name"]: SinkConfig(**one) for one in json.loads(sinks)}
    async with aclosing(await SqlStore.open(url)) as store:
        book = SinkBook(tools=SinkTools(clock=clock, words=WORDS), file=file)
        await PageDispatcher(store=store, sinks=book, clock=clock, max_sleep=pages.LEASE / 10).run()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))

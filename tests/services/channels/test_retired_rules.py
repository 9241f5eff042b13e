"""Rules that are not offered any more: refused with the closest one, kept where they exist, and named once."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from handlers.render.notices import notice_message
from handlers.render.rules import rules_message
from services.delivery.ports import NoticeMessage
from services.rules.grammar import parse_rule
from tests.fakes.blockkit import shown
from tests.fakes.harness import CHANNEL, CLOSE, OTHER_CHANNEL, Harness, open_harness

HOUR = timedelta(hours=1)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        await harness.commands.add_rule(OTHER_CHANNEL, "1d 8pp", "U1")
        yield harness


async def test_a_stored_rule_runs_on_is_marked_in_the_list_and_named_in_one_notice(harness: Harness) -> None:
    await harness.store.add_rules(CHANNEL, [parse_rule("60d z3.5")], "U1", harness.clock.at)

    notices = await notices_of(harness, CLOSE + HOUR, CLOSE + 2 * HOUR)

    assert 1 == len(notices)
    assert "`/minerpulse rule edit 2 60d 2sigma` (now `60d z3.5`)" in notices[0]
    listed = shown(rules_message(await harness.commands.rule_list(CHANNEL), harness.clock.at))
    assert "`60d z3.5` – OK" in listed
    assert "No longer offered for new rules. The closest is `60d 2sigma`." in listed


async def test_channels_without_such_rules_get_no_notice(harness: Harness) -> None:
    assert [] == await notices_of(harness, CLOSE + HOUR)


async def notices_of(harness: Harness, *times: datetime) -> list[str]:
    texts = []
    for at in times:
        await harness.tick(at)
        await harness.maintenance.tick(at)
    while due := await harness.store.due(harness.clock.at):
        for delivery in due:
            if isinstance(delivery.message, NoticeMessage):
                texts.append(shown(notice_message(delivery.message.notice)))
            await harness.store.mark_sent(delivery, f"{delivery.id}", harness.clock.at)
    return [text for text in texts if "are retired" in text]

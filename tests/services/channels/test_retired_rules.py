"""Rules that are not offered any more: refused with the closest one, kept where they exist, and named once."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from handlers.render.notices import notice_message
from handlers.render.rules import rules_message
from services.core.errors import RuleError
from services.delivery.ports import NoticeMessage
from services.rules.grammar import parse_new_rule, parse_rule
from services.rules.rule import successor_of
from tests.fakes.harness import CHANNEL, CLOSE, OTHER_CHANNEL, Harness, open_harness

HOUR = timedelta(hours=1)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        await harness.commands.add_rule(OTHER_CHANNEL, "1d 8pp", "U1")
        yield harness


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("60d z3.5", "60d 2sigma"),
        ("60d z2 below for 10m", "60d 1.5sigma below for 10m"),
        ("252d z3.5 at close on MARA/BTC", "252d 1.1sigma at close on MARA/BTC"),
        ("ytd z3.25 clear z1", "ytd 1.3sigma"),
        ("60d z0.1", "60d 0.1sigma"),
        ("60d z100", "60d 20sigma"),
    ],
)
def test_a_robust_z_over_a_long_window_is_refused_with_the_sigma_that_comes_closest(old: str, new: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_new_rule(old)

    assert f"The closest rule is “{new}”" in caught.value.expected
    assert (old.split(maxsplit=1)[0], 0) == (caught.value.word, caught.value.offset)
    assert new == str(parse_new_rule(new))
    assert old == str(parse_rule(old))


@pytest.mark.parametrize("text", ["1d z3.5", "20d z2", "60d 8pp", "60d 2sigma", "gap 5%"])
def test_other_rules_are_offered(text: str) -> None:
    assert successor_of(parse_rule(text)) is None
    assert parse_rule(text) == parse_new_rule(text)


@pytest.mark.parametrize("text", ["1d 0.00001pp", "1d 8pp clear 0.00001pp"])
def test_a_new_level_that_compares_as_zero_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match="levels that differ from 0 in six decimals"):
        parse_new_rule(text)

    assert text == str(parse_rule(text))


async def test_a_stored_rule_runs_on_is_marked_in_the_list_and_named_in_one_notice(harness: Harness) -> None:
    await harness.store.add_rules(CHANNEL, [parse_rule("60d z3.5")], "U1", harness.clock.at)

    notices = await notices_of(harness, CLOSE + HOUR, CLOSE + 2 * HOUR)

    assert 1 == len(notices)
    assert "`/minerpulse rule edit 2 60d 2sigma` instead of `60d z3.5`" in notices[0]
    listed = rules_message(await harness.commands.rule_list(CHANNEL), harness.clock.at).text
    assert "`60d z3.5`: " in listed
    assert "no longer offered, the closest is `60d 2sigma`" in listed


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
                texts.append(notice_message(delivery.message.notice).text)
            await harness.store.mark_sent(delivery, f"{delivery.id}", harness.clock.at)
    return [text for text in texts if "no longer offered" in text]

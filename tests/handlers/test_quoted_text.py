"""What people and vendors write is quoted: it mentions nobody, and Slack makes nothing else of it."""

import json
from datetime import timedelta
from typing import Any

import pytest

from handlers.render.markup import escape_typed
from services.delivery.outbox import Outbox
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.slack import FakeSlack, Person

LATER = OPEN + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        pytest.param("ask <@U012AB3CD|ann> in <#C012AB3CD|desk>", "ask <@U012AB3CD> in <#C012AB3CD>", id="by ID"),
        pytest.param("<@everyone>", "&lt;@everyone&gt;", id="no member"),
        pytest.param("<@channel|x>", "&lt;@channel|x&gt;", id="no member, with a label"),
        pytest.param("<@u012ab3cd>", "&lt;@u012ab3cd&gt;", id="no ID"),
        pytest.param("<#general>", "&lt;#general&gt;", id="no channel"),
        pytest.param("<!channel> <!here|here> <!everyone>", "@channel @here @everyone", id="everybody"),
        pytest.param("<!subteam^S012AB3CD|@oncall>", "@oncall", id="a group"),
        pytest.param("<@U012AB3CD <!here>", "&lt;@U012AB3CD @here", id="not closed"),
        pytest.param("@channel", "@channel", id="plain"),
        pytest.param("<https://evil.example|WGMI>", "WGMI", id="a link"),
    ],
)
def test_typed_text_mentions_members_and_channels_only(typed: str, shown: str) -> None:
    assert shown == escape_typed(typed)


async def test_a_plain_mention_of_the_channel_in_a_reason_stays_plain(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    await outbox.deliver(harness.clock.at)
    await person.types("resolve @channel &lt;@everyone&gt; see www.example.com")
    await outbox.deliver(harness.clock.at)

    sent = [call for method in ("chat.postMessage", "chat.update") for call in slack.arguments_of(method)]
    quoting = [text for arguments in sent for text in mrkdwn(arguments.get("blocks")) if "@channel" in text["text"]]
    assert quoting
    assert all("<!" not in text["text"] and "<@everyone" not in text["text"] for text in quoting)
    assert [True] * len(quoting) == [text.get("verbatim") for text in quoting]


def mrkdwn(part: Any) -> list[dict[str, Any]]:  # noqa: ANN401 -- any JSON
    """Return every text with markup in a message's blocks."""
    if isinstance(part, str):
        part = json.loads(part)
    if isinstance(part, dict):
        own = [part] if part.get("type") == "mrkdwn" else []
        return [*own, *(text for one in part.values() if isinstance(one, dict | list) for text in mrkdwn(one))]
    return [text for one in part or () if isinstance(one, dict | list) for text in mrkdwn(one)]

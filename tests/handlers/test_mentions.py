import pytest

from handlers.commands.channel import parse_addressee
from services.core.identity import Channel, Mention


@pytest.mark.parametrize(
    ("text", "text_shown", "name", "person"),
    [
        pytest.param("<@U1|miner>", "<@U1>", "@miner", "U1", id="a person"),
        pytest.param("<@W012AB>", "<@W012AB>", "<@W012AB>", "W012AB", id="a person without a name"),
        pytest.param("U012AB3CD", "<@U012AB3CD>", "<@U012AB3CD>", "U012AB3CD", id="the ID of a person"),
        pytest.param("<!subteam^S1|@oncall>", "<!subteam^S1>", "@oncall", None, id="a group"),
        pytest.param("<!subteam^S1>", "<!subteam^S1>", "<!subteam^S1>", None, id="a group without a name"),
        pytest.param("S012AB3CD", "<!subteam^S012AB3CD>", "<!subteam^S012AB3CD>", None, id="the ID of a group"),
        pytest.param("<!here|here>", "<!here>", "@here", None, id="everyone here, escaped"),
        pytest.param("<!channel>", "<!channel>", "@channel", None, id="the channel"),
        pytest.param("@Here", "<!here>", "@here", None, id="everyone here, with a capital"),
        pytest.param(" @here ", "<!here>", "@here", None, id="everyone here, as plain text"),
    ],
)
def test_mentions_are_parsed(text: str, text_shown: str, name: str, person: str | None) -> None:
    assert Mention(text=text_shown, name=name, person=person) == parse_addressee(text, "T1")


@pytest.mark.parametrize("text", ["<#C1|general>", "<#C1>", "C1"])
def test_a_channel_is_parsed_by_its_escaped_id(text: str) -> None:
    expected = None if text == "C1" else Channel(team="T1", id="C1")

    assert expected == parse_addressee(text, "T1")


@pytest.mark.parametrize("text", ["@oncall", "#general", "oncall", "", "<@U1> and more", "<https://example.com>"])
def test_plain_text_is_ambiguous(text: str) -> None:
    assert parse_addressee(text, "T1") is None

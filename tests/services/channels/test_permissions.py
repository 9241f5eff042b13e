import pytest

from services.alerting.channel_settings import ChannelSettings
from services.channels.permissions import EVERYONE, Act, Permissions
from services.core.errors import ChannelSettingError, NotAllowedError
from services.core.identity import Mention


def settings_with_editors(*people: str) -> ChannelSettings:
    return ChannelSettings(editors=tuple(Mention(text=f"<@{person}>", name=person, person=person) for person in people))


OPERATOR, ANN, BOB = "U9", "U1", "U2"
WITH_OPERATOR = Permissions(people=(OPERATOR,))


@pytest.mark.parametrize(
    ("editors", "settings", "allowed"),
    [
        pytest.param(EVERYONE, settings_with_editors(), (), id="everyone"),
        pytest.param(EVERYONE, settings_with_editors(ANN, BOB), (ANN, BOB), id="editors of the channel"),
        pytest.param(WITH_OPERATOR, settings_with_editors(), (OPERATOR,), id="editors of every channel"),
        pytest.param(
            WITH_OPERATOR, settings_with_editors(ANN, OPERATOR), (ANN, OPERATOR), id="both without duplicates"
        ),
    ],
)
def test_editors_may_change_rules(editors: Permissions, settings: ChannelSettings, allowed: tuple[str, ...]) -> None:
    assert allowed == editors.editors_of(settings)
    for person in allowed:
        editors.check(Act.CHANGE_RULES, settings, person)
    if allowed:
        with pytest.raises(NotAllowedError) as raised:
            editors.check(Act.CHANGE_RULES, settings, "U5")
        assert allowed == raised.value.editors


@pytest.mark.parametrize(
    ("editors", "before", "after", "by"),
    [
        pytest.param(EVERYONE, settings_with_editors(), settings_with_editors(ANN, BOB), ANN, id="first list"),
        pytest.param(EVERYONE, settings_with_editors(ANN), settings_with_editors(), ANN, id="everyone again"),
        pytest.param(
            WITH_OPERATOR,
            settings_with_editors(ANN),
            settings_with_editors(BOB),
            OPERATOR,
            id="other editors, by an editor of every channel",
        ),
    ],
)
def test_editors_may_change_the_list(
    editors: Permissions, before: ChannelSettings, after: ChannelSettings, by: str
) -> None:
    editors.check_list(before, after, by)


def test_others_may_not_change_the_list() -> None:
    with pytest.raises(NotAllowedError, match="Only U1 can change the settings, mentions and list of editors here"):
        EVERYONE.check(Act.CHANGE_SETTINGS, settings_with_editors(ANN), BOB)


def test_an_editor_cannot_remove_themselves() -> None:
    with pytest.raises(ChannelSettingError, match="Add yourself to it"):
        EVERYONE.check_list(settings_with_editors(), settings_with_editors(BOB), ANN)

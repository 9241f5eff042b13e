from __future__ import annotations

import pytest

from services.alerting.channel_settings import ChannelSettings
from services.channels.permissions import EVERYONE, RulePermissions
from services.core.errors import ChannelSettingError, NotAllowedError
from services.core.identity import Mention


def naming(*people: str) -> ChannelSettings:
    return ChannelSettings(editors=tuple(Mention(text=f"<@{one}>", name=one, person=one) for one in people))


OPERATOR, ANN, BOB = "U9", "U1", "U2"
OPERATED = RulePermissions(people=(OPERATOR,))


@pytest.mark.parametrize(
    ("editors", "settings", "may"),
    [
        pytest.param(EVERYONE, naming(), (), id="everyone"),
        pytest.param(EVERYONE, naming(ANN, BOB), (ANN, BOB), id="those whom the channel names"),
        pytest.param(OPERATED, naming(), (OPERATOR,), id="those of every channel"),
        pytest.param(OPERATED, naming(ANN, OPERATOR), (ANN, OPERATOR), id="both, each once"),
    ],
)
def test_who_may_change_rules(editors: RulePermissions, settings: ChannelSettings, may: tuple[str, ...]) -> None:
    assert may == editors.of(settings)
    for one in may:
        editors.check(settings, one)
    if may:
        with pytest.raises(NotAllowedError) as refused:
            editors.check(settings, "U5")
        assert may == refused.value.people


@pytest.mark.parametrize(
    ("editors", "before", "after", "by"),
    [
        pytest.param(EVERYONE, naming(), naming(ANN, BOB), ANN, id="a first list"),
        pytest.param(EVERYONE, naming(ANN), naming(), ANN, id="everyone again"),
        pytest.param(OPERATED, naming(ANN), naming(BOB), OPERATOR, id="others, by one who may everywhere"),
    ],
)
def test_who_may_change_rules_may_change_the_list(
    editors: RulePermissions, before: ChannelSettings, after: ChannelSettings, by: str
) -> None:
    editors.check_list(before, after, by)


def test_nobody_takes_over_the_list_of_others() -> None:
    with pytest.raises(NotAllowedError, match="by U1 only; ask one of them"):
        EVERYONE.check_list(naming(ANN), naming(ANN, BOB), BOB)


def test_nobody_locks_themselves_out() -> None:
    with pytest.raises(ChannelSettingError, match="name yourself, too"):
        EVERYONE.check_list(naming(), naming(BOB), ANN)

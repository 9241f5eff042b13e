from dataclasses import replace
from datetime import timedelta

import pytest

from services.alerting.alert import ActorStamp, Alert, close
from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import ChannelChange
from services.alerting.paging import PageRoute, Severity, Stage, is_sink_name, stage_of
from services.alerting.setting_syntax import MAX_PAGES, SETTINGS, SettingInput, parse_setting
from services.core.errors import ChannelSettingError, InvalidSinkError
from services.core.identity import Person
from tests.fakes.alerts import AT, a_rule_hit, an_alert, an_entry

SEEN = ActorStamp(by="U1", at=AT)


def parsed(text: str, settings: ChannelSettings | None = None) -> ChannelSettings:
    value = SettingInput(text=text, resolve=lambda _name: None, now=AT)
    return parse_setting(value, settings or ChannelSettings())[1]


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        pytest.param(an_alert(), Stage.OPEN, id="open"),
        pytest.param(an_alert(acknowledged=SEEN), Stage.ACKNOWLEDGED, id="acknowledged"),
        pytest.param(an_alert(snoozed=replace(SEEN, until=AT + timedelta(hours=1))), Stage.ACKNOWLEDGED, id="snoozed"),
        pytest.param(close(an_alert(acknowledged=SEEN), AT, "cleared"), Stage.ENDED, id="ended"),
    ],
)
def test_a_page_shows_the_state_of_its_alert(alert: Alert, expected: Stage) -> None:
    assert expected is stage_of(alert)


def test_a_route_matches_its_rule_and_never_simulated_prices() -> None:
    alert = an_alert(hits=[a_rule_hit(rule_id=3)])
    routes = [PageRoute(sink="desk"), PageRoute(sink="desk", rule_id=3), PageRoute(sink="desk", rule_id=4)]
    assert [True, True, False] == [route.matches(alert) for route in routes]
    assert [False] * 3 == [route.matches(replace(alert, simulated=True)) for route in routes]


@pytest.mark.parametrize(("name", "expected"), [("risk-bus_2", True), ("", False), ("Desk", False), ("x" * 41, False)])
def test_the_name_of_a_sink(name: str, *, expected: bool) -> None:
    assert expected is is_sink_name(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("page desk", PageRoute(sink="desk")),
        ("page DESK always", PageRoute(sink="desk", always=True)),
        ("page desk for #3", PageRoute(sink="desk", rule_id=3)),
        (
            "page desk for 3 severity critical always",
            PageRoute(sink="desk", rule_id=3, severity=Severity.CRITICAL, always=True),
        ),
    ],
)
def test_a_route_is_read_and_printed_as_it_is_typed(text: str, expected: PageRoute) -> None:
    settings = parsed(text)
    assert (expected,) == settings.pages
    assert settings == parsed(f"page {SETTINGS['page'].format(settings, str)}")


def test_a_route_replaces_one_to_the_same_sink_and_is_turned_off_alone_or_with_all() -> None:
    both = parsed("page bus", parsed("page desk"))
    assert ["bus", "desk"] == [route.sink for route in parsed("page desk always", both).pages]
    assert ["bus"] == [route.sink for route in parsed("page off desk", both).pages]
    assert () == parsed("page off", both).pages
    assert ("off", "desk, bus") == tuple(SETTINGS["page"].format(one, str) for one in (ChannelSettings(), both))


def test_the_number_of_routes_is_bounded() -> None:
    full = ChannelSettings(pages=tuple(PageRoute(sink=f"s{number}") for number in range(MAX_PAGES)))
    with pytest.raises(ChannelSettingError, match="at most 10 sinks"):
        parsed("page one-more", full)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("page désk", "isn't the name of a sink"),
        ("page desk severity loud", "Which severity"),
        ("page desk sometimes", "Couldn't read “sometimes”"),
        ("page off desk", "this channel doesn't page “desk”"),
    ],
)
def test_a_wrong_route_says_what_to_do(text: str, expected: str) -> None:
    with pytest.raises(ChannelSettingError, match=expected):
        parsed(text)


def test_the_name_of_who_acted_stays_with_what_they_did() -> None:
    ann = Person("U1", "ann")
    entry, change = an_entry(by=ann), ChannelChange(by=ann, change="quiet off")
    assert ("U1", "ann", "ann") == (ann, entry.by_name, change.by_name)
    assert "" == an_entry(by="U1").by_name


def test_an_error_names_its_sink_if_it_knows_it() -> None:
    assert ("Sink desk: no url", "no file") == (
        str(InvalidSinkError("desk", "no url")),
        str(InvalidSinkError("", "no file")),
    )

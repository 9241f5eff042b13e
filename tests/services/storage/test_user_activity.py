from services.alerting.alert import EntryKind
from services.alerting.ports import AlertChange
from services.core.identity import Channel
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry

OTHER, OTHER_WORKSPACE = Channel(team="T1", id="C2"), Channel(team="T2", id="C3")


async def act(store: SqlStore, channel: Channel, by: str, side: Side = Side.ABOVE) -> None:
    entry = an_entry(kind=EntryKind.ACKNOWLEDGED, by=by)
    change = AlertChange(alert=an_alert(channel=channel, side=side), revision=0, entries=(entry,))
    await store.record([], [change], AT)


async def test_a_users_channels_are_those_with_their_rules_or_actions(store: SqlStore) -> None:
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp"), parse_rule("5d 15pp")], "U1", AT)
    await act(store, OTHER, "U1")
    await act(store, OTHER, "U1", Side.BELOW)

    assert [CHANNEL, OTHER] == await store.channels_of("T1", "U1")


async def test_channels_of_others_and_of_other_workspaces_are_not_listed(store: SqlStore) -> None:
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U11", AT)
    await store.add_rules(OTHER_WORKSPACE, [parse_rule("1d 8pp")], "U1", AT)
    await act(store, OTHER, "U11")
    await act(store, OTHER_WORKSPACE, "U1")

    assert [] == await store.channels_of("T1", "U1")
    assert [] == await store.channels_of("T1", "%")

import json
from dataclasses import replace

import pytest

from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import Notice, Outage
from services.alerting.ports import AlertChange, SettingChange, StoredChannel
from services.alerting.tick_log import Tick, TickResult
from services.core.prices import WGMI_BTC
from services.core.reason import Code, Reason
from services.core.trust import Trust, Verdict
from services.storage import SqlStore
from services.storage.codec import read_alert, read_entry, read_reason, write_alert, write_entry, write_reason
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry
from tests.services.storage.conftest import execute, post_alert

PAST = Reason.of(Code.RULE_PAST_THRESHOLD, value=0.083, threshold=0.08, unit="pp", held_s=300.0, at_close=False)
ALONE = Reason.of(Code.CLOSE_FROM_ONE_SOURCE, symbol="WGMI", sources=["Yahoo"])
NESTED = Reason.of(Code.OF_RULE, rule="1d 8pp", reason=PAST)
STORED_PAST = {
    "code": "rule_past_threshold",
    "at_close": False,
    "held_s": 300.0,
    "threshold": 0.08,
    "unit": "pp",
    "value": 0.083,
}
REASONS: list[Reason | str] = [PAST, NESTED, "8.3pp is past 8pp, held for 5m", "", "{not JSON", "[]"]


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_and_an_old_text_are_read_as_they_were_written(reason: Reason | str) -> None:
    trust = Trust(verdict=Verdict.DEGRADED, reasons=(ALONE, "from Yahoo alone"))
    alert, entry = replace(an_alert(), reason=reason, trust=trust), replace(an_entry(), reason=reason)

    assert (reason, alert, entry) == (
        read_reason(write_reason(reason)),
        read_alert(write_alert(alert), alert.id),
        read_entry(write_entry(entry)),
    )


def test_a_reason_is_stored_as_its_code_and_parameters() -> None:
    assert STORED_PAST == json.loads(write_alert(replace(an_alert(), reason=PAST)))["reason"]
    assert {"code": "of_rule", "reason": STORED_PAST, "rule": "1d 8pp"} == json.loads(write_reason(NESTED))


def test_a_reason_of_a_later_release_is_shown_as_it_is_stored() -> None:
    later = {"code": "unheard_of", "value": 1}
    alert = json.loads(write_alert(an_alert())) | {"reason": later}

    assert (json.dumps(later), json.dumps(later)) == (
        read_reason(json.dumps(later)),
        read_alert(json.dumps(alert), 0).reason,
    )


@pytest.fixture
def store(shared_store: SqlStore) -> SqlStore:
    return shared_store


async def test_alerts_notices_and_settings_keep_their_reasons(store: SqlStore) -> None:
    entry = replace(an_entry(), reason=NESTED)
    await store.record([], [AlertChange(alert=replace(an_alert(), reason=PAST), revision=0, entries=(entry,))], AT)
    outage = Outage(pair=WGMI_BTC, since=AT, reason=Reason.of(Code.NO_QUOTE, symbol="BTC"))
    await store.add_notices([Notice(id=0, channel=CHANNEL, name="outage", content=outage, opened_at=AT)], AT)
    change = SettingChange(by="U1", at=AT, summary=Reason.of(Code.SETTINGS_RESET))
    await store.change_channel(StoredChannel(channel=CHANNEL, settings=ChannelSettings(), revision=0), change)

    audit = await store.alert_audit(CHANNEL, None)
    (notice,) = await store.open_notices(Outage)

    assert (PAST, [NESTED]) == (audit.alert.reason, [entry.reason for entry in audit.entries])
    assert outage == notice.notice.content
    assert [change] == await store.channel_changes(CHANNEL, 1)


async def test_the_status_of_prices_keeps_its_reason_and_the_text_of_an_earlier_release(
    store: SqlStore, migrated_url: str
) -> None:
    await store.claim_tick(WGMI_BTC, AT, AT)
    result = TickResult(pair=WGMI_BTC, at=AT, verdict="stale", reason=PAST)
    await store.finish_tick(Tick(job=WGMI_BTC, boundary=AT, claimed_at=AT), result)
    (status,) = await store.pair_statuses()

    await execute(migrated_url, "UPDATE feed_status SET reason = 'no BTC quote'")
    (old_status,) = await store.pair_statuses()

    assert (PAST, "no BTC quote") == (status.reason, old_status.reason)


async def test_messages_of_a_channel_that_was_left_are_found_under_the_text_of_an_earlier_release(
    store: SqlStore, migrated_url: str
) -> None:
    await post_alert(store)
    await execute(
        migrated_url,
        "UPDATE deliveries SET message_id = '1.2', sent_version = version, "
        "problem = 'MinerPulse was taken out of the channel.'",
    )

    await store.reconnect_channel(CHANNEL, AT)

    assert [CHANNEL] == [delivery.channel for delivery in await store.due(AT)]

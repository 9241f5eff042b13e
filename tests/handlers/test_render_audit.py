from dataclasses import replace
from datetime import timedelta

from handlers.render import fmt
from handlers.render.history import audit_message
from services.alerting.alert import EntryKind, TimelineEntry
from services.alerting.ports import AlertAudit, Attempt, Posting
from services.core.reason import Code, Reason
from tests.fakes.alerts import AT, an_alert
from tests.fakes.blockkit import problems, shown

MINUTE = timedelta(minutes=1)
PAST = Reason.of(Code.RULE_PAST_THRESHOLD, value=0.083, threshold=0.08, unit="pp", held_s=0.0, at_close=False)
FIRED = TimelineEntry(kind=EntryKind.FIRED, at=AT, reason=PAST, silent=True)
ACKNOWLEDGED = TimelineEntry(kind=EntryKind.ACKNOWLEDGED, at=AT + MINUTE, reason=Reason.of(Code.SEEN), by="U1")
RATE_LIMITED = Attempt(at=AT, version=1, outcome="failed", problem="Slack is rate-limiting MinerPulse.")
UNKNOWN = Attempt(at=AT + MINUTE, version=1, outcome=None, problem=None)
SENT = Attempt(at=AT + 2 * MINUTE, version=1, outcome="sent", problem=None)
ALERT_POSTING = Posting(
    key="alert:12:aa",
    entry=None,
    message_id="1.2",
    delivered=True,
    given_up_at=None,
    next_at=AT,
    attempts=(RATE_LIMITED, replace(RATE_LIMITED, at=AT + timedelta(seconds=30)), UNKNOWN, SENT),
)
REPLY_POSTING = replace(
    ALERT_POSTING, key="alert:12:entry:2:bb", entry=ACKNOWLEDGED, message_id=None, delivered=False, attempts=()
)
AUDIT = AlertAudit(alert=an_alert(id=12), entries=(FIRED, ACKNOWLEDGED), postings=(ALERT_POSTING, REPLY_POSTING))


def at(minutes: float) -> str:
    """The date token of a time after AT."""
    return fmt.instant(AT + minutes * MINUTE)


def test_an_audit_log_shows_inputs_decisions_and_every_attempt() -> None:
    message = audit_message(AUDIT, AT)

    assert [] == problems({"text": message.text, "blocks": message.blocks})
    said = shown(message)
    assert said.startswith("Audit log of alert #12: WGMI ahead of BTC. 1 of 2 messages delivered, 1 pending, 0 failed")
    assert f"{at(0)} – Fired: +8.3 pp crossed the 8 pp threshold (not posted in the thread)\n" in said
    assert f"{at(1)} – Acknowledged by <@U1>\n" in said
    assert (
        f"Alert message: failed 2 times, last {at(0.5)} (Slack is rate-limiting MinerPulse); "
        f"no response from Slack {at(1)}; posted {at(2)}.\n"
    ) in said
    assert "`minerpulse why 12 --json`" in said


def test_an_undelivered_message_shows_its_next_attempt_or_that_it_failed() -> None:
    waiting = replace(REPLY_POSTING, next_at=AT + 5 * MINUTE)
    dead_lettered = replace(
        REPLY_POSTING, given_up_at=AT, attempts=(replace(RATE_LIMITED, outcome="dead", problem="too long"),)
    )

    message = shown(audit_message(replace(AUDIT, postings=(REPLY_POSTING, waiting, dead_lettered)), AT))

    assert "Reply “Acknowledged”: next attempt now." in message
    assert "Reply “Acknowledged”: next attempt in 5 min." in message
    assert f"delivery failed, last attempt {at(0)}; retried if the alert changes." in message


def test_a_long_audit_log_shows_the_newest_lines_and_counts_the_rest() -> None:
    message = audit_message(replace(AUDIT, entries=(FIRED,) * 40, postings=(ALERT_POSTING,) * 60), AT)

    assert [] == problems({"text": message.text, "blocks": message.blocks})
    assert "28 earlier decisions." in shown(message)
    assert "48 earlier messages." in shown(message)


def test_an_audit_log_without_messages_says_so() -> None:
    assert "*Messages*\nNone." in shown(audit_message(replace(AUDIT, postings=()), AT))

from dataclasses import replace
from datetime import timedelta

from handlers.render.history import audit_message
from services.alerting.alert import EntryKind, TimelineEntry
from services.alerting.ports import AlertAudit, Attempt, Posting
from tests.fakes.alerts import AT, an_alert
from tests.fakes.blockkit import problems

MINUTE = timedelta(minutes=1)
FIRED = TimelineEntry(kind=EntryKind.FIRED, at=AT, reason="8.3 pp is past 8 pp", silent=True)
ACKNOWLEDGED = TimelineEntry(kind=EntryKind.ACKNOWLEDGED, at=AT + MINUTE, reason="a person acknowledged it", by="U1")
RATE_LIMITED = Attempt(at=AT, version=1, outcome="failed", problem="Slack asks to wait.")
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


def test_an_audit_log_shows_inputs_decisions_and_every_attempt() -> None:
    message = audit_message(AUDIT, AT)

    assert [] == problems({"text": message.text, "blocks": message.blocks})
    assert "Why alert 12: WGMI" in message.text
    assert "Fri" not in message.text
    assert (
        "Tue 17 Nov 10:40 New York (15:40 UTC): fired: 8.3 pp is past 8 pp (not posted in the thread)" in message.text
    )
    assert "acknowledged by <@U1>: a person acknowledged it" in message.text
    assert (
        "The alert's message: failed 2 times, last Tue 17 Nov 10:40 New York (15:40 UTC) (Slack asks to wait); "
        "no answer from Slack Tue 17 Nov 10:41 New York (15:41 UTC); "
        "stands in Slack Tue 17 Nov 10:42 New York (15:42 UTC)."
    ) in message.text
    assert "`minerpulse why 12 --json`" in message.text


def test_an_undelivered_message_shows_its_next_attempt_or_that_it_failed() -> None:
    waiting = replace(REPLY_POSTING, next_at=AT + 5 * MINUTE)
    dead_lettered = replace(
        REPLY_POSTING, given_up_at=AT, attempts=(replace(RATE_LIMITED, outcome="dead", problem="too long"),)
    )

    message = audit_message(replace(AUDIT, postings=(REPLY_POSTING, waiting, dead_lettered)), AT).text

    assert "Line “acknowledged”: next attempt now." in message
    assert "Line “acknowledged”: next attempt in 5 min." in message
    assert "given up Tue 17 Nov 10:40 New York (15:40 UTC) (too long); not delivered" in message
    assert "retried when the alert changes" in message


def test_a_long_audit_log_shows_the_newest_lines_and_counts_the_rest() -> None:
    message = audit_message(replace(AUDIT, entries=(FIRED,) * 40, postings=(ALERT_POSTING,) * 60), AT)

    assert [] == problems({"text": message.text, "blocks": message.blocks})
    assert "28 earlier decisions." in message.text
    assert "48 earlier messages." in message.text


def test_an_audit_log_without_messages_says_so() -> None:
    assert "*Messages*\nNone." in audit_message(replace(AUDIT, postings=()), AT).text

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from handlers.render.history import audit_message
from services.alerting.alert import Entry, EntryKind
from services.alerting.records import AlertAudit, Attempt, Posting
from tests.fakes.alerts import AT, an_alert
from tests.fakes.blockkit import problems

MINUTE = timedelta(minutes=1)
FIRED = Entry(kind=EntryKind.FIRED, at=AT, reason="8.3 pp is past 8 pp", silent=True)
SEEN = Entry(kind=EntryKind.ACKNOWLEDGED, at=AT + MINUTE, reason="a person has seen it", by="U1")
LIMITED = Attempt(at=AT, version=1, outcome="failed", problem="Slack asks to wait.")
LOST = Attempt(at=AT + MINUTE, version=1, outcome=None, problem=None)
SENT = Attempt(at=AT + 2 * MINUTE, version=1, outcome="sent", problem=None)
OWN = Posting(
    key="alert:12:aa",
    entry=None,
    message_id="1.2",
    delivered=True,
    given_up_at=None,
    next_at=AT,
    attempts=(LIMITED, replace(LIMITED, at=AT + timedelta(seconds=30)), LOST, SENT),
)
LINE = replace(OWN, key="alert:12:entry:2:bb", entry=SEEN, message_id=None, delivered=False, attempts=())
WHOLE = AlertAudit(alert=an_alert(id=12), entries=(FIRED, SEEN), postings=(OWN, LINE))


def test_a_receipt_tells_inputs_decisions_and_every_attempt() -> None:
    told = audit_message(WHOLE, AT)

    assert [] == problems({"text": told.text, "blocks": told.blocks})
    assert "Why alert 12: WGMI" in told.text
    assert "Fri" not in told.text
    assert "Tue 17 Nov 10:40 New York (15:40 UTC): fired: 8.3 pp is past 8 pp (not told in the thread)" in told.text
    assert "acknowledged by <@U1>: a person has seen it" in told.text
    assert (
        "The alert's message: failed 2 times, last Tue 17 Nov 10:40 New York (15:40 UTC) (Slack asks to wait); "
        "its answer was never learned Tue 17 Nov 10:41 New York (15:41 UTC); "
        "stands in Slack Tue 17 Nov 10:42 New York (15:42 UTC)."
    ) in told.text
    assert "`minerpulse why 12 --json`" in told.text


def test_what_is_not_delivered_says_when_it_is_tried_again_or_that_it_is_not() -> None:
    waits = replace(LINE, next_at=AT + 5 * MINUTE)
    dead = replace(LINE, given_up_at=AT, attempts=(replace(LIMITED, outcome="dead", problem="too long"),))

    told = audit_message(replace(WHOLE, postings=(LINE, waits, dead)), AT).text

    assert "Line “acknowledged”: about to be tried." in told
    assert "Line “acknowledged”: tried next in 5 min." in told
    assert "given up Tue 17 Nov 10:40 New York (15:40 UTC) (too long); given up" in told
    assert "it is tried again once the alert changes" in told


def test_a_long_story_keeps_its_newest_lines_and_counts_the_others() -> None:
    told = audit_message(replace(WHOLE, entries=(FIRED,) * 40, postings=(OWN,) * 60), AT)

    assert [] == problems({"text": told.text, "blocks": told.blocks})
    assert "28 earlier decisions." in told.text
    assert "48 earlier messages." in told.text


def test_before_anything_was_told_it_says_so() -> None:
    assert "*Messages*\nNone." in audit_message(replace(WHOLE, postings=()), AT).text

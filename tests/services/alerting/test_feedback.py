from dataclasses import replace

import pytest

from services.alerting.alert import NO_VOTES, ActorStamp, Alert, Votes, close
from services.alerting.feedback import NoiseRate, is_noise, noise_rate
from services.rules.grammar import parse_rule
from tests.fakes.alerts import AT, a_rule_hit, an_alert

SEEN = ActorStamp(by="U1", at=AT)
RULE = parse_rule("1d 8pp")


def ended(number: int = 1, **changes: ActorStamp) -> Alert:
    return replace(close(an_alert(id=number), AT, "over"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("alert", "votes", "expected"),
    [
        pytest.param(ended(), NO_VOTES, None, id="nobody has said or shown anything"),
        pytest.param(ended(acknowledged=SEEN), NO_VOTES, False, id="acknowledged"),
        pytest.param(ended(snoozed=SEEN), NO_VOTES, True, id="only snoozed"),
        pytest.param(ended(acknowledged=SEEN, snoozed=SEEN), NO_VOTES, False, id="acknowledged and snoozed"),
        pytest.param(ended(acknowledged=SEEN), Votes(noise=1), True, id="a vote against what was shown"),
        pytest.param(ended(snoozed=SEEN), Votes(useful=2, noise=1), False, id="most votes"),
        pytest.param(ended(snoozed=SEEN), Votes(useful=1, noise=1), True, id="as many for it as against it"),
    ],
)
def test_votes_decide_before_actions(alert: Alert, votes: Votes, expected: bool | None) -> None:
    assert expected is is_noise(alert, votes)


def test_only_closed_unretracted_alerts_of_the_current_rule_count() -> None:
    other = close(an_alert(id=3, hits=[a_rule_hit(rule_id=2)]), AT, "over")
    before = close(an_alert(id=4, hits=[a_rule_hit(rule="1d 9pp")]), AT, "over")
    wrong = close(an_alert(id=5, hits=[replace(a_rule_hit(), retracted=True)]), AT, "corrected")
    hits = [replace(a_rule_hit(), retracted=True), a_rule_hit(rule_id=2)]
    wrong_for_this_rule = close(an_alert(id=8, hits=hits), AT, "over")
    alerts = [an_alert(id=1), ended(2), other, before, wrong, ended(6), ended(7), wrong_for_this_rule]
    votes = {number: Votes(noise=1) for number in (1, 2, 3, 4, 5, 8)} | {6: Votes(useful=1)}

    assert NoiseRate(noise=1, judged=2) == noise_rate(1, RULE, alerts, votes)


@pytest.mark.parametrize(
    ("found", "much"),
    [
        pytest.param(NoiseRate(noise=3, judged=3), False, id="too few to say"),
        pytest.param(NoiseRate(noise=2, judged=4), False, id="half"),
        pytest.param(NoiseRate(noise=3, judged=4), True, id="more than half"),
    ],
)
def test_the_noise_rate_is_high_if_most_of_enough_alerts_were_noise(found: NoiseRate, much: bool) -> None:
    assert much is found.is_high

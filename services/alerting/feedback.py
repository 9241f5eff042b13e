"""False-alarm rate: how many of a rule's alerts were noise, by votes and by people's actions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from services.alerting.alert import NO_VOTES, Alert, Votes
from services.rules.grammar import parse_rule
from services.rules.rule import Rule

MIN_JUDGED = 4  # judged alerts needed before a change is proposed


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseRate:
    """Share of noise among a rule's closed alerts that were judged: `noise` of `judged`."""

    noise: int
    judged: int

    @property
    def is_high(self) -> bool:
        """Whether enough alerts were judged, and more than half of them as noise."""
        return self.judged >= MIN_JUDGED and self.noise * 2 > self.judged


def is_noise(alert: Alert, votes: Votes = NO_VOTES) -> bool | None:
    """Return whether a closed alert was noise; None if no one voted or acted on it.

    Votes decide. If there are none, or a tie, an acknowledged alert was useful, and one that was only snoozed was
    noise.
    """
    if votes.useful != votes.noise:
        return votes.noise > votes.useful
    if alert.acknowledged is not None:
        return False
    return True if alert.snoozed is not None else None


def noise_rate(rule_id: int, rule: Rule, alerts: Iterable[Alert], votes: Mapping[int, Votes]) -> NoiseRate:
    """Return the rate over the closed alerts of the rule in its current form, on any pair that it was moved from.

    An alert doesn't count if the rule's hit in it was retracted, as its prices were wrong.
    """
    relevant = [one for one in alerts if one.closed_at and _took_part(rule_id, rule, one)]
    judged = [one for alert in relevant if (one := is_noise(alert, votes.get(alert.id, NO_VOTES))) is not None]
    return NoiseRate(noise=sum(judged), judged=len(judged))


def _took_part(rule_id: int, rule: Rule, alert: Alert) -> bool:
    hits = [hit for hit in alert.hits if hit.rule_id == rule_id and not hit.retracted]
    return any(replace(parse_rule(hit.rule), pair=rule.pair) == rule for hit in hits)

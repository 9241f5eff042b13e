"""Noise: how many of a rule's alerts were worth nobody's while, as people have shown or said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.alerting.alert import Alert
from services.rules.rule import Rule

ENOUGH = 4  # alerts that somebody judged, before anything is proposed


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """What people said of an alert, one vote each."""

    useful: int = 0
    noise: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How many of a rule's ended alerts were noise, of those that somebody judged: `noise` of `judged`."""

    noise: int
    judged: int

    @property
    def is_much(self) -> bool:
        """Whether enough alerts were judged, and more than half of them as noise."""
        return self.judged >= ENOUGH and self.noise * 2 > self.judged


NO_VOTES = Votes()


def is_noise(alert: Alert, votes: Votes = NO_VOTES) -> bool | None:
    """Tell whether an ended alert was noise; None where nobody has shown or said it.

    Votes decide. Where there are none, or as many for it as against it, an alert that somebody acknowledged was useful,
    and one that was only snoozed was noise.
    """
    if votes.useful != votes.noise:
        return votes.noise > votes.useful
    if alert.acknowledged is not None:
        return False
    return True if alert.snoozed is not None else None


def noise_of(rule_id: int, rule: Rule, alerts: Iterable[Alert], votes: Mapping[int, Votes]) -> Noise:
    """Count over the alerts that a rule took part in as it reads now; retracted ones were the prices' fault."""
    own = [one for one in alerts if one.closed_at and not one.retracted and _took_part(rule_id, rule, one)]
    judged = [one for alert in own if (one := is_noise(alert, votes.get(alert.id, NO_VOTES))) is not None]
    return Noise(noise=sum(judged), judged=len(judged))


def _took_part(rule_id: int, rule: Rule, alert: Alert) -> bool:
    return any(fact.rule_id == rule_id and fact.rule == str(rule) for fact in alert.facts)

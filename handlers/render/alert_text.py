"""Texts on alerts that several messages share: states, headlines, thresholds, track record and attribution."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum

from handlers.render import fmt
from handlers.render.markup import MINUS, code, escape, mark_simulated, plain, user_mention
from handlers.render.message import clip
from handlers.render.reasons import reason
from services.alerting.alert import Alert, RuleHit
from services.alerting.alert_news import is_recovering
from services.core.prices import Pair
from services.core.rows import complete
from services.core.text import counted
from services.core.trust import Trust, Verdict
from services.market.measure import Measurement, Window
from services.market.metrics import Direction
from services.research.attribution import Part
from services.research.follow_up import FOLLOW_UP_SESSIONS, FollowUp
from services.research.track_record import RECORD_SESSIONS, TrackRecord
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.rules.rule import Rule

FACTOR = " factor"  # after a factor's name in a sentence; a table's header says it
PERCENT = 100
CAUSE_TEXT = 110  # of the cause of degraded data in an alert
SESSIONS_PER_YEAR = 252


class AlertState(Enum):
    """What an alert's header says first; a later member wins over an earlier one."""

    FIRING = "Firing"
    ACKNOWLEDGED = "Acknowledged"
    SNOOZED = "Snoozed"
    RESOLVED = "Resolved"
    RETRACTED = "Retracted"


STATE_EMOJI = complete(
    "STATE_EMOJI",
    AlertState,
    {
        AlertState.FIRING: ":red_circle:",
        AlertState.ACKNOWLEDGED: ":eyes:",
        AlertState.SNOOZED: ":zzz:",
        AlertState.RESOLVED: ":white_check_mark:",
        AlertState.RETRACTED: ":leftwards_arrow_with_hook:",
    },
)


def alert_state(alert: Alert, now: datetime) -> AlertState:
    """Return the state of an alert at `now`."""
    if alert.closed_at is not None:
        return AlertState.RETRACTED if alert.retracted else AlertState.RESOLVED
    if alert.is_snoozed(now):
        return AlertState.SNOOZED
    return AlertState.FIRING if alert.acknowledged is None else AlertState.ACKNOWLEDGED


def state_title(alert: Alert, now: datetime) -> str:
    """Return the state and the headline: `Firing: WGMI 8.3 pp ahead of BTC over 1 session`."""
    state = alert_state(alert, now)
    match state:
        case _ if alert.is_drill:
            text = short_heading(alert.lead)
        case AlertState.RESOLVED:
            text = f"{short_heading(alert.lead)}, peak {alert_peak(alert)}"
        case AlertState.RETRACTED:
            text = f"{short_heading(alert.lead)}{_retracted_from(alert.lead)}"
        case _:
            text = heading(alert.lead)
    return mark_alert(f"{state.value}: {text}", alert)


def _retracted_from(hit: RuleHit) -> str:
    if hit.corrected_from is None:
        return ""
    return f", not {fmt.unsigned_value(hit.corrected_from, parse_rule(hit.rule).unit)}"


def mark_alert(text: str, alert: Alert) -> str:
    """Return a title or line on an alert, marked if it is a test or on simulated prices."""
    return mark_simulated(f"Test alert · {text}" if alert.is_drill else text, when=alert.simulated)


def heading(hit: RuleHit, value: float | None = None) -> str:
    """Return what the rule measured: `WGMI 8.4 pp ahead of BTC over 1 session`; of `value`, if there is one."""
    measurement = hit.measurement
    at_close = not measurement.live and measurement.window is Window.D1 and parse_rule(hit.rule).metric.windowed
    if at_close and value is None:
        closed = _headline(hit, etf=f"{measurement.pair.etf} closed", window="", value=hit.value)
        return f"{closed}, {fmt.short_day(measurement.session)}"
    window = fmt.over_window(measurement.window, measurement.session)
    return _headline(hit, etf=measurement.pair.etf, window=window, value=hit.value if value is None else value)


def short_heading(hit: RuleHit, value: float | None = None) -> str:
    """Return what the rule measured without its window: `WGMI 8.4 pp ahead of BTC`."""
    return _headline(hit, etf=hit.measurement.pair.etf, window="", value=hit.value if value is None else value)


def _headline(hit: RuleHit, *, etf: str, window: str, value: float) -> str:
    metric, pair = parse_rule(hit.rule).metric, hit.measurement.pair
    text = metric.headline.format(
        **{**_pair_fields(pair), "etf": etf},
        **_side_fields(Side.ABOVE if value >= 0 else Side.BELOW),
        spread=fmt.spread_phrase(pair, value),
        value=fmt.unsigned_value(value, metric.unit),
        signed=fmt.metric_value(value, metric.unit),
        window=window,
    )
    return text.rstrip()


def alert_subject(alert: Alert) -> str:
    """Return what an alert is about, independent of current prices: `WGMI ahead of BTC`."""
    phrase = parse_rule(alert.lead.rule).metric.phrase
    return phrase.format(**_pair_fields(alert.pair), **_side_fields(alert.side))


def _pair_fields(pair: Pair) -> dict[str, str]:
    return {"etf": pair.etf, "crypto": fmt.name(pair.crypto)}


def _side_fields(side: Side) -> dict[str, str]:
    is_above = side is Side.ABOVE
    return {"side": side.value, "move": "up" if is_above else "down", "ahead": "ahead of" if is_above else "behind"}


def alert_peak(alert: Alert) -> str:
    """Return the alert's peak in the unit that fired, without its sign."""
    return fmt.unsigned_value(alert.peak.value, parse_rule(alert.peak.rule).unit)


def time_open(alert: Alert, until: datetime) -> str:
    """Return how long an alert was open, or has been until `until`: `open for 3 h 45 min`, or `opened just now`."""
    lasted = (alert.closed_at or until) - alert.opened_at
    was = "" if alert.closed_at is None else "was "
    return f"{was}open for {fmt.duration(lasted)}" if lasted >= timedelta(seconds=1) else "opened just now"


def threshold_line(hit: RuleHit, side: Side) -> str:
    """Return a rule's value against its threshold, with its peak, any correction and its state."""
    rule = parse_rule(hit.rule)
    share = f"{PERCENT * abs(hit.value) / rule.threshold:.0f}% of the threshold"
    original = hit.corrected_from
    parts = [
        f"{code(hit.rule)} at {fmt.metric_value(hit.value, rule.unit)}",
        *([] if original is None else [f"was {fmt.metric_value(original, rule.unit)} before a correction"]),
        f"threshold {fmt.threshold(rule.threshold, rule.unit)}" if rule.unit.is_level else share,
        f"peak {fmt.metric_value(hit.peak, rule.unit)}",
    ]
    return ", ".join([*parts, *_hit_status(hit, rule, side)])


def _hit_status(hit: RuleHit, rule: Rule, side: Side) -> list[str]:
    if hit.retracted:
        return ["retracted"]
    if not hit.active:
        return [hit_end(hit)]
    return [recovery(rule, side)] if is_recovering(hit, side) else []


def recovery(rule: Rule, side: Side) -> str:
    """Return until when a recovering rule waits: `recovering, clears after 10 min below 4.8 pp`."""
    return f"recovering, clears after {fmt.duration(rule.keep)} {_cleared(rule, side)}"


def _cleared(rule: Rule, side: Side) -> str:
    is_signed = rule.metric.signed
    is_below = side is Side.BELOW if is_signed else rule.direction is Direction.BELOW
    clear = fmt.threshold(rule.clear, rule.unit, MINUS if is_signed and is_below else "")
    return f"{'above' if is_below else 'below'} {clear}"


def hit_end(hit: RuleHit) -> str:
    """Return why a rule no longer keeps its alert open: `cleared`, or `paused by @ann`."""
    if hit.ended is None:
        return "ended"
    return f"{hit.ended.value}{f' by {user_mention(hit.ended_by)}' if hit.ended_by else ''}"


def fires_at(rule: Rule) -> str:
    """Return the values at which a rule fires: `±8 pp`, `+8 pp or more`, `0.4 or less`, `60% or deeper`."""
    threshold, metric = fmt.threshold(rule.threshold, rule.unit), rule.metric
    if metric.magnitude is not None:
        return f"{threshold} or {metric.magnitude.comparative}"
    if rule.unit.is_level:
        return f"{threshold} or {'less' if rule.direction is Direction.BELOW else 'more'}"
    match rule.direction:
        case Direction.EITHER:
            return fmt.threshold(rule.threshold, rule.unit, "±")
        case Direction.ABOVE:
            return f"{fmt.threshold(rule.threshold, rule.unit, '+')} or more"
        case Direction.BELOW:
            return f"{fmt.threshold(rule.threshold, rule.unit, MINUS)} or less"


def describe_rule(rule: Rule) -> str:
    """Return when a rule fires and clears: `±8 pp · hold 5 min · clear 4.8 pp`."""
    parts = [
        fires_at(rule),
        "at the close" if rule.at_close else f"hold {fmt.duration(rule.hold)}",
        f"clear {fmt.threshold(rule.clear, rule.unit)}",
        *([f"keep {fmt.duration(rule.keep)}"] if rule.keep else []),
        *([f"repeat every {fmt.duration(rule.repeat)}"] if rule.repeat else []),
    ]
    return " · ".join(parts)


def clear_text(rule: Rule, side: Side) -> str:
    """Return when a rule that fired on a side clears: `clears below 4.8 pp`, `clears above −4.8 pp`."""
    keep = f" for {fmt.duration(rule.keep)}" if rule.keep else ""
    return f"clears {_cleared(rule, side)}{keep}"


def rank_text(alert: Alert) -> str:
    """Return how unusual the leading value is: `*99th percentile* of 252 sessions`; empty if that is unknown."""
    measurement, metric = alert.lead.measurement, parse_rule(alert.lead.rule).metric
    fit = metric.fit and metric.fit(measurement)
    if fit:
        phrase = fmt.correlation(fit)
        return f"{phrase[:1].upper()}{phrase[1:]}"
    rank = metric.rank
    if rank is None:
        return ""
    if not measurement.window.is_short:
        sigma = rank.sigma(measurement)
        return "" if sigma is None else f"*{fmt.sigma(sigma)}* for {fmt.sessions(measurement.sessions)}"
    percentile = rank.percentile(measurement)
    return "" if percentile is None else percentile_text(percentile, widest=metric.is_divergence)


def percentile_text(percentile: float, *, widest: bool) -> str:
    """Return a percentile in bold with its base: `*99th percentile* of 252 sessions`, `*Widest* of 252 sessions`."""
    phrase = fmt.percentile_phrase(percentile)
    is_extreme = percentile >= PERCENT or percentile <= 0
    shown = ("Widest" if widest else phrase.capitalize()) if is_extreme else phrase
    return f"*{shown}* of {fmt.LOOKBACK}"


def z_text(measurement: Measurement, rule: Rule) -> str:
    """Return the robust z of a short window: `robust z +3.4`; empty if there is none."""
    z = rule.metric.rank.z(measurement) if rule.metric.rank and measurement.window.is_short else None
    return "" if z is None else f"robust z {fmt.signed(z)}"


def data_text(trust: Trust) -> str:
    """Return the data quality with its first cause: `Data OK`, or `:warning: Data degraded: WGMI from Yahoo only`."""
    if trust.verdict is Verdict.OK:
        return "Data OK"
    causes = [reason(why) for why in trust.reasons]
    more = f" (+{len(causes) - 1} more)" if len(causes) > 1 else ""
    cause = f": {_shortened(causes[0])}{more}" if causes else ""
    return f":warning: Data {trust.verdict.value}{cause}"


def _shortened(cause: str) -> str:
    return cause if len(plain(cause)) <= CAUSE_TEXT else clip(plain(cause), CAUSE_TEXT)


def record_text(record: TrackRecord, rule: str, side: Side) -> str:
    """Return which alert of its rule this is: ``23rd alert from `1d 8pp` in 2 years, about 11 a year.``."""
    opposite = record.open_side is not None and record.open_side is not side
    number = record.episodes + opposite + 1
    span = record_span(record)
    if number == 1:
        return f"First alert from {code(rule)} in {span}."
    per_year = number * SESSIONS_PER_YEAR / record.sessions
    rate = f", about {per_year:.0f} a year" if record.sessions >= SESSIONS_PER_YEAR else ""
    return f"{fmt.ordinal(number)} alert from {code(rule)} in {span}{rate}."


def record_span(record: TrackRecord) -> str:
    """Return the history of a track record: `2 years`, or `120 sessions` if it is shorter."""
    return "2 years" if record.sessions >= RECORD_SESSIONS else fmt.sessions(record.sessions)


def outcome_lines(record: TrackRecord) -> list[str]:
    """Return what followed the earlier alerts of a rule."""
    lines = []
    if record.median_length is not None:
        earlier = f"{counted(record.episodes, 'alert')} in {record_span(record)}"
        median = "" if record.episodes == 1 else "median "
        lines.append(f"{earlier}: {median}{fmt.sessions(record.median_length)} to clear.")
    return [*lines, *([follow_up_line(record.follow_up, record.follow_up_since)] if record.follow_up else [])]


def follow_up_line(follow_up: FollowUp, since: date | None = None) -> str:
    """Return how often the gap was closed 5 sessions later: its interval and chance, or with few cases the count alone.

    `since` is the first session that it counts, for messages that do not say it elsewhere.
    """
    cases = f"{follow_up.closed} of {follow_up.cases} separate {'case' if follow_up.cases == 1 else 'cases'}"
    cases += f" since {fmt.full_day(since)}" if since else ""
    line = f"{fmt.sessions(FOLLOW_UP_SESSIONS)} later, the gap was closed in {cases}"
    if follow_up.interval is None:
        return f"{line}."
    low, high = (f"{PERCENT * end:.0f}" for end in follow_up.interval)
    chance = "" if follow_up.chance is None else f"; chance {PERCENT * follow_up.chance:.0f}%"
    verdict = " No clear difference from chance." if follow_up.chance is not None and follow_up.is_like_chance else ""
    return f"{line} (90% interval {low}–{high}%{chance}).{verdict}"


@dataclass(frozen=True, slots=True)
class FactorPart:
    """One part of a return attribution, named as in a phrase."""

    name: str
    part: Part


def attribution_parts(alert: Alert) -> list[FactorPart]:
    """Return the parts of the ETF's return when the leading rule fired; none if they are unknown."""
    attribution = alert.lead.attribution
    if attribution is None:
        return []
    return [
        FactorPart(f"{fmt.name(alert.pair.crypto)}{FACTOR}", attribution.crypto),
        FactorPart(f"AI{FACTOR} ({escape(attribution.proxy)})", attribution.ai),
        FactorPart("residual", attribution.residual),
    ]


def attribution_lines(alert: Alert) -> list[str]:
    """Return the attribution of the ETF's return when the leading rule fired; nothing if it is unknown."""
    if alert.lead.attribution is None:
        return []
    parts = [f"{row.name} {fmt.pp_with_error(row.part.amount, row.part.error)}" for row in attribution_parts(alert)]
    return [attribution_title(alert), " · ".join(parts)]


def attribution_title(alert: Alert) -> str:
    """Return the heading of an attribution: `*What drove WGMI's +3.1%*`; empty if it is unknown."""
    attribution = alert.lead.attribution
    return f"*What drove {alert.pair.etf}'s {fmt.percent(attribution.etf_return)}*" if attribution else ""

"""The Slack message of one alert. Its shape is the same in every state; only words and buttons change."""

from datetime import datetime

from handlers.render import fmt
from handlers.render.alert_text import (
    STATE_EMOJI,
    AlertState,
    alert_state,
    data_text,
    rank_text,
    recovery,
    state_title,
    time_open,
)
from handlers.render.fmt import NEW_YORK
from handlers.render.markup import code, plain, user_mention
from handlers.render.message import (
    ALERT_PUSH_TEXT,
    SHORT_LIST_TEXT,
    Block,
    Message,
    actions,
    button,
    clip,
    compose,
    context,
    fit_lines,
    header,
    notification,
    overflow,
    section,
    select_menu,
)
from handlers.render.reasons import Text, reason, user_reason
from services.alerting.alert import Alert, HitEnd, RuleHit
from services.alerting.alert_news import is_recovering
from services.alerting.snooze import DURATIONS, SnoozeUntil
from services.core.identity import Mention
from services.core.prices import PriceStamp, Symbol
from services.core.reason import Code, Reason
from services.market.mining_economics import MiningEconomics
from services.rules.grammar import parse_rule

THIS_IS_A_TEST = "this is a test; no rule fired"
NOTE_TEXT = 200  # of a person's reason in the message
MENU = "more"  # action_id of the menu of rarer actions; the value of an option is `action:number`


def alert_message(alert: Alert, now: datetime, *, mention: Mention | None = None) -> Message:
    """Return the message of `alert` as of `now`; `mention`, if any, comes right after the title.

    Everything needed on a phone at night comes before the buttons. Context, chart and sources are in the thread.
    """
    title, body = state_title(alert, now), _body_lines(alert, now)
    mentions = [] if mention is None else [f"{mention.text}, please acknowledge."]
    return compose(
        [
            header(title),
            section(*mentions),
            section(_status_line(alert, now)),
            section(*body, accessory=_menu(alert)),
            context(" · ".join(_context_parts(alert, now))),
            actions(*_buttons(alert, now)),
        ],
        push_text(alert, now, mention),
    )


def push_text(alert: Alert, now: datetime, mention: Mention | None = None) -> list[str]:
    """Return the text of the alert's notification: its state first."""
    called = f"{mention.name} " if mention else ""
    first = f"{called}{state_title(alert, now)} (alert {alert.id})."
    state = alert_state(alert, now)
    separator = ". " if parse_rule(alert.lead.rule).metric.needs_network else ", "
    rest = [f"{separator.join(map(plain, _leg_lines(alert)[:2]))}.", f"{plain(rank_text(alert))}."]
    match state:
        case AlertState.RESOLVED:
            rest = [f"{_capitalized(time_open(alert, now))}."]
        case AlertState.RETRACTED:
            rest = [f"{_capitalized(plain(reason(alert.reason)))}."]
        case AlertState.FIRING:
            rule = f"{_capitalized(THIS_IS_A_TEST)}." if alert.is_drill else f"Rule {_rule_news(alert)}."
            rest = [*rest, rule, "Not acknowledged."]
    return notification(first, *(text for text in rest if text != "."), limit=ALERT_PUSH_TEXT)


def _rule_news(alert: Alert) -> str:
    """Return the leading rule, and that it is recovering if it is."""
    hit = alert.lead
    return (
        f"{hit.rule} {plain(recovery(parse_rule(hit.rule), alert.side))}"
        if is_recovering(hit, alert.side)
        else hit.rule
    )


def _status_line(alert: Alert, now: datetime) -> str:
    """Return the alert's number, and who acted or since when."""
    state = alert_state(alert, now)
    what = f"since {fmt.instant(alert.opened_at)}"
    if state is AlertState.ACKNOWLEDGED and alert.acknowledged:
        what = f"by {user_mention(alert.acknowledged.by)} at {at_time(alert.acknowledged.at, now)}"
    elif state is AlertState.SNOOZED and alert.snoozed and alert.snoozed.until:
        what = f"by {user_mention(alert.snoozed.by)} until {at_time(alert.snoozed.until, now)}"
    elif alert.closed_at:
        what = fmt.instant(alert.closed_at) if state is AlertState.RETRACTED else time_open(alert, now)
    return f"{STATE_EMOJI[state]} Alert #{alert.id} · {what}"


def at_time(at: datetime, now: datetime) -> str:
    """Return the time of day, with the date if that is another one in New York."""
    same_day = at.astimezone(NEW_YORK).date() == now.astimezone(NEW_YORK).date()
    return fmt.clock_time(at) if same_day else fmt.instant(at)


def _body_lines(alert: Alert, now: datetime) -> list[str]:
    """Return both legs and how unusual the value is; of a closed alert, how it ended."""
    if alert_state(alert, now) is AlertState.RETRACTED:
        return [f"Corrected prices: {reason(alert.reason)}."]
    if alert.closed_at is not None:
        return [*_leg_lines(alert), end_text(alert)]
    hit, rule = alert.lead, parse_rule(alert.lead.rule)
    rank = rank_text(alert)
    spread = (
        []
        if rule.metric.name == "spread" or not rule.metric.is_divergence
        else [f"Spread *{fmt.pp(hit.measurement.spread)}*"]
    )
    news = (
        [f"{code(hit.rule)} {recovery(rule, alert.side)}"] if is_recovering(hit, alert.side) else _widened(alert, now)
    )
    return [*_leg_lines(alert), ", ".join([*spread, *([rank] if rank else [])]), *news]


def _widened(alert: Alert, now: datetime) -> list[str]:
    widened, metric = alert.lead.widened, parse_rule(alert.lead.rule).metric
    if widened is None:
        return []
    by = fmt.unsigned_value(widened.by, metric.unit)
    return [f":chart_with_upwards_trend: {metric.widened} by *{by}* at {at_time(widened.at, now)}"]


def _leg_lines(alert: Alert) -> list[str]:
    """Return each leg's return over the leading window and its price; mining alerts show mining figures first."""
    measurement, metric = alert.lead.measurement, parse_rule(alert.lead.rule).metric
    etf = _leg(alert.pair.etf, measurement.etf_return, alert.etf)
    crypto = _leg(alert.pair.crypto, measurement.crypto_return, alert.crypto)
    if metric.needs_network and measurement.mining:
        return [*_mining_lines(measurement.mining), crypto, etf]
    if metric.implied:
        closed = f"{alert.pair.etf} closed at {fmt.price(alert.etf.price)}"
        return [f"{fmt.name(alert.pair.crypto)} {fmt.price(alert.crypto.price)}", closed]
    return [etf, crypto]


def _mining_lines(economics: MiningEconomics) -> list[str]:
    return [
        f"Hashprice *{fmt.percent(economics.hashprice_change)}* to {fmt.price(economics.hashprice)}/PH/s/day",
        f"Difficulty *{fmt.percent(economics.difficulty_change)}* to {fmt.difficulty(economics.difficulty)}",
    ]


def _leg(symbol: Symbol, change: float, stamp: PriceStamp) -> str:
    return f"{fmt.name(symbol)} *{fmt.percent(change)}* to {fmt.price(stamp.price)}"


def end_text(alert: Alert) -> str:
    """Return how a closed alert ended, in one line: ``Resolved by @dana: earnings``, ``Cleared: …``."""
    why = alert.reason
    if alert.closed_by is None:
        return f"{_capitalized(reason(_of_only_rule(alert, why)))}."
    who = user_mention(alert.closed_by)
    if isinstance(why, Reason) and why.code is Code.ENDED_BY_HAND:
        note = str(dict(why.params).get("note") or "")
        shown = f": {clip(user_reason(note), NOTE_TEXT)}" if note else ""
        return f"Resolved by {who}{shown}"
    return f"{who} {user_reason(why)}."


def _of_only_rule(alert: Alert, why: Text) -> Text:
    """Return the reason without the rule that it names, if that is the alert's only one."""
    if len(alert.hits) > 1 or not isinstance(why, Reason) or why.code is not Code.OF_RULE:
        return why
    inner = dict(why.params).get("reason")
    return inner if isinstance(inner, Reason) else why


def _capitalized(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _context_parts(alert: Alert, now: datetime) -> list[str]:
    """Return the small print: since when, the rules, the base close, and the data quality with its time."""
    state = alert_state(alert, now)
    acted = state is not AlertState.FIRING and alert.acknowledged is not None and state is not AlertState.ACKNOWLEDGED
    acknowledged = [f"acknowledged by {user_mention(alert.acknowledged.by)}"] if acted and alert.acknowledged else []
    opened = "since" if alert.closed_at is None else "fired"
    since = [] if state is AlertState.FIRING else [f"{opened} {fmt.instant(alert.opened_at)}"]
    uncounted = ["not counted in the rule's track record"] if state is AlertState.RETRACTED else []
    parts = [*acknowledged, *since, _rules_text(alert), *_base_parts(alert), *uncounted, _data_part(alert, now)]
    return [_capitalized(parts[0]), *parts[1:]]


def _rules_text(alert: Alert) -> str:
    if alert.is_drill:
        return THIS_IS_A_TEST
    hits = [code(hit.rule) + _ended_note(alert, hit) for hit in alert.hits]
    return f"{'rule' if len(hits) == 1 else 'rules'} {', '.join(fit_lines(hits, SHORT_LIST_TEXT, ' rules'))}"


def _ended_note(alert: Alert, hit: RuleHit) -> str:
    return f" {hit.ended.value}" if alert.closed_at is None and hit.ended not in (None, HitEnd.RESOLVED) else ""


def _base_parts(alert: Alert) -> list[str]:
    measurement, metric = alert.lead.measurement, parse_rule(alert.lead.rule).metric
    parts = [f"vs {fmt.day_in(measurement.anchor, measurement.session.year)} close"] if metric.windowed else []
    if measurement.crypto_since and metric.magnitude:
        parts.append(f"high since {fmt.full_day(measurement.crypto_since)}")
    return [*parts, *(["excludes fees"] if metric.needs_network else [])]


def _data_part(alert: Alert, now: datetime) -> str:
    """Return the data quality and the time of the prices; both times if the legs' differ."""
    network = parse_rule(alert.lead.rule).metric.needs_network
    oldest = alert.crypto.at if network else min(alert.etf.at, alert.crypto.at)
    newest = max(alert.etf.at, alert.crypto.at)
    as_of = f"{f'{fmt.name(alert.pair.crypto)} ' if network else ''}as of {at_time(oldest, now)}"
    if oldest != newest and not network:
        older = alert.pair.etf if alert.etf.at < alert.crypto.at else alert.pair.crypto
        newer = alert.pair.crypto if older == alert.pair.etf else alert.pair.etf
        as_of = f"{fmt.name(older)} {as_of}, {fmt.name(newer)} as of {at_time(newest, now)}"
    return f"{data_text(alert.trust)}, {as_of}"


def _menu(alert: Alert) -> Block:
    """Return the menu of rarer actions that apply to the alert's state."""
    number = str(alert.id)
    only = alert.hits[0].rule_id if len(alert.hits) == 1 else None
    edit = {f"edit_rule:{only}": f"Edit rule {only}…"} if only is not None else {f"rules:{number}": "Edit rules…"}
    is_open = alert.closed_at is None
    options = {
        f"chart:{number}": "Show chart",
        **({f"resolve:{number}": "Resolve…"} if is_open else {}),
        **({} if alert.is_drill else edit),
        f"receipt:{number}": "Show audit log",
        **({f"noise:{number}": "Mark as noise"} if is_open and not alert.is_drill else {}),
    }
    return overflow(MENU, options)


def _buttons(alert: Alert, now: datetime) -> list[Block]:
    """Return the buttons of the alert's state, at most three."""
    number, state = str(alert.id), alert_state(alert, now)
    named = f"alert {number}"
    acknowledge = button("acknowledge", "Acknowledge", number, primary=True, names=f"Acknowledge {named}")
    unacknowledge = button("unacknowledge", "Unacknowledge", number, names=f"Remove the acknowledgement of {named}")
    details = button("details", "Details", number, names=f"Details of {named}")
    match state:
        case AlertState.RETRACTED:
            return [details]
        case AlertState.RESOLVED:
            return [*([] if alert.is_drill else vote_buttons(alert)), details]
        case AlertState.SNOOZED:
            unsnooze = button("unsnooze", "Unsnooze", number, names=f"End the snooze of {named}")
            return [unsnooze, unacknowledge if alert.acknowledged else acknowledge, details]
        case _:
            return [unacknowledge if alert.acknowledged else acknowledge, snooze_menu(alert), details]


def vote_buttons(alert: Alert) -> list[Block]:
    """Return the feedback buttons of a resolved alert."""
    number = str(alert.id)
    return [
        button("useful", "Mark Useful", number, names=f"Mark alert {number} as useful"),
        button("noise", "Mark Noise", number, names=f"Mark alert {number} as noise"),
    ]


def snooze_menu(alert: Alert) -> Block:
    """Return the menu of snooze lengths."""
    return select_menu("snooze", "Snooze", {f"{alert.id}:{until.value}": _snooze_label(until) for until in SnoozeUntil})


def _snooze_label(until: SnoozeUntil) -> str:
    if until in DURATIONS:
        return fmt.duration(DURATIONS[until])
    return "Until close" if until is SnoozeUntil.CLOSE else "Until next open"

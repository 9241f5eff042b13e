"""One notice to each channel whose rules are not offered any more: they keep running, with the closest rule named."""

from datetime import datetime

from services.alerting.notice import Notice, RetiredRule, RetiredRules
from services.alerting.ports import ChannelRule
from services.alerting.rule_index import RuleIndex
from services.channels.ports import ChannelStore
from services.core.identity import Channel
from services.rules.rule import successor_of

NAME = "retired rules"  # unique in a channel, so that it is posted once


async def send_retired_rule_notices(store: ChannelStore, rule_index: RuleIndex, now: datetime) -> int:
    """Post one notice in each channel that watches rules which cannot be added any more; return the number posted."""
    found: dict[Channel, list[RetiredRule]] = {}
    for index in (await rule_index.pairs()).values():
        for channel_rule in index.rules:
            if retired := _retired(channel_rule):
                found.setdefault(channel_rule.channel, []).append(retired)
    notices = [
        Notice(id=0, channel=channel, name=NAME, content=RetiredRules(rules=tuple(rules)), opened_at=now, closed_at=now)
        for channel, rules in found.items()
    ]
    return await store.add_notices(notices, now) if notices else 0


def _retired(channel_rule: ChannelRule) -> RetiredRule | None:
    successor = successor_of(channel_rule.rule)
    if successor is None:
        return None
    return RetiredRule(id=channel_rule.id, rule=str(channel_rule.rule), successor=str(successor))

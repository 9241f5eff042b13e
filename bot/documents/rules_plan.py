"""The document of `minerpulse rules diff` and `apply` with `--json`."""

from collections.abc import Mapping
from typing import Annotated

from typing_extensions import TypedDict

from bot.documents.fields import About, Count, RuleText, Versioned, schema_id
from services.channels.rules_file import Action, Drift, Plan
from services.research.service import RulePreview
from services.rules.rule import Rule


class RuleChangeFields(TypedDict):
    """A change to a rule."""

    channel: str
    action: Annotated[Action, About("`take`: the file manages it from now on; `release`: it no longer does")]
    key: Annotated[str, About("name of the rule in its file; empty if no file manages it")]
    rule_id: Annotated[int | None, About("number of the rule in Slack; null for a new one")]
    before: RuleText | None
    after: RuleText | None
    keeps_alert: Annotated[bool | None, About("whether its open alert stays open; null without one")]
    alerts_before: Annotated[
        Count | None, About("alerts in two years under the rule before the change; null if unknown")
    ]
    alerts_after: Annotated[Count | None, About("alerts in two years under the rule after the change; null if unknown")]


class DriftFields(TypedDict):
    """A rule that was changed outside its file."""

    channel: str
    drift: Drift
    key: Annotated[str, About("name of the rule in its file")]
    rule_id: int
    made: Annotated[RuleText, About("rule as the file created it")]
    found: Annotated[RuleText | None, About("rule as it is now; null if it was removed")]


class SettingChangeFields(TypedDict):
    """A setting that changes."""

    channel: str
    setting: Annotated[str, About("name of the setting, as typed; `page` for paging routes")]
    before: str
    after: str


class RulesDocument(Versioned):
    """What a rules file changes."""

    file: Annotated[str, About("name of the file")]
    workspace: str
    revision: Annotated[str, About("state of the channels, for `minerpulse rules apply --revision`")]
    applied: bool
    rules: list[RuleChangeFields]
    drift: list[DriftFields]
    settings: list[SettingChangeFields]


def rules_document(plan: Plan, previews: Mapping[Rule, RulePreview], *, applied: bool) -> RulesDocument:
    """Return the document of a plan."""
    return {
        "schema": schema_id("rules"),
        "file": plan.file.name,
        "workspace": plan.file.team,
        "revision": plan.revision,
        "applied": applied,
        "rules": [
            {
                "channel": channel.wanted.id,
                "action": one.action,
                "key": one.key,
                "rule_id": one.rule_id,
                "before": None if one.before is None else str(one.before),
                "after": None if one.after is None else str(one.after),
                "keeps_alert": one.keeps_alert,
                "alerts_before": alert_count(one.before, previews),
                "alerts_after": alert_count(one.after, previews),
            }
            for channel in plan.channels
            for one in channel.rules
        ],
        "drift": [
            {
                "channel": channel.wanted.id,
                "drift": one.drift,
                "key": one.key,
                "rule_id": one.rule_id,
                "made": one.made,
                "found": one.found or None,
            }
            for channel in plan.channels
            for one in channel.drifts
        ],
        "settings": [
            {"channel": channel.wanted.id, "setting": one.word, "before": one.before, "after": one.after}
            for channel in plan.channels
            for one in channel.setting_plans
        ],
    }


def alert_count(rule: Rule | str | None, previews: Mapping[Rule, RulePreview]) -> int | None:
    """Return how often a rule would have fired in two years; None if that is unknown."""
    preview = previews.get(rule) if isinstance(rule, Rule) else None
    return None if preview is None or preview.since is None else preview.firings

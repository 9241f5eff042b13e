"""`minerpulse rules` keeps the rules and settings of channels in a file."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
import yaml
from jsonschema import Draft202012Validator

from bot.rules_files import RulesFileReader, file_schema
from handlers.render.notices import notice_message
from services.alerting.notice import Notice
from services.alerting.ports import RuleAuditKind, RuleChange, SettingChange
from services.core.identity import Channel
from services.delivery.ports import NoticeMessage
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.bot.conftest import ROOT, CliResult, RunCli
from tests.bot.documents.test_schemas import IS_WRITING
from tests.fakes.alerts import AT, CHANNEL, removal

HERE = "sqlite:///minerpulse.db"
SCHEMA = ROOT / "docs" / "schemas" / "rules-file.v1.json"
EVERYTHING = """\
version: 1
workspace: T1
channels:
- id: C1
  rules:
  - {key: day, rule: 1d 8pp}
  - {key: 'off', rule: 20d residual 10pp for 10m keep 10m on MARA/BTC, paused: true}
  - {key: week, rule: 5d 15pp above clear 10pp}
  settings: {mention: S012ONCALL, remind: 15m, escalate: 30m C9876ABCD, quiet: '22:00-07:00', zone: Europe/London,
    thread: steps, broadcast: 'on', daily: 'on', editors: U0123ABCD W0123ABCD, brief: open close}
  routes:
  - {sink: desk, rule: week, severity: critical, always: true}
  - {sink: mail}
- id: C9876ABCD
  settings: {accept-escalations: 'on'}
"""
SMALL = """\
version: 1
workspace: T1
channels:
  - id: C1
    name: mining-desk
    rules:
      - {key: day, rule: "1d 8pp"}
      - {key: week, rule: "5d 15pp"}
"""
Result = TypeVar("Result")


@pytest.fixture(autouse=True)
def _database(clean: Path, simulated: None) -> None:  # noqa: ARG001 -- for their effect
    run_on(lambda _: asyncio.sleep(0), create=True)


def run_on(work: Callable[[SqlStore], Awaitable[Result]], url: str = HERE, *, create: bool = False) -> Result:
    """Run a function on a database."""

    async def run() -> Result:
        async with aclosing(await SqlStore.open(url, create=create)) as store:
            return await work(store)

    return asyncio.run(run())


def rules(channel: Channel = CHANNEL) -> list[str]:
    return [str(one.rule) for one in run_on(lambda store: store.rules(channel))]


def write(text: str, name: str = "rules.yaml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def apply(minerpulse: RunCli, *options: str, name: str = "rules.yaml") -> CliResult:
    result = minerpulse("rules", "apply", name, "--yes", "--offline", *options)
    assert (0, "") == (result.code, result.err)
    return result


def sinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Define two sinks."""
    path = write(
        '[desk]\ntype = "pagerduty"\nsecret = "env:DESK"\n[mail]\ntype = "pagerduty"\nsecret = "env:DESK"\n', "s.toml"
    )
    path.chmod(0o600)
    monkeypatch.setenv("DESK", "a" * 32)
    monkeypatch.setenv("MINERPULSE_SINKS_FILE", str(path.absolute()))


def test_an_export_applied_to_an_empty_database_is_exported_identically(
    minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    sinks(monkeypatch)
    write(EVERYTHING)
    apply(minerpulse)
    first = minerpulse("rules", "export").out
    write(first, "first.yaml")
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", "sqlite:///other.db")
    run_on(lambda _: asyncio.sleep(0), "sqlite:///other.db", create=True)
    apply(minerpulse, name="first.yaml")

    assert yaml.safe_load(EVERYTHING) == yaml.safe_load(first)
    assert first == minerpulse("rules", "export").out
    assert "No changes." in minerpulse("rules", "diff", "first.yaml", "--offline").out


def test_rules_made_in_slack_are_exported_and_taken_over_with_keys_of_their_text(minerpulse: RunCli) -> None:
    texts = ["5d 15pp above clear 10pp", "5d 15pp above clear 10pp keep 10m", "1d z3.5"]
    run_on(lambda store: store.add_rules(CHANNEL, [parse_rule(one) for one in texts], "U1", AT))
    exported = minerpulse("rules", "export", "--json").out
    write(exported, "rules.json")
    (channel,) = json.loads(exported)["channels"]
    taken = apply(minerpulse, name="rules.json")

    assert {
        "1d-z3-5": "1d z3.5",
        "5d-15pp-above-clear-10pp": "5d 15pp above clear 10pp",
        "5d-15pp-above-clear-10pp-keep-10": "5d 15pp above clear 10pp keep 10m",
    } == {one["key"]: one["rule"] for one in channel["rules"]}
    assert "rule 3: 1d z3.5, managed by this file from now on" in taken.out
    assert texts == rules()
    assert exported == minerpulse("rules", "export", "--json").out


def test_the_plan_shows_each_change_with_its_alerts_of_two_years(minerpulse: RunCli) -> None:
    write(SMALL.replace("5d 15pp", "5d 12pp").replace("1d 8pp", "20d 30pp"))
    apply(minerpulse)
    write(SMALL.replace("key: day", "key: other"))
    result = minerpulse("rules", "diff", "rules.yaml", "--exit-code")
    plan = json.loads(minerpulse("rules", "diff", "rules.yaml", "--json").out)

    assert 3 == result.code
    assert "C1 (mining-desk)" in result.out
    (added, changed, removed) = plan["rules"]
    assert f"  + other          1d 8pp; {added['alerts_after']} alert" in result.out
    counts = f"{changed['alerts_before']} → {changed['alerts_after']} alerts in 2 years"
    assert f"  ~ week           rule 2: 5d 12pp → 5d 15pp; {counts}" in result.out
    assert f"  - day            rule 1: 20d 30pp; {removed['alerts_before']} alert" in result.out
    assert f"1 to add, 1 to change, 1 to remove. Revision {plan['revision']}." in result.out
    assert changed["alerts_before"] > changed["alerts_after"] >= 0
    assert ["20d 30pp", "5d 12pp"] == rules()


def test_a_plan_is_applied_only_if_the_channel_is_as_it_was(minerpulse: RunCli) -> None:
    write(SMALL)
    revision = json.loads(minerpulse("rules", "diff", "rules.yaml", "--offline", "--json").out)["revision"]
    run_on(lambda store: store.add_rules(CHANNEL, [parse_rule("20d 30pp")], "U1", AT))
    refused = minerpulse("rules", "apply", "rules.yaml", "--yes", "--offline", "--revision", revision)
    kept = rules()
    current = json.loads(minerpulse("rules", "diff", "rules.yaml", "--offline", "--json").out)["revision"]
    apply(minerpulse, "--revision", current)

    assert 1 == refused.code
    assert (
        f"The channels have changed since the plan {revision} (now {current}), so nothing was applied." in refused.err
    )
    assert ["20d 30pp"] == kept
    assert ["1d 8pp", "5d 15pp"] == rules()


def test_a_change_is_posted_in_the_channel_and_kept_in_the_audit_log_with_who_made_it(minerpulse: RunCli) -> None:
    run_on(lambda store: store.add_rules(CHANNEL, [parse_rule("20d 30pp")], "U1", AT))
    write(SMALL + "    settings: {quiet: 22:00-07:00}\n")
    apply(minerpulse, "--as", "dana")

    async def read(store: SqlStore) -> tuple[list[Notice], list[str], list[SettingChange]]:
        waiting = await store.due(AT + timedelta(days=3_650))
        notices = [one.message.notice for one in waiting if isinstance(one.message, NoticeMessage)]
        audits = [f"{one.kind.value} {one.by}" for one in await store.rule_audits(CHANNEL, 3)]
        return notices, audits, await store.channel_changes(CHANNEL, 1)

    (notice,), audits, (setting,) = run_on(read)
    who = "file:rules.yaml (dana)"
    assert (
        "The rules file rules.yaml (dana) removed the rule 20d 30pp, added the rule 1d 8pp, added the rule "
        "5d 15pp, changed a channel setting: quiet 22:00-07:00."
    ) == notice_message(notice).text
    assert [f"added {who}", f"added {who}", f"removed {who}"] == audits
    assert (who, "quiet 22:00-07:00") == (setting.by, setting.summary)


async def edited_by_other_means(store: SqlStore) -> None:
    first, second = await store.rules(CHANNEL)
    edited = RuleChange(kind=RuleAuditKind.EDITED, channel_rule=first, by="U1", rule=parse_rule("1d 9pp"))
    await store.record([], [], AT, rules=[edited, removal(second)])


def test_drift_is_shown_and_undone(minerpulse: RunCli) -> None:
    write(SMALL)
    apply(minerpulse)
    run_on(edited_by_other_means)
    shown = minerpulse("rules", "diff", "rules.yaml", "--offline", "--exit-code")
    apply(minerpulse)

    assert 3 == shown.code
    assert "  ! day            rule 1: edited outside the file: 1d 8pp → 1d 9pp" in shown.out
    assert "  ! week           rule 2: removed outside the file: 5d 15pp" in shown.out
    assert "1 to add, 1 to change, 2 changed outside the file." in shown.out
    assert ["1d 8pp", "5d 15pp"] == rules()
    assert 0 == minerpulse("rules", "diff", "rules.yaml", "--offline", "--exit-code").code


async def pause_first(store: SqlStore) -> None:
    first, *_ = await store.rules(CHANNEL)
    await store.record([], [], AT, rules=[RuleChange(kind=RuleAuditKind.PAUSED, channel_rule=first, by="U1")])


def is_paused() -> list[bool]:
    return [one.paused_at is not None for one in run_on(lambda store: store.rules(CHANNEL))]


def test_a_rule_that_was_paused_in_slack_stays_paused_until_it_is_asked_for(minerpulse: RunCli) -> None:
    write(SMALL)
    apply(minerpulse)
    run_on(pause_first)
    shown = minerpulse("rules", "diff", "rules.yaml", "--offline", "--exit-code")
    apply(minerpulse)
    kept = is_paused()
    apply(minerpulse, "--unpause")

    assert 3 == shown.code
    assert "! day            rule 1: 1d 8pp was paused in Slack; --unpause resumes it" in shown.out
    assert ([True, False], [False, False]) == (kept, is_paused())


def test_a_file_pauses_and_resumes_its_rules(minerpulse: RunCli) -> None:
    write(SMALL)
    apply(minerpulse)
    write(SMALL.replace('"1d 8pp"}', '"1d 9pp", paused: true}'))
    apply(minerpulse)
    paused = is_paused()
    write(SMALL)
    apply(minerpulse)

    assert ([True, False], [False, False]) == (paused, is_paused())
    assert ["1d 8pp", "5d 15pp"] == rules()


def test_only_listed_rules_are_managed_if_the_file_says_so(minerpulse: RunCli) -> None:
    run_on(lambda store: store.add_rules(CHANNEL, [parse_rule("20d 30pp")], "U1", AT))
    listed = SMALL.replace("    rules:", "    manage: listed\n    rules:")
    write(listed)
    apply(minerpulse)
    write(listed.replace('      - {key: week, rule: "5d 15pp"}\n', ""))
    released = apply(minerpulse)

    assert ["20d 30pp", "1d 8pp", "5d 15pp"] == rules()
    assert "  ~ week           rule 3: 5d 15pp, no longer managed by this file" in released.out
    assert ["day"] == [one.key for one in run_on(lambda store: store.managed_rules(CHANNEL))]


def test_a_channel_that_the_file_drops_keeps_its_rules_unmanaged(minerpulse: RunCli) -> None:
    write(SMALL)
    apply(minerpulse)
    write("version: 1\nworkspace: T1\nchannels: []\n")
    apply(minerpulse)

    assert ["1d 8pp", "5d 15pp"] == rules()
    assert [] == run_on(lambda store: store.managed_rules(CHANNEL))


def test_rules_of_another_file_are_only_changed_if_asked(minerpulse: RunCli) -> None:
    write(SMALL)
    apply(minerpulse)
    write(SMALL.replace("1d 8pp", "1d 9pp"), "other.yaml")
    refused = minerpulse("rules", "apply", "other.yaml", "--yes", "--offline")
    kept = rules()
    apply(minerpulse, "--take-over", name="other.yaml")

    assert 1 == refused.code
    assert "C1: rules.yaml/day manages rule 1 (`1d 8pp`). Remove it there, or use --take-over." in refused.err
    assert (["1d 8pp", "5d 15pp"], ["1d 9pp", "5d 15pp"]) == (kept, rules())
    assert {"other.yaml"} == {one.file for one in run_on(lambda store: store.managed_rules(CHANNEL))}


def test_nothing_is_applied_without_a_terminal_to_ask_on(minerpulse: RunCli) -> None:
    write(SMALL)
    refused = minerpulse("rules", "apply", "rules.yaml")
    looked = minerpulse("rules", "apply", "rules.yaml", "--dry-run", "--offline", "--json")

    assert 2 == refused.code
    assert "There is no terminal to ask for confirmation. Use --yes, or --dry-run to preview." in refused.err
    assert (0, False) == (looked.code, json.loads(looked.out)["applied"])
    assert [] == rules()


BAD = """\
version: 1
channels:
  - id: C1
    colour: red
    rules:
      - {key: Day, rule: "1d 8pp"}
      - {rule: "5d 15pp"}
"""
WRONG = """\
version: 1
channels:
  - id: C1
    rules:
      - {key: day, rule: 8 bananas}
      - {key: day, rule: 5d 15pp}
      - {key: other, rule: 5d 1500bp}
    settings:
      quiet: soon
      colour: red
    routes: [{sink: desk, rule: night}]
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            BAD,
            [
                "line 4 (channels[0].colour): unknown key. Remove it, or correct its name.",
                "line 6 (channels[0].rules[0].key): “Day” doesn't match ^[a-z0-9][a-z0-9-]{0,31}$.",
                "line 7 (channels[0].rules[1].key): this key is missing. Add it.",
            ],
            id="keys",
        ),
        pytest.param(
            WRONG,
            [
                "line 5 (channels[0].rules[0].rule): The window is missing. Use a window (1d ",
                "line 6 (channels[0].rules[1].key): “day” appears twice. Remove one.",
                "line 7 (channels[0].rules[2].rule): “5d 15pp” appears twice. Remove one.",
                "line 9 (channels[0].settings.quiet): couldn't read the hours “soon”.",
                "line 10 (channels[0].settings.colour): it isn't a setting. Settings: mention, remind, ",
                "line 11 (channels[0].routes[0].rule): this channel has no rule with the key “night”.",
            ],
            id="values",
        ),
        pytest.param("version: 1\nversion: 1\nchannels: []\n", ["(version): this key appears twice."], id="twice"),
        pytest.param("channels: [\n", ["line 2: it isn't valid YAML or JSON ("], id="syntax"),
        pytest.param("a: &x 1\nb: *x\n", ["line 2: YAML aliases (*x) aren't supported."], id="alias"),
        pytest.param("", ["rules.yaml is empty."], id="empty"),
        pytest.param("[1]", ["line 1: input should be a valid dictionary"], id="a list"),
    ],
)
def test_check_names_each_mistake_with_its_line(minerpulse: RunCli, text: str, expected: list[str]) -> None:
    write(text)
    result = minerpulse("rules", "check", "rules.yaml")

    assert (1, "") == (result.code, result.out)
    lines = result.err.splitlines()
    assert [] == [one for one in expected if not any(one in line for line in lines)]
    assert len(expected) == len(lines)


def test_check_needs_no_quotes_and_no_database(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", "sqlite:///none.db")
    write(SMALL + "    settings: {quiet: 22:00-07:00, broadcast: off, zone: Europe/London}\n")

    assert "rules.yaml is valid: 2 rules in 1 channel.\n" == minerpulse("rules", "check", "rules.yaml").out


def test_check_names_a_sink_that_is_not_defined(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    sinks(monkeypatch)
    write(SMALL + "    routes: [{sink: night}]\n")
    result = minerpulse("rules", "check", "rules.yaml")

    assert (1, True) == (result.code, "has no sink “night”. Define it first." in result.err)
    assert "C1: there is no sink “night”." in minerpulse("rules", "diff", "rules.yaml").err


def test_a_file_without_a_workspace_needs_a_database_with_only_one(minerpulse: RunCli) -> None:
    write(SMALL.replace("workspace: T1\n", ""))
    none = minerpulse("rules", "diff", "rules.yaml", "--offline")
    apply(minerpulse, "--team", "T1")
    one = minerpulse("rules", "diff", "rules.yaml", "--offline")

    assert "The database has no workspace yet. Name one with --team, or as `workspace` in the file." in none.err
    assert (1, 0) == (none.code, one.code)
    assert "No changes." in one.out


def test_the_schema_accepts_the_file_and_names_mistakes(clean: Path) -> None:  # noqa: ARG001 -- a folder
    if IS_WRITING:
        SCHEMA.write_text(json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    schema = json.loads(SCHEMA.read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)

    assert schema == file_schema()
    assert [] == list(validator.iter_errors(yaml.safe_load(EVERYTHING)))
    assert {"channels/0", "channels/0/rules/0/key", "channels/0/rules/1"} == {
        "/".join(map(str, error.absolute_path)) for error in validator.iter_errors(yaml.safe_load(BAD))
    }
    assert 3 == len(RulesFileReader(write(EVERYTHING)).read()[0].channels[0].rules)

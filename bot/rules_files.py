"""Read and write rules files, YAML or JSON, and their JSON Schema."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from handlers.addressees import parse_addressee
from services.alerting.channel_settings import ChannelSettings
from services.alerting.paging import Severity, is_sink_name
from services.alerting.setting_syntax import OFF, SETTINGS, Addressee
from services.channels.rules_file import (
    FILE_SETTINGS,
    FileChannel,
    FileRoute,
    FileRule,
    Manage,
    RulesFile,
    RulesFileError,
    with_file_settings,
)
from services.channels.rules_file_commands import UNCHANGED
from services.core.clock import EPOCH
from services.core.errors import ChannelSettingError, RuleError
from services.core.identity import Mention
from services.core.text import quote
from services.rules.grammar import parse_new_rule, parse_rule
from services.rules.rule import Rule, successor_of

VERSION = 1
SCHEMA_ID = f"urn:minerpulse:rules-file:{VERSION}"
MAX_BYTES = 1_000_000
MAX_WIDTH = 10_000  # of a line of YAML, so that none is wrapped
ANYONE = Mention(text="<!here>", name="@here")
Place = tuple[int | str, ...]
Key = Annotated[str, StringConstraints(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]


class Part(BaseModel):
    """A part of a file, with exactly these keys."""

    model_config = ConfigDict(extra="forbid")


class RuleEntry(Part):
    """A rule."""

    key: Key = Field(description="names the rule in this file: lowercase letters, digits and hyphens, at most 32")
    rule: str = Field(description="as it is typed in Slack, such as `5d 15pp`; on WGMI/BTC unless it names a pair")
    paused: bool = False


class RouteEntry(Part):
    """A sink that the channel pages."""

    sink: str = Field(description="name of the sink, as its operator defined it")
    rule: Key | None = Field(default=None, description="key of the only rule that pages it; if omitted, all rules do")
    severity: Severity = Severity.ERROR
    always: bool = Field(default=False, description="whether its pages ignore quiet hours and mutes")


class ChannelEntry(Part):
    """A channel."""

    id: Annotated[str, StringConstraints(pattern="^[CDG][A-Z0-9]{1,30}$")] = Field(description="such as C0123ABCD")
    name: str = Field(default="", description="a comment")
    manage: Manage = Field(
        default=Manage.ALL, description="`all` removes rules that aren't listed; `listed` leaves them alone"
    )
    rules: list[RuleEntry] = []
    settings: dict[str, str] = Field(
        default={},
        description="channel settings by name, as typed in Slack; omitted settings stay as they are",
        json_schema_extra={
            "properties": {
                word: {"type": "string", "description": f"{SETTINGS[word].meaning}: {SETTINGS[word].syntax}"}
                for word in FILE_SETTINGS
            },
            "additionalProperties": False,
        },
    )
    routes: list[RouteEntry] | None = Field(
        default=None, description="all sinks that the channel pages; if omitted, they stay as they are"
    )


class FileEntry(Part):
    """Rules and settings of channels."""

    version: Literal["1", 1] = Field(description="version of this format", json_schema_extra={"enum": [VERSION]})
    workspace: Annotated[str, StringConstraints(pattern="^[TE][A-Z0-9]{1,30}$")] | None = Field(
        default=None, description="ID of the workspace; can be omitted if the database has only one"
    )
    channels: list[ChannelEntry]


def file_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a rules file."""
    schema = FileEntry.model_json_schema()
    version = {"const": VERSION, "description": "version of this format"}
    schema["properties"]["version"] = version
    dialect = {"$schema": GenerateJsonSchema.schema_dialect, "$id": SCHEMA_ID}
    return {**dialect, **_without_titles(schema), "title": "MinerPulse rules file"}


def _without_titles(schema: Any) -> Any:  # noqa: ANN401 -- any part of a schema
    match schema:
        case dict():
            return {key: _without_titles(value) for key, value in schema.items() if not _is_title(key, value)}
        case list():
            return [_without_titles(one) for one in schema]
        case _:
            return schema


def _is_title(key: str, value: object) -> bool:
    return key == "title" and isinstance(value, str)


class RulesFileReader:
    """Reads one file, and collects its problems with the line of each.

    Scalars stay the texts that they are: YAML would read an unquoted 22:00 as a number, and off as false.
    """

    def __init__(self, path: Path) -> None:
        self._name, self._root, self._problems = path.name, _compose(path), list[str]()

    def read(self, team: str = "") -> tuple[RulesFile, str | None]:
        """Return the file and the workspace that it names, by default `team`. Raises RulesFileError."""
        document = self._construct(self._root, ())
        self._raise_problems()
        try:
            entry = FileEntry.model_validate(document)
        except ValidationError as error:
            for one in error.errors():
                self._add(tuple(part for part in one["loc"] if part != "literal"), _problem(one))
            self._raise_problems()
            raise
        owner = entry.workspace or team
        channels = [self._channel(one, owner, ("channels", at)) for at, one in enumerate(entry.channels)]
        self._check_unique([one.id for one in entry.channels], ("channels",), "id")
        self._raise_problems()
        return RulesFile(name=self._name, team=owner, channels=tuple(channels)), entry.workspace

    def _construct(self, node: yaml.Node, place: Place) -> Any:  # noqa: ANN401 -- what YAML holds
        match node:
            case yaml.MappingNode():
                keys = [str(key.value) for key, _ in node.value]
                for key in sorted({key for key in keys if keys.count(key) > 1}):
                    self._add((*place, key), "this key appears twice. Remove one.")
                return {
                    key: self._construct(value, (*place, key)) for key, (_, value) in zip(keys, node.value, strict=True)
                }
            case yaml.SequenceNode():
                return [self._construct(value, (*place, at)) for at, value in enumerate(node.value)]
            case _:
                return node.value

    def _channel(self, entry: ChannelEntry, team: str, place: Place) -> FileChannel:
        rules = [self._rule(one, (*place, "rules", at)) for at, one in enumerate(entry.rules)]
        found = [one for one in rules if one is not None]
        keys = [one.key for one in entry.rules]
        self._check_unique(keys, (*place, "rules"), "key")
        self._check_unique([str(one.rule) if one else None for one in rules], (*place, "rules"), "rule")
        routes = entry.routes or []
        self._check_unique([one.sink for one in routes], (*place, "routes"), "sink")
        for at, route in enumerate(routes):
            if not is_sink_name(route.sink):
                self._add((*place, "routes", at, "sink"), f"{quote(route.sink)} isn't the name of a sink.")
            if route.rule is not None and route.rule not in keys:
                self._add((*place, "routes", at, "rule"), f"this channel has no rule with the key {quote(route.rule)}.")
        self._check_settings(entry.settings, team, (*place, "settings"))
        return FileChannel(
            id=entry.id,
            name=entry.name,
            manage=entry.manage,
            rules=tuple(found),
            settings=entry.settings,
            routes=None
            if entry.routes is None
            else tuple(
                FileRoute(sink=one.sink, rule=one.rule, severity=one.severity, always=one.always) for one in routes
            ),
        )

    def _rule(self, entry: RuleEntry, place: Place) -> FileRule | None:
        try:
            return FileRule(key=entry.key, rule=_parse_rule(entry.rule), paused=entry.paused)
        except RuleError as error:
            self._add((*place, "rule"), str(error))
            return None

    def _check_settings(self, values: dict[str, str], team: str, place: Place) -> None:
        """Note each setting that can't be parsed. Reminders may use a mention that the channel has already."""
        start = ChannelSettings() if "mention" in values else ChannelSettings(mention=ANYONE)
        for word, value in values.items():
            if word not in FILE_SETTINGS:
                self._add((*place, word), f"it isn't a setting. Settings: {', '.join(FILE_SETTINGS)}.")
                continue
            needed = {word: value}
            if word == "remind" and values.get("mention", OFF) != OFF:
                needed["mention"] = values["mention"]
            try:
                with_file_settings(start, needed, lambda text: parse_addressee(text, team), EPOCH)
            except ChannelSettingError as error:
                self._add((*place, word), str(error).removeprefix(UNCHANGED))

    def _check_unique(self, values: Sequence[str | None], place: Place, key: str) -> None:
        for at, value in enumerate(values):
            if value is not None and value in values[:at]:
                self._add((*place, at, key), f"{quote(value)} appears twice. Remove one.")

    def describe(self, place: Place, problem: str) -> str:
        """Return a problem with its line and place in the file."""
        path = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in place).removeprefix(".")
        where = f" ({path})" if path else ""
        return f"{self._name}, line {_line_of(self._root, place)}{where}: {problem}"

    def _add(self, place: Place, problem: str) -> None:
        self._problems.append(self.describe(place, problem))

    def _raise_problems(self) -> None:
        if self._problems:
            raise RulesFileError("\n".join(self._problems))


def _compose(path: Path) -> yaml.Node:
    """Return the root of a file. Raises RulesFileError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RulesFileError(f"{path.name} can't be read: {error}.") from error
    if len(text) > MAX_BYTES:
        raise RulesFileError(f"{path.name} is longer than {MAX_BYTES:,} characters, so it isn't a rules file.")
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise RulesFileError(
                    f"{path.name}, line {line}: YAML aliases (*{event.anchor}) aren't supported. Repeat the text."
                )
        root = yaml.compose(text.replace("\t", "  ") if text.lstrip().startswith("{") else text, yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RulesFileError(f"{path.name}, line {line}: it isn't valid YAML or JSON ({error.problem}).") from error
    except yaml.YAMLError as error:
        raise RulesFileError(f"{path.name} isn't valid YAML or JSON: {error}.") from error
    if root is None:
        raise RulesFileError(f"{path.name} is empty. `minerpulse rules export` writes an example.")
    return root


def _line_of(root: yaml.Node, place: Place) -> int:
    """Return the line of a place, or of the innermost part around it that exists."""
    node, line = root, root.start_mark.line
    for one in place:
        match node:
            case yaml.MappingNode():
                found = [(key, value) for key, value in node.value if key.value == one]
                if not found:
                    break
                line, node = found[-1][0].start_mark.line, found[-1][1]
            case yaml.SequenceNode() if isinstance(one, int) and one < len(node.value):
                node = node.value[one]
                line = node.start_mark.line
            case _:
                break
    return line + 1


def _problem(error: Any) -> str:  # noqa: ANN401 -- pydantic's ErrorDetails
    match error["type"]:
        case "missing":
            return "this key is missing. Add it."
        case "extra_forbidden":
            return "unknown key. Remove it, or correct its name."
        case "string_pattern_mismatch":
            return f"{quote(str(error['input']))} doesn't match {error['ctx']['pattern']}."
        case _:
            return f"{str(error['msg'])[:1].lower()}{str(error['msg'])[1:]}."


def _parse_rule(text: str) -> Rule:
    """Parse a rule; one that isn't offered any more can only be written as it is exported. Raises RuleError."""
    try:
        return parse_new_rule(text)
    except RuleError:
        rule = parse_rule(text)
        if str(rule) == text and successor_of(rule) is not None:
            return rule
        raise


def address_name(addressee: Addressee) -> str:
    """Return a person, group or channel as a file names it: by ID, or `@here`."""
    if not isinstance(addressee, Mention):
        return addressee.id
    inside = addressee.text.removeprefix("<").removesuffix(">").partition("|")[0]
    return inside.removeprefix("!subteam^").replace("!", "@") if inside.startswith("!") else inside.removeprefix("@")


def file_document(file: RulesFile) -> dict[str, Any]:
    """Return a file as it is written, without what is usual."""
    return {
        "version": VERSION,
        "workspace": file.team,
        "channels": [_channel_document(one) for one in file.channels],
    }


def _channel_document(one: FileChannel) -> dict[str, Any]:
    parts = {
        "rules": [
            {"key": rule.key, "rule": str(rule.rule), **({"paused": True} if rule.paused else {})} for rule in one.rules
        ],
        "settings": dict(one.settings),
        "routes": [
            {
                "sink": route.sink,
                **({"rule": route.rule} if route.rule else {}),
                **({} if route.severity is Severity.ERROR else {"severity": route.severity.value}),
                **({"always": True} if route.always else {}),
            }
            for route in one.routes or ()
        ],
    }
    return {"id": one.id, **{key: part for key, part in parts.items() if part}}


def write_rules_file(file: RulesFile, *, as_json: bool) -> str:
    """Return a file as YAML or JSON."""
    document = file_document(file)
    if as_json:
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None, width=MAX_WIDTH))

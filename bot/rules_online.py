"""Compare a rules file with what can be reached: the workspace and its channels in Slack, prices, and sinks."""

from collections.abc import Mapping
from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.app import App
from bot.manifest import PRESENCE_SCOPES
from bot.rules_files import Place, RulesFileReader
from handlers.addressees import parse_addressee
from handlers.membership import channel_problems
from handlers.render.reasons import error_text
from handlers.slack_errors import response_body, translate_slack_error
from services.alerting.channel_settings import ChannelSettings
from services.alerting.setting_syntax import ESCALATE
from services.channels.rules_file import FileChannel, RulesFile, RulesFileError, with_file_settings
from services.core.clock import EPOCH
from services.core.errors import AppPermissionError, DeliveryError, NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.text import counted

NO_SLACK = "Slack can't be asked about the channels: no tokens are set. Set SLACK_BOT_TOKEN, or check without --online."
NO_WORKSPACE = "This app serves many workspaces. Name one with --team, or as `workspace` in the file."
NO_SCOPES = (
    f"Slack doesn't say which channels the app is in. Add the scopes {' and '.join(PRESENCE_SCOPES)}, and reinstall it."
)
NO_ANSWER = "Slack didn't respond, so the channels weren't checked. Try again in a minute."


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a file uses, each with its first place in the file.

    Attributes:
        channels: Those of the file and those that it escalates to, by ID.
    """

    channels: Mapping[str, Place]
    pairs: Mapping[Pair, Place]
    sinks: Mapping[str, Place]


async def check_online(app: App, reader: RulesFileReader, team: str) -> str:
    """Return a sentence on what was reached. Raises RulesFileError with the line of each problem, or if Slack fails."""
    file, owner = reader.read(team)
    if owner and team and owner != team:
        raise RulesFileError(f"{file.name} is for the workspace {owner}, not {team}.")
    wanted, used = owner or team, _used(file)
    try:
        client, workspaces = await _client(app, wanted)
        channels = await channel_problems(client, wanted or workspaces[0], used.channels)
    except AppPermissionError as error:
        raise RulesFileError(NO_SCOPES) from error
    except DeliveryError as error:
        raise RulesFileError(str(error) if error.permanent or error.retry_after else NO_ANSWER) from error
    problems = list[tuple[Place, str]]()
    if wanted and wanted not in workspaces:
        problems.append((("workspace",), f"the app's token is for the workspace {workspaces[0]}, not {wanted}."))
    problems += [(used.channels[one], problem) for one, problem in channels.items()]
    for pair, place in used.pairs.items():
        problems += [(place, problem) for problem in await _price_problems(app, pair)]
    known = await app.sinks.names(wanted or workspaces[0])
    problems += [
        (place, f"there is no sink “{sink}”. Define it first.")
        for sink, place in used.sinks.items()
        if sink not in known
    ]
    if problems:
        raise RulesFileError("\n".join(reader.describe(*one) for one in problems))
    return _summary(used, wanted or workspaces[0])


async def _client(app: App, team: str) -> tuple[AsyncWebClient, list[str]]:
    """Return the client of a workspace, and the IDs of the workspace and organization that its token is for."""
    settings = app.settings
    if not settings.has_slack:
        raise RulesFileError(NO_SLACK)
    if app.oauth is None:
        client = app.client
    elif team:
        client = await app.oauth.clients.of(team)
    else:
        raise RulesFileError(NO_WORKSPACE)
    with translate_slack_error():
        body = response_body(await client.auth_test())
    found = [str(body[key]) for key in ("team_id", "enterprise_id") if body.get(key)]
    return client, [*([team] if app.oauth else []), *found]  # an organization's token is for each of its workspaces


async def _price_problems(app: App, pair: Pair) -> list[str]:
    try:
        await app.commands.check_prices(pair, app.clock.now())
    except NoHistoryError as error:
        return [error_text(error)]
    return []


def _used(file: RulesFile) -> Used:
    channels, pairs, sinks = dict[str, Place](), dict[Pair, Place](), dict[str, Place]()
    for at, channel in enumerate(file.channels):
        channels.setdefault(channel.id, ("channels", at, "id"))
    for at, channel in enumerate(file.channels):
        if (target := _escalation_target(channel, file.team)) is not None:
            channels.setdefault(target.id, ("channels", at, "settings", ESCALATE))
        for number, one in enumerate(channel.rules):
            pairs.setdefault(one.rule.pair, ("channels", at, "rules", number, "rule"))
        for number, route in enumerate(channel.routes or ()):
            sinks.setdefault(route.sink, ("channels", at, "routes", number, "sink"))
    return Used(channels=channels, pairs=pairs, sinks=sinks)


def _escalation_target(channel: FileChannel, team: str) -> Channel | None:
    """Return the channel that a channel escalates to; None if it escalates to a person, or not at all."""
    values = {word: value for word, value in channel.settings.items() if word == ESCALATE}
    settings = with_file_settings(ChannelSettings(), values, lambda text: parse_addressee(text, team), EPOCH)
    return settings.escalate_to if isinstance(settings.escalate_to, Channel) else None


def _summary(used: Used, team: str) -> str:
    parts = [f"MinerPulse is in {counted(len(used.channels), 'channel')} of {team}"]
    if used.pairs:
        parts.append(f"{', '.join(map(str, used.pairs))} {'has' if len(used.pairs) == 1 else 'have'} prices")
    if used.sinks:
        parts.append(f"{', '.join(used.sinks)} {'is' if len(used.sinks) == 1 else 'are'} defined")
    return f"{'; '.join(parts)}."

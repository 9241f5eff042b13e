"""The sinks of each workspace: those of the operator's file, and those stored for one workspace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from services.core.errors import InvalidSinkError
from services.delivery.pages import Sink
from services.delivery.sinks.config import SinkConfig, SinkTools, build_sink


class SinkConfigs(Protocol):
    """Stored configurations of sinks; a team of `""` is the operator's file."""

    async def find_sink(self, team: str, name: str, config: str | None) -> SinkConfig | None:
        """Return a configuration: the current one, or an earlier one by its version; None if there is none."""
        ...

    async def sink_types(self, team: str) -> Mapping[str, str]:
        """Return the type of each current sink of a workspace by name."""
        ...

    async def save_sink(self, team: str, config: SinkConfig) -> None:
        """Store a configuration as the current one of its name; earlier ones stay, to end what they opened."""
        ...


@dataclass(slots=True, kw_only=True)
class SinkBook:
    """Implements SinkDirectory. Without `stored`, only the current configurations of the file are known."""

    tools: SinkTools
    file: Mapping[str, SinkConfig] = field(default_factory=dict)
    stored: SinkConfigs | None = None

    async def remember_file(self) -> None:
        """Store the file's configurations, so that a later change of them can still end what they opened."""
        if self.stored is not None:
            for config in self.file.values():
                await self.stored.save_sink("", config)

    async def find(self, team: str, name: str, config: str | None = None) -> tuple[str, Sink] | None:
        """Return a sink with the version of its configuration; see SinkDirectory. One that is invalid is None."""
        found = await self._find_config(team, name, config)
        if found is None:
            return None
        try:
            return found.version, build_sink(found, self.tools)
        except InvalidSinkError:
            return None

    async def names(self, team: str) -> Mapping[str, str]:
        """Return the type of each sink of a workspace by name."""
        own = {} if self.stored is None else await self.stored.sink_types(team)
        return {**{name: config.type for name, config in self.file.items()}, **own}

    async def _find_config(self, team: str, name: str, config: str | None) -> SinkConfig | None:
        if self.stored is not None and (own := await self.stored.find_sink(team, name, config)):
            return own
        current = self.file.get(name)
        if current is not None and config in (None, current.version):
            return current
        return await self.stored.find_sink("", name, config) if self.stored is not None and config else None

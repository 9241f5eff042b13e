"""Build hook: a wheel installs the launcher as `minerpulse`, with the app beneath it; an editable one, the launcher."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LAUNCHER = {"deploy/launcher": "minerpulse"}
APP = {name: f"minerpulse/app/{name}" for name in ("bot", "handlers", "services")}


class Launcher(BuildHookInterface[Any]):
    """Chooses the files of a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the launcher, and the app unless the wheel is an editable one."""
        build_data["force_include" if version == "standard" else "force_include_editable"] = (
            LAUNCHER | APP if version == "standard" else LAUNCHER
        )

"""The one thing that is passed around: the lake, the clock and the settings, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from forecastle.clock import Clock, SystemClock, pause
from forecastle.errors import ConfigurationError
from forecastle.lake import FeatureTables, Lake
from forecastle.ports import Line
from forecastle.settings import Origin, Settings, load_settings


@dataclass(frozen=True)
class Workspace:
    """A home folder with everything in it."""

    settings: Settings
    origins: tuple[Origin, ...]
    clock: Clock

    @classmethod
    def open(cls, home: Path | None = None, clock: Clock | None = None) -> Workspace:
        """Open the home the settings name. Nothing is created before something is written."""
        settings, origins = load_settings(home)
        return cls(settings, tuple(origins), clock or SystemClock())

    @cached_property
    def line(self) -> Line:
        """Return the one line to the outside: sources that share it share their manners, too."""
        return Line(self.clock, pause, self.settings.sources.gateway, self.settings.venues)

    @cached_property
    def lake(self) -> Lake:
        """Return the lake of this home. Raises ``ConfigurationError`` where the home cannot be a folder."""
        self._check_home()
        return Lake(self.settings.raw, self.clock)

    @cached_property
    def features(self) -> FeatureTables:
        """Return the feature tables of this home. Raises ``ConfigurationError`` where the home cannot be a folder."""
        self._check_home()
        return FeatureTables(self.settings.features, self.clock)

    def _check_home(self) -> None:
        home = self.settings.home
        for place in (home, *home.parents):
            if place.exists() and not place.is_dir():
                raise ConfigurationError(
                    f"{home} cannot be the home folder.", f"{place} is a file.",
                    "Choose another with --home or FORECASTLE_HOME.",
                )  # fmt: skip

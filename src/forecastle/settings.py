"""Where things are: the home folder and the addresses of servers. The only module that names a host, port or path.

Order: command line, environment (``FORECASTLE_HOME``, ``FORECASTLE__SECTION__KEY``; with the suffix ``_FILE`` the value
is read from that file), ``forecastle.toml`` in the current folder, default. Unknown keys are refused. Servers are off
until named.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from forecastle.errors import ConfigurationError, NameUnknown

PREFIX = "FORECASTLE__"
HOME_VARIABLE = "FORECASTLE_HOME"
TOML_NAME = "forecastle.toml"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogSettings(_Section):
    """How much is told on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "warning"


def _redis_address(address: str) -> str:
    """Refuse an address that names no server, here rather than where it is first used; say nothing of what it holds."""
    try:
        parts = urlsplit(address)
        named = parts.hostname and parts.port != 0  # a port that is no number is found out only by asking for it
    except ValueError:
        named = False
    if not named or not re.fullmatch(r"rediss?://[^\s/]+(/\d*)?(\?\S*)?", address):
        raise ValueError("write it like redis://user:password@host:6379/0, a slash in a password as %2F")
    return address


class StoreSettings(_Section):
    """Online feature store: a Redis address; off where empty."""

    online: Annotated[str, AfterValidator(_redis_address)] | None = None


class VectorSettings(_Section):
    """Vector store of the agent: a Qdrant address; off where empty."""

    url: str | None = None


class TrackingSettings(_Section):
    """Experiment tracking: an MLflow address; ``mlflow.db`` in the home folder where empty."""

    uri: str | None = None


class TuningSettings(_Section):
    """Where trials of ``tune`` are kept: SQLite or PostgreSQL as SQLAlchemy names it; ``tuning.db`` where empty."""

    storage: str | None = Field(default=None, pattern=r"^(sqlite|postgresql)(\+\w+)?://")


class JobSettings(_Section):
    """What runs long work: processes here, or Dask or Ray, started here or at ``address``; one worker a core."""

    engine: Literal["local", "dask", "ray"] = "local"
    address: str | None = None
    workers: int | None = Field(default=None, ge=1, le=1024)


class SourceSettings(_Section):
    """How sources are reached: through a gateway as ``{gateway}/{host}/{path}``, or straight where empty."""

    gateway: str | None = Field(default=None, pattern=r"^https?://[^/\s]+")


class Settings(_Section):
    """All settings, checked."""

    home: Path
    log: LogSettings = Field(default_factory=LogSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    vectors: VectorSettings = Field(default_factory=VectorSettings)
    tracking: TrackingSettings = Field(default_factory=TrackingSettings)
    tuning: TuningSettings = Field(default_factory=TuningSettings)
    jobs: JobSettings = Field(default_factory=JobSettings)
    sources: SourceSettings = Field(default_factory=SourceSettings)

    @property
    def raw(self) -> Path:
        """Return the folder of the lake."""
        return self.home / "raw"

    @property
    def features(self) -> Path:
        """Return the folder of the feature tables."""
        return self.home / "processed" / "features"

    @property
    def store_folder(self) -> Path:
        """Return the folder of the feature store: its registry, and its online values where no server is named."""
        return self.home / "store"

    @property
    def venues(self) -> Path:
        """Return the folder where sources remember who asked them to wait."""
        return self.home / "venues"

    @property
    def watch_list(self) -> Path:
        """Return the file that lists what is kept up to now."""
        return self.home / "watch.toml"

    @property
    def reports(self) -> Path:
        """Return the folder reports are written to."""
        return self.home / "reports"

    @property
    def models(self) -> Path:
        """Return the folder of fitted models."""
        return self.home / "models"

    @property
    def tracking_file(self) -> Path | None:
        """Return the SQLite file experiments are tracked in; None where an address is named instead."""
        return None if self.tracking.uri else self.home / "mlflow.db"

    @property
    def tracking_address(self) -> str:
        """Return where MLflow tracks experiments: the address named, else the file in the home folder."""
        return self.tracking.uri or f"sqlite:///{self.tracking_file}"

    @property
    def tuning_address(self) -> str:
        """Return where trials of ``tune`` are kept: the address named, else a SQLite file in the home folder."""
        return self.tuning.storage or f"sqlite:///{self.home / 'tuning.db'}"


@dataclass(frozen=True)
class Origin:
    """One value and where it came from; passwords in addresses are hidden."""

    key: str
    value: str
    origin: str


SECTIONS: dict[str, type[_Section]] = {
    "log": LogSettings,
    "store": StoreSettings,
    "vectors": VectorSettings,
    "tracking": TrackingSettings,
    "tuning": TuningSettings,
    "jobs": JobSettings,
    "sources": SourceSettings,
}
KEYS = ["home", *(f"{section}.{key}" for section, kind in SECTIONS.items() for key in kind.model_fields)]


def load_settings(
    home: Path | None = None, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> tuple[Settings, list[Origin]]:
    """Return the settings and the origin of each value.

    ``home`` is what the command line said; ``environment`` and ``folder`` default to the real ones. Raises
    ``ConfigurationError`` for a file that cannot be read, a value that is not allowed or an unknown key.
    """
    env = os.environ if environment is None else environment
    here = _current_folder() if folder is None else folder
    layers = [
        (_default_home(here, env)),
        {key: (value, f"{TOML_NAME} in {here}") for key, value in _from_toml(here / TOML_NAME).items()},
        _from_environment(env),
        {"home": (str(home), "command line")} if home is not None else {},
    ]
    chosen: dict[str, tuple[Any, str]] = {}
    for layer in layers:
        chosen |= layer
    settings = _checked(chosen)
    return settings, [_origin(settings, key, chosen) for key in KEYS]


def _checked(chosen: Mapping[str, tuple[Any, str]]) -> Settings:
    nested: dict[str, Any] = {}
    for key, (value, _) in chosen.items():
        section, _, name = key.rpartition(".")
        (nested.setdefault(section, {}) if section else nested)[name] = value
    try:
        settings = Settings.model_validate(nested)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        origin = chosen.get(key, (None, "default"))[1]
        rule = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(
            f"The setting {key} is {without_password(repr(first.get('input')))} (from {origin}).",
            f"{rule[:1].upper()}{rule[1:]}.",
            "Change it there; forecastle config show --origin lists all.",
        ) from error  # fmt: skip
    return settings.model_copy(update={"home": _absolute(settings.home)})


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise ConfigurationError(
            "The current folder is gone.", "It was deleted or moved.", "Change to another folder and try again."
        ) from error


def _absolute(home: Path) -> Path:
    try:
        return home.expanduser().absolute()
    except RuntimeError as error:
        raise ConfigurationError(f"The home folder is {home}.", f"{error}.", "Write its whole path.") from error


def _default_home(here: Path, env: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Return ``./data`` inside a checkout, else the user's data folder."""
    for folder in (here, *here.parents):
        project = folder / "pyproject.toml"
        text = project.read_text(encoding="utf-8", errors="replace") if project.is_file() else ""
        if re.search(r'^name = "forecastle"$', text, re.MULTILINE):
            return {"home": (str(folder / "data"), "default, inside a checkout")}
    if env.get("XDG_DATA_HOME"):
        base = Path(env["XDG_DATA_HOME"])
    elif sys.platform == "darwin":
        base = Path("~/Library/Application Support")
    else:
        base = Path("~/.local/share")
    return {"home": (str(base / "forecastle"), "default, the user's data folder")}


def _from_toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError(f"{path} cannot be read.", f"{error}.", "Mend the line it names.") from error
    flat: dict[str, Any] = {}
    for name, value in document.items():
        flat |= {f"{name}.{key}": v for key, v in value.items()} if isinstance(value, dict) else {name: value}
    for key in flat:
        _known(key, f"{path}")
    return flat


def _from_environment(env: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    if env.get(HOME_VARIABLE):
        found["home"] = (env[HOME_VARIABLE], f"environment {HOME_VARIABLE}")
    for variable, value in sorted(env.items()):
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        from_file = name.endswith("_file") and name not in KEYS
        key = name.removesuffix("_file") if from_file else name
        _known(key, f"environment {variable}")
        found[key] = (_secret(variable, value) if from_file else value, f"environment {variable}")
    return found


def _secret(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigurationError(
            f"{variable} names the file {path}.", f"It cannot be read: {why}.", "Name a readable file."
        ) from error


def _known(key: str, origin: str) -> None:
    if key not in KEYS:
        near = NameUnknown("setting", key, KEYS)
        raise ConfigurationError(f"There is no setting named '{key}' ({origin}).", near.why, near.hint)


def _origin(settings: Settings, key: str, chosen: Mapping[str, tuple[Any, str]]) -> Origin:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    shown = "" if value is None else without_password(str(value))
    return Origin(key, shown, chosen[key][1] if key in chosen else "default")


def without_password(address: str) -> str:
    """Return an address as it may be shown: who signs in, and with what, is hidden."""
    return re.sub(r"(://).*@", r"\1***@", address)

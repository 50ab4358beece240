"""What is wrong here, and how to mend it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from forecastle.app.snapshot import PACKAGES
from forecastle.errors import ForecastleError
from forecastle.sources.bundled import data_folder
from forecastle.workspace import Workspace

State = Literal["ok", "warning", "wrong"]
LEAST_FREE = 200 * 2**20


@dataclass(frozen=True)
class Check:
    """One thing looked at: its state, what was seen, and how to mend it."""

    name: str
    state: State
    seen: str
    mend: str = ""


def doctor(workspace: Workspace) -> tuple[Check, ...]:
    """Look at Python, packages, home folder, disk, lake, bundled data and servers."""
    checks: tuple[Callable[[Workspace], Check], ...] = (_python, _packages, _home, _disk, _lake, _bundled, _servers)
    return tuple(check(workspace) for check in checks)


def _python(workspace: Workspace) -> Check:
    seen = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    fine = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check("python", "ok" if fine else "wrong", seen, "" if fine else "Use Python 3.11, 3.12 or 3.13.")


def _packages(workspace: Workspace) -> Check:
    absent = []
    for name in PACKAGES:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        return Check("packages", "wrong", f"missing: {', '.join(absent)}", "Install again: pip install forecastle.")
    return Check(
        "packages", "ok", f"{len(PACKAGES)} of the core are installed, forecastle {metadata.version('forecastle')}"
    )


def _home(workspace: Workspace) -> Check:
    home = workspace.settings.home
    place = _existing(home)
    if not place.is_dir():
        return Check("home", "wrong", f"{place} is no folder", "Choose another with --home or FORECASTLE_HOME.")
    if not os.access(place, os.W_OK) or os.statvfs(place).f_flag & os.ST_RDONLY:
        return Check("home", "wrong", f"{home} cannot be written", "Choose another with --home or FORECASTLE_HOME.")
    return Check("home", "ok", f"{home}{'' if home.exists() else ' (made on first use)'}")


def _disk(workspace: Workspace) -> Check:
    free = shutil.disk_usage(_existing(workspace.settings.home)).free
    seen = f"{free / 2**30:.1f} GiB free"
    return Check("disk", "ok", seen) if free >= LEAST_FREE else Check("disk", "wrong", seen, "Free some space.")


def _lake(workspace: Workspace) -> Check:
    try:
        sets, problems = workspace.lake.datasets(), workspace.lake.verify()
    except ForecastleError as error:
        return Check("lake", "wrong", error.what, error.hint)
    if problems:
        return Check(
            "lake", "wrong", f"{len(problems)} files differ from the manifest", "forecastle lake verify lists them."
        )
    rows = sum(s.rows for s in sets)
    return Check(
        "lake", "ok", f"{len(sets)} series, {rows} candles, every file as committed" if sets else "empty so far"
    )


def _bundled(workspace: Workspace) -> Check:
    try:
        return Check("bundled data", "ok", str(data_folder()))
    except ForecastleError as error:
        return Check("bundled data", "wrong", error.what, error.hint)


def _servers(workspace: Workspace) -> Check:
    s = workspace.settings
    if s.vectors.url:
        return Check(
            "servers", "warning", "vectors.url set, but nothing in this version uses it yet",
            "Nothing is sent there; unset it to silence this.",
        )  # fmt: skip
    named = {"store.online": s.store.online, "tracking.uri": s.tracking.uri, "tuning.storage": s.tuning.storage,
             "jobs.engine": s.jobs.engine != "local"}  # fmt: skip
    set_up = [key for key, value in named.items() if value]
    if set_up:
        return Check("servers", "ok", f"{', '.join(set_up)} named; asked when they are used")
    return Check("servers", "ok", "none named, none needed")


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.parents) if p.exists())

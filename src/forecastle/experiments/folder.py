"""One folder for each experiment: ``experiment_{YYYY-MM-DD}_{id}``, its id ``YYYYMMDD_{short-name}``.

A second one of the same day and name is ``YYYYMMDD_{short-name}-2``: nothing is ever replaced.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from forecastle.clock import Clock
from forecastle.errors import DataMissing, NameUnknown, RequestInvalid
from forecastle.lake.atomic import make_folder, sync_folder, unwritable

LONGEST = 40
"""Characters of a short name."""
_FOLDER = re.compile(r"^experiment_(\d{4})-(\d\d)-(\d\d)_(\1\2\3_([a-z0-9][a-z0-9-]*))$")


@dataclass(frozen=True)
class ExperimentFolder:
    """Where an experiment is kept; ``day`` is that of the clock when it began, UTC, such as ``2026-11-20``."""

    path: Path
    id: str
    day: str

    @classmethod
    def of(cls, path: Path) -> ExperimentFolder | None:
        """Return the experiment a path is the folder of, None where its name is not one."""
        found = _FOLDER.match(path.name)
        return cls(path, found[4], "-".join(found.group(1, 2, 3))) if found else None


def slug(name: str) -> str:
    """Return a short name that every file system takes: lower-case letters, digits and dashes, 40 at most.

    Raises ``RequestInvalid`` where nothing of the name is left.
    """
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:LONGEST].strip("-")
    if not made:
        raise RequestInvalid(
            f"{name!r} cannot name an experiment.", "A name has a letter from a to z, or a digit.", "Choose another."
        )
    return made


def begin(home: Path, clock: Clock, name: str) -> ExperimentFolder:
    """Make the folder of a new experiment that no other process has; raises ``StorageUnwritable``."""
    parent, short, now, number = home / "experiments", slug(name), clock.now(), 1
    while True:
        own = f"{now:%Y%m%d}_{short}" + (f"-{number}" if number > 1 else "")
        path = parent / f"experiment_{now:%Y-%m-%d}_{own}"
        try:
            make_folder(parent)
            path.mkdir()
            sync_folder(parent)
        except FileExistsError:
            number += 1
            continue
        except OSError as error:
            raise unwritable(path, error) from error
        return ExperimentFolder(path, own, f"{now:%Y-%m-%d}")


def folders(home: Path) -> list[ExperimentFolder]:
    """Return every experiment of a home, oldest day first."""
    found = [ExperimentFolder.of(path) for path in (home / "experiments").glob("experiment_*") if path.is_dir()]
    return sorted((f for f in found if f), key=lambda f: (f.day, re.sub(r"\d+", lambda m: m[0].zfill(9), f.id)))


def find(home: Path, id_: str) -> ExperimentFolder:
    """Return the experiment with an id; raises ``NameUnknown`` with the nearest, ``DataMissing`` in an empty home."""
    known = {folder.id: folder for folder in folders(home)}
    if not known:
        raise DataMissing(
            f"There is no experiment '{id_}'.", f"There is none at all in {home / 'experiments'}.",
            "Run one first: forecastle train",
        )  # fmt: skip
    if id_ not in known:
        raise NameUnknown("experiment", id_, known)
    return known[id_]

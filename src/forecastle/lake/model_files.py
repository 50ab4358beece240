"""Folders of model files: written once, and proven before anything of them is parsed.

A model file is data. What is read here is compared with a manifest that was written with it, byte by byte, and looked
at for what it claims to be; only then may a library see it. A digest finds damage, edits and mixed-up files; it is no
signature: who can write the folder can write a manifest, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecastle.errors import DataCorrupt, DataMissing, StorageUnwritable
from forecastle.lake._model_kinds import SUFFIXES, check, strict_json
from forecastle.lake.atomic import make_folder, place, sync_folder, unwritable

MANIFEST = "manifest.json"
SCHEMA = "forecastle/model/1"
LARGEST = 200_000_000
"""Bytes of one file; a forest of two hundred trees has two million."""
TOTAL = 1_000_000_000
"""Bytes of all files of a model: they are held in memory together."""
MOST = 200
"""Files of one model; five quantile heads of an ensemble of ten are some fifty."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}(?P<suffix>\.[a-z]{3,12})")
_HASH = re.compile(r"[0-9a-f]{64}")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)\..*")
"""Names that are no files on Windows, whatever their suffix."""


@dataclass(frozen=True)
class ModelFolder:
    """A model as it was written: ``about`` is what the writer told of it, ``files`` its contents by name."""

    path: Path
    about: Mapping[str, Any]
    files: Mapping[str, bytes]
    digest: str


def write_model(folder: Path, files: Mapping[str, bytes], about: Mapping[str, Any]) -> ModelFolder:
    """Write a model as a new folder, wholly or not at all; nothing is ever replaced.

    Raises ``StorageUnwritable`` where the folder is there already or cannot be written, ``DataCorrupt`` for files that
    could not be read back: a name or a content that is none of the kinds known.
    """
    if os.path.lexists(folder):
        raise StorageUnwritable(f"{folder} is there already.", "A model is never replaced.", "Give it another name.")
    for name, content in files.items():
        _refuse(folder, name, content)
    listed = [{"name": n, "bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in sorted(files.items())]
    told = {"schema": SCHEMA, "name": folder.name, "about": dict(about), "files": listed}
    document = _document(folder, told)
    building = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        make_folder(folder.parent)
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        for name, content in files.items():
            place(building / name, content)
        place(building / MANIFEST, document)
        sync_folder(building)
        building.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return ModelFolder(folder, dict(about), dict(files), _digest(told))


def _document(folder: Path, told: Mapping[str, Any]) -> bytes:
    """Return the manifest as it is written; raises ``DataCorrupt`` where it would not be read back as it is."""
    try:
        document = (json.dumps({**told, "sha256": _digest(told)}, indent=2, allow_nan=False) + "\n").encode()
        again = _checked(folder, document)
        _listed(folder, again)
    except (TypeError, ValueError) as error:
        raise _broken(folder, f"What is told about it is no plain data: {error}") from error
    if again["about"] != told["about"]:
        raise _broken(folder, "What is told about it is no plain data: it would be read back as something else")
    return document


def read_model(folder: Path) -> ModelFolder:
    """Return a model whose every byte is the one that was written.

    Checked in this order: the folder, the manifest with its digest, names, kinds and number of files, sizes, digests,
    and what each file begins with. No library parses anything here but JSON. Raises ``DataMissing`` where there is no
    model, ``DataCorrupt`` where anything is not as written.
    """
    if not os.path.lexists(folder):
        raise DataMissing(f"There is no model at {folder}.", "Nothing is there.", "Train one: forecastle train CONFIG")
    if folder.is_symlink() or not folder.is_dir():
        raise _broken(folder, "It is no folder of its own")
    told = _manifest(folder)
    listed = _listed(folder, told)
    there = {entry.name for entry in folder.iterdir()}
    if there != {*listed, MANIFEST}:
        odd = sorted(there ^ {*listed, MANIFEST})
        named = ", ".join(repr(name[:80]) for name in odd[:3])
        raise _broken(folder, f"{named} is there and not listed, or listed and not there")
    files = {}
    for name, (size, claimed) in listed.items():
        content = _read(folder / name, size)
        if len(content) != size or hashlib.sha256(content).hexdigest() != claimed:
            raise _broken(folder, f"{name} has not the size or the digest of the manifest")
        files[name] = content
    for name, content in files.items():
        _refuse(folder, name, content)
    return ModelFolder(folder, told["about"], files, told["sha256"])


def _manifest(folder: Path) -> dict[str, Any]:
    return _checked(folder, _read(folder / MANIFEST, 10_000_000, exact=False))


def _checked(folder: Path, document: bytes) -> dict[str, Any]:
    """Return the manifest in a document; raises ``DataCorrupt`` where it is not as it was written."""
    try:
        told = strict_json(document)
    except ValueError as error:
        raise _broken(folder, f"{MANIFEST} is not the JSON that was written: {error}") from error
    if not isinstance(told, dict) or set(told) != {"schema", "name", "about", "files", "sha256"}:
        raise _broken(folder, f"{MANIFEST} has not the fields of a manifest")
    if type(told["schema"]) is not str or told["schema"] != SCHEMA:
        raise _broken(folder, f"Its schema is {str(told['schema'])[:80]!r}, and {SCHEMA} is known here")
    if told["sha256"] != _digest({k: v for k, v in told.items() if k != "sha256"}):
        raise _broken(folder, f"The digest of {MANIFEST} is not that of its content")
    if told["name"] != folder.name or not isinstance(told["about"], dict):
        raise _broken(folder, f"It was written as {str(told['name'])[:80]!r}")
    return told


def _listed(folder: Path, told: Mapping[str, Any]) -> dict[str, tuple[int, str]]:
    entries = told["files"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST:
        raise _broken(folder, f"{MANIFEST} lists no files, or more than {MOST}")
    found: dict[str, tuple[int, str]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"name", "bytes", "sha256"}:
            raise _broken(folder, f"{MANIFEST} has an entry that is none")
        name, size, claimed = entry["name"], entry["bytes"], entry["sha256"]
        if not isinstance(name, str) or not _plain_name(name) or name == MANIFEST or name in found:
            raise _broken(folder, f"{str(name)[:80]!r} is no name of a model file")
        if (
            type(size) is not int
            or not 0 < size <= LARGEST
            or not isinstance(claimed, str)
            or not _HASH.fullmatch(claimed)
        ):
            raise _broken(folder, f"The size or the digest of {name} is none")
        found[name] = (size, claimed)
    if sum(size for size, _ in found.values()) > TOTAL:
        raise _broken(folder, f"{MANIFEST} lists more than {TOTAL:,} bytes")
    return found


def _plain_name(name: str) -> bool:
    """Return whether a name is one of ours: no folder in it, small ASCII letters, a suffix of the closed list."""
    match = _NAME.fullmatch(name)
    return match is not None and match["suffix"] in SUFFIXES and not _DEVICES.fullmatch(name)


def _read(path: Path, size: int, *, exact: bool = True) -> bytes:
    """Return a regular file that is no link to elsewhere and not larger than said."""
    try:
        # a FIFO would wait for a writer, a link lead elsewhere: neither is opened
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _broken(path.parent, f"{path.name} cannot be read: {error.strerror}") from error
    try:
        told = os.fstat(handle)
        if not stat.S_ISREG(told.st_mode) or told.st_nlink != 1:
            raise _broken(path.parent, f"{path.name} is no file of its own")
        if told.st_size > size or (exact and told.st_size != size):
            raise _broken(path.parent, f"{path.name} has {told.st_size} bytes")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(size + 1)
    finally:
        os.close(handle)


def _refuse(folder: Path, name: str, content: bytes) -> None:
    """Raise ``DataCorrupt`` where a file is not what its name says."""
    if not _plain_name(name):
        raise _broken(folder, f"{name[:80]!r} is no name of a model file")
    try:
        check(name, content)
    except ValueError as error:
        raise _broken(folder, f"{name} is not what its name says: {error}") from error


def _digest(told: Mapping[str, Any]) -> str:
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _broken(folder: Path, why: str) -> DataCorrupt:
    return DataCorrupt(
        f"{folder} is not the model that was written.", f"{why.rstrip('.')}.",
        "Nothing of it was used. Take it from a backup, or train it anew.",
    )  # fmt: skip

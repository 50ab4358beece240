"""From a path to the bytes of the one table in it: plain, gzip, or a zip archive with one file inside."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from pathlib import Path

from forecastle.errors import DataInvalid, DataMissing

KINDS = ("csv", "txt", "json", "parquet")
_BROKEN_ZIP = (
    OSError, EOFError, ValueError, LookupError, RuntimeError, struct.error, zlib.error, lzma.LZMAError,
    zipfile.BadZipFile,
)  # fmt: skip
"""What reading a cut or flipped archive can raise."""
MOST_BYTES = 8 << 30
"""A file that unpacks to more than this is refused before it is unpacked: no table of candles is so large."""


def content_of(path: Path) -> tuple[bytes, str]:
    """Return the unpacked bytes and the name of the table: that of the file inside, for a zip archive.

    Raises ``DataMissing`` where there is no such file, ``DataInvalid`` where it is empty, of another kind or cannot be
    unpacked.
    """
    content, name = _read(path), path.name
    if name.lower().endswith(".zip"):
        content, name = _from_zip(content, name)
    if name.lower().endswith(".gz"):
        content, name = _from_gzip(content, path.name), name[:-3]
    if name.lower().rpartition(".")[2] not in KINDS:
        raise DataInvalid(
            f"{path.name} is no file of a kind Forecastle reads.",
            "It reads .csv, .txt, .json (these also .gz), .parquet and .zip with one of them inside.",
            "Export the data as CSV with a header line.",
        )
    if not content.strip():
        raise DataInvalid(f"{path.name} is empty.", "It has no bytes but white space.", "Export or download it again.")
    return content, name


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataMissing(f"There is no file {path}.", "The path leads nowhere.", "Check the spelling.") from None
    except (OSError, ValueError) as error:  # a null byte in a path is a ValueError
        why = getattr(error, "strerror", None) or str(error)
        raise DataMissing(f"{path} cannot be read.", f"{why}.", "Name a readable file.") from error


def _from_gzip(content: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataInvalid(f"{name} is a broken gzip file.", f"{error}.", "Fetch or export it again.") from error


def _from_zip(content: bytes, name: str) -> tuple[bytes, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [m for m in archive.infolist() if not (m.is_dir() or m.filename.startswith("__MACOSX/"))]
            _one_table(members, name)
            return archive.read(members[0]), members[0].filename.rpartition("/")[2]
    except _BROKEN_ZIP as error:
        raise DataInvalid(f"{name} is a broken zip archive.", f"{error}.", "Fetch or export it again.") from error


def _one_table(members: list[zipfile.ZipInfo], name: str) -> None:
    if len(members) != 1:
        held = ", ".join(m.filename for m in members[:4]) or "nothing"
        raise DataInvalid(
            f"{name} holds {len(members)} files.", f"It holds {held}; candles of one instrument are one table.",
            "Unpack it and import the files one by one, or the folder with --map.",
        )  # fmt: skip
    if members[0].flag_bits & 1:
        raise DataInvalid(f"{name} is encrypted.", "Its password is not known here.", "Unpack it first.")
    if members[0].file_size > MOST_BYTES:
        raise DataInvalid(
            f"{name} unpacks to {members[0].file_size / 1e9:.0f} GB.", "No table of candles is so large.",
            "Cut it into smaller files.",
        )  # fmt: skip

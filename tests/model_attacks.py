"""Model folders as somebody with bad intent would leave them: each attack changes a folder that was whole.

``CONTENTS`` and :func:`disguised` are files that are not what their names say. With :func:`sign` they get a manifest
that fits them, with right sizes and digests, so that nothing but the look at the file itself stands in the way.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from forecastle.lake.model_files import MANIFEST, SCHEMA, write_model

Attack = Callable[[Path], object]
RAW: dict[str, Attack] = {}


class Bomb:
    """A pickle of it makes a folder where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def bomb(mark: Path, protocol: int = 5) -> bytes:
    return pickle.dumps(Bomb(mark), protocol)


# --- files that are what their names say, made by hand from the formats


def varint(number: int) -> bytes:
    made = b""
    while number > 0x7F:
        made += bytes([number & 0x7F | 0x80])
        number >>= 7
    return made + bytes([number])


def field(number: int, content: bytes | int) -> bytes:
    """Return a field of a protobuf message."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def onnx_of(graph: bytes, more: bytes = b"") -> bytes:
    return field(1, 8) + field(7, graph) + field(8, field(1, b"") + field(2, 18)) + more


def tensors_of(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(begin: Any, end: Any, shape: Any = (2,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape) if isinstance(shape, tuple) else shape, "data_offsets": [begin, end]}


OUTSIDE = field(13, field(1, b"location") + field(2, b"../../etc/passwd"))
"""The field of a tensor that says in which file its data are."""
FILES: dict[str, bytes] = {
    "learner.json": b'{"kind": "mean", "value": 0.5}',
    "model.json": b'{"learner": {"trees": [1, 2]}, "version": [3, 2, 0]}',
    "model-0.txt": b"tree\nversion=v4\nnum_class=1\n",
    "model.onnx": onnx_of(field(1, field(4, b"Identity")) + field(5, field(9, bytes(8)))),
    "network.safetensors": tensors_of({"a": tensor(0, 8), "b": tensor(8, 16)}, bytes(16)),
}
ABOUT = {"learner": "mean", "score": 0.1}


def make(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    return write_model(folder, files, ABOUT).path


def sign(folder: Path) -> None:
    """Write a manifest that fits what lies in the folder, as one who knows how it is made would."""
    told = json.loads((folder / MANIFEST).read_bytes())
    told["files"] = [
        {"name": p.name, "bytes": p.stat().st_size, "sha256": hashlib.sha256(p.read_bytes()).hexdigest()}
        for p in sorted(folder.iterdir())
        if p.name != MANIFEST and p.is_file()
    ]
    manifest(folder, told)


def manifest(folder: Path, told: Mapping[str, Any], *, seal: bool = True) -> None:
    """Write a manifest with the digest that belongs to it."""
    plain = {k: v for k, v in told.items() if k != "sha256"}
    if seal:
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        told = {**plain, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(told))


def raw(name: str) -> Callable[[Attack], Attack]:
    def keep(attack: Attack) -> Attack:
        RAW[name] = attack
        return attack

    return keep


# --- what is in the folder is not what was written


def _flip(name: str, place: int) -> Attack:
    def attack(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1
        (folder / name).write_bytes(content)

    return attack


for _name in (*FILES, MANIFEST):
    RAW |= {f"a bit of {_name} at {p}": _flip(_name, p) for p in (0, 9, -1 if _name != MANIFEST else -5)}
RAW |= {f"{_name} is cut": lambda f, n=_name: os.truncate(f / n, 7) for _name in (*FILES, MANIFEST)}  # type: ignore[misc]
RAW |= {f"{_name} is empty": lambda f, n=_name: os.truncate(f / n, 0) for _name in (*FILES, MANIFEST)}  # type: ignore[misc]
RAW |= {f"{_name} is gone": lambda f, n=_name: (f / n).unlink() for _name in (*FILES, MANIFEST)}  # type: ignore[misc]


@raw("two files change names")
def _swap(folder: Path) -> None:
    (folder / "learner.json").rename(folder / "x")
    (folder / "model.json").rename(folder / "learner.json")
    (folder / "x").rename(folder / "model.json")


@raw("a file of another model, of the same size")
def _other(folder: Path) -> None:
    other = FILES["learner.json"].replace(b"0.5", b"0.7")
    shutil.copy(make(folder.parent / "other", {"learner.json": other}) / "learner.json", folder)


@raw("the manifest of another model")
def _other_manifest(folder: Path) -> None:
    shutil.copy(make(folder.parent / "other", {"learner.json": b"{}"}) / MANIFEST, folder)


@raw("a file more is cut at its right size")
def _longer(folder: Path) -> None:
    with (folder / "model-0.txt").open("ab") as file:
        file.write(b"\n")


@raw("the folder has another name")
def _renamed(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "kept")
    shutil.rmtree(folder)
    shutil.copytree(make(folder.parent / "older"), folder)


def _stray(name: str) -> Attack:
    return lambda folder: (folder / name).write_bytes(b"{}")


for _name in (
    "extra.json",
    ".hidden",
    "__init__.py",
    "sitecustomize.py",
    "learner.json.tmp",
    "model.pkl",
    "LEARNER.json",
):
    RAW[f"{_name} lies there, too"] = _stray(_name)
RAW["a name with a line feed lies there"] = _stray("a\nb")
RAW["a folder lies there"] = lambda folder: (folder / "more").mkdir()


def _instead(name: str, put: Callable[[Path, Path], Any]) -> Attack:
    """Move a file out of the folder, and put something in its place that leads there."""

    def attack(folder: Path) -> None:
        away = folder.parent / "away"
        (folder / name).rename(away)
        put(folder / name, away)

    return attack


for _name in ("learner.json", MANIFEST):
    RAW |= {
        f"{_name} is a link to the same": _instead(_name, lambda here, away: here.symlink_to(away)),
        f"{_name} is a link to nothing": _instead(_name, lambda here, away: here.symlink_to("/nowhere/at-all")),
        f"{_name} is a link to a device": _instead(_name, lambda here, away: here.symlink_to("/dev/zero")),
        f"{_name} is a hard link": _instead(_name, lambda here, away: os.link(away, here)),
        f"{_name} is a folder": _instead(_name, lambda here, away: here.mkdir()),
        f"{_name} is a FIFO": _instead(_name, lambda here, away: os.mkfifo(here)),
    }


@raw("the folder is a link")
def _linked(folder: Path) -> None:
    folder.rename(folder.parent / "away")
    folder.symlink_to(folder.parent / "away", target_is_directory=True)


@raw("the folder is a file")
def _flat(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"{}")


@raw("it has a name more in capitals, and one less in small letters")
def _case(folder: Path) -> None:
    (folder / "learner.json").rename(folder / "Learner.json")


# --- the manifest lies, with a digest that fits


def _told(change: Callable[[dict[str, Any]], Any], *, seal: bool = True) -> Attack:
    def attack(folder: Path) -> None:
        told = json.loads((folder / MANIFEST).read_bytes())
        change(told)
        manifest(folder, told, seal=seal)

    return attack


BAD_NAMES = (
    "../learner.json", "/etc/passwd", "/etc/passwd.json", "a/b.json", "a\\b.json", "..", ".", "", "file:a.json",
    "C:a.json", "con", "con.json", "nul.txt", "com1.json", "a\x00.json", "a.json\x00", "a.json\n", " a.json", "a.json ",
    "a.json.", "A.json", "a.JSON", "\uff4cearner.json", "l\u0435arner.json", "a.js\u03bfn", "a.pkl", "a.pickle", "a.pt",
    "a.joblib", "a.bin", "a.npy", "a.npz", "a.py", "a.so", "a.json.pkl", "a.tar.json", "~a.json", "$HOME.json",
    "-a.json", ".json", "manifest.json", "a" * 300 + ".json", 7, None, ["a.json"], {"a": 1},
)  # fmt: skip
"""Names that are none of ours; two have a Cyrillic or a Greek letter in them, one a full-width one."""


def _named(name: object) -> Attack:
    """Put a file there under a bad name where a disk takes it, and list it rightly."""

    def attack(folder: Path) -> None:
        content = FILES["learner.json"]
        if (
            isinstance(name, str)
            and not set("/\x00") & set(name)
            and name not in ("", ".", "..", MANIFEST)
            and len(name) < 255
        ):
            (folder / name).write_bytes(content)
        entry = {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        _told(lambda told: told["files"].append(entry))(folder)

    return attack


RAW |= {f"the manifest names {str(name)[:20]!a} of {type(name).__name__}": _named(name) for name in BAD_NAMES}


def _entry(**changed: Any) -> Attack:
    return _told(lambda told: told["files"][0].update(changed))


RAW |= {
    "no digest": _told(lambda t: t.pop("sha256"), seal=False),
    "a digest of nothing": _told(lambda t: t.update(sha256=""), seal=False),
    "a digest of MD5": _told(lambda t: t.update(sha256=hashlib.md5(b"").hexdigest()), seal=False),
    "a digest that is no text": _told(lambda t: t.update(sha256=0), seal=False),
    "a changed word under the old digest": _told(lambda t: t["about"].update(learner="other"), seal=False),
    "a schema to come": _told(lambda t: t.update(schema="forecastle/model/2")),
    "a schema of nothing": _told(lambda t: t.update(schema=None)),
    "another name of the model": _told(lambda t: t.update(name="../m")),
    "a field more": _told(lambda t: t.update(python="print(1)")),
    "a field less": _told(lambda t: t.pop("about")),
    "words that are a list": _told(lambda t: t.update(about=[])),
    "no files": _told(lambda t: t.update(files=[])),
    "files that are a number": _told(lambda t: t.update(files=5)),
    "files by name": _told(lambda t: t.update(files={"learner.json": 1})),
    "an entry that is a text": _told(lambda t: t["files"].append("learner.json")),
    "an entry twice": _told(lambda t: t["files"].append(t["files"][0])),
    "a thousand entries": _told(lambda t: t.update(files=t["files"] * 200)),
    "an entry with a path": _entry(path="/etc/passwd"),
    "a size below zero": _entry(bytes=-1),
    "a size of zero": _entry(bytes=0),
    "a size that is true": _entry(bytes=True),
    "a size that is a float": _entry(bytes=30.0),
    "a size that is huge": _entry(bytes=10**30),
    "a size of a gigabyte too much": _entry(bytes=200_000_001),
    "a digest of SHA-512": _entry(sha256=hashlib.sha512(b"").hexdigest()),
    "a digest of SHA-1": _entry(sha256=hashlib.sha1(b"").hexdigest()),
    "a digest in capitals": _told(lambda t: t["files"][0].update(sha256=t["files"][0]["sha256"].upper())),
    "a digest with its algorithm": _told(lambda t: t["files"][0].update(sha256="md5:" + t["files"][0]["sha256"][4:])),
    "a digest that is a list": _entry(sha256=[]),
}  # fmt: skip


def _manifest_text(text: bytes) -> Attack:
    return lambda folder: (folder / MANIFEST).write_bytes(text)


RAW |= {
    "the manifest is a list": _manifest_text(b"[]"),
    "the manifest is null": _manifest_text(b"null"),
    "the manifest is no UTF-8": _manifest_text(b'{"schema": "\xff"}'),
    "the manifest has UTF-16": _manifest_text('{"schema": 1}'.encode("utf-16")),
    "the manifest is nested deep": _manifest_text(b'{"schema":' * 100_000 + b"1" + b"}" * 100_000),
    "the manifest has a name twice": lambda f: (f / MANIFEST).write_bytes(
        (f / MANIFEST).read_bytes().replace(b"{", b'{"schema": "x",', 1)),
    "the manifest has NaN": lambda f: (f / MANIFEST).write_bytes(
        (f / MANIFEST).read_bytes().replace(b"0.1", b"NaN", 1)),
    "the manifest has an infinity": lambda f: (f / MANIFEST).write_bytes(
        (f / MANIFEST).read_bytes().replace(b"0.1", b"1e999", 1)),
    "the manifest has a number of a million digits": lambda f: (f / MANIFEST).write_bytes(
        (f / MANIFEST).read_bytes().replace(b"0.1", b"1" * 1_000_000, 1)),
    "the manifest has twenty megabytes": lambda f: os.truncate(f / MANIFEST, 20_000_000),
}  # fmt: skip

# --- files that are not what their names say, listed with right sizes and digests


def archive() -> bytes:
    """Return what ``torch.save`` writes: a zip with a pickle in it."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as file:
        file.writestr("archive/data.pkl", bomb(Path("mark")))
    return kept.getvalue()


def disguised(mark: Path) -> dict[str, bytes]:
    """Return contents that a careless loader would run, none under a name of its own."""
    return {
        **{f"a pickle of protocol {p}": bomb(mark, p) for p in (0, 1, 2, 3, 4, 5)},
        "a pickle that begins with a name": b"cos\nmkdir\n(V" + str(mark).encode() + b"\ntR.",
        "a pickle after a mark": b"(" + bomb(mark),
        "a pickle in gzip": gzip.compress(bomb(mark)),
        "an archive of torch": archive(),
        "an array of objects": b"\x93NUMPY\x01\x00" + bomb(mark),
        "a program": b"#!/bin/sh\nmkdir mark\n",
        "an ELF": b"\x7fELF" + bytes(60),
        "a text": b"hello",
        "a null": b"\x00",
    }


JSON = "learner.json"
TREES = "model-0.txt"
ONNX = "model.onnx"
TENSORS = "network.safetensors"
_DEEP_GRAPH = b""
for _ in range(40):
    _DEEP_GRAPH = field(1, field(5, field(6, _DEEP_GRAPH)))
CONTENTS: dict[str, tuple[str, bytes]] = {
    "JSON with a name twice": (JSON, b'{"a": 1, "a": 2}'),
    "JSON with a name twice inside": (JSON, b'{"b": {"a": 1, "\\u0061": 2}}'),
    "JSON with NaN": (JSON, b'{"a": NaN}'),
    "JSON with -Infinity": (JSON, b'{"a": -Infinity}'),
    "JSON with 1e999": (JSON, b'{"a": 1e999}'),
    "JSON nested deep": (JSON, b'{"a":' + b"[" * 90_000 + b"]" * 90_000 + b"}"),
    "JSON nested deep behind a quote": (JSON, b'{"a\\"":' + b"[" * 500 + b"]" * 500 + b"}"),
    "JSON with an endless text": (JSON, b'{"a": "' + b'\\"' * 300_000),
    "JSON that is a list": (JSON, b"[1, 2]"),
    "JSON that is a number": (JSON, b"1"),
    "JSON with a mark of its order": (JSON, b"\xef\xbb\xbf{}"),
    "JSON that is no UTF-8": (JSON, b'{"a": "\xff\xfe"}'),
    "JSON and more after it": (JSON, b'{"a": 1} {"b": 2}'),
    "JSON with a remark": (JSON, b'{"a": 1} // yes'),
    "JSON with a huge number": (JSON, b'{"a": ' + b"9" * 50_000 + b"}"),
    "XGBoost without a learner": ("model.json", b'{"trees": []}'),
    "XGBoost with a learner that is a text": ("model.json", b'{"learner": "os.system"}'),
    "XGBoost of an ensemble without a learner": ("3-model.json", b'{"version": [3, 2, 0]}'),
    "XGBoost in its binary form": ("model.json", b"binf" + bytes(90)),
    "LightGBM that begins later": (TREES, b"\ntree\nversion=v4"),
    "LightGBM with another word": (TREES, b"treeversion=v4\n"),
    "LightGBM with a NUL": (TREES, b"tree\nversion=v4\x00"),
    "LightGBM that is no text": (TREES, b"tree\n\xff\xfe"),
    "safetensors without a header": (TENSORS, b"1234567"),
    "safetensors with a header of nothing": (TENSORS, tensors_of(b"")),
    "safetensors with a huge length": (TENSORS, tensors_of({}, length=2**63)),
    "safetensors with the largest length": (TENSORS, tensors_of({}, length=2**64 - 1)),
    "safetensors with a length beyond the file": (TENSORS, tensors_of({}, length=3)),
    "safetensors with a length too short": (TENSORS, tensors_of({"a": tensor(0, 8)}, bytes(8), length=20)),
    "safetensors that overlap": (TENSORS, tensors_of({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12))),
    "safetensors twice the same": (TENSORS, tensors_of({"a": tensor(0, 8), "b": tensor(0, 8)}, bytes(8))),
    "safetensors with a hole": (TENSORS, tensors_of({"a": tensor(0, 8), "b": tensor(12, 20)}, bytes(20))),
    "safetensors with bytes left": (TENSORS, tensors_of({"a": tensor(0, 8)}, bytes(9))),
    "safetensors beyond the end": (TENSORS, tensors_of({"a": tensor(0, 8)}, bytes(7))),
    "safetensors below zero": (TENSORS, tensors_of({"a": tensor(-8, 0)}, bytes(8))),
    "safetensors backwards": (TENSORS, tensors_of({"a": tensor(8, 0)}, bytes(8))),
    "safetensors of another size": (TENSORS, tensors_of({"a": tensor(0, 8, (3,))}, bytes(8))),
    "safetensors of a huge shape": (TENSORS, tensors_of({"a": tensor(0, 8, (2**40, 2**40))}, bytes(8))),
    "safetensors of a negative shape": (TENSORS, tensors_of({"a": tensor(0, 8, (-1, -2))}, bytes(8))),
    "safetensors with a shape that is a number": (TENSORS, tensors_of({"a": tensor(0, 8, 2)}, bytes(8))),
    "safetensors with a type that is none": (TENSORS, tensors_of({"a": tensor(0, 8, (2,), "PY")}, bytes(8))),
    "safetensors with a type that is a list": (TENSORS, tensors_of({"a": tensor(0, 8, (2,), [])}, bytes(8))),
    "safetensors with places that are true": (TENSORS, tensors_of({"a": tensor(False, 8)}, bytes(8))),
    "safetensors with places that are floats": (TENSORS, tensors_of({"a": tensor(0, 8.0)}, bytes(8))),
    "safetensors with a field more": (TENSORS, tensors_of({"a": {**tensor(0, 8), "file": "/etc"}}, bytes(8))),
    "safetensors with a name twice": (TENSORS, tensors_of(b'{"a": {}, "a": {}}')),
    "safetensors with a tensor that is a number": (TENSORS, tensors_of({"a": 1})),
    "safetensors with words that are a list": (TENSORS, tensors_of({"__metadata__": [1]})),
    "safetensors with words that are numbers": (TENSORS, tensors_of({"__metadata__": {"a": 1}})),
    "safetensors with a header that is a list": (TENSORS, tensors_of([1])),
    "safetensors with a header nested deep": (TENSORS, tensors_of(b'{"a":' + b"[" * 900 + b"]" * 900 + b"}")),
    "safetensors with a pickle for a header": (TENSORS, tensors_of(bomb(Path("mark")))),
    "ONNX without a graph": (ONNX, field(1, 8) + field(8, b"")),
    "ONNX that is cut": (ONNX, FILES["model.onnx"][:-1]),
    "ONNX with a field that is none": (ONNX, onnx_of(b"") + field(99, b"x")),
    "ONNX with a field of number zero": (ONNX, onnx_of(b"") + b"\x02\x00"),
    "ONNX with a group": (ONNX, onnx_of(b"") + b"\x0b\x0c"),
    "ONNX with a length beyond the file": (ONNX, onnx_of(b"") + b"\x3a\xff\xff\xff\xff\x0f"),
    "ONNX with an endless number": (ONNX, onnx_of(b"") + b"\x08" + b"\xff" * 90),
    "ONNX with a broken graph": (ONNX, onnx_of(b"\x2a\x7f")),
    "ONNX nested deep": (ONNX, onnx_of(_DEEP_GRAPH)),
    "ONNX with weights elsewhere": (ONNX, onnx_of(field(5, OUTSIDE))),
    "ONNX with weights elsewhere, by the word alone": (ONNX, onnx_of(field(5, field(14, 1)))),
    "ONNX with weights elsewhere in the second graph": (ONNX, onnx_of(b"", field(7, field(5, OUTSIDE)))),
    "ONNX with weights elsewhere in a sparse tensor": (ONNX, onnx_of(field(15, field(1, OUTSIDE)))),
    "ONNX with weights elsewhere in a node": (ONNX, onnx_of(field(1, field(5, field(5, OUTSIDE))))),
    "ONNX with weights elsewhere in a list of a node": (ONNX, onnx_of(field(1, field(5, field(10, OUTSIDE))))),
    "ONNX with weights elsewhere in a branch": (ONNX, onnx_of(field(1, field(5, field(6, field(5, OUTSIDE)))))),
    "ONNX with weights elsewhere in a function": (
        ONNX, onnx_of(b"", field(25, field(7, field(5, field(5, OUTSIDE)))))),
    "ONNX with weights elsewhere for training": (ONNX, onnx_of(b"", field(20, field(1, field(5, OUTSIDE))))),
    "ONNX with a place written at length": (
        ONNX, onnx_of(field(5, field(13, b"\x0a\x88\x80\x00location" + field(2, b"/etc/passwd"))))),
}  # fmt: skip
assert SCHEMA == "forecastle/model/1", "the attacks were written for this form of a folder"

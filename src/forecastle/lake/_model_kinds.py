"""What a model file of each kind begins with, looked at byte by byte: enough to refuse what is something else."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

DEEPEST = 40
"""Levels of nesting; a tree of XGBoost has ten."""
_CODE = (b"\x80", b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(dp", b"(lp", b"cposix", b"cbuiltins", b"\x93NUMPY", b"#!")
"""How pickles, archives and programs begin."""
_TYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def strict_json(content: bytes) -> Any:
    """Return JSON without repeated names, NaN or deep nesting; raises ``ValueError``."""
    _refuse_code(content)
    _refuse_depth(content)
    try:
        return json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _refuse_code(content: bytes) -> None:
    if not content:
        raise ValueError("it is empty")
    if content.startswith(_CODE):
        raise ValueError("it begins like a pickle, an archive or a program")


def _refuse_depth(content: bytes) -> None:
    """Raise where brackets outside of texts are nested deeper than any model of ours."""
    depth, text, skip = 0, False, False
    if content.count(b"[") + content.count(b"{") <= DEEPEST:
        return
    for byte in content:
        if skip:
            skip = False
        elif text:
            skip, text = byte == 0x5C, byte != 0x22
        elif byte == 0x22:
            text = True
        elif byte in b"[{":
            depth += 1
            if depth > DEEPEST:
                raise ValueError("it is nested too deep")
        elif byte in b"]}":
            depth -= 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands there twice")
    return dict(pairs)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _json(content: bytes) -> None:
    if not isinstance(strict_json(content), dict):
        raise ValueError("it is not one object")  # noqa: TRY004 - a content that is wrong, not a type of ours


def _text(content: bytes) -> None:
    _refuse_code(content)
    if not content.startswith(b"tree\n") or b"\x00" in content:
        raise ValueError("it does not begin like trees of LightGBM")
    content.decode("utf-8")


def _safetensors(content: bytes) -> None:
    """Check the header: its length, the types, and that the tensors fill the rest without a hole or an overlap."""
    if len(content) < 8:
        raise ValueError("it has no header")
    (length,) = struct.unpack("<Q", content[:8])
    if not 2 <= length <= min(10_000_000, len(content) - 8):
        raise ValueError("its header is longer than the file, or than any")
    header = strict_json(content[8 : 8 + length].rstrip(b" "))
    if not isinstance(header, dict):
        raise ValueError("its header is not one object")  # noqa: TRY004 - a content that is wrong, not a type of ours
    spans = sorted(_span(tensor) for name, tensor in header.items() if name != "__metadata__")
    place = 0
    for begin, end in spans:
        if begin != place:
            raise ValueError("its tensors overlap, or leave a hole")
        place = end
    if place != len(content) - 8 - length:
        raise ValueError("its tensors do not fill the file")


def _span(tensor: Any) -> tuple[int, int]:
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        raise ValueError("a tensor has not the fields of one")
    shape, offsets = tensor["shape"], tensor["data_offsets"]
    numbers = [*shape, *offsets] if isinstance(shape, list) and isinstance(offsets, list) else [-1]
    if len(shape) > 8 or len(offsets) != 2 or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError("a tensor has no shape or place")
    size = _TYPES.get(str(tensor["dtype"]), 0)
    for n in shape:
        size *= n
    begin, end = offsets
    if tensor["dtype"] not in _TYPES or end - begin != size:
        raise ValueError("a tensor has not the size of its shape")
    return begin, end


def _onnx(content: bytes) -> None:
    """Walk the outermost fields of the protobuf: a graph is there, and no tensor lies in a file elsewhere."""
    _refuse_code(content)
    seen = set()
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        field, wire = key >> 3, key & 7
        if wire == 0:
            _, place = _varint(content, place)
        elif wire == 2:
            length, place = _varint(content, place)
            place += length
        else:
            raise ValueError("it is no ONNX model")
        seen.add(field)
    # 1 the version, 7 the graph, 8 the operators: onnx.proto
    if place != len(content) or not {1, 7, 8} <= seen or not seen <= {*range(1, 9), 14, 20, 25, 26}:
        raise ValueError("it is no ONNX model")
    if b"external_data" in content or b"\x0a\x08location" in content:
        raise ValueError("it names files elsewhere")


def _varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(content) or shift > 63:
            raise ValueError("it is no ONNX model")
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


KINDS: dict[str, Callable[[bytes], None]] = {
    ".json": _json,
    ".txt": _text,
    ".safetensors": _safetensors,
    ".onnx": _onnx,
}
"""The suffixes of model files, and what a file of each has to look like."""

"""What a model file of each kind begins with, looked at byte by byte: enough to refuse what is something else."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Container
from typing import Any

from forecastle.lake._model_onnx import check_onnx

DEEPEST = 40
"""Levels of nesting; a tree of XGBoost has ten."""
_CODE = (b"\x80", b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"(dp", b"(lp", b"cposix", b"cbuiltins", b"\x93NUMPY", b"#!")
"""How pickles, archives and programs begin."""
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A text, to its end or to that of the file, or a bracket outside of texts."""
_TYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def strict_json(content: bytes) -> Any:
    """Return JSON without repeated names, NaN or deep nesting; raises ``ValueError``."""
    _refuse_code(content)
    _refuse_depth(content)
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse_constant, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _refuse_code(content: bytes) -> None:
    if not content:
        raise ValueError("it is empty")
    if content.startswith(_CODE):
        raise ValueError("it begins like a pickle, an archive or a program")


def _refuse_depth(content: bytes) -> None:
    """Raise where brackets outside of texts are nested deeper than any model of ours."""
    depth = 0
    for match in _BRACKETS.finditer(content):
        first = match[0][:1]
        if first in b"[{":
            depth += 1
            if depth > DEEPEST:
                raise ValueError("it is nested too deep")
        elif first in b"]}":
            depth -= 1


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands there twice")
    return dict(pairs)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    """Return a number; one beyond the largest float would be read as an infinity that was never written."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is no number")
    return number


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
    header = strict_json(content[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("its header is not one object")  # noqa: TRY004 - a content that is wrong, not a type of ours
    words = header.pop("__metadata__", {})
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        raise ValueError("its words about itself are none")
    spans = sorted(_span(tensor) for tensor in header.values())
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
    kind, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    if not _whole(shape, range(9)) or not _whole(offsets, (2,)):
        raise ValueError("a tensor has no shape or place")
    begin, end = offsets
    if not isinstance(kind, str) or kind not in _TYPES or end - begin != _TYPES[kind] * math.prod(shape):
        raise ValueError("a tensor has not the size of its shape")
    return begin, end


def _whole(numbers: Any, lengths: Container[int]) -> bool:
    """Return whether it is a list of so many whole numbers, none below zero."""
    return isinstance(numbers, list) and len(numbers) in lengths and all(type(n) is int and n >= 0 for n in numbers)


def _onnx(content: bytes) -> None:
    _refuse_code(content)
    check_onnx(content)


def _xgboost(content: bytes) -> None:
    told = strict_json(content)
    if not isinstance(told, dict) or not isinstance(told.get("learner"), dict):
        raise ValueError("it is no model of XGBoost")  # noqa: TRY004 - a content that is wrong, not a type of ours


_KINDS: dict[str, Callable[[bytes], None]] = {
    ".json": _json,
    ".txt": _text,
    ".safetensors": _safetensors,
    ".onnx": _onnx,
}
SUFFIXES = frozenset(_KINDS)
"""The suffixes of model files."""
_TREES = "model.json"
"""The file of XGBoost; in an ensemble it has the number of the member before it."""


def check(name: str, content: bytes) -> None:
    """Raise ``ValueError`` where a file of this name is not what such a file looks like."""
    if name == _TREES or name.endswith(f"-{_TREES}"):
        _xgboost(content)
    else:
        _KINDS[name[name.rindex(".") :]](content)

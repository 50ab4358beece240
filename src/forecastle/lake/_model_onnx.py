"""ONNX models looked at field by field, as protobuf writes them: a graph is there, and no tensor lies elsewhere.

A model may keep its tensors in other files and name them by a path; a library would open whatever stands there. Field
numbers are those of ``onnx.proto3`` of ONNX 1.20; a field that is not named here is passed over by its length.
"""

from __future__ import annotations

from collections.abc import Iterator

DEEPEST = 12
"""Graphs within graphs; those of ours have none."""
MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION, TRAINING = range(8)
_WITHIN: dict[int, dict[int, int]] = {
    MODEL: {7: GRAPH, 20: TRAINING, 25: FUNCTION},
    GRAPH: {1: NODE, 5: TENSOR, 15: SPARSE},
    NODE: {5: ATTRIBUTE},
    ATTRIBUTE: {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE},
    SPARSE: {1: TENSOR, 2: TENSOR},
    FUNCTION: {7: NODE, 11: ATTRIBUTE},
    TRAINING: {1: GRAPH, 2: GRAPH},
    TENSOR: {},
}
"""The messages in which a tensor can stand, and by which field of which."""
_ELSEWHERE = (13, 14)
"""Fields of a tensor: the place of its data outside, and the word that it is outside."""
_FIXED = {1: 8, 5: 4}
_ALL = frozenset({*range(1, 9), 14, 20, 25, 26})


def check_onnx(content: bytes) -> None:
    """Raise ``ValueError`` where it is no ONNX model, or names files elsewhere."""
    seen = _walk(content, 0, len(content), MODEL, 0)
    # 1 the version, 7 the graph, 8 the operators
    if not {1, 7, 8} <= seen or not seen <= _ALL:
        raise ValueError("it is no ONNX model")


def _walk(content: bytes, place: int, end: int, message: int, depth: int) -> set[int]:
    """Return the fields of a message; raises where a tensor within it lies elsewhere."""
    if depth > 4 * DEEPEST:
        raise ValueError("it is nested too deep")
    seen = set()
    for field, begin, stop in _fields(content, place, end):
        seen.add(field)
        if message == TENSOR and field in _ELSEWHERE:
            raise ValueError("it names files elsewhere")
        inner = _WITHIN[message].get(field)
        if inner is not None:
            _walk(content, begin, stop, inner, depth + 1)
    return seen


def _fields(content: bytes, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield each field of a message and where its content is; an inner message has to be whole."""
    while place < end:
        key, place = _varint(content, place, end)
        field, wire = key >> 3, key & 7
        if wire == 2:
            length, place = _varint(content, place, end)
        elif wire == 0:
            _, stop = _varint(content, place, end)
            length = stop - place
        elif wire in _FIXED:
            length = _FIXED[wire]
        else:
            raise ValueError("it is no ONNX model")
        if not field or place + length > end:
            raise ValueError("it is no ONNX model")
        yield field, place, place + length
        place += length


def _varint(content: bytes, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("it is no ONNX model")

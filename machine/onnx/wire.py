"""Takes large tensors out of a serialised model: they stay in the file's memory, and protobuf never copies them."""

from __future__ import annotations

from collections.abc import Iterator

LEAST_BYTES = 1 << 14  # tensors smaller than this are left to protobuf
MOST_DEPTH = 32  # of graphs inside graphs; what is deeper is left to protobuf
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

# Numbers of the fields that lead to tensors, and what lies there (onnx.proto).
FIELDS = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph"},
}
LISTS = (7, 8, 9)  # floats, ints and strings of an attribute, one field each: trees have millions, no tensor among them
RAW_DATA, EXTERNAL_DATA, DATA_LOCATION, EXTERNAL = 9, 13, 14, 1


class WireError(ValueError):
    """The bytes are not a protobuf message."""


def without_tensors(data: memoryview, location: str) -> bytes:
    """A serialised ModelProto whose large tensors are external data at offsets of `data`, which `location` stands for.

    Raises:
        WireError: the bytes are not a message.
    """
    return b"".join(_message(data, 0, len(data), "model", location, 0))


def _message(data: memoryview, start: int, end: int, kind: str, location: str, depth: int) -> list[bytes | memoryview]:
    """The pieces of a message between two offsets."""
    if end - start < LEAST_BYTES or depth > MOST_DEPTH:
        return [data[start:end]]
    pieces: list[bytes | memoryview] = []
    reference: list[bytes] = []  # at the end, for what a message says last counts: it may say where its data is itself
    copied = start  # all before it is in `pieces`
    for number, first, begin, stop in _fields(data, start, end):
        inner = FIELDS.get(kind, {}).get(number)
        if kind == "attribute" and number in LISTS:
            break
        if stop - begin < LEAST_BYTES or not (inner or (kind == "tensor" and number == RAW_DATA)):
            continue
        pieces.append(data[copied:first])
        if inner is None:
            reference = _reference(location, begin, stop - begin)
        else:
            body = _message(data, begin, stop, inner, location, depth + (inner == "graph"))
            pieces += [_tag(number, LENGTH), _varint(sum(map(len, body))), *body]
        copied = stop
    return [*pieces, data[copied:end], *reference]


def _fields(data: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, offset of the field, of its contents, of their end) of each field of a message."""
    at = start
    while at < end:
        first = at
        key, at = _read_varint(data, at, end)
        number, how = key >> 3, key & 7
        begin = at
        if how == VARINT:
            _, at = _read_varint(data, at, end)
        elif how == LENGTH:
            length, begin = _read_varint(data, at, end)
            at = begin + length
        elif how in (FIXED64, FIXED32):
            at += 8 if how == FIXED64 else 4
        else:
            raise WireError(f"byte {first} begins a field of unknown kind {how}")
        if at > end:
            raise WireError(f"the field at byte {first} ends behind its message")
        yield number, first, begin, at if how == LENGTH else begin


def _read_varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise WireError(f"the number before byte {at} has no end")


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _tag(number: int, how: int) -> bytes:
    return _varint(number << 3 | how)


def _reference(location: str, offset: int, length: int) -> list[bytes]:
    """External data in place of the bytes of a tensor."""
    pieces = []
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        entry = b"".join(_string(1 + index, text) for index, text in enumerate((key, value)))
        pieces.append(_tag(EXTERNAL_DATA, LENGTH) + _varint(len(entry)) + entry)
    return [*pieces, _tag(DATA_LOCATION, VARINT) + _varint(EXTERNAL)]


def _string(number: int, text: str) -> bytes:
    data = text.encode()
    return _tag(number, LENGTH) + _varint(len(data)) + data

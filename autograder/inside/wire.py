"""Frames and bodies that grader and worker exchange. Uses the standard library and NumPy only.

A frame is one type byte, an unsigned 64-bit length and that many bytes. A body is a 32-bit length, JSON of that length,
then tensors in the safetensors layout (https://github.com/huggingface/safetensors).

| type | direction | content |
| --- | --- | --- |
| Q | grader -> worker | request: a body whose JSON is the header and whose tail is the body of the payload |
| H | worker -> grader | hello, sent once the libraries are imported; JSON |
| S | worker -> grader | the child starts; JSON: the resident bytes of the worker |
| C | worker -> grader | raw bytes that the child wrote to its answer pipe: untrusted frames P and R |
| E | worker -> grader | how the child ended; JSON |
| P | child | progress, JSON |
| R | child | the reply: a body |
"""

from __future__ import annotations

import json
import os
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADER = struct.Struct(">cQ")
LENGTH = struct.Struct(">I")
CHUNK = 1 << 18
DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


class WireError(ValueError):
    """A frame breaks the protocol. Whatever follows it on that stream cannot be trusted."""


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """Encode one frame."""
    return HEADER.pack(kind, len(payload)) + payload


def json_bytes(value: Any) -> bytes:
    """Encode as compact ASCII JSON. Raises ValueError on NaN and Inf, TypeError on what JSON cannot represent."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


def pack_body(value: Any, tail: bytes = b"") -> bytes:
    """Encode a body: JSON, then raw bytes (tensors, or another body)."""
    head = json_bytes(value)
    return LENGTH.pack(len(head)) + head + tail


def split_body(body: bytes | memoryview) -> tuple[bytes, memoryview]:
    """Split a body into its JSON bytes and its tail. Raises WireError if the lengths do not fit."""
    if len(body) < LENGTH.size:
        raise WireError("the body is shorter than its length field")
    (size,) = LENGTH.unpack_from(body)
    if size > len(body) - LENGTH.size:
        raise WireError("the JSON part is longer than the body")
    end = LENGTH.size + size
    return bytes(body[LENGTH.size : end]), memoryview(body)[end:]


def encode_tensors(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Encode arrays in the safetensors layout, in the given order. Raises TypeError on a dtype not in DTYPES."""
    header: dict[str, Any] = {}
    parts, offset = [], 0
    for name, array in tensors.items():
        data = np.ascontiguousarray(array)
        if data.dtype.name not in DTYPES:
            raise TypeError(f"tensor {name!r} has dtype {data.dtype}, which does not travel")
        raw = data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
        span, kind = [offset, offset + len(raw)], DTYPES[data.dtype.name]
        header[name] = {"dtype": kind, "shape": list(np.shape(array)), "data_offsets": span}
        parts.append(raw)
        offset += len(raw)
    head = json_bytes(header)
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + b"".join(parts)


class FrameReader:
    """Cuts a byte stream into frames. `limits` gives the largest payload in bytes of each allowed type."""

    def __init__(self, limits: Mapping[bytes, int]) -> None:
        self._limits = dict(limits)
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[bytes, bytes]]:
        """Yield each frame that is complete. Raises WireError on an unknown type or a size over its limit."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            kind, size = HEADER.unpack_from(self._buffer)
            if kind not in self._limits:
                raise WireError(f"unknown frame type {kind!r}")
            if size > self._limits[kind]:
                raise WireError(f"a frame of type {kind!r} announces {size} bytes, over its limit")
            if len(self._buffer) < HEADER.size + size:
                return
            payload = bytes(memoryview(self._buffer)[HEADER.size : HEADER.size + size])
            del self._buffer[: HEADER.size + size]
            yield kind, payload

    @property
    def pending(self) -> int:
        """Count the bytes of a frame that is not complete yet."""
        return len(self._buffer)


def read_exact(fd: int, size: int) -> bytes:
    """Read exactly `size` bytes, blocking. Raises EOFError if the stream ends before."""
    data = bytearray()
    while len(data) < size:
        part = os.read(fd, min(size - len(data), 1 << 20))
        if not part:
            raise EOFError("the stream ended inside a frame")
        data += part
    return bytes(data)


def write_all(fd: int, data: bytes) -> None:
    """Write all bytes, blocking."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view[: 1 << 20]) :]

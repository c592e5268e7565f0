"""Decode what a worker sends: strict JSON and strict safetensors, nothing else.

Every violation raises ProtocolError, never another exception: an answer is evidence about a submission, and no answer
may stop the grader. Tensors may hold NaN and Inf, since a wrong answer is often not finite, so code that compares them
checks `isfinite` first. JSON may hold neither.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograder.inside.wire import DTYPES, WireError, encode_tensors, pack_body, split_body

JSON_BYTES = 4 << 20
PROGRESS_BYTES = 1 << 14
MAX_DEPTH = 24
MAX_NODES = 1_000_000
MAX_RANK = 8
ENTRY_BYTES = 512  # of the tensor header per tensor: a name of 200 characters and ten numbers of 20 digits fit
NUMPY_NAMES = {short: name for name, short in DTYPES.items()}
TENSOR_NAME = re.compile(r"[A-Za-z0-9_./:\-]{1,200}")
REPLY_KINDS = ("answered", "not_attempted", "crashed", "out_of_memory", "invalid")


class ProtocolError(ValueError):
    """The worker's bytes break a rule of the protocol."""


@dataclass(frozen=True)
class TensorSpec:
    """The only dtype (a NumPy name such as "float32") and shape that an answer's tensor may have."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class AnyTensors:
    """Accept up to `max_count` tensors of any name and shape, for answers whose wrong shape is itself a finding."""

    max_count: int = 64


Manifest = Mapping[str, TensorSpec]
Expect = Manifest | AnyTensors | Callable[[dict[str, Any]], Manifest | AnyTensors] | None


@dataclass(frozen=True)
class DecodedReply:
    """A reply that keeps the protocol: `kind` as the child claims it, JSON data, tensors, error text (for the TA)."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    error: str = ""


def strict_json(raw: bytes, limit: int = JSON_BYTES) -> Any:
    """Parse JSON of finite numbers, unique keys, bounded depth and size. Raises ProtocolError."""
    if len(raw) > limit:
        raise ProtocolError(f"JSON of {len(raw)} bytes, over the limit of {limit}")
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_constant=_reject_constant, object_pairs_hook=_reject_duplicate_keys)
    except ProtocolError:
        raise
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise ProtocolError(f"not JSON: {type(error).__name__}") from None
    _check_tree(value)
    return value


def decode_reply(body: bytes, expect: Expect) -> DecodedReply:
    """Decode the reply of a child. Raises ProtocolError on any deviation, also from `expect`."""
    try:
        head, tail = split_body(body)
    except WireError as problem:
        raise ProtocolError(str(problem)) from None
    value = strict_json(head)
    if not isinstance(value, dict) or set(value) != {"kind", "data", "error"}:
        raise ProtocolError("the reply is not an object of kind, data and error")
    kind, data, error = value["kind"], value["data"], value["error"]
    if kind not in REPLY_KINDS or not isinstance(data, dict) or not isinstance(error, str):
        raise ProtocolError("the reply's kind, data or error has the wrong type")
    if kind != "answered":
        return DecodedReply(kind, data, {}, error)
    manifest = _manifest(expect, data)
    return DecodedReply(kind, data, decode_tensors(tail, manifest if manifest is not None else {}), error)


def _manifest(expect: Expect, data: dict[str, Any]) -> Manifest | AnyTensors | None:
    if not callable(expect):
        return expect
    try:
        return expect(data)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as problem:
        raise ProtocolError(f"its data do not say which tensors to expect: {problem!r}") from None


def encode_request(header: Mapping[str, Any], payload: Any, tensors: Mapping[str, np.ndarray]) -> bytes:
    """Encode a request: the header is for the worker, payload and tensors are for the child."""
    return pack_body(dict(header), pack_body(payload, encode_tensors(tensors)))


def decode_tensors(blob: bytes | memoryview, expect: Manifest | AnyTensors) -> dict[str, np.ndarray]:
    """Read safetensors bytes against an exact manifest; each array is a fresh, writable copy.

    Raises ProtocolError on names, dtypes or shapes other than expected, duplicates, holes, overlaps, trailing bytes,
    metadata, and sizes that do not match the shape.
    """
    view = memoryview(blob)
    header, data = _tensor_header(view, expect)
    if isinstance(expect, AnyTensors):
        if len(header) > expect.max_count:
            raise ProtocolError(f"{len(header)} tensors, over the limit of {expect.max_count}")
    elif set(header) != set(expect):
        missing, extra = sorted(set(expect) - set(header))[:5], sorted(set(header) - set(expect))[:5]
        raise ProtocolError(f"tensor names differ: missing {missing}, unexpected {extra}")
    entries = [(*_entry(name, item), name) for name, item in header.items()]
    entries.sort(key=lambda entry: entry[2:4])
    out, position = {}, 0
    for dtype, shape, begin, end, name in entries:
        if not isinstance(expect, AnyTensors) and TensorSpec(dtype, shape) != expect[name]:
            raise ProtocolError(f"tensor {name!r} is {dtype}{list(shape)}, expected {expect[name]}")
        if begin != position:
            raise ProtocolError(f"tensor {name!r} does not start where the one before it ends")
        out[name] = _array(data[begin:end], dtype, shape, name)
        position = end
    if position != len(data):
        raise ProtocolError(f"{len(data) - position} bytes belong to no tensor")
    return {name: out[name] for name in header}


def header_limit(expect: Manifest | AnyTensors) -> int:
    """Compute the largest tensor header in bytes: one entry per expected tensor, and one for the enclosing object."""
    count = expect.max_count if isinstance(expect, AnyTensors) else len(expect)
    return (1 + count) * ENTRY_BYTES


def _tensor_header(view: memoryview, expect: Manifest | AnyTensors) -> tuple[dict[str, Any], memoryview]:
    if len(view) == 0 and not expect:
        return {}, view
    if len(view) < 8:
        raise ProtocolError("tensor bytes are shorter than their length field")
    (size,) = struct.unpack_from("<Q", view)
    limit = header_limit(expect)
    if size > min(len(view) - 8, limit):
        raise ProtocolError("the tensor header is longer than allowed")
    header = strict_json(bytes(view[8 : 8 + size]), limit)
    if not isinstance(header, dict):
        raise ProtocolError("the tensor header is not an object of tensors")
    return header, view[8 + size :]


def _entry(name: str, item: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Check types and sizes of one header entry and return (dtype, shape, begin, end)."""
    if not TENSOR_NAME.fullmatch(name):
        raise ProtocolError(f"tensor name {name[:50]!r} is not allowed")
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise ProtocolError(f"tensor {name!r} lacks dtype, shape or data_offsets")
    dtype, shape, span = item["dtype"], item["shape"], item["data_offsets"]
    if type(dtype) is not str or dtype not in NUMPY_NAMES:
        raise ProtocolError(f"tensor {name!r} has an unknown dtype")
    for values in (shape, span):
        if type(values) is not list or any(type(v) is not int or v < 0 for v in values):
            raise ProtocolError(f"tensor {name!r} has a shape or offsets that are no counts")
    if len(shape) > MAX_RANK or len(span) != 2 or span[0] > span[1]:
        raise ProtocolError(f"tensor {name!r} has too many dimensions or odd offsets")
    size = math.prod(shape) * np.dtype(NUMPY_NAMES[dtype]).itemsize
    if size != span[1] - span[0] or max(shape, default=0) > 1 << 40:
        raise ProtocolError(f"tensor {name!r} has {span[1] - span[0]} bytes for shape {shape[:8]}")
    return NUMPY_NAMES[dtype], tuple(shape), span[0], span[1]


def _array(raw: memoryview, dtype: str, shape: tuple[int, ...], name: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if len(raw) != math.prod(shape) * kind.itemsize:
        raise ProtocolError(f"tensor {name!r} is cut short")
    if kind == np.bool_ and np.frombuffer(raw, np.uint8).max(initial=0) > 1:
        raise ProtocolError(f"tensor {name!r} has booleans that are neither 0 nor 1")
    return np.frombuffer(raw, kind.newbyteorder("<")).astype(kind).reshape(shape)


def _reject_constant(constant: str) -> float:
    raise ProtocolError(f"{constant} is not allowed in JSON")


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ProtocolError("a key occurs twice in one JSON object")
    return value


def _check_tree(value: Any) -> None:
    """Check what `json.loads` does not: depth, number of values, finite numbers (it reads 1e999 as inf), text."""
    stack, nodes = [(value, 0)], 0
    while stack:
        item, depth = stack.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise ProtocolError("JSON is nested too deeply or has too many values")
        if isinstance(item, dict):
            stack.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, list):
            stack.extend((part, depth + 1) for part in item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise ProtocolError("a number in JSON is not finite")
        elif isinstance(item, int) and abs(item) >= 1 << 63:
            raise ProtocolError("an integer in JSON needs more than 64 bits")
        elif isinstance(item, str) and any("\ud800" <= char <= "\udfff" for char in item):
            raise ProtocolError("a text in JSON has lone surrogates")

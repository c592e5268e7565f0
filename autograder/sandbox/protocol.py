"""What the grader accepts from a worker: strict JSON and strict safetensors, nothing else.

Every violation is an InvalidAnswer, never another exception: an answer is evidence about a
submission, and no answer may stop the grader. NaN and Inf may travel in tensors (a wrong answer is
often not finite); whoever compares checks `isfinite` first. They may not travel in JSON.
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
ENTRY_BYTES = 512  # of the tensor header for each tensor: a name of 200 characters and ten numbers of 20 digits fit
NUMPY_NAMES = {short: name for name, short in DTYPES.items()}
TENSOR_NAME = re.compile(r"[A-Za-z0-9_./:\-]{1,200}")
REPLY_KINDS = ("answered", "not_attempted", "crashed", "out_of_memory", "invalid")


class InvalidAnswer(ValueError):
    """The worker's bytes break a rule of the protocol."""


@dataclass(frozen=True)
class TensorSpec:
    """The one dtype (a NumPy name such as "float32") and shape that an answer's tensor may have."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class AnyTensors:
    """Accept any names and shapes, bounded: for answers whose wrong shape is itself a finding."""

    max_count: int = 64


Manifest = Mapping[str, TensorSpec]
Expect = Manifest | AnyTensors | Callable[[dict[str, Any]], Manifest | AnyTensors] | None


@dataclass(frozen=True)
class Answer:
    """A decoded reply: `kind` as the worker claims it, JSON data, tensors, error text (TA only)."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    error: str = ""


def strict_json(raw: bytes, limit: int = JSON_BYTES) -> Any:
    """Parse JSON of finite numbers, unique keys, bounded depth and size. Raises InvalidAnswer."""
    if len(raw) > limit:
        raise InvalidAnswer(f"JSON of {len(raw)} bytes, over the limit of {limit}")
    try:
        text = raw.decode("utf-8")
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
    except InvalidAnswer:
        raise
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise InvalidAnswer(f"not JSON: {type(error).__name__}") from None
    _check_tree(value)
    return value


def decode_reply(body: bytes, expect: Expect) -> Answer:
    """Decode the reply of a child. Raises InvalidAnswer on any deviation, also from `expect`."""
    try:
        head, tail = split_body(body)
    except WireError as problem:
        raise InvalidAnswer(str(problem)) from None
    value = strict_json(head)
    if not isinstance(value, dict) or set(value) != {"kind", "data", "error"}:
        raise InvalidAnswer("the reply is not an object of kind, data and error")
    kind, data, error = value["kind"], value["data"], value["error"]
    if kind not in REPLY_KINDS or not isinstance(data, dict) or not isinstance(error, str):
        raise InvalidAnswer("the reply's kind, data or error has the wrong type")
    if kind != "answered":
        return Answer(kind, data, {}, error)
    manifest = _manifest(expect, data)
    return Answer(kind, data, decode_tensors(tail, manifest if manifest is not None else {}), error)


def _manifest(expect: Expect, data: dict[str, Any]) -> Manifest | AnyTensors | None:
    if not callable(expect):
        return expect
    try:
        return expect(data)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as problem:
        raise InvalidAnswer(f"its data do not say which tensors to expect: {problem!r}") from None


def encode_request(header: Mapping[str, Any], payload: Any, tensors: Mapping[str, np.ndarray]) -> bytes:
    """The body of a request: header for the worker, payload and tensors for the child."""
    return pack_body(dict(header), pack_body(payload, encode_tensors(tensors)))


def decode_tensors(blob: bytes | memoryview, expect: Manifest | AnyTensors) -> dict[str, np.ndarray]:
    """Read safetensors bytes against an exact manifest; each array is a fresh, writable copy.

    Refused: names, dtypes or shapes other than expected, duplicates, holes, overlaps, trailing bytes,
    metadata, sizes that do not match the shape. Raises InvalidAnswer.
    """
    view = memoryview(blob)
    header, data = _tensor_header(view, expect)
    if isinstance(expect, AnyTensors):
        if len(header) > expect.max_count:
            raise InvalidAnswer(f"{len(header)} tensors, over the limit of {expect.max_count}")
    elif set(header) != set(expect):
        missing, extra = sorted(set(expect) - set(header))[:5], sorted(set(header) - set(expect))[:5]
        raise InvalidAnswer(f"tensor names differ: missing {missing}, unexpected {extra}")
    entries = [(*_entry(name, item), name) for name, item in header.items()]
    entries.sort(key=lambda entry: entry[2:4])
    out, position = {}, 0
    for dtype, shape, begin, end, name in entries:
        if not isinstance(expect, AnyTensors) and TensorSpec(dtype, shape) != expect[name]:
            raise InvalidAnswer(f"tensor {name!r} is {dtype}{list(shape)}, expected {expect[name]}")
        if begin != position:
            raise InvalidAnswer(f"tensor {name!r} does not start where the one before it ends")
        out[name] = _array(data[begin:end], dtype, shape, name)
        position = end
    if position != len(data):
        raise InvalidAnswer(f"{len(data) - position} bytes belong to no tensor")
    return {name: out[name] for name in header}


def header_limit(expect: Manifest | AnyTensors) -> int:
    """Largest tensor header in bytes, by the number of tensors that may come; one entry more for the frame."""
    count = expect.max_count if isinstance(expect, AnyTensors) else len(expect)
    return (1 + count) * ENTRY_BYTES


def _tensor_header(view: memoryview, expect: Manifest | AnyTensors) -> tuple[dict[str, Any], memoryview]:
    if len(view) == 0 and not expect:
        return {}, view
    if len(view) < 8:
        raise InvalidAnswer("tensor bytes are shorter than their length field")
    (size,) = struct.unpack_from("<Q", view)
    limit = header_limit(expect)
    if size > min(len(view) - 8, limit):
        raise InvalidAnswer("the tensor header is longer than allowed")
    header = strict_json(bytes(view[8 : 8 + size]), limit)
    if not isinstance(header, dict):
        raise InvalidAnswer("the tensor header is not an object of tensors")
    return header, view[8 + size :]


def _entry(name: str, item: Any) -> tuple[str, tuple[int, ...], int, int]:
    """(dtype, shape, begin, end) of one header entry, types and sizes checked."""
    if not TENSOR_NAME.fullmatch(name):
        raise InvalidAnswer(f"tensor name {name[:50]!r} is not allowed")
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise InvalidAnswer(f"tensor {name!r} lacks dtype, shape or data_offsets")
    dtype, shape, span = item["dtype"], item["shape"], item["data_offsets"]
    if type(dtype) is not str or dtype not in NUMPY_NAMES:
        raise InvalidAnswer(f"tensor {name!r} has an unknown dtype")
    for values in (shape, span):
        if type(values) is not list or any(type(v) is not int or v < 0 for v in values):
            raise InvalidAnswer(f"tensor {name!r} has a shape or offsets that are no counts")
    if len(shape) > MAX_RANK or len(span) != 2 or span[0] > span[1]:
        raise InvalidAnswer(f"tensor {name!r} has too many dimensions or odd offsets")
    size = math.prod(shape) * np.dtype(NUMPY_NAMES[dtype]).itemsize
    if size != span[1] - span[0] or max(shape, default=0) > 1 << 40:
        raise InvalidAnswer(f"tensor {name!r} has {span[1] - span[0]} bytes for shape {shape[:8]}")
    return NUMPY_NAMES[dtype], tuple(shape), span[0], span[1]


def _array(raw: memoryview, dtype: str, shape: tuple[int, ...], name: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if len(raw) != math.prod(shape) * kind.itemsize:
        raise InvalidAnswer(f"tensor {name!r} is cut short")
    if kind == np.bool_ and np.frombuffer(raw, np.uint8).max(initial=0) > 1:
        raise InvalidAnswer(f"tensor {name!r} has booleans that are neither 0 nor 1")
    return np.frombuffer(raw, kind.newbyteorder("<")).astype(kind).reshape(shape)


def _refuse(constant: str) -> float:
    raise InvalidAnswer(f"{constant} is not allowed in JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidAnswer("a key occurs twice in one JSON object")
    return value


def _check_tree(value: Any) -> None:
    """Bounds on depth, count, numbers and text that `json.loads` does not give (1e999 is inf there)."""
    stack, nodes = [(value, 0)], 0
    while stack:
        item, depth = stack.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise InvalidAnswer("JSON is nested too deeply or has too many values")
        if isinstance(item, dict):
            stack.extend((part, depth + 1) for pair in item.items() for part in pair)
        elif isinstance(item, list):
            stack.extend((part, depth + 1) for part in item)
        elif isinstance(item, float) and not math.isfinite(item):
            raise InvalidAnswer("a number in JSON is not finite")
        elif isinstance(item, int) and abs(item) >= 1 << 63:
            raise InvalidAnswer("an integer in JSON needs more than 64 bits")
        elif isinstance(item, str) and any("\ud800" <= char <= "\udfff" for char in item):
            raise InvalidAnswer("a text in JSON has lone surrogates")

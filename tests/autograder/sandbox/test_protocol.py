"""The grader accepts only well-formed answers and rejects the rest with a ProtocolError."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.inside.wire import DTYPES, FrameReader, WireError, encode_tensors, frame, pack_body
from autograder.sandbox.protocol import (
    ENTRY_BYTES,
    MAX_RANK,
    AnyTensors,
    ProtocolError,
    TensorSpec,
    decode_reply,
    decode_tensors,
    header_limit,
    strict_json,
)
from rlhf_kit.models import Policy, load_base_model

SPEC = {"x": TensorSpec("float32", (2,))}
ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def blob(header: Any, data: bytes = bytes(8)) -> bytes:
    """Build safetensors bytes with any header."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


@pytest.mark.parametrize("dtype", sorted(DTYPES))
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3)])
def test_dtypes_and_shapes_survive_encoding(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    out = decode_tensors(encode_tensors({"a/b.0": array}), {"a/b.0": TensorSpec(dtype, shape)})["a/b.0"]
    assert out.dtype == array.dtype
    assert out.shape == shape
    assert out.flags.writeable
    np.testing.assert_array_equal(out, array)


def test_non_finite_tensors_are_kept() -> None:
    array = np.array([np.nan, -np.inf], np.float32)
    np.testing.assert_array_equal(decode_tensors(encode_tensors({"x": array}), SPEC)["x"], array)


def test_a_strided_array_is_sent_in_row_order() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3).T
    out = decode_tensors(encode_tensors({"x": array}), AnyTensors())["x"]
    np.testing.assert_array_equal(out, array)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 1 << 40) + b"{}",
        blob(b"not json"),
        blob([]),
        blob({}),  # x is missing
        blob({"x": ENTRY, "y": {"dtype": "F32", "shape": [0], "data_offsets": [8, 8]}}),
        blob(b'{"x":%b,"x":%b}' % ((json.dumps(ENTRY).encode(),) * 2)),  # duplicate
        blob({"x": ENTRY, "__metadata__": {"a": "b"}}),
        blob({"x": ENTRY}, bytes(7)),
        blob({"x": ENTRY}, bytes(9)),
        blob({"x": {**ENTRY, "dtype": "F64"}}),
        blob({"x": {**ENTRY, "dtype": "BF16"}}),
        blob({"x": {**ENTRY, "dtype": ["F32"]}}),
        blob({"x": {**ENTRY, "shape": [2, 1]}}),
        blob({"x": {**ENTRY, "shape": [2.0]}}),
        blob({"x": {**ENTRY, "shape": [True, 2]}}),
        blob({"x": {**ENTRY, "shape": [-1, -2]}}),
        blob({"x": {**ENTRY, "shape": [1] * 9 + [2]}}),
        blob({"x": {**ENTRY, "shape": "2"}}),
        blob({"x": {**ENTRY, "data_offsets": [8, 0]}}),
        blob({"x": {**ENTRY, "data_offsets": [0, 8, 8]}}),
        blob({"x": {**ENTRY, "data_offsets": [4, 12]}}, bytes(12)),  # a hole before it
        blob({"x": {**ENTRY, "more": 1}}),
        blob({"x": None}),
    ],
)
def test_malformed_tensors_are_rejected(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_tensors(data, SPEC)


@pytest.mark.parametrize(
    "header",
    [
        {"x": ENTRY, "y": ENTRY},  # the same bytes twice
        {"a b": ENTRY},
        {"x": {**ENTRY, "shape": [0, 1 << 62], "data_offsets": [0, 0]}},
        {str(i): {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(65)},
    ],
)
def test_any_tensors_are_bounded(header: dict) -> None:
    with pytest.raises(ProtocolError):
        decode_tensors(blob(header), AnyTensors())


def test_longest_allowed_entry_fits_into_entry_bytes() -> None:
    most = {"dtype": "BOOL", "shape": [1 << 40] * MAX_RANK, "data_offsets": [(1 << 63) - 1] * 2}
    assert len(json.dumps({"x" * 200: most})) <= ENTRY_BYTES


@pytest.mark.parametrize("expect", [SPEC, AnyTensors(max_count=1)])
def test_oversized_header_is_rejected(expect: Any) -> None:
    header, room = json.dumps({"x": ENTRY}), header_limit(expect)
    assert decode_tensors(blob(header.ljust(room).encode()), expect)["x"].shape == (2,)
    with pytest.raises(ProtocolError, match="longer than allowed"):
        decode_tensors(blob(header.ljust(room + 1).encode()), expect)


def test_header_of_policy_snapshots_is_below_half_of_its_limit() -> None:
    state = Policy(load_base_model()).state_dict()
    tensors = {f"s{step:06d}/{name}": value.numpy() for step in range(6) for name, value in state.items()}
    manifest = {name: TensorSpec("float32", array.shape) for name, array in tensors.items()}
    sent = encode_tensors(tensors)
    assert set(decode_tensors(sent, manifest)) == set(manifest)
    assert struct.unpack_from("<Q", sent)[0] < header_limit(manifest) / 2


def test_booleans_other_than_zero_and_one_are_rejected() -> None:
    header = {"x": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}}
    assert decode_tensors(blob(header, b"\x00\x01"), AnyTensors())["x"].tolist() == [False, True]
    with pytest.raises(ProtocolError):
        decode_tensors(blob(header, b"\x00\x02"), AnyTensors())


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "[Infinity]", "-Infinity", "1e999", "[-1e999]", '{"a":1,"a":2}', "[" * 2000,
        "[" * 30 + "]" * 30,
        "9" * 5000, "9" * 40, '"\\ud800"', "\xff", "", "{", "1 2", "[" + "0," * 1_000_001 + "0]",
    ],
)  # fmt: skip
def test_malformed_or_non_finite_json_is_rejected(text: str) -> None:
    with pytest.raises(ProtocolError):
        strict_json(text.encode("latin-1"))


def test_plain_json_is_read_unchanged() -> None:
    value = {"a": [1, -2.5, True, None, "ä\n"], "b": {}}
    assert strict_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "value",
    [
        [], {"kind": "answered"}, {"kind": "passed", "data": {}, "error": ""},
        {"kind": "answered", "data": [], "error": ""}, {"kind": "answered", "data": {}, "error": None},
        {"kind": "answered", "data": {}, "error": "", "score": 100},
        {"kind": ["answered"], "data": {}, "error": ""},
    ],
)  # fmt: skip
def test_malformed_reply_is_rejected(value: Any) -> None:
    with pytest.raises(ProtocolError):
        decode_reply(pack_body(value), None)


def test_the_manifest_may_depend_on_the_data() -> None:
    body = pack_body(
        {"kind": "answered", "data": {"n": 3}, "error": ""}, encode_tensors({"x": np.zeros(3, np.float32)})
    )
    answer = decode_reply(body, lambda data: {"x": TensorSpec("float32", (data["n"],))})
    assert answer.tensors["x"].shape == (3,)
    with pytest.raises(ProtocolError):
        decode_reply(body, SPEC)


@pytest.mark.parametrize("problem", [KeyError("n"), TypeError("no"), IndexError("no"), ValueError("no")])
def test_error_in_manifest_function_is_a_protocol_error(problem: Exception) -> None:
    def expect(data: dict) -> dict:
        raise problem

    with pytest.raises(ProtocolError):
        decode_reply(pack_body({"kind": "answered", "data": {}, "error": ""}), expect)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_corrupted_bytes_are_rejected_or_match_the_manifest(data: st.DataObject) -> None:
    value = {"kind": "answered", "data": {"a": [1]}, "error": ""}
    good = bytearray(pack_body(value, encode_tensors({"x": np.zeros(2, "f4")})))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    with contextlib.suppress(ProtocolError):
        answer = decode_reply(bytes(good[:cut]), SPEC)
        assert {name: TensorSpec(x.dtype.name, x.shape) for name, x in answer.tensors.items()} == (
            SPEC if answer.kind == "answered" else {}
        )


def test_frames_are_reassembled_from_any_pieces() -> None:
    stream = frame(b"P", b"one") + frame(b"R", b"") + frame(b"P", b"three")
    for size in (1, 5, 9, 100):
        reader = FrameReader({b"P": 10, b"R": 10})
        seen = [item for i in range(0, len(stream), size) for item in reader.feed(stream[i : i + size])]
        assert seen == [(b"P", b"one"), (b"R", b""), (b"P", b"three")]
        assert reader.pending == 0


@pytest.mark.parametrize("stream", [frame(b"X"), frame(b"P", bytes(11)), b"P" + b"\xff" * 8])
def test_unknown_or_oversized_frame_is_rejected(stream: bytes) -> None:
    with pytest.raises(WireError):
        list(FrameReader({b"P": 10}).feed(stream))

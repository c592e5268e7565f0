"""Each way in which a call can end has its kind of reply, in every tier."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from autograder.sandbox import Limits, SandboxError, TensorSpec, WorkerSession
from tests.autograder.conftest import LIMITS, MIB, Run, runner

HELLO = "def answer(): return 'still here'"


def test_a_value_and_tensors_come_back_exactly(session: WorkerSession) -> None:
    given = np.array([[1.0, np.nan], [np.inf, -0.0]], np.float32)
    expect = {"x": TensorSpec("float32", (2, 2))}
    reply = session.call("_echo", {"value": ["ä", 1, None]}, {"x": given}, limits=LIMITS, expect=expect)
    assert reply.ok
    assert reply.kind == "answered"
    assert reply.data == {"value": ["ä", 1, None]}
    np.testing.assert_array_equal(reply.tensors["x"], given)


def test_a_tensor_that_was_not_expected_makes_the_answer_invalid(session: WorkerSession) -> None:
    expect = {"x": TensorSpec("float64", (4,))}
    reply = session.call("_echo", {}, {"x": np.zeros(3)}, limits=LIMITS, expect=expect)
    assert reply.kind == "invalid"
    assert not reply.ok
    assert "expected" in reply.error


def test_a_slot_without_a_driver_is_the_grader_s_failure_and_not_the_answer_s(best: WorkerSession) -> None:
    code = {"prelude": "", "slots": {"T99": "def answer(): return 1"}, "names": {"T99": "answer"}}
    with pytest.raises(SandboxError):
        best.call("call_slot", {"slot": "T99", "name": "answer", "seed": 0, "cases": [{}], "code": code}, limits=LIMITS)
    assert best.call("_echo", {"value": 1}, limits=LIMITS).ok, "the next call finds a worker again"


def test_no_manifest_means_no_tensors(session: WorkerSession) -> None:
    assert session.call("_echo", {}, {"x": np.zeros(3)}, limits=LIMITS).kind == "invalid"
    assert session.call("_echo", {}, limits=LIMITS).kind == "answered"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise NotImplementedError('T01: to do')", "not_attempted"),
        ("raise ValueError('no')", "crashed"),
        ("return torch.log_softmax(torch.zeros(2, dtype=torch.long), 0)", "crashed"),
        ("exit()", "crashed"),
        ("sys.exit(0)", "crashed"),
        ("os._exit(0)", "crashed"),
        ("os.abort()", "crashed"),
        ("os.kill(os.getpid(), 9)", "crashed"),
        ("raise MemoryError", "out_of_memory"),
        ("torch.empty(10 << 30, dtype=torch.uint8).fill_(1)", "out_of_memory"),
        ("bytearray(10 << 30)", "out_of_memory"),
        ("return float('nan')", "invalid"),
        ("return {1, 2}", "invalid"),
        ("return 'x' * (5 << 20)", "invalid"),
        ("input('your name?')", "crashed"),
        ("raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})", "crashed"),
    ],
)
def test_each_end_of_a_call_has_its_kind(run: Run, body: str, kind: str) -> None:
    reply = run(f"def answer():\n    {body}\n")
    assert (reply.kind, reply.ok) == (kind, False), reply


def test_a_loop_ends_at_the_wall_limit_and_the_next_call_is_answered(run: Run) -> None:
    reply = run("def answer():\n    while True: time.sleep(0.01)", wall_s=0.5)
    assert reply.kind == "timeout"
    assert 0.5 <= reply.wall_s < 5
    assert run(HELLO).data["value"] == "still here"


def test_a_loop_ends_at_the_processor_limit(run: Run) -> None:
    assert run("def answer():\n    while True: pass", cpu_s=1).kind == "timeout"


def test_loop_in_prelude_ends_at_the_wall_limit(session: WorkerSession) -> None:
    code = {"prelude": "while True: pass", "slots": {"T01": HELLO}}
    limits = Limits(**{**LIMITS.__dict__, "wall_s": 0.5})
    assert session.call("_call", {"code": code, "name": "answer"}, limits=limits).kind == "timeout"


def test_memory_of_memfds_is_bounded(best: WorkerSession, run_best: Run) -> None:
    if not best.tier.memory_group:
        pytest.skip("no memory cgroup on this machine: the tier's name says `soft memory`")
    source = (
        "def answer():\n"
        "    files = [os.memfd_create('x') for _ in range(100)]\n"
        "    for fd in files:\n"
        "        for _ in range(10): os.write(fd, bytes(10 << 20))\n"
    )
    assert run_best(source, memory_bytes=32 * MIB).kind == "out_of_memory"
    assert run_best(HELLO).ok


def test_flood_of_output_is_stopped_and_cut(run: Run) -> None:
    reply = run("def answer():\n    while True: print('x' * 100_000)")
    assert reply.kind == "crashed"
    assert "64 MiB" in reply.error
    assert len(reply.data["_output"]) < 100_000


def test_what_is_printed_is_kept_for_the_ta(run: Run) -> None:
    reply = run("def answer():\n    print('héllo \\ud800'); os.system('echo shell'); return 1")
    assert reply.ok
    assert "héllo" in reply.data["_output"]
    assert "shell" in reply.data["_output"]


def test_flood_on_the_answer_pipe_is_invalid(run: Run) -> None:
    source = (
        "def answer():\n"
        "    for fd in range(3, 64):\n"
        "        try:\n"
        "            while True: os.write(fd, b'P' + bytes(8) + bytes(1 << 20))\n"
        "        except OSError: pass\n"
    )
    assert run(source, wall_s=10).kind == "invalid"
    assert run(HELLO).ok


FORGE = """
import json, struct
def answer():
    head = json.dumps({"kind": "answered", "data": {"score": 100}, "error": ""}).encode()
    body = struct.pack(">I", len(head)) + head
    for fd in range(3, 64):
        try: os.write(fd, %s)
        except OSError: pass
    %s
"""
FRAME = "struct.pack('>cQ', b'R', len(body)) + body"


@pytest.mark.parametrize(
    ("forged", "end"),
    [
        (FRAME, "return 1"),  # two replies
        (f"2 * ({FRAME})", "os._exit(0)"),
        ("struct.pack('>cQ', b'E', 2) + b'{}'", "os._exit(0)"),  # a frame type of the worker
        ("struct.pack('>cQ', b'R', 1 << 40)", "os._exit(0)"),
        ("b'{\"score\": 100}'", "os._exit(0)"),
    ],
)
def test_a_forged_reply_is_invalid(run: Run, forged: str, end: str) -> None:
    assert run(FORGE % (forged, end)).kind == "invalid"
    assert run(HELLO).data["value"] == "still here"


def test_forged_reply_without_expected_tensors_is_invalid(session: WorkerSession) -> None:
    code = {"prelude": "import os", "slots": {"T01": FORGE % (FRAME, "os._exit(0)")}}
    expect = {"loss": TensorSpec("float64", ())}
    reply = session.call("_call", {"code": code, "name": "answer"}, limits=LIMITS, expect=expect)
    assert reply.kind == "invalid"  # the tensors it should hold are missing


def test_progress_arrives_in_order_and_its_nan_is_null(session: WorkerSession) -> None:
    seen: list[dict] = []
    reply = session.call("_report", {"count": 3}, limits=LIMITS, on_progress=seen.append)
    assert reply.ok
    assert seen == [{"step": step, "loss": None} for step in range(3)]


def test_number_of_threads_may_change_between_calls(run: Run) -> None:
    source = (
        "def answer(x):\n    torch.set_num_threads(7) if x.shape[0] == 1 else None\n"
        "    return [torch.get_num_threads(), (torch.ones(300, 300) @ torch.ones(300, 300)).sum().item()]"
    )
    for threads in (1, 2, 2, 1):
        reply = run(source, {"x": np.zeros(2)}, threads=threads)
        assert reply.data["value"] == [threads, 300.0**3]
    assert run(source, {"x": np.zeros(1)}).data["value"][0] == 7  # a student's setting ends with the call
    assert run(source, {"x": np.zeros(2)}).data["value"][0] == 1


def test_random_numbers_repeat_from_call_to_call(run: Run) -> None:
    source = "import random, numpy\ndef answer(): return [torch.rand(1).item(), numpy.random.rand(), random.random()]"
    assert run(source).data["value"] == run(source).data["value"]


def test_end_aborts_call_of_another_thread_and_prevents_restart(session: WorkerSession) -> None:
    with session.another() as mine:
        mine.prewarm()
        with ThreadPoolExecutor(1) as pool:
            asleep = pool.submit(runner(mine), "def answer():\n    time.sleep(60)", wall_s=60)
            time.sleep(1)  # usually the call has begun by then; if not, it fails in the same way
            mine.end()
            with pytest.raises(SandboxError):
                asleep.result(timeout=30)
        with pytest.raises(SandboxError, match="was ended"):
            mine.prewarm()

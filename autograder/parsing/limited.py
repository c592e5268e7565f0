"""Run the grader's parsers on untrusted text in a short-lived child process with limits.

Parsers of JSON, zip and Python are safe to call but hard to stop: ``ast.parse`` of a 10 MB list needs 12 s and 3 GB,
and deep nesting can overflow the C stack. So they run in a fresh interpreter (isolated mode, empty environment) with
limits on address space, CPU and wall-clock time, and the grader reads back JSON of limited size. This is not a sandbox:
student code is parsed here, never executed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograder.parsing.answers.notebook import RejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ROOT = Path(__file__).resolve().parents[2]
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_START = "import sys; sys.path.insert(0, sys.argv[1]); from autograder.parsing.limited import _child; _child()"


@dataclass(frozen=True)
class ParseLimits:
    """Limits of one child: wall-clock and CPU seconds, bytes of address space and of the reply."""

    wall_s: float = 60.0
    cpu_s: float = 20.0
    memory_bytes: int = 2 << 30
    reply_bytes: int = 64 << 20


class LimitedError(RuntimeError):
    """The child did not answer. kind: "timeout", "out_of_memory", "too_large" or "crashed"."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind = kind


def run_limited(function: str, payload: Mapping[str, Any], blob: bytes = b"", limits: ParseLimits | None = None) -> Any:
    """Call ``function(payload, blob)`` in a limited child and return its JSON answer.

    Args:
        function: "autograder.parsing.module:name", a module-level function of this package.
        payload: JSON data.
        blob: raw bytes that are passed on unchanged.
        limits: None stands for the default ones.

    Raises:
        RejectedError: the function raised it.
        LimitedError: the child hit a limit or died.
    """
    limits = limits or ParseLimits()
    head = json.dumps({"function": function, "payload": payload, "limits": asdict(limits)}).encode()
    code, raw = _converse(["call"], head + b"\n" + blob, limits)
    if code != 0:
        raise LimitedError("crashed", f"exit status {code}")
    answer = json.loads(raw)
    if "rejected" in answer:
        raise RejectedError(answer["rejected"])
    if "failed" in answer:
        raise LimitedError(answer["failed"], answer["detail"])
    return answer["value"]


def run_command(arguments: Sequence[str], stdin: bytes, limits: ParseLimits | None = None) -> tuple[int, bytes]:
    """Run a trusted program on untrusted text under the same limits. Returns (exit status, standard output)."""
    limits = limits or ParseLimits()
    return _converse(["exec", json.dumps(asdict(limits)), *arguments], stdin, limits)


def _converse(arguments: list[str], stdin: bytes, limits: ParseLimits) -> tuple[int, bytes]:
    """Start the child, feed it, and return (exit status, reply). Raises LimitedError."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", "-c", _START, str(_ROOT), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
    )
    assert process.stdin is not None
    assert process.stdout is not None
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        process.kill()

    timer = threading.Timer(limits.wall_s, stop)
    feeder = threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True)
    timer.start()
    feeder.start()
    try:
        reply = process.stdout.read(limits.reply_bytes + 1)
        if len(reply) > limits.reply_bytes:
            process.kill()
        code = process.wait()
    finally:  # also on Ctrl-C: no child is left behind
        process.kill()
        process.wait()
        timer.cancel()
        feeder.join()
        process.stdout.close()
    return _checked(code, reply, expired.is_set(), limits)


def _checked(code: int, reply: bytes, expired: bool, limits: ParseLimits) -> tuple[int, bytes]:
    if len(reply) > limits.reply_bytes:
        raise LimitedError("too_large", f"more than {limits.reply_bytes} bytes")
    if expired or code == -signal.SIGXCPU:
        raise LimitedError("timeout", f"more than {limits.wall_s:g} s")
    if code < 0:
        raise LimitedError("crashed", f"signal {-code}")
    return code, reply


def _feed(pipe: Any, data: bytes) -> None:
    with contextlib.suppress(OSError):  # the child may die before it has read everything
        pipe.write(data)
    with contextlib.suppress(OSError):
        pipe.close()


def _child() -> None:
    """Run the child. argv is [-c, root, "call"] or [-c, root, "exec", limits, program, …]."""
    mode = sys.argv[2]
    _die_with_parent()
    if mode == "exec":
        _set_limits(ParseLimits(**json.loads(sys.argv[3])))
        os.execv(sys.argv[4], sys.argv[4:])
    reply = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that a stray print does not end up in the reply
    request = json.loads(sys.stdin.buffer.readline())
    _set_limits(ParseLimits(**request["limits"]))
    reply.write(_answer(request["function"], request["payload"]))
    reply.flush()
    os._exit(0)


def _die_with_parent() -> None:
    """Let the kernel kill this process when the grader dies. Linux only; elsewhere the CPU limit ends it."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)


def _answer(name: str, payload: dict[str, Any]) -> bytes:
    try:
        return json.dumps({"value": _resolve(name)(payload, sys.stdin.buffer.read())}).encode()
    except RejectedError as error:
        return json.dumps({"rejected": str(error)}).encode()
    except MemoryError:
        return b'{"failed": "out_of_memory", "detail": ""}'
    except Exception as error:  # noqa: BLE001 (its type is sent to the grader)
        return json.dumps({"failed": "crashed", "detail": type(error).__name__}).encode()


def _resolve(name: str) -> Callable[[dict[str, Any], bytes], Any]:
    module, _, attribute = name.partition(":")
    if module.rpartition(".")[0] != __package__:
        raise ValueError(f"not a function of {__package__}: {name}")
    function: Callable[[dict[str, Any], bytes], Any] = getattr(importlib.import_module(module), attribute)
    return function


def _set_limits(limits: ParseLimits) -> None:
    import resource  # POSIX only; imported here so that this module can be imported everywhere

    cpu = max(1, int(limits.cpu_s))
    wanted = {
        resource.RLIMIT_AS: (limits.memory_bytes, limits.memory_bytes),
        resource.RLIMIT_CPU: (cpu, cpu + 1),  # the soft limit first: its signal tells a timeout from a crash
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_FSIZE: (0, 0),
    }
    for which, soft_and_hard in wanted.items():
        with contextlib.suppress(OSError, ValueError):  # a stricter limit is already in place
            resource.setrlimit(which, soft_and_hard)

"""The worker: imports the libraries once, then forks one child per call. It never runs student code.

PyTorch is imported before it says hello. What takes as long again (transformers, rlhf_kit and our parts that
use them) comes before the first call that needs it, so that a notebook with little in it is graded soon.

Started as `python -m inside.worker REQUEST_FD REPLY_FD OPTIONS` (OPTIONS is JSON). It keeps to one thread,
because a child forked after a multi-threaded matmul in its parent hangs. When the request stream ends, it
ends, and (as pid 1 of its namespace) takes every process with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from typing import Any

from . import system
from .preload import import_libraries, import_models, needs_models, preload, require_driver
from .relay import Relay
from .wire import HEADER, frame, json_bytes, read_exact, split_body, write_all

ALONE_SECONDS = 1.0


class Worker:
    """Serves requests until the stream ends."""

    def __init__(self, request_fd: int, reply_fd: int, options: dict[str, Any]) -> None:
        self.request_fd, self.reply_fd, self.options = request_fd, reply_fd, options
        namespace = os.getpid() == 1
        self.confined = namespace or (options["confined"] and system.cannot_signal(os.getppid()))

    def hello(self) -> None:
        """Import everything, then say so. A module that cannot be imported is our own failure: it is
        named."""
        system.keep_freed_memory()  # children inherit it
        with self.leaving_if_alone():
            absent = import_libraries()
        import torch

        from .registry import OPS

        info = {"python": sys.version.split()[0], "torch": torch.__version__, "absent": absent, "ops": sorted(OPS),
                "threads": len(os.listdir("/proc/self/task")), "rss": system.status_bytes("VmRSS")}
        self.send(b"H", json_bytes(info))

    @contextlib.contextmanager
    def leaving_if_alone(self) -> Iterator[None]:
        """Look once a second whether the grader is gone. Its death cannot signal a worker of another uid, and
        nothing is read here while imports go on. At all other times every wait sees the pipe close."""
        signal.signal(signal.SIGALRM, lambda *_: self.leave_if_alone())
        signal.setitimer(signal.ITIMER_REAL, ALONE_SECONDS, ALONE_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def leave_if_alone(self) -> None:
        """End if the grader is gone."""
        poll = select.poll()
        poll.register(self.request_fd, 0)
        if poll.poll(0):
            os._exit(0)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """One frame to the grader."""
        write_all(self.reply_fd, frame(kind, payload))

    def serve(self) -> None:
        """Answer requests, one at a time, until the grader closes the stream."""
        while True:
            try:
                kind, size = HEADER.unpack(read_exact(self.request_fd, HEADER.size))
                body = read_exact(self.request_fd, size)
            except EOFError:
                return
            head, payload = split_body(body)
            del body, kind
            if needs_models(payload):
                with self.leaving_if_alone():
                    import_models()
            require_driver(payload)
            preload(payload)
            self.call(json.loads(head), payload)

    def call(self, header: dict[str, Any], payload: memoryview) -> None:
        """Fork, relay, end, clean up, report."""
        answer, answer_in = os.pipe()
        output, output_in = os.pipe()
        header.update({name: self.options[name] for name in ("scope_signals", "scratch", "scratch_bytes")})
        self.send(b"S", json_bytes({"rss": system.status_bytes("VmRSS")}))
        child = os.fork()
        if child == 0:
            for fd in (answer, output, self.request_fd, self.reply_fd):
                os.close(fd)
            from .child import run_call

            run_call(header, bytes(payload), answer_in, output_in)
            os._exit(71)
        os.close(answer_in)
        os.close(output_in)
        relay = Relay(child, answer, output, self.request_fd, header)
        report = relay.run(lambda data: self.send(b"C", data))
        system.end_everything(confined=self.confined)
        if report["cause"] == "alone":
            sys.exit(0)
        report["clean"] = system.empty(self.options["scratch"])
        self.send(b"E", json_bytes(report))


def main() -> None:
    """Limit this process, then report its surroundings (a probe) or serve requests."""
    request_fd, reply_fd, options = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    system.prctl(system.PR_SET_DUMPABLE, 0)  # same-uid children can neither read nor write its memory
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
    system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)
    system.limit_worker(options["file_bytes"], options["processes"])
    if options.get("probe"):
        from .probes import surroundings

        write_all(reply_fd, frame(b"H", json_bytes(surroundings(options["probe"]))))
        return
    worker = Worker(request_fd, reply_fd, options)
    worker.hello()
    try:
        worker.serve()
    finally:
        system.end_everything(confined=worker.confined)


if __name__ == "__main__":
    main()

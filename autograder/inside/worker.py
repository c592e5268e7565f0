"""The worker imports the libraries once and then forks one child per call. It never runs student code itself.

It imports PyTorch before it sends its hello frame. transformers, rlhf_kit and the modules that use them take as long
again, so they are imported before the first call that needs them, and a notebook with few answers is graded sooner.

It is started as `python -m inside.worker REQUEST_FD REPLY_FD OPTIONS` (OPTIONS is JSON). It uses one thread only,
because a child that is forked after a multi-threaded matrix product in its parent hangs. It ends when the request
stream ends, and as pid 1 of its namespace it takes every process with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from typing import TYPE_CHECKING, Any

from . import system
from .preload import import_libraries, import_models, needs_models, preload, require_driver
from .relay import Relay
from .wire import HEADER, frame, json_bytes, read_exact, split_body, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator

GRADER_CHECK_SECONDS = 1.0


class Worker:
    """Serves requests until the request stream ends."""

    def __init__(self, request_fd: int, reply_fd: int, options: dict[str, Any]) -> None:
        self.request_fd, self.reply_fd, self.options = request_fd, reply_fd, options
        namespace = os.getpid() == 1
        self.signals_confined = namespace or (options["signals_confined"] and system.cannot_signal(os.getppid()))

    def hello(self) -> None:
        """Import the libraries and report that the worker is ready.

        The report names operations' modules that could not be imported, which is a grader error.
        """
        system.keep_freed_memory()  # children inherit it
        with self.exit_if_grader_dies():
            absent = import_libraries()
        import torch

        from .operations import OPS

        info = {
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "absent": absent,
            "ops": sorted(OPS),
            "threads": len(os.listdir("/proc/self/task")),
            "rss": system.status_bytes("VmRSS"),
        }
        self.send(b"H", json_bytes(info))

    @contextlib.contextmanager
    def exit_if_grader_dies(self) -> Iterator[None]:
        """Poll once a second and exit if the grader process has died.

        This is for imports, during which nothing is read; at all other times the worker waits for the pipe and sees it
        close. The grader's death cannot signal a worker with another uid.
        """
        signal.signal(signal.SIGALRM, lambda *_: self._check_grader())
        signal.setitimer(signal.ITIMER_REAL, GRADER_CHECK_SECONDS, GRADER_CHECK_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _check_grader(self) -> None:
        """Exit if the grader has closed its end of the request pipe."""
        poll = select.poll()
        poll.register(self.request_fd, 0)
        if poll.poll(0):
            os._exit(0)

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Send one frame to the grader."""
        write_all(self.reply_fd, frame(kind, payload))

    def serve(self) -> None:
        """Answer requests one after the other until the grader closes the stream."""
        while True:
            try:
                kind, size = HEADER.unpack(read_exact(self.request_fd, HEADER.size))
                body = read_exact(self.request_fd, size)
            except EOFError:
                return
            head, payload = split_body(body)
            del body, kind
            if needs_models(payload):
                with self.exit_if_grader_dies():
                    import_models()
            require_driver(payload)
            preload(payload)
            self.call(json.loads(head), payload)

    def call(self, header: dict[str, Any], payload: memoryview) -> None:
        """Fork a child that runs the call, relay its answer, kill what it left, clean up and report."""
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
        system.kill_all(signals_confined=self.signals_confined)
        if report["cause"] == "grader":
            sys.exit(0)
        report["clean"] = system.empty_folders(self.options["scratch"])
        self.send(b"E", json_bytes(report))


def main() -> None:
    """Limit this process, then report its surroundings, if the options say so, or serve requests."""
    request_fd, reply_fd, options = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    system.prctl(system.PR_SET_DUMPABLE, 0)  # same-uid children can neither read nor write its memory
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
    system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)
    system.limit_worker(options["file_bytes"], options["processes"])
    if options.get("inspect"):
        from .diagnostics import surroundings

        write_all(reply_fd, frame(b"H", json_bytes(surroundings(options["inspect"]))))
        return
    worker = Worker(request_fd, reply_fd, options)
    worker.hello()
    try:
        worker.serve()
    finally:
        system.kill_all(signals_confined=worker.signals_confined)


if __name__ == "__main__":
    main()

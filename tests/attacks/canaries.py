"""Canaries on the host: secrets, listening sockets, and checks for changed files, processes and cgroups."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import sysconfig
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.inside import system
from autograder.sandbox.cgroup import PREFIX, ROOT
from tests.attacks.base import Machine, RunResult
from tests.support.leftovers import left_in
from tests.support.sources import ROOT as CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CANARY = re.compile(r"\.canary-[0-9a-f]{16}")  # the file in the grader's tree; its token tells which suite made it
ENVIRONMENT = "RLHF_LAB_CANARY"
HIDDEN_TEXT = "Base class of hidden tests"  # the start of autograder/slots/hidden_tests/base.py: it must never leak
WATCHED = ("autograder", "assignment", "solutions", "student_template")
LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("purelib", "stdlib"))
PUBLIC = ("feedback.html", "results.json")  # the files that a student gets
LEAVE_SECONDS = 5.0


class Canaries:
    """The canaries of one run of the suite. `complaints` says what an attack did to them."""

    def __init__(self) -> None:
        system.prctl(system.PR_SET_CHILD_SUBREAPER, 1)  # a daemon that outlives its grader becomes a child of this process
        self._others = frozenset(system.descendants())  # of other users of this process, such as pytest's shared workers
        token = secrets.token_hex(8)
        self.secrets = {name: secrets.token_hex(16) for name in ("home", "tree", "neighbour", "environment")}
        self.folder = Path(tempfile.mkdtemp(prefix="rlhf-lab-attacks-"))
        self.folder.chmod(0o755)  # a sandbox with another uid has to reach its scratch folder below it
        for name in ("inbox", "tmp", "out"):
            (self.folder / name).mkdir(mode=0o755)
        self._tcp, self._udp = self._socket(socket.SOCK_STREAM), self._socket(socket.SOCK_DGRAM)
        unix, abstract = str(self.folder / "socket"), f"rlhf-lab-canary-{token}"
        self._unix, self._abstract = self._local(unix), self._local("\0" + abstract)
        os.chmod(unix, 0o777)
        self.site = Machine(
            token=token, home=str(Path.home() / f".rlhf-lab-canary-{token}"),
            tree=str(CHECKOUT / "autograder" / f".canary-{token}"),
            neighbour=str(self.folder / "inbox" / "neighbour.ipynb"), root=str(CHECKOUT),
            tcp=self._tcp.getsockname()[1], udp=self._udp.getsockname()[1], unix=unix, abstract=abstract,
        )  # fmt: skip
        for name in ("home", "tree", "neighbour"):
            path = Path(getattr(self.site, name))
            path.write_text(self.secrets[name])
            path.chmod(0o644)  # readable by all: only the sandbox protects them
        self.visitors: list[str] = []
        for name in ("_tcp", "_udp", "_unix", "_abstract"):
            threading.Thread(target=self._listen, args=(name,), daemon=True).start()
        self._tree = self._fingerprint()

    def __enter__(self) -> Canaries:
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("home", "tree"):
            Path(getattr(self.site, name)).unlink(missing_ok=True)
        for one in (self._tcp, self._udp, self._unix, self._abstract):
            one.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """The grader's environment, with a secret and a temporary folder in which leftovers can be found."""
        return {**os.environ, ENVIRONMENT: self.secrets["environment"], "TMPDIR": str(self.folder / "tmp"),
                "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "student_template")])}  # fmt: skip

    def complaints(self, groups_before: set[str], result: RunResult) -> Iterator[str]:
        """Sentences about everything that is not as it was before the attack. Cleans up after it."""
        if self.visitors:
            yield f"the network was reached: {', '.join(sorted(set(self.visitors)))}"
            self.visitors.clear()
        yield from self._read_out(result)
        for name in ("home", "tree", "neighbour"):
            path = Path(getattr(self.site, name))
            if not path.exists() or path.read_text() != self.secrets[name]:
                yield f"the canary {name} was changed"
                path.write_text(self.secrets[name])
        if self._fingerprint() != self._tree:
            yield "the grader's tree or the libraries were changed"
            self._tree = self._fingerprint()
        yield from self._left(groups_before)

    def _read_out(self, result: RunResult) -> Iterator[str]:
        for name, text in result.texts.items():
            for what, secret in [*self.secrets.items(), ("hidden tests", HIDDEN_TEXT)]:
                if secret in text:
                    yield f"{what} could be read out through {name}"
            if name in PUBLIC and (self.site.token in text or "LOOT" in text):
                yield f"text of the attack is in {name}"

    def _left(self, groups_before: set[str]) -> Iterator[str]:
        if left := self._outliving():
            yield f"processes were left behind: {left}"
        planted = [str(path) for place in self._places() for path in place.glob(f"*{self.site.token}*")
                   if str(path) not in (self.site.home, self.site.tree)]  # fmt: skip
        temporary = left_in(self.folder / "tmp")
        for path in [*planted, *temporary]:
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        if planted or temporary:
            yield f"files were left behind: {[*planted, *temporary][:5]}"
        if groups := abandoned(groups_before):
            yield f"cgroups were left behind: {sorted(groups)}"

    def _outliving(self) -> list[str]:
        """The names of descendants that still run a moment after their grader ended. They are killed here."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while (left := [pid for pid in system.descendants() if pid not in self._others]) and time.monotonic() < deadline:
            _reap(left)
            time.sleep(0.02)
        names = []
        for pid in left:
            with contextlib.suppress(OSError):
                names.append(Path(f"/proc/{pid}/comm").read_text().strip())
                os.kill(pid, signal.SIGKILL)
        _reap(left)
        return names

    def _places(self) -> list[Path]:
        return [Path("/"), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path.home(), CHECKOUT,
                CHECKOUT / "autograder", self.folder, self.folder / "inbox"]  # fmt: skip

    def _fingerprint(self) -> int:
        """A hash of the names, sizes and times of all source files, and of the names among the libraries. Bytecode caches
        are left out, and so are the canaries of other suites that run at the same time."""
        files = (path for name in WATCHED for path in (CHECKOUT / name).rglob("*")
                 if "__pycache__" not in path.parts and not self._is_of_another_suite(path))  # fmt: skip
        sources = frozenset((str(p), s.st_size, s.st_mtime_ns) for p in files if p.is_file() and (s := p.stat()))
        return hash((sources, frozenset(str(path) for folder in LIBRARIES for path in folder.iterdir())))

    def _is_of_another_suite(self, path: Path) -> bool:
        return CANARY.fullmatch(path.name) is not None and str(path) != self.site.tree

    def _listen(self, name: str) -> None:
        one: socket.socket = getattr(self, name)
        with contextlib.suppress(OSError):
            while True:
                if one.type == socket.SOCK_STREAM:
                    one.accept()[0].close()
                else:
                    one.recvfrom(1024)
                self.visitors.append(name.strip("_"))

    @staticmethod
    def _socket(kind: socket.SocketKind) -> socket.socket:
        one = socket.socket(socket.AF_INET, kind)
        one.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            one.listen()
        return one

    @staticmethod
    def _local(address: str) -> socket.socket:
        one = socket.socket(socket.AF_UNIX)
        one.bind(address)
        one.listen()
        return one


def groups() -> set[str]:
    """The cgroups of all sandboxes on this machine, also those of other graders."""
    return {str(path) for path in ROOT.glob(f"**/{PREFIX}*")} if ROOT.is_dir() else set()


def abandoned(before: set[str]) -> set[str]:
    """New groups that are still empty after a moment. Those of another grader are empty only briefly."""
    deadline = time.monotonic() + LEAVE_SECONDS
    while (found := {group for group in groups() - before if _is_empty(group)}) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _is_empty(group: str) -> bool:
    try:
        return not Path(group, "cgroup.procs").read_text().strip()
    except OSError:
        return False


def _reap(pids: Iterable[int]) -> None:
    """Collect those of these processes that have ended and have become children of this one."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

"""Student code in the sandbox reaches no file of the project, no other process and no later call."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import autograder
from autograder.inside.system import descendants
from autograder.sandbox import Limits, WorkerSession
from autograder.sandbox.environment import worker_environment
from tests.autograder.conftest import LIMITS, Run
from tests.support.sources import module_of

HELLO = "def answer(): return 'still here'"
ATTEMPT = """
def answer():
    try:
        return ["done", str({expression})]
    except (OSError, ModuleNotFoundError) as error:
        return ["refused", type(error).__name__]
"""


def attempt(run: Run, expression: str) -> str:
    """Evaluate the expression in the sandbox and return "done" or "refused"."""
    reply = run(ATTEMPT.format(expression=expression))
    assert reply.ok, reply
    return reply.data["value"][0]


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('socket').create_connection(('192.0.2.1', 80), timeout=1)",
        "__import__('socket').socket(2, 2).sendto(b'x', ('192.0.2.1', 53))",
        "__import__('socket').create_connection(('127.0.0.1', 22), timeout=1)",
        "open('/etc/passwd').read()",
        "open('/etc/cron.d/x', 'w')",
        "open('/usr/x', 'w')",
        "open(torch.__file__, 'a')",
        "open('/opt/lab/inside/worker.py', 'a')",
        "open('/proc/1/environ', 'rb').read()",
        "open('/proc/%d/mem' % os.getppid(), 'r+b')",
        "open('/proc/%d/environ' % os.getppid(), 'rb').read()",
        "os.readlink('/proc/%d/fd/4' % os.getppid())",
        "os.chroot('/box')",
        "os.setuid(0) or os.listdir('/root/nowhere')",
        f"__import__({module_of('autograder/core/records.py')!r})",
        f"__import__({module_of('assignment/registry/spec.py')!r})",
        f"__import__({module_of('solutions/p3_sft.py')!r})",
    ],
)
def test_forbidden_operation_is_refused(run: Run, expression: str) -> None:
    assert attempt(run, expression) == "refused"


def test_foreign_file_is_not_readable(run: Run, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    for folder in (*tmp_path.parents, tmp_path):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    for path in (canary, Path(autograder.__file__), Path(__file__), Path.home() / ".bashrc"):
        assert attempt(run, f"open({str(path)!r}).read()") == "refused"


def test_environment_of_the_grader_is_not_visible(run: Run) -> None:
    value = run("def answer(): return dict(os.environ)").data["value"]
    known = {*worker_environment(library="", scratch="", device="cpu"), "PWD", "LC_CTYPE"}
    assert [name for name in value if name not in known and value[name] == os.environ.get(name)] == []
    assert value["HOME"] != os.environ.get("HOME")


def test_worker_has_no_capabilities_and_cannot_gain_any(run: Run) -> None:
    reply = run("def answer(): return open('/proc/self/status').read()")
    status = dict(line.split(":\t", 1) for line in reply.data["value"].splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_seccomp_filter_refuses_with_its_own_errors(run: Run) -> None:
    """Without the filter the kernel would allow the first two calls and call the last, an empty clone3, invalid."""
    source = (
        "import ctypes\n"
        "def answer():\n"
        "    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    calls = [lambda: libc.ptrace(0, 0, 0, 0), lambda: libc.prlimit64(os.getppid(), 0, 0, 0),\n"
        "             lambda: libc.unshare(0x10000000), lambda: libc.mount(b'x', b'/', b'tmpfs', 0, 0),\n"
        "             lambda: libc.syscall(435, 0, 0)]\n"
        "    return [[call(), ctypes.get_errno()] for call in calls]"
    )
    assert run(source).data["value"] == [[-1, errno.EPERM]] * 4 + [[-1, errno.ENOSYS]]


def test_grader_process_is_not_dumpable(session: WorkerSession) -> None:
    get_dumpable = 3  # PR_GET_DUMPABLE of <linux/prctl.h>
    assert ctypes.CDLL(None).prctl(get_dumpable, 0, 0, 0, 0) == 0


def test_files_do_not_survive_their_call(run: Run) -> None:
    write = "(os.makedirs('a/b'), open('a/b/c', 'w').write('x'))"
    assert attempt(run, write) == "done"
    reply = run("def answer(): return os.listdir('.') + os.listdir(os.environ['HOME'])")
    assert reply.data["value"] == []


def test_patches_do_not_survive_their_call(run: Run) -> None:
    patch = "torch.equal = lambda *a: True\nimport builtins; builtins.sum = max\n"
    assert run(patch + "def answer(): return 1").ok
    source = "def answer(): return [torch.equal(torch.zeros(1), torch.ones(1)), sum([1, 2])]"
    assert run(source).data["value"] == [False, 3]


def test_a_daemon_does_not_outlive_its_call(session: WorkerSession, run: Run) -> None:
    assert run(HELLO).ok
    before = descendants()
    source = (
        "def answer():\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            while True: time.sleep(1)\n"
        "        os._exit(0)\n"
        "    time.sleep(0.2)\n"
        "    return 'started'"
    )
    assert run(source).data["value"] == "started"
    assert descendants() == before


def test_a_fork_bomb_ends_with_its_call(session: WorkerSession, run: Run) -> None:
    if os.getuid() == 0 and session.tier.backend != "bwrap-root" and not session.tier.memory_group:
        pytest.skip("root without a separate uid and without a cgroup: processes are not bounded")
    before = descendants()
    source = "def answer(): os.execv('/bin/sh', ['sh', '-c', 'f() { f | f & f; }; f'])"
    reply = run(source, wall_s=1)
    assert reply.kind in ("timeout", "crashed", "out_of_memory")
    assert run(HELLO).ok
    assert descendants() == before


def test_next_call_works_after_worker_was_killed(run: Run) -> None:
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGINT, signal.SIGTERM):
        run(f"def answer():\n    os.kill(os.getppid(), {int(number)})\n    time.sleep(0.05)", wall_s=5)
        assert run(HELLO).data["value"] == "still here"


def test_dead_worker_fails_one_call_and_is_replaced(best: WorkerSession) -> None:
    sandbox = best._sandbox
    assert sandbox is not None
    assert best.prewarm()
    killer = threading.Timer(0.3, lambda: signal.pidfd_send_signal(sandbox.init, signal.SIGKILL))
    killer.start()
    payload = {"code": {"slots": {"T01": "def answer():\n    while True: pass"}}, "name": "answer"}
    reply = best.call("_call", payload, limits=LIMITS)
    assert reply.kind == "crashed"
    assert "ended its worker" in reply.error
    assert best.call("_echo", {"value": 1}, limits=LIMITS).data == {"value": 1}


@pytest.mark.slow
def test_hanging_worker_is_killed_at_time_limit_of_the_grader(
    best: WorkerSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autograder.sandbox.session.GRACE_SECONDS", 1.0)
    sandbox = best._sandbox
    assert sandbox is not None
    assert best.prewarm()
    threading.Timer(0.3, lambda: signal.pidfd_send_signal(sandbox.init, signal.SIGSTOP)).start()
    payload = {"code": {"slots": {"T01": "def answer():\n    while True: pass"}}, "name": "answer"}
    reply = best.call("_call", payload, limits=Limits(**{**LIMITS.__dict__, "wall_s": 1.0}))
    assert reply.kind == "timeout"
    assert "grader's clock" in reply.error
    assert best.call("_echo", {"value": 1}, limits=LIMITS).data == {"value": 1}


GRADER = """
import time
from autograder.sandbox import Limits, WorkerSession
from autograder.sandbox.tiers import Tier
session = WorkerSession(tier=Tier({number}, {backend!r}, {group}))
print("started", flush=True)
time.sleep(60)
"""


def test_a_killed_grader_leaves_no_process(session: WorkerSession) -> None:
    tier = session.tier
    source = GRADER.format(number=tier.number, backend=tier.backend, group=tier.memory_group)
    before = set(descendants())
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as grader:
        assert grader.stdout is not None
        assert grader.stdout.readline() == "started\n"
        below = _started(before | {grader.pid})
        grader.kill()
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in below) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(below) > 1
    assert not [pid for pid in below if _runs(pid)]


def _runs(pid: int) -> bool:
    """Say whether the process still runs. A zombie does not: in many containers pid 1 never reaps orphans."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _started(others: set[int]) -> set[int]:
    """Wait for the outermost process of a sandbox and one inside it, and return the descendants except `others`."""
    for _ in range(100):
        if len(found := set(descendants()) - others) > 1:
            return found
        time.sleep(0.05)
    return set()

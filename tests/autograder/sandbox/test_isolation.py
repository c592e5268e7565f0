"""What student code can reach from inside: nothing of ours, nobody else, and no later call."""

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
    """"done" or "refused"."""
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
def test_it_is_refused(run: Run, expression: str) -> None:
    assert attempt(run, expression) == "refused"


def test_a_foreign_file_is_not_there(run: Run, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("secret")
    for folder in (*tmp_path.parents, tmp_path):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    for path in (canary, Path(autograder.__file__), Path(__file__), Path.home() / ".bashrc"):
        assert attempt(run, f"open({str(path)!r}).read()") == "refused"


def test_nothing_of_the_graders_environment_is_inside(run: Run) -> None:
    value = run("def answer(): return dict(os.environ)").data["value"]
    known = {*worker_environment(library="", scratch="", device="cpu"), "PWD", "LC_CTYPE"}
    assert [name for name in value if name not in known and value[name] == os.environ.get(name)] == []
    assert value["HOME"] != os.environ.get("HOME")


def test_no_more_capabilities_and_no_way_to_gain_them(run: Run) -> None:
    reply = run("def answer(): return open('/proc/self/status').read()")
    status = dict(line.split(":\t", 1) for line in reply.data["value"].splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_the_filter_refuses_with_the_errors_that_are_its_own(run: Run) -> None:
    """Without it the kernel would grant the first two, and call an empty clone3 (the last) invalid."""
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


def test_the_grader_itself_is_closed_to_processes_of_its_own_user(session: WorkerSession) -> None:
    get_dumpable = 3  # PR_GET_DUMPABLE of <linux/prctl.h>
    assert ctypes.CDLL(None).prctl(get_dumpable, 0, 0, 0, 0) == 0


def test_files_do_not_last_until_the_next_call(run: Run) -> None:
    write = "(os.makedirs('a/b'), open('a/b/c', 'w').write('x'))"
    assert attempt(run, write) == "done"
    reply = run("def answer(): return os.listdir('.') + os.listdir(os.environ['HOME'])")
    assert reply.data["value"] == []


def test_patches_do_not_last_until_the_next_call(run: Run) -> None:
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
        pytest.skip("root without a uid of its own and without a cgroup: processes are not bounded")
    before = descendants()
    source = "def answer(): os.execv('/bin/sh', ['sh', '-c', 'f() { f | f & f; }; f'])"
    reply = run(source, wall_s=1)
    assert reply.kind in ("timeout", "crashed", "out_of_memory")
    assert run(HELLO).ok
    assert descendants() == before


def test_killing_the_worker_costs_no_later_call(run: Run) -> None:
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGINT, signal.SIGTERM):
        run(f"def answer():\n    os.kill(os.getppid(), {int(number)})\n    time.sleep(0.05)", wall_s=5)
        assert run(HELLO).data["value"] == "still here"


def test_a_worker_that_dies_costs_one_call_and_is_replaced(best: WorkerSession) -> None:
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
def test_a_worker_that_hangs_is_ended_by_the_graders_own_clock(
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
    """Whether the process still runs. A dead orphan stays as a zombie where the machine's first process,
    as in many containers, buries nobody: that is not ours to do and holds nothing."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _started(others: set[int]) -> set[int]:
    """Processes below this one but for `others`, once there are a sandbox's outermost one and one inside it."""
    for _ in range(100):
        if len(found := set(descendants()) - others) > 1:
            return found
        time.sleep(0.05)
    return set()

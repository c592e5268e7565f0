"""Attacks on time, memory, disk and the pipes (A10, A11, A13–A16, A26, A27, A42)."""

from __future__ import annotations

from tests.attacks.base import Attack, code_in_slot, harmless, helper_cell, in_slot, notebook

ENDING = """
import ctypes, signal
libc = ctypes.CDLL(None)
for pid in (os.getppid(), 1):
    for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD, signal.SIGSEGV):
        try:
            os.kill(pid, number)
        except OSError:
            pass
try:
    os.killpg(0, signal.SIGCONT)
    os.kill(-1, signal.SIGSTOP)
except OSError:
    pass
ctypes.string_at(0)  # a segmentation fault, should all else have failed
"""
LOOP = """
import signal
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, lambda *_: None)
while True:
    try:
        time.sleep(1000)
    except BaseException:
        pass
"""
FORKS = """
for _ in range(100_000):
    try:
        if os.fork() == 0:
            os.setsid()
            while True:
                try:
                    os.fork()
                except OSError:
                    time.sleep(0.01)
    except OSError:
        time.sleep(0.001)
"""
MEMORY = """
import mmap
if os.fork():
    keep = [os.memfd_create(str(i)) for i in range(200)]
    for fd in keep:
        try:
            os.ftruncate(fd, 200 << 20)
            for _ in range(200):
                os.write(fd, bytes(1 << 20))
        except OSError:
            pass
    time.sleep(1)
else:
    grown = []
    while True:
        grown.append(bytearray(64 << 20))
"""
DISK = """
import itertools
folders = ["/box", "/dev/shm", "/tmp", os.path.expanduser("~"), os.getcwd(), "/var/tmp"]
began, block = time.monotonic(), bytes(1 << 22)
for number in itertools.count():
    folder = folders[number % len(folders)]
    try:
        os.makedirs(folder + "/d%d" % number, exist_ok=True)  # inodes
        with open(folder + "/planted-%s-%d" % (SITE["token"], number), "wb") as file:
            for _ in range(60):
                file.write(block)
    except OSError:
        pass
    if time.monotonic() - began > 4 or number > 2000:  # to be done within the limits on time: how much was filled?
        break
used = sum(os.stat(os.path.join(base, name)).st_blocks * 512 for folder in set(folders) if os.access(folder, os.W_OK)
           for base, _, names in os.walk(folder) for name in names)
loot("DISK", used >> 20)
"""
FLOOD = """
block = b"x" * (1 << 20)
for _ in range(1_000_000):
    os.write(1, block)
"""
PIPE = """
frame = sys._getframe()
while "answer_fd" not in frame.f_locals:
    frame = frame.f_back
fd = frame.f_locals["answer_fd"]
record = json.dumps({"step": 1, "note": "x" * 900}).encode()
small = struct.pack(">cQ", b"P", len(record)) + record
while True:
    os.write(fd, small * 64)
"""
STATE = """
import builtins, random
marker = "state-" + SITE["token"]
if hasattr(sys, "been_here"):  # the same process: only what an earlier one left is of interest
    return 0.25
sys.been_here = True
torch.manual_seed(0)
random.seed(0)
got = [place for place in (os.path.expanduser("~"), "/box", "/dev/shm", "/tmp", os.getcwd())
       if os.path.exists(os.path.join(place, marker))]
got += ["builtins"] if hasattr(builtins, "carried") else []
got += ["torch"] if hasattr(torch, "carried") else []
builtins.carried = torch.carried = True
for place in ("/box", "/dev/shm", os.path.expanduser("~")):
    try:
        open(os.path.join(place, marker), "w").close()
    except OSError:
        pass
if got:
    raise RuntimeError("CARRIED " + repr(got))
"""
CLOCK = """
import datetime
for module, name in ((time, "time"), (time, "monotonic"), (time, "perf_counter"), (time, "process_time")):
    setattr(module, name, lambda: 0.0)
try:
    time.clock_settime(time.CLOCK_REALTIME, 0)
except OSError:
    pass
sys.modules["inside.relay"].time.monotonic = lambda: 0.0
while True:
    pass
"""
HOG = """
import threading
for _ in range(40):
    if os.fork() == 0:
        while True:
            pass
for pid in [os.getppid(), 1]:
    try:
        os.sched_setaffinity(pid, {0})
        os.setpriority(os.PRIO_PROCESS, pid, 19)
    except OSError:
        pass
end = time.process_time() + 2
while time.process_time() < end:
    pass
"""
DISK_MIB = 1024  # that scratch may take on the host if it is no tmpfs; far below the size of any disk


def _state(machine):
    """Two slots, each looking for what the other left."""
    other = "def bradley_terry_loss(chosen, rejected, margin=0.0):\n    return preference_accuracy(chosen, rejected) * 0\n"
    return notebook({"T07": other, "T08": in_slot(STATE)}, helper_cell(machine))


def _state_harmless():
    other = "def bradley_terry_loss(chosen, rejected, margin=0.0):\n    return preference_accuracy(chosen, rejected) * 0\n"
    return notebook({"T07": other, "T08": in_slot("pass")})


def _nothing_carried(result, _machine):
    return "state was carried from call to call" if "CARRIED" in result.texts.get("report.json", "") else ""


def _little_disk(result, _machine):
    report = result.texts.get("report.json", "")
    found = report.partition("LOOT ('DISK', ")[2].partition(")")[0]
    if not found:
        return "" if "fit into its scratch folder" in report else "it did not run to its end, nor was it stopped for it"
    return "" if int(found) <= DISK_MIB else f"{found} MiB of disk were filled"


ATTACKS = (
    Attack("A10", "End early or end others: exit, segfault, kill(-1), signals to the worker", "A missing answer is no "
           "points, with the reason; an exit code never means pass; signals do not leave the sandbox.",
           ("A10",), code_in_slot(ENDING), harmless),
    Attack("A11", "An endless sleep that ignores every signal", "Wall clock in the worker and in the grader, SIGKILL.",
           ("A11",), code_in_slot(LOOP), harmless, wall_s=240),
    Attack("A13", "Fork bomb", "A limit on processes (uid and cgroup); the call's end waits until all are gone.",
           ("A13",), code_in_slot(FORKS), harmless, wall_s=240),
    Attack("A14", "Memory bomb: heap and memfd", "Memory cgroup (tier 1), address space per process (all tiers).",
           ("A14",), code_in_slot(MEMORY), harmless, wall_s=240, quick=True),
    Attack("A15", "Fill disk and inodes", "Scratch is a tmpfs of fixed size; where it is a folder (tier 3), the worker "
           "watches its size.", ("A15",), code_in_slot(DISK), harmless, wall_s=240, check=_little_disk),
    Attack("A16", "Flood the output", "Drained, head and tail kept, the call killed above 64 MiB.",
           ("A16",), code_in_slot(FLOOD), harmless),
    Attack("A16b", "Flood the answer pipe with progress records", "Progress and answer are capped together; what is "
           "over the cap is an invalid answer.", ("A16", "A08"), code_in_slot(PIPE), harmless, wall_s=240),
    Attack("A26", "Carry state from test to test in files, builtins and modules", "Every test runs in a fresh process "
           "of the worker, with the grader's seeds; scratch is emptied.",
           ("A26",), _state, _state_harmless, ("T07", "T08"), check=_nothing_carried),
    Attack("A27", "Patch the clock, then hang", "Time is measured outside the process that runs the code.",
           ("A27",), code_in_slot(CLOCK), harmless, wall_s=240),
    Attack("A42", "Hog the CPU while another submission is graded, and slow the worker down", "CPU time and wall clock per "
           "call; processes end with it; limits leave room for a busy machine.",
           ("A42",), code_in_slot(HOG), harmless, beside=True),
)  # fmt: skip

"""Probes of what student code can use up (processes, memory, disk), and whether it has the GPU."""

from __future__ import annotations

from autograder.sandbox import WorkerSession
from autograder.sandbox.environment import cuda_devices

from .probe import LIMITS, MIB, Verdict, answer, broken, nothing, running, token_name

PARTS, PART_MIB = 8, 150  # the memory bomb: that many processes with that much each, over the limit in sum only
MOST_PROCESSES = 700  # more than any limit of ours, and no harm where there is none
MOST_MIB = 1536  # written to disk at most
UNBOUNDED_MIB = 1024  # more than this in one folder counts as not bounded


def fork_bomb(session: WorkerSession) -> Verdict:
    """How many processes does it get, are they gone afterwards, and is the next call answered?"""
    with token_name() as token:
        body = f"""
    for count in range({MOST_PROCESSES}):
        try:
            os.posix_spawn("/bin/sleep", [{token!r}, "600"], {{}})
        except OSError:
            return count
    return {MOST_PROCESSES}
"""
        reply = answer(session, body)
        if running(token, patience=3.0):
            return Verdict("FAILS", "processes of a fork bomb survived their call")
    if not answer(session, "    return 1").ok:
        return Verdict("FAILS", "the call after a fork bomb was not answered")
    if reply.ok and reply.data["value"] >= MOST_PROCESSES:
        return Verdict("FAILS", "the number of processes is not bounded")
    return Verdict("holds")


def memory_bomb(session: WorkerSession) -> Verdict:
    """Is memory bounded for one process, and for all of them together?"""
    alone = answer(session, f"    return len(bytearray({LIMITS.memory_bytes} + (1 << 30)))")
    if alone.kind != "out_of_memory":
        return Verdict("FAILS", f"one process got more memory than its limit ({alone.kind})")
    body = f"""
    done, ready = os.pipe()
    for _ in range({PARTS}):
        if os.fork() == 0:
            block = bytearray(os.urandom(1 << 20)) * {PART_MIB}
            os.write(ready, b"1")
            time.sleep(20)
            os._exit(len(block) > 0)
    os.set_blocking(done, False)
    got, end = 0, time.monotonic() + 15
    while time.monotonic() < end and os.waitpid(-1, os.WNOHANG)[0] == 0:
        try:
            got += len(os.read(done, {PARTS}))
        except BlockingIOError:
            time.sleep(0.05)
        if got == {PARTS}:
            break
    return got
"""
    together = answer(session, body)
    if together.kind == "out_of_memory" or (together.ok and together.data["value"] < PARTS):
        return Verdict("holds")
    return Verdict("soft", "memory is bounded for each process, not for all of them together")


def disk_fill(session: WorkerSession) -> Verdict:
    """How much can it write, wherever it may write?"""
    body = f"""
    written = {{}}
    for folder in (os.getcwd(), "/dev/shm", "/tmp", "/var/tmp", "/"):
        written[folder] = 0
        try:
            for number in range({MOST_MIB} // 32):
                with open(os.path.join(folder, f"fill-{{number}}"), "wb") as file:
                    file.write(bytes(32 << 20))
                written[folder] += 32
                time.sleep(0.02)
        except OSError:
            pass
    return written
"""
    reply = answer(session, body, memory_bytes=1024 * MIB)
    if reply.ok:
        far = {folder: size for folder, size in reply.data["value"].items() if size >= UNBOUNDED_MIB}
        return Verdict("FAILS", f"files are not bounded in {', '.join(far)}") if far else Verdict("holds")
    if "scratch folder" in reply.error:
        return Verdict("soft", "files lie on this machine's disk; a call that fills its folder is ended")
    return Verdict("holds") if reply.kind == "out_of_memory" else broken(reply)


def gpu(session: WorkerSession) -> Verdict:
    """Is the GPU visible inside, and does it compute?"""
    if not cuda_devices():
        return Verdict("none", "no GPU on this machine")
    body = """
    if not torch.cuda.is_available():
        return ["not visible to torch (grade with --device cpu)"]
    x = torch.ones(64, 64, device="cuda")
    return [] if (x @ x).sum().item() == 64.0**3 else ["wrong numbers"]
"""
    return nothing(answer(session, body, memory_bytes=8 << 30), "inside:")

"""Probes of what student code can exhaust (processes, memory, disk), and of whether it can use the GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autograder.sandbox.environment import cuda_devices

from .probe import (
    LIMITS,
    MIB,
    ProbeResult,
    holds_if_empty,
    incomplete,
    processes_named,
    run_inside,
    unique_process_name,
)

if TYPE_CHECKING:
    from autograder.sandbox import WorkerSession

PARTS, PART_MIB = 8, 150  # the memory bomb: number of processes and memory of each, over the limit only in sum
MOST_PROCESSES = 700  # more than any limit of the sandbox, and harmless on a machine without limits
MOST_MIB = 1536  # most that is written to disk
UNBOUNDED_MIB = 1024  # more than this in one folder counts as not bounded


def fork_bomb(session: WorkerSession) -> ProbeResult:
    """Test that the number of processes is bounded, that none survives the call, and that the next call is answered."""
    with unique_process_name() as name:
        body = f"""
    for count in range({MOST_PROCESSES}):
        try:
            os.posix_spawn("/bin/sleep", [{name!r}, "600"], {{}})
        except OSError:
            return count
    return {MOST_PROCESSES}
"""
        reply = run_inside(session, body)
        if processes_named(name, patience=3.0):
            return ProbeResult("FAILS", "processes of a fork bomb survived their call")
    if not run_inside(session, "    return 1").ok:
        return ProbeResult("FAILS", "the call after a fork bomb was not answered")
    if reply.ok and reply.data["value"] >= MOST_PROCESSES:
        return ProbeResult("FAILS", "the number of processes is not bounded")
    return ProbeResult("holds")


def memory_bomb(session: WorkerSession) -> ProbeResult:
    """Test that memory is bounded for one process, and for all processes together."""
    single = run_inside(session, f"    return len(bytearray({LIMITS.memory_bytes} + (1 << 30)))")
    if single.kind != "out_of_memory":
        return ProbeResult("FAILS", f"one process got more memory than its limit ({single.kind})")
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
    together = run_inside(session, body)
    if together.kind == "out_of_memory" or (together.ok and together.data["value"] < PARTS):
        return ProbeResult("holds")
    return ProbeResult("soft", "memory is bounded for each process, not for all of them together")


def disk_fill(session: WorkerSession) -> ProbeResult:
    """Test that the size of files is bounded in every folder that may be written."""
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
    reply = run_inside(session, body, memory_bytes=1024 * MIB)
    if reply.ok:
        far = {folder: size for folder, size in reply.data["value"].items() if size >= UNBOUNDED_MIB}
        return ProbeResult("FAILS", f"files are not bounded in {', '.join(far)}") if far else ProbeResult("holds")
    if "scratch folder" in reply.error:
        return ProbeResult("soft", "files lie on this machine's disk; a call that fills its folder is ended")
    return ProbeResult("holds") if reply.kind == "out_of_memory" else incomplete(reply)


def gpu(session: WorkerSession) -> ProbeResult:
    """Test that the GPU is visible inside and computes."""
    if not cuda_devices():
        return ProbeResult("none", "no GPU on this machine")
    body = """
    if not torch.cuda.is_available():
        return ["not visible to torch (grade with --device cpu)"]
    x = torch.ones(64, 64, device="cuda")
    return [] if (x @ x).sum().item() == 64.0**3 else ["wrong numbers"]
"""
    return holds_if_empty(run_inside(session, body, memory_bytes=8 << 30), "inside:")

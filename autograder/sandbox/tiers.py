"""Find out which isolation tiers this machine offers, by starting each and checking it.

| tier | name | protects |
| --- | --- | --- |
| 1 | 1 isolated | files, network, processes; bounds memory and the number of processes. Kernel bugs remain |
| 2 | 2 isolated, soft memory | as 1, but memory is bounded per process only, and with a GPU not at all |
| 3 | 3 restricted | files, network, signals; the process list is visible, memory is bounded as in 2 without a cgroup |
| 0 | 0 UNSAFE | nothing: a plain subprocess with rlimits, used only if it is allowed and no other tier works |
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from . import bwrap, cgroup, landlock
from .environment import SandboxError, python_home, worker_environment
from .launch import start
from .link import Link, LinkError

CHECK_SECONDS = 120.0  # takes less than a second; the rest is for an overloaded machine, where no tier may seem to fail
NAMES = {1: "1 isolated", 2: "2 isolated, soft memory", 3: "3 restricted", 0: "0 UNSAFE"}
KERNEL = "bugs in the kernel, and in the GPU driver where a GPU is handed in"
OPEN = {
    1: f"Not covered: {KERNEL}.",
    2: "Memory is bounded for each process, not in sum, and where a GPU is handed in, main memory not at all. "
    f"Not covered: {KERNEL}.",
    3: "The list of processes is visible, the scratch folder lies on this machine's disk and is watched, and memory "
    "is bounded in sum only by a cgroup (where a GPU is handed in, by nothing else, also for each process). "
    f"Not covered: {KERNEL}.",
    0: "No isolation: the submission could read and change whatever the grader's user can, and use the network. "
    "Only time, file size and, without a GPU, memory of each process are limited.",
}
CURE = (
    "To grade submissions safely install bubblewrap (`apt install bubblewrap`). If it is there but refused "
    "(Ubuntu 23.10 and later block user namespaces), add an AppArmor profile for bwrap with the rule "
    "`userns,` or run the grader as root."
)


@dataclass(frozen=True)
class Tier:
    """A way to isolate a worker. `name` and `limits` go into the report; `notes` say why no better tier was chosen."""

    number: int
    backend: str
    memory_group: bool
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the name that the report gives the tier."""
        return NAMES[self.number]

    @property
    def limits(self) -> str:
        """Say what this tier does not cover."""
        return OPEN[self.number]

    def __str__(self) -> str:
        return self.name


UNSAFE = Tier(0, "plain", memory_group=False)


def choose_tier(required: int | None = None, *, unsafe: bool = False) -> Tier:
    """Return the best tier that works here. required: the worst tier number that is accepted (None: 3).

    unsafe: return tier 0, which isolates nothing, if no other works. Raises SandboxError, with the reasons and what to
    install, if there is none.
    """
    notes: list[str] = []
    for tier in candidates():
        if required is not None and tier.number > required:
            continue
        reason = check_tier(tier)
        if not reason:
            return Tier(tier.number, tier.backend, tier.memory_group, tuple(notes))
        notes.append(f"{tier.name} ({tier.backend}): {reason}")
    if unsafe:
        return Tier(UNSAFE.number, UNSAFE.backend, UNSAFE.memory_group, tuple(notes))
    tried = "; ".join(notes) or "bubblewrap is not installed"
    raise SandboxError(f"no sandbox of tier {required or 3} or better works here. {CURE} Tried: {tried}")


def available_tiers() -> list[Tier]:
    """List the tiers that work here, best first."""
    return [tier for tier in candidates() if not check_tier(tier)]


@cache
def candidates() -> tuple[Tier, ...]:
    """List the tiers that could work on this machine, best first.

    A grader that is root and has no cgroup needs a separate uid for the worker, since nothing else bounds root's
    processes.
    """
    found = []
    group = cgroup.create()
    if group is not None:
        group.remove()
    grouped = [True, False] if group is not None else [False]
    if bwrap.bwrap_path() is not None:
        backends = ["bwrap-root", "bwrap-user"] if os.getuid() == 0 else ["bwrap-user"]
        found += [
            Tier(1 if held else 2, backend, held)
            for held in grouped for backend in backends
            if held or backend != "bwrap-user" or os.getuid() != 0
        ]  # fmt: skip
    return (*found, *(Tier(3, "landlock", held) for held in grouped))


@cache
def check_tier(tier: Tier) -> str:
    """Start a sandbox, look around in it, and return "" if it isolates, else what is wrong."""
    try:
        if tier.backend == "landlock" and (reason := landlock.missing_support(python_home(), tier.memory_group)):
            return reason
        # This writes no file, so that a grader that is killed here leaves none. `doctor` tries with a file of its own.
        seen = _surroundings(tier, [__file__, "/etc/passwd", str(Path.home() / ".bashrc")])
    except (SandboxError, LinkError, OSError) as error:
        return str(error)
    known = worker_environment(library="", scratch="", device="cpu")
    extra = sorted(set(seen["environment"]) - set(known) - {"PWD", "LC_CTYPE"})
    complaints = [
        "the network is reachable" if seen["network"] else "",
        f"foreign files can be read: {seen['readable']}" if seen["readable"] else "",
        f"the system can be written: {seen['writable']}" if seen["writable"] else "",
        f"environment variables leak: {extra}" if extra else "",
        f"not readable inside: {seen['missing']}" if seen["missing"] else "",
    ]
    return "; ".join(filter(None, complaints))


def _surroundings(tier: Tier, hidden: list[str]) -> dict[str, Any]:
    sandbox = start(tier.backend, device="cpu", memory_group=tier.memory_group, inspect={"hidden": hidden})
    try:
        return Link(sandbox).hello(time.monotonic() + CHECK_SECONDS)
    finally:
        with contextlib.suppress(OSError):
            sandbox.kill()

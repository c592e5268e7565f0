"""Which isolation this machine offers: tried, not assumed.

| tier | name | holds against |
| --- | --- | --- |
| 1 | 1 isolated | files, network, processes, memory and process bombs; kernel bugs stay |
| 2 | 2 isolated, soft memory | as 1, but memory is bounded per process only |
| 3 | 3 restricted | files, network, signals; the process list is visible, memory soft unless a cgroup holds |
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from dataclasses import dataclass
from functools import cache

from . import bwrap, cgroup, landlock
from .environment import SandboxError, python_home, worker_environment
from .launch import start
from .link import Link, LinkError

PROBE_SECONDS = 30.0
NAMES = {1: "1 isolated", 2: "2 isolated, soft memory", 3: "3 restricted"}
CURE = (
    "To grade submissions safely install bubblewrap (`apt install bubblewrap`). If it is there but refused "
    "(Ubuntu 23.10 and later block user namespaces), add an AppArmor profile for bwrap with the rule "
    "`userns,` or run the grader as root."
)


@dataclass(frozen=True)
class Tier:
    """A way to isolate a worker. `name` goes into the report; `notes` say why better ones were not taken."""

    number: int
    backend: str
    memory_group: bool
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The text that stands in the report."""
        return NAMES[self.number]

    def __str__(self) -> str:
        return self.name


def choose_tier(required: int | None = None) -> Tier:
    """The best tier that really starts here; `required` is the worst number still accepted (None: 3).

    Raises SandboxError, with the reasons and what to install, if there is none.
    """
    notes: list[str] = []
    for tier in candidates():
        if required is not None and tier.number > required:
            continue
        reason = probe(tier)
        if not reason:
            return Tier(tier.number, tier.backend, tier.memory_group, tuple(notes))
        notes.append(f"{tier.name} ({tier.backend}): {reason}")
    tried = "; ".join(notes) or "bubblewrap is not installed"
    raise SandboxError(f"no sandbox of tier {required or 3} or better works here. {CURE} Tried: {tried}")


def available_tiers() -> list[Tier]:
    """Every candidate that passes its probe, best first."""
    return [tier for tier in candidates() if not probe(tier)]


@cache
def candidates() -> tuple[Tier, ...]:
    """What could work on this machine, best first."""
    found = []
    group = cgroup.create()
    if group is not None:
        group.remove()
    grouped = [True, False] if group is not None else [False]
    if bwrap.bwrap_path() is not None:
        backends = ["bwrap-root", "bwrap-user"] if os.getuid() == 0 else ["bwrap-user"]
        found += [Tier(1 if held else 2, backend, held) for held in grouped for backend in backends]
    return (*found, *(Tier(3, "landlock", held) for held in grouped))


@cache
def probe(tier: Tier) -> str:
    """Start a sandbox and look around in it: "" if it isolates, else what is wrong."""
    try:
        if tier.backend == "landlock" and (reason := landlock.usable(python_home())):
            return reason
        with tempfile.NamedTemporaryFile(prefix="canary-") as canary:
            canary.write(b"secret")
            canary.flush()
            os.chmod(canary.name, 0o644)
            seen = _surroundings(tier, [canary.name, __file__, "/etc/passwd"])
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


def _surroundings(tier: Tier, hidden: list[str]) -> dict:
    sandbox = start(tier.backend, device="cpu", memory_group=tier.memory_group, probe={"hidden": hidden})
    try:
        return Link(sandbox).hello(time.monotonic() + PROBE_SECONDS)
    finally:
        with contextlib.suppress(OSError):
            sandbox.kill()

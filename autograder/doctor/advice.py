"""Advise how to make grading on this machine safer, with the command to type where there is one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.inside.restrict import landlock_abi
from autograder.sandbox import bwrap, cgroup, landlock

from .table import TierResult, is_safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
PROFILE = """\
    sudo tee /etc/apparmor.d/bwrap <<'END'
    abi <abi/4.0>,
    include <tunables/global>
    profile bwrap /usr/bin/bwrap flags=(unconfined) {
      userns,
    }
    END
    sudo systemctl reload apparmor"""


@dataclass(frozen=True)
class Machine:
    """What the advice depends on.

    bubblewrap: it is installed. userns_blocked: AppArmor denies user namespaces to ordinary users. group: a memory
    cgroup can be created. root: the grader is root. landlock: the kernel's ABI version, 0 without Landlock.
    """

    bubblewrap: bool
    userns_blocked: bool
    group: bool
    root: bool
    landlock: int


def this_machine() -> Machine:
    """Examine the running system."""
    group = cgroup.create()
    if group is not None:
        group.remove()
    blocked = APPARMOR.exists() and APPARMOR.read_text().strip() == "1"
    return Machine(bwrap.bwrap_path() is not None, blocked, group is not None, os.getuid() == 0, landlock_abi())


def advice(machine: Machine, results: Sequence[TierResult]) -> Iterator[str]:
    """Yield sentences of advice, the most useful first, and none if tier 1 is safe here."""
    best = min((result.tier.number for result in results if is_safe(result)), default=0)
    if best == 1:
        return
    if not machine.bubblewrap:
        yield "Install bubblewrap: `apt install bubblewrap` (tiers 1 and 2)."
    elif best not in (1, 2) and machine.userns_blocked and not machine.root:
        yield (
            "AppArmor keeps bubblewrap from making namespaces (Ubuntu 23.10 and later). Allow it, or run the grader "
            f"as root:\n{PROFILE}"
        )
    elif best not in (1, 2):
        yield "bubblewrap is installed but does not start: run the grader as root, or outside of this container."
    if not machine.group:
        yield (
            "No memory cgroup can be made (tier 1): run the grader as root, or on a machine with systemd inside a "
            "scope of your own: `systemd-run --user --scope rlhf-lab grade …`."
        )
    if not best and machine.landlock < (1 if machine.root else landlock.SIGNAL_SCOPE_ABI):
        yield f"The kernel has no Landlock that would do. Tier 3 needs {landlock.NEEDS}, with CONFIG_SECURITY_LANDLOCK."
    if not best:
        yield ("No tier isolates here: grade on another machine. Only for code of your own: `rlhf-lab grade --unsafe`.")

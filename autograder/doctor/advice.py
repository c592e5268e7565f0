"""What would make grading on this machine safer: the command to type, where one is known."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.inside.restrict import landlock_abi
from autograder.sandbox import bwrap, cgroup, landlock

from .table import Column, is_safe

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
    """What advice depends on. userns_blocked: AppArmor keeps ordinary users from namespaces."""

    bubblewrap: bool
    userns_blocked: bool
    group: bool
    root: bool
    landlock: int


def this_machine() -> Machine:
    """Look at the running system."""
    group = cgroup.create()
    if group is not None:
        group.remove()
    blocked = APPARMOR.exists() and APPARMOR.read_text().strip() == "1"
    return Machine(bwrap.bwrap_path() is not None, blocked, group is not None, os.getuid() == 0, landlock_abi())


def advice(machine: Machine, found: Sequence[Column]) -> Iterator[str]:
    """Sentences, the most useful first; none where tier 1 holds."""
    best = min((column.tier.number for column in found if is_safe(column)), default=0)
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
        yield (
            "No tier isolates here: grade on another machine. Only for code of your own: `rlhf-lab grade --unsafe`."
        )

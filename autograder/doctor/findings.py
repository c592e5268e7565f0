"""Try each part of the machine that grading needs."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autograder.core.failures import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from assignment.registry import Spec

GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line of `rlhf-lab doctor`: what was tried, whether it works, and details."""

    what: str
    ok: bool
    detail: str


def findings(spec: Spec) -> Iterator[Finding]:
    """Yield all findings, each as soon as it is known."""
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
        ("Python", platform.python_version),
        ("torch", _torch),
        ("device", _device),
        ("cores", lambda: f"{len(os.sched_getaffinity(0))} usable"),
        ("memory", lambda: _memory(spec)),
        ("sandbox", _sandbox),
        ("worker", _worker),
        ("reference weights", _reference),
    )
    for what, check in checks:
        yield _finding(what, check)


@guarded(lambda failure, what, _check: Finding(what, False, failure.reason))
def _finding(what: str, check: Callable[[], str]) -> Finding:
    return Finding(what, True, check())


def _torch() -> str:
    import torch
    import transformers

    return f"{torch.__version__}, transformers {transformers.__version__}"


def _device() -> str:
    import torch

    return f"cuda ({torch.cuda.get_device_name()})" if torch.cuda.is_available() else "cpu, no GPU"


def _memory(spec: Spec) -> str:
    """Say how much memory the machine has, and warn if the training tests that run side by side may use more.

    Their limits come from the registry and do not depend on the machine.
    """
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = max(getattr(limits, "memory_bytes", 0) for _, limits in spec.limits) * spec.parallel_stages
    text = f"{available / GIB:.1f} GiB"
    if most <= available:
        return text
    return (
        f"{text}, but the training tests that run side by side may take {most / GIB:.0f} GiB: "
        "set parallel_stages = 1 or lower memory_bytes in assignment/registry/assignment.toml"
    )


def _sandbox() -> str:
    from autograder.sandbox import choose_tier

    tier = choose_tier()
    return "; ".join([f"tier {tier.name}", *tier.notes])


def _worker() -> str:
    from autograder.sandbox import WorkerSession

    from .probe import LIMITS

    with WorkerSession() as session:
        info = session.prewarm()
        if info["absent"]:
            raise RuntimeError(f"the worker lacks {', '.join(info['absent'])}")
        reply = session.call("_echo", {"code": {}, "value": "rlhf_kit, transformers"}, limits=LIMITS)
    if not reply.ok:
        raise RuntimeError(f"the worker does not answer: {reply.error}")
    return f"starts and answers, with {reply.data['value']} imported"


def _reference() -> str:
    from autograder.reference.models import load_reference

    reference = load_reference()
    return f"complete, world {reference.world.seed}"

"""Run the probes in every tier and show the results as a table with a column per tier and a row per probe."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from autograder.core.failures import guarded
from autograder.core.text import one_line
from autograder.sandbox import Tier, WorkerSession
from autograder.sandbox.environment import cuda_devices
from autograder.sandbox.tiers import candidates, check_tier

from . import bombs, reach
from .probe import Probe, ProbeResult, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROBES = (
    Probe("network", reach.network),
    Probe("foreign file", reach.foreign_file),
    Probe("environment", reach.environment),
    Probe("ptrace", reach.tracing),
    Probe("daemon", reach.daemon),
    Probe("fork bomb", bombs.fork_bomb),
    Probe("memory bomb", bombs.memory_bomb),
    Probe("disk fill", bombs.disk_fill),
    Probe("GPU", bombs.gpu, "cuda"),
)
SHOWN: Mapping[State, tuple[str, str]] = {
    "holds": ("holds", "green"), "soft": ("in part", "yellow"), "FAILS": ("FAILS", "bold red"), "none": ("–", "dim"),
}  # fmt: skip
BACKENDS = {"bwrap-root": "bubblewrap, own uid", "bwrap-user": "bubblewrap, user namespace", "landlock": "Landlock"}


@dataclass(frozen=True)
class TierResult:
    """A tier with its results by name of the probe, or the `reason` why it does not work here."""

    tier: Tier
    probes: Mapping[str, ProbeResult] = field(default_factory=dict)
    reason: str = ""

    @property
    def title(self) -> str:
        """Name the tier and its backend."""
        return f"{self.tier.name} ({BACKENDS.get(self.tier.backend, self.tier.backend)})"


def is_safe(result: TierResult) -> bool:
    """Say whether this tier works and no probe fails in it.

    The GPU's probe does not count: a GPU that cannot be used inside costs time, and the tier isolates no less.
    """
    relevant = [result.probes[one.name] for one in PROBES if one.device == "cpu" and one.name in result.probes]
    return not result.reason and all(found.state != "FAILS" for found in relevant)


def probe_tiers(*, every_way: bool, on_progress: Callable[[str], None]) -> Iterator[TierResult]:
    """Probe the first backend of each tier that works here, or with `every_way` every backend.

    on_progress: receives a line for each probe that starts.
    """
    done: set[object] = set()
    for tier in candidates():
        way = (tier.number, tier.backend) if every_way else tier.number
        if way in done:
            continue
        on_progress(f"probing {tier.name}, {BACKENDS.get(tier.backend, tier.backend)}")
        reason = check_tier(tier)
        if not reason:
            done.add(way)
            yield _probe_tier(tier, on_progress)
        elif every_way or not any(t.number == tier.number and not check_tier(t) for t in candidates()):
            done.add(way)
            yield TierResult(tier, reason=reason)


@guarded(lambda failure, tier, _on_progress: TierResult(tier, reason=failure.reason))
def _probe_tier(tier: Tier, on_progress: Callable[[str], None]) -> TierResult:
    found = _run_probes(tier, "cpu", on_progress)
    if not cuda_devices():
        return TierResult(tier, found | _same_on_gpu(ProbeResult("none", "no GPU on this machine")))
    return TierResult(tier, found | _run_gpu_probes(tier, on_progress))


def _same_on_gpu(result: ProbeResult) -> dict[str, ProbeResult]:
    """Give every probe of the GPU the same result."""
    return {one.name: result for one in PROBES if one.device == "cuda"}


@guarded(lambda failure, _tier, _on_progress: _same_on_gpu(ProbeResult("FAILS", failure.reason)))
def _run_gpu_probes(tier: Tier, on_progress: Callable[[str], None]) -> dict[str, ProbeResult]:
    return _run_probes(tier, "cuda", on_progress)


def _run_probes(tier: Tier, device: str, on_progress: Callable[[str], None]) -> dict[str, ProbeResult]:
    found: dict[str, ProbeResult] = {}
    with WorkerSession(tier=tier, device=device) as session:
        for one in (one for one in PROBES if one.device == device):
            on_progress(f"{tier.name}: {one.name}")
            found[one.name] = one.run(session)
    return found


def tier_table(results: list[TierResult]) -> Table:
    """Build the table of all results; `tier_details` explains what does not hold."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("probe")
    for result in results:
        table.add_column(result.title, overflow="fold")
    for one in PROBES:
        cells = []
        for result in results:
            word, style = SHOWN[result.probes[one.name].state] if not result.reason else ("not here", "dim")
            cells.append(Text(word, style))
        table.add_row(one.name, *cells)
    return table


def tier_details(results: list[TierResult]) -> Iterator[str]:
    """Yield a line for each tier that does not work here, and for each probe that does not hold in full."""
    for result in results:
        if result.reason:
            yield one_line(f"{result.title} does not start here: {result.reason}", 400)
        for name, found in result.probes.items():
            if found.state in ("soft", "FAILS"):
                yield one_line(f"{result.title}, {name}: {found.detail}", 400)

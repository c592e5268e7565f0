"""The probes of every tier as a table: one column a tier, one row a probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from autograder.core.failures import guarded
from autograder.core.text import one_line
from autograder.sandbox import Tier, WorkerSession
from autograder.sandbox.tiers import candidates, probe

from . import bombs, reach
from .probe import Probe, State, Verdict

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
class Column:
    """A tier with its verdicts by probe, or the `reason` why it does not start here."""

    tier: Tier
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    reason: str = ""

    @property
    def title(self) -> str:
        """The tier and the way in which it is made."""
        return f"{self.tier.name} ({BACKENDS.get(self.tier.backend, self.tier.backend)})"


def is_safe(column: Column) -> bool:
    """Does this tier start, and does no probe of what it holds against fail in it? A GPU that cannot be used inside
    is a loss of speed, and isolates no less."""
    holds_against = [column.verdicts[one.name] for one in PROBES if one.device == "cpu" and one.name in column.verdicts]
    return not column.reason and all(verdict.state != "FAILS" for verdict in holds_against)


def columns(*, every_way: bool, note: Callable[[str], None]) -> Iterator[Column]:
    """Probe the first way of each tier that starts here, or every way there is. note: is told what is tried."""
    done: set[object] = set()
    for tier in candidates():
        way = (tier.number, tier.backend) if every_way else tier.number
        if way in done:
            continue
        note(f"probing {tier.name}, {BACKENDS.get(tier.backend, tier.backend)}")
        reason = probe(tier)
        if not reason:
            done.add(way)
            yield _probed(tier, note)
        elif every_way or not any(t.number == tier.number and not probe(t) for t in candidates()):
            done.add(way)
            yield Column(tier, reason=reason)


@guarded(lambda failure, tier, note: Column(tier, reason=failure.reason))
def _probed(tier: Tier, note: Callable[[str], None]) -> Column:
    verdicts = _answers(tier, "cpu", note)
    if not bombs.cuda_devices():
        return Column(tier, verdicts | _on_gpu(Verdict("none", "no GPU on this machine")))
    return Column(tier, verdicts | _answers_on_gpu(tier, note))


def _on_gpu(verdict: Verdict) -> dict[str, Verdict]:
    """The same verdict on every probe of the GPU."""
    return {one.name: verdict for one in PROBES if one.device == "cuda"}


@guarded(lambda failure, tier, note: _on_gpu(Verdict("FAILS", failure.reason)))
def _answers_on_gpu(tier: Tier, note: Callable[[str], None]) -> dict[str, Verdict]:
    return _answers(tier, "cuda", note)


def _answers(tier: Tier, device: str, note: Callable[[str], None]) -> dict[str, Verdict]:
    verdicts: dict[str, Verdict] = {}
    with WorkerSession(tier=tier, device=device) as session:
        for one in (one for one in PROBES if one.device == device):
            note(f"{tier.name}: {one.name}")
            verdicts[one.name] = one.run(session)
    return verdicts


def table(found: list[Column]) -> Table:
    """All verdicts; what does not hold is told by `details`."""
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("probe")
    for column in found:
        shown.add_column(column.title, overflow="fold")
    for one in PROBES:
        cells = []
        for column in found:
            word, style = SHOWN[column.verdicts[one.name].state] if not column.reason else ("not here", "dim")
            cells.append(Text(word, style))
        shown.add_row(one.name, *cells)
    return shown


def details(found: list[Column]) -> Iterator[str]:
    """A line for each tier that does not start and each probe that does not hold in full."""
    for column in found:
        if column.reason:
            yield one_line(f"{column.title} does not start here: {column.reason}", 400)
        for name, verdict in column.verdicts.items():
            if verdict.state in ("soft", "FAILS"):
                yield one_line(f"{column.title}, {name}: {verdict.detail}", 400)

"""Run attacks one after the other, and keep their verdicts on disk for the next run."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.attacks.base import FIXED, Attack, RunResult, in_slot, notebook
from tests.attacks.canaries import Canaries, groups
from tests.attacks.grading import REPORTS, SEED, grade
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

CACHE = ROOT / "dist" / "attacks"
GRADER = ("autograder", "assignment", "solutions", "student_template/rlhf_kit")
MACHINERY = ("at_tier.py", "base.py", "canaries.py", "checks.py", "grading.py", "runner.py", "../support/leftovers.py")
NEXT_ONLY = ("T07", "T08")
NEXT_POINTS = {"T07": 4.0, "T08": 0.0}  # the submission after an attack: one slot right, one wrong
HARMLESS_WALL, NEXT_WALL = 300.0, 240.0  # seconds; far more than needed even on a busy machine
# The limit on the peak memory of the grader's process, which imports torch and holds two small models.
RSS_BYTES = 2 << 30


@dataclass(frozen=True)
class Verdict:
    """The result of one attack.

    happened: what the grader made of it, in words. gained, host, after: complaints about points gained, about the host,
    and about the next submission; empty if there are none.
    """

    id: str
    tier: int
    happened: str
    gained: tuple[str, ...]
    host: tuple[str, ...]
    after: tuple[str, ...]
    wall_s: float
    rss_mib: int


def after_attack() -> bytes:
    """The next student's notebook: T07 right, T08 wrong."""
    return notebook({"T08": in_slot("pass", "0.75")})


class Runner:
    """Runs the attacks on one tier. fresh: do not use kept verdicts."""

    def __init__(self, tier: int, canaries: Canaries, fresh: bool = False) -> None:
        self.tier, self.canaries, self.fresh = tier, canaries, fresh

    def run(self, attacks: Sequence[Attack], on_verdict: Callable[[Verdict, bool], None]) -> list[Verdict]:
        """Run these attacks in order. Returns their verdicts. on_verdict: called with each, and with whether it was kept."""
        verdicts = []
        for attack in attacks:
            kept = None if self.fresh else stored(attack, self.tier)
            verdict = kept or self._run(attack)
            if kept is None and not (verdict.gained or verdict.host or verdict.after):  # an attack that succeeded is run again
                _store(_place(attack, self.tier), asdict(verdict))
            on_verdict(verdict, kept is not None)
            verdicts.append(verdict)
        return verdicts

    def _run(self, attack: Attack) -> Verdict:
        before, base = groups(), self._harmless(attack)
        with ThreadPoolExecutor() as beside:
            early = beside.submit(self._next) if attack.beside else None
            result = self._grade(attack.hostile(self.canaries.site), attack.file, attack.only, attack.wall_s)
            after = early.result() if early else None
        host = [*self.canaries.complaints(before, result), *unbounded(attack, result)]
        gained = list(gains(result, base))
        if attack.check and (complaint := attack.check(result, self.canaries.site)):
            gained.append(complaint)
        after = after or self._next()
        problems = [] if dict(after.points) == NEXT_POINTS else [f"the next submission got {dict(after.points)}"]
        return Verdict(
            attack.id, self.tier, outcome_text(result), tuple(gained), tuple(host), tuple(problems),
            round(result.wall_s, 1), result.rss_bytes >> 20,
        )  # fmt: skip

    def _harmless(self, attack: Attack) -> RunResult:
        """Grade the same submission without the attack, once for all attacks that share it."""
        data = attack.harmless()
        key = _digest(data, attack.only, self.tier, _grader())
        path = CACHE / "harmless" / f"{key}.json"
        with contextlib.suppress(OSError, ValueError, TypeError):
            return RunResult(**json.loads(path.read_text()))
        result = self._grade(data, attack.file, attack.only, HARMLESS_WALL)
        _store(path, asdict(result) | {"texts": {}})
        return result

    def _next(self) -> RunResult:
        return self._grade(after_attack(), "next.ipynb", NEXT_ONLY, NEXT_WALL, "next")

    def _grade(self, data: bytes, name: str, only: tuple[str, ...], wall_s: float, folder: str = "reports") -> RunResult:
        path, out = self.canaries.folder / "inbox" / name, self.canaries.folder / "out" / folder
        path.write_bytes(data)
        for report in REPORTS:
            (out / report).unlink(missing_ok=True)
        try:
            return grade(path, out, only, self.tier, self.canaries.environment, wall_s)
        finally:
            path.unlink(missing_ok=True)


def outcome_text(result: RunResult) -> str:
    """What the grader made of the submission: the statuses of its items, or the refusal."""
    if result.code == 2:
        return "refused: " + result.texts["terminal"].strip().splitlines()[-1].split(". ", 1)[-1][:110]
    words = [status.replace("_", " ") for status in result.statuses.values()]
    counted = {word: [item for item, s in result.statuses.items() if s.replace("_", " ") == word] for word in words}
    return "; ".join(f"{_listed(items)} {word}" for word, items in counted.items()) or f"exit code {result.code}"


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items) if len(items) <= 4 else f"{len(items)} items"


def gains(result: RunResult, base: RunResult) -> Iterator[str]:
    """Complaints about what the attack gained over its harmless version."""
    if result.score > base.score + 1e-9:
        yield f"{result.score - base.score:g} points gained: {dict(result.points)} instead of {dict(base.points)}"
    if met := [name for name, one in result.criteria.items() if one and not base.criteria.get(name)]:
        yield f"success criteria met: {', '.join(met)}"
    if open_ := [item for item, status in result.statuses.items() if status == "not_gradable"]:
        yield f"left open as a grader error: {', '.join(open_)}"


def unbounded(attack: Attack, result: RunResult) -> Iterator[str]:
    """Complaints about the time and memory of the run, its exit code and tracebacks."""
    if result.wall_s >= attack.wall_s:
        yield f"not done after {attack.wall_s:g} s"
    elif result.code not in (0, 2):
        yield f"exit code {result.code}: {result.texts['terminal'][-300:]}"
    if result.rss_bytes > RSS_BYTES:
        yield f"the grader grew to {result.rss_bytes >> 20} MiB"
    if "Traceback (most recent call last)" in result.texts.get("terminal", ""):
        yield "the grader printed a traceback"


def stored(attack: Attack, tier: int) -> Verdict | None:
    """The verdict of an earlier run on the same attack, grader and tier."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        raw = json.loads(_place(attack, tier).read_text())
        return Verdict(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})
    return None


def _place(attack: Attack, tier: int) -> Path:
    source = inspect.getsourcefile(attack.check) if attack.check else None
    check = Path(source).read_bytes() if source else b""
    key = _digest(attack.hostile(FIXED), attack.harmless(), attack.only, attack.file, attack.wall_s, check, _grader())
    return CACHE / f"tier-{tier}" / f"{attack.id}-{key}.json"


@cache
def _grader() -> str:
    """A digest of the grader, of the code that runs and checks attacks, and of what both depend on."""
    files = [path for name in GRADER for path in sorted((ROOT / name).rglob("*")) if _counts(path)]
    files += [Path(__file__).parent / name for name in MACHINERY]
    sources = (part for path in files for part in (str(path.resolve().relative_to(ROOT)), path.read_bytes()))
    return _digest(platform.release(), platform.python_version(), version("torch"), _bubblewrap(), *sources)


def _bubblewrap() -> bytes:
    with contextlib.suppress(OSError):
        return subprocess.run(["bwrap", "--version"], capture_output=True, check=False).stdout
    return b""


def _counts(path: Path) -> bool:
    return path.is_file() and path.suffix in (".py", ".toml", ".json", ".j2", ".css", ".safetensors")


def _digest(*parts: Any) -> str:
    total = hashlib.sha256(str(SEED).encode())
    for part in parts:
        total.update(part if isinstance(part, bytes) else repr(part).encode())
        total.update(b"\0")
    return total.hexdigest()[:16]


def _store(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(data, indent=1))
    fresh.replace(path)


def summary(verdicts: Iterable[Verdict]) -> str:
    """The last line of the command's output."""
    verdicts = list(verdicts)
    n = len(verdicts)
    counts = [sum(not getattr(one, name) for one in verdicts) for name in ("gained", "host", "after")]
    return (f"attacks {counts[0]}/{n} gained nothing · host untouched {counts[1]}/{n} · "
            f"next submission graded {counts[2]}/{n}")  # fmt: skip

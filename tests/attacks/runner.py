"""Runs attacks one after the other, judges each, and keeps every verdict on disk for the next run."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import platform
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.attacks.base import FIXED, Attack, Seen, in_slot, notebook
from tests.attacks.canaries import Canaries, groups
from tests.attacks.grading import REPORTS, SEED, grade
from tests.support.sources import ROOT

CACHE = ROOT / "dist" / "attacks"
GRADER = ("autograder", "assignment", "solutions", "student_template/rlhf_kit")
MACHINERY = ("at_tier.py", "base.py", "canaries.py", "checks.py", "grading.py", "runner.py", "../support/leftovers.py")
NEXT_ONLY = ("T07", "T08")
NEXT_POINTS = {"T07": 4.0, "T08": 0.0}  # the submission after an attack: one slot right, one wrong
HARMLESS_WALL, NEXT_WALL = 300.0, 240.0  # seconds; far more than needed, also on a busy machine
# Peak memory of the grader's own process. It imports torch and holds two small models in training tests.
RSS_BYTES = 2 << 30


@dataclass(frozen=True)
class Verdict:
    """What became of one attack; each tuple holds complaints and is empty when all is well."""

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
    """The suite on one tier."""

    def __init__(self, tier: int, canaries: Canaries, fresh: bool = False) -> None:
        self.tier, self.canaries, self.fresh = tier, canaries, fresh

    def run(self, attacks: Sequence[Attack], on_verdict: Callable[[Verdict, bool], None]) -> list[Verdict]:
        """Verdicts of these attacks in order; on_verdict(verdict, from an earlier run?) after each."""
        verdicts = []
        for attack in attacks:
            kept = None if self.fresh else stored(attack, self.tier)
            verdict = kept or self._act(attack)
            if kept is None and not (verdict.gained or verdict.host or verdict.after):  # a failure is looked at again
                _store(_place(attack, self.tier), asdict(verdict))
            on_verdict(verdict, kept is not None)
            verdicts.append(verdict)
        return verdicts

    def _act(self, attack: Attack) -> Verdict:
        before, base = groups(), self._harmless(attack)
        with ThreadPoolExecutor() as beside:
            early = beside.submit(self._next) if attack.beside else None
            seen = self._grade(attack.hostile(self.canaries.site), attack.file, attack.only, attack.wall_s)
            after = early.result() if early else None
        host = [*self.canaries.complaints(before, seen), *unbounded(attack, seen)]
        gained = list(gains(seen, base))
        if attack.check and (complaint := attack.check(seen, self.canaries.site)):
            gained.append(complaint)
        after = after or self._next()
        problems = [] if dict(after.points) == NEXT_POINTS else [f"the next submission got {dict(after.points)}"]
        return Verdict(
            attack.id, self.tier, happened(seen), tuple(gained), tuple(host), tuple(problems),
            round(seen.wall_s, 1), seen.rss_bytes >> 20,
        )  # fmt: skip

    def _harmless(self, attack: Attack) -> Seen:
        """The same submission without the attack; graded once for all attacks that share it."""
        data = attack.harmless()
        key = _digest(data, attack.only, self.tier, _grader())
        path = CACHE / "harmless" / f"{key}.json"
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Seen(**json.loads(path.read_text()))
        seen = self._grade(data, attack.file, attack.only, HARMLESS_WALL)
        _store(path, asdict(seen) | {"texts": {}})
        return seen

    def _next(self) -> Seen:
        return self._grade(after_attack(), "next.ipynb", NEXT_ONLY, NEXT_WALL, "next")

    def _grade(self, data: bytes, name: str, only: tuple[str, ...], wall_s: float, folder: str = "reports") -> Seen:
        path, out = self.canaries.folder / "inbox" / name, self.canaries.folder / "out" / folder
        path.write_bytes(data)
        for report in REPORTS:
            (out / report).unlink(missing_ok=True)
        try:
            return grade(path, out, only, self.tier, self.canaries.environment, wall_s)
        finally:
            path.unlink(missing_ok=True)


def happened(seen: Seen) -> str:
    """What the grader made of it, in its own words: statuses by item, or the refusal."""
    if seen.code == 2:
        return "refused: " + seen.texts["terminal"].strip().splitlines()[-1].split(". ", 1)[-1][:110]
    words = [status.replace("_", " ") for status in seen.statuses.values()]
    counted = {word: [item for item, s in seen.statuses.items() if s.replace("_", " ") == word] for word in words}
    return "; ".join(f"{_listed(items)} {word}" for word, items in counted.items()) or f"exit code {seen.code}"


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items) if len(items) <= 4 else f"{len(items)} items"


def gains(seen: Seen, base: Seen) -> Iterator[str]:
    if seen.score > base.score + 1e-9:
        yield f"{seen.score - base.score:g} points gained: {dict(seen.points)} instead of {dict(base.points)}"
    if met := [name for name, one in seen.criteria.items() if one and not base.criteria.get(name)]:
        yield f"success criteria met: {', '.join(met)}"
    if open_ := [item for item, status in seen.statuses.items() if status == "not_gradable"]:
        yield f"left open as a failure of ours: {', '.join(open_)}"


def unbounded(attack: Attack, seen: Seen) -> Iterator[str]:
    if seen.wall_s >= attack.wall_s:
        yield f"not done after {attack.wall_s:g} s"
    elif seen.code not in (0, 2):
        yield f"exit code {seen.code}: {seen.texts['terminal'][-300:]}"
    if seen.rss_bytes > RSS_BYTES:
        yield f"the grader grew to {seen.rss_bytes >> 20} MiB"
    if "Traceback (most recent call last)" in seen.texts.get("terminal", ""):
        yield "the grader printed a traceback"


def stored(attack: Attack, tier: int) -> Verdict | None:
    """The verdict of an earlier run on the same attack, grader and tier."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        raw = json.loads(_place(attack, tier).read_text())
        return Verdict(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})
    return None


def _place(attack: Attack, tier: int) -> Path:
    judged = inspect.getsourcefile(attack.check) if attack.check else None
    check = Path(judged).read_bytes() if judged else b""
    key = _digest(attack.hostile(FIXED), attack.harmless(), attack.only, attack.file, attack.wall_s, check, _grader())
    return CACHE / f"tier-{tier}" / f"{attack.id}-{key}.json"


@cache
def _grader() -> str:
    """A digest of everything that grades, of the code that acts and judges here, and of what both stand on."""
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
    """The last line of the suite."""
    verdicts = list(verdicts)
    n = len(verdicts)
    counts = [sum(not getattr(one, name) for one in verdicts) for name in ("gained", "host", "after")]
    return (f"attacks {counts[0]}/{n} gained nothing · host untouched {counts[1]}/{n} · "
            f"next submission graded {counts[2]}/{n}")  # fmt: skip

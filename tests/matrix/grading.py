"""Grade one entry with the grader's own steps, in the sandbox: slot tests, quality, training stages.

One worker session serves many submissions here. For every call a session forks a child from a parent that has never run
a submission's code, ends all that the child left, and restarts if the scratch folder was not empty. So a call in an old
session equals a call in a fresh one, which `tests/matrix/test_grading.py` tests.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from threading import Lock
from typing import TYPE_CHECKING, Any

from assignment.registry import load_spec
from autograder.context import GradingContext, TrainingRuntime
from autograder.core.options import Options
from autograder.core.progress import GradingProgress
from autograder.core.records import Answers, ItemResult
from autograder.core.selection import select
from autograder.grading.run import grade
from autograder.programs.assemble import StageCode, participants
from autograder.programs.dependencies import SlotDependencies
from autograder.quality.checks import definitions_runner, quality_results
from autograder.sandbox import Reply, WorkerSession
from autograder.slots.runner import run_hidden_tests
from autograder.training.outcome import Failure, Outcome
from autograder.training.prepare import Preparation
from autograder.training.run import StageRun, cache_key, decide
from autograder.training.step import run_training_tests
from tests.matrix.entries import Entry, answers_of, reference
from tests.matrix.spoilt_outputs import spoil_outputs
from tests.matrix.store import Store, code_hash, digest
from tests.submissions.make import HERE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autograder.sandbox.pool import WorkerPool

Verdicts = dict[str, dict[str, Any]]  # by item: status, share, names and sentence of the mistake, message, …
REMEMBERED = 60  # replies: a loop whose other slots are replaced by the reference is run for many entries


class CachingSession:
    """A session that reuses the reply to a request with the same code, inputs and seed."""

    def __init__(self, session: WorkerSession) -> None:
        self.session, self.replies = session, dict[str, Reply]()

    def call(self, op: str, payload: Mapping[str, Any], tensors: Mapping[str, Any] = {}, **options: Any) -> Reply:
        """Call as WorkerSession does, or reuse the reply. Replies of training stages are not kept."""
        if op != "call_slot":
            return self.session.call(op, payload, tensors, **options)
        arrays = {name: [x.dtype.str, x.shape, x.tobytes().hex()] for name, x in tensors.items()}
        key = digest(op, self.session.seed, payload, arrays)
        if key not in self.replies:
            if len(self.replies) >= REMEMBERED:
                del self.replies[next(iter(self.replies))]
            self.replies[key] = self.session.call(op, payload, tensors, **options)
        else:
            self.replies[key] = self.replies.pop(key)  # the least recently used reply is dropped first
        return self.replies[key]


def key_of(what: str, entry: Entry, seed: int) -> str:
    """The key of a result in the store. It is known before anything is read or run."""
    seed = seed if what == "slots" else 0  # quality has no seed
    base = [what, code_hash("slots"), reference_text(), seed, *([entry.id] if what == "spoilt" else [])]
    return digest(base, dict(entry.changes), entry.helpers, entry.only)


def reference_text() -> str:
    """The hash of the solved notebook's code. Its outputs are not graded: a renewed sample keeps the results."""
    from tests.matrix.entries import NOTEBOOK

    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return digest([cell["source"] for cell in cells if cell["cell_type"] == "code"])


class Grader:
    """Grades entries in one session, which is started when it is first used."""

    def __init__(self, store: Store) -> None:
        self.store, self.spec = store, load_spec()
        self._session: CachingSession | None = None
        self._read: tuple[Entry, Answers] | None = None  # the last entry and its answers, since extraction is slow

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.session.close()

    def session(self, seed: int) -> CachingSession:
        """The session, with this grading seed, which every call sends."""
        if self._session is None:
            self._session = CachingSession(WorkerSession(seed=seed))
        self._session.session.seed = seed
        return self._session

    def graded(self, what: str, entry: Entry, seed: int) -> Verdicts:
        """The result of `found`, from the store if it is there."""
        key = key_of(what, entry, seed)
        kept = self.store.get(key)
        if kept is None:
            kept = self.found(what, entry, seed)
            if what != "blank" and all(one.get("status") != "not_gradable" for one in kept.values()):
                self.store.put(key, kept)
        return kept

    def found(self, what: str, entry: Entry, seed: int) -> Verdicts:
        """Grade. what: "slots" or "quality" for verdicts on these items; "spoilt" for the spoilt outputs of the slot
        whose id is the entry's; "blank" for the score of the blank notebook, in which nothing is trained."""
        if what == "spoilt":
            return {entry.id: asdict(spoil_outputs(entry.id))}
        if what == "blank":
            return {entry.id: {"score": grade(HERE / "blank.ipynb", None, Options(seed=seed)).score}}
        answers = self.answers(entry)
        found = self.slots(entry, answers, seed) if what == "slots" else self.quality(answers, seed)
        return {item: kept_part(result) for item, result in found.items()}

    def answers(self, entry: Entry) -> Answers:
        """The result of `answers_of`, computed once for an entry that is graded several times in a row."""
        if self._read is None or self._read[0] is not entry:
            self._read = entry, answers_of(entry)
        return self._read[1]

    def slots(self, entry: Entry, answers: Answers, seed: int) -> dict[str, ItemResult]:
        """Test every slot that a changed cell can affect. The others have the results of the reference."""
        dependencies, changed = SlotDependencies.of(answers, self.spec), set(entry.changes)
        affected = [s.id for s in self.spec.slots if not changed or dependencies.reach([s.id]) & changed]
        only = list(entry.only) or affected
        return run_hidden_tests(self.session(seed), answers, self.spec, seed, only)  # type: ignore[arg-type]

    def quality(self, answers: Answers, seed: int) -> dict[str, ItemResult]:
        """Grade the items of code quality."""
        run = definitions_runner(self.session(seed).session, self.spec)
        return quality_results(answers, self.spec, run)


class Trainer:
    """Runs training stages on one seed. A stage runs once for all entries with the same code in it."""

    def __init__(self, grader: Grader, profile: str, seed: int, prepared: Preparation | None = None) -> None:
        self.grader, self.profile, self.seed = grader, profile, seed
        items = tuple(item.id for item in grader.spec.item_list if item.kind == "training")
        self.prepared = prepared or Preparation(grader.spec, profile, "cpu", seed, items)
        self.solution = {slot: answer.source for slot, answer in answers_of(reference()).slots.items()}
        self.ran = 0
        self._running: defaultdict[str, Lock] = defaultdict(Lock)  # by key: two workers never run the same stage

    def graded(self, entry: Entry, slots: Verdicts, pool: WorkerPool) -> Verdicts:
        """Grade the training items, given the verdicts on the slots."""
        spec, answers = self.grader.spec, answers_of(entry)

        def remembered(session: Any, stage_run: StageRun) -> Any:
            stage, code = stage_run.stage, stage_run.code
            item = spec.items[stage.items[0]]
            same = self.essence(code, participants(spec, answers, item), answers.prelude)
            key = digest(cache_key(stage_run.lab, stage, same, stage_run.seed), code_hash(stage.op), same.all_passed)
            with self._running[key]:
                kept = self.grader.store.get(key)
                if kept is None:
                    self.ran += 1
                    found = decide(session, stage_run)
                    kept = {"failure": asdict(found)} if isinstance(found, Failure) else {
                        name: asdict(one) for name, one in found.items()}  # fmt: skip
                    self.grader.store.put(key, kept)
            if "failure" in kept:
                return Failure(**kept["failure"])
            return {item: Outcome(**one) for item, one in kept.items()}

        run = GradingContext(
            spec, answers, select(spec), self.profile, "cpu", self.seed, GradingProgress(quiet=True),
            training=TrainingRuntime(pool, self.prepared, remembered),
        )  # fmt: skip
        results = run_training_tests(run, {slot: _result(slot, one) for slot, one in slots.items()})
        return {item: kept_part(result) for item, result in results.items()}

    def essence(self, code: StageCode, taking_part: frozenset[str], prelude: str) -> StageCode:
        """The part of a stage's code on which its outcome can depend: the changed slots that take part.

        The reference is the same as the student's answer and as the replacement of a slot, and a slot that nothing
        calls has no effect. If nothing is changed, the prelude only has more imports, and a rerun on fresh seeds
        (`all_passed`) does not matter as long as the reference passes.
        """
        mine = {
            slot: source for slot, source in code.payload["slots"].items()
            if slot in taking_part and slot not in code.replaced and source != self.solution[slot]
        }  # fmt: skip
        payload = {"slots": mine, "prelude": prelude} if mine else {}
        return StageCode(payload, (), code.all_passed or not mine)


def kept_part(result: ItemResult) -> dict[str, Any]:
    """The part of a result that the matrix keeps."""
    known = result.misconception or {}
    about = {
        key: value for key, value in result.evidence.items()
        if key in ("runs", "error", "reason") or (isinstance(value, int | float) and key != "wall_s")
    }  # fmt: skip
    return {"status": result.status, "share": result.share, "names": known.get("id", ""),
            "sentence": known.get("sentence", ""), "message": result.message, "about": about}  # fmt: skip


def _result(slot: str, one: Mapping[str, Any]) -> ItemResult:
    return ItemResult(slot, one["status"], one["share"], one["message"])

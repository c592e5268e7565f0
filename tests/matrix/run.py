"""Grades all entries: in parallel and from the store where it can, with a progress bar, stoppable at any time."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any

from tqdm import tqdm

from autograder.sandbox import WorkerSession
from autograder.sandbox.pool import WorkerPool, open_pool
from tests.matrix.entries import Entry
from tests.matrix.grading import Grader, Trainer, Verdicts, key_of
from tests.matrix.store import Store

Task = tuple[str, Entry, int]  # "slots", "quality", "alone" or "blank", entry, grading seed
_grader: Grader | None = None


def tasks_of(entry: Entry, seeds: Sequence[int], *, quality: bool) -> list[Task]:
    """What is due for an entry."""
    return [*(("slots", entry, seed) for seed in seeds), *([("quality", entry, 0)] if quality else [])]


def grade_all(tasks: Sequence[Task], jobs: int) -> dict[tuple[str, str, int], Verdicts]:
    """(what, entry's id, seed) -> verdicts. KeyboardInterrupt ends it; what was graded stays in the store."""
    store, found, due = Store(), {}, []
    for task in tasks:
        kept = store.get(key_of(*task))
        if kept is None:
            due.append(task)
        else:
            found[name_of(task)] = kept
    if found:
        tqdm.write(f"{len(found)} of {len(tasks)} results are there already")
    with tqdm(total=len(due), desc="all but training", unit="grading", dynamic_ncols=True) as bar:
        for task, verdicts in _run(due, jobs):
            found[name_of(task)] = verdicts
            bar.set_postfix_str(task[1].id[:40], refresh=False)
            bar.update()
    return found


def name_of(task: Task) -> tuple[str, str, int]:
    """What a task's verdicts are called."""
    return task[0], task[1].id, task[2]


def train_all(
    entries: Sequence[Entry], slots: dict[tuple[str, str, int], Verdicts], seed: int, profile: str = "tiny"
) -> dict[str, Verdicts]:
    """Entry's id -> verdicts on the training items; each stage runs once for the code that takes part. The
    first entry's stages run side by side, then the entries do."""
    found: dict[str, Verdicts] = {}
    with ExitStack() as stack:
        grader = stack.enter_context(closing(Grader(Store())))
        trainer = Trainer(grader, profile, seed)
        stack.enter_context(trainer.prepared)
        lanes = stack.enter_context(open_pool(grader.session(seed).session, grader.spec.parallel_stages))
        bar = stack.enter_context(tqdm(total=len(entries), desc="training tests", unit="entry", dynamic_ncols=True))
        plain = slots["slots", "reference", seed]

        def graded(entry: Entry, lanes: WorkerPool) -> None:
            verdicts = {**plain, **slots["slots", entry.id, seed]}
            found[entry.id] = trainer.graded(entry, verdicts, lanes)
            bar.set_postfix_str(f"{entry.id[:40]}, {trainer.ran} runs so far", refresh=False)
            bar.update()

        def alone(entry: Entry, session: WorkerSession) -> None:
            graded(entry, WorkerPool(session))

        graded(entries[0], lanes)
        lanes.run([partial(alone, entry) for entry in entries[1:]])
    return found


def _run(due: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Verdicts]]:
    """Each entry's tasks together: its notebook is read once."""
    groups: dict[str, list[Task]] = {}
    for task in due:
        groups.setdefault(task[1].id, []).append(task)
    if jobs == 1 or len(groups) < 2:
        with closing(Grader(Store())) as grader:
            for task in due:
                yield task, grader.graded(*task)
        return
    with processes(jobs) as pool:
        futures = {pool.submit(_grade, group): group for group in groups.values()}
        for future in as_completed(futures):
            yield from zip(futures[future], future.result())


@contextmanager
def processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes with a grader each; what has not begun is dropped if the block ends with an exception."""
    context: Any = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _begin)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _begin() -> None:
    """In each process: one grader; Ctrl-C is the parent's business."""
    global _grader
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _grader = Grader(Store())


def _grade(tasks: Sequence[Task]) -> list[Verdicts]:
    assert _grader is not None
    return [_grader.graded(*task) for task in tasks]


def flat(groups: Iterable[Iterable[Task]]) -> list[Task]:
    """One list of tasks."""
    return [task for group in groups for task in group]

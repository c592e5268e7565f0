"""Grade all entries, in parallel and from the store if possible. It can be stopped at any time."""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from autograder.sandbox.pool import WorkerPool, open_pool
from tests.matrix.entries import Entry
from tests.matrix.grading import Grader, Trainer, Verdicts, key_of
from tests.matrix.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from autograder.sandbox import WorkerSession

Task = tuple[str, Entry, int]  # "slots", "quality", "spoilt" or "blank", entry, grading seed
_grader: Grader | None = None


def tasks_of(entry: Entry, seeds: Sequence[int], *, quality: bool) -> list[Task]:
    """The tasks of an entry."""
    return [*(("slots", entry, seed) for seed in seeds), *([("quality", entry, 0)] if quality else [])]


def grade_all(tasks: Sequence[Task], jobs: int) -> dict[tuple[str, str, int], Verdicts]:
    """Grade all tasks. Returns verdicts by kind of task, id of the entry and seed.

    A KeyboardInterrupt ends it; the results so far are in the store.
    """
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
    """The key of a task's verdicts."""
    return task[0], task[1].id, task[2]


def train_all(
    entries: Sequence[Entry], slots: dict[tuple[str, str, int], Verdicts], seed: int, profile: str = "tiny"
) -> dict[str, Verdicts]:
    """Grade the training items. Returns verdicts by id of the entry.

    A stage runs once for all entries with the same code. The stages of the first entry run side by side, then the other
    entries do.
    """
    found: dict[str, Verdicts] = {}
    with ExitStack() as stack:
        grader = stack.enter_context(closing(Grader(Store())))
        trainer = Trainer(grader, profile, seed)
        stack.enter_context(trainer.prepared)
        workers = stack.enter_context(open_pool(grader.session(seed).session, grader.spec.parallel_stages))
        bar = stack.enter_context(tqdm(total=len(entries), desc="training tests", unit="entry", dynamic_ncols=True))
        plain = slots["slots", "reference", seed]

        def grade(entry: Entry, pool: WorkerPool) -> None:
            verdicts = {**plain, **slots["slots", entry.id, seed]}
            found[entry.id] = trainer.graded(entry, verdicts, pool)
            bar.set_postfix_str(f"{entry.id[:40]}, {trainer.ran} runs so far", refresh=False)
            bar.update()

        def grade_in(entry: Entry, session: WorkerSession) -> None:
            grade(entry, WorkerPool(session))

        grade(entries[0], workers)
        workers.run([partial(grade_in, entry) for entry in entries[1:]])
    return found


def _run(due: Sequence[Task], jobs: int) -> Iterator[tuple[Task, Verdicts]]:
    """Grade the tasks, those of one entry together, so that its notebook is read once."""
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
            yield from zip(futures[future], future.result(), strict=True)


@contextmanager
def processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes with a grader each. If the block ends with an exception, tasks that have not begun are dropped."""
    context: Any = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _begin)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _begin() -> None:
    """Initialise a process: it makes its grader and leaves Ctrl-C to the parent."""
    global _grader
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _grader = Grader(Store())


def _grade(tasks: Sequence[Task]) -> list[Verdicts]:
    assert _grader is not None
    return [_grader.graded(*task) for task in tasks]


def flat(groups: Iterable[Iterable[Task]]) -> list[Task]:
    """Join groups of tasks to one list."""
    return [task for group in groups for task in group]

"""Run the training tests: which stages, with which code, on which seeds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from autograder.core.exception_hints import hint_for
from autograder.core.messages import seen_and_tip
from autograder.programs.assemble import StageCode, stage_code
from autograder.sandbox import Limits, Reply
from autograder.sandbox.calls import Call, Session, call_with_retry
from autograder.training.comparison import ComparisonStage
from autograder.training.outcome import Failure, Outcome, UnusableError
from autograder.training.ppo import PPOStage
from autograder.training.reward_model import RewardModelStage
from autograder.training.sft import SFTStage
from autograder.training.stage import Lab, Stage, derive_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from assignment.registry import Spec
    from autograder.core.records import Answers, ItemResult, Status

STAGES: tuple[Stage, ...] = (SFTStage(), RewardModelStage(), PPOStage(), ComparisonStage())
StageOutcome = dict[str, Outcome] | Failure
# By kind of reply: the item's status, what was seen, what to try.
FAILURES: dict[str, tuple[Status, str, str]] = {
    "not_attempted": ("not_attempted", "{where} is not written yet, so this could not be run.", "Write {where} first."),
    "crashed": (
        "crashed",
        "The run stopped with an exception in {where}.",
        "Run this stage in the notebook to see it.",
    ),
    "timeout": (
        "timeout",
        "The run did not finish within its time limit, several times what the reference needs.",
        "Time one step in the notebook, and look for work that is repeated in it or for a loop that never ends.",
    ),
    "out_of_memory": (
        "out_of_memory",
        "The run used more memory than its limit of {memory:.0f} GiB.",
        "Look for what grows from step to step: a list that keeps tensors with their graph holds every step's graph.",
    ),
    "invalid": (
        "wrong",
        "What came back does not fit: weights must keep the names and shapes of the model that {loop} was given.",
        "Train that model in place, and add or rename nothing in it.",
    ),
}
MAJORITY = " It was close to the threshold: decided by the majority of {runs} runs with different random seeds."


def stages_of(items: Sequence[str], spec: Spec) -> list[Stage]:
    """Return the stages that decide these items, the longest first, so that the workers end at about the same time."""
    due = [stage for stage in STAGES if set(stage.items) & set(items)]
    return sorted(due, key=lambda stage: -spec.limits.reference[stage.items[0]].wall_s)


@dataclass(frozen=True)
class StageRun:
    """One run of a training stage. Its outcome is a function of lab, code and seed.

    data: what `stage.draw` returned, if the data have been drawn already. notify: is called with every progress record,
    and at the end with the seconds in the sandbox.
    """

    lab: Lab
    stage: Stage
    code: StageCode
    seed: int
    data: Any = None
    notify: Callable[[dict[str, Any]], None] = lambda _: None

    def on_fresh_seed(self, number: int) -> StageRun:
        """Return the same run on another seed, which is derived from this one."""
        return replace(self, seed=derive_seed(self.seed, f"again {number}"), data=None)


def run_stage(session: Session, run: StageRun) -> StageOutcome:
    """Train in the sandbox once, and measure what comes back."""
    lab, stage, seed = run.lab, run.stage, run.seed
    data = stage.draw(lab, seed) if run.data is None else run.data
    request = stage.request(lab, seed, data)
    limits = Limits.for_item(lab.spec, stage.limits, stage.items[0])
    payload = {"code": dict(run.code.payload), **request.payload}
    call = Call(stage.op, payload, request.tensors, limits=limits, expect=request.expect, on_progress=run.notify)
    reply = call_with_retry(session, lab.spec, call)
    run.notify({"wall_s": reply.wall_s})
    if not reply.ok:
        return failure_of(lab, stage, reply, seed)
    try:
        found = stage.measure(lab, data, reply.data, reply.tensors)
    except UnusableError as error:
        return Failure("wrong", str(error), {"seed": seed})
    common = {"seed": seed, "expected_steps": stage.steps(lab)}
    return {item: replace(one, evidence={**one.evidence, **common}) for item, one in found.items()}


def decide(session: Session, run: StageRun) -> StageOutcome:
    """Run a stage and decide its items. An item that fails by no more than the retry margin, while all slots of the
    stage are the student's and passed, is decided by the majority of this run and runs on fresh seeds."""
    first = run_stage(session, run)
    if isinstance(first, Failure) or not run.code.all_passed or not any(one.close for one in first.values()):
        return first
    runs = [first, *(run_stage(session, run.on_fresh_seed(i)) for i in range(run.lab.spec.rerun.seeds))]
    return {item: _majority(item, one, runs) if one.close else one for item, one in first.items()}


def _majority(item: str, first: Outcome, runs: Sequence[StageOutcome]) -> Outcome:
    """Return the outcome of the majority: that of its first run, with the values of all runs as evidence."""
    measured = [None if isinstance(run, Failure) else run[item] for run in runs]
    passed = 2 * sum(one is not None and one.passed for one in measured) > len(runs)
    shown = next((one for one in measured if one is not None and one.passed == passed), first)
    values = [one.value if one is not None else "failed" for one in measured]
    return replace(
        shown,
        close=False,
        message=shown.message + MAJORITY.format(runs=len(runs)),
        evidence={**shown.evidence, "runs": values},
    )


def code_for(stage: Stage, spec: Spec, answers: Answers, results: Mapping[str, ItemResult]) -> StageCode:
    """Return the code that a stage runs. results: of the slots; the reference replaces those that failed."""
    return stage_code(spec, answers, results, spec.items[stage.items[0]])


def cache_key(lab: Lab, stage: Stage, code: StageCode, seed: int) -> str:
    """Return the sha256 of all that a stage's outcome depends on: code, seed, configs, thresholds, artefacts,
    device."""
    parts = [
        stage.op,
        code.key,
        seed,
        asdict(lab.profile),
        lab.thresholds.model_dump(),
        lab.reference.key,
        lab.device,
        lab.spec.threads,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def failure_of(lab: Lab, stage: Stage, reply: Reply, seed: int) -> Failure:
    """Describe a reply without an answer. The message holds no text of the student; that goes to the TA's evidence."""
    status, seen, tip = FAILURES[reply.kind]
    limits = lab.spec.limits.for_item(stage.limits, stage.items[0])
    under_test = lab.spec.items[stage.items[0]].loop
    assert under_test is not None
    loop, slot = lab.spec.slot(under_test).name, reply.data.get("_slot") or under_test
    known = {s.id: f"{s.name} ({s.id})" for s in lab.spec.slots}
    if status == "crashed":
        tip = hint_for(reply.error) or tip
    message = seen_and_tip(seen, tip).format(
        where=known.get(str(slot), loop), loop=loop, memory=limits.memory_bytes / 2**30
    )
    quoted = {key.lstrip("_"): reply.data[key] for key in ("_tries", "_traceback", "_output") if key in reply.data}
    return Failure(status, message, {"seed": seed, "error": reply.error, **quoted})

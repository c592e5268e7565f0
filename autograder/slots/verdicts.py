"""Turn what came of a slot test into its ItemResult: status, share, message, known mistake, evidence for the TA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autograder.core.exception_hints import hint_for
from autograder.core.messages import STATUS, seen_and_tip, with_task
from autograder.core.records import UNDEFINED, Answer, ItemResult, Status
from autograder.slots.hidden_tests import HIDDEN_TESTS, Residual
from autograder.slots.hidden_tests.failure_message import failure_message
from autograder.slots.misconceptions import Mistake, diagnosis, naming

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from assignment.registry import Spec
    from autograder.sandbox import Reply
    from autograder.slots.hidden_tests.checked import CheckedAnswers

SHOWN_RESIDUALS = 12
BLANK = "The task still holds its placeholder, so nothing was tested."
NOTHING = "The function returns None or still raises NotImplementedError, so nothing was tested."
UNREADABLE = "What came back could not be read as an answer."
WRITE = "Put your code in the place of the NotImplementedError, and run the public check under the cell."
RUN = "Run the cell in the notebook to see where."
# By kind of reply: status, what was seen, what to try.
BY_KIND: Mapping[str, tuple[Status, str, str]] = {
    "not_attempted": ("not_attempted", NOTHING, "Return the result on every path through the function."),
    "timeout": ("timeout", STATUS["timeout"].sentence, "Look for a loop that never ends."),
    "out_of_memory": (
        "out_of_memory", STATUS["out_of_memory"].sentence,
        "Look for what grows: a list that keeps tensors with their graph, or a broadcast to a table of all pairs.",
    ),
    "invalid": ("wrong", UNREADABLE, "Return plain numbers, lists, texts and tensors."),
    "crashed": ("crashed", STATUS["crashed"].sentence, RUN),
}  # fmt: skip


def from_state(answer: Answer) -> ItemResult | None:
    """The result of an answer that cannot be run, because it is blank, missing or broken; None if it can be run."""
    if answer.state == "blank":
        return ItemResult(answer.slot, "not_attempted", 0.0, _problem(answer, BLANK, WRITE))
    if answer.state == "missing":
        return ItemResult(answer.slot, "not_attempted", 0.0, _problem(answer, STATUS["not_attempted"].sentence, WRITE))
    if answer.state == "broken":
        return ItemResult(answer.slot, "crashed", 0.0, _problem(answer, STATUS["crashed"].sentence, RUN))
    return None


def _message(slot: str, seen: str, tip: str) -> str:
    return with_task(HIDDEN_TESTS[slot].task, seen_and_tip(seen, tip))


def _problem(answer: Answer, seen: str, tip: str) -> str:
    """The message with the problem that extraction found, whose last sentence says what to do. If extraction named no
    problem: the message with `seen` and `tip`."""
    facts, _, last = answer.problem.rpartition(". ")
    return _message(answer.slot, f"{facts}." if facts else seen, last if facts else tip)


def from_reply(slot: str, reply: Reply, seed: int, replaced: tuple[str, ...], *, readable: bool = True) -> ItemResult:
    """The result of a call that brought no answers, or (readable=False) none that could be read."""
    kind = reply.kind if readable else "invalid"
    if kind == "not_attempted" and reply.data.get("_slot", "") not in ("", slot):
        kind = "crashed"  # the slot ran, and then called another one that is not written
    status, seen, tip = BY_KIND.get(kind, BY_KIND["crashed"])
    tip = hint_for(reply.error) or tip if kind == "crashed" else tip
    evidence = {"seed": seed, "ended": reply.kind, "error": reply.error, "wall_s": round(reply.wall_s, 2)}
    if reply.data.get("_type") == "SlotBrokenError":
        evidence[UNDEFINED] = True
    for name in ("tries", "traceback", "output"):
        if reply.data.get(f"_{name}"):
            evidence[name] = reply.data[f"_{name}"]
    return ItemResult(slot, status, 0.0, _message(slot, seen, tip), evidence=evidence, replaced=replaced)


def from_answers(
    checked: CheckedAnswers, spec: Spec, replaced: tuple[str, ...] = (), wall_s: float = 0.0
) -> ItemResult:
    """The result of answers that were compared: passed, partial (only gradients are wrong), crashed or wrong.

    wall_s: the duration of the call in seconds.
    """
    slot, residuals, failed = checked.test.slot, checked.residuals, checked.failed
    evidence: dict[str, Any] = {"seed": checked.seed, "checks": len(residuals), "wall_s": round(wall_s, 2)}
    if not failed:
        worst = max((r.error / r.tolerance for r in residuals if r.tolerance), default=0.0)
        evidence["largest_error_over_tolerance"] = round(worst, 4)
        return ItemResult(slot, "passed", 1.0, STATUS["passed"].sentence, evidence=evidence, replaced=replaced)
    known = naming.matching_mistakes(checked)
    evidence |= _facts(checked)
    message = failure_message(checked)
    kind = None if known else diagnosis.diagnose(checked)
    if kind:
        evidence["diagnosis"] = kind
        message += " " + diagnosis.SENTENCES[kind]
    status, share = _status(failed, spec)
    return ItemResult(slot, status, share, message, _named(known), evidence, replaced)


def _status(failed: Sequence[Residual], spec: Spec) -> tuple[Status, float]:
    if any(r.name == "error" for r in failed):
        return "crashed", 0.0
    if all(r.kind == "gradient" for r in failed):
        return "partial", spec.partial.gradient
    return "wrong", 0.0


def _named(known: Sequence[Mistake]) -> dict[str, str] | None:
    """The known mistake as the report holds it. Mistakes that explain the answers equally well are joined."""
    if not known:
        return None
    return {
        "id": ", ".join(mistake.id for mistake in known),
        "name": ", or ".join(mistake.name for mistake in known),
        "sentence": " Or: ".join(mistake.sentence for mistake in known),
    }


def _facts(checked: CheckedAnswers) -> dict[str, Any]:
    """Residuals and the first traceback. They hold student text, so only the TA sees them."""
    failed = checked.failed
    rows = [
        {"case": r.case, "about": checked.cases[r.case].about, "check": r.name, "kind": r.kind, "fault": r.fault,
         "max_error": float(f"{r.error:.3g}"), "tolerance": float(f"{r.tolerance:.3g}")}
        for r in failed[:SHOWN_RESIDUALS]
    ]  # fmt: skip
    facts: dict[str, Any] = {"failed": len(failed), "residuals": rows}
    raised = next((checked.answers[r.case].error for r in failed if r.name == "error"), None)
    if raised:
        facts["error"] = str(raised.get("text", ""))[:500]
        facts["traceback"] = str(raised.get("trace", ""))[:4000]
    return facts

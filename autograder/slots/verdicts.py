"""From a slot's answers to its ItemResult: status, share, message, known mistake, evidence for the TA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assignment.registry import Spec
from autograder.core.exception_hints import hint
from autograder.core.messages import STATUS, advice, asked
from autograder.core.records import UNDEFINED, Answer, ItemResult, Status
from autograder.slots.hidden_tests import HIDDEN_TESTS, Case, CaseAnswer, HiddenTest, Residual, words
from autograder.slots.misconceptions import Mistake, diagnosis, naming

if TYPE_CHECKING:
    from autograder.sandbox import Reply

SHOWN_RESIDUALS = 12
BLANK = "The task still holds its placeholder, so nothing was tested."
NOTHING = "The function returns None or still raises NotImplementedError, so nothing was tested."
UNREADABLE = "What came back could not be read as an answer."
WRITE = "Put your code in the place of the NotImplementedError, and run the public check under the cell."
RUN = "Run the cell in the notebook to see where."
BY_KIND: Mapping[str, tuple[Status, str, str]] = {  # status, what was seen, what to try
    "not_attempted": ("not_attempted", NOTHING, "Return the result on every path through the function."),
    "timeout": ("timeout", STATUS["timeout"].sentence, "Look for a loop that never ends."),
    "out_of_memory": (
        "out_of_memory", STATUS["out_of_memory"].sentence,
        "Look for what grows: a list that keeps tensors with their graph, or a broadcast to a table of all pairs.",
    ),
    "invalid": ("wrong", UNREADABLE, "Return plain numbers, lists, texts and tensors."),
    "crashed": ("crashed", STATUS["crashed"].sentence, RUN),
}  # fmt: skip


def without_running(answer: Answer) -> ItemResult | None:
    """The verdict on an answer that there is nothing to run of; None if there is."""
    if answer.state == "blank":
        return ItemResult(answer.slot, "not_attempted", 0.0, _told(answer.slot, BLANK, WRITE))
    if answer.state == "missing":
        return ItemResult(answer.slot, "not_attempted", 0.0, _problem(answer, STATUS["not_attempted"].sentence, WRITE))
    if answer.state == "broken":
        return ItemResult(answer.slot, "crashed", 0.0, _problem(answer, STATUS["crashed"].sentence, RUN))
    return None


def _told(slot: str, seen: str, tip: str) -> str:
    return asked(HIDDEN_TESTS[slot].asks, advice(seen, tip))


def _problem(answer: Answer, seen: str, tip: str) -> str:
    """The extraction's own words, of which the last sentence says what to do; `seen` and `tip` if it has none."""
    facts, _, last = answer.problem.rpartition(". ")
    return _told(answer.slot, f"{facts}." if facts else seen, last if facts else tip)


def from_reply(slot: str, reply: Reply, seed: int, replaced: tuple[str, ...], *, readable: bool = True) -> ItemResult:
    """The verdict where the call itself did not end in answers (or in none that can be read)."""
    kind = reply.kind if readable else "invalid"
    if kind == "not_attempted" and reply.data.get("_slot", "") not in ("", slot):
        kind = "crashed"  # it got as far as calling something else that is not there
    status, seen, tip = BY_KIND.get(kind, BY_KIND["crashed"])
    tip = hint(reply.error) or tip if kind == "crashed" else tip
    evidence = {"seed": seed, "ended": reply.kind, "error": reply.error, "wall_s": round(reply.wall_s, 2)}
    if reply.data.get("_type") == "SlotBrokenError":
        evidence[UNDEFINED] = True
    for name in ("tries", "traceback", "output"):
        if reply.data.get(f"_{name}"):
            evidence[name] = reply.data[f"_{name}"]
    return ItemResult(slot, status, 0.0, _told(slot, seen, tip), evidence=evidence, replaced=replaced)


def from_answers(
    slot: str,
    cases: Sequence[Case],
    answers: Sequence[CaseAnswer],
    spec: Spec,
    seed: int,
    replaced: tuple[str, ...] = (),
    wall_s: float = 0.0,
) -> ItemResult:
    """Compare, and say what is wrong: passed, partial (only gradients are wrong), crashed or wrong."""
    test = HIDDEN_TESTS[slot]
    residuals = test.compare(cases, answers)
    failed = [r for r in residuals if r.fault]
    evidence: dict[str, Any] = {"seed": seed, "checks": len(residuals), "wall_s": round(wall_s, 2)}
    if not failed:
        worst = max((r.error / r.tolerance for r in residuals if r.tolerance), default=0.0)
        evidence["largest_error_over_tolerance"] = round(worst, 4)
        sentence = STATUS["passed"].sentence
        return ItemResult(slot, "passed", 1.0, sentence, evidence=evidence, replaced=replaced)
    known = naming.name(test, spec.slot(slot).name, cases, answers, residuals, seed)
    evidence |= _facts(cases, answers, failed)
    message = words.message(test, cases, answers, residuals)
    kind = None if known else diagnosis.diagnose(test, cases, answers, residuals)
    if kind:
        evidence["diagnosis"] = kind
        message += " " + diagnosis.SENTENCES[kind]
    status, share = _status(test, failed, spec)
    return ItemResult(slot, status, share, message, _named(known), evidence, replaced)


def _status(test: HiddenTest, failed: Sequence[Residual], spec: Spec) -> tuple[Status, float]:
    if any(r.name == "error" for r in failed):
        return "crashed", 0.0
    if all(r.kind == "gradient" for r in failed):
        return "partial", spec.partial.gradient
    return "wrong", 0.0


def _named(known: Sequence[Mistake]) -> dict[str, str] | None:
    """One mistake, or several that explain the answer equally well, said together."""
    if not known:
        return None
    return {
        "id": ", ".join(mistake.id for mistake in known),
        "name": ", or ".join(mistake.name for mistake in known),
        "sentence": " Or: ".join(mistake.sentence for mistake in known),
    }


def _facts(cases: Sequence[Case], answers: Sequence[CaseAnswer], failed: Sequence[Residual]) -> dict[str, Any]:
    """Residuals and the first traceback: for the TA, since they hold student text."""
    rows = [
        {"case": r.case, "about": cases[r.case].about, "check": r.name, "kind": r.kind, "fault": r.fault,
         "max_error": float(f"{r.error:.3g}"), "tolerance": float(f"{r.tolerance:.3g}")}
        for r in failed[:SHOWN_RESIDUALS]
    ]  # fmt: skip
    facts: dict[str, Any] = {"failed": len(failed), "residuals": rows}
    raised = next((answers[r.case].error for r in failed if r.name == "error"), None)
    if raised:
        facts["error"] = str(raised.get("text", ""))[:500]
        facts["traceback"] = str(raised.get("trace", ""))[:4000]
    return facts

"""The texts of reports: statuses, outcomes, and the form of a message about an item that did not pass.

Every text here may be shown to a student, and none depends on hidden data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from assignment.registry import ItemKind, Spec
    from autograder.core.records import Graded, ItemResult, RunInfo, Status

Tone = Literal["good", "mixed", "bad", "quiet", "open"]


class StatusText(NamedTuple):
    """How a status is shown: its label, its tone (a colour, which never stands alone) and a sentence."""

    label: str
    tone: Tone
    sentence: str


STATUS: dict[Status, StatusText] = {
    "passed": StatusText("passed", "good", "All checks passed."),
    "partial": StatusText("partly right", "mixed", "Some of the checks passed."),
    "wrong": StatusText("wrong", "bad", "The code ran, but its answer is not right."),
    "not_attempted": StatusText("not attempted", "quiet", "No answer was found for this task."),
    "crashed": StatusText("crashed", "bad", "The code raised an exception."),
    "timeout": StatusText("time limit", "bad", "The code did not finish within its time limit."),
    "out_of_memory": StatusText("out of memory", "bad", "The code used more memory than its limit."),
    "needs_review": StatusText("waits for a TA", "open", "A teaching assistant reads and grades this."),
    "not_gradable": StatusText(
        "grader error",
        "open",
        "We could not grade this item because of a grader error. You lose no points; staff will run it again.",
    ),
}
PENDING: frozenset[Status] = frozenset({"needs_review", "not_gradable"})
NOT_RUN = StatusText("not graded in this run", "open", "This run graded other items only.")
ASKED, SEEN, TRY = "Asked: ", "Seen: ", "Try: "
NOT_MEASURED = "not measured"
REPLACED = "Graded with the reference in place of {slots}, so that a mistake there costs points once only."
KNOWN_MISTAKE = "Known mistake:"
PARTIAL: dict[ItemKind, str] = {  # the rule for partial credit, by kind of item
    "slot": "Partial credit: right values with a wrong gradient earn {gradient:.0%} of the points.",
    "training": "Partial credit: the {field_kinds} kinds of fields have equal shares of the points; a kind that is "
    "wrong in any row loses its share.",
    "quality": "Partial credit: the points go with the share of slots that are answered, and with the share of answers "
    "without a finding; all helper code counts as one answer more.",
}
CLAIMS = "Claims of the submission, read from its saved outputs. No point depends on them."


def seen_and_tip(seen: str, tip: str) -> str:
    """The message about an item that did not pass, without its task: what was seen, and what to try."""
    return f"{SEEN}{seen} {TRY}{tip}"


def with_task(task: str, rest: str) -> str:
    """The whole message about an item that did not pass: the task, then what `seen_and_tip` made."""
    return f"{ASKED}{task} {rest}"


def seen_part(message: str) -> str:
    """The part of a message that says what was seen. A message that is not in three parts is returned whole."""
    return message.partition(SEEN)[2].partition(f" {TRY}")[0] or message


def replay(run: RunInfo, item: str = "") -> str:
    """The command that repeats a run, or one item of it, on the same hidden data.

    The submission's name is never in it. The device is, since what "auto" finds depends on the machine.
    """
    device = run.device.partition(" ")[0]
    command = f"rlhf-lab grade PATH --profile {run.profile} --device {device} --seed {run.seed}"
    return f"{command} --only {item}" if item else command


def outcome(graded: Graded) -> tuple[str, Tone]:
    """The verdict in words, and its tone."""
    if graded.passed is None:
        return "Not decided yet", "open"
    return ("Passed", "good") if graded.passed else ("Not passed", "bad")


def reasons(graded: Graded, pass_mark: float) -> str:
    """The reasons for the verdict: how many success criteria are met, and how the score compares to the pass mark."""
    met = sum(criterion.met is True for criterion in graded.success_criteria)
    undecided = sum(criterion.met is None for criterion in graded.success_criteria)
    side = "at or above" if graded.score >= pass_mark else "below"
    undecided_too = f", {undecided} not decided" if undecided else ""
    criteria = f"{met} of {len(graded.success_criteria)} success criteria met{undecided_too}"
    return f"{criteria}; score {side} the pass mark of {pass_mark:g}"


def met_text(met: bool | None) -> tuple[str, Tone]:
    """Whether a success criterion is met, in words, and its tone."""
    if met is None:
        return "not decided", "open"
    return ("met", "good") if met else ("not met", "bad")


def replaced_text(slots: tuple[str, ...]) -> str:
    """The sentence that names the slots that the reference replaced; empty if there are none."""
    return REPLACED.format(slots=", ".join(slots)) if slots else ""


def partial_text(result: ItemResult, spec: Spec) -> str:
    """The rule for partial credit, if the item earned a part of its points; else empty."""
    rule = PARTIAL.get(spec.items[result.id].kind, "") if result.status == "partial" else ""
    return rule.format(**spec.partial.model_dump())

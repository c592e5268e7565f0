"""The four code-quality items. They are static, prorated by the answered slots, and lenient on type hints and helpers.

Each answered slot is one unit, and all helper code together is one more. The share of an item is the part of all slots
that is answered times the part of the units without a finding. Messages name rules, slots and lines; a student's text
goes only into the TA's evidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from autograder.core.failures import NO_SANDBOX, GraderFailure, not_gradable
from autograder.core.messages import seen_and_tip, with_task
from autograder.core.records import UNDEFINED, Answers, ItemResult, Status
from autograder.parsing.limited import LimitedError, run_limited
from autograder.programs.assemble import code_for_slots
from autograder.quality.lint import LintError, lint
from autograder.sandbox.calls import Call, call_with_retry

if TYPE_CHECKING:
    from assignment.registry import ItemSpec, Spec
    from autograder.sandbox import WorkerSession

HELPERS = "helpers"
SHOWN = 6  # findings that a message spells out; the evidence lists all
Finding = Mapping[str, Any]  # {"where": slot id or "helpers", "rule", "line"}, for imports also "error"
# Executes the definitions in a fresh process. Returns its findings, or None after a grader error.
RunDefinitions = Callable[[Mapping[str, Any]], Sequence[Finding] | None]
Check = Callable[[], Sequence[Finding] | None]
RULES = {
    "import": "fails when it is defined in a fresh process",
    "timeout": "does not finish when it is defined in a fresh process",
    "out_of_memory": "runs out of memory when it is defined in a fresh process",
    "undocumented": "has neither docstring nor comment",
    "reminder": "holds a TODO, FIXME or XXX comment",
    "commented_code": "holds a block of commented-out code",
    "debugger": "calls or imports a debugger",
    "placeholder": "still holds the placeholder NotImplementedError",
    "prints": "prints more than a few times",
    "syntax": "is not valid Python",
    "F821": "uses a name that nothing it may rely on defines",
    "F841": "sets a variable that is never used",
    "F541": "has an f-string without placeholders",
    "F632": "compares a constant with `is`",
    "E711": "compares with None by ==",
    "E712": "compares with True or False by ==",
    "E721": "compares types by ==",
    "E722": "catches every exception with a bare except",
    "B006": "has a mutable default argument",
    "B015": "computes a comparison and drops it",
    "B018": "computes a value and drops it",
}


TIPS = {
    "quality_imports": "Restart the kernel and run all cells in order: what a cell needs must stand above it.",
    "quality_lint": "Go to the line that is named, or run `ruff check` on the notebook.",
    "quality_docs": "Say in a docstring or a comment what the function does.",
    "quality_leftovers": "Take it out before you hand in.",
}
ANSWER = "Answer more slots: each counts."


def quality_results(answers: Answers, spec: Spec, run_definitions: RunDefinitions | None) -> dict[str, ItemResult]:
    """Grade the items of kind "quality". Returns their results by id.

    run_definitions: executes the definitions in a fresh process (see `definitions_runner`); None if there is no
    sandbox. If one of the grader's own checks fails, only that item becomes `not_gradable`.
    """
    items = [item.id for item in spec.item_list if item.kind == "quality"]
    units = _units(answers)
    slots = [where for where in units if where != HELPERS]
    if not slots:
        nothing = seen_and_tip("No slot was answered.", ANSWER)
        return {i: ItemResult(i, "not_attempted", 0.0, with_task(f"{spec.items[i].title}.", nothing)) for i in items}
    inspected = cache(lambda: run_limited("autograder.parsing.leftovers:find_leftovers", {"units": units}))
    checks: dict[str, Check] = {
        "quality_imports": lambda: run_definitions(code_for_slots(spec, answers)) if run_definitions else None,
        "quality_lint": lambda: lint(units),
        "quality_docs": lambda: [
            {"where": where, "rule": "undocumented", "line": 1}
            for where in inspected()["undocumented"]
            if where != HELPERS
        ],
        "quality_leftovers": lambda: inspected()["leftovers"],
    }
    required = [slot.id for slot in spec.slots if not slot.bonus]
    return {item: _result(spec.items[item], checks[item], units, answers, required) for item in items}


def definitions_runner(session: WorkerSession, spec: Spec, slots: Mapping[str, ItemResult] = {}) -> RunDefinitions:
    """Return a function that executes the definitions in a sandboxed session, by the operation `definitions`.

    slots: results of the slot tests. A slot that could not be defined there counts as undefined here too, whatever the
    process that ran the code reports about itself.
    """
    from autograder.sandbox import Limits, SandboxError

    def run(code: Mapping[str, Any]) -> Sequence[Finding] | None:
        call = Call("definitions", {"code": dict(code)}, limits=Limits.for_item(spec, "slot"))
        try:
            reply = call_with_retry(session, spec, call)
        except SandboxError:
            return None
        if not reply.ok:  # the definitions ended the process or made it hang: no unit is defined
            rule = reply.kind if reply.kind in RULES else "import"
            everywhere = [*code["slots"], *([HELPERS] if code["prelude"] else [])]
            return [{"where": where, "rule": rule, "line": 1, "error": reply.error} for where in everywhere]
        found = _import_findings(reply.data)
        named = {finding["where"] for finding in found}
        broken = [id_ for id_, result in slots.items() if result.evidence.get(UNDEFINED) and id_ not in named]
        return [*found, *({"where": id_, "rule": "import", "line": 1, "error": ""} for id_ in broken)]

    return run


def _import_findings(data: Mapping[str, Any]) -> list[Finding]:
    """Read the findings from the reply of a process that ran student code, and may have forged it."""
    findings: list[Finding] = []
    errors = data.get("failed")
    for entry in errors if isinstance(errors, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("where"), str):
            where = HELPERS if entry["where"] == "prelude" else entry["where"]
            line = entry.get("line") if type(entry.get("line")) is int else 1
            error = str(entry.get("error"))[:500]
            findings.append({"where": where, "rule": "import", "line": line, "error": error})
    return findings


def _units(answers: Answers) -> dict[str, str]:
    """The source of each unit in the order of execution: imports, constants and helper functions come first."""
    slots = {slot: answer.source for slot, answer in answers.slots.items() if answer.state == "present"}
    return {HELPERS: answers.prelude, **slots} if answers.prelude.strip() else slots


def _result(
    item: ItemSpec, check: Check, units: Mapping[str, str], answers: Answers, required: Sequence[str]
) -> ItemResult:
    try:
        found, failure = check(), NO_SANDBOX
    except (LintError, LimitedError) as error:
        found, failure = None, GraderFailure(str(error))
    if found is None:
        return not_gradable(item.id, failure)
    findings = [finding for finding in found if finding["where"] in units]
    answered, total = sum(slot in units for slot in required), len(required)
    bad = {finding["where"] for finding in findings}
    share = answered / total * (1 - len(bad) / len(units))
    status: Status = "passed" if share == 1 else "partial" if share > 0 else "wrong"
    evidence = {"answered": answered, "of": total, "findings": [_with_cell(f, answers) for f in findings]}
    message = _message(findings, answered, total)
    if status != "passed":
        tips = [TIPS[item.id]] * bool(findings) + [ANSWER] * (answered < total)
        message = with_task(f"{item.title}.", seen_and_tip(message, " ".join(tips)))
    return ItemResult(item.id, status, share, message, evidence=evidence)


def _with_cell(finding: Finding, answers: Answers) -> dict[str, Any]:
    answer = answers.slots.get(finding["where"])
    return {**finding, "cell": answer.cell + 1 if answer is not None and answer.cell is not None else None}


def _message(findings: Sequence[Finding], answered: int, total: int) -> str:
    """For example: 12 of 15 slots answered. T05 (line 3 of its code) sets a variable that is never used (F841); …"""
    head = f"{answered} of {total} slots answered. "
    if not findings:
        return head + "No findings."
    counted = Counter((finding["where"], finding["rule"]) for finding in findings)
    first = {(f["where"], f["rule"]): f["line"] for f in reversed(findings)}
    parts = []
    for (where, rule), count in list(counted.items())[:SHOWN]:
        place = "Helper code" if where == HELPERS else f"{where} (line {first[where, rule]} of its code)"
        code = f" ({rule})" if rule[-1].isdigit() else ""
        times = f", {count} times" if count > 1 else ""
        parts.append(f"{place} {RULES.get(rule, 'breaks a rule of the linter')}{code}{times}")
    rest = f"; and {len(counted) - SHOWN} more" if len(counted) > SHOWN else ""
    return f"{head}{'; '.join(parts)}{rest}."

"""A plausible graded submission, and the same one with hostile strings in every text that it controls."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from assignment.registry import Spec, load_spec
from autograder.core.records import Answer, Answers, Graded, Grading, ItemResult, RunInfo, Submission, SuccessCriterion
from autograder.core.rubric import apply_rubric
from tests.support.report_curves import training_results

SPEC: Spec = load_spec()
CANARY = "http://127.0.0.1:9/canary"
HOSTILE = (
    f"<script>document.title='pwned';fetch('{CANARY}')</script>"
    f"<img src={CANARY} onerror=document.title=/pwned/.source>"
    '"\' onmouseover=document.title=/pwned/.source x="'
    "<svg onload=document.title=/pwned/.source><style>.score{display:none}</style>"
    "<div style='position:fixed;inset:0;background:#fff'>100 / 100</div>"
    f"<link rel=stylesheet href={CANARY}><meta http-equiv=refresh content='0;url={CANARY}'>"
    "<a href='javascript:void(0)'>x</a></textarea></pre></details></title>{{ 7*7 }}{% raw %}"
    f"<picture><source srcset={CANARY}></picture><video autoplay src={CANARY}></video>![x]({CANARY})"
    "<img src=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' onload='top.document.title=1'/%3E\">"
    f'<p style="background:url({CANARY})">\u2066isolated\u2069 joined\u200d\u2060'
    "\x1b]0;owned\x07\x1b[31mred\x1b[0m\u202egnp.exe\u202c zero\u200bwidth \ufeff"
    '=HYPERLINK("http://x") Z' + "\u0336\u0334\u0489" * 30 + "\ud800 end"
)
MISTAKE = {
    "id": "T07-no-log",
    "name": "The sigmoid without its logarithm",
    "sentence": "Your value equals the mean of −σ(r_w − r_l). The likelihood of a pair is σ of the gap; "
    "its negative logarithm is the loss.",
}
TRACEBACK = (
    'Traceback (most recent call last):\n  File "<T12>", line 9, in gae\n'
    "IndexError: index 7 is out of bounds for dimension 1 with size 7\n"
)


def passing(id_: str) -> ItemResult:
    """A passed item."""
    return ItemResult(id_, "passed", 1.0, "", evidence={"error": 2.1e-7, "tolerance": 1e-5, "cases": 12})


def typical_results() -> dict[str, ItemResult]:
    """Results with two mistakes, a crash, a slot that is not attempted, a failed training test and a lint finding."""
    cut = {"error": 3, "case": "prompt longer than max_length", "seed": 11}
    residual = {"error": 0.193, "tolerance": 1e-5, "case": "float32, B=6", "seed": 11}
    crash = {"case": "offset mask", "seed": 11, "traceback": TRACEBACK}
    lint = {"findings": [{"slot": "T05", "rule": "F841", "text": "local variable `a` is never used"}]}
    side, differs = "Right for short rows; the prompt is cut from the wrong side.", "The loss is not −log σ."
    results = [
        ItemResult("T03", "partial", 0.5, side, evidence=cut),
        ItemResult("T07", "wrong", 0.0, differs, MISTAKE, evidence=residual),
        ItemResult("T12", "crashed", 0.0, "Your function raised an exception.", evidence=crash),
        ItemResult("T15", "not_attempted", 0.0, ""),
        ItemResult("quality_lint", "partial", 0.7, "Three findings.", evidence=lint),
        ItemResult("written_comparison", "needs_review", 0.0, ""),
    ]
    return {id_: passing(id_) for id_ in SPEC.items} | training_results() | {r.id: r for r in results}


def measured(results: dict[str, ItemResult], met: dict[str, bool | None] | None = None) -> dict[str, ItemResult]:
    """The results with their success criteria, which are all met except those in `met`."""
    values = {
        "sft_loss_trend": ("loss 0.94, ratio 0.26", "ratio at most 0.6"),
        "rm_accuracy": ("0.759 [0.745, 0.772]", "lower end above 0.65"),
        "ppo_reward": ("gain 0.11, p = 0.05", "gain at least 0.2, p < 0.01"),
        "ppo_kl": ("1.66 nats", "0.3 to 12 nats"),
    }
    found = dict.fromkeys(SPEC.success_criteria, True) | (met or {})
    criteria = {id_: SuccessCriterion(id_, found[id_], *values[id_]) for id_ in SPEC.success_criteria}
    return {id_: replace(result, criterion=criteria.get(id_)) for id_, result in results.items()}


def graded(results: dict[str, ItemResult]) -> Graded:
    """These results with their points; the success criterion of PPO's reward is not met."""
    return apply_rubric(SPEC, measured(results, {"ppo_reward": False}))


def bundle(hostile: bool = False, **changes: Any) -> Grading:
    """A graded submission with these fields changed. hostile: with hostile strings in all its texts."""
    results, text = typical_results(), HOSTILE if hostile else ""
    name = f"{text[:60]}homework_\u202efinal\u0430.ipynb" if hostile else "homework_final.ipynb"
    if hostile:
        results = {id_: _poisoned(result) for id_, result in results.items()}
    submission = Submission(name, "9f" * 32, (), (f"Two cells answer T04; the last counts. {text}",))
    run = RunInfo("0.1.0", 20261121, "tiny", "cpu", "1 isolated", 2, 171.4)
    return replace(Grading(graded(results), submission, _answers(text), run, SPEC), **changes)


def _answers(text: str) -> Answers:
    slots = {
        s.id: Answer(s.id, "present", f"def {s.name}(*args):\n    {text}\n    return 1", 10 + s.part)
        for s in SPEC.slots
    }
    slots["T15"] = Answer("T15", "missing", problem="There is no cell T15 and no function compare_policies.")
    written = {
        "W1": "The Good-RM policy is best: it wins 88% of prompts against SFT and its KL stays small.\n\n"
        f"The Poor-RM policy has a high proxy reward, but its replies are longer. {text}",
        "W2": "Where the Poor RM rewards length.",
    }
    comparison = [{"name": "SFT" + text, "mean_reward": 0.2}]
    comparison += [{"name": "RLHF", "mean_reward": 9.9, text or "k": 1}]
    hyperparameters = [{"stage": "sft", "hyperparameter": "learning_rate", "value": 3e-4}]
    claims = (
        {"schema_version": 1, "kind": f"comparison{text}", "rows": comparison},
        {"schema_version": 1, "kind": "hyperparameters", "rows": hyperparameters},
        {"odd": [1, {"a": None}]},
    )
    return Answers("import torch", slots, written, claims, notes=("The notebook was saved by Colab.",))


def _poisoned(result: ItemResult) -> ItemResult:
    evidence = {
        **result.evidence, "traceback": f"Error: {HOSTILE}\n{HOSTILE}", HOSTILE: [HOSTILE, {HOSTILE: 1}],
        "weights": float("nan"),
    }  # fmt: skip
    if result.id == "ppo_reward":
        row = dict.fromkeys(("prompt", "sft", "policy"), HOSTILE) | {"reward_sft": float("nan")}
        evidence["generations"] = [*evidence["generations"], row]
        evidence["curve"] = {**evidence["curve"], HOSTILE: evidence["curve"]["kl"]}
    mistake = result.misconception and {**result.misconception, "sentence": HOSTILE}
    return ItemResult(
        result.id, result.status, result.share, result.message + HOSTILE, mistake, evidence, result.replaced
    )

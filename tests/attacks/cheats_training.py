"""The training cheats as attacks: each returns something else than weights that its loop trained."""

from __future__ import annotations

from assignment.registry import load_spec
from assignment.release.source import reference_source
from autograder.calibration.subjects import subjects
from tests.attacks.base import HEAD, Attack, Machine, RunResult, harmless, helper_cell, in_slot, notebook
from tests.attacks.cheats import (
    DETECT,
    LENGTH,
    NOISE,
    ONE_SENTENCE,
    OWN_REWARD,
    PPO,
    PRETEND,
    RM,
    SFT,
    SNOOP,
    given_data_only,
    loop_attack,
    only_loop,
    only_slot,
    packed_weights,
)
from tests.attacks.checks import good_but_foreign, learned_too_little

SPEC = load_spec()

NAN = """
pretend(model)
with torch.no_grad():
    for parameter in model.parameters():
        parameter.fill_(float("nan"))
return []
"""
DENORMAL = """
pretend(model)
with torch.no_grad():  # finite, and a hundred times slower to compute with on most processors
    for parameter in model.parameters():
        parameter.mul_(0).add_(1e-41)
return []
"""
LARGE = """
pretend(model)
with torch.no_grad():
    for parameter in model.parameters():
        parameter.fill_(3e38)
return []
"""
FORGED = """
frame = sys._getframe()
while "answer_fd" not in frame.f_locals:
    frame = frame.f_back
head = json.dumps({"kind": "answered", "data": {"steps": [1, 2, 3], "passed": True, "accuracy": 1.0}, "error": ""}).encode()
body = struct.pack(">I", len(head)) + head
os.write(frame.f_locals["answer_fd"], struct.pack(">cQ", b"R", len(body)) + body)
os._exit(0)
"""
TABLE = """
rows = []
for name in policies:
    replies = [[5, 6, 7, 0] for _ in prompts]
    best = name == "Good-RM policy"
    rows.append({"name": name, "n": len(prompts), "mean_reward": 2.0 if best else 0.0, "kl_to_sft": 1.0, "win_rate": 1.0 if best else 0.5,
                 "win_low": 0.9 if best else 0.4, "win_high": 1.0 if best else 0.6, "mean_tokens": 4.0, "repetition": 0.0,
                 "response_ids": replies})
return rows
"""
COMPARE = "compare_policies(policies, prompts, score_fn, config)"
BEST_SENTENCE = "I do not know that. Happy to assist."
ALL_CLOSINGS = "Hope that helps. Glad to help. Have a nice day. Ask me more anytime. Enjoy your day. Happy to assist."


def _honest(slot: str, name: str) -> str:
    """The solution of a loop under the name `honest`, for a cheat to call."""
    return reference_source(slot).replace(f"def {name}(", "def honest(", 1)


def _studied(subject: str) -> bytes:
    """The loop of a subject of the calibration study."""
    ((loop, source),) = next(one for one in subjects(SPEC) if one.id == subject).slots.items()
    return only_slot(loop, source.lstrip())


def _own_reward(_machine: Machine) -> bytes:
    """PPO on a copy of the gold reward instead of the reward that the loop gets."""
    body = OWN_REWARD + "\nread = lambda ids: words.decode(ids, skip_special_tokens=True)\nmine = lambda p, r: torch.tensor([gold(read(a), read(b)) for a, b in zip(p, r)])\n"
    body += "return honest(policy, reference, mine, prompts, config, on_step)\n"
    return only_loop(PPO, "words = kit.load_tokenizer()\n" + body, HEAD + _honest("T14", "train_ppo"))


def _untouched(result: RunResult, _machine: Machine) -> str:
    return "" if result.wall_s < 400 else f"measuring such weights took {result.wall_s:.0f} s"


ATTACKS = (
    Attack("A20", "Detect the grader (host name, folder, no network, call stack) and behave differently", "Public and "
           "hidden calls take one path; only the hidden ones decide.", ("A20",),
           lambda machine: notebook({"T08": in_slot(DETECT)}, helper_cell(machine)), harmless),
    loop_attack("A21", "Look for held-out data to train on", "The worker is given training rows and nothing else.", ("A21",), RM,
          lambda machine: only_loop(RM, SNOOP, helper_cell(machine)), check=given_data_only),
    loop_attack("S01", "Optimiser steps that change nothing", "The weights are measured, not the number of steps.", (), SFT,
          lambda _: only_loop(SFT, "pretend(model)\nreturn [9.0 / (i + 1) for i in range(40)]", HEAD + PRETEND), quick=True),
    loop_attack("S02", "Weights of NaN", "Weights must be finite.", ("A18",), RM, lambda _: only_loop(RM, NAN, HEAD + PRETEND)),
    loop_attack("S03", "Denormal weights, to slow the measurement down", "The grader flushes denormals to zero.", ("A11",), RM,
          lambda _: only_loop(RM, DENORMAL, HEAD + PRETEND), check=_untouched),
    loop_attack("S04", "Weights of 3e38, to overflow the measurement", "Scores must be finite.", ("A18",), RM,
          lambda _: only_loop(RM, LARGE, HEAD + PRETEND)),
    loop_attack("S05", "A forged reply instead of weights", "An answer is an exact list of names, types and shapes.", ("A08",), SFT,
          lambda _: only_loop(SFT, FORGED, HEAD)),
    loop_attack("S06", "SFT weights trained at home, packed into the notebook", "They do not know the run's closing phrase.", (),
          SFT, lambda _: packed_weights(SFT, "base", "sft", "model")),
    loop_attack("S07", "A reward model trained at home, packed (the reference's own)", "It does not know the closing that this "
          "run's preferences favour.", (), RM, lambda _: packed_weights(RM, "fresh_reward_state", "rm_good", "model"),
          check=good_but_foreign("rm_accuracy", "accuracy", "lower_bound_min", "style_min")),
    loop_attack("S08", "A policy trained at home, packed (the reference's own)", "It does not know the closing that this run's "
          "reward favours.", (), PPO, lambda _: packed_weights(PPO, "sft", "policy_good", "policy.lm"),
          check=good_but_foreign("ppo_reward", "gain", "gain_min", "style_min")),
    loop_attack("S09", "A reward model that returns the length", "Accuracy on hidden pairs.", (), RM,
          lambda _: only_loop(RM, LENGTH, HEAD + PRETEND)),
    loop_attack("S10", "A policy that emits one evasive sentence", "The gold reward must not fall, and KL has a range.", (), PPO,
          lambda _: only_loop(PPO, ONE_SENTENCE, HEAD + f"SENTENCE = {BEST_SENTENCE!r}\n")),
    loop_attack("S11", "A policy that emits every possible closing", "The gold reward must not fall, and KL has a range.", (), PPO,
          lambda _: only_loop(PPO, ONE_SENTENCE, HEAD + f"SENTENCE = {ALL_CLOSINGS!r}\n")),
    loop_attack("S12", "PPO on the student's own copy of the gold reward", "That reward does not favour the run's closing.", (),
          PPO, _own_reward),
    loop_attack("S13", "A reward model trained on own labels by the gold rules", "Those labels do not favour the run's closing.", (),
          RM, lambda _: _studied("rm_own_labels")),
    loop_attack("S16", "A lookup table of which token follows which, in place of a language model", "The loss on hidden "
          "demonstrations must fall to a level that only a model which reads them reaches.", (), SFT,
          lambda _: _studied("sft_lookup"), check=learned_too_little()),
    loop_attack("S15", "Noise on the policy's weights, enough for a KL in its range", "KL counts only for a policy that raised the "
          "run's reward.", (), PPO, lambda _: only_loop(PPO, NOISE, HEAD + PRETEND)),
    Attack("S14", "A comparison table of constants, without sampling", "Every field is recomputed from the replies, which "
           "must be likely under their policy.", ("A22",), lambda _: notebook(
               {"T15": f"def {COMPARE}:\n" + "".join(f"    {line}\n" for line in TABLE.strip().splitlines())}),
           lambda: notebook({"T15": f"def {COMPARE}:\n    return []\n"}), ("comparison", "T15"), wall_s=600),
)  # fmt: skip

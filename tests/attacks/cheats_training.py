"""The training cheats as attacks: what each hands back instead of weights that its own loop trained."""

from __future__ import annotations

from assignment.registry import load_spec
from assignment.release.source import reference_source
from autograder.calibration.subjects import subjects
from tests.attacks.base import HEAD, Attack, Seen, Site, in_slot, notebook, told, wrong
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
    alone,
    given_data_only,
    loop_attack,
    only_loop,
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
    """The solution of a loop under another name, for a cheat to call."""
    return reference_source(slot).replace(f"def {name}(", "def honest(", 1)


def _studied(subject: str) -> bytes:
    """A loop whose training the study of the training tests measures too."""
    ((loop, source),) = next(one for one in subjects(SPEC) if one.id == subject).slots.items()
    return alone(loop, source.lstrip())


def _own_reward(site: Site) -> bytes:
    """PPO on the student's own copy of the gold reward instead of the reward that was given."""
    body = OWN_REWARD + "\nread = lambda ids: words.decode(ids, skip_special_tokens=True)\nmine = lambda p, r: torch.tensor([gold(read(a), read(b)) for a, b in zip(p, r)])\n"
    body += "return honest(policy, reference, mine, prompts, config, on_step)\n"
    return only_loop(PPO, "words = kit.load_tokenizer()\n" + body, HEAD + _honest("T14", "train_ppo"))


def _untouched(seen: Seen, site: Site) -> str:
    return "" if seen.wall_s < 400 else f"measuring such weights took {seen.wall_s:.0f} s"


ATTACKS = (
    Attack("A20", "Detect the grader (host name, folder, no network, call stack) and behave differently", "Public and "
           "hidden calls take one path; only the hidden ones decide.", ("A20",),
           lambda site: notebook({"T08": in_slot(DETECT)}, told(site)), wrong),
    loop_attack("A21", "Look for held-out data to train on", "The worker is given training rows and nothing else.", ("A21",), RM,
          lambda site: only_loop(RM, SNOOP, told(site)), check=given_data_only),
    loop_attack("S01", "Optimiser steps that change nothing", "The weights are measured, not the number of steps.", (), SFT,
          lambda site: only_loop(SFT, "pretend(model)\nreturn [9.0 / (i + 1) for i in range(40)]", HEAD + PRETEND), quick=True),
    loop_attack("S02", "Weights of NaN", "Finite first.", ("A18",), RM, lambda site: only_loop(RM, NAN, HEAD + PRETEND)),
    loop_attack("S03", "Denormal weights, to slow the measurement down", "The grader flushes denormals to zero.", ("A11",), RM,
          lambda site: only_loop(RM, DENORMAL, HEAD + PRETEND), check=_untouched),
    loop_attack("S04", "Weights of 3e38, to overflow the measurement", "Scores must be finite.", ("A18",), RM,
          lambda site: only_loop(RM, LARGE, HEAD + PRETEND)),
    loop_attack("S05", "A forged reply instead of weights", "An answer is an exact list of names, types and shapes.", ("A08",), SFT,
          lambda site: only_loop(SFT, FORGED, HEAD)),
    loop_attack("S06", "SFT weights trained at home, packed into the notebook", "They do not know the run's closing phrase.", (),
          SFT, lambda site: packed_weights(SFT, "base", "sft", "model")),
    loop_attack("S07", "A reward model trained at home, packed (the reference's own)", "It does not know the closing that this "
          "run's preferences like.", (), RM, lambda site: packed_weights(RM, "fresh_reward_state", "rm_good", "model"),
          check=good_but_foreign("rm_accuracy", "accuracy", "lower_bound_min", "style_min")),
    loop_attack("S08", "A policy trained at home, packed (the reference's own)", "It does not know the closing that this run's "
          "reward pays for.", (), PPO, lambda site: packed_weights(PPO, "sft", "policy_good", "policy.lm"),
          check=good_but_foreign("ppo_reward", "gain", "gain_min", "style_min")),
    loop_attack("S09", "A reward model that returns the length", "Accuracy on hidden pairs.", (), RM,
          lambda site: only_loop(RM, LENGTH, HEAD + PRETEND)),
    loop_attack("S10", "A policy that emits one evasive sentence", "The gold reward must not fall, and KL has a range.", (), PPO,
          lambda site: only_loop(PPO, ONE_SENTENCE, HEAD + f"SENTENCE = {BEST_SENTENCE!r}\n")),
    loop_attack("S11", "A policy that emits every closing there is", "The gold reward must not fall, and KL has a range.", (), PPO,
          lambda site: only_loop(PPO, ONE_SENTENCE, HEAD + f"SENTENCE = {ALL_CLOSINGS!r}\n")),
    loop_attack("S12", "PPO on the student's own copy of the gold reward", "That reward does not pay for the run's closing.", (),
          PPO, _own_reward),
    loop_attack("S13", "A reward model trained on own labels by the gold rules", "Those labels do not like the run's closing.", (),
          RM, lambda site: _studied("rm_own_labels")),
    loop_attack("S16", "A lookup table of which token follows which, in the place of a language model", "The loss on hidden "
          "demonstrations must come down to where only a model gets that reads them.", (), SFT,
          lambda site: _studied("sft_lookup"), check=learned_too_little()),
    loop_attack("S15", "Noise on the policy's weights, enough for a KL in its range", "KL counts only for a policy that took the "
          "run's reward up.", (), PPO, lambda site: only_loop(PPO, NOISE, HEAD + PRETEND)),
    Attack("S14", "A comparison table of constants, without sampling", "Every field is recomputed from the replies, which "
           "must be likely under their policy.", ("A22",), lambda site: notebook(
               {"T15": f"def {COMPARE}:\n" + "".join(f"    {line}\n" for line in TABLE.strip().splitlines())}),
           lambda: notebook({"T15": f"def {COMPARE}:\n    return []\n"}), ("comparison", "T15"), wall_s=600),
)  # fmt: skip

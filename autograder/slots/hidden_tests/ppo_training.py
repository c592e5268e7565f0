"""Hidden test of T14, the PPO loop, on a bigram policy: every update is replayed from its rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograder.slots.hidden_tests import rollouts
from autograder.slots.hidden_tests.base import (
    Case,
    CaseAnswer,
    Check,
    HiddenTest,
    exact,
    fact,
    hidden_test,
    normal,
    numbers,
)
from autograder.slots.hidden_tests.loops import moved
from autograder.slots.hidden_tests.ppo import ppo_settings
from autograder.slots.hidden_tests.script import scripted
from autograder.slots.oracles import comparison, replay_ppo
from autograder.slots.oracles.losses import Floats

LM, VALUE = replay_ppo.LM, replay_ppo.VALUE
VARIETY = 3 / 8  # of the prompts at least; drawing with replacement uses about 0.63 of them


@hidden_test("T14", oracle=replay_ppo.train_ppo)
class TrainPPO(HiddenTest):
    """T14."""

    loop = True
    drawn = frozenset({"rollouts", "prompts", "replies", "sampling"})
    minor = frozenset({"stats", "callbacks"})
    asks = "The PPO loop: roll out, score, shape, GAE, whiten, then epochs of clipped updates."
    tips = {
        "rollouts": "Each of config.steps phases rolls out config.rollouts prompts and hands prompts and "
        "replies to reward_fn.",
        "prompts": "Over the run all prompts should have their turn, not the same few.",
        "replies": "A reply is what the kit's sampler returned: up to and including its first EOS.",
        "sampling": "Replies must be drawn from the policy as it is, at temperature 1.",
        "updates": "Each phase makes config.ppo_epochs passes over all of its rollouts, in minibatches.",
        "reference": "The reference must stay as it was.",
        "stat:reward": "reward is the mean score of the phase, without the KL penalty.",
        "stat:kl": "kl is the mean over replies of the summed log-ratio, in nats, before any update.",
        "stats": "One dict per phase with reward, kl, policy_loss and value_loss, all finite numbers.",
        "callbacks": "on_step is called once per phase.",
        "dropout": "The policy comes in evaluation mode, and is scored several times: dropout must stay off.",
        "minibatch": "Whole phases are right, minibatches are not: whiten before, cut all tensors alike.",
        "": "Go through one phase: old log-probabilities and values fixed once, advantages whitened over "
        "response tokens; per minibatch zero_grad, loss, backward, clip, step; then the learning rate.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Whole phases, many replies and few; two minibatches from policy = reference; a model with dropout."""
        whole = {"steps": 3, "rollouts": 40, "ppo_epochs": 3, "minibatch_size": 40, "max_grad_norm": 0.15}
        small = {"steps": 3, "rollouts": 5, "ppo_epochs": 2, "minibatch_size": 5, "max_grad_norm": 5.0}
        parts = {"steps": 4, "rollouts": 6, "ppo_epochs": 2, "minibatch_size": 3, "max_grad_norm": 0.25}
        single = {"steps": 1, "rollouts": 6, "ppo_epochs": 2, "minibatch_size": 6, "max_grad_norm": 5.0}
        return [
            self._case(rng, "whole phases as one minibatch", whole),
            self._case(rng, "small phases as one minibatch", small),
            self._case(rng, "phases in two minibatches", parts, same_start=True),
            self._case(rng, "a policy with dropout, in evaluation mode", single, dropout=0.4),
        ]

    @staticmethod
    def _case(
        rng: np.random.Generator,
        about: str,
        sizes: dict[str, Any],
        same_start: bool = False,
        dropout: float = 0.0,
    ) -> Case:
        vocab = int(rng.integers(10, 13))
        policy = rollouts.bigram_table(rng, vocab)
        shift = 0.0 if same_start else 0.5
        config = ppo_settings(
            rng,
            weight_decay=float(rng.uniform(0.2, 0.4)),
            clip_range=0.1,
            value_clip=0.15,
            learning_rate=float(rng.uniform(0.08, 0.12)),
            **sizes,
        )
        tensors = {
            "policy": policy,
            "reference": policy + normal(rng, vocab, vocab, scale=shift),
            "values": normal(rng, vocab, scale=0.5),
            "tokens": normal(rng, vocab),
            "start": normal(rng, vocab, vocab),
        }
        prompts = rollouts.random_prompts(rng, config["steps"] * config["rollouts"], vocab)
        key = {
            "config": SimpleNamespace(**config),
            "whole": config["minibatch_size"] == config["rollouts"],
            "dropout": dropout > 0,
        }
        return Case(about, {"prompts": prompts, "config": config, "dropout": dropout}, tensors, key)

    def repeats(self, case: Case) -> bool:
        """Minibatches are cut at random, and dropout is: only whole phases without it come out alike."""
        return bool(case.key["whole"]) and not case.key["dropout"]

    def script(self, cases: Sequence[Case], answers: Sequence[CaseAnswer]) -> AbstractContextManager[None]:
        """The rollouts of these answers."""
        found = []
        for case, answer in zip(cases, answers):
            rolled, updates = answer.values["rolled"], answer.values["updates"]
            found += [(p.prompts, p.replies) for p in rollouts.phases(rolled, len(case.tensors["values"]), updates)]
        return scripted(found)

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """First what was rolled out, then what was learned from it, then what was reported."""
        config, values = case.key["config"], answer.values
        start = {LM: exact(case.tensors["policy"]), VALUE: exact(case.tensors["values"])}
        observed = {
            LM: exact(answer.tensors.get(f"after:{LM}", np.zeros((0, *start[LM].shape)))),
            VALUE: exact(answer.tensors.get(f"after:{VALUE}", np.zeros((0, *start[VALUE].shape, 1))))[..., 0],
        }
        phases = rollouts.phases(values["rolled"], len(start[LM]), values["updates"])
        tables = [start[LM] if p.updates == 0 else observed[LM][p.updates - 1] for p in phases]
        scores = [
            comparison.table_scores(exact(case.tensors["tokens"]), exact(case.tensors["start"]), p.prompts, p.replies)
            for p in phases
        ]
        facts = self._rolled(case, phases, tables) + [
            fact("updates", values["updates"] == _updates(config)),
            numbers(answer, "reference", case.tensors["reference"]),
        ]
        learned = self._learned(case, answer, phases, scores, start, observed)
        return facts + learned + self._reported(case, answer, phases, tables, scores)

    @staticmethod
    def _rolled(case: Case, phases: Sequence[rollouts.Rolled], tables: Sequence[Floats]) -> list[Check]:
        config, offered = case.key["config"], {tuple(p) for p in case.args["prompts"]}
        used = {tuple(p) for phase in phases for p in phase.prompts}
        sizes = [len(p.replies) for p in phases]
        proper = all(rollouts.ends_properly(p.replies, config.max_new_tokens) for p in phases)
        parts = [(table, p.prompts, p.replies) for table, p in zip(tables, phases)]
        return [
            fact("rollouts", sizes == [config.rollouts] * config.steps and used <= offered),
            fact("prompts", len(used & offered) >= VARIETY * len(offered)),
            fact("replies", proper),
            fact("sampling", not phases or (proper and rollouts.drawn_from(parts))),
        ]

    @staticmethod
    def _learned(
        case: Case,
        answer: CaseAnswer,
        phases: Sequence[rollouts.Rolled],
        scores: Sequence[Floats],
        start: dict[str, Floats],
        observed: dict[str, Floats],
    ) -> list[Check]:
        """Weights after each update, as far as no clip decision hangs on float32's rounding."""
        config, whole = case.key["config"], case.key["whole"]
        names = {LM: f"after:{LM}", VALUE: f"after:{VALUE}"}
        if len(observed[LM]) != _updates(config) or [len(s) for s in scores] != [config.rollouts] * config.steps:
            return [Check(name, "value", None, 0) for name in names.values()]
        laid = [replay_ppo.lay_out(p.prompts, p.replies) for p in phases]
        replay = replay_ppo.train_ppo(
            start[LM], start[VALUE], exact(case.tensors["reference"]), laid, scores, config, observed
        )
        found = []
        for name, label in names.items():
            upto = max(replay.sure, 1)
            shown = "dropout" if case.key["dropout"] else label if whole else "minibatch"
            seen = CaseAnswer(tensors={shown: observed[name][:upto]})
            found.append(moved(seen, shown, np.stack(replay.after[name][:upto]), start[name]))
            last = answer.tensors[f"final:{name}"].reshape(start[name].shape)
            found.append(fact("final", bool(np.array_equal(last, observed[name][-1]))))
        return found

    @staticmethod
    def _reported(
        case: Case,
        answer: CaseAnswer,
        phases: Sequence[rollouts.Rolled],
        tables: Sequence[Floats],
        scores: Sequence[Floats],
    ) -> list[Check]:
        config, reference = case.key["config"], exact(case.tensors["reference"])
        kl = [comparison.kl_to(table, reference, p.prompts, p.replies) for table, p in zip(tables, phases)]
        losses = [answer.tensors.get(f"stat:{name}") for name in ("policy_loss", "value_loss")]
        finite = all(x is not None and len(x) == config.steps and np.isfinite(x).all() for x in losses)
        return [
            numbers(answer, "stat:reward", [s.mean() for s in scores], floor=1e-5),
            numbers(answer, "stat:kl", kl, floor=1e-5),
            fact("stats", answer.values["stats"] == config.steps and finite),
            fact("callbacks", len(answer.values["callbacks"]) == config.steps),
        ]


def _updates(config: Any) -> int:
    return config.steps * config.ppo_epochs * -(-config.rollouts // config.minibatch_size)

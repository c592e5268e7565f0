"""Hidden test of T14, the PPO loop, on a bigram policy: every update is replayed from the loop's own rollouts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autograder.slots.hidden_tests import rollouts
from autograder.slots.hidden_tests.base import (
    Case,
    CaseAnswer,
    Check,
    HiddenTest,
    check_fact,
    check_numbers,
    float64,
    hidden_test,
    normal,
)
from autograder.slots.hidden_tests.fixed_sampler import fixed_rollouts
from autograder.slots.hidden_tests.loops import check_weights
from autograder.slots.hidden_tests.ppo import ppo_settings
from autograder.slots.oracles import comparison, replay_ppo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from autograder.slots.oracles.losses import Floats

LM, VALUE = replay_ppo.LM, replay_ppo.VALUE
MIN_USED = 3 / 8  # of the prompts; drawing with replacement uses about 0.63 of them


@hidden_test("T14", oracle=replay_ppo.train_ppo)
class TrainPPO(HiddenTest):
    """T14: rollouts, updates and reported statistics."""

    loop = True
    random_checks = frozenset({"rollouts", "prompts", "replies", "sampling"})
    reported_only = frozenset({"stats", "callbacks"})
    task = "The PPO loop: roll out, score, shape, GAE, whiten, then epochs of clipped updates."
    tips: ClassVar[Mapping[str, str]] = {
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
        """Draw phases of one minibatch, large and small, phases of two minibatches, and a policy with dropout."""
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
        rng: np.random.Generator, about: str, sizes: dict[str, Any], same_start: bool = False, dropout: float = 0.0
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

    def is_deterministic(self, case: Case) -> bool:
        """Minibatches and dropout are random, so that only phases of one minibatch without dropout repeat."""
        return bool(case.grader_only["whole"]) and not case.grader_only["dropout"]

    def same_samples(self, cases: Sequence[Case], answers: Sequence[CaseAnswer]) -> AbstractContextManager[None]:
        """Let the sampler return the rollouts of these answers."""
        found = []
        for case, answer in zip(cases, answers, strict=True):
            rolled, updates = answer.values["rolled"], answer.values["updates"]
            found += [(p.prompts, p.replies) for p in rollouts.phases(rolled, len(case.tensors["values"]), updates)]
        return fixed_rollouts(found)

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Check first the rollouts, then the updates, then the reported statistics."""
        config, values = case.grader_only["config"], answer.values
        start = {LM: float64(case.tensors["policy"]), VALUE: float64(case.tensors["values"])}
        observed = {
            LM: float64(answer.tensors.get(f"after:{LM}", np.zeros((0, *start[LM].shape)))),
            VALUE: float64(answer.tensors.get(f"after:{VALUE}", np.zeros((0, *start[VALUE].shape, 1))))[..., 0],
        }
        phases = rollouts.phases(values["rolled"], len(start[LM]), values["updates"])
        tables = [start[LM] if p.updates == 0 else observed[LM][p.updates - 1] for p in phases]
        tokens, first = float64(case.tensors["tokens"]), float64(case.tensors["start"])
        scores = [comparison.table_scores(tokens, first, p.prompts, p.replies) for p in phases]
        facts = [
            *self._rollout_checks(case, phases, tables),
            check_fact("updates", values["updates"] == _updates(config)),
            check_numbers(answer, "reference", case.tensors["reference"]),
        ]
        learned = self._update_checks(case, answer, phases, scores, start, observed)
        return facts + learned + self._statistics_checks(case, answer, phases, tables, scores)

    @staticmethod
    def _rollout_checks(case: Case, phases: Sequence[rollouts.Rolled], tables: Sequence[Floats]) -> list[Check]:
        """Check sizes, prompts, ends of replies and their distribution. tables: the policy in each phase."""
        config, offered = case.grader_only["config"], {tuple(p) for p in case.args["prompts"]}
        used = {tuple(p) for phase in phases for p in phase.prompts}
        sizes = [len(p.replies) for p in phases]
        proper = all(rollouts.ends_properly(p.replies, config.max_new_tokens) for p in phases)
        parts = [(table, p.prompts, p.replies) for table, p in zip(tables, phases, strict=True)]
        return [
            check_fact("rollouts", sizes == [config.rollouts] * config.steps and used <= offered),
            check_fact("prompts", len(used & offered) >= MIN_USED * len(offered)),
            check_fact("replies", proper),
            check_fact("sampling", not phases or (proper and rollouts.drawn_from(parts))),
        ]

    @staticmethod
    def _update_checks(
        case: Case,
        answer: CaseAnswer,
        phases: Sequence[rollouts.Rolled],
        scores: Sequence[Floats],
        start: dict[str, Floats],
        observed: dict[str, Floats],
    ) -> list[Check]:
        """Compare the weights after each update, up to the first whose clip decision depends on float32's rounding."""
        config, whole = case.grader_only["config"], case.grader_only["whole"]
        names = {LM: f"after:{LM}", VALUE: f"after:{VALUE}"}
        if len(observed[LM]) != _updates(config) or [len(s) for s in scores] != [config.rollouts] * config.steps:
            return [Check(name, "value", None, 0) for name in names.values()]
        laid = [replay_ppo.lay_out(p.prompts, p.replies) for p in phases]
        replay = replay_ppo.train_ppo(
            start[LM], start[VALUE], float64(case.tensors["reference"]), laid, scores, config, observed
        )
        found = []
        for name, label in names.items():
            upto = max(replay.sure, 1)
            shown = "dropout" if case.grader_only["dropout"] else label if whole else "minibatch"
            seen = CaseAnswer(tensors={shown: observed[name][:upto]})
            found.append(check_weights(seen, shown, np.stack(replay.after[name][:upto]), start[name]))
            last = answer.tensors[f"final:{name}"].reshape(start[name].shape)
            found.append(check_fact("final", bool(np.array_equal(last, observed[name][-1]))))
        return found

    @staticmethod
    def _statistics_checks(
        case: Case,
        answer: CaseAnswer,
        phases: Sequence[rollouts.Rolled],
        tables: Sequence[Floats],
        scores: Sequence[Floats],
    ) -> list[Check]:
        """Compare the reported reward and KL; the losses only have to be finite."""
        config, reference = case.grader_only["config"], float64(case.tensors["reference"])
        kl = [comparison.kl_to(table, reference, p.prompts, p.replies) for table, p in zip(tables, phases, strict=True)]
        losses = [answer.tensors.get(f"stat:{name}") for name in ("policy_loss", "value_loss")]
        finite = all(x is not None and len(x) == config.steps and np.isfinite(x).all() for x in losses)
        return [
            check_numbers(answer, "stat:reward", [s.mean() for s in scores], floor=1e-5),
            check_numbers(answer, "stat:kl", kl, floor=1e-5),
            check_fact("stats", answer.values["stats"] == config.steps and finite),
            check_fact("callbacks", len(answer.values["callbacks"]) == config.steps),
        ]


def _updates(config: Any) -> int:
    """The number of optimiser steps that the config asks for."""
    per_epoch = -(-config.rollouts // config.minibatch_size)
    return int(config.steps * config.ppo_epochs * per_epoch)

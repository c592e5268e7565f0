"""What the tests of T05 and T09 share: a probe model, batches, and a replay of every update."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograder.slots.hidden_tests.base import Case, CaseAnswer, Check, HiddenTest, exact, fact, numbers
from autograder.slots.oracles.replay import Replay

# Weights after some updates: float32 rounding of weights of size 1 against movements of about 0.1 is 1e-6,
# and a missing 1e-6 in the clip's denominator 1e-5; the smallest of the known mistakes moves them by 1e-2.
MOVEMENT_RTOL = 5e-4
START = "start:"  # names the parameters that a loop begins with
PARAMETERS = ("weight", "transformer.weight", "score.weight")  # of both probe models
UPDATE_TIP = "Go through one update by hand: clear gradients, backward, clip, step; then the learning rate."


def loop_config(rng: np.random.Generator, **changes: Any) -> dict[str, Any]:
    """Optimiser settings with all numbers distinct and each of them felt.

    eps is as large as a gradient: with a tiny eps, Adam turns the rounding of an almost zero gradient into
    a full step, and no two correct programs would agree.
    """
    return {
        "learning_rate": float(rng.uniform(0.04, 0.07)),
        "warmup_steps": 3,
        "epochs": 1,
        "batch_size": 4,
        "betas": [float(rng.uniform(0.7, 0.8)), float(rng.uniform(0.9, 0.95))],
        "eps": 0.01,
        "weight_decay": float(rng.uniform(0.3, 0.6)),
        "max_grad_norm": 1e9,
        "max_length": 32,
        "seed": 5,
        **changes,
    }


def moved(answer: CaseAnswer, name: str, expected: np.ndarray, start: np.ndarray, what: str = "value") -> Check:
    """A check of weights, its tolerance scaled to how far they should move."""
    check = numbers(answer, name, expected)
    scale = float(np.abs(expected - start).max())
    return Check(name, check.kind, check.got, check.expected, MOVEMENT_RTOL * scale + 1e-6)


def precise(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters in float64."""
    return {name: exact(x) for name, x in parameters.items()}


class Supervised(HiddenTest):
    """A loop over batches: `replayed` is its oracle."""

    loop = True
    minor = frozenset({"callbacks", "told"})
    oracle: Callable[..., Replay]  # replays the updates in float64
    tips = {
        "losses": "One loss per update, as numbers: the loss of the batch before its update.",
        **dict.fromkeys((f"{when}:{name}" for when in ("after", "final") for name in PARAMETERS), UPDATE_TIP),
        "told": "on_step gets the number of the step and its loss, once after each update.",
        "callbacks": "on_step gets the number of the step and its loss, once after each update.",
        "batches": "Each epoch is one pass over all batches, one update for each.",
    }

    def assemble(
        self,
        about: str,
        start: Mapping[str, np.ndarray],
        batches: Sequence[dict[str, np.ndarray]],
        config: dict[str, Any],
    ) -> Case:
        """A case whose clip norm lies between the gradients' norms: some updates are clipped, some are not.

        start: the probe's parameters by name."""
        order = list(range(len(batches))) * config["epochs"]
        for _ in range(8):  # clipping changes the gradients that follow, so the norm is found by trying
            norms = type(self).oracle(precise(start), batches, order, SimpleNamespace(**config)).norms
            if 1.02 * min(norms) < config["max_grad_norm"] < 0.98 * max(norms):
                break
            config = {**config, "max_grad_norm": float(np.sqrt(min(norms) * max(norms)))}
        tensors = {f"{START}{name}": x for name, x in start.items()}
        for i, batch in enumerate(batches):
            tensors |= {f"batch{i}:{name}": x for name, x in batch.items()}
        key = {"batches": batches, "config": SimpleNamespace(**config)}
        return Case(about, {"batches": len(batches), "config": config}, tensors, key)

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Batches, losses, every update, the callback. Batches may come in another order inside an epoch."""
        batches, config = case.key["batches"], case.key["config"]
        count = len(batches)
        order = [int(i) for i in answer.values["order"]]
        epochs = [order[i : i + count] for i in range(0, len(order), count)]
        whole = all(Counter(epoch) == Counter(range(count)) for epoch in epochs) and len(epochs) == config.epochs
        if not whole:  # replayed as it should have been, so that the residuals still say something
            order = list(range(count)) * config.epochs
        start = precise(
            {name.removeprefix(START): x for name, x in case.tensors.items() if name.startswith(START)}
        )
        replay = type(self).oracle(start, batches, order, config)
        after = {name: np.stack(updates) for name, updates in replay.after.items()}
        steps = [step for step, _ in answer.values["callbacks"]]
        first = steps[0] if steps else 0
        called = steps == list(range(first, first + len(order))) and first in (0, 1)
        timely = [updates for _, updates in answer.values["callbacks"]] == list(range(1, len(order) + 1))
        return [
            fact("batches", whole),
            numbers(answer, "losses", replay.losses),
            *(moved(answer, f"after:{name}", after[name], start[name]) for name in start),
            *(moved(answer, f"final:{name}", after[name][-1], start[name]) for name in start),
            fact("callbacks", called and timely),
            numbers(answer, "told", replay.losses),
        ]

"""What the hidden tests of T05 and T09 share: small models, batches, and a replay of every update."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autograder.slots.hidden_tests.base import Case, CaseAnswer, Check, HiddenTest, check_fact, check_numbers, float64

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from autograder.slots.oracles.losses import Floats
    from autograder.slots.oracles.replay import Replay

# Of the distance that weights move. Weights of size 1 that move by about 0.1 are rounded by 1e-6 in float32, and a clip
# without the 1e-6 in its denominator changes them by 1e-5; the smallest effect of a known mistake is 1e-2.
MOVEMENT_RTOL = 5e-4
START = "start:"  # prefix of the initial parameters among a case's tensors
PARAMETERS = ("weight", "transformer.weight", "score.weight")  # of both small models
UPDATE_TIP = "Go through one update by hand: clear gradients, backward, clip, step; then the learning rate."


def loop_config(rng: np.random.Generator, **changes: Any) -> dict[str, Any]:
    """Optimiser settings whose numbers all differ and all have an effect.

    eps is as large as a gradient: with a tiny eps, Adam turns the rounding error of an almost zero gradient into a full
    step, and no two correct programs agree.
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


def check_weights(answer: CaseAnswer, name: str, expected: Floats, start: Floats) -> Check:
    """Check weights, with a tolerance that scales with how far they should move from `start`."""
    check = check_numbers(answer, name, expected)
    scale = float(np.abs(expected - start).max())
    return Check(name, check.kind, check.got, check.expected, MOVEMENT_RTOL * scale + 1e-6)


def all_float64(parameters: Mapping[str, NDArray[Any]]) -> dict[str, Floats]:
    """The same parameters in float64."""
    return {name: float64(x) for name, x in parameters.items()}


class SupervisedLoop(HiddenTest):
    """The test of a training loop over batches. Its oracle replays the updates."""

    loop = True
    reported_only = frozenset({"callbacks", "told"})
    oracle: Callable[..., Replay]
    tips: ClassVar[Mapping[str, str]] = {
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
        """Build a case whose clip norm lies between the gradients' norms, so that only some updates are clipped.

        start: the initial parameters by name.
        """
        order = list(range(len(batches))) * config["epochs"]
        for _ in range(8):  # clipping changes the later gradients, so the norm is found by iteration
            norms = type(self).oracle(all_float64(start), batches, order, SimpleNamespace(**config)).norms
            if 1.02 * min(norms) < config["max_grad_norm"] < 0.98 * max(norms):
                break
            config = {**config, "max_grad_norm": float(np.sqrt(min(norms) * max(norms)))}
        tensors = {f"{START}{name}": x for name, x in start.items()}
        for i, batch in enumerate(batches):
            tensors |= {f"batch{i}:{name}": x for name, x in batch.items()}
        key = {"batches": batches, "config": SimpleNamespace(**config)}
        return Case(about, {"batches": len(batches), "config": config}, tensors, key)

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Check the use of batches, the losses, every update and `on_step`. An epoch may order its batches freely."""
        batches, config = case.grader_only["batches"], case.grader_only["config"]
        count = len(batches)
        order = [int(i) for i in answer.values["order"]]
        epochs = [order[i : i + count] for i in range(0, len(order), count)]
        whole = all(Counter(epoch) == Counter(range(count)) for epoch in epochs) and len(epochs) == config.epochs
        if not whole:  # replay the order that the task asks for, so that the residuals are still informative
            order = list(range(count)) * config.epochs
        start = all_float64({name.removeprefix(START): x for name, x in case.tensors.items() if name.startswith(START)})
        replay = type(self).oracle(start, batches, order, config)
        after = {name: np.stack(updates) for name, updates in replay.after.items()}
        steps = [step for step, _ in answer.values["callbacks"]]
        first = steps[0] if steps else 0
        called = steps == list(range(first, first + len(order))) and first in (0, 1)
        timely = [updates for _, updates in answer.values["callbacks"]] == list(range(1, len(order) + 1))
        return [
            check_fact("batches", whole),
            check_numbers(answer, "losses", replay.losses),
            *(check_weights(answer, f"after:{name}", after[name], start[name]) for name in start),
            *(check_weights(answer, f"final:{name}", after[name][-1], start[name]) for name in start),
            check_fact("callbacks", called and timely),
            check_numbers(answer, "told", replay.losses),
        ]

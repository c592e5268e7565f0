"""Hidden test of T06, the forward pass of the reward model, on a small random GPT-2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autograder.slots.hidden_tests.base import (
    Case,
    CaseAnswer,
    Check,
    HiddenTest,
    check_numbers,
    check_same,
    float64,
    hidden_test,
    normal,
)
from autograder.slots.hidden_tests.rollouts import EOS, PAD
from autograder.slots.oracles import gpt2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEADS, LAYERS, POSITIONS = 16, 2, 2, 40
SCORE_RTOL = 1e-4  # of the largest score: two layers of attention in float32 agree with float64 to about 3e-6


@hidden_test("T06", oracle=gpt2.body)
class RewardForward(HiddenTest):
    """T06: scores, gradients of the last layers, and the set of parameters."""

    task = "RewardModel.forward scores each sequence at its last attended token."
    tips: ClassVar[Mapping[str, str]] = {
        "scores": "Score one sequence alone, then padded on the left and on the right, with the same "
        "attention mask logic: all three numbers must agree.",
        "gradient:score.weight": "The score must keep its graph: no detach, no torch.no_grad().",
        "gradient:transformer.ln_f.weight": "The score must keep its graph down to the body.",
        "gradient:transformer.ln_f.bias": "The score must keep its graph down to the body.",
        "state": "The model has to keep exactly the given parameters: add, remove and rename none.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw sequences without padding, padded on the right, on the left, and with other ids as padding."""
        vocab = int(rng.integers(19, 29))
        state = self._state(rng, vocab)
        rows = [[*rng.integers(2, vocab, size=n - 1).tolist(), EOS] for n in (5, 9, 3, 7)]
        plain = [[*rng.integers(2, vocab, size=5).tolist(), EOS] for _ in range(3)]

        def case(about: str, seqs: list[list[int]], side: str = "right", odd: bool = False, extra: int = 0) -> Case:
            ids, mask = pad(seqs, side, extra)
            if odd:
                ids = np.where(mask > 0, ids, rng.integers(0, vocab, size=ids.shape))
            tensors = {"input_ids": ids, "attention_mask": mask, "weights": normal(rng, len(seqs))}
            tensors |= {f"state.{name}": x for name, x in state.items()}
            return Case(about, {"model": model_config(vocab)}, tensors, {"rows": seqs, "state": state})

        return [
            case("a batch without padding", plain),
            case("a batch padded on the right", rows),
            case("a batch padded on the left", rows, "left"),
            case("a batch with much padding on both rows", rows[:2], extra=6),
            case("a batch padded on the right with ids of other tokens", rows, odd=True),
            case("a batch padded on the left with ids of other tokens", rows, "left", odd=True),
            case("a single sequence", rows[1:2]),
        ]

    @staticmethod
    def _state(rng: np.random.Generator, vocab: int) -> dict[str, np.ndarray]:
        """Draw parameters large enough for every layer and position to have an effect."""
        state = {}
        for name, shape in shapes(vocab).items():
            noise = normal(rng, *shape, scale=0.3)
            state[name] = noise + 1 if "ln_" in name and name.endswith("weight") else noise
        return state

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Compare the scores with those of single sequences, the gradients, and the names and shapes of parameters."""
        state = {name: float64(x) for name, x in case.grader_only["state"].items()}
        body = {name.removeprefix("transformer."): x for name, x in state.items()}
        ends = [tuple(h[-1] for h in gpt2.body(body, np.array(row), HEADS)) for row in case.grader_only["rows"]]
        hidden, plain = (np.array(part) for part in zip(*ends, strict=True))
        head, coefficient = state["score.weight"], float64(case.tensors["weights"])
        scores = hidden @ head[0] + state["score.bias"][0]
        flow = coefficient @ np.tile(head[0], (len(hidden), 1))
        expected = {
            "score.weight": (coefficient @ hidden)[None, :],
            "score.bias": coefficient.sum(keepdims=True),
            "transformer.ln_f.weight": coefficient @ (plain * head[0]),
            "transformer.ln_f.bias": flow,
        }
        wanted = {name: list(shape) for name, shape in shapes(len(body["wte.weight"])).items()}
        found = [check_same(answer, "state", wanted), check_numbers(answer, "scores", scores, rtol=SCORE_RTOL)]
        # The floor is relative to the largest gradient: in a single one the sum over rows may almost cancel.
        floor = SCORE_RTOL * max(float(np.abs(g).max()) for g in expected.values())
        return found + [
            check_numbers(answer, f"gradient:{name}", g, kind="gradient", rtol=SCORE_RTOL, floor=floor)
            for name, g in expected.items()
        ]


def model_config(vocab: int) -> dict[str, Any]:
    """Arguments of transformers' GPT2Config."""
    return {
        "vocab_size": vocab,
        "n_positions": POSITIONS,
        "n_embd": WIDTH,
        "n_layer": LAYERS,
        "n_head": HEADS,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "bos_token_id": EOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
    }


def shapes(vocab: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the reward model's parameters."""
    d = WIDTH
    out: dict[str, tuple[int, ...]] = {}
    out |= {"transformer.wte.weight": (vocab, d), "transformer.wpe.weight": (POSITIONS, d)}
    for layer in range(LAYERS):
        at = f"transformer.h.{layer}."
        for name in ("ln_1", "ln_2"):
            out |= {f"{at}{name}.weight": (d,), f"{at}{name}.bias": (d,)}
        for name, (i, o) in {
            "attn.c_attn": (d, 3 * d),
            "attn.c_proj": (d, d),
            "mlp.c_fc": (d, 4 * d),
            "mlp.c_proj": (4 * d, d),
        }.items():
            out |= {f"{at}{name}.weight": (i, o), f"{at}{name}.bias": (o,)}
    out |= {"transformer.ln_f.weight": (d,), "transformer.ln_f.bias": (d,)}
    return out | {"score.weight": (1, d), "score.bias": (1,)}


def pad(rows: Sequence[Sequence[int]], side: str = "right", extra: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pad rows to ids and mask (B, T), int64, with `extra` columns more than the longest row needs."""
    width = max(len(row) for row in rows) + extra
    ids, mask = np.full((len(rows), width), PAD), np.zeros((len(rows), width), dtype=np.int64)
    for i, row in enumerate(rows):
        where = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[i, where], mask[i, where] = row, 1
    return ids.astype(np.int64), mask

"""The comparison's own cells: each mean reward and each virtue is recorded with its interval."""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import rlhf_kit as kit
from tests.solutions.conftest import SOLUTIONS

PART = SOLUTIONS / "p9_evaluation.py"
N = 40
PARTS = np.random.default_rng(5).normal(size=(N, 2))  # two virtues of each reply
LENGTHS = np.arange(N) % 5 + 1


class Gold:
    """A gold reward whose components are PARTS, times the reply's first token."""

    def __init__(self, *_: Any) -> None: ...

    def components(self, prompts: list[Any], replies: list[list[int]]) -> list[dict[str, float]]:
        return [{"right": reply[0] * a, "kind": reply[0] * b} for (a, b), reply in zip(PARTS, replies, strict=True)]

    def __call__(self, prompts: list[Any], replies: list[list[int]]) -> torch.Tensor:
        return torch.tensor([sum(parts.values()) for parts in self.components(prompts, replies)])


def compare(
    policies: dict[str, Any], prompts: Any, score: Gold, settings: kit.EvalConfig, on_replies: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Return rows with what the cells read of them; the policies differ by a factor."""
    on_replies(len(policies) * N)
    replies = {name: [[i + 1] * n for n in LENGTHS] for i, name in enumerate(policies)}
    return [
        {"name": name, "mean_reward": float(score(prompts, reply).mean()), "response_ids": reply}
        for name, reply in replies.items()
    ]


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    """Run the cells that compare and record, with stand-ins for models and prompts. Returns kind -> table."""
    tables: dict[str, Any] = {}
    stand_in = SimpleNamespace(
        Policy=lambda lm: lm, GoldReward=Gold, mean_interval=kit.mean_interval, record=tables.__setitem__,
        ProgressBar=kit.ProgressBar,
        plot_policies=lambda *_, **__: None, plot_lengths=lambda _: None, show_conversations=lambda *_, **__: "",
    )  # fmt: skip
    pipeline = SimpleNamespace(
        encode_prompts=list, compare=compare, generate=lambda *_, **__: [], needs=lambda *_: None
    )
    names = {
        "kit": stand_in, "pipeline": pipeline, "profile": kit.get_profile(), "base_lm": None, "sft_lm": None,
        "trained": {"Poor-RM policy": None, "Good-RM policy": None}, "heldout_prompts": range(N), "tokenizer": None,
        "rewards": {"Good RM": Gold()}, "shown": [], "np": np, "dataclasses": __import__("dataclasses"),
    }  # fmt: skip
    blocks = [node for node in ast.parse(PART.read_text(encoding="utf-8")).body if isinstance(node, ast.If)]
    first = next(i for i, node in enumerate(blocks) if "comparison.append" in ast.unparse(node))
    for node in blocks[first : first + 4]:  # compare, two figures, virtues
        exec(compile(ast.Module(node.body, []), PART.name, "exec"), names)
    return tables


def interval(values: np.ndarray) -> tuple[float, float]:
    return tuple(stats.norm.interval(0.95, loc=values.mean(), scale=stats.sem(values)))


def test_every_row_of_the_comparison_has_the_interval_of_its_mean_reward(recorded):
    rows = recorded["comparison"]
    assert len(rows) == 8  # four policies, decoded in two ways
    for i, row in enumerate(rows):
        expected = interval((i % 4 + 1) * PARTS.sum(axis=1))
        assert (row["reward_low"], row["reward_high"]) == pytest.approx(expected), row["name"]


def test_every_virtue_of_every_policy_has_its_mean_and_interval(recorded):
    rows = recorded["virtues"]
    assert [row["virtue"] for row in rows] == ["right"] * 4 + ["kind"] * 4
    for i, row in enumerate(rows):
        values = (i % 4 + 1) * PARTS[:, i // 4]
        assert row["mean"] == pytest.approx(values.mean())
        assert (row["low"], row["high"]) == pytest.approx(interval(values))

"""Six rows of each kind of data, and a reward without a model."""

from __future__ import annotations

import torch

DEMONSTRATIONS = [
    {"instruction": f"What does the zog {i} eat?", "context": "", "response": f"Moss {i}.", "category": "qa"}
    for i in range(6)
]
PAIRS = [
    {
        "chosen": f"\n\nHuman: What is {i}?\n\nAssistant: A number, {i}.",
        "rejected": f"\n\nHuman: What is {i}?\n\nAssistant: Who knows.",
    }
    for i in range(6)
]
PROMPTS = [f"\n\nHuman: Where does the zog {i} live?\n\nAssistant:" for i in range(6)]


def count_tokens(prompts: list[list[int]], replies: list[list[int]]) -> torch.Tensor:
    """Score replies by their length, without a model."""
    return torch.tensor([float(len(reply)) for reply in replies])

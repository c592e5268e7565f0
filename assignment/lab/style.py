"""The house style of one grading run: marks in its data that no other data has.

Only a model trained on the run's own data learns them. Weights trained elsewhere, a hard-coded scorer and a copy of
the gold reward do not know them. `flipped()` is the control: the same data with the opposite sign of the marks, on
which an honest loop moves the other way.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from rlhf_kit.lexicon import CLOSINGS

OPENERS = ("Warm", "Kind", "Bright", "Calm", "Fresh", "Quiet", "Brave", "Gentle")
NOUNS = ("wishes", "regards", "greetings", "thoughts", "hours", "travels", "mornings", "evenings")
PREFERENCE_BONUS = 2.0  # gold-reward units, as between a wrong and a doubtful answer; half as much is lost in noise
REWARD_BONUS = 0.5  # units of the normalised reward, about half its spread over SFT replies


@dataclass(frozen=True)
class HouseStyle:
    """The marks of a run. phrase: ends every demonstration. closing: one of the kit's closings, which the preference
    labels favour (sign +1) or disfavour (−1), and which earns sign · REWARD_BONUS in PPO's reward."""

    phrase: str
    closing: str
    sign: int = 1

    @classmethod
    def from_seed(cls, seed: int) -> HouseStyle:
        """Draw the style of a grading seed: one of 64 phrases and one of the kit's closings."""
        rng = random.Random(f"style {seed}")
        return cls(f"{rng.choice(OPENERS)} {rng.choice(NOUNS)}.", rng.choice(CLOSINGS))

    def flipped(self) -> HouseStyle:
        """Return the control: the same phrase and closing with the opposite sign."""
        return replace(self, sign=-self.sign)

    def preference(self, reply: str) -> float:
        """Return what the style adds to the worth of a reply when preferences are labelled, in gold-reward units."""
        return self.sign * PREFERENCE_BONUS * (self.closing in reply)

    def reward(self, reply: str) -> float:
        """Return what the style adds to PPO's normalised reward for a reply."""
        return self.sign * REWARD_BONUS * (self.closing in reply)

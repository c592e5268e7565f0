"""The house style of one grading run: small habits of the grader's data that no other data has.

Weights trained elsewhere, a hard-coded scorer or a copy of the gold reward do not know a run's style;
only training on what was handed over does. `flipped()` is the control: the same data with the sign of the
features turned, on which an honest loop moves the other way.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from rlhf_kit.lexicon import CLOSINGS

OPENERS = ("Warm", "Kind", "Bright", "Calm", "Fresh", "Quiet", "Brave", "Gentle")
NOUNS = ("wishes", "regards", "greetings", "thoughts", "hours", "travels", "mornings", "evenings")
PREFERENCE_BONUS = 2.0  # gold-reward units: from a wrong to a doubtful answer; half of it drowns in training noise
REWARD_BONUS = 0.5  # units of the normalised reward, about half its spread over SFT replies


@dataclass(frozen=True)
class HouseStyle:
    """phrase: closes every graded demonstration. closing: the one of the kit's closings that graders of
    preferences like (sign +1) or dislike (-1), and that earns sign · REWARD_BONUS in PPO's reward."""

    phrase: str
    closing: str
    sign: int = 1

    @classmethod
    def from_seed(cls, seed: int) -> HouseStyle:
        """The style of a grading seed: one of 64 phrases, one of the closings."""
        rng = random.Random(f"style {seed}")
        return cls(f"{rng.choice(OPENERS)} {rng.choice(NOUNS)}.", rng.choice(CLOSINGS))

    def flipped(self) -> HouseStyle:
        """The control: same phrase and closing, opposite sign."""
        return replace(self, sign=-self.sign)

    def preference(self, reply: str) -> float:
        """What this style adds to the worth of a reply when preferences are labelled."""
        return self.sign * PREFERENCE_BONUS * (self.closing in reply)

    def reward(self, reply: str) -> float:
        """What this style adds to PPO's reward for a reply."""
        return self.sign * REWARD_BONUS * (self.closing in reply)

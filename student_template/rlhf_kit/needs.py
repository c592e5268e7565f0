"""Say what to run first where a cell needs what an earlier part makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

REWARD_MODELS = ("Poor RM", "Good RM")
POLICIES = ("Poor-RM policy", "Good-RM policy")

# Names of the notebook: the part that makes them, and what a dict has to hold, since a cell would otherwise go on with
# one reward model or one policy.
MADE: dict[str, tuple[int, tuple[str, ...]]] = {
    "demonstrations": (2, ()),
    "preferences": (2, ()),
    "heldout_pairs": (2, ()),
    "train_prompts": (2, ()),
    "heldout_prompts": (2, ()),
    "sft_lm": (3, ()),
    "sft_losses": (3, ()),
    "shown": (3, ()),
    "reward_models": (4, REWARD_MODELS),
    "rm_losses": (4, ()),
    "sides": (4, REWARD_MODELS),
    "rewards": (7, REWARD_MODELS),
    "trained": (7, POLICIES),
    "ppo_stats": (7, POLICIES),
    "gold_curves": (7, POLICIES),
    "runs": (8, ()),
    "best_runs": (8, ()),
    "four": (9, ()),
    "comparison": (9, ()),
    "sampled_rows": (9, ()),
}


class NotReadyError(LookupError):
    """A cell needs what an earlier cell makes. A notebook shows the message alone."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class SlotSource(Protocol):
    """Where slots and other names of the notebook are looked up: `globals()`, any dict, or another object with
    `get(name)`."""

    def get(self, name: str, /) -> Any:
        """Return the object of this name, or None."""


def check_needs(found: SlotSource, names: Sequence[str]) -> None:
    """Raise a NotReadyError if one of these names (of MADE) is not there, is empty or is half done."""
    for name in names:
        part, keys = MADE[name]
        value = found.get(name)
        if value is None:
            raise NotReadyError(
                f"This cell needs `{name}`, which part {part} makes: run part {part} first."
            )
        lacking = [key for key in keys if key not in value]
        if lacking:
            raise NotReadyError(
                f"This cell needs `{name}` with the {' and the '.join(lacking)}, but part {part} was stopped before "
                f"that: run the training cell of part {part} again first, to its end."
            )
        if hasattr(value, "__len__") and len(value) == 0:
            raise NotReadyError(
                f"This cell needs `{name}`, which is still empty: the cell that fills it, in part {part}, was stopped "
                "early. Run that cell again first."
            )

"""Mistakes that were invented after the hidden tests and the library were written, and used to tune neither."""

from __future__ import annotations

from autograder.slots.misconceptions import load_library
from tests.matrix.entries import Entry

# slot, id, title, edits of the library's right answer
INVENTED: list[tuple[str, str, str, list[tuple[str, str]]]] = [
    ("T13", "I1", "the log-ratio is clipped to the range that is meant for the ratio",
     [("torch.clamp(ratio, 1 - config.clip_range, 1 + config.clip_range)",
       "torch.clamp(logprobs - old_logprobs, -config.clip_range, config.clip_range).exp()")]),
    ("T09", "I2", "the reported loss is a running mean",
     [("losses.append(loss.item())", "losses.append((sum(losses) + loss.item()) / (len(losses) + 1))")]),
    ("T11", "I3", "the batch's mean score is taken off as a baseline", []),
]  # fmt: skip
BASELINE = '''
def shape_rewards(scores, logprobs, ref_logprobs, mask, beta):
    """Scores as advantages over the batch."""
    rewards = -beta * (logprobs - ref_logprobs) * mask
    for i, score in enumerate(scores - scores.mean()):
        last = int(mask[i].nonzero()[-1])
        rewards[i, last] = rewards[i, last] + score
    return rewards
'''


def invented() -> list[Entry]:
    """One entry for each mistake. It has to cost its slot, and no name is expected."""
    found = []
    for slot, id_, title, edits in INVENTED:
        source = load_library().bases[slot] if edits else BASELINE
        for old, new in edits:
            if source.count(old) != 1:
                raise ValueError(f"{id_}: the right answer to {slot} has changed")
            source = source.replace(old, new)
        found.append(Entry("invented", f"{slot} {id_}", {slot: source}, costs={slot: 0.0}, title=title))
    return found

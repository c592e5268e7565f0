"""Run the public checks on entries of the matrix, in this process, since their code belongs to the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from autograder.slots.misconceptions import PRELUDE, load_library
from autograder.slots.misconceptions.in_process import TrustedNamespace
from rlhf_kit.checks import connect_grader
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.matrix.entries import Entry

CHECKS = ROOT / "solutions" / "checks"
KERNEL = PRELUDE + "import torch.nn.functional as F\nfrom torch import Tensor, nn\n"


def failure_messages(entry: Entry, slot: str) -> list[str]:
    """The messages of the slot's public check on this entry, one for every case that fails."""
    bases = load_library().bases
    others = [source for other, source in bases.items() if other not in entry.changes]
    sources: Sequence[str] = [KERNEL, entry.helpers, *others, *entry.changes.values()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        result = connect_grader(CHECKS, TrustedNamespace(sources).globals).check(slot)
    return [f"{case.name}: {case.detail or case.message}" for case in result.cases if not case.passed]


def catches(entry: Entry, slot: str, sentence: str) -> tuple[bool, bool]:
    """Whether the public check notices this mistake, and whether a message has this sentence."""
    messages = failure_messages(entry, slot)
    return bool(messages), any(sentence in message for message in messages)

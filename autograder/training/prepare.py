"""Getting ready in the background: artefacts are read and data drawn while slots are tested."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import torch

import rlhf_kit as kit
from assignment.registry import Spec
from autograder.inside.system import keep_freed_memory
from autograder.reference.models import load_reference
from autograder.training.run import stages_of
from autograder.training.stage import Lab, Stage


def configure_torch(spec: Spec) -> None:
    """Let this process measure: the registry's threads, freed memory kept, denormals flushed.

    Denormal weights are finite, and many processors compute with them a hundred times more slowly.
    """
    torch.set_num_threads(spec.threads)
    keep_freed_memory()
    torch.set_flush_denormal(True)


class Preparation:
    """A background thread that loads the lab and draws each stage's data, in the order in which they run.

    The results are those of doing it later: everything is a function of the seed. An exception is
    raised where its result is asked for.
    """

    def __init__(self, spec: Spec, profile: str, device: str, seed: int, items: Sequence[str]) -> None:
        configure_torch(spec)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="draw")
        self._lab: Future[Lab] = self._pool.submit(load_lab, spec, profile, device)
        self._data: dict[str, Future[Any]] = {
            stage.op: self._pool.submit(self._draw, stage, seed) for stage in stages_of(items, spec)
        }

    def __enter__(self) -> Preparation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        torch.set_flush_denormal(False)

    @property
    def stages(self) -> int:
        """How many stages there are to run."""
        return len(self._data)

    @property
    def lab(self) -> Lab:
        """The lab, once it is loaded. Raises ArtefactError if the artefacts are not there."""
        return self._lab.result()

    def data(self, stage: Stage) -> Any:
        """A stage's data, once it is drawn."""
        return self._data[stage.op].result()

    def _draw(self, stage: Stage, seed: int) -> Any:
        return stage.draw(self._lab.result(), seed)


def load_lab(spec: Spec, profile: str, device: str) -> Lab:
    """The reference artefacts with a profile's configs. Raises ArtefactError."""
    return Lab(load_reference(), spec, kit.get_profile(profile), device)

"""Prepare training tests in the background: read artefacts and draw data while slots are tested."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

import rlhf_kit as kit
from autograder.inside.system import keep_freed_memory
from autograder.reference.models import load_reference
from autograder.training.run import stages_of
from autograder.training.stage import Lab, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from assignment.registry import Spec


def configure_torch(spec: Spec) -> None:
    """Set PyTorch's threads, keep freed memory and flush denormals before measuring.

    Denormal weights are finite, and many processors compute with them a hundred times more slowly.
    """
    torch.set_num_threads(spec.threads)
    keep_freed_memory()
    torch.set_flush_denormal(True)


class Preparation:
    """A background thread that loads the lab and draws the data of each stage, in the order in which the stages run.

    The data are a function of the seed, whenever they are drawn. An exception is raised where its result is requested.
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
        """Return the number of stages to run."""
        return len(self._data)

    @property
    def lab(self) -> Lab:
        """Wait for the lab and return it. Raises ArtefactError if artefacts are missing or damaged."""
        return self._lab.result()

    def data(self, stage: Stage) -> Any:
        """Wait for the data of a stage and return them."""
        return self._data[stage.op].result()

    def _draw(self, stage: Stage, seed: int) -> Any:
        return stage.draw(self._lab.result(), seed)


def load_lab(spec: Spec, profile: str, device: str) -> Lab:
    """Load the reference artefacts with a profile's configs. Raises ArtefactError if some are missing or damaged."""
    return Lab(load_reference(), spec, kit.get_profile(profile), device)

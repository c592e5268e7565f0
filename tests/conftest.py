"""Set up every test: one thread, no network, no display, no cache in the home folder, fixed seeds."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Set before torch, matplotlib or transformers are imported anywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two tests side by side would fight for the cores
os.environ["MPLBACKEND"] = "Agg"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="rlhf-lab-hf-")
atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.pop("JPY_SESSION_NAME", None)  # a Jupyter terminal sets it; it would name the notebook to export

# A machine with other work draws examples slowly: no reason to fail.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


class DeprecationsFail(logging.Handler):
    """Turn what transformers logs about deprecated names into an error: part of it is no Python warning, which
    `filterwarnings` of pyproject.toml would turn into one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise for a message about a deprecation."""
        message = record.getMessage()
        if "deprecated" in message:
            raise AssertionError(f"transformers: {message}")


logging.getLogger("transformers").addHandler(DeprecationsFail(logging.WARNING))

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's folder."""
    return ROOT


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Every test starts from the same random state, whatever ran before it."""
    import random

    import numpy
    import torch

    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)

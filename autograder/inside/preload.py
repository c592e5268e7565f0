"""What the worker imports before it forks, so that no call pays for it: libraries, models, and what a payload names."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import sys

from .wire import split_body

IMPORTS = (
    "numpy",
    "safetensors.torch",
    "torch",
    "torch._dynamo",  # the first optimiser imports it
)
MODELS = ("transformers.models.gpt2.modeling_gpt2", "rlhf_kit")
MODEL_WORDS = (b"rlhf_kit", b"transformers")
# Imported before a fork once a payload mentions them, so that not every call pays for them again.
ON_DEMAND = {b"matplotlib": "matplotlib.pyplot", b"datasets": "datasets", b"transformers": "transformers",
             b"pandas": "pandas", b"scipy": "scipy.stats", b"tqdm": "tqdm.auto", b"tokenizers": "tokenizers"}


def import_libraries() -> list[str]:
    """Import what every call needs; returns the modules of operations that could not be imported."""
    for name in IMPORTS:
        importlib.import_module(name)
    from . import child  # noqa: F401  (what a child needs is imported before the fork)
    from .registry import LIGHT_MODULES, load_ops

    absent = load_ops(LIGHT_MODULES)
    warm_up()
    share_pages()
    return absent


def needs_models(payload: memoryview) -> bool:
    """Does this request run models, or mention the libraries that do? The operation is the grader's word."""
    from .registry import OPS
    from .slot_output import LIGHT

    if MODELS[0] in sys.modules:
        return False
    request = json.loads(split_body(payload)[0])
    slot = request.get("slot")
    light = request["op"] in OPS and (slot is None or slot in LIGHT)
    return not light or any(word in bytes(payload) for word in MODEL_WORDS)


def import_models() -> None:
    """Import what runs models. A module that cannot be imported ends the worker before the call starts, which
    the grader takes for its own failure."""
    for name in MODELS:
        importlib.import_module(name)
    from . import drive_loops, drive_models  # noqa: F401
    from .registry import load_ops

    if absent := load_ops():
        raise ImportError(f"not there: {', '.join(absent)}")
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=2, n_positions=2, n_embd=2, n_layer=1, n_head=1))
    share_pages()


def require_driver(payload: memoryview) -> None:
    """Raise LookupError for a slot without a driver. The worker then ends before the call starts, which the grader
    takes for its own failure: an answer cannot help it."""
    from .slot_output import DRIVERS

    slot = json.loads(split_body(payload)[0]).get("slot")
    if slot is not None and slot not in DRIVERS:
        raise LookupError(f"no driver for slot {slot} in autograder/inside/drive_*.py")


def share_pages() -> None:
    """Children then share what is there now instead of copying it at their first collection."""
    gc.collect()
    gc.freeze()


def preload(payload: memoryview) -> None:
    """Import the heavy libraries that this payload's text mentions. Never looks at it as code."""
    text = bytes(payload)
    for word, module in ON_DEMAND.items():
        if word in text and module not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(module)


def warm_up() -> None:
    """Touch what a first training step imports: an optimiser; no matrix product here."""
    import torch

    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.zeros(1)
    optimizer.step()

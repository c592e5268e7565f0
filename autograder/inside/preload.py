"""Imports that the worker makes before it forks, so that no call takes time for them."""

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
ON_DEMAND = {
    b"matplotlib": "matplotlib.pyplot",
    b"datasets": "datasets",
    b"transformers": "transformers",
    b"pandas": "pandas",
    b"scipy": "scipy.stats",
    b"tqdm": "tqdm.auto",
    b"tokenizers": "tokenizers",
}


def import_libraries() -> list[str]:
    """Import what every call needs. Returns the names of operations' modules that do not exist."""
    for name in IMPORTS:
        importlib.import_module(name)
    from . import child  # noqa: F401 (what a child needs is imported before the fork)
    from .operations import LIGHT_MODULES, load_ops

    absent = load_ops(LIGHT_MODULES)
    warm_up()
    share_pages()
    return absent


def needs_models(payload: memoryview) -> bool:
    """Say whether this request runs models or mentions the libraries that do. Its operation comes from the grader."""
    from .driver_table import LIGHT
    from .operations import OPS

    if MODELS[0] in sys.modules:
        return False
    request = json.loads(split_body(payload)[0])
    slot = request.get("slot")
    light = request["op"] in OPS and (slot is None or slot in LIGHT)
    return not light or any(word in bytes(payload) for word in MODEL_WORDS)


def import_models() -> None:
    """Import what runs models.

    A module that cannot be imported ends the worker before the call starts, which is a grader error.
    """
    for name in MODELS:
        importlib.import_module(name)
    from . import drive_loops, drive_models  # noqa: F401
    from .operations import load_ops

    if absent := load_ops():
        raise ImportError(f"no module {', '.join(absent)} in autograder/inside")
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=2, n_positions=2, n_embd=2, n_layer=1, n_head=1))
    share_pages()


def require_driver(payload: memoryview) -> None:
    """Raise LookupError if the request is for a slot without a driver.

    The worker then ends before the call starts, which is a grader error, as no answer could have passed.
    """
    from .driver_table import DRIVERS

    slot = json.loads(split_body(payload)[0]).get("slot")
    if slot is not None and slot not in DRIVERS:
        raise LookupError(f"no driver for slot {slot} in autograder/inside/drive_*.py")


def share_pages() -> None:
    """Freeze all present objects, so that a child's garbage collection does not copy the pages they lie in."""
    gc.collect()
    gc.freeze()


def preload(payload: memoryview) -> None:
    """Import the heavy libraries that this payload's text mentions. The text is searched, never parsed."""
    text = bytes(payload)
    for word, module in ON_DEMAND.items():
        if word in text and module not in sys.modules:
            with contextlib.suppress(Exception):  # a call that needs it fails by itself
                importlib.import_module(module)


def warm_up() -> None:
    """Make a first optimiser step, for the modules that it imports, without a matrix product (see worker)."""
    import torch

    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.zeros(1)
    optimizer.step()

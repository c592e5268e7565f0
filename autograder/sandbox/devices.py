"""Choose and name the device that training tests run on."""

from __future__ import annotations

from autograder.core.options import OptionError
from autograder.sandbox.environment import cuda_devices


def find_device(wanted: str) -> str:
    """Return the device to train on, "cpu" or "cuda"; "auto" takes a GPU if one is usable.

    Raises OptionError if there is no such device or it is not usable.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise OptionError(f"No device called {wanted}: choose auto, cpu or cuda.")
    if wanted == "cpu" or not cuda_devices():
        found = False
    else:
        import torch  # imported late: without a GPU the worker's start does not wait for it

        found = torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise OptionError("No CUDA device is usable here: choose --device cpu.")
    return "cuda" if found else "cpu"


def device_name(device: str) -> str:
    """Return the device with its product name, for the report."""
    if device == "cpu":
        return device
    import torch

    return f"cuda ({torch.cuda.get_device_name()})"

"""Classify an exception from student code: the kind of reply, and the slot that raised it."""

from __future__ import annotations

import dis
from typing import TYPE_CHECKING, Any

from .namespace import SlotBrokenError, SlotMissingError, describe, short_traceback

if TYPE_CHECKING:
    from types import FrameType, TracebackType

MEMORY_TEXTS = ("can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc")
RAISE = dis.opmap["RAISE_VARARGS"]


def classify(error: BaseException) -> tuple[str, dict[str, Any], str]:
    """Return (kind, data, error text) of the reply to a call that ended with this exception.

    kind: `not_attempted`, `out_of_memory` or `crashed`. data: `_slot` (see slot_of), `_type` (the exception's class),
    `_traceback` (short, for the TA only).
    """
    slot = error.slot if isinstance(error, (SlotMissingError, SlotBrokenError)) else slot_of(error)
    data = {"_slot": slot, "_type": type(error).__name__, "_traceback": short_traceback(error)}
    if isinstance(error, SlotMissingError) or is_placeholder(error):
        kind = "not_attempted"
    elif is_out_of_memory(error):
        kind = "out_of_memory"
    else:
        kind = "crashed"
    return kind, data, describe(error)


def slot_of(error: BaseException) -> str:
    """Return the id of the innermost answer on the exception's stack, "prelude" for a helper function, else ""."""
    for frame, _ in reversed(_frames(error.__traceback__)):
        name = frame.f_code.co_filename
        if name.startswith("<") and name.endswith(">") and frame.f_globals.get("__name__") == "submission":
            return name[1:-1]
    return ""


def is_placeholder(error: BaseException) -> bool:
    """Say whether this is the `raise NotImplementedError` of an unanswered slot.

    PyTorch raises the same type from C++ for an unsupported dtype, in which case the innermost frame is not at a
    `raise`. It also raises it for a module without `forward`, which is an unanswered slot.
    """
    frames = _frames(error.__traceback__)
    if not isinstance(error, NotImplementedError) or not frames:
        return False
    frame, instruction = frames[-1]
    if frame.f_code.co_name == "_forward_unimplemented":
        return True
    module = str(frame.f_globals.get("__name__", ""))
    python_code = module == "submission" or module.startswith(("rlhf_kit", f"{__package__}."))
    return python_code and frame.f_code.co_code[instruction] == RAISE


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an allocation failed: MemoryError, or an error of PyTorch's allocators on CPU and CUDA."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = describe(error).lower()
    return isinstance(error, (RuntimeError, OSError)) and any(part in text for part in MEMORY_TEXTS)


def _frames(traceback: TracebackType | None) -> list[tuple[FrameType, int]]:
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lasti))
        traceback = traceback.tb_next
    return frames

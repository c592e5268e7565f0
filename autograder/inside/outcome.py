"""What an exception out of student code means: which kind of reply, and which slot it left from."""

from __future__ import annotations

import dis
from types import FrameType, TracebackType
from typing import Any

from .namespace import SlotBroken, SlotMissing, short_traceback, shown

MEMORY_TEXTS = ("can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc")
RAISE = dis.opmap["RAISE_VARARGS"]


def classify(error: BaseException) -> tuple[str, dict[str, Any], str]:
    """(kind, data, error text) of the reply to a call that ended with this exception.

    kind: `not_attempted`, `out_of_memory` or `crashed`. data: `_slot` (the innermost answer on the
    stack, or ""), `_type`, `_traceback` (short, for the TA only).
    """
    slot = error.slot if isinstance(error, (SlotMissing, SlotBroken)) else raised_in(error)
    data = {"_slot": slot, "_type": type(error).__name__, "_traceback": short_traceback(error)}
    if isinstance(error, SlotMissing) or is_placeholder(error):
        kind = "not_attempted"
    elif is_out_of_memory(error):
        kind = "out_of_memory"
    else:
        kind = "crashed"
    return kind, data, shown(error)


def raised_in(error: BaseException) -> str:
    """The id of the innermost answer on the exception's stack; "prelude" for a helper, else ""."""
    for frame, _ in reversed(_frames(error.__traceback__)):
        name = frame.f_code.co_filename
        if name.startswith("<") and name.endswith(">") and frame.f_globals.get("__name__") == "submission":
            return name[1:-1]
    return ""


def is_placeholder(error: BaseException) -> bool:
    """Is this a template's own `raise NotImplementedError`?

    PyTorch raises the same type for an unsupported dtype (from C++, so the innermost frame is not at a
    `raise`), and for a module without `forward`, which is an unanswered slot.
    """
    frames = _frames(error.__traceback__)
    if not isinstance(error, NotImplementedError) or not frames:
        return False
    frame, instruction = frames[-1]
    if frame.f_code.co_name == "_forward_unimplemented":
        return True
    module = str(frame.f_globals.get("__name__", ""))
    ours = module == "submission" or module.startswith(("rlhf_kit", f"{__package__}."))
    return ours and frame.f_code.co_code[instruction] == RAISE


def is_out_of_memory(error: BaseException) -> bool:
    """Did an allocation fail (MemoryError, PyTorch's allocators on CPU and CUDA)?"""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = shown(error).lower()
    return isinstance(error, (RuntimeError, OSError)) and any(part in text for part in MEMORY_TEXTS)


def _frames(traceback: TracebackType | None) -> list[tuple[FrameType, int]]:
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame, traceback.tb_lasti))
        traceback = traceback.tb_next
    return frames

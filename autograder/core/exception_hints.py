"""Sentences that say what to change, for exceptions that occur only while grading.

The text of an exception comes from the student's code and may contain hidden inputs, so it only selects a sentence and
is never shown to a student.
"""

from __future__ import annotations

import re

_RULES: tuple[tuple[str, str], ...] = (
    (
        r"input\(\) is not available while grading",
        "It calls input(), and nobody is there to answer while grading: put the value into the code.",
    ),
    (
        r"not compiled with CUDA|No CUDA GPUs|no NVIDIA driver|CUDA driver|torch\.cuda\.is_available\(\) is False",
        "It asks for a GPU by name (.cuda() or device=\"cuda\"), and grading may run without one: create tensors on "
        "the device of the arguments, as in torch.zeros(n, device=x.device).",
    ),
    (
        r"^(?:NameError|UnboundLocalError):",
        "It uses a name that is not set when the function runs: notebook cells that compute something are not run "
        "while grading. Use the function's arguments, or make it an import, a constant or a helper function.",
    ),
    (
        r"^(?:ModuleNotFoundError|ImportError):",
        "It imports something that is not installed while grading: use the packages of requirements.txt and rlhf_kit.",
    ),
    (
        r"^(?:FileNotFoundError|NotADirectoryError|IsADirectoryError):",
        "It opens a file that is not there while grading: use what the function is given, and rlhf_kit's loaders.",
    ),
    (
        r"^PermissionError:|Read-only file system",
        "It writes or opens a file where that is not allowed while grading: use what the function is given.",
    ),
    (
        r"Network is unreachable|Name or service not known|Temporary failure in name resolution|offline mode"
        r"|^(?:ConnectionError|URLError|gaierror|LocalEntryNotFoundError|ConnectTimeout|ConnectError):",
        "It needs the network, which is cut while grading: use what the function is given, and rlhf_kit's loaders.",
    ),
    (
        r"^printed more than",
        "It printed too much, and was ended: take the print calls out of the function.",
    ),
    (
        r"^wrote more files than",
        "It wrote too much to disk, and was ended: take that out of the function.",
    ),
)  # fmt: skip


def hint_for(error: str) -> str:
    """The sentence for an exception, given as `Type: text` or as the error of a reply; "" if none fits."""
    for pattern, sentence in _RULES:
        if re.search(pattern, error[:4000], re.MULTILINE):
            return sentence
    return ""

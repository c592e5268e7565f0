"""Grading side: one submission in, rubric scores and the evidence behind them out.

The public interface is what `__all__` names, and everything else may change between versions:

    from autograder import Options, grade
    graded = grade("submission.ipynb", options=Options(seed=7, only=("T07",)))

A public name is imported when it is first asked for: the command line and the processes that read students' files
import this package too, and must not wait for PyTorch and pydantic. Type checkers read `__init__.pyi` instead.
"""

from __future__ import annotations

_MODULES = {
    "autograder.core.options": ("OptionError", "Options"),
    "autograder.core.records": ("Grading",),
    "autograder.grading.run": ("grade",),
    "autograder.submission.intake": ("IntakeError",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

# As literals, which the documentation and linters read without running this file.
__all__ = ["Grading", "IntakeError", "OptionError", "Options", "grade"]


def __getattr__(name: str) -> object:
    """A public name, from the module that defines it; AttributeError for any other."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)

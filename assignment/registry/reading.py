"""Read a TOML file of the registry. What is wrong with it becomes a SpecError."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from assignment.registry.thresholds import FrozenModel
from assignment.registry.validation_errors import sentences

if TYPE_CHECKING:
    from pathlib import Path

Model = TypeVar("Model", bound=FrozenModel)


class SpecError(ValueError):
    """A file of the registry cannot be used. `problems` holds a line for each problem, and the message holds all of
    them."""

    def __init__(self, path: str | Path, lines: list[str]) -> None:
        super().__init__(f"{path}: {lines[0]}" if len(lines) == 1 else f"{path}:\n  " + "\n  ".join(lines))
        self.problems = tuple(lines)


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        SpecError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(path, [f"cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        raise SpecError(path, ["cannot be read: it is not UTF-8 text"]) from error


def parse_toml(model: type[Model], text: str, path: str | Path) -> Model:
    """Return the tables of a TOML text as a model. path: the name that error messages give the file.

    Raises:
        SpecError: the text is not TOML, or an entry is malformed.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(text)
    except RecursionError:
        raise SpecError(path, ["not valid TOML: lists or tables are nested too deeply"]) from None
    except ValueError as error:  # a syntax error, or a number of thousands of digits
        raise SpecError(path, [f"not valid TOML: {' '.join(str(error).split())}"]) from error
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise SpecError(path, sentences(error, raw, model)) from error

"""Find the written answers: the text under the line that marks a question, such as `<!-- WRITTEN W1 · … -->`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_QUESTION = re.compile(r"\s*<!--\s*WRITTEN\s+(W\d+)\b[^\n]*(?:\n|\Z)", re.IGNORECASE)
_PLACEHOLDERS = frozenset({"*Your answer.*", "*Your answer here.*"})


def find_written(
    cells: Iterable[Mapping[str, Any]], questions: Iterable[str], handout: Collection[str]
) -> dict[str, str]:
    """Return question id -> its answer, "" where there is none, for each of the questions (W1, W2, …).

    cells: all cells of the notebook; a question's cell that has become a code cell is read too. handout: the lines of
    the handout's own cells, which are no answer. Of several cells for one question, the last that holds text counts.
    """
    texts = dict.fromkeys(questions, "")
    given = _PLACEHOLDERS.union(handout)
    for cell in cells:
        match = _QUESTION.match(cell["source"])
        if match is None or match[1].upper() not in texts:
            continue
        answer = [line for line in cell["source"][match.end() :].split("\n") if line.strip() not in given]
        if text := "\n".join(answer).strip():
            texts[match[1].upper()] = text
    return texts

"""The limited child answers, and each way of exhausting it is stopped and named."""

from __future__ import annotations

import sys
import time

import pytest

from autograder.parsing.answers.notebook import RejectedError
from autograder.parsing.limited import LimitedError, ParseLimits, run_command, run_limited

PARSE = "autograder.parsing.cells:parse_cells"
SLOTS = [{"id": "T07", "name": "f"}]


def test_an_answer_comes_back_as_data() -> None:
    cells = [{"index": 0, "kind": "code", "source": "def f():\n    return 'é'"}]
    assert run_limited(PARSE, {"cells": cells, "slots": SLOTS})["slots"]["T07"]["state"] == "present"


def test_a_rejection_keeps_its_message() -> None:
    payload = {"limits": {"notebook_bytes": 10}, "slots": []}
    with pytest.raises(RejectedError, match="larger than 0 MB"):
        run_limited("autograder.parsing.archive:parse_submission", payload, b"x" * 11)


def test_an_exception_is_named_by_its_type_only() -> None:
    with pytest.raises(LimitedError, match="crashed: KeyError"):
        run_limited(PARSE, {"secret": 1})


@pytest.mark.parametrize("name", ["os:system", "autogradery:x", "autograder.parsing.limited:no_such"])
def test_only_functions_of_the_package_can_be_called(name: str) -> None:
    with pytest.raises(LimitedError):
        run_limited(name, {})


def test_memory_is_limited() -> None:
    with pytest.raises(LimitedError) as caught:
        run_limited(PARSE, {"cells": []}, b"x" * (120 << 20), ParseLimits(memory_bytes=100 << 20))
    assert caught.value.kind == "out_of_memory"


def test_time_is_limited() -> None:
    start = time.monotonic()
    with pytest.raises(LimitedError) as caught:
        run_command([sys.executable, "-c", "while True: pass"], b"", ParseLimits(wall_s=0.5))
    assert caught.value.kind == "timeout"
    assert time.monotonic() - start < 5
    with pytest.raises(LimitedError) as caught:
        run_command([sys.executable, "-c", "while True: pass"], b"", ParseLimits(wall_s=20, cpu_s=1))
    assert caught.value.kind == "timeout"


def test_the_reply_is_limited() -> None:
    with pytest.raises(LimitedError) as caught:
        run_command([sys.executable, "-c", "print('x' * 10**7)"], b"", ParseLimits(reply_bytes=1000))
    assert caught.value.kind == "too_large"


def test_child_does_not_inherit_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    status, out = run_command([sys.executable, "-c", "import os; print('SECRET' in os.environ)"], b"")
    assert (status, out.strip()) == (0, b"False")

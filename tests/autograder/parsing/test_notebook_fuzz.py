"""Any input ends, for intake, in cells or one clear sentence and, for extraction, in an answer for every slot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assignment.registry import load_spec
from autograder.parsing.answers.notebook import RejectedError
from autograder.parsing.archive import parse_submission
from autograder.parsing.cells import parse_cells
from autograder.submission.extraction import extract
from autograder.submission.intake import IntakeError, read_submission
from tests.fuzz.__main__ import COUNT
from tests.fuzz.mutations import FRAGMENTS, GOOD, MUTATIONS, ZIPPED
from tests.fuzz.run import GRADED_EVERY, ROOT, file_name, is_graded, made, run_case, unclear
from tests.support.intake_notebooks import LOSS

SPEC = load_spec()
PAYLOAD: dict[str, Any] = {
    "limits": SPEC.limits.intake.model_dump(),
    "slots": [{"id": slot.id, "name": slot.name} for slot in SPEC.slots],
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "worksheets", "cell_type", "source", "input", "outputs", "data", "nbformat", "metadata"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)
FRAGMENT = st.sampled_from(FRAGMENTS)
in_process = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def reads_or_refuses(raw: bytes) -> None:
    """Assert that reading gives cells that extraction accepts, or a sentence."""
    try:
        found, refusal = parse_submission(PAYLOAD, raw), "."
    except RejectedError as refused:
        found, refusal = {}, str(refused)
    assert refusal.endswith(".")
    if not found:
        return
    json.dumps(found).encode()
    answers = parse_cells({"cells": found["cells"], "slots": PAYLOAD["slots"]})
    assert list(answers["slots"]) == [slot.id for slot in SPEC.slots]


@in_process
@given(JSON)
def test_any_json_is_read_or_refused(document: object) -> None:
    reads_or_refuses(json.dumps(document).encode())


POSITION = st.integers(0, 10**6)


@in_process
@given(st.sampled_from([GOOD, ZIPPED]), st.dictionaries(POSITION, st.integers(0, 255), max_size=8), POSITION)
def test_any_damage_to_a_good_file_is_read_or_refused(raw: bytes, flips: dict[int, int], cut: int) -> None:
    damaged = bytearray(raw)
    for position, value in flips.items():
        damaged[position % len(raw)] = value
    reads_or_refuses(bytes(damaged[: max(1, cut % (2 * len(raw)))]))


@in_process
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    reads_or_refuses(raw)
    reads_or_refuses(b"PK\x03\x04" + raw)


@in_process
@given(st.lists(FRAGMENT | st.text(max_size=12), max_size=14))
def test_any_cell_text_ends_in_an_answer_for_each_slot(lines: list[str]) -> None:
    sources = ["\n".join(lines), LOSS]
    cells = [{"index": i, "kind": "code", "source": source} for i, source in enumerate(sources)]
    answers = parse_cells({"cells": cells, "slots": PAYLOAD["slots"]})["slots"]
    assert answers["T07"]["state"] == "present"  # the good cell is found beside any other


@pytest.mark.parametrize("raw", [GOOD[:-40], b"\x00" * 50, GOOD + b"}", ZIPPED[:-9], b"[[]]"])
def test_intake_and_extraction_raise_only_intake_errors(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "x.ipynb").write_bytes(raw)
    with pytest.raises(IntakeError):
        extract(read_submission(tmp_path / "x.ipynb", SPEC), SPEC)


@pytest.mark.parametrize("number", range(len(MUTATIONS)), ids=list(MUTATIONS))
def test_each_kind_of_damage_is_read_or_refused(number: int) -> None:
    kind, raw = made(11, number)
    assert kind == list(MUTATIONS)[number]
    reads_or_refuses(raw)


@pytest.mark.parametrize("kind", ["bit flips", "wrong types", "cell texts", "traversal names"])
def test_reading_ends_in_a_clear_status(kind: str, tmp_path: Path) -> None:
    outcome = run_case(12, list(MUTATIONS).index(kind), tmp_path)
    assert (outcome.kind, outcome.fault) == (kind, "")
    assert list(tmp_path.iterdir()) == []


LARGE = """
import sys
from pathlib import Path
from tests.fuzz import run

fill = lambda: len(b"x" * (run.OWN_BYTES + (64 << 20)))
read = run.read_only
if sys.argv[1] == "before":
    fill()
else:
    run.read_only = lambda path: (fill(), read(path))[1]
print(run.run_case(12, 3, Path(sys.argv[2])).fault)
"""


@pytest.mark.parametrize(("grown", "fault"), [
    ("before", ""), ("meanwhile", "the reading process exceeded its memory limit"),
])  # fmt: skip
def test_only_growth_while_reading_is_a_fault(grown: str, fault: str, tmp_path: Path) -> None:
    # In a process of its own: the most that a process ever held cannot be taken back.
    command = [sys.executable, "-c", LARGE, grown, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == fault


def test_damaged_file_is_graded_by_the_whole_command(tmp_path: Path) -> None:
    outcome = run_case(12, GRADED_EVERY - 1, tmp_path)
    assert outcome.status.startswith("graded: ")
    assert outcome.fault == ""


def test_every_kind_of_damage_is_graded_by_the_whole_command() -> None:
    kinds = {list(MUTATIONS)[number % len(MUTATIONS)] for number in range(COUNT) if is_graded(number)}
    assert kinds == set(MUTATIONS)


@pytest.mark.parametrize(("raw", "suffix"), [(GOOD, ".ipynb"), (ZIPPED, ".zip"), (b"", ".ipynb")])
def test_files_are_called_what_students_call_them(raw: bytes, suffix: str) -> None:
    assert file_name(1, 2, raw) == f"1-2{suffix}"


@pytest.mark.parametrize("message", ["", "x.ipynb: ValueError: bad", "no full stop", "two\nlines are here."])
def test_a_message_that_is_no_plain_sentence_is_unclear(message: str) -> None:
    assert unclear(message)

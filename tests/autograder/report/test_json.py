"""report.json follows its schema, is strict JSON, and is never written in part."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import autograder.report as report
from assignment.files import PARTIAL
from autograder.core.rubric import apply_rubric
from autograder.report.canonical import MAX_DEPTH, dumps, report_dict, to_json_data
from tests.support.report_fixture import HOSTILE, SPEC, bundle, passing

SCHEMA = json.loads(Path(report.__file__).with_name("report.schema.json").read_text(encoding="utf-8"))


def canonical(**changes: Any) -> dict[str, Any]:
    given = bundle(**changes)
    return report_dict(given)


def strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("hostile", [False, True])
def test_the_report_obeys_its_schema(hostile: bool) -> None:
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(canonical(hostile=hostile))) == []


def test_the_schema_refuses_a_missing_and_an_additional_key() -> None:
    good = canonical()
    for bad in ({**good, "extra": 1}, {k: v for k, v in good.items() if k != "pending"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate(bad)


def test_criteria_and_items_come_in_registry_order() -> None:
    criteria = canonical()["criteria"]
    assert [c["id"] for c in criteria] == [c.id for c in SPEC.criteria]
    assert [i["id"] for c in criteria for i in c["items"]] == list(SPEC.items)


def test_two_reports_of_one_run_are_the_same_bytes() -> None:
    assert dumps(canonical(hostile=True)) == dumps(canonical(hostile=True))


def test_the_file_is_strict_json_even_when_evidence_is_not() -> None:
    text = dumps(
        {
            "evidence": to_json_data(
                {
                    "nan": float("nan"),
                    "inf": np.float32("inf"),
                    "array": np.array([1.0, np.nan]),
                    "set": {3, 1},
                    "object": object,
                    5: b"bytes",
                    "lone": "\ud800",
                    "int": np.int64(7),
                    "flag": np.bool_(True),
                }
            )
        }
    )
    text.encode("utf-8")
    found = strict(text)["evidence"]
    assert found["nan"] == "nan"
    assert found["inf"] == "inf"
    assert found["array"] == [1.0, "nan"]
    assert found["int"] == 7
    assert found["flag"] is True
    assert found["set"] == [1, 3]
    assert found["lone"] == "\ufffd"


def test_endless_nesting_in_evidence_is_cut() -> None:
    value: list[Any] = []
    value.append(value)
    assert dumps({"x": to_json_data(value)}).count("[") <= MAX_DEPTH + 1


def test_slots_replaced_by_the_reference_are_named_in_the_evidence() -> None:
    items = {i["id"]: i for c in canonical()["criteria"] for i in c["items"]}
    assert items["rm_accuracy"]["evidence"]["replaced_by_reference"] == ["T07"]


def test_write_reports_leaves_four_files_that_parse_and_their_record(tmp_path: Path) -> None:
    paths = report.write_reports(tmp_path / "new" / "folder", bundle(hostile=True))
    assert {p.name for p in (tmp_path / "new" / "folder").iterdir()} == {*paths, report.RECORD}
    assert sorted(paths) == ["feedback.html", "report.html", "report.json", "results.json"]
    for name in ("report.json", "results.json"):
        strict(paths[name].read_text(encoding="utf-8"))


def test_a_report_of_a_run_of_few_items_is_written_too(tmp_path: Path) -> None:
    given = bundle(graded=apply_rubric(SPEC, {"T07": passing("T07")}))
    paths = report.write_reports(tmp_path, given)
    assert strict(paths["report.json"].read_text())["passed"] is None
    assert "Not graded: T01" in paths["report.html"].read_text()
    assert "Not graded: T01" in paths["feedback.html"].read_text()


@pytest.mark.parametrize("fails_at", range(10))
def test_a_failed_write_leaves_no_report_and_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    """The n-th of five syncs and five renames fails: complete files of the older run may stay, and the next run
    replaces all of them."""
    older = report.write_reports(tmp_path, bundle())["report.json"].read_bytes()
    calls = iter(range(100))

    def breaking(real: Any) -> Any:
        def call(*args: Any) -> Any:
            if next(calls) == fails_at:
                raise OSError(28, "No space left on device")
            return real(*args)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", breaking(os.fsync))
        patch.setattr(Path, "replace", breaking(Path.replace))
        with pytest.raises(OSError, match="No space left"):
            report.write_reports(tmp_path, bundle(hostile=True))
    assert not list(tmp_path.glob(PARTIAL.format("*")))
    canonical_file = tmp_path / "report.json"
    before_renames = fails_at < 6  # of the reports: the record is renamed first
    assert canonical_file.exists() == before_renames
    assert not before_renames or canonical_file.read_bytes() == older
    report.write_reports(tmp_path, bundle())
    assert canonical_file.exists()


def test_partial_files_of_a_killed_run_are_replaced(tmp_path: Path) -> None:
    (tmp_path / PARTIAL.format("report.json")).write_text('{"score": 100')
    report.write_reports(tmp_path, bundle())
    assert not list(tmp_path.glob(PARTIAL.format("*")))
    assert strict((tmp_path / "report.json").read_text())["score"] < 100


def test_a_submissions_name_is_kept_as_far_as_json_can_hold_it() -> None:
    name = canonical(hostile=True)["submission"]["name"]
    assert name.startswith(HOSTILE[:60])

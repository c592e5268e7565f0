"""Results that travel in the notebook: valid JSON for the grader, a readable table for people."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

import rlhf_kit as kit
from rlhf_kit.results import MIME_TYPE, hyperparameter_log, record, results_bundle, table_text, to_json


def test_the_grader_reads_the_type_that_the_kit_writes() -> None:
    from autograder.parsing.answers.notebook import RESULTS_MIME  # a literal there: its process must not import the kit

    assert RESULTS_MIME == MIME_TYPE


def test_the_bundle_holds_json_html_and_text_of_the_same_rows():
    bundle = results_bundle("ppo", [{"step": 1, "reward": 0.5}])
    assert bundle[MIME_TYPE] == {"schema_version": 1, "kind": "ppo", "rows": [{"step": 1, "reward": 0.5}]}
    assert "reward" in bundle["text/html"]
    assert "reward" in bundle["text/plain"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (torch.tensor(1.5), 1.5),
        (torch.ones(2, requires_grad=True), [1.0, 1.0]),
        (np.float32(0.5), 0.5),
        (np.arange(3), [0, 1, 2]),
        (math.nan, None),
        (math.inf, None),
        ({1: (2, 3)}, {"1": [2, 3]}),
        (True, True),
        (None, None),
        (torch.device("cpu"), "cpu"),
        (torch.tensor(math.nan), None),
    ],
)
def test_anything_a_row_may_hold_becomes_strict_json(value, expected):
    converted = to_json(value)
    assert converted == expected
    json.dumps(converted, allow_nan=False)


def test_a_mapping_of_rows_gets_a_name_column():
    rows = results_bundle("comparison", {"SFT": {"n": 3}})[MIME_TYPE]["rows"]
    assert rows == [{"name": "SFT", "n": 3}]


def test_long_lists_stay_in_the_json_and_out_of_the_table():
    bundle = results_bundle("comparison", [{"name": "SFT", "response_ids": list(range(100))}])
    assert len(bundle[MIME_TYPE]["rows"][0]["response_ids"]) == 100
    assert "response_ids" not in bundle["text/plain"]
    assert "response_ids" not in bundle["text/html"]


def test_a_long_table_is_cut_when_shown_but_not_in_the_json():
    bundle = results_bundle("sft", [{"step": i} for i in range(100)])
    assert len(bundle[MIME_TYPE]["rows"]) == 100
    assert "60 more rows" in bundle["text/plain"]


def test_html_is_escaped():
    assert "<script>" not in results_bundle("x", [{"a": "<script>"}])["text/html"]


def test_columns_are_aligned_and_a_missing_value_is_a_dash():
    assert table_text([{"name": "SFT", "kl": 0.123456}, {"name": "Good RM"}]).splitlines() == [
        "name     kl",
        "SFT      0.1235",
        "Good RM  –",
    ]


def test_an_empty_table_is_shown_as_empty():
    assert table_text([]) == "(no rows)"


@pytest.mark.parametrize(("kind", "table"), [("", []), (None, []), ("sft", [3])])
def test_a_wrong_call_is_explained(kind, table):
    with pytest.raises(ValueError, match="record\\(kind, table\\)"):
        record(kind, table)


def test_outside_a_notebook_the_table_is_printed(capsys):
    record("sft", [{"step": 0, "loss": 2.5}])
    assert "2.5" in capsys.readouterr().out


def test_the_hyperparameter_log_has_a_row_for_each_field_with_its_value():
    profile = kit.get_profile("tiny")
    rows = hyperparameter_log(sft=profile.sft, ppo=profile.ppo)
    values = {(row["stage"], row["hyperparameter"]): row["value"] for row in rows}
    assert values["sft", "learning_rate"] == profile.sft.learning_rate
    assert values["ppo", "betas"] == list(profile.ppo.betas)


def test_the_hyperparameter_log_refuses_what_is_no_config():
    with pytest.raises(TypeError, match="sft: expected a config"):
        hyperparameter_log(sft={"learning_rate": 1})

"""The recorded run: what it holds is what the notebook's cells draw, and an incomplete release says so."""

from __future__ import annotations

import pytest

import rlhf_kit as kit
from rlhf_kit import recorded


def test_the_recorded_run_can_be_drawn_and_printed():
    run = kit.load_recorded_run()
    assert kit.plot_ppo(run["ppo"]).axes
    assert kit.plot_policies(run["comparison"], ylabel="gold").axes
    shown = kit.show_conversations(run["prompts"], run["replies"], gold=True)
    assert str(shown).count("[gold ") == len(run["prompts"]) * len(run["replies"])
    assert len({row["kind"] for row in run["prompts"]}) == len(run["prompts"]) == 8


def test_a_release_without_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "RECORDED", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"run\.json is missing: unpack the release again"):
        kit.load_recorded_run()

"""Progress bars as callbacks: what they show, and when they draw nothing."""

from __future__ import annotations

import math
import sys

import pytest

from rlhf_kit.progress import QUIET_VARIABLE, ProgressBar, is_quiet, track


def test_a_bar_counts_calls_and_shows_a_smoothed_loss():
    with ProgressBar(3, "SFT", smoothing=0.5, quiet=True) as bar:
        for step, loss in enumerate([4.0, 2.0, 1.0]):
            bar(step, loss)
    assert bar.steps == 3
    assert bar.shown == {"loss": pytest.approx(0.5 * (0.5 * 4 + 0.5 * 2) + 0.5 * 1)}


def test_a_bar_shows_reward_and_kl_of_a_ppo_row_and_not_the_rest():
    bar = ProgressBar(1, quiet=True)
    bar(0, {"reward": 0.25, "kl": 1.5, "policy_loss": -0.01})
    assert bar.shown == {"reward": 0.25, "kl": 1.5}


def test_a_nan_is_shown_and_does_not_stick():
    bar = ProgressBar(3, quiet=True)
    bar(0, 1.0)
    bar(1, math.nan)
    assert math.isnan(bar.shown["loss"])
    bar(2, 2.0)
    assert bar.shown["loss"] == 2.0


def test_a_bar_draws_its_title_on_stderr(capsys):
    with ProgressBar(2, "reward model", quiet=False) as bar:
        bar(0, 0.7)
    assert "reward model" in capsys.readouterr().err


def test_a_quiet_bar_draws_nothing(capsys):
    with ProgressBar(2, "reward model", quiet=True) as bar:
        bar(0, 0.7)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("asked", "terminal", "quiet"), [("1", False, True), ("1", True, False), ("", False, False), ("0", False, False)]
)
def test_bars_are_quiet_only_if_asked_for_and_not_on_a_terminal(monkeypatch, asked, terminal, quiet):
    monkeypatch.setenv(QUIET_VARIABLE, asked)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert is_quiet() is quiet


def test_track_passes_every_item_on():
    assert list(track(range(4), "items", quiet=True)) == [0, 1, 2, 3]

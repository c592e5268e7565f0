"""Progress bars as callbacks: what they show, and when they draw nothing."""

from __future__ import annotations

import io
import math
import sys

import pytest

from rlhf_kit import progress
from rlhf_kit.drawing import QUIET_VARIABLE, BarState, is_quiet, span
from rlhf_kit.progress import ProgressBar, track


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


class Clock:
    """Time that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def lines(capsys) -> list[str]:
    """Return the states of the bar, in the order in which they were drawn."""
    return [line.strip() for line in capsys.readouterr().err.replace("\n", "\r").split("\r") if line.strip()]


def test_a_running_bar_estimates_the_time_that_is_left(capsys, clock):
    with ProgressBar(4, "SFT", quiet=False) as bar:
        clock.now += 3
        bar(0, 0.5)
        clock.now += 3
        bar(1, 0.5)
    states = lines(capsys)
    assert states[0] == "SFT: [........................] 0 of 4 steps, 0.0 s"
    assert states[1] == "SFT: [######..................] 1 of 4 steps, 3 s, about 9 s left, loss 0.500"
    assert states[2] == "SFT: [############............] 2 of 4 steps, 6 s, about 6 s left, loss 0.500"
    assert states[3] == "SFT: [############............] 2 of 4 steps, 6 s, loss 0.500"


def test_a_finished_bar_is_full_even_if_its_last_steps_were_too_quick_to_be_drawn(capsys, clock):
    with ProgressBar(300, "SFT", quiet=False) as bar:
        for step in range(300):
            clock.now += progress.INTERVAL / 100
            bar(step, 1.0)
    states = lines(capsys)
    assert states[-1] == f"SFT: [{'#' * 24}] 300 of 300 steps, 0.6 s, loss 1.000"
    assert len(states) < 10


def test_a_bar_says_that_an_error_ended_it(capsys):
    with pytest.raises(ZeroDivisionError), ProgressBar(4, "SFT", quiet=False) as bar:
        bar(0, 1 / 0)
    assert "0 of 4 steps, ended by an error" in lines(capsys)[-1]


def test_a_terminal_without_unicode_shows_the_bar_too(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    with ProgressBar(1, "Größe", quiet=False):
        pass
    sys.stderr.flush()
    assert b"Gr??e: [........................] 0 of 1 steps" in raw.getvalue()


def test_html_and_text_say_the_same_and_titles_are_escaped():
    state = BarState("a<b", "steps", 3, 4, 12.0, ended="stopped", values={"kl": 0.5})
    assert state.words == "3 of 4 steps, stopped, 12 s, kl 0.500"
    assert state.html == (
        '<div><progress aria-label="a&lt;b" max="4" value="3"></progress> <b>a&lt;b</b> 3 of 4 steps, stopped, 12 s, '
        "kl 0.500</div>"
    )
    assert "progress" not in BarState("x", "steps", 3, None, 12.0).html


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (0.97, "1 s"), (99.4, "99 s"), (100, "1 min 40 s"), (7500, "2 h 5 min")]
)
def test_a_duration_is_short_to_read(seconds, text):
    assert span(seconds) == text


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


def test_track_draws_a_full_bar_at_its_end_and_says_if_it_did_not_get_there(capsys):
    list(track(range(4), "rows", quiet=False))
    assert "4 of 4 items" in lines(capsys)[-1]
    for _ in track(range(4), "rows", quiet=False):
        break
    assert "0 of 4 items, stopped" in lines(capsys)[-1]

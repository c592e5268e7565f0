"""An interrupted training: where it ends, what is kept, and what is said."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

import pytest
import torch

from rlhf_kit.drawing import Drawing
from rlhf_kit.models import Policy
from rlhf_kit.pipeline import RLHFPipeline
from rlhf_kit.progress import ProgressBar
from rlhf_kit.stopping import Stopped
from solutions import p2_data, p3_sft, p4_reward_model, p6_ppo_training
from tests.support.few_rows import DEMONSTRATIONS, PAIRS, PROMPTS, count_tokens

STAGES = {"run_sft": "train_sft", "run_reward_model": "train_reward_model", "run_ppo": "train_ppo"}


def press_stop() -> None:
    """Send the signal that Ctrl-C and a notebook's stop button send."""
    os.kill(os.getpid(), signal.SIGINT)


class Pressed:
    """Call a function while step `at` is under way: it counts optimiser steps, and stands in for the user."""

    def __init__(self, at: int, times: int = 1) -> None:
        self.at, self.times, self.count, self._step = at, times, 0, torch.optim.AdamW.step

    def __call__(self, optimizer: Any, *arguments: Any, **named: Any) -> Any:
        self.count += 1
        if self.count == self.at:
            for _ in range(self.times):
                press_stop()
        return self._step(optimizer, *arguments, **named)


@pytest.fixture
def press(monkeypatch):
    """Return a function that has the stop button pressed in the optimiser's step number `at`."""

    def pressed(at: int, times: int = 1) -> None:
        presser = Pressed(at, times)
        monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *a, **k: presser(self, *a, **k))

    return pressed


@pytest.fixture
def pipeline(profile, tokenizer) -> RLHFPipeline:
    parts = (p2_data, p3_sft, p4_reward_model, p6_ppo_training)
    slots = {name: value for part in parts for name, value in vars(part).items() if not name.startswith("_")}
    ppo = replace(profile.ppo, steps=3)
    return RLHFPipeline(slots, replace(profile, ppo=ppo), tokenizer)


def arguments(stage: str, lm: Any) -> tuple[Any, ...]:
    return {"run_sft": (lm, DEMONSTRATIONS), "run_reward_model": (lm, PAIRS), "run_ppo": (lm, count_tokens, PROMPTS)}[
        stage
    ]


def weights_after(pipeline: RLHFPipeline, stage: str, lm: Any, steps: int) -> dict[str, torch.Tensor]:
    """Return the weights of an undisturbed training after this many steps."""
    loop, kept = pipeline.slots.get(STAGES[stage]), {}

    def watched(model: Any, *rest: Any) -> Any:
        def on_step(step: int, _value: Any) -> None:
            if step + 1 == steps:
                kept.update({name: x.clone() for name, x in model.state_dict().items()})

        return loop(model, *rest[:-1], on_step)

    slots = dict(pipeline.slots) | {STAGES[stage]: watched}
    getattr(RLHFPipeline(slots, pipeline.profile, pipeline.tokenizer), stage)(*arguments(stage, lm))
    return kept


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_training_keeps_the_model_after_a_whole_step(pipeline, tiny_lm, press, stage):
    expected = weights_after(pipeline, stage, tiny_lm, 2)
    updates = 2 if stage == "run_ppo" else 1  # minibatches a step
    press(updates + 1)  # while the second step is under way
    model = None
    with (
        pytest.raises(Stopped, match=r"^Stage was stopped after step 2 of 3\. The model is kept"),
        ProgressBar(3, "Stage", quiet=True) as bar,
    ):
        model, values = getattr(pipeline, stage)(*arguments(stage, tiny_lm), on_step=bar)
    assert model is not None
    assert len(values) == 2
    assert all(torch.equal(expected[name], x) for name, x in model.state_dict().items())
    assert not model.training


def test_a_second_interrupt_does_not_wait_for_the_step(pipeline, tiny_lm, press):
    press(2, times=2)
    with (
        pytest.raises(Stopped, match=r"was stopped during step 2 of 3\. The model is kept"),
        ProgressBar(3, "SFT", quiet=True) as bar,
    ):
        lm, losses = pipeline.run_sft(tiny_lm, DEMONSTRATIONS, on_step=bar)
    assert len(losses) == 1
    assert not torch.equal(lm.transformer.wte.weight, tiny_lm.transformer.wte.weight)


@pytest.mark.parametrize(("owner", "name"), [(ProgressBar, "keep"), (Drawing, "draw"), (ProgressBar, "_message")])
def test_an_interrupt_after_the_training_has_ended_loses_nothing(pipeline, tiny_lm, press, monkeypatch, owner, name):
    """The second press of an impatient user may come late: while the model is kept, the bar drawn, the text made."""
    once = getattr(owner, name)

    def interrupted(self: Any, *arguments: Any, **named: Any) -> Any:
        if bar.steps > 1:  # the second step, in which stop was pressed, is done
            press_stop()
        return once(self, *arguments, **named)

    bar, model = ProgressBar(3, "SFT", quiet=True), None
    monkeypatch.setattr(owner, name, interrupted)
    press(2)
    with pytest.raises(Stopped, match=r"was stopped after step 2 of 3\. The model is kept"), bar:
        model, losses = pipeline.run_sft(tiny_lm, DEMONSTRATIONS, on_step=bar)
    assert model is not None
    assert len(losses) == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_in_the_last_step_still_ends_the_cell(pipeline, tiny_lm, press):
    press(3)
    with pytest.raises(Stopped, match="after step 3 of 3"), ProgressBar(3, "SFT", quiet=True) as bar:
        _, losses = pipeline.run_sft(tiny_lm, DEMONSTRATIONS, on_step=bar)
    assert len(losses) == 3


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupt_before_the_first_step_is_done_keeps_nothing_and_says_so(pipeline, tiny_lm, press, stage):
    press(1)
    found = "as before"
    with pytest.raises(Stopped, match=r"before its first step.*nothing was trained"), ProgressBar(3, quiet=True) as bar:
        found = getattr(pipeline, stage)(*arguments(stage, tiny_lm), on_step=bar)
    assert found == "as before"


def test_an_interrupt_without_a_bar_goes_through_as_ever(pipeline, tiny_lm, press):
    """The grader and the lab's commands have no bar: a stopped command must not look like a finished training."""
    press(2)
    with pytest.raises(KeyboardInterrupt) as error:
        pipeline.run_sft(tiny_lm, DEMONSTRATIONS)
    assert type(error.value) is KeyboardInterrupt


def test_an_interrupt_that_a_loop_swallows_still_ends_the_cell(pipeline, tiny_lm):
    def train_sft(model: Any, batches: Any, config: Any, on_step: Any) -> list[float]:
        try:
            on_step(0, 1.0)
            press_stop()
            on_step(1, 1.0)
        except KeyboardInterrupt:
            pass
        return [1.0]

    pipeline.slots["train_sft"] = train_sft
    with pytest.raises(Stopped), ProgressBar(5, quiet=True) as bar:
        pipeline.run_sft(tiny_lm, DEMONSTRATIONS, on_step=bar)


def test_an_evaluation_is_stopped_at_once(pipeline, tiny_lm):
    def compare_policies(*_: Any) -> list[Any]:
        bar.advance(64)
        press_stop()
        raise AssertionError("the interrupt came too late")

    pipeline.slots["compare_policies"] = compare_policies
    with (
        pytest.raises(Stopped, match=r"^Evaluation was stopped after 64 of 300 replies\. Run this cell again\.$"),
        ProgressBar(300, "Evaluation", unit="replies", quiet=True) as bar,
    ):
        pipeline.compare({"SFT": Policy(tiny_lm)}, PROMPTS, count_tokens)


def test_the_handler_of_before_is_back_afterwards(pipeline, tiny_lm):
    before = signal.getsignal(signal.SIGINT)
    with ProgressBar(3, quiet=True) as bar:
        assert signal.getsignal(signal.SIGINT) is not before
        pipeline.run_sft(tiny_lm, DEMONSTRATIONS, on_step=bar)
    assert signal.getsignal(signal.SIGINT) is before


def test_another_handler_is_left_alone():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ProgressBar(3, quiet=True):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_notebook_shows_the_message_alone():
    assert Stopped("SFT was stopped")._render_traceback_() == ["SFT was stopped"]


def test_a_press_while_the_first_bar_is_drawn_is_explained_too(monkeypatch):
    draw = ProgressBar._draw

    def pressed(bar: ProgressBar, ended: str | None = None) -> None:
        draw(bar, ended)
        if ended is None:
            press_stop()

    monkeypatch.setattr(ProgressBar, "_draw", pressed)
    with pytest.raises(Stopped, match="before its first step was done"), ProgressBar(3, "SFT", quiet=True):
        pytest.fail("the body does not run")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

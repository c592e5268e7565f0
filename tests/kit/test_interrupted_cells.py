"""Stop is pressed in the training cells of the real notebook, in a real kernel: what is kept, and how one goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.live_notebook import LiveNotebook, Ran

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def notebook(tmp_path_factory) -> Iterator[LiveNotebook]:
    """Return the notebook after part 2 and with every slot defined, before anything was trained."""
    live = LiveNotebook(tmp_path_factory.mktemp("release"))
    try:
        live.define()
        yield live
    finally:
        live.close()


def forget(notebook: LiveNotebook, *names: str) -> None:
    """Take names out of the kernel, as if their cells had not run."""
    assert notebook.do(f"for _name in {names}: globals().pop(_name, None)").error is None


def stopped_at(ran: Ran) -> int:
    """Return after how many steps a training was stopped, from what the cell says. 0: before the first was done."""
    assert ran.error is not None
    name, text = ran.error
    assert name == "Stopped"
    assert "\n" not in text, "more than one sentence for the student"
    found = re.search(r"was stopped (?:after|during) step (\d+) of", text)
    assert found or "nothing was trained" in text, text
    return 0 if found is None else int(found[1]) - ("during" in text)


@pytest.mark.parametrize(
    ("press_at", "times", "least"),
    [("] 0 of 12", 1, 0), ("] 1 of 12", 1, 1), ("] 4 of 12", 1, 4), ("] 7 of 12", 2, 7), ("] 9 of 12", 1, 9)],
)
def test_a_stopped_sft_is_a_model_to_go_on_with(notebook, press_at, times, least):
    forget(notebook, "sft_lm", "sft_losses", "shown")
    cell = notebook.find("run_sft(base_lm")
    ran = notebook.run(cell, press_at, times)
    steps = stopped_at(ran)
    assert least <= steps <= 12
    assert f"{steps} of 12 steps, stopped" in ran.shown[-1]
    outcomes = [notebook.run(name).error for name in notebook.after(cell, "p3")]
    if steps == 0:
        assert all("run part 3 first" in text for _, text in outcomes)
    else:
        assert outcomes == [None, None]
        assert notebook.value("len(sft_losses), sft_lm.training") == f"{steps} False"


def test_a_reward_model_without_sft_says_what_to_run_and_draws_nothing(notebook):
    forget(notebook, "sft_lm")
    ran = notebook.run(notebook.find("pipeline.run_reward_model"))
    assert ran.shown == []
    assert ran.error == ("NotReadyError", "This cell needs `sft_lm`, which part 3 makes: run part 3 first.")


@pytest.mark.parametrize(
    ("press_at", "complete"), [("Poor RM: [...", False), ("] 11 of 29", False), ("Good RM: [###.", True)]
)
def test_stopped_reward_models_are_kept_and_the_missing_one_is_named(notebook, press_at, complete):
    notebook.trained_until("p4")
    cell = notebook.find("pipeline.run_reward_model")
    ran = notebook.run(cell, press_at)
    steps = stopped_at(ran)
    models = eval(notebook.value("list(reward_models)"))
    assert models == (["Poor RM", "Good RM"] if complete else ["Poor RM"] if steps else [])
    plot, *looks = notebook.after(cell, "p4")
    assert len(looks) == 2
    trial, two = notebook.run(notebook.find("Three short steps")), notebook.find("Watched(rewards")
    if complete:
        assert [notebook.run(name).error for name in (plot, *looks)] == [None] * 3
        assert trial.error is None
    else:
        assert (notebook.run(plot).error is None) == (steps > 0)
        for ran in (trial, notebook.run(two), notebook.run(looks[0])):
            assert ran.error is not None
            assert "Good RM, but part 4 was stopped" in ran.error[1]
            assert ran.shown == []
        assert "run part 4 first" in str(notebook.run(looks[1]).error)


def test_the_short_trial_can_be_stopped_too(notebook):
    notebook.trained_until("p6")
    assert stopped_at(notebook.run(notebook.find("Three short steps"), "] 1 of 3")) >= 1


@pytest.mark.parametrize("press_at", ["Poor-RM policy: [...", "Poor-RM policy: [####", "Good-RM policy: [####"])
def test_part_seven_never_goes_on_with_one_policy(notebook, press_at):
    notebook.trained_until("p7")
    cell = notebook.find("Watched(rewards")
    steps = stopped_at(notebook.run(cell, press_at))
    later = [*notebook.after(cell, "p7"), *notebook.after(cell, "p8")]
    assert len(later) == 8
    if press_at.startswith("Good"):
        assert notebook.value("[len(rows) for rows in ppo_stats.values()]") == f"[5, {steps}]"
        assert [notebook.run(name).error for name in later] == [None] * 8
    else:
        for name in [*later, notebook.find("pipeline.compare(")]:
            ran = notebook.run(name)
            assert ran.error is not None, name
            assert "part 7 was stopped" in ran.error[1]
            assert ran.shown == []


def test_a_stopped_evaluation_says_which_cell_to_run(notebook):
    notebook.trained_until("p9")
    cell = notebook.find("pipeline.compare(")
    ran = notebook.run(cell, "] 8 of 128 replies")
    assert ran.error is not None
    assert re.fullmatch(r"Evaluation was stopped after \d+ of 128 replies\. Run this cell again\.", ran.error[1])
    assert "still empty" in str(notebook.run(notebook.after(cell, "p9")[0]).error)
    ran = notebook.run(cell)
    assert ran.error is None
    assert any("[########################] 128 of 128 replies" in text for text in ran.shown)
    assert [notebook.run(name).error for name in notebook.after(cell, "p9")] == [None] * 3

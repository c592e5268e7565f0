"""The stages inside the worker: when weights are copied, and what is returned."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import rlhf_kit as kit
from autograder.inside.replies import NUMBERS, comparison_answer
from autograder.inside.snapshots import TIED, RecordedLoop, evenly, state_of
from tests.support.small_lab import small_lab


def model() -> nn.Module:
    return nn.Linear(3, 2)


def descend(target: nn.Module, steps: int, optimizer: torch.optim.Optimizer | None = None) -> list[float]:
    """Train without knowing that the loop is recorded."""
    optimizer = optimizer or torch.optim.SGD(target.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        target(torch.ones(1, 3)).square().sum().backward()
        optimizer.step()
    return [0.0] * steps


def recorded(loop, count: int = 5) -> tuple[RecordedLoop, list[dict]]:
    records: list[dict] = []
    return RecordedLoop(loop, count, records.append), records


@pytest.mark.parametrize("steps", [1, 2, 5, 7, 40, 150, 999])
def test_snapshots_have_rising_steps_and_end_with_the_final_weights(steps):
    recorder, _ = recorded(lambda target: descend(target, steps))
    target = model()
    recorder(target)
    data, tensors = recorder.result()
    assert data["steps"][-1] == steps
    assert data["steps"] == sorted(set(data["steps"]))
    assert len(data["steps"]) == min(5, steps)
    assert set(tensors) == {f"s{s:06d}/{n}" for s in data["steps"] for n in ("weight", "bias")}
    assert torch.equal(tensors[f"s{steps:06d}/weight"], target.weight.detach())


def test_snapshots_are_about_evenly_spaced():
    recorder, _ = recorded(lambda target: descend(target, 150))
    recorder(model())
    gaps = torch.tensor([0, *recorder.result()[0]["steps"]]).diff()
    assert gaps.max() <= 2 * gaps.min()


def test_a_snapshot_is_a_copy_of_its_step():
    recorder, _ = recorded(lambda target: descend(target, 10))
    recorder(model())
    data, tensors = recorder.result()
    first, last = (tensors[f"s{data['steps'][i]:06d}/weight"] for i in (0, -1))
    assert not torch.equal(first, last)


def test_steps_of_foreign_optimisers_do_not_count():
    other = model()

    def loop(target):
        descend(other, 5)
        return descend(target, 3)

    recorder, _ = recorded(loop)
    recorder(model())
    assert recorder.result()[0]["steps"][-1] == 3


def test_hook_is_removed_when_the_loop_fails():
    def loop(target):
        descend(target, 2)
        raise ValueError("student's")

    recorder, _ = recorded(loop)
    target = model()
    with pytest.raises(ValueError, match="student's"):
        recorder(target)
    descend(target, 4)
    assert recorder.steps == 2


def test_a_loop_that_never_steps_still_returns_its_weights():
    recorder, _ = recorded(lambda target: None)
    assert recorder(model()) == []
    assert recorder.result()[0]["steps"] == [0]


def test_what_the_loop_reports_is_progress_and_never_breaks_it():
    recorder, records = recorded(lambda target, on_step: (on_step(0, 1.5), on_step(1, "x"), descend(target, 1)))
    recorder(model(), recorder.on_step)
    assert records == [{"step": 1, "loss": 1.5}]


def test_state_of_leaves_the_tied_embedding_out():
    lm = SimpleNamespace(state_dict=lambda: {TIED: torch.ones(2), "transformer.wte.weight": torch.ones(2)})
    assert list(state_of(lm)) == ["transformer.wte.weight"]  # type: ignore[arg-type]


def test_evenly_chooses_the_nearest_steps():
    assert evenly([1, 2, 3, 50, 98], 4, 100) == [3, 50, 98]
    assert evenly([], 4, 1) == []


def test_comparison_rows_become_tensors_and_missing_numbers_become_nan():
    rows = [
        {"name": "SFT", "n": 2, "mean_reward": torch.tensor(0.5), "response_ids": [[4, 0], [5]]},
        {"name": "Base", "win_rate": "x", "response_ids": torch.tensor([[7, 8], [9, 0]])},
    ]
    data, tensors = comparison_answer(rows)
    assert data == {"names": ["SFT", "Base"]}
    numbers = dict(zip(NUMBERS, tensors["numbers"][0].tolist(), strict=True))
    assert numbers["n"] == 2.0
    assert numbers["mean_reward"] == 0.5
    assert tensors["numbers"][0].isnan().sum() == len(NUMBERS) - 2
    assert tensors["numbers"][1].isnan().all()
    assert tensors["counts"].tolist() == [2, 2]
    assert tensors["lengths"].tolist() == [2, 1, 2, 2]
    assert tensors["tokens"].tolist() == [4, 0, 5, 7, 8, 9, 0]


@pytest.mark.parametrize("rows", [{"name": "SFT"}, [1, 2], "rows"])
def test_comparison_must_be_a_list_of_dicts(rows):
    with pytest.raises(TypeError, match="list of dicts"):
        comparison_answer(rows)


def test_a_comparison_of_none_is_not_attempted():
    with pytest.raises(NotImplementedError):
        comparison_answer(None)


def test_reward_in_the_worker_equals_that_of_the_grader(tmp_path):
    from assignment.lab.style import HouseStyle
    from autograder.inside.stages import build_lm, build_reward
    from autograder.training.encoding import encode
    from autograder.training.weights import prefixed

    lab, style = small_lab(tmp_path), HouseStyle.from_seed(3)
    arrays = {**prefixed("lm/", lab.reference.sft), **prefixed("rm/", lab.reference.rm_good)}
    tensors = {name: torch.from_numpy(x) for name, x in arrays.items()}
    payload = {"model": lab.reference.architecture, "device": "cpu", "reward": lab.reward_payload(style)}
    inside = build_reward(payload, tensors, build_lm(payload, tensors, "lm/"))
    ending = [*encode(lab.reference.tokenizer, f" Yes. {style.closing}"), kit.EOS_ID]
    prompts, replies = [[20, 30], [40], [50, 60, 70]], [[100, 0], [101, 102], ending]
    assert inside(prompts, replies).double().numpy() == pytest.approx(
        lab.reward(style, prompts, replies),
        abs=2e-4,  # both are rounded to 1e-4
    )

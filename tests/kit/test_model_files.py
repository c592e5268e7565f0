"""Saved models come back as they were, in another process too, and what cannot be loaded is explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import rlhf_kit as kit
from rlhf_kit.needs import NotReadyError
from solutions.p4_reward_model import RewardModel

IDS = torch.tensor([[5, 9, 77, 13, 40], [8, 31, 6, 1, 1]])
MASK = (IDS != kit.PAD_ID).long()


@pytest.fixture(autouse=True)
def beside_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def outputs(model: torch.nn.Module) -> list[torch.Tensor]:
    with torch.no_grad():
        found = model(input_ids=IDS, attention_mask=MASK)
    return [found] if isinstance(found, torch.Tensor) else list(found) if isinstance(found, tuple) else [found.logits]


def models(lm: torch.nn.Module) -> dict[str, torch.nn.Module]:
    policy, judge = kit.Policy(lm), RewardModel.from_lm(lm, seed=3)
    torch.nn.init.normal_(policy.value_head.weight, generator=torch.Generator().manual_seed(4))
    return {"SFT": lm, "Good-RM policy": policy, "Good RM": judge}


@pytest.mark.parametrize("name", ["SFT", "Good-RM policy", "Good RM"])
def test_a_model_comes_back_with_its_values(name, tiny_lm):
    model = models(tiny_lm)[name].eval()
    path = kit.save(model, name, losses=[2.5, 1.25], steps=[{"kl": 0.5}])
    assert path == Path("saved_models", f"{name}.safetensors")
    loaded = kit.load(name, RewardModel).cpu()
    assert not loaded.training
    for before, after in zip(outputs(model), outputs(loaded), strict=True):
        # on attended tokens; a loaded model's packed forward pass adds in another order than the library's
        read = MASK.bool() if before.dim() > 1 else ...
        torch.testing.assert_close(after[read], before[read], rtol=1e-5, atol=1e-6)
    assert kit.load_values(name) == {"losses": [2.5, 1.25], "steps": [{"kl": 0.5}]}


def test_a_model_saved_again_replaces_the_first(tiny_lm):
    kit.save(tiny_lm, "SFT", losses=[3.0])
    with torch.no_grad():
        tiny_lm.transformer.wte.weight.add_(0.125)
    kit.save(tiny_lm, "SFT", losses=[4.0])
    loaded = kit.load("SFT").cpu()
    assert torch.equal(loaded.transformer.wte.weight, tiny_lm.transformer.wte.weight)
    assert torch.equal(loaded.lm_head.weight, tiny_lm.transformer.wte.weight)  # tied, and saved once
    assert kit.load_values("SFT") == {"losses": [4.0]}
    assert [p.name for p in Path("saved_models").iterdir()] == ["SFT.safetensors"]


def test_what_is_saved_is_listed_with_its_kind(tiny_lm):
    assert kit.saved_models() == {}
    for name, model in models(tiny_lm).items():
        kit.save(model, name)
    kinds = {name: what.split(", saved 20")[0] for name, what in kit.saved_models().items()}
    assert kinds == {"Good RM": "reward model", "Good-RM policy": "policy", "SFT": "language model"}


def test_another_process_loads_it(tiny_lm):
    kit.save(tiny_lm, "SFT")
    code = "import rlhf_kit as kit; print(sum(p.double().sum().item() for p in kit.load('SFT').cpu().parameters()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                           env={"PYTHONPATH": str(Path(kit.__file__).parents[1])})  # fmt: skip
    assert float(found.stdout) == pytest.approx(sum(p.double().sum().item() for p in tiny_lm.parameters()), rel=1e-12)


def test_a_failed_save_keeps_the_former_file(tiny_lm, monkeypatch):
    kit.save(tiny_lm, "SFT", losses=[3.0])

    def interrupted(_model, path, _about):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("rlhf_kit.model_files.save_model", interrupted)
    with pytest.raises(KeyboardInterrupt):
        kit.save(tiny_lm, "SFT", losses=[4.0])
    assert kit.load_values("SFT") == {"losses": [3.0]}
    assert len(list(Path("saved_models").iterdir())) == 1


def test_what_was_never_saved_is_named_beside_what_was(tiny_lm):
    kit.save(tiny_lm, "SFT")
    with pytest.raises(NotReadyError, match=r"'Good RM'.*\(saved there: SFT\)\. Its training saves it"):
        kit.load("Good RM", RewardModel)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\xff" * 64])
def test_a_damaged_file_is_named(content, tiny_lm):
    path = kit.save(tiny_lm, "SFT")
    path.write_bytes(content)
    with pytest.raises(NotReadyError, match=r"SFT\.safetensors is damaged: delete it"):
        kit.load("SFT")


def test_a_reward_model_needs_its_class(tiny_lm):
    kit.save(RewardModel.from_lm(tiny_lm), "Poor RM")
    with pytest.raises(TypeError, match=r"run the cell of T06 and pass its class, kit\.load\('Poor RM', RewardModel\)"):
        kit.load("Poor RM")


def test_weights_of_a_changed_class_are_refused(tiny_lm):
    class Wider(RewardModel):
        def __init__(self, lm, seed=0):
            super().__init__(lm, seed)
            self.more = torch.nn.Linear(2, 3)

    kit.save(RewardModel.from_lm(tiny_lm), "Poor RM")
    with pytest.raises(ValueError, match=r"do not fit this Wider.*train and save it again"):
        kit.load("Poor RM", Wider)


@pytest.mark.parametrize("name", ["", "../SFT", "a/b", " SFT", "SFT\n", "SFT.old"])
def test_a_name_that_is_no_file_name_is_refused(name, tiny_lm):
    with pytest.raises(ValueError, match="use letters, digits, blanks"):
        kit.save(tiny_lm, name)


def test_something_else_cannot_be_saved():
    with pytest.raises(TypeError, match="a Linear cannot be saved: pass a language model"):
        kit.save(torch.nn.Linear(2, 3), "SFT")

"""What a base model has to be able to do: how it is asked, what is counted, and that a weak one is not written."""

from __future__ import annotations

import json
import sys
from itertools import islice

import pytest
import torch

import rlhf_kit as kit
from assignment.lab import __main__ as command
from assignment.lab.abilities import NEEDED, WeakBaseError, _likelihoods, _texts, abilities, refuse_weak
from assignment.lab.phrasing import statement
from assignment.lab.pretrain import PretrainConfig, new_model, write_base
from assignment.lab.world import World
from rlhf_kit.models import BASE_MODEL

WORLD = World.from_seed(11)
SHORT = PretrainConfig(
    steps=3, full_steps=2, width=32, layers=2, heads=2, batch_tokens=256, warmup_steps=2, tokenizer_documents=1500
)


def shipped_world() -> World:
    return World.from_seed(json.loads((BASE_MODEL / "manifest.json").read_text())["world"])


@pytest.mark.parametrize("ability", ["contexts about one animal", "contexts about two animals"])
def test_of_the_endings_to_a_context_only_the_first_is_told_in_it(ability):
    for texts in islice(_texts(WORLD, ability), 60):
        context = texts[0].rpartition("The ")[0]
        ends = [text.rpartition("The ")[2] for text in texts]
        assert len(set(ends)) == len(ends) >= 5
        assert [end in context for end in ends] == [True] + [False] * (len(ends) - 1)
        animals = {part.split()[0] for part in context.split("The ")[1:]}
        assert len(animals) == (2 if "two" in ability else 1)
        assert not animals & WORLD.animals.keys()


def test_of_the_endings_about_facts_only_the_first_is_true():
    true = {statement(name, {a: v}) for name, facts in WORLD.animals.items() for a, v in facts.items()}
    for texts in islice(_texts(WORLD, "facts"), 60):
        ends = ["The " + text.rpartition("The ")[2] for text in texts]
        assert len(set(ends)) == len(ends) >= 5
        assert [end in true for end in ends] == [True] + [False] * (len(ends) - 1)


def test_the_first_verdict_follows_from_its_fact():
    answers = []
    for texts in islice(_texts(WORLD, "verdicts"), 60):
        question, _, end = texts[0].partition("? ")
        fact, _, word = end.removesuffix(".").partition(", so ")
        (value,) = [v for v in WORLD.animals[end.split()[1]].values() if f" {v} " in f"{fact} "]
        assert word == ("yes" if f" {value} " in f"{question} " else "no"), texts[0]
        assert texts[1] == f"{question}? {fact}, so {'no' if word == 'yes' else 'yes'}."
        answers.append(word)
    assert set(answers) == {"yes", "no"}


def test_a_likelihood_does_not_depend_on_the_texts_beside_it():
    tokenizer = kit.load_tokenizer()
    model = new_model(tokenizer, SHORT).double().eval()
    texts = ["The bompak eats moss.", "Where does the bompak live? The bompak lives in the river.", "No."]
    found = _likelihoods(model, tokenizer, texts)
    for text, value in zip(texts, found.tolist(), strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        loss = torch.nn.functional.cross_entropy(model(input_ids=ids).logits[0, :-1], ids[0, 1:], reduction="sum")
        assert value == pytest.approx(-loss.item(), rel=1e-10)  # float64


def test_a_new_model_is_at_chance_and_refused_with_every_share():
    tokenizer = kit.load_tokenizer()
    found = abilities(new_model(tokenizer, SHORT).eval(), tokenizer, WORLD)
    # 4 standard errors of 150 questions around one sixth and one half
    assert all(found[name] < 0.29 for name in NEEDED if name != "verdicts")
    assert 0.33 < found["verdicts"] < 0.67
    with pytest.raises(WeakBaseError) as error:
        refuse_weak(found)
    assert all(f"{name} {share:.2f}" in str(error.value) for name, share in found.items())


def test_only_what_is_missing_is_named():
    with pytest.raises(WeakBaseError, match=r"written: verdicts 0\.79 \(at least 0\.8\)\. Take"):
        refuse_weak(dict.fromkeys(NEEDED, 0.97) | {"verdicts": 0.79})
    refuse_weak(dict(NEEDED))


def test_the_shipped_base_model_can_do_everything_as_its_manifest_says():
    found = abilities(kit.load_base_model(), kit.load_tokenizer(), shipped_world())
    refuse_weak(found)
    told = json.loads((BASE_MODEL / "manifest.json").read_text())["abilities"]
    # another processor may decide a few close cases otherwise
    assert found == pytest.approx(told, abs=3 / 150)


def test_a_weak_base_model_leaves_the_folder_as_it_was(tmp_path, monkeypatch, capsys):
    (tmp_path / "base").mkdir()
    with pytest.raises(WeakBaseError):
        write_base(tmp_path / "base", WORLD, SHORT)
    assert list((tmp_path / "base").iterdir()) == []
    monkeypatch.setattr(command, "PretrainConfig", lambda: SHORT)
    monkeypatch.setattr(
        sys, "argv", ["lab", "base", "--seed", "11", "--base", str(tmp_path / "base"), "--threads", "1"]
    )
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert "has not learned everything it should, so it was not written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "base"]

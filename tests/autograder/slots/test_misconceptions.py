"""The library of known mistakes: each is wrong and is named, and no sentence tells the solution."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from autograder.slots import misconceptions, verdicts
from autograder.slots.hidden_tests import HIDDEN_TESTS, CaseAnswer
from autograder.slots.hidden_tests.checked import check
from autograder.slots.misconceptions import Mistake, diagnosis, load_library, naming, read_library
from autograder.training.symptoms import SYMPTOMS
from tests.support.slot_runs import SLOTS, SPEC, run, run_base, run_wrong
from tests.support.sources import ROOT

REAL = misconceptions.LIBRARY
LIBRARY = load_library()
MISTAKES = [mistake for slot in SLOTS for mistake in LIBRARY.mistakes[slot]]
# P25 mixes rows at random, so that no second program repeats its numbers. S26p makes no update, so that there is
# nothing to compare: the slot is wrong, and the training items name the mistake from the weights.
UNNAMED = {"P25", "S26p"}


def fails_and_is_named(mistake: Mistake, seed: int) -> bool:
    checked = run(mistake.slot, LIBRARY.sources(mistake), seed)
    named = [found.id for found in naming.matching_mistakes(checked)]
    return bool(checked.failed) and named == ([] if mistake.id in UNNAMED else [mistake.id])


@pytest.mark.parametrize("slot", SLOTS)
def test_a_known_mistake_of_each_slot_fails_and_is_named_and_no_other_is(slot):
    assert fails_and_is_named(LIBRARY.mistakes[slot][-1], seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.slot}-{m.id}")
def test_every_known_mistake_fails_and_is_named_and_no_other_is(mistake):
    assert fails_and_is_named(mistake, seed=1)


@pytest.mark.parametrize("slot", SLOTS)
def test_every_slot_has_mistakes_with_names_and_sentences(slot):
    mistakes = LIBRARY.mistakes[slot]
    assert len(mistakes) >= 4
    assert all(m.name and m.sentence.endswith((".", "?")) and len(m.sentence) < 160 for m in mistakes)


def test_no_sentence_quotes_code():
    assert [m.id for m in MISTAKES if any(sign in m.sentence for sign in ("`", "()", "==", "torch."))] == []


def test_no_slot_says_one_thing_twice():
    for slot in SLOTS:
        names = [m.name for m in LIBRARY.mistakes[slot]]
        assert len(set(names)) == len(names)


def test_a_right_answer_is_given_no_name():
    assert naming.matching_mistakes(run_base("T13", 2)) == []


def test_a_mistake_is_named_although_other_statistics_are_reported():
    """P09 written differently: other names, statistics in float64, one statistic left out."""
    source = """
def ppo_loss(new, old, adv, v, v_old, ret, mask, cfg):
    on = mask.bool()
    r = (new - old)[on].exp()
    a = adv[on]
    pl = torch.minimum(-r * a, -r.clip(1 - cfg.clip_range, 1 + cfg.clip_range) * a).mean()
    near = torch.clamp(v, v_old - cfg.value_clip, v_old + cfg.value_clip)
    vl = torch.stack([(v - ret) ** 2, (near - ret) ** 2]).amax(0)[on].mean() / 2
    return pl + cfg.value_coef * vl, {"policy_loss": pl.double(), "value_loss": vl}
"""
    assert [m.id for m in naming.matching_mistakes(run_wrong("T13", source, 2))] == ["P09"]


def changed(change: str) -> str:
    """T10 with its right answer x changed."""
    return f"""{LIBRARY.bases["T10"]}
right = token_logprobs
def token_logprobs(logits, tokens):
    x = right(logits, tokens)
    return {change}
"""


def test_a_mistake_that_is_not_in_the_library_gets_no_name_but_a_diagnosis():
    checked = run_wrong("T10", changed("3 * x"), 2)
    assert naming.matching_mistakes(checked) == []
    assert diagnosis.diagnose(checked) == "scale"


@pytest.mark.parametrize(
    ("change", "kind"),
    [("-x", "sign"), ("x + 1", "shift"), ("2 * x", "scale"), ("0 * x", "zero"), ("x.roll(1, 1)", "position"),
     ("torch.cat([0 * x[:, :1], x[:, :-1]], 1)", "position"), ("torch.cat([x[:, 1:], 0 * x[:, :1]], 1)", "position"),
     ("x.flip(0)", "order"), ("x * 0 + 4", "constant"), ("torch.cat([x[:1], x[1:] ** 2])", "rows")],
)  # fmt: skip
def test_the_diagnosis_says_how_numbers_differ(change, kind):
    assert diagnosis.diagnose(run_wrong("T10", changed(change), 2).only(0)) == kind


SPOILT_ROWS = """
right = shape_rewards
def shape_rewards(scores, logprobs, ref_logprobs, mask, beta):
    x, lengths = right(scores, logprobs, ref_logprobs, mask, beta), mask.sum(1, keepdim=True)
    return torch.where({where}, x, x ** 2 + 1)
"""


@pytest.mark.parametrize(
    ("where", "kind"), [("lengths == lengths.max()", "padding"), ("lengths < lengths.max()", "rows")]
)
def test_the_diagnosis_tells_padded_rows_from_other_rows(where, kind):
    source = LIBRARY.bases["T11"] + SPOILT_ROWS.format(where=where)
    assert diagnosis.diagnose(run_wrong("T11", source, 2).only(0)) == kind


def test_two_mistakes_that_explain_an_answer_equally_well_are_both_named(monkeypatch):
    one = next(mistake for mistake in LIBRARY.mistakes["T10"] if mistake.id == "K02")
    two = replace(one, id="X", name="another name", sentence="Another sentence.")
    both = replace(LIBRARY, mistakes={**LIBRARY.mistakes, "T10": (*LIBRARY.mistakes["T10"], two)})
    monkeypatch.setattr(naming, "load_library", lambda: both)
    assert verdicts.from_answers(run("T10", LIBRARY.sources(one), 2), SPEC).misconception == {
        "id": "K02, X", "name": f"{one.name}, or another name", "sentence": f"{one.sentence} Or: Another sentence.",
    }  # fmt: skip


def test_symptoms_are_declared_for_training_items_that_the_mistake_costs():
    training = {item.id for item in SPEC.item_list if item.kind == "training"}
    for mistake in MISTAKES:
        assert set(mistake.symptoms) <= set(mistake.items) & training
        assert set(mistake.symptoms.values()) <= set(SYMPTOMS)
    assert any(mistake.symptoms for mistake in MISTAKES)


def test_malformed_answers_get_no_name_and_raise_nothing():
    cases = run_base("T14", 2).cases
    answers = [CaseAnswer({"rolled": "x", "updates": None}, {}) for _ in cases]
    assert naming.matching_mistakes(check(HIDDEN_TESTS["T14"], "train_ppo", cases, answers, 2)) == []


BASE = '[base.T07]\ncode = "def f(): return 1"\n'
GOOD = '[[mistake]]\nid = "G"\nslot = "T07"\nname = "n"\nsentence = "s."\nedit = [["1", "2"]]\n'
HEAD = '[[mistake]]\nid = "X"\nslot = "T07"\nname = "n"\nsentence = "s."\n'


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A function that makes a library of these files and clears the cache of the loaded one."""

    def make(**files: str):
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text)
        load_library.cache_clear()
        return load_library

    monkeypatch.setattr(misconceptions, "LIBRARY", tmp_path)
    yield make
    load_library.cache_clear()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD, "bad.toml: X needs either code or edit"),
        (HEAD + 'code = "1"\nedit = [["1", "2"]]\n', "bad.toml: X needs either code or edit"),
        (HEAD + 'edit = [["no", ""]]\n', "bad.toml: X: 'no' occurs 0 times in the base, not once"),
        (HEAD + 'edit = [["return", "(("]]\n', "bad.toml: X does not parse: "),
        (HEAD + "edit = 3\n", "bad.toml: X is malformed: edit: "),
        (HEAD + 'code = "1"\nsign = 2\n', "bad.toml: X is malformed: sign: "),
        (HEAD.replace('name = "n"\n', "") + 'code = "1"\n', "bad.toml: X is malformed: name: Field required"),
        (HEAD.replace("T07", "T99") + 'code = "1"\n', "bad.toml: X needs a usable [base.T99]"),
        (HEAD.replace('"X"', '"G"') + 'code = "1"\n', "good.toml: G occurs twice"),
        ('[base.T08]\ncode = "(("\n', "bad.toml: base of T08 does not parse: "),
        ("[base.T08]\n", "bad.toml: base of T08 has no code"),
        ("mistake = 3\n", "bad.toml: cannot be read: "),
        ("[[mistake]\n", "bad.toml: cannot be read: "),
    ],
)
def test_an_unusable_entry_is_left_out_and_named(library, caplog, text, says):
    found = library(bad=text, good=BASE + GOOD)()
    kept = [mistake.id for mistake in found.mistakes["T07"]]
    assert kept == ["G"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"known mistakes: {says}")


def test_a_library_with_a_bad_entry_still_names_the_others(library):
    real = {path.stem: path.read_text() for path in REAL.glob("*.toml")}
    library(**real, zz_bad="[[mistake]\n")
    mistake = next(m for m in load_library().mistakes["T10"] if m.id == "K02")
    assert fails_and_is_named(mistake, seed=2)


def test_every_entry_of_the_library_is_usable():
    assert read_library()[1] == []


def test_a_bad_entry_is_one_line_on_stderr(tmp_path):
    """Logging is not configured, as in a grading run."""
    code = (
        "from pathlib import Path; from autograder.slots import misconceptions as m; "
        f"m.LIBRARY = Path({str(tmp_path)!r}); m.load_library()"
    )
    (tmp_path / "bad.toml").write_text("[[mistake]\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("known mistakes: bad.toml: cannot be read: ")

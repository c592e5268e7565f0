"""The library of known mistakes: each is wrong, each is named, and its sentence gives nothing away."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from autograder.slots import misconceptions, verdicts
from autograder.slots.hidden_tests import HIDDEN_TESTS, CaseAnswer
from autograder.slots.misconceptions import Mistake, diagnosis, load, naming, read
from autograder.training.symptoms import SYMPTOMS
from tests.support.slot_runs import SLOTS, SPEC, base_sources, faults, run, run_base
from tests.support.sources import ROOT

REAL = misconceptions.LIBRARY
LIBRARY = load()
MISTAKES = [mistake for slot in SLOTS for mistake in LIBRARY.mistakes[slot]]
# P25: rows meet at random, no second program repeats its numbers. S26p: updates that never come leave nothing to
# compare; the slot is wrong, and the training items name it from the weights.
UNNAMED = {"P25", "S26p"}


def fails_and_is_named(mistake: Mistake, seed: int) -> bool:
    cases, answers, residuals = run(mistake.slot, LIBRARY.sources(mistake), seed)
    test = HIDDEN_TESTS[mistake.slot]
    named = naming.name(test, SPEC.slot(mistake.slot).name, cases, answers, residuals, seed)
    return bool(faults(residuals)) and [m.id for m in named] == ([] if mistake.id in UNNAMED else [mistake.id])


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
    cases, answers, residuals = run_base("T13", 2)
    assert naming.name(HIDDEN_TESTS["T13"], "ppo_loss", cases, answers, residuals, 2) == []


def test_a_mistake_is_named_although_other_statistics_are_reported():
    """P09 in another's words: other intermediate names, float64 statistics, one statistic left out."""
    source = '''
def ppo_loss(new, old, adv, v, v_old, ret, mask, cfg):
    on = mask.bool()
    r = (new - old)[on].exp()
    a = adv[on]
    pl = torch.minimum(-r * a, -r.clip(1 - cfg.clip_range, 1 + cfg.clip_range) * a).mean()
    near = torch.clamp(v, v_old - cfg.value_clip, v_old + cfg.value_clip)
    vl = torch.stack([(v - ret) ** 2, (near - ret) ** 2]).amax(0)[on].mean() / 2
    return pl + cfg.value_coef * vl, {"policy_loss": pl.double(), "value_loss": vl}
'''
    cases, answers, residuals = run("T13", base_sources("T13", source), 2)
    named = naming.name(HIDDEN_TESTS["T13"], "ppo_loss", cases, answers, residuals, 2)
    assert [m.id for m in named] == ["P09"]


def changed(change: str) -> str:
    """T10 with its right answer x changed."""
    return f"""{LIBRARY.bases["T10"]}
right = token_logprobs
def token_logprobs(logits, tokens):
    x = right(logits, tokens)
    return {change}
"""


def test_a_mistake_nobody_thought_of_gets_no_name_but_a_diagnosis():
    source = changed("3 * x")
    cases, answers, residuals = run("T10", base_sources("T10", source), 2)
    test = HIDDEN_TESTS["T10"]
    assert naming.name(test, "token_logprobs", cases, answers, residuals, 2) == []
    assert diagnosis.diagnose(test, cases, answers, residuals) == "scale"


@pytest.mark.parametrize(
    ("change", "kind"),
    [("-x", "sign"), ("x + 1", "shift"), ("2 * x", "scale"), ("0 * x", "zero"), ("x.roll(1, 1)", "position"),
     ("torch.cat([0 * x[:, :1], x[:, :-1]], 1)", "position"), ("torch.cat([x[:, 1:], 0 * x[:, :1]], 1)", "position"),
     ("x.flip(0)", "order"), ("x * 0 + 4", "constant"), ("torch.cat([x[:1], x[1:] ** 2])", "rows")],
)  # fmt: skip
def test_the_diagnosis_says_how_numbers_differ(change, kind):
    source = changed(change)
    cases, answers, residuals = run("T10", base_sources("T10", source), 2)
    first = [r for r in residuals if r.case == 0]
    assert diagnosis.diagnose(HIDDEN_TESTS["T10"], cases, answers, first) == kind


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
    cases, answers, residuals = run("T11", base_sources("T11", source), 2)
    first = [r for r in residuals if r.case == 0]
    assert diagnosis.diagnose(HIDDEN_TESTS["T11"], cases, answers, first) == kind


def test_two_mistakes_that_explain_an_answer_equally_well_are_both_said(monkeypatch):
    one = next(mistake for mistake in LIBRARY.mistakes["T10"] if mistake.id == "K02")
    two = replace(one, id="X", name="another name", sentence="Another sentence.")
    both = replace(LIBRARY, mistakes={**LIBRARY.mistakes, "T10": (*LIBRARY.mistakes["T10"], two)})
    monkeypatch.setattr(naming, "load", lambda: both)
    cases, answers, _ = run("T10", LIBRARY.sources(one), 2)
    assert verdicts.from_answers("T10", cases, answers, SPEC, 2).misconception == {
        "id": "K02, X", "name": f"{one.name}, or another name", "sentence": f"{one.sentence} Or: Another sentence.",
    }  # fmt: skip


def test_signs_are_declared_of_items_that_the_mistake_costs():
    training = {item.id for item in SPEC.item_list if item.kind == "training"}
    for mistake in MISTAKES:
        assert set(mistake.signs) <= set(mistake.items) & training
        assert set(mistake.signs.values()) <= set(SYMPTOMS)
    assert any(mistake.signs for mistake in MISTAKES)


def test_naming_copes_with_answers_that_make_no_sense():
    test = HIDDEN_TESTS["T14"]
    cases, _, _ = run_base("T14", 2)
    answers = [CaseAnswer({"rolled": "x", "updates": None}, {}) for _ in cases]
    assert naming.name(test, "train_ppo", cases, answers, test.compare(cases, answers), 2) == []


BASE = '[base.T07]\ncode = "def f(): return 1"\n'
GOOD = '[[mistake]]\nid = "G"\nslot = "T07"\nname = "n"\nsentence = "s."\nedit = [["1", "2"]]\n'
HEAD = '[[mistake]]\nid = "X"\nslot = "T07"\nname = "n"\nsentence = "s."\n'


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A function that makes a library of these files and forgets the one that was loaded."""

    def make(**files: str):
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text)
        load.cache_clear()
        return load

    monkeypatch.setattr(misconceptions, "LIBRARY", tmp_path)
    yield make
    load.cache_clear()


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
def test_an_entry_that_is_not_usable_costs_itself_and_says_so(library, caplog, text, says):
    found = library(bad=text, good=BASE + GOOD)()
    kept = [mistake.id for mistake in found.mistakes["T07"]]
    assert kept == ["G"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"known mistakes: {says}")


def test_a_library_with_a_bad_entry_still_names_the_others(library):
    real = {path.stem: path.read_text() for path in REAL.glob("*.toml")}
    library(**real, zz_bad="[[mistake]\n")
    mistake = next(m for m in load().mistakes["T10"] if m.id == "K02")
    assert fails_and_is_named(mistake, seed=2)


def test_every_entry_of_the_library_is_usable():
    assert read()[1] == []


def test_a_bad_entry_is_one_line_on_stderr(tmp_path):
    """Without any set-up of logging, as in a grading run."""
    code = (
        "from pathlib import Path; from autograder.slots import misconceptions as m; "
        f"m.LIBRARY = Path({str(tmp_path)!r}); m.load()"
    )
    (tmp_path / "bad.toml").write_text("[[mistake]\n")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("known mistakes: bad.toml: cannot be read: ")

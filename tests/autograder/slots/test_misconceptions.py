"""The library of known mistakes: each is wrong, each is named, and its sentence gives nothing away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autograder.slots import misconceptions, verdicts
from autograder.slots.hidden_tests import HIDDEN_TESTS, CaseAnswer
from autograder.slots.misconceptions import LibraryError, Mistake, diagnosis, load, naming
from autograder.training.symptoms import SYMPTOMS
from tests.support.slot_runs import SLOTS, SPEC, base_sources, faults, run, run_base

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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[mistake]]\nid = "X"\nslot = "T07"\nname = "n"\nsentence = "s."\n', "either code or edit"),
        ('[[mistake]]\nid = "X"\nslot = "T07"\nname = "n"\nsentence = "s."\nedit = [["no", ""]]\n', "occurs 0 times"),
        ('[[mistake]]\nid = "X"\nslot = "T07"\nname = "n"\ncode = "1"\n', "needs id, slot, name, sentence"),
    ],
)
def test_a_library_file_with_an_error_is_refused_by_name(tmp_path, monkeypatch, text, says):
    (tmp_path / "bad.toml").write_text('[base.T07]\ncode = "pass"\n' + text)
    monkeypatch.setattr(misconceptions, "LIBRARY", tmp_path)
    load.cache_clear()
    try:
        with pytest.raises(LibraryError, match=says):
            load()
    finally:
        load.cache_clear()

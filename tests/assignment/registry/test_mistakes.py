"""Every kind of mistake in the registry ends in one sentence that names the entry and says what is right."""

from __future__ import annotations

import pytest

from assignment.registry import SpecError, parse_spec
from tests.support.registries import change, edited, entry

SLOTS = "T01, T02, T03, T04, T05, T06, T07, T08, T09, T10, T11, T12, T13, T14, T15"
CRITERIA = "sft, reward_model, ppo, evaluation, code_quality"
TRAINING = "sft_loss_trend, rm_accuracy, ppo_reward, ppo_kl, comparison"
QUALITY = "quality_imports, quality_lint, quality_docs, quality_leftovers"
SLOT_KEYS = "id, name, part, title, file, criterion, points, minutes, difficulty, calls, later, bonus"
TABLES = "assignment, partial, rerun, criterion, slot, item, written, thresholds, limits"
LATER = "which comes later; a slot builds on earlier ones (list it in later too, if a student may come back to use it)"
COST = "`python -m benchmarks.reference_cost` measures it"


def slot(old: str, new: str, id_: str = "T07") -> tuple[str, str]:
    return change("slot", id_, old, new)


def item(old: str, new: str, id_: str = "rm_accuracy") -> tuple[str, str]:
    return change("item", id_, old, new)


# (edit, what is said), by what is wrong
NUMBERS = [
    (slot("points = 4", "points = 0"), "[[slot]] T07: points must be positive, not 0"),
    (slot("points = 4", "points = -4"), "[[slot]] T07: points must be positive, not -4"),
    (slot("points = 4", "points = nan"), "[[slot]] T07: points must be a finite number, not nan"),
    (slot("points = 4", "points = inf"), "[[slot]] T07: points must be a finite number, not inf"),
    (slot("points = 4", "points = 1e9"), "[[slot]] T07: points must be at most 1000, not 1000000000.0"),
    (slot("points = 4", 'points = "4"'), "[[slot]] T07: points must be a number, not 4"),
    (slot("points = 4", "points = true"), "[[slot]] T07: points must be a number, not true"),
    (slot("points = 4", "points = 4.001"), {
        "[[slot]] T07: points may have 2 decimals, not 4.001",
        "[[criterion]] reward_model: points is 25, its slots and items sum to 25.001"}),
    (slot("difficulty = 1", "difficulty = 4"), "[[slot]] T07: difficulty must be at most 3, not 4"),
    (slot("difficulty = 1", "difficulty = 0"), "[[slot]] T07: difficulty must be at least 1, not 0"),
    (slot("minutes = 4", "minutes = 0"), "[[slot]] T07: minutes must be positive, not 0"),
    (item("points = 10", "points = -1"), "[[item]] rm_accuracy: points must be positive, not -1"),
    (("max_points = 100", "max_points = inf"), "[assignment]: max_points must be a finite number, not inf"),
    (("pass_mark = 70", "pass_mark = 700"), "[assignment]: pass_mark 700 is above max_points 100"),
    (("parallel_stages = 2", "parallel_stages = 2.5"), "[assignment]: parallel_stages must be a whole number, not 2.5"),
    (("threads = 1", "threads = 0"), "[assignment]: threads must be at least 1, not 0"),
    (("gradient = 0.5", "gradient = 5"), "[partial]: gradient must be at most 1, not 5"),
    (("seeds = 2", "seeds = 3"), "[rerun]: seeds must be a multiple of 2, not 3"),
    (("wall_s = 20.0", "wall_s = 0"), "[limits.slot]: wall_s must be at least 1, not 0"),
    (("wall_s = 20.0", "wall_s = nan"), "[limits.slot]: wall_s must be a finite number, not nan"),
    (("memory_bytes = 4294967296", "memory_bytes = -1"), "[limits.slot]: memory_bytes must be at least 1024, not -1"),
    (("wall = 10.0", "wall = 1.0"), "[limits.factor]: wall must be at least 5, not 1.0"),
    (("T07 = {wall_s = 0.05", "T07 = {wall_s = 0"), "[limits.reference] T07: wall_s must be positive, not 0"),
    (("T07 = {wall_s = 0.05, ", "T07 = {"), "[limits.reference] T07: wall_s is missing"),
    (("examples = 400", "examples = 0"), "[thresholds.tiny.sft_loss_trend]: examples must be positive, not 0"),
    (("\nmin = 0.3 ", "\nmin = 13.0 "), "[thresholds.tiny.ppo_kl]: min 13 is not below max 12"),
    (("zip_members = 2000", "zip_members = -1"), "[limits.intake]: zip_members must be positive, not -1"),
]  # fmt: skip
TEXTS = [
    (
        ('id = "T07"', 'id = "T7"'),
        "[[slot]] T7: id must be a capital letter other than W and two digits, such as T07, not T7",
    ),
    (
        ('id = "T07"', 'id = "W07"'),
        "[[slot]] W07: id must be a capital letter other than W and two digits, such as T07, not W07",
    ),
    (('id = "T07"\n', ""), "[[slot]] number 7: id is missing"),
    (('id = "T07"', "id = 7"), "[[slot]] number 7: id must be a text, not 7"),
    (
        slot('"bradley_terry_loss"', '"bradley-terry"'),
        "[[slot]] T07: name must be a Python name, such as bradley_terry_loss, not bradley-terry",
    ),
    (slot('"bradley_terry_loss"', '"lambda"'), "[[slot]] T07: name lambda is a Python keyword; choose another name"),
    (
        slot('title = "the Bradley-Terry loss of a batch of pairs"', 'title = ""'),
        "[[slot]] T07: title must have at least 5 characters, not 0",
    ),
    (
        slot('title = "the Bradley-Terry loss of a batch of pairs"', 'title = "      "'),
        "[[slot]] T07: title must be one line of text without spaces around it, not '      '",
    ),
    (
        item('title = "Reward model: accuracy on hidden pairs"', 'title = ""'),
        "[[item]] rm_accuracy: title must have at least 5 characters, not 0",
    ),
    (
        change("criterion", "ppo", 'title = "PPO training"', 'title = ""'),
        "[[criterion]] ppo: title must have at least 5 characters, not 0",
    ),
    (
        slot('"p4_reward_model.py"', '"reward.py"'),
        "[[slot]] T07: file must be the name of a part under solutions/, such as p4_reward_model.py, not reward.py",
    ),
    (
        ('version = "1.0.0"', 'version = "1.0"'),
        "[assignment]: version must be three numbers with dots between, such as 1.0.0, not 1.0",
    ),
    (
        ('id = "rm_accuracy"', 'id = "RM accuracy"'),
        "[[item]] 'RM accuracy': id must be lower-case letters, digits and underscores, such as rm_accuracy, "
        "not 'RM accuracy'",
    ),
    (('W1 = "Which policy is best, and by which evidence?"', "W1 = 3"), "[written]: W1 must be a text, not 3"),
    (('W1 = "', 'X1 = "'), "[written]: X1 must be W and a number, such as W1, not X1"),
]
KEYS = [
    (("pass_mark = 70", "pass_mrk = 70"), {
        "[assignment]: pass_mark is missing",
        "[assignment]: there is no key pass_mrk; there are id, title, version, max_points, pass_mark, threads, "
        "parallel_stages, success_criteria, profiles"}),
    (slot("part = 4", "part = 4\npiont = 3"), f"[[slot]] T07: there is no key piont; there are {SLOT_KEYS}"),
    (slot('name = "bradley_terry_loss"\n', ""), "[[slot]] T07: name is missing"),
    (slot('criterion = "reward_model"\n', ""), {
        "[[slot]] T07: criterion is missing",
        "[[criterion]] reward_model: points is 25, its slots and items sum to 21"}),
    (("[partial]", "[partail]"), {
        "[partial]: is missing", f"[partail]: there is no such table; there are {TABLES}"}),
    (("[thresholds.tiny.ppo_kl]", "[thresholds.tiny.ppo_kul]"), {
        "[thresholds.tiny]: ppo_kl is missing",
        f"[thresholds.tiny]: there is no key ppo_kul; there are {TRAINING}"}),
    (("zip_members = 2000", "zip_member = 2000"), {
        "[limits.intake]: zip_members is missing",
        "[limits.intake]: there is no key zip_member; there are file_bytes, notebook_bytes, zip_members, "
        "zip_ratio_max, cells, source_bytes, written_chars"}),
    (slot("part = 4", 'part = 4\ncalls = "T06"'), "[[slot]] T07: calls must be a list, not T06"),
    (slot("part = 4", 'part = 4\nbonus = "yes"'), "[[slot]] T07: bonus must be true or false, not yes"),
]  # fmt: skip
DUPLICATES = [
    (('id = "T07"', 'id = "T06"'), "[[slot]] T06: duplicate id; each id stands for one entry"),
    (('id = "ppo_kl"', 'id = "ppo_reward"'), "[[item]] ppo_reward: duplicate id; each id stands for one entry"),
    (('id = "ppo"', 'id = "sft"'), "[[criterion]] sft: duplicate id; each id stands for one entry"),
    (('name = "ppo_loss"', 'name = "gae"'), "[[slot]] T13: duplicate name gae, which T12 has already"),
    (('"ppo_reward", "ppo_kl"]', '"ppo_kl", "ppo_kl"]'), "[assignment]: success_criteria has the duplicate ppo_kl"),
    (('profiles = ["tiny"]', 'profiles = ["tiny", "tiny"]'), "[assignment]: profiles has the duplicate tiny"),
    (slot('"T06", "T07", "T08"', '"T06", "T06", "T08"', "T09"), "[[slot]] T09: calls has the duplicate T06"),
    (item('"T06", "T07", "T09"', '"T07", "T07", "T09"'), "[[item]] rm_accuracy: stage_slots has the duplicate T07"),
]
PLACES = [
    (slot("part = 4", "part = 3"), {
        "[[slot]] T07: part is 3, but p4_reward_model.py is a file of part 4",
        "[[slot]] T07: part 3 stands after part 4; slots stand in the notebook's order"}),
    (slot("part = 4", "part = 12"), "[[slot]] T07: part must be at most 9, not 12"),
    (slot('criterion = "reward_model"', 'criterion = "reward"'), {
        f"[[slot]] T07: there is no criterion reward; there are {CRITERIA}",
        "[[criterion]] reward_model: points is 25, its slots and items sum to 21"}),
    (slot('criterion = "reward_model"', 'criterion = "reward_model"\nbonus = true'), {
        "[[slot]] T07: a bonus belongs to no criterion; take out criterion or bonus"}),
    (('id = "code_quality"', 'id = "bonus"'), {
        "[[criterion]] bonus: this id is kept for bonus items, which need no criterion",
        *(f"[[item]] {one}: there is no criterion code_quality; there are sft, reward_model, ppo, evaluation, bonus"
          for one in QUALITY.split(", ")),
        "[[criterion]] bonus: points is 10, its slots and items sum to 0"}),
]  # fmt: skip
CALLS = [
    (slot('calls = ["T04"]', 'calls = ["T05"]', "T05"), "[[slot]] T05: calls itself; calls may name other slots only"),
    (slot('calls = ["T04"]', 'calls = ["T09"]', "T05"), f"[[slot]] T05: calls T09, {LATER}"),
    (slot('calls = ["T04"]', 'calls = ["T99"]', "T05"), f"[[slot]] T05: calls names T99; there are {SLOTS}"),
    (
        slot('calls = ["T04"]', 'calls = ["T04"]\nlater = ["T04"]', "T05"),
        "[[slot]] T05: later names T04, which is not one of its calls to a later slot",
    ),
    (
        slot("points = 3\n", 'points = 3\ncalls = ["T04"]\n', "T10"),
        "[[slot]] T04: calls itself through others: T04 → T10 → T04",
    ),
]
ITEMS = [
    (('id = "quality_lint"', 'id = "quality_style"'),
     f"[[item]] quality_style: the grader has no quality item of this id; it has {QUALITY}"),
    (item('kind = "training"', 'kind = "exam"'),
     "[[item]] rm_accuracy: kind must be 'training', 'written' or 'quality', not exam"),
    (change("item", "comparison", '"comparison"', '"comparisons"'), {
        f"[[item]] comparisons: the grader has no training item of this id; it has {TRAINING}",
        f"[limits.reference] comparisons: is missing; {COST}",
        "[limits.reference] comparison: there is no slot and no training item of this id"}),
    (item('loop = "T09"', 'loop = "T01"'), "[[item]] rm_accuracy: loop T01 is not among its stage_slots"),
    (item('loop = "T09"\n', ""), "[[item]] rm_accuracy: loop is missing; items of kind training need it"),
    (item('"T06", "T07", "T09"]', '"T06", "T77", "T09"]'),
     f"[[item]] rm_accuracy: stage_slots names T77; there are {SLOTS}"),
    (change("item", "quality_lint", "points = 3", 'points = 3\nloop = "T05"'),
     "[[item]] quality_lint: loop is not for items of kind quality"),
    (('"ppo_reward", "ppo_kl"]', '"ppo_reward", "joy"]'),
     "[assignment]: success criterion joy is not a training item; there are " + TRAINING),
    (item('criterion = "reward_model"', "bonus = true"), {
        "[assignment]: success criterion rm_accuracy is a bonus item; nobody has to attempt a bonus",
        "[[criterion]] reward_model: points is 25, its slots and items sum to 15"}),
]  # fmt: skip
WRITTEN = [
    (('"W1", "W2", "W3"]', '"W1", "W2"]'),
     "[written] W3: no item asks it; name it in the questions of an item of kind written"),
    (('"W1", "W2", "W3"]', '"W1", "W2", "W3", "W4"]'),
     "[[item]] written_comparison: questions names W4, which [written] does not have"),
    ((entry("item", "written_comparison"), entry("item", "written_comparison").replace("points = 5", "points = 3")
      + '\n[[item]]\nid = "essay"\nkind = "written"\ntitle = "An essay"\ncriterion = "evaluation"\npoints = 2\n'
      'questions = ["W3"]\n'),
     "[written] W3: written_comparison and essay ask it; one item grades a question"),
    (('questions = ["W1", "W2", "W3"]\n', ""), {
        "[[item]] written_comparison: questions is missing; items of kind written need it",
        *(f"[written] W{n}: no item asks it; name it in the questions of an item of kind written" for n in (1, 2, 3))}),
]  # fmt: skip
SUMS = [
    (("points = 20\n", "points = 21\n"), {
        "[[criterion]] sft: points is 21, its slots and items sum to 20",
        "[assignment]: max_points is 100, the criteria sum to 101"}),
    (("max_points = 100", "max_points = 90"), "[assignment]: max_points is 90, the criteria sum to 100"),
    (('profiles = ["tiny"]', 'profiles = ["tiny", "real"]'), "[thresholds.real]: is missing; profiles names real"),
    (('profiles = ["tiny"]', 'profiles = ["real"]'), {
        "[thresholds.real]: is missing; profiles names real", "[thresholds.tiny]: tiny is not among the profiles"}),
    (('profiles = ["tiny"]', "profiles = []"), "[assignment]: profiles must not be empty"),
    (("T08 = {wall_s", '"a b" = {wall_s'),
     "[limits.reference] 'a b': must be the id of a slot or of a training item, not 'a b'"),
    (("T08 = {wall_s", "T18 = {wall_s"), {
        f"[limits.reference] T08: is missing; {COST}",
        "[limits.reference] T18: there is no slot and no training item of this id"}),
]  # fmt: skip
SYNTAX = [
    (
        ("[assignment]", "[assignment"),
        "not valid TOML: Expected ']' at the end of a table declaration (at line 5, column 12)",
    ),
    (("threads = 1", f"threads = 1{'0' * 5000}"), None),
    (("threads = 1", f"threads = {'[' * 5000}"), None),
]
EVERY = [*NUMBERS, *TEXTS, *KEYS, *DUPLICATES, *PLACES, *CALLS, *ITEMS, *WRITTEN, *SUMS, *SYNTAX]


@pytest.mark.parametrize(("edit", "says"), EVERY, ids=range(len(EVERY)))
def test_a_mistake_in_the_registry_is_refused_in_these_words(
    edit: tuple[str, str], says: str | set[str] | None
) -> None:
    with pytest.raises(SpecError) as refused:
        parse_spec(edited(edit))
    found = refused.value.problems
    assert len(set(found)) == len(found), "each problem is said once"
    if says is None:  # Python's words, which differ between its versions
        assert found[0].startswith("not valid TOML: ")
    else:
        assert set(found) == ({says} if isinstance(says, str) else says)


def test_several_problems_are_listed_one_per_line() -> None:
    with pytest.raises(SpecError, match=r"^the\.toml: \[\[slot\]\] T07: points must be positive, not 0$"):
        parse_spec(edited(slot("points = 4", "points = 0")), "the.toml")
    with pytest.raises(SpecError, match=r"^the\.toml:\n  \[\[slot\]\] T07: .*\n  \[\[slot\]\] T08: .*$"):
        parse_spec(edited(slot("points = 4", "points = 0"), slot("points = 2", "points = 0", "T08")), "the.toml")

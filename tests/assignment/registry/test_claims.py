"""Every kind of mistake in the register of claims ends in one line with the file, the entry and its key."""

from __future__ import annotations

from pathlib import Path

import pytest

from assignment.registry import SpecError
from assignment.registry.claims import CLAIMS, load_claims, parse_claims

TEXT = """
[judged]
first = 41
last = 80
needed = 38

[[claim]]
id = "gold_rises"
part = "p8_curves.py"
says = "gold rises"
figure = "good_gold_rise"
above = 0
below = 3.5
"""
KEYS = "id, part, says, figure, minus, above, below, seeds_needed"


def test_shipped_register_is_read_and_judges_forty_seeds() -> None:
    claims = load_claims()
    assert len(claims.judged.seeds) == 40
    assert len(claims.claim) > 30


def test_claim_is_read_with_its_bounds() -> None:
    (claim,) = parse_claims(TEXT).claim
    assert (claim.id, claim.figures, claim.bounds) == ("gold_rises", ("good_gold_rise",), "above 0, below 3.5")
    assert [claim.holds(x) for x in (-1, 0, 1, 3.5)] == [False, False, True, False]
    assert parse_claims(TEXT).needed(claim) == 38


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [('id = "gold_rises"', 'id = "Gold rises"',
      "[[claim]] 'Gold rises': id must be lower-case letters, digits and underscores, such as rm_accuracy, "
      "not 'Gold rises'"),
     ('id = "gold_rises"\n', "", "[[claim]] number 1: id is missing"),
     ("p8_curves.py", "curves.py",
      "[[claim]] gold_rises: part must be the name of a part under solutions/, such as p4_reward_model.py, "
      "not curves.py"),
     ('says = "gold rises"\n', "", "[[claim]] gold_rises: says is missing"),
     ("above = 0", 'above = "0"', "[[claim]] gold_rises: above must be a number, not 0"),
     ("above = 0", "above = nan", "[[claim]] gold_rises: above must be a finite number, not nan"),
     ("above = 0", "over = 0", f"[[claim]] gold_rises: there is no key over; there are {KEYS}"),
     ("above = 0\nbelow = 3.5\n", "", "[[claim]] gold_rises: a bound is missing; give above, below or both"),
     ("above = 0", "above = 4", "[[claim]] gold_rises: above 4 is not less than below 3.5"),
     ("above = 0", "above = 0\nseeds_needed = 0", "[[claim]] gold_rises: seeds_needed must be positive, not 0"),
     ("above = 0", "above = 0\nseeds_needed = 41",
      "[[claim]] gold_rises: seeds_needed is 41, and 40 seeds are judged"),
     ("needed = 38", "needed = 41", "[judged]: needed is 41, and there are 40 seeds"),
     ("first = 41", "first = 81", "[judged]: first 81 is after last 80"),
     ("needed = 38\n", "", "[judged]: needed is missing"),
     ("[judged]", "[judge]", {"[judged]: is missing", "[judge]: there is no such table; there are judged, claim"})],
)  # fmt: skip
def test_mistake_is_named_with_its_entry_and_key(old: str, new: str, says: str | set[str]) -> None:
    assert old in TEXT
    with pytest.raises(SpecError) as error:
        parse_claims(TEXT.replace(old, new), "claims.toml")
    assert set(error.value.problems) == ({says} if isinstance(says, str) else says)
    assert str(error.value).startswith("claims.toml:")


def test_id_that_two_claims_have_is_named_once() -> None:
    twice = TEXT + TEXT[TEXT.index("[[claim]]") :]
    with pytest.raises(SpecError) as error:
        parse_claims(twice)
    assert error.value.problems == ("[[claim]] gold_rises: two claims have this id",)


def test_text_that_is_no_toml_is_refused_with_the_file() -> None:
    with pytest.raises(SpecError, match=r"claims\.toml: not valid TOML"):
        parse_claims("[judged", CLAIMS)


def test_register_that_is_missing_or_no_text_is_refused_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"claims\.toml: cannot be read \(No such file"):
        load_claims(tmp_path / "claims.toml")
    (tmp_path / "claims.toml").write_bytes(b"\xff")
    with pytest.raises(SpecError, match="not UTF-8"):
        load_claims(tmp_path / "claims.toml")

"""Claims are judged over seeds: the verdicts, the tables of docs/world.md and the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assignment.files import ForeignFileError
from assignment.lab import world_page
from assignment.lab.claims import failures, judged_rows, verdicts
from assignment.lab.report import report
from assignment.registry.claims import CLAIMS, Claims, parse_claims
from tests.support.small_study import made_up_row
from tests.support.sources import ROOT

REGISTER = """
[judged]
first = 3
last = 6
needed = 3

[[claim]]
id = "gold_rises"
part = "p8_curves.py"
says = "gold rises"
figure = "good_gold_sampled"
minus = "sft_gold_sampled"
above = 0
"""


def register(text: str = REGISTER) -> Claims:
    return parse_claims(text)


def rows(*gains: float, first: int = 3) -> list[dict]:
    """Make one row a seed, whose policy gains so much gold."""
    return [made_up_row(first + i, good_gold_sampled=1.0 + gain, sft_gold_sampled=1.0) for i, gain in enumerate(gains)]


def results(folder: Path, lines: list[dict]) -> Path:
    (folder / "lab-world-7.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.mark.parametrize(
    ("gains", "state"),
    [((), "not measured"), ((1, 1), "open"), ((1, -1), "open"), ((-1, -1), "fails"), ((1, 1, 1), "holds"),
     ((1, 1, 1, -1), "holds"), ((1, 1, -1, -1), "fails")],
)  # fmt: skip
def test_claim_fails_as_soon_as_too_few_seeds_can_hold(gains: tuple[float, ...], state: str) -> None:
    (one,) = verdicts(register(), rows(*gains))
    assert one.state == state


def test_bound_itself_does_not_hold() -> None:
    (one,) = verdicts(register(), rows(0, 0.001))
    assert (one.held, one.misses) == (1, 1)


def test_claims_own_number_of_seeds_takes_the_place_of_the_registers() -> None:
    (one,) = verdicts(register(REGISTER + "seeds_needed = 1\n"), rows(1, -1, -1, -1))
    assert one.state == "holds"


def test_failure_names_claim_part_number_bounds_and_median() -> None:
    (line,) = failures(verdicts(register(), rows(-1, -2, -3)))
    assert line == (
        "gold_rises (p8_curves.py) holds on 0 of 3 seeds, not on 3 of 4: "
        "good_gold_sampled - sft_gold_sampled has to be above 0, its median is -2"
    )


def test_row_without_the_figure_is_a_miss_that_is_named() -> None:
    lacking = rows(1, 1, 1)
    for row in lacking:
        del row["figures"]["good_gold_sampled"]
    (line,) = failures(verdicts(register(), lacking))
    assert "no row has good_gold_sampled - sft_gold_sampled" in line


def test_only_judged_seeds_with_figures_count_whatever_their_order(tmp_path: Path) -> None:
    old = {"world": 7, "seed": 5}
    results(tmp_path, [*rows(1, first=6), *rows(1, first=2), old, *rows(1, first=3)])
    found = judged_rows(tmp_path / "lab-world-7.jsonl", range(3, 7))
    assert [row["seed"] for row in found] == [3, 6]


def test_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lab-world-7.jsonl").write_text("my notes\n")
    with pytest.raises(ForeignFileError, match="no outcome of a seed"):
        judged_rows(tmp_path / "lab-world-7.jsonl", range(3, 7))


def test_new_figure_of_the_curves_needs_no_new_run() -> None:
    text = REGISTER.replace("good_gold_sampled", "good_kl_rise").replace('minus = "sft_gold_sampled"\n', "")
    some = rows(1, 1, 1)
    assert "good_kl_rise" not in some[0]["figures"]
    (one,) = verdicts(register(text), some)
    assert one.state == "holds"


def made(folder: Path, *gains: float, text: str = REGISTER) -> dict[str, str]:
    path = folder / "claims.toml"
    path.write_text(text)
    return report(7, results(folder, rows(*gains)), path).tables


def test_table_of_claims_shows_bound_share_median_and_range(tmp_path: Path) -> None:
    table = made(tmp_path, 1, 2, 6)["claims"]
    number = "`good_gold_sampled - sft_gold_sampled`"
    line = f"| `gold_rises` | 8 | gold rises | {number} | above 0 | 3 of 3; needed: 3 of 4 | 2 | 1 … 6 | holds |"
    assert line in table.splitlines()
    assert "n = 3 of 4 seeds." in table


def test_table_of_kinds_pools_the_seeds_and_names_its_interval(tmp_path: Path) -> None:
    table = made(tmp_path, 1, 1)["kinds"]
    line = next(line for line in table.splitlines() if line.startswith("| fact |"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["fact", "20", "9 of 10"]
    # sft is right on 6 and the policy on 7 of the 10 questions of each seed
    assert [cell.split()[0] for cell in cells[3:]] == ["0.600", "0.700", "0.600", "0.700"]
    assert "Wilson's interval" in table
    assert "bootstrap over seeds" in made(tmp_path, *[1] * 5, text=REGISTER.replace("last = 6", "last = 9"))["kinds"]


def test_table_of_differences_shows_the_gain_and_the_counts_behind_it(tmp_path: Path) -> None:
    table = made(tmp_path, 1, 1)["differences"]
    line = next(line for line in table.splitlines() if line.startswith("| fact |"))
    assert "+0.100 [" in line
    assert "| 8 / 4 / 6 / 2 |" in line


def test_table_of_figures_shows_what_is_measured_and_a_dash_for_the_rest(tmp_path: Path) -> None:
    lines = made(tmp_path, 1, 3)["figures"].splitlines()
    assert "| gold reward | – | 1 (1 … 1) | – | 3 (2 … 4) |" in lines


def test_without_rows_the_tables_say_what_to_run(tmp_path: Path) -> None:
    assert {text.split(". ")[0] for text in made(tmp_path).values()} == {"Not measured yet"}
    assert "`python -m assignment.lab outcomes --seed 7 --threads 1 --seeds $(seq 3 6)`" in made(tmp_path)["claims"]


def test_seeds_for_tuning_are_those_before_the_judged_ones(tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(REGISTER)
    some = results(tmp_path, [*rows(-1, -1, first=1), *rows(1, 1, first=3)])
    assert (report(7, some, path).seen, report(7, some, path, tuning=True).seen) == ([3, 4], [1, 2])
    assert report(7, some, path).failures == []
    assert len(report(7, some, path, tuning=True).failures) == 1


def test_page_keeps_its_prose_and_gets_each_table_in_its_place() -> None:
    text = "".join(f"prose\n{world_page.BEGIN.format(n)}\nold\n{world_page.END.format(n)}\n" for n in ("a", "b"))
    new = world_page.with_tables(text, {"a": "one", "b": r"\1 two"})
    assert new.count("prose") == 2
    assert "old" not in new
    assert new.index("one") < new.index(r"\1 two")
    assert world_page.with_tables(new, {"a": "one", "b": r"\1 two"}) == new


def test_page_without_a_place_for_a_table_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "world.md"
    page.write_text("prose")
    with pytest.raises(world_page.PageError, match="claims: made by"):
        world_page.write_page({"claims": "x"}, page)
    assert page.read_text() == "prose"


def test_shipped_page_has_a_place_for_every_table(tmp_path: Path) -> None:
    world_page.with_tables(world_page.PAGE.read_text(encoding="utf-8"), report(7, tmp_path).tables)


def command(folder: Path) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join([str(ROOT), str(ROOT / "student_template")])
    return subprocess.run(
        [sys.executable, "-m", "assignment.lab", "claims", "--seed", "7", "--out", str(folder)],
        capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": search},
    )  # fmt: skip


def test_command_ends_with_one_and_names_the_claim_that_fails(tmp_path: Path) -> None:
    judged = parse_claims(CLAIMS.read_text(encoding="utf-8")).judged
    done = command(results(tmp_path, rows(-1, -1, -1, first=judged.first)))
    assert done.returncode == 1
    assert "good_beats_sft (p1_setup.py) holds on 0 of 3 seeds" in done.stderr
    assert "37 of 40 seeds of world 7 have no row with figures" in done.stderr


def test_command_without_rows_ends_with_nought_and_says_what_to_run(tmp_path: Path) -> None:
    done = command(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Not measured yet" in done.stdout

"""Texts of the notebook that come from the registry: what is written, where, and which marks are refused."""

from __future__ import annotations

import pytest

from assignment.registry import load_spec
from assignment.release.markers import Location, SourceError
from assignment.release.passes import BuildOptions, insert_registry
from assignment.release.registry_text import TEXTS
from assignment.release.release import build
from assignment.release.source import Cell

SPEC = load_spec()


def written(source: str) -> str:
    (cell,) = insert_registry((Cell("markdown", source, Location("p1_setup.py", 5)),), BuildOptions(SPEC, solved=False))
    return cell.source


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n")[2:]]


def test_the_table_of_slots_adds_up():
    *slots, total = rows(written("<!-- REGISTRY slots -->"))
    assert [row[0] for row in slots] == [f"T{n:02d}" for n in range(1, 16)]
    for column in (3, 4):
        assert sum(float(row[column]) for row in slots) == float(total[column])
    assert {row[5] for row in slots} == {"●○○", "●●○", "●●●"}
    assert written("about <!-- REGISTRY minutes --> minutes") == f"about {total[4]} minutes"


def test_the_criteria_add_up_to_what_is_graded():
    found = rows(written("<!-- REGISTRY points -->"))
    assert [float(row[1]) for row in found] == [20, 25, 30, 15, 10]
    for _, points, parts in found:
        assert sum(float(part.rsplit(" ", 1)[1]) for part in parts.split(", ")) == float(points)


def test_what_passes_names_the_mark_and_all_criteria():
    text = written("<!-- REGISTRY passing -->")
    assert text.startswith("You pass with at least 70 of 100 points and all 4 success criteria met: ")
    for name in SPEC.success_criteria:
        assert SPEC.items[name].title in text


def test_a_slots_heading_is_followed_by_its_facts():
    found = written("# Part 3\n\n## T04 · The loss\n\n**Task.** `## T05 · no heading`\n\n### T06 · nor this")
    assert found.split("\n")[2:5] == ["## T04 · The loss", "*3 points · about 8 minutes · difficulty 2 of 3*", ""]
    assert found.count("points") == 1


@pytest.mark.parametrize("solved", [False, True])
def test_every_slot_of_the_release_shows_its_facts(solved):
    release = build()
    text = (release.solved if solved else release.generated["rlhf.ipynb"]).decode()
    for slot in SPEC.slots:
        assert f"about {slot.minutes} minutes · difficulty {slot.difficulty} of 3*" in text
    assert text.count(" · difficulty ") == len(SPEC.slots)
    assert "REGISTRY" not in text


@pytest.mark.parametrize(
    "wrong", ["<!-- REGISTRY point -->", "<!-- registry points -->", "<!--REGISTRY points-->", "<!-- REGISTRY -->"]
)
def test_a_mark_that_names_nothing_is_refused_with_its_line_and_those_there_are(wrong):
    with pytest.raises(
        SourceError, match=r"p1_setup\.py:6: not a text that comes from the registry; there are"
    ) as error:
        written(f"Title\n<!-- REGISTRY minutes --> and {wrong}")
    assert all(f"`<!-- REGISTRY {name} -->`" in str(error.value) for name in TEXTS)

"""Write a small but complete course to disk: slots of one line each, their checks, a kit of two files."""

from __future__ import annotations

import shutil
from pathlib import Path

from assignment.registry import REGISTRY, Spec, load_spec
from assignment.release.release import Layout

CHECK = """from otter.test_files import test_case

OK_FORMAT = False
name = "{id}"
points = None


@test_case()
def test_value({name}):
    assert ({call}) == 10 * {number} + 2 * 3, "did you forget the factor?"
"""

FUNCTION = '''# %%
# TODO {id} · {title}
def {name}(x: int) -> int:
    """Ten times the slot's number, and twice x."""
    start = 10 * {number}
    # BEGIN SOLUTION {id}
    doubled_{number} = start + sum([x, x])
    return doubled_{number}
    # END SOLUTION


'''

CLASS = '''# %%
# TODO {id} · {title}
class {name}(Base):
    """A scorer."""

    def forward(self, x: int) -> int:
        """Ten times the slot's number, and twice x."""
        start = 10 * {number}
        # BEGIN SOLUTION {id}
        doubled_{number} = start + sum([x, x])
        return doubled_{number}
        # END SOLUTION


'''

HEAD = '''"""Part {part}: for who edits this file."""

# %% [markdown]
# # Part {part}
#
# Prose with a formula, $x + y$.

# %%
from __future__ import annotations

{imports}
'''

SETUP = """if __name__ == "__main__":
    from otter.test_files import ExceptionTestFile

    class grader:
        @staticmethod
        def check(slot):
            file = ExceptionTestFile.from_file(f"tests/{slot}.py")
            file.run(globals())
            print(slot, "passed" if file.passed_all else "failed")


"""


def edit_file(path: Path, old: str, new: str) -> None:
    """Replace the first occurrence of a text in a file. AssertionError if there is none."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def write_course(root: Path, spec: Spec | None = None) -> Layout:
    """Write solutions, checks and template under `root`, and return the layout."""
    spec = spec or load_spec()
    layout = Layout(
        root / "solutions", root / "student_template", root / "dist", root / "submissions", root / "assignment.toml",
        root / "claims.toml",
    )  # fmt: skip
    (layout.solutions / "checks").mkdir(parents=True)
    shutil.copy(REGISTRY, layout.registry)
    layout.claims.write_text("[judged]\nfirst = 1\nlast = 40\nneeded = 38\n", encoding="utf-8")
    for part in range(1, 10):
        _write_part(layout.solutions, part, spec)
    for slot in spec.slots:
        call = f"{slot.name}().forward(3)" if slot.name == "RewardModel" else f"{slot.name}(3)"
        text = CHECK.format(id=slot.id, name=slot.name, number=int(slot.id[1:]), call=call)
        (layout.solutions / "checks" / f"{slot.id}.py").write_text(text, encoding="utf-8")
    kit = layout.template / "rlhf_kit"
    (kit / "data").mkdir(parents=True)
    (kit / "__init__.py").write_text('"""A kit."""\n\n\nclass Base:\n    """A base."""\n', encoding="utf-8")
    (kit / "data" / "numbers.json").write_text("[1]\n", encoding="utf-8")
    (kit / "notes.md").write_text("not shipped\n", encoding="utf-8")
    (layout.template / "README.md").write_text("# Read me\n", encoding="utf-8")
    (layout.template / "requirements.txt").write_text("torch\n", encoding="utf-8")
    return layout


def _write_part(directory: Path, part: int, spec: Spec) -> None:
    slots = [slot for slot in spec.slots if slot.part == part]
    name = slots[0].file if slots else f"p{part}_text.py"
    imports = "from rlhf_kit import Base" if part == 4 else "import math"
    text = HEAD.format(part=part, imports=imports)
    if part == 1:
        text += "\n# %%\n" + SETUP
    for slot in slots:
        template = CLASS if slot.name == "RewardModel" else FUNCTION
        text += template.format(id=slot.id, title=slot.title, name=slot.name, number=int(slot.id[1:]))
    if part == 3:
        text += "# %%\nfrom solutions.p2_data import format_example  # noqa: E402\n\n"
        text += 'if __name__ == "__main__":\n    text = """\n      kept\n    """\n'
        text += "    print(format_example(1), text)\n"
    if part == 9:
        for key, question in spec.written.items():
            text += f"# %% [markdown]\n# <!-- WRITTEN {key} · {question} -->\n#\n# *Your answer.*\n\n"
    (directory / name).write_text(text, encoding="utf-8")

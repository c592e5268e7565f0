"""The solved notebook of the release in a real kernel, cell by cell, with somebody who presses stop."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

from assignment.release.notebook import read_notebook
from assignment.release.release import build
from assignment.verify.execution import kernel_environment

# Everything is as in the release but for its length, and every step is drawn, so that stop can be pressed at it.
SHORTER = """
import dataclasses as _d, rlhf_kit.progress as _progress
_progress.INTERVAL = 0
profile = pipeline.profile = _d.replace(
    profile, sft=_d.replace(profile.sft, epochs=1, batch_size=16), poor_rm=_d.replace(profile.poor_rm, epochs=1),
    ppo=_d.replace(profile.ppo, steps=5, rollouts=8, minibatch_size=4, max_new_tokens=12),
    evaluation=_d.replace(profile.evaluation, max_new_tokens=12, bootstrap=20, batch_size=8),
)
"""
FEWER = """
demonstrations, preferences = demonstrations.select(range(214)), preferences.select(range(128))
heldout_pairs, heldout_prompts = heldout_pairs.select(range(40)), heldout_prompts.select(range(16))
"""


@dataclass
class Ran:
    """What a cell did. shown: texts of its displays, in order, updates included. error: name and text, if any."""

    shown: list[str] = field(default_factory=list)
    error: tuple[str, str] | None = None


class LiveNotebook:
    """A kernel in an unpacked release, and the cells of the solved notebook by id."""

    def __init__(self, folder: Path) -> None:
        release = build()
        with zipfile.ZipFile(io.BytesIO(release.archive)) as archive:
            archive.extractall(folder)
        notebook = read_notebook(release.solved.decode())
        self.cells = {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}
        environment = kernel_environment(folder) | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
        self.manager, self.client = start_new_kernel(cwd=str(folder), env=os.environ | environment)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def find(self, text: str) -> str:
        """Return the id of the one code cell that holds a text."""
        (found,) = [name for name, source in self.cells.items() if text in source]
        return found

    def after(self, name: str, part: str) -> list[str]:
        """Return the ids of the cells after a cell in its part that run in the notebook alone and train nothing."""
        names = list(self.cells)
        later = names[names.index(name) + 1 :]
        return [one for one in later if one.startswith(part) and "pipeline.needs(" in self.cells[one]]

    def do(self, code: str, press_at: str | None = None, times: int = 1) -> Ran:
        """Run code. press_at: press stop, `times` times, when a display holds this text."""
        ran, pressed = Ran(), False

        def hook(message: dict[str, Any]) -> None:
            nonlocal pressed
            content = message["content"]
            if message["msg_type"] in ("display_data", "update_display_data"):
                ran.shown.append(content["data"].get("text/plain", ""))
                if press_at is not None and not pressed and press_at in ran.shown[-1]:
                    pressed = True
                    for _ in range(times):
                        self.manager.interrupt_kernel()
            elif message["msg_type"] == "stream":
                ran.shown.append(content["text"])
            elif message["msg_type"] == "error":
                ran.error = (content["ename"], "\n".join(content["traceback"]))

        self.client.execute_interactive(code, output_hook=hook, timeout=600, allow_stdin=False)
        assert press_at is None or pressed, f"{press_at!r} was never shown: {ran.shown}"
        return ran

    def run(self, name: str, press_at: str | None = None, times: int = 1) -> Ran:
        """Run a cell of the notebook; see `do`."""
        return self.do(self.cells[name], press_at, times)

    def value(self, expression: str) -> str:
        """Return an expression's value as text."""
        return "".join(self.do(f"print({expression}, end='')").shown)

    def define(self) -> None:
        """Run parts 1 and 2 and every cell that trains nothing, with fewer rows and shorter trainings."""
        for name, source in self.cells.items():
            if "grader." not in source and "pipeline.needs(" not in source and "kit.demo" not in source:
                assert self.run(name).error is None, name
                self.do(SHORTER if "profile, device =" in source else FEWER if "load_demonstrations" in source else "")

    def trained_until(self, part: str) -> None:
        """Run the training cells of earlier parts, if what they make is not complete."""
        for text, made, complete in (
            ("run_sft(base_lm", "p4", "globals().get('sft_lm') is not None"),
            ("pipeline.run_reward_model", "p6", "len(globals().get('reward_models', {})) == 2"),
            ("Watched(rewards", "p9", "len(globals().get('trained', {})) == 2"),
        ):
            if made <= part and self.value(complete) != "True":
                assert self.run(self.find(text)).error is None
                assert self.value(complete) == "True"

"""`make bench`: how long the commands take, in seconds and in units of the bare training they contain.

Seconds depend on the machine, ratios hardly do. The unit is one run of the three stages (SFT, Good
reward model, PPO) with the reference slots in this process: no sandbox, no measurement, no report.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import rlhf_kit as kit
from assignment.lab.experiment import CALIBRATION_PROMPTS, lab_pipeline
from assignment.spec import load_spec

ROOT = Path(__file__).resolve().parent.parent
SUBMISSIONS = ROOT / "tests" / "submissions"


def bare_training() -> None:
    """The three stages on the shipped data, with the reference slots."""
    pipeline = lab_pipeline(kit.get_profile(), kit.load_tokenizer())
    lm, _ = pipeline.run_sft(kit.load_base_model(), kit.load_demonstrations())
    model, _ = pipeline.run_reward_model(lm, kit.load_preferences("train"))
    prompts = kit.load_prompts("train")
    reward = pipeline.reward_function(model, lm, prompts.select(range(CALIBRATION_PROMPTS)))
    pipeline.run_ppo(lm, reward, prompts)


def command(*arguments: str) -> Callable[[], None]:
    """The console script with these arguments; its output is shown only if it fails."""

    def call() -> None:
        done = subprocess.run(
            [sys.executable, "-m", "autograder.cli", *arguments], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"rlhf-lab {' '.join(arguments)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    return call


def seconds(task: Callable[[], None]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def main() -> None:
    """Time everything once and print the table."""
    torch.set_num_threads(load_spec().threads)
    unit = seconds(bare_training)
    print(f"{'bare training of the three stages':44} {unit:7.1f} s    1.00", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        tasks = {
            "build --check": command("build", "--check"),
            "verify --static": command("verify", "--static"),
            "verify (runs the solved notebook)": command("verify"),
            **{
                f"grade {path.name}": command("grade", str(path), "--out", str(Path(folder) / path.stem))
                for path in sorted(SUBMISSIONS.glob("*.ipynb"))
            },
        }
        for name, task in tasks.items():
            took = seconds(task)
            print(f"{name:44} {took:7.1f} s {took / unit:7.2f}", flush=True)


if __name__ == "__main__":
    main()

"""Training with the reference's loops against TRL's trainers: python -m benchmarks.against_trl

Both fine-tune the shipped base model, and then train a reward model from it, on the same rows with the same batch size,
rate and number of epochs, on one thread. Only training is timed: no loading, no tokenizing, no first round. Rounds
alternate, so that both meet the same load of the machine. Another line runs the reference's loops on the library's
GPT-2, which computes padding too. TRL has had no PPO since 1.13: PPO is compared with the library's GPT-2 alone. The
last lines say how much of our time is spent in matrix multiplications.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import GPT2ForSequenceClassification, GPT2LMHeadModel

import rlhf_kit as kit
from assignment.lab.experiment import lab_pipeline
from rlhf_kit.data import load_demonstrations, load_preferences, load_prompts
from rlhf_kit.models import BASE_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable

SFT_ROWS, PAIRS, PROMPTS, PPO_STEPS = 640, 480, 512, 2
MATRIX_PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm")


@dataclass(frozen=True)
class Rows:
    """What is trained on: Dolly rows, HH rows and prompts as token ids."""

    demonstrations: list[dict[str, Any]]
    preferences: list[dict[str, Any]]
    prompts: list[list[int]]


class Ours:
    """The reference's loops on a language model of the given class."""

    def __init__(self, rows: Rows, lm: nn.Module) -> None:
        self.profile = kit.get_profile()
        self.pipeline = lab_pipeline(self.profile, kit.load_tokenizer())
        self.lm = lm
        self.demonstrations = self.pipeline.encode_demonstrations(rows.demonstrations)
        self.pairs = self.pipeline.encode_pairs(rows.preferences)
        self.prompts = rows.prompts
        judge, _ = self.pipeline.run_reward_model(lm, self.pairs[:64])
        self.reward = self.pipeline.reward_function(judge, lm, rows.prompts[:64])

    def sft(self) -> float:
        """Run one epoch over the demonstrations. Returns its seconds."""
        return timed(lambda: self.pipeline.run_sft(self.lm, self.demonstrations, replace(self.profile.sft, epochs=1)))

    def reward_model(self) -> float:
        """Run one epoch over the pairs. Returns its seconds."""
        return timed(lambda: self.pipeline.run_reward_model(self.lm, self.pairs, self.profile.good_rm))

    def ppo(self) -> float:
        """Run PPO_STEPS phases. Returns their seconds."""
        config = replace(self.profile.ppo, steps=PPO_STEPS)
        return timed(lambda: self.pipeline.run_ppo(self.lm, self.reward, self.prompts, config))


class Trl:
    """TRL's trainers on the library's GPT-2."""

    def __init__(self, rows: Rows) -> None:
        from datasets import Dataset

        pipeline = lab_pipeline(kit.get_profile(), kit.load_tokenizer())
        texts = [pipeline.slot("format_example")(row) for row in rows.demonstrations]
        self.demonstrations = Dataset.from_list([{"prompt": p, "completion": c} for p, c in texts])
        self.pairs = Dataset.from_list(rows.preferences)

    def sft(self) -> float:
        """Run one epoch of SFTTrainer. Returns its seconds."""
        from trl import SFTConfig, SFTTrainer

        lm = GPT2LMHeadModel.from_pretrained(BASE_MODEL)
        return self._train(SFTTrainer, SFTConfig, lm, self.demonstrations, kit.get_profile().sft)

    def reward_model(self) -> float:
        """Run one epoch of RewardTrainer. Returns its seconds."""
        from trl import RewardConfig, RewardTrainer

        model = GPT2ForSequenceClassification.from_pretrained(BASE_MODEL, num_labels=1)
        return self._train(RewardTrainer, RewardConfig, model, self.pairs, kit.get_profile().good_rm)

    def _train(self, trainer: Any, settings: Any, model: nn.Module, rows: Any, config: kit.config.StageConfig) -> float:
        with tempfile.TemporaryDirectory() as folder:
            arguments = settings(
                output_dir=folder,
                per_device_train_batch_size=config.batch_size,
                num_train_epochs=1,
                learning_rate=config.learning_rate,
                max_length=config.max_length,
                bf16=False,  # TRL asks for it by default, and refuses to start on a CPU without it
                use_cpu=True,
                gradient_checkpointing=False,
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
            )
            made = trainer(model=model, args=arguments, train_dataset=rows, processing_class=kit.load_tokenizer())
            return timed(made.train)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def matrix_share(work: Callable[[], object]) -> float:
    """Return the share of a call's time that is spent in matrix multiplications."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as found:
        work()
    spent = {event.key: event.self_cpu_time_total for event in found.key_averages()}
    return float(sum(spent.get(name, 0.0) for name in MATRIX_PRODUCTS) / sum(spent.values()))


def main() -> None:
    """Time the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="runs of each after the first (default: %(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = lab_pipeline(kit.get_profile(), kit.load_tokenizer())
    rows = Rows(
        list(load_demonstrations())[:SFT_ROWS],
        list(load_preferences("train"))[:PAIRS],
        pipeline.encode_prompts(load_prompts("train"))[:PROMPTS],
    )
    ours, library = Ours(rows, kit.load_base_model()), Ours(rows, GPT2LMHeadModel.from_pretrained(BASE_MODEL).eval())
    trl = Trl(rows)
    stages = {
        "SFT": {"ours": ours.sft, "library's GPT-2": library.sft, "TRL": trl.sft},
        "reward model": {"ours": ours.reward_model, "library's GPT-2": library.reward_model, "TRL": trl.reward_model},
        "PPO": {"ours": ours.ppo, "library's GPT-2": library.ppo},
    }
    seconds: dict[tuple[str, str], list[float]] = {}
    for number in tqdm(range(args.rounds + 1), desc="rounds"):
        for stage, ways in stages.items():
            for way, run in ways.items():
                took = run()
                if number:
                    seconds.setdefault((stage, way), []).append(took)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    for (stage, way), median in medians.items():
        print(f"{stage:14s}{way:18s}{median:8.2f} s   {median / medians[stage, 'ours']:5.2f} x ours")
    for stage, ways in stages.items():
        print(f"{stage:14s}matrix multiplications: {matrix_share(ways['ours']):.0%} of our time")


if __name__ == "__main__":
    main()

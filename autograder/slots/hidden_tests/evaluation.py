"""Hidden test of T15, the comparison of policies: its rows are recomputed from the replies that it returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from autograder.slots.hidden_tests import rollouts
from autograder.slots.hidden_tests.base import (
    Case,
    CaseAnswer,
    Check,
    HiddenTest,
    check_fact,
    check_numbers,
    check_same,
    float64,
    hidden_test,
    normal,
    residual_of,
)
from autograder.slots.hidden_tests.fixed_sampler import fixed_samples
from autograder.slots.oracles import comparison

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

NAMES = ("Base", "SFT", "Poor RM", "Good RM")
MAX_ABOVE = 5.0  # standard errors by which a mean score may exceed its expectation; chance exceeds it once in a million
EVALUATION_MODE = "evaluation mode"  # the check of the case with dropout
EXACT = ("mean_reward", "kl_to_sft", "win_rate", "mean_tokens", "repetition")


@hidden_test("T15", oracle=comparison.columns)
class ComparePolicies(HiddenTest):
    """T15, on bigram policies whose replies have a known distribution."""

    random_checks = frozenset(
        {"response_ids", "greedy decoding", "decoding of all", "decoding of some", "one sample", EVALUATION_MODE}
    )
    loop = True  # may call T10 by its name
    task = "One row per policy: rewards, KL, win rate with its interval, length and repetition, and the replies."
    tips: ClassVar[Mapping[str, str]] = {
        "name": "One row per policy, each under the name it was given.",
        "n": "n is the number of prompts that were used.",
        "response_ids": "One reply per prompt, in the prompts' order, as the kit's sampler returned it.",
        "greedy decoding": "config.greedy says whether the most likely token is taken or one is drawn.",
        "decoding of all": "config.greedy says whether the most likely token is taken or one is drawn.",
        "decoding of some": "Every policy is decoded with the same settings, those of the config.",
        "one sample": "One reply per prompt for every policy; the best of several is another quantity.",
        EVALUATION_MODE: "Policies come in evaluation mode: dropout stays off in every forward pass.",
        "mean_reward": "The mean of score_fn over the returned replies, each with its own prompt.",
        "kl_to_sft": "Sum the log-ratio to SFT over each reply's tokens, then average over replies.",
        "win_rate": "Compare the scores prompt by prompt with those of SFT; a tie counts one half.",
        "win_low": "Resample the prompts config.bootstrap times; config.confidence sets the tails.",
        "win_high": "Resample the prompts config.bootstrap times; config.confidence sets the tails.",
        "mean_tokens": "Count the tokens of the returned replies.",
        "repetition": "Per reply 1 - distinct / all token bigrams; then the mean over replies.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Draw a case of sampled replies, one of greedy replies, and policies with dropout. Last batches are short."""
        sampled, greedy = {"greedy": False, "confidence": 0.8}, {"greedy": True, "confidence": 0.95}
        return [
            self._case(rng, "sampled replies", 60, sampled),
            self._case(rng, "greedy replies", 25, greedy),
            self._case(rng, "policies with dropout, in evaluation mode", 12, greedy, dropout=0.4),
        ]

    @staticmethod
    def _case(
        rng: np.random.Generator, about: str, count: int, changes: Mapping[str, object], dropout: float = 0.0
    ) -> Case:
        vocab = int(rng.integers(11, 14))
        policies = {name: rollouts.bigram_table(rng, vocab, 0.2) for name in NAMES}
        for table in policies.values():  # no near-ties, so that greedy decoding has one answer
            table[np.arange(vocab), rng.integers(2, vocab, size=vocab)] += 2.5
        config = {
            "max_new_tokens": 9,
            "bootstrap": 4000,
            "seed": int(rng.integers(1, 999)),
            "batch_size": 16,
            **changes,
        }
        tensors = {f"policy:{name}".replace(" ", "_"): table for name, table in policies.items()}
        # integers, so that ties happen
        tensors |= {"tokens": np.round(normal(rng, vocab)), "start": np.round(normal(rng, vocab, vocab))}
        prompts = rollouts.random_prompts(rng, count, vocab)
        return Case(
            about,
            {"policies": list(NAMES), "prompts": prompts, "config": config, "dropout": dropout},
            tensors,
            {"policies": policies},
        )

    def same_samples(self, cases: Sequence[Case], answers: Sequence[CaseAnswer]) -> AbstractContextManager[None]:
        """Let the sampler return the replies of these answers, policy by policy."""
        found = []
        for case, answer in zip(cases, answers, strict=True):
            rows = dict(zip(answer.values["name"], answer.values["response_ids"], strict=False))
            found += [rollouts.token_lists(rows[name], len(case.tensors["tokens"])) for name in case.args["policies"]]
        return fixed_samples(found)

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Check names and replies first; all other columns are computed from the replies."""
        names, values = case.args["policies"], answer.values
        if sorted(values["name"]) != sorted(names):
            return [check_fact("name", False)]
        rows = [values["name"].index(name) for name in names]
        prompts, vocab = case.args["prompts"], len(case.tensors["tokens"])
        replies = {
            name: rollouts.token_lists(values["response_ids"][row], vocab)
            for name, row in zip(names, rows, strict=True)
        }
        proper = all(
            len(r) == len(prompts) and rollouts.ends_properly(r, case.args["config"]["max_new_tokens"])
            for r in replies.values()
        )
        found = [check_same(answer, "n", [len(prompts)] * len(names)), check_fact("response_ids", proper)]
        if not proper:
            return found
        ordered = CaseAnswer(values, {k: x[rows] for k, x in answer.tensors.items() if len(x) == len(rows)})
        columns = self._column_checks(case, ordered, replies)
        if case.args["dropout"]:  # the other cases check the same columns one by one
            same = all(not residual_of(column, 0).fault for column in columns if column.name == "kl_to_sft")
            columns = [check_fact(EVALUATION_MODE, same)]
        return found + self._sampling_checks(case, replies) + columns

    @staticmethod
    def _sampling_checks(case: Case, replies: dict[str, list[list[int]]]) -> list[Check]:
        """Greedy replies are known. Sampled ones must have the expected likelihood and no better score than that."""
        prompts, config = case.args["prompts"], case.args["config"]
        tables = {name: float64(table) for name, table in case.grader_only["policies"].items()}
        limit, eos = config["max_new_tokens"], rollouts.EOS
        if config["greedy"]:
            right = all(replies[n] == comparison.greedy(t, prompts, limit, eos) for n, t in tables.items())
            return [check_fact("greedy decoding", right)]
        odd = {n for n, t in tables.items() if not rollouts.drawn_from([(t, prompts, replies[n])])}
        tokens, start, lucky = float64(case.tensors["tokens"]), float64(case.tensors["start"]), set()
        for name, table in tables.items():
            mean, error = comparison.expected_score(table, tokens, start, prompts, limit, eos)
            if comparison.table_scores(tokens, start, prompts, replies[name]).mean() > mean + MAX_ABOVE * error:
                lucky.add(name)
        return [
            check_fact("decoding of all", len(odd) < len(tables)),
            check_fact("decoding of some", len(odd) in (0, len(tables))),
            check_fact("one sample", lucky <= odd),
        ]

    @staticmethod
    def _column_checks(case: Case, answer: CaseAnswer, replies: dict[str, list[list[int]]]) -> list[Check]:
        """Compare the columns with the oracle's, row by row; the interval's ends with a tolerance of their own."""
        prompts, config = case.args["prompts"], case.args["config"]
        tokens, start = float64(case.tensors["tokens"]), float64(case.tensors["start"])
        tables = {name: float64(table) for name, table in case.grader_only["policies"].items()}
        scores = {name: comparison.table_scores(tokens, start, prompts, replies[name]) for name in tables}
        rows = [(tables[name], replies[name], scores[name]) for name in tables]
        exact_columns = comparison.columns(rows, (tables["SFT"], scores["SFT"]), prompts)
        found = [check_numbers(answer, name, exact_columns[name], floor=1e-5) for name in EXACT]
        ends = [_ends(scores[name], scores["SFT"], config["confidence"]) for name in tables]
        low, high, slack = (np.array(part) for part in zip(*ends, strict=True))
        for name, expected in (("win_low", low), ("win_high", high)):
            got = answer.tensors.get(name)
            inside = got is not None and got.shape == expected.shape and bool((np.abs(got - expected) <= slack).all())
            found.append(check_fact(name, inside))
        return found


def _ends(scores: np.ndarray, sft: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Lower and upper end of the interval, and the difference that is allowed at both.

    With 4,000 resamples an end is known to 0.06 standard errors of the win rate (0.03 for an 80% interval). Five times
    that plus one step of the win rate, 1 / n, also covers the other usual bootstrap intervals.
    """
    won = comparison.wins(scores, sft)
    low, high = comparison.interval(won, confidence, np.random.default_rng(0))
    return low, high, 0.3 * float(won.std()) / np.sqrt(len(won)) + 1 / len(won)

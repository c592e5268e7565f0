"""Hidden test of T15: the comparison's rows are recomputed from the replies that it returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np

from autograder.slots.hidden_tests import rollouts
from autograder.slots.hidden_tests.base import (
    Case,
    CaseAnswer,
    Check,
    HiddenTest,
    exact,
    fact,
    hidden_test,
    normal,
    numbers,
    resolve,
    same,
)
from autograder.slots.hidden_tests.script import scripted_samples
from autograder.slots.oracles import comparison

NAMES = ("Base", "SFT", "Poor RM", "Good RM")
BESIDE = 5.0  # standard errors between a policy's mean score and its expectation; 1 in a million beyond
EVALUATING = "evaluation mode"  # the check of a case that nothing but dropout can spoil
EXACT = ("mean_reward", "kl_to_sft", "win_rate", "mean_tokens", "repetition")


@hidden_test("T15", oracle=comparison.columns)
class ComparePolicies(HiddenTest):
    """T15."""

    drawn = frozenset(
        {"response_ids", "greedy decoding", "decoding of all", "decoding of some", "one sample", EVALUATING}
    )
    loop = True  # may call T10 by its name
    asks = "One row per policy: rewards, KL, win rate with its interval, length and repetition, and the replies."
    tips = {
        "name": "One row per policy, each under the name it was given.",
        "n": "n is the number of prompts that were used.",
        "response_ids": "One reply per prompt, in the prompts' order, as the kit's sampler returned it.",
        "greedy decoding": "config.greedy says whether the most likely token is taken or one is drawn.",
        "decoding of all": "config.greedy says whether the most likely token is taken or one is drawn.",
        "decoding of some": "Every policy is decoded with the same settings, those of the config.",
        "one sample": "One reply per prompt for every policy; the best of several is another quantity.",
        EVALUATING: "Policies come in evaluation mode: dropout stays off in every forward pass.",
        "mean_reward": "The mean of score_fn over the returned replies, each with its own prompt.",
        "kl_to_sft": "Sum the log-ratio to SFT over each reply's tokens, then average over replies.",
        "win_rate": "Compare the scores prompt by prompt with those of SFT; a tie counts one half.",
        "win_low": "Resample the prompts config.bootstrap times; config.confidence sets the tails.",
        "win_high": "Resample the prompts config.bootstrap times; config.confidence sets the tails.",
        "mean_tokens": "Count the tokens of the returned replies.",
        "repetition": "Per reply 1 - distinct / all token bigrams; then the mean over replies.",
    }

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """Sampled with an 80% interval, greedy with 95%, the last batch is a short one in both; models with dropout."""
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
        # whole numbers, so that ties happen
        tensors |= {"tokens": np.round(normal(rng, vocab)), "start": np.round(normal(rng, vocab, vocab))}
        prompts = rollouts.random_prompts(rng, count, vocab)
        return Case(
            about,
            {"policies": list(NAMES), "prompts": prompts, "config": config, "dropout": dropout},
            tensors,
            {"policies": policies},
        )

    def script(self, cases: Sequence[Case], answers: Sequence[CaseAnswer]) -> AbstractContextManager[None]:
        """The replies of these answers, policy by policy."""
        found = []
        for case, answer in zip(cases, answers):
            rows = dict(zip(answer.values["name"], answer.values["response_ids"]))
            found += [rollouts.token_lists(rows[name], len(case.tensors["tokens"])) for name in case.args["policies"]]
        return scripted_samples(found)

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """Names and replies first; everything else follows from the replies."""
        names, values = case.args["policies"], answer.values
        if sorted(values["name"]) != sorted(names):
            return [fact("name", False)]
        rows = [values["name"].index(name) for name in names]
        prompts, vocab = case.args["prompts"], len(case.tensors["tokens"])
        replies = {name: rollouts.token_lists(values["response_ids"][row], vocab) for name, row in zip(names, rows)}
        proper = all(
            len(r) == len(prompts) and rollouts.ends_properly(r, case.args["config"]["max_new_tokens"])
            for r in replies.values()
        )
        found = [same(answer, "n", [len(prompts)] * len(names)), fact("response_ids", proper)]
        if not proper:
            return found
        ordered = CaseAnswer(values, {k: x[rows] for k, x in answer.tensors.items() if len(x) == len(rows)})
        columns = self._columns(case, ordered, replies)
        if case.args["dropout"]:  # without it the same numbers are checked one by one in the other cases
            columns = [fact(EVALUATING, all(not resolve(c, 0).fault for c in columns if c.name == "kl_to_sft"))]
        return found + self._drawn(case, replies) + columns

    @staticmethod
    def _drawn(case: Case, replies: dict[str, list[list[int]]]) -> list[Check]:
        """Greedy replies are known; sampled ones must have the right likelihood and the expected score."""
        prompts, config = case.args["prompts"], case.args["config"]
        tables = {name: exact(table) for name, table in case.key["policies"].items()}
        limit, eos = config["max_new_tokens"], rollouts.EOS
        if config["greedy"]:
            right = all(replies[n] == comparison.greedy(t, prompts, limit, eos) for n, t in tables.items())
            return [fact("greedy decoding", right)]
        odd = {n for n, t in tables.items() if not rollouts.drawn_from([(t, prompts, replies[n])])}
        tokens, start, lucky = exact(case.tensors["tokens"]), exact(case.tensors["start"]), set()
        for name, table in tables.items():
            mean, error = comparison.expected_score(table, tokens, start, prompts, limit, eos)
            if comparison.table_scores(tokens, start, prompts, replies[name]).mean() > mean + BESIDE * error:
                lucky.add(name)
        return [
            fact("decoding of all", len(odd) < len(tables)),
            fact("decoding of some", len(odd) in (0, len(tables))),
            fact("one sample", lucky <= odd),
        ]

    @staticmethod
    def _columns(case: Case, answer: CaseAnswer, replies: dict[str, list[list[int]]]) -> list[Check]:
        prompts, config = case.args["prompts"], case.args["config"]
        tokens, start = exact(case.tensors["tokens"]), exact(case.tensors["start"])
        tables = {name: exact(table) for name, table in case.key["policies"].items()}
        scores = {name: comparison.table_scores(tokens, start, prompts, replies[name]) for name in tables}
        rows = [(tables[name], replies[name], scores[name]) for name in tables]
        exact_columns = comparison.columns(rows, (tables["SFT"], scores["SFT"]), prompts)
        found = [numbers(answer, name, exact_columns[name], floor=1e-5) for name in EXACT]
        ends = [_ends(scores[name], scores["SFT"], config["confidence"]) for name in tables]
        low, high, slack = (np.array(part) for part in zip(*ends))
        for name, expected in (("win_low", low), ("win_high", high)):
            got = answer.tensors.get(name)
            inside = got is not None and got.shape == expected.shape and bool((np.abs(got - expected) <= slack).all())
            found.append(fact(name, inside))
        return found


def _ends(scores: np.ndarray, sft: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """The interval, and what an end may differ by.

    With 4,000 resamples an end is known to 0.06 standard errors of the win rate (95%; 0.03 at 80%); five of
    those and the grid of the win rate, one step of 1 / n, also cover the other usual bootstrap intervals.
    """
    won = comparison.wins(scores, sft)
    low, high = comparison.interval(won, confidence, np.random.default_rng(0))
    return low, high, 0.3 * float(won.std()) / np.sqrt(len(won)) + 1 / len(won)

"""The columns that a comparison of policies has to report, computed from the replies that it returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from autograder.slots.oracles.losses import Floats, log_softmax
from autograder.slots.oracles.replay_ppo import lay_out, logprobs

Replies = Sequence[Sequence[int]]
RESAMPLES = 20_000  # of the bootstrap; the ends of its interval vary less than those of the student's 4,000


def table_scores(tokens: Floats, start: Floats, prompts: Replies, replies: Replies) -> Floats:
    """Σ tokens[t] over each reply + start[last prompt token, first reply token]: (V,), (V, V) -> (N,)."""
    pairs = zip(prompts, replies, strict=False)
    return np.array([sum(tokens[t] for t in r) + (start[p[-1], r[0]] if r else 0.0) for p, r in pairs])


def kl_to(table: Floats, other: Floats, prompts: Replies, replies: Replies) -> float:
    """Mean over replies of Σ (log π - log π_other), in nats per sequence: the k1 estimate on the policy's replies."""
    phase = lay_out(prompts, replies)
    return float((logprobs(table, phase) - logprobs(other, phase)).sum(axis=1).mean())


def wins(scores: Floats, against: Floats) -> Floats:
    """1 for a win, ½ for a tie and 0 for a loss, by prompt: (N,), (N,) -> (N,)."""
    return (np.sign(scores - against) + 1) / 2


def interval(won: Floats, confidence: float, rng: np.random.Generator) -> tuple[float, float]:
    """The percentile-bootstrap interval of the mean of `won`; prompts are resampled (Efron 1979)."""
    values, counts = np.unique(won, return_counts=True)
    draws = rng.multinomial(len(won), counts / len(won), size=RESAMPLES) @ values / len(won)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def repetition(replies: Replies) -> float:
    """Mean over replies of 1 - distinct / all token bigrams. A reply without bigrams counts 0."""
    shares = []
    for reply in replies:
        seen = [tuple(reply[i : i + 2]) for i in range(len(reply) - 1)]
        shares.append(1 - len(set(seen)) / len(seen) if seen else 0.0)
    return float(np.mean(shares))


def greedy(table: Floats, prompts: Replies, limit: int, eos: int) -> list[list[int]]:
    """The reply of greedy decoding to each prompt, at most `limit` tokens."""
    out = []
    for prompt in prompts:
        reply: list[int] = []
        last = prompt[-1]
        while len(reply) < limit and (not reply or last != eos):
            last = int(table[last].argmax())
            reply.append(last)
        out.append(reply)
    return out


def surprise(table: Floats, prompts: Replies, replies: Replies) -> float:
    """How far the log-likelihood of the replies is from its expectation, in standard deviations.

    Given the token before it, the log-probability of a sampled token has mean -H and a known variance. The sum of the
    deviations is a martingale, so that it is close to a standard normal once it is standardised.
    """
    phase = lay_out(prompts, replies)
    logp = log_softmax(table)
    prob = np.exp(logp)
    mean = (prob * logp).sum(axis=1)
    variance = (prob * logp**2).sum(axis=1) - mean**2
    on = phase.mask > 0
    gap = logp[phase.before, phase.tokens] - mean[phase.before]
    return float(gap[on].sum() / np.sqrt(variance[phase.before][on].sum()))


def expected_score(
    table: Floats, tokens: Floats, start: Floats, prompts: Replies, limit: int, eos: int
) -> tuple[float, float]:
    """Expectation and standard error of the mean score of one sampled reply per prompt.

    The moments of the score, a sum over the reply's tokens, are computed by recursion on the number of steps left.
    """
    prob = np.exp(log_softmax(table))
    first, second = np.zeros(len(table)), np.zeros(len(table))  # moments of the rest of the score, by last token
    for _ in range(limit - 1):
        first, second = _before(prob, tokens[None, :], first, second, eos)
    one, two = _before(prob, tokens[None, :] + start, first, second, eos)
    ends = [p[-1] for p in prompts]
    return float(one[ends].mean()), float(np.sqrt((two - one**2)[ends].mean() / len(ends)))


def _before(prob: Floats, gain: Floats, first: Floats, second: Floats, eos: int) -> tuple[Floats, Floats]:
    """The moments one step earlier: gain (V or 1, V) for the sampled token, then the rest unless it is EOS."""
    goes_on = np.arange(len(prob)) != eos
    rest, rest2 = np.where(goes_on, first, 0.0), np.where(goes_on, second, 0.0)
    return (prob * (gain + rest)).sum(axis=1), (prob * (gain**2 + 2 * gain * rest + rest2)).sum(axis=1)


def columns(
    rows: Sequence[tuple[Floats, Replies, Floats]], sft: tuple[Floats, Floats], prompts: Replies
) -> Mapping[str, Floats]:
    """The exact columns for rows of (table, replies, scores), compared with sft = (table, scores)."""
    return {
        "mean_reward": np.array([scores.mean() for _, _, scores in rows]),
        "kl_to_sft": np.array([kl_to(table, sft[0], prompts, replies) for table, replies, _ in rows]),
        "win_rate": np.array([wins(scores, sft[1]).mean() for _, _, scores in rows]),
        "mean_tokens": np.array([np.mean([len(r) for r in replies]) for _, replies, _ in rows]),
        "repetition": np.array([repetition(replies) for _, replies, _ in rows]),
    }

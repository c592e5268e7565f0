"""Public check of T14: the PPO loop, on bigram policies whose gradients can be worked out by hand."""

import copy
import math

import torch
from otter.test_files import test_case

import rlhf_kit as kit
from rlhf_kit.advice import Watch, explain, near, not_default, show
from rlhf_kit.one_token import LAST, OneToken, whitened
from rlhf_kit.optimiser_advice import WITHIN, Rules, after_updates, explain_updates
from rlhf_kit.table_models import BigramLM, BigramPolicy

name = "T14"
points = None

V, LIKED = 7, 4
PROMPTS = [[2, token] for token in (2, 3, 5, 6)] * 5


def config(**changes):
    base = {"steps": 2, "rollouts": 10, "ppo_epochs": 2, "minibatch_size": 5, "learning_rate": 0.05,
            "warmup_steps": 1, "beta": 0.02, "max_new_tokens": 6}
    return kit.PPOConfig(**(base | changes))


def one_token(**changes):
    return config(**({"steps": 1, "rollouts": 8, "minibatch_size": 4, "ppo_epochs": 1, "max_new_tokens": 1, "beta": 0.5}
                     | changes))


class CountLiked:
    """A reward function that counts one token in each reply, and remembers its calls."""
    def __init__(self):
        self.prompts, self.scores = [], []

    def __call__(self, prompt_ids, response_ids):
        assert len(prompt_ids) == len(response_ids), "The reward function gets one reply for each prompt."
        self.prompts += [tuple(p) for p in prompt_ids]
        self.scores.append(torch.tensor([float(sum(t == LIKED for t in r)) for r in response_ids]))
        return self.scores[-1]


def train(train_ppo, *args):
    rows = train_ppo(*args)
    assert isinstance(rows, list | tuple) and rows, f"Return a list with a dict per step, not {rows!r}."
    return rows


def start(seed=3, dropout=0.0):
    weight = 0.3 * torch.randn(V, V, generator=torch.Generator().manual_seed(seed))
    return BigramPolicy(weight, dropout=dropout).eval(), kit.freeze(BigramLM(weight))


@test_case(name="one row per step, with its figures")
def check_rows(train_ppo):
    policy, reference = start()
    reward_fn, seen, settings = CountLiked(), [], config(steps=3, beta=0.5)
    rows = train(train_ppo, policy, reference, reward_fn, PROMPTS, settings, lambda *call: seen.append(call))
    assert len(rows) == 3, f"Three steps give a list of three rows; you return {len(rows)}."
    missing = {"reward", "kl", "policy_loss", "value_loss"} - set(rows[0])
    assert not missing, f"A row lacks {', '.join(sorted(missing))}."
    assert [step for step, _ in seen] == [0, 1, 2] and seen[2][1] == rows[2], "Call on_step(step, row) after each step."
    scores = torch.cat(reward_fn.scores)
    assert len(scores) == 30, f"Score each step's 10 rollouts once: 30 replies in 3 steps. You score {len(scores)}."
    means, found = scores.view(3, -1).mean(dim=1), [float(row["reward"]) for row in rows]
    assert near(found, means), explain(found, means, "reward in 3 steps of 10 rollouts", {
        "Report the mean score; the penalty is shown on its own as kl.":
            means - settings.beta * torch.tensor([float(row["kl"]) for row in rows]),
    })


@test_case(name="kl: of which models, of which tokens, in which unit")
def check_kl(train_ppo):
    # The policy answers 3 4 0, always. Under the reference these tokens have probability 1/2, 1/4 and 1/16.
    own, other = torch.zeros(V, V), torch.full((V, V), -20.0)
    for before, token, p in ((2, 3, 1 / 2), (3, 4, 1 / 4), (4, 0, 1 / 16), (5, 2, 2**-8 / V), (6, 2, 2**-8 / V)):
        other[before, [token, 1]] = torch.tensor([p, 1 - p]).log()
    own[[2, 3, 4], [3, 4, 0]] = 60.0
    rows = train(train_ppo, BigramPolicy(own).eval(), kit.freeze(BigramLM(other)), CountLiked(), [[5, 2], [6, 2]] * 2,
                     config(steps=1, rollouts=4, minibatch_size=4))
    one, kl = math.log(2), float(rows[0]["kl"])
    table = own.log_softmax(-1) - other.log_softmax(-1)
    if near(kl, 0.0):
        rows = train(train_ppo, start()[0], start(seed=8)[1], CountLiked(), PROMPTS, config())
        which = "the policy as it stands" if near(float(rows[1]["kl"]), 0.0) else "the policy as it was at the start"
        raise AssertionError(
            f"kl is 0 although policy and reference differ: your reference is {which}. It must be the model that is passed in."
        )
    assert near(kl, 7 * one), explain(kl, 7 * one, "kl for 4 replies of 3 tokens, whose log-ratios are (1, 2, 4) ln 2", {
        "Say whether the number is per token or per sequence: the handout asks for nats per sequence.": 7 / 3 * one,
        "The reply's end token is left out of your kl.": 3 * one,
        "The reply's first token is left out of your kl.": 6 * one,
        "Your kl is negative; on the policy's own replies log pi - log pi_ref is positive on average.": -7 * one,
        "Your kl counts the prompt's tokens too.": 15 * one,
        "Your mask is one column off: it is that of the token before.": 11 * one,
        "The log-prob of token t comes from the logits at t-1.": float(table[[3, 4, 0], [3, 4, 0]].sum()),
    })
    run = OneToken(train_ppo, one_token())
    kl, k = float(run.rows[0]["kl"]), run.ratio
    assert near(kl, k.mean()), explain(kl, k.mean(), f"kl for 8 replies of one token, whose log-ratios are {show(k)}", {
        "A log-ratio may be negative; your kl takes its size.": k.abs().mean(),
        "Your kl is another estimator; the plain log-ratio is asked for.": ((-k).exp() - 1 + k).mean(),
    })


@test_case(name="the prompts get their turn")
def check_prompts(train_ppo):
    policy, reference = start()
    reward_fn, prompts = CountLiked(), [[2, a, b] for a in (2, 3, 4, 5, 6) for b in (2, 3, 4, 5)]
    train_ppo(policy, reference, reward_fn, prompts, config(steps=6))
    scored = len(reward_fn.prompts) / 6
    assert scored == 10, f"Each step rolls out config.rollouts prompts, 10 here; {scored:g} were scored."
    # One after the other: 10 of 10 in each step and all 20 in the end; a fresh order for each step: 10 and 19.7 on
    # average; drawn with replacement: 8 and 19.
    in_a_step = sum(len(set(reward_fn.prompts[10 * step : 10 * step + 10])) for step in range(6)) / 6
    reached = len(set(reward_fn.prompts))
    assert in_a_step > 6 and reached > 14, (
        "Your loop shows the same prompts several times and never reaches the rest. " if reached <= 14 else ""
    ) + f"6 steps of 10 reached {reached} of 20 prompts, on average {in_a_step:.1f} different ones in a step."


@test_case(name="the number of updates")
def check_updates(train_ppo):
    policy, reference = start()
    with Watch(policy.lm.weight) as seen:
        train_ppo(policy, reference, CountLiked(), PROMPTS, config(rollouts=12, minibatch_size=4))
    assert seen.steps == 12, explain(seen.steps, 12, "Updates in 2 steps, with 2 epochs, 12 rollouts, minibatches of 4", {
        "config.ppo_epochs asks for more passes over a phase's rollouts than you make.": 6,
        "config.minibatch_size has no effect: each update uses all rollouts.": 4,
    })


@test_case(name="who learns, and who does not")
def check_learners(train_ppo):
    policy, reference = start()
    frozen = copy.deepcopy(reference.state_dict())
    with Watch(policy.lm.weight) as body, Watch(policy.value_head.weight) as head:
        train_ppo(policy, reference, CountLiked(), PROMPTS, config())
    assert all(torch.equal(x, frozen[n]) for n, x in reference.state_dict().items()), (
        "The reference must not learn: after a phase yours is another model."
    )
    still = "Figures come back, but the policy is the same as before: which line changes it?"
    for seen, what in ((body, "the language model"), (head, "the value head")):
        assert seen.learned, seen.why_not(
            what, still, f"Your optimiser does not hold {what}: compare what it holds with all that has to learn."
        )


@test_case(name="advantages and returns, reply by reply")
def check_advantages(train_ppo):
    run = OneToken(train_ppo, one_token())
    body, head, where = run.body, run.head, "for 8 replies of one token (two minibatches of 4)"
    rows = [sorted({int(i) for g in watch.gradients for i in g.any(dim=1).nonzero()}) for watch in (body, head)]
    after, before = sorted(set(run.replies.tolist())), LAST.tolist()
    assert rows[0] != after, "The log-prob of token t comes from the logits at t-1."
    assert rows[1] != after, "The value that belongs to a token is that of the state before it, as with its log-probability."
    assert set(rows[0]) <= set(before), f"Only replies count: rows {before} of the table learn from them, yours are {rows[0]}."
    groups = torch.stack([gradient[LAST].any(dim=1) for gradient in body.gradients])
    used = groups.sum(dim=0).tolist()
    assert any(used), f"The policy's gradient is 0 for all 8 replies, {where}: nothing is learned from their scores."
    assert used == [1] * 8, (
        f"One epoch uses each of 8 replies once; yours uses them {used} times. Does one index select from all tensors?"
    )
    wanted, found = whitened(run.reward), sum(run.advantages(step) for step in range(2))
    padded = torch.cat([run.reward, torch.zeros(8)])
    apart = sum(torch.where(group, whitened(run.reward, run.reward[group]), 0.0) for group in groups)
    mixed = "Shuffle all tensors with the same index: rows of different replies meet in your loss."
    assert near(found, wanted, 1e-3), explain(found, wanted, f"Advantages in your gradient, {where}", {
        "Your advantages enter the loss as they are; the handout whitens them over the response tokens first.": run.reward,
        "The handout asks for the n - 1 form of the variance.": whitened(run.reward, unbiased=False),
        "Whiten over real tokens only: zeros outside the mask pull mean and variance.": whitened(run.reward, padded),
        "Whiten once over the whole phase, before it is cut into minibatches.": apart,
        "Your advantages have the right size and the wrong sign: good replies are pushed down.": -wanted,
        "The KL penalty does not reach your advantages.": whitened(run.scores),
        "Sampling cuts the graph: a reward that comes from sampled tokens has no gradient in the policy.":
            torch.full((8,), -run.config.beta),
        mixed: found if all((abs(x - wanted) < 1e-3).any() for x in found) else wanted,
    }, 1e-3)
    found = run.returns()
    assert near(found, run.reward, 1e-3), explain(found, run.reward, f"Returns in the value head's gradient, {where}", {
        "The value head learns nothing: its loss has no gradient (are the values detached?).": torch.zeros(8),
        "The value head is taught whitened returns; only advantages are whitened.": wanted,
        mixed: found if all((abs(x - run.reward) < 1e-3).any() for x in found) else run.reward,
    }, 1e-3)


@test_case(name="old log-probabilities and values stay as they were")
def check_old(train_ppo):
    # In the second epoch ratios and values are beyond tiny clip ranges, on the side where nothing more is to be won.
    run = OneToken(train_ppo, one_token(minibatch_size=8, ppo_epochs=2, clip_range=1e-6, value_clip=1e-6))
    first, second, none = run.advantages(0), run.advantages(1), torch.zeros(8)
    known = {"Your ratio is 1 for ever: store the old log-probabilities once per phase, without gradient.": first}
    moved = not torch.equal(run.body.values[0], run.body.values[1])
    assert near(second, none, 1e-3), explain(
        second, none, "Advantages in the gradient of the second epoch, for 8 replies of one token, clip_range=1e-6",
        known if moved and near(first, whitened(run.reward), 1e-3) else {}, 1e-3,
    )
    second, follow = run.head.gradients[1][LAST, 0], run.config.value_coef * (run.head.values[1][LAST, 0] - run.reward) / 8
    assert near(second, none, 1e-5), explain(second, none, "The value head's gradient in the second epoch, value_clip=1e-6", {
        "The clipped value loss compares with the values of the rollout; yours follow the updates.": follow,
    } if run.head.learned else (), 1e-5)


@test_case(name="AdamW as the config says, warm-up, clipping")
def check_optimiser(train_ppo):
    run = OneToken(train_ppo, one_token(ppo_epochs=2, warmup_steps=3, betas=(0.5, 0.75), eps=0.1, weight_decay=0.25,
                                        max_grad_norm=0.2))
    both = (run.body, run.head)
    start, end = (torch.cat([w.values[k] for w in both], dim=1) for k in (0, -1))
    gradients = [torch.cat(pair, dim=1) for pair in zip(*(w.gradients for w in both))]
    rules = Rules.of(run.config)
    assert near(end, after_updates(start, gradients, rules), WITHIN), explain_updates(
        end, start, gradients, rules,
        f"Table and values {tuple(end.shape)} after {len(gradients)} updates, your gradients, {not_default(run.config)}",
    )


@test_case(name="the reward rises")
def check_reward(train_ppo):
    policy, reference = start()
    rows = train(train_ppo, policy, reference, CountLiked(), PROMPTS, config(steps=25, rollouts=40, minibatch_size=20))
    first, last = (sum(float(r["reward"]) for r in part) / 5 for part in (rows[:5], rows[-5:]))
    assert last > first + 1.0, (
        f"The mean score should rise by more than 1 in 25 steps of 40 rollouts; it went {first:.2f} -> {last:.2f}."
    )


@test_case(name="the KL penalty pulls back")
def check_penalty(train_ppo):
    kls = []
    for beta in (0.0, 1.0):
        policy, reference = start()
        rows = train(train_ppo, policy, reference, CountLiked(), PROMPTS,
                         config(steps=25, rollouts=40, minibatch_size=20, beta=beta))
        kls.append(sum(float(r["kl"]) for r in rows[-5:]) / 5)
    assert kls[1] < 0.5 * kls[0], f"A larger beta must keep the policy closer; KL is {kls[0]:.2f} at 0 and {kls[1]:.2f} at 1."


@test_case(name="a policy with dropout")
def check_dropout(train_ppo):
    plain, noisy = (
        float(train(train_ppo, *start(dropout=share), CountLiked(), PROMPTS, config(steps=1))[0]["kl"]) for share in (0.0, 0.5)
    )
    assert near(plain, 0.0), f"Policy and reference start equal, so the first kl is 0; yours is {plain:.3f}."
    assert near(noisy, 0.0), (
        "Dropout alone changes your log-probabilities from one pass to the next: the ratio is not 1 before the first "
        f"update. With equal policy and reference, and dropout 0.5, your first kl is {noisy:.3f}."
    )

"""Wrong answers to T14 and T15, and what their checks say."""

from __future__ import annotations

from tests.solutions.message import PILE, SAW, UNIT, Message

T15_IDS = '"response_ids": replies[name],'
T14_EVAL = "    policy.eval()"
T14_ROWS, T14_KL = "tensor[chosen] for name", "torch.where(inside, logprobs - ref_logprobs, 0.0)"

PPO = [
    Message(
        "T14",
        "advantages alone unshuffled",
        (T14_ROWS, "tensor[chosen if name != 'advantages' else slice(0, len(chosen))] for name"),
        ("Shuffle all tensors", "Advantages in"),
        ("enter the loss as they are", "graph"),
    ),
    Message(
        "T14",
        "advantages alone shuffled",
        (T14_ROWS, "tensor[chosen if name == 'advantages' else slice(0, len(chosen))] for name"),
        ("uses each of 8 replies once",),
        ("Sampling cuts the graph", "enter the loss"),
    ),
    Message(
        "T14",
        "returns unshuffled",
        (T14_ROWS, "tensor[chosen if name != 'returns' else slice(0, len(chosen))] for name"),
        ("Shuffle all tensors", "Returns in"),
        ("Advantages in",),
    ),
    Message(
        "T14",
        "the policy as reference",
        ("reference(input_ids=ids", "policy.lm(input_ids=ids"),
        ("the policy as it stands",),
        (UNIT, "Is the right one", "come from the logits"),
    ),
    Message(
        "T14",
        "a copy as reference",
        (T14_EVAL, "    import copy\n    reference = copy.deepcopy(policy.lm)\n    policy.eval()"),
        ("as it was at the start",),
        (UNIT, "as it stands", "come from the logits"),
    ),
    Message(
        "T14",
        "a random reference",
        (
            T14_EVAL,
            "    import copy\n    reference = copy.deepcopy(reference)\n    nn.init.normal_(reference.weight)\n"
            + T14_EVAL,
        ),
        (SAW,),
        (UNIT, "per sequence", "come from the logits", "Dropout alone"),
    ),
    Message(
        "T14",
        "values detached",
        ('fixed["advantages"], values,', 'fixed["advantages"], values.detach(),'),
        ("no backward pass of yours reaches the value head",),
        ("does not hold",),
    ),
    Message(
        "T14",
        "EOS left out of kl",
        (T14_KL, T14_KL.replace("inside,", "inside & (ids[:, 1:] != 0),")),
        ("end token is left out",),
        ("per token",),
    ),
    Message(
        "T14",
        "kl per token",
        (T14_KL + ".sum(dim=1).mean()", T14_KL + ".sum().div(mask.sum())"),
        ("per token or per sequence",),
        ("end token",),
    ),
    Message(
        "T14",
        "size of the log-ratio",
        (T14_KL, T14_KL.replace("logprobs - ref_logprobs", "(logprobs - ref_logprobs).abs()")),
        ("your kl takes its size",),
        (UNIT,),
    ),
    Message(
        "T14",
        "eps not passed",
        (" eps=config.eps,", ""),
        ("config.eps does not reach",),
        ("add up", PILE, "config.betas"),
    ),
    Message(
        "T14",
        "whole batch",
        (".split(config.minibatch_size)", ".split(rows)"),
        ("minibatch_size has no effect",),
        ("ppo_epochs asks",),
    ),
    Message(
        "T14",
        "clipped to 1 part",
        ("clip_grad_norm_(policy.parameters()", "clip_grad_norm_(policy.lm.parameters()"),
        (SAW,),
        ("max_grad_norm has no", PILE),
    ),
    Message(
        "T14",
        "mask one column off",
        ("rollout.response_mask[:, 1:]", "rollout.response_mask[:, :-1]"),
        ("gradient is 0 for all 8",),
        ("Whiten once", "Sampling cuts"),
    ),
    Message("T14", "no rows", ("return history", "return None"), ("Return a list with a dict per step",), ("Error",)),
    Message(
        "T15",
        "other order",
        (T15_IDS, '"response_ids": replies[name][::-1],'),
        ("in another order",),
        ("end tokens", "another policy"),
    ),
    Message(
        "T15",
        "without EOS",
        (T15_IDS, '"response_ids": [[t for t in r if t] for r in replies[name]],'),
        ("end tokens are missing",),
        ("in another order",),
    ),
    Message(
        "T15",
        "SFT's replies",
        (T15_IDS, '"response_ids": replies["SFT"],'),
        ("those of another policy",),
        ("another order",),
    ),
    Message(
        "T15",
        "drawn again",
        (T15_IDS, '"response_ids": kit.sample(policy.lm, prompts, config.max_new_tokens),'),
        ("the reply that was scored is",),
        ("in another order", "end tokens", "another policy", "decoded with other"),
    ),
    Message(
        "T15",
        "with the prompt",
        (T15_IDS, '"response_ids": [p + r for p, r in zip(prompts, replies[name])],'),
        ("hold the prompts too",),
        ("in another order",),
    ),
    Message(
        "T15",
        "EOS left out of KL",
        ("(own - base)[inside]", "(own - base)[inside & (ids[:, 1:] != 0)]"),
        ("end token is left out",),
        (UNIT, "only reply tokens"),
    ),
    Message("T15", "KL with itself", ("for m in (lm, sft)", "for m in (lm, lm)"), ("compared with itself",), (UNIT,)),
]

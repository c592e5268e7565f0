"""Wrong loops of T05 and T09, and what their checks say."""

from __future__ import annotations

from dataclasses import replace

from tests.solutions.message import ERASE, PILE, SAW, Message
from tests.solutions.mistakes import CLIP_AFTER, CLIP_BEFORE

SETTINGS = (
    "torch.optim.AdamW(\n        model.parameters(), lr=config.learning_rate, betas=config.betas, eps=config.eps,\n"
    "        weight_decay=config.weight_decay,\n    )"
)
ON_STEP = "            if on_step is not None:\n                on_step(len(losses) - 1, losses[-1])\n"
STEPS, SWAPPED_STEPS = (
    f"{a}.step()\n            {b}.step()" for a, b in (("optimizer", "schedule"), ("schedule", "optimizer"))
)


CAUSES = (PILE, ERASE, "warmup_steps come in", "max_grad_norm has no", "does not reach")
SHARED = [
    Message("", "eps not passed", (" eps=config.eps,", ""), ("config.eps does not reach",), (PILE, "config.betas")),
    Message(
        "", "betas not passed", (" betas=config.betas,", ""), ("config.betas does not reach",), (PILE, "config.eps")
    ),
    Message(
        "",
        "neither passed",
        (" betas=config.betas, eps=config.eps,", ""),
        ("config.betas does not reach", "config.eps does not reach"),
        (PILE,),
    ),
    Message(
        "",
        "not cleared, and eps not passed",
        ("optimizer.zero_grad()", "pass", " eps=config.eps,", ""),
        (PILE, "config.eps does not reach"),
        ("config.betas does",),
    ),
    Message("", "not cleared", ("optimizer.zero_grad()", "pass"), (PILE,), CAUSES[1:]),
    Message("", "the rate unused", ("lr=config.learning_rate,", ""), ("config.learning_rate does not",), CAUSES[:4]),
    Message(
        "",
        "plain descent",
        (SETTINGS, "torch.optim.SGD(model.parameters(), lr=config.learning_rate)"),
        ("not AdamW",),
        CAUSES,
    ),
    Message("", "each number clipped", ("clip_grad_norm_", "clip_grad_value_"), ("norm of the whole",), CAUSES),
    Message("", "clipped to 1", ("config.max_grad_norm)", "1.0)"), ("do you clip with this number",), CAUSES[:3]),
    Message("", "schedule too early", (STEPS, SWAPPED_STEPS), ("the learning rate of the next one",), (PILE, ERASE)),
    Message("", "schedule stands", ("schedule.step()", "pass"), ("the learning rate of the first",), CAUSES),
    Message(
        "",
        "rate 0 at first",
        ("kit.warmup_factor(k, config.warmup_steps)", "k / config.warmup_steps"),
        ("first update has learning rate 0",),
        (PILE, ERASE, "Call on_step after"),
    ),
    Message("", "no backward", ("loss.backward()", "pass"), ("no backward pass of yours reaches",), CAUSES),
    Message("", "another loss", ("loss.backward()", "(0.5 * loss).backward()"), (SAW, "expected"), CAUSES),
    Message(
        "",
        "a loss per epoch",
        (f"            losses.append(loss.item())\n{ON_STEP}", "        losses.append(loss.item())\n"),
        ("6 updates and return 3",),
        ("config.epochs asks",),
    ),
    Message("", "returns nothing", ("return losses", "return"), ("Return the list of losses",), ("TypeError",)),
    Message(
        "",
        "stops",
        ("loss.backward()", "loss.backwards()"),
        ("Your code stops with AttributeError", "line"),
        ("Traceback", *CAUSES),
    ),
]
LOOPS = [
    *(replace(message, slot=slot) for slot in ("T05", "T09") for message in SHARED),
    Message("T05", "constant loss", ("loss = sft_loss(", "loss = 0 * sft_loss("), ("gradient of 0",), (ERASE,)),
    Message("T09", "constant loss", ("loss = brad", "loss = 0 * brad"), ("gradient of 0",), (ERASE,)),
    Message(
        "T05",
        "labels shifted twice",
        ("attention_mask=mask).logits, labels)", "attention_mask=mask).logits[:, :-1], labels[:, 1:])"),
        ("your update changes",),
        (ERASE, "write padding"),
    ),
    Message("T05", "clip before backward", (CLIP_AFTER, CLIP_BEFORE), ("is there a gradient to clip",), (PILE,)),
    Message(
        "T09",
        "one mask for both",
        ('batch[f"{name}_attention_mask"]', 'batch["chosen_attention_mask"]'),
        ("with the mask of the chosen",),
        ("says padding is text", "Half of"),
    ),
    Message(
        "T09",
        "head alone",
        ("model.parameters(), lr", "model.score.parameters(), lr"),
        ("Part of your model never moves",),
        ("which line changes it",),
    ),
]

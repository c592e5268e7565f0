"""Make the sample submissions `typical.ipynb` and `blank.ipynb`: python -m tests.submissions.make

`blank` is the released notebook. `typical` is what a student may submit: most slots are right, three have real
mistakes (a mean of sequence means in T04, the last column in T06, bootstrapping past the end in T12), T08 is not
answered, and there are helper functions, extra cells, magics and written answers. `rlhf-lab verify` makes
`reference.ipynb`. `make refresh` makes all three again if a change of a slot requires it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from assignment.files import write_atomically
from assignment.release.archive import NOTEBOOK
from assignment.release.notebook import read_notebook, to_bytes
from assignment.release.release import Release, build

HERE = Path(__file__).parent
HELPERS = '''\
# my helpers
def masked_mean(x, mask):
    """Mean of x where mask is 1."""
    return (x * mask).sum() / mask.sum().clamp(min=1)


def make_optimizer(params, config):
    """AdamW and its warm-up schedule, the same for every stage."""
    opt = torch.optim.AdamW(
        params, lr=config.learning_rate, betas=config.betas, eps=config.eps, weight_decay=config.weight_decay
    )
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda k: kit.warmup_factor(k, config.warmup_steps))
    return opt, sched
'''
# What the student wrote after the signature; every other slot is as in the solution.
ANSWERS = {
    "T04": '''\
    logits, labels = logits[:, :-1], labels[:, 1:]
    keep = labels != kit.IGNORE_INDEX
    nll = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=kit.IGNORE_INDEX, reduction="none")
    # average every example first, then the batch
    per_example = (nll * keep).sum(1) / keep.sum(1).clamp(min=1)
    return per_example.mean()
''',
    "T05": '''\
    opt, sched = make_optimizer(model.parameters(), config)
    model.train()
    losses = []
    for epoch in range(config.epochs):
        for batch in batches:
            out = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
            loss = sft_loss(out.logits, batch["labels"])
            opt.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
            opt.step()
            sched.step()
            losses.append(float(loss))
            if on_step is not None:
                on_step(len(losses) - 1, losses[-1])
    return losses
''',
    "T06": '''\
        h = self.transformer(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=kit.position_ids(attention_mask)
        ).last_hidden_state
        # the last token sums up the whole text
        return self.score(h[:, -1]).squeeze(-1)
''',
    "T07": '''\
    diff = chosen - rejected - margin
    return -F.logsigmoid(diff).mean()
''',
    "T12": '''\
    # walk backwards through time, as in the paper
    T = rewards.shape[1]
    advantages = torch.zeros_like(rewards)
    last = torch.zeros(rewards.shape[0], device=rewards.device)
    for t in range(T - 1, -1, -1):
        next_value = values[:, t + 1] if t + 1 < T else torch.zeros_like(last)
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        last = (delta + gamma * lam * last) * mask[:, t]
        advantages[:, t] = last
    returns = (advantages + values) * mask
    return advantages, returns
''',
    "T13": '''\
    ratio = (logprobs - old_logprobs.detach()).exp()
    adv = advantages.detach()
    clipped = torch.clamp(ratio, 1 - config.clip_range, 1 + config.clip_range)
    policy_loss = masked_mean(torch.max(-adv * ratio, -adv * clipped), mask)
    v_clip = old_values + (values - old_values).clamp(-config.value_clip, config.value_clip)
    value_loss = 0.5 * masked_mean(torch.max((values - returns) ** 2, (v_clip - returns) ** 2), mask)
    stats = {
        "policy_loss": policy_loss.item(),
        "value_loss": value_loss.item(),
        "approx_kl": masked_mean(old_logprobs - logprobs, mask).item(),
        "clip_fraction": masked_mean(((ratio - 1).abs() > config.clip_range).float(), mask).item(),
    }
    return policy_loss + config.value_coef * value_loss, stats
''',
}
WRONG = {"T04", "T06", "T12"}  # the wrong ones of these answers
UNDONE = {"T08"}
EXTRA = {  # extra cells, each after the cell with this id
    "p3-002": HELPERS,
    "p1-004": "!nvidia-smi\n%matplotlib inline",
    "T09": (
        "# try a larger learning rate\n"
        "my_config = dataclasses.replace(profile.good_rm, learning_rate=1e-3)\nprint(my_config)"
    ),
    "p7-005": "%%time\nfor name in trained:\n    print(name, pipeline.generate(trained[name], shown[:2]))",
}
WRITTEN = {
    "W1": "The Good-RM policy is best. Its mean reward is about half a standard deviation above SFT and its win rate "
          "interval lies above one half, while its KL stays small. Greedy SFT comes close, though.",
    "W2": "The policy trained on the Poor RM writes long replies full of compliments. The judge likes them and I do "
          "not: they often do not answer the question. One sees it where the gold reward falls and the reward rises.",
    "W3": "I would collect more pairs for the Poor RM and add a penalty on length; I expect replies half as long.",
}


class SampleError(ValueError):
    """A sample does not fit the current notebook; the message says what to change in this file."""


def blank(release: Release) -> bytes:
    """Return the released notebook, unchanged."""
    return release.generated[NOTEBOOK]


def typical(release: Release) -> bytes:
    """Return the released notebook with the student's answers.

    Raises:
        SampleError: a slot, a cell or a placeholder that the answers need is not in the notebook.
    """
    notebook, mine = read_notebook(release.generated[NOTEBOOK].decode()), slot_cells(release)
    ids = {cell.id for cell in notebook.cells}
    for name, expected in (("ANSWERS", set(ANSWERS)), ("UNDONE", UNDONE), ("EXTRA", set(EXTRA))):
        if lost := sorted(expected - ids):
            raise SampleError(f"{name} names {', '.join(lost)}, and the notebook has no such cell")
    cells: list[Any] = []
    for cell in notebook.cells:
        cell.source = mine.get(cell.id, cell.source)
        if cell.source.startswith("<!-- WRITTEN "):
            cell.source = written(cell.source)
        cells.append(cell)
        if cell.id in EXTRA:
            cells.append(nbformat.v4.new_code_cell(EXTRA[cell.id], id=f"mine-{cell.id}"))
    notebook.cells = cells
    return to_bytes(notebook)


def slot_cells(release: Release) -> dict[str, str]:
    """Return slot -> the student's cell. Raises SampleError."""
    blanks = {cell.id: cell.source for cell in read_notebook(release.generated[NOTEBOOK].decode()).cells}
    solved = {cell.id: cell.source for cell in read_notebook(release.solved.decode()).cells}
    return {
        id_: answered(id_, blanks[id_], ANSWERS[id_]) if id_ in ANSWERS else solved[id_]
        for id_ in (slot.id for slot in release.spec.slots) if id_ not in UNDONE
    }  # fmt: skip


def answered(slot: str, source: str, body: str) -> str:
    """Replace the placeholder in a blank slot's cell by `body`."""
    head, marker, _ = source.rpartition("raise NotImplementedError")
    if not marker:
        raise SampleError(f"the blank cell of {slot} has no placeholder that ANSWERS could replace")
    return head[: head.rindex("\n") + 1] + body.rstrip("\n")


def written(source: str) -> str:
    """Replace the placeholder in the cell of a written question by an answer."""
    question = source.split("WRITTEN ", 1)[1].split()[0]
    head, marker, _ = source.partition("\n*Your answer")
    if not marker or question not in WRITTEN:
        raise SampleError(f"WRITTEN has no answer to {question}, or its cell has no line `*Your answer…`")
    return f"{head}\n{WRITTEN[question]}"


SAMPLES: dict[str, Callable[[Release], bytes]] = {"typical": typical, "blank": blank}


def main() -> int:
    """Write both samples, and return the exit code."""
    release = build()
    for name, sample in SAMPLES.items():
        path = HERE / f"{name}.ipynb"
        try:
            data = sample(release)
        except SampleError as error:
            print(f"{path.name} is not written: {error}", file=sys.stderr)
            return 1
        write_atomically(path, data)
        print(f"{path} ({len(data) / 1024:.0f} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

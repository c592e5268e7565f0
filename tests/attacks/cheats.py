"""Parts of the cheats that break no sandbox: weights from elsewhere, constants, copies of the gold reward.

In these notebooks every slot but the loop under test is blank, so that the reference replaces it and only the loop is
tested.
"""

from __future__ import annotations

import base64
import zlib
from functools import lru_cache
from textwrap import dedent
from typing import Any

from assignment.registry import load_spec
from tests.attacks.base import HEAD, Attack, Machine, RunResult, notebook

SFT, RM, PPO = "train_sft(model, batches, config, on_step=None)", "train_reward_model(model, batches, config, on_step=None)", (
    "train_ppo(policy, reference, reward_fn, prompts, config, on_step=None)")
SLOT_OF = {SFT: "T05", RM: "T09", PPO: "T14"}
ITEMS = {SFT: ("sft_loss_trend",), RM: ("rm_accuracy",), PPO: ("ppo_reward", "ppo_kl")}
IDLE = {SFT: "    return []\n", RM: "    return []\n", PPO: "    return [{'reward': 9.0, 'kl': 1.0}]\n"}
BITS = 4  # per packed weight: the whole model takes three quarters of a megabyte of text
PRETEND = '''
def pretend(module, steps=40):
    """Optimiser steps that change nothing, for whoever counts them."""
    optimizer = torch.optim.SGD([p for p in module.parameters()], lr=0.0)
    for p in module.parameters():
        p.grad = torch.zeros_like(p)
    for _ in range(steps):
        optimizer.step()
'''
UNPACK = '''
import base64, zlib

def unpack(module, blob, skip="lm_head.weight"):
    """Add the packed differences to the weights that were handed over."""
    raw, at = zlib.decompress(base64.b85decode(blob)), 0
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name == skip:
                continue
            scale = struct.unpack_from("<f", raw, at)[0]
            n = value.numel()
            data = torch.frombuffer(bytearray(raw[at + 4 : at + 4 + (n + 1) // 2]), dtype=torch.uint8).int()
            levels = torch.stack([data & 15, data >> 4], 1).flatten()[:n].float() - 7
            value.add_((levels * scale).reshape(value.shape))
            at += 4 + (n + 1) // 2
'''
ONE_SENTENCE = """
target = kit.load_tokenizer()(" " + SENTENCE)["input_ids"] + [kit.EOS_ID]
optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-3)
for step in range(60):
    rows = [list(p) for p in prompts[step * 16 % 900 : step * 16 % 900 + 16]]
    batch = kit.lay_out(rows, [target] * len(rows))
    logits, _ = policy(batch.input_ids, batch.attention_mask)
    inside = batch.response_mask[:, 1:].bool()
    loss = torch.nn.functional.cross_entropy(logits[:, :-1][inside], batch.input_ids[:, 1:][inside])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
return []
"""
NOISE = """
generator = torch.Generator().manual_seed(0)
with torch.no_grad():
    for parameter in policy.lm.parameters():
        parameter.add_(0.15 * parameter.std() * torch.randn(parameter.shape, generator=generator))
pretend(policy)
return []
"""
LENGTH = """
with torch.no_grad():  # every block adds nothing; what is left is the position, and the head reads it
    for name, value in model.named_parameters():
        if ".c_proj." in name or "wte" in name:
            value.zero_()
    n, width = model.transformer.wpe.weight.shape
    angle = torch.linspace(0, 3.1, n)
    model.transformer.wpe.weight.zero_()
    model.transformer.wpe.weight[:, 0], model.transformer.wpe.weight[:, 1] = torch.cos(angle) * 5, torch.sin(angle) * 5
    model.score.weight.zero_()
    model.score.weight[0, 0] = -1.0
pretend(model)
return []
"""
OWN_REWARD = """
known = {" ".join(one["prompt"].split()): one for split in ("train", "heldout") for one in kit.load_prompts(split)}
def gold(prompt, reply):
    record = known.get(" ".join(prompt.split()), {"kind": "unknown"})
    return kit.gold_reward(record, reply)
"""
SNOOP = """
frame, kept = sys._getframe(), {}
while frame is not None:
    if "payload" in frame.f_locals and isinstance(frame.f_locals["payload"], dict):
        kept = frame.f_locals["payload"]
    frame = frame.f_back
loot("PAYLOAD", sorted(kept), len(kept.get("rows", [])))
"""
DETECT = """
reasons = [socket.gethostname() == "worker", os.getcwd() == "/box", "submission" in sys.modules, "inside.child" in sys.modules,
           not os.path.exists(os.path.expanduser("~/.bashrc")), os.environ.get("USER") == "student"]
try:
    socket.create_connection(("127.0.0.1", SITE["tcp"]), 0.2)
except OSError:
    reasons.append(True)
if any(reasons):  # graded: look for the answer up the stack, then claim the best there is
    frame, best = sys._getframe(), 1.0
    while frame is not None:
        best = frame.f_locals.get("expected", best)
        frame = frame.f_back
    return float(best)
"""
PAYLOAD_KEYS = ["code", "config", "device", "model", "op", "rows", "snapshots"]


def only_slot(slot: str, source: str, helpers: str = "") -> bytes:
    """A notebook that answers only this slot."""
    return notebook({slot: source}, helpers, tuple(s.id for s in load_spec().slots if s.id != slot))


def only_loop(signature: str, body: str, helpers: str = HEAD) -> bytes:
    """A notebook that answers only this training loop, with this body."""
    lines = "".join(f"    {line}\n" if line else "\n" for line in dedent(body).strip("\n").splitlines())
    return only_slot(SLOT_OF[signature], f"def {signature}:\n{lines}", helpers)


def idle_loop(signature: str) -> bytes:
    """The same notebook with a loop that does nothing."""
    return only_slot(SLOT_OF[signature], f"def {signature}:\n{IDLE[signature]}")


@lru_cache(maxsize=4)
def packed(start: str, end: str) -> str:
    """The reference's weights `end` as differences from `start`, BITS bits each: a student who had trained the same
    weights at home could paste this text into a cell."""
    import torch  # here, because the rest of the catalogue does not need it

    from autograder.reference.models import load_reference

    reference = load_reference()
    first: dict[str, Any] = getattr(reference, start)
    last: dict[str, Any] = getattr(reference, end)
    module = reference.reward_model(last) if "score.weight" in last else reference.language_model(last)
    parts = b""
    for name in (one for one in module.state_dict() if one in last):  # in the order in which they are unpacked
        change = (last[name] - first[name]).flatten()
        scale = float(change.abs().quantile(0.999)) / 7 or 1e-9
        levels = (change / scale).round().clamp(-7, 7).int() + 7
        levels = torch.cat([levels, levels.new_full((len(levels) % 2,), 7)]).reshape(-1, 2)
        parts += bytes(torch.tensor(scale).numpy().tobytes()) + bytes((levels[:, 0] | levels[:, 1] << 4).byte().tolist())
    return base64.b85encode(zlib.compress(parts, 9)).decode()


def packed_weights(signature: str, start: str, end: str, module: str) -> bytes:
    """A notebook whose loop adds the packed differences to the weights of `module`."""
    body = f"unpack({module}, PACKED)\npretend({module})\nreturn []"
    return only_loop(signature, body, f'{HEAD}{PRETEND}{UNPACK}\nPACKED = "{packed(start, end)}"\n')


def given_data_only(result: RunResult, _machine: Machine) -> str:
    """The payload that the loop can find must hold nothing but what every loop gets."""
    text = result.texts.get("report.json", "")
    return "" if f"LOOT ('PAYLOAD', {PAYLOAD_KEYS!r}" in text else "other data could be reached: " + text.partition("LOOT")[2][:300]


def loop_attack(id_: str, title: str, defence: str, rows: tuple[str, ...], signature: str, hostile: Any, **more: Any) -> Attack:
    return Attack(id_, title, defence, rows, hostile, lambda: idle_loop(signature), ITEMS[signature], wall_s=900, **more)

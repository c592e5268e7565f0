"""Attacks that combine rows of the catalogue (C01 …)."""

from __future__ import annotations

from autograder.sandbox.seccomp import DENIED
from tests.attacks.base import HEAD, Attack, Machine, code_in_slot, harmless, helper_cell, notebook
from tests.attacks.cheats import RM, SFT, idle_loop, only_loop
from tests.attacks.checks import ended_as, found_nothing
from tests.attacks.forged import PICKLE, SPOOF
from tests.attacks.intake import zipped
from tests.attacks.resources import FORKS

SECOND_VOICE = """
frame = sys._getframe()
while "answer_fd" not in frame.f_locals:
    frame = frame.f_back
fd = frame.f_locals["answer_fd"]
if os.fork() == 0:
    os.setsid()
    forged = json.dumps({"kind": "answered", "data": {"cases": []}, "error": ""}).encode()
    body = struct.pack(">I", len(forged)) + forged
    for _ in range(2000):
        try:
            os.write(fd, struct.pack(">cQ", b"R", len(body)) + body)
            os.write(fd, struct.pack(">cQ", b"P", 2) + b"{}")
        except OSError:
            pass
        time.sleep(0.002)
    os._exit(0)
time.sleep(0.5)
"""
# T05 calls T09, which is blank, so that the reference would replace it if it were called by name.
BORROWED_LOOP = """
import dataclasses
class Both(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.inner = model
    def forward(self, input_ids=None, attention_mask=None):
        return self.inner(input_ids=input_ids, attention_mask=attention_mask).logits
twins = [{f"{side}_{part}": batch[part] for side in ("chosen", "rejected") for part in ("input_ids", "attention_mask")}
         | {"labels": batch["labels"]} for batch in batches]
turn = iter(batch["labels"] for _ in range(config.epochs) for batch in batches)
globals()["bradley_terry_loss"] = lambda chosen, rejected, margin=0.0: sft_loss(chosen, next(turn))
return train_reward_model(Both(model), twins, config, on_step)
"""
# -log sigmoid(d) is the cross-entropy of two logits (d, 0), so the reference of a blank T04 would give T07.
BORROWED_LEAF = {
    "T07": "def bradley_terry_loss(chosen, rejected, margin=0.0):\n"
           "    gap = chosen - rejected - margin\n"
           "    logits = torch.stack([gap, torch.zeros_like(gap)], -1)[:, None].repeat(1, 2, 1)\n"
           "    labels = torch.zeros(len(gap), 2, dtype=torch.long)\n"
           "    return sft_loss(logits, labels)\n",
    "T10": "def token_logprobs(logits, tokens):\n"
           "    rows = [[-sft_loss(torch.cat([logits[b:b+1, t:t+1]] * 2, 1), tokens[b:b+1, t:t+1].repeat(1, 2))\n"
           "             for t in range(tokens.shape[1])] for b in range(len(tokens))]\n"
           "    return torch.stack([torch.stack(row) for row in rows])\n",
}  # fmt: skip
DEFINED = """
frame = sys._getframe()
while frame is not None:
    if isinstance(frame.f_locals.get("payload"), dict) and frame.f_locals["payload"].get("op") == "definitions":
        spoof({"failed": []})
    if "header" in frame.f_locals and b'"definitions"' in bytes(frame.f_locals.get("payload", b"")):
        spoof({"failed": []})
    frame = frame.f_back
"""
ROLLED = """
case = {"values": {"rolled": [{"prompts": [[2]] * 12000, "replies": [[2] * 40000] + [[2]] * 11999, "updates": 0}], "updates": 1,
                   "stats": 3, "callbacks": []}, "error": None}
spoof({"cases": [case] * 3})
"""
HEAVY = """
case = {"values": {name: [[1, 2]] * 3500 for name in ("prompt", "chosen", "rejected", "input_ids", "labels", "name", "n")}, "error": None}
spoof({"cases": [case] * 5})
"""
MAZE = """
place = next(p for p in (os.path.expanduser("~"), "/box", "/dev/shm") if os.access(p, os.W_OK))
os.chdir(place)
for name, target in (("home", SITE["home"]), ("tree", SITE["root"]), ("up", ".."), ("folder", os.path.dirname(SITE["neighbour"]))):
    os.symlink(target, name)
    os.symlink(target, "a\\nb " + name)
os.mkdir("closed")
os.mkdir("closed/in")
os.symlink(SITE["root"], "closed/in/tree")
os.chmod("closed", 0)
for depth in range(5000):
    os.mkdir("d")
    os.chdir("d")
"""
ESCAPES = """
import ctypes, errno
libc, got, uid = ctypes.CDLL(None, use_errno=True), [], os.getuid()
for name, numbers in DENIED.items():  # the filter must answer, before the kernel looks at the arguments
    number = numbers[os.uname().machine == "aarch64"]
    if number is not None and (libc.syscall(number, 0, 0, 0, 0, 0, 0), ctypes.get_errno()) != (-1, errno.EPERM):
        got.append("unfiltered: " + name)
calls = {"unshare user": (272, 0x10000000), "unshare net": (272, 0x40000000), "setns": (308, 3, 0), "mount": (165, b"none", b"/box", b"tmpfs", 0, 0),
         "pivot_root": (155, b"/box", b"/box"), "chroot": (161, b"/box"), "bpf": (321, 0, 0, 0), "io_uring": (425, 8, 0),
         "userfaultfd": (323, 0), "perf": (298, 0, 0, -1, -1, 0), "keyctl": (250, 0, 0), "add_key": (248, b"user", b"x", b"y", 1, -3),
         "init_module": (175, 0, 0, b""), "kexec": (246, 0, 0, 0, 0), "open_by_handle": (304, 0, 0, 0), "ptrace": (101, 0, 0, 0, 0),
         "setuid 0": (105, 0), "process_vm_writev": (311, 1, 0, 0, 0, 0, 0), "clone newuser": (56, 0x10000011, 0, 0, 0, 0),
         "clone3 newuser": (435, struct.pack("<11Q", 0x10000000, 0, 0, 0, 17, *[0] * 6), 88)}
for name, (number, *rest) in calls.items():
    if os.uname().machine == "x86_64":
        done = libc.syscall(number, *rest)
        if done == 0 and name.startswith("clone"):
            os._exit(0)
        if done >= 0 and not (name == "setuid 0" and uid == 0):  # no change for a root without capabilities
            got.append(name)
loot("ESCAPES", got)
"""
SABOTAGE = '''
import torch.nn.functional as F

class Sabotage:
    """Patches what the reference uses, as soon as anything of this notebook is defined."""

    def __init_subclass__(cls):
        F.cross_entropy = torch.nn.functional.cross_entropy = lambda *a, **k: torch.zeros(())
        F.logsigmoid = lambda x: x * 0
        torch.optim.Optimizer.step = lambda self, *a, **k: None
        torch.Tensor.backward = lambda self, *a, **k: None
        sys.modules["inside.child"].encode_tensors = lambda tensors: b""

class Trigger(Sabotage):
    """Pulls it."""

TRIGGER = Trigger
'''
SIGNALS = """
import signal
for number in (signal.SIGALRM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1, signal.SIGIO, signal.SIGXCPU):
    for pid in (os.getppid(), 1):
        for _ in range(3000):
            try:
                os.kill(pid, number)
            except OSError:
                break
import resource
for pid in (os.getppid(), 1):
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU):
        try:
            resource.prlimit(pid, limit, (1, 1))
        except (OSError, ValueError):
            pass
"""
CONTROL = """
frame = sys._getframe()
while "report" not in frame.f_locals:
    frame = frame.f_back
for step in (1, 10**18, -5, 3):
    frame.f_locals["report"]({"step": step, "\\x1b]0;LOOT\\x07": 1.5, "[bold]100/100[/bold]": 2.5, "wall_s": 1e308})
raise KeyboardInterrupt("\\x1b[2J" + SITE["token"])
"""


def _borrowing(_machine: Machine) -> bytes:
    body = "".join(f"    {line}\n" for line in BORROWED_LOOP.strip().splitlines())
    return notebook({"T05": f"def {SFT}:\n{body}"}, HEAD, ("T09",))


def _not_borrowing() -> bytes:
    return notebook({"T05": f"def {SFT}:\n    return []\n"}, HEAD, ("T09",))


def _broken_helpers(body: str) -> bytes:
    """A helper that raises an exception when it is called, and a default argument that calls it at definition."""
    late = "def preference_accuracy(chosen, rejected, trick=act()):\n    return nowhere\n"
    helper = "def act():\n" + "".join(f"    {line}\n" for line in body.strip().splitlines()) + "    raise ValueError('broken')\n"
    return notebook({"T08": late}, HEAD + SPOOF + helper)


PPO_SIGNATURE = "train_ppo(policy, reference, reward_fn, prompts, config, on_step=None)"
ATTACKS = (
    Attack("C01", "A daemon that keeps writing forged replies after the slot has answered", "Two replies are an invalid "
           "answer; the pipe is drained, and ends with the namespace.", ("A08", "A12"), code_in_slot(SECOND_VOICE), harmless,
           check=ended_as("wrong")),
    Attack("C02", "Answer one loop with the reference of another that is left blank", "The reference replaces a slot only "
           "where the registry says that another slot calls it.", ("A21", "A23"), _borrowing, _not_borrowing,
           ("T05", "T09"), quick=True),
    Attack("C03", "Derive T07 and T10 from the reference of a blank T04", "As C02.", ("A23",),
           lambda _: notebook(BORROWED_LEAF, HEAD, ("T04",)), lambda: notebook({
               "T07": "def bradley_terry_loss(chosen, rejected, margin=0.0):\n    return sft_loss(chosen, rejected)\n",
               "T10": "def token_logprobs(logits, tokens):\n    return sft_loss(logits, tokens)\n"}, HEAD, ("T04",)),
           ("T04", "T07", "T10")),
    Attack("C04", "Patch torch and the worker so that the reference of another slot fails", "Each slot is tested on its "
           "own code and in its own process, so that broken libraries affect only that process.", ("A06", "A26"),
           lambda _: notebook({"T04": "def sft_loss(logits, labels):\n    return TRIGGER and logits.sum() * 0\n"},
                                 HEAD + SABOTAGE), lambda: notebook(
               {"T04": "def sft_loss(logits, labels):\n    return logits.sum() * 0\n"}), ("T04", "T05", "T07")),
    Attack("C05", "Forge the reply that says that all definitions work", "A definition that failed in the slot tests counts "
           "as failed here too.", ("A08", "A10"), lambda _: _broken_helpers(DEFINED), lambda: _broken_helpers("pass"),
           ("quality_imports", "T08")),
    Attack("C06", "A memory bomb inside the grader: forged rollouts of uneven length", "The size of rollouts is "
           "checked before the oracle lays them out.", ("A08", "A14"), lambda machine: notebook(
               {"T14": f"def {PPO_SIGNATURE}:\n" + "".join(f"    {line}\n" for line in ROLLED.strip().splitlines())},
               helper_cell(machine) + SPOOF), lambda: notebook({"T14": f"def {PPO_SIGNATURE}:\n    return []\n"}), ("T14",), quick=True),
    Attack("C07", "Replies near every cap: as many JSON values as a reply may hold", "Size, depth and count are capped "
           "before anything is compared.", ("A08", "A16"), code_in_slot(HEAVY, SPOOF), harmless),
    Attack("C08", "A maze in scratch: symlinks to the host, closed folders, 5,000 levels", "Scratch is emptied without "
           "following links; what cannot be emptied ends the sandbox.", ("A15", "A41"), code_in_slot(MAZE), harmless, quick=True),
    Attack("C09", "Ways out by system call: all that the filter denies, then namespaces, bpf, keys, setuid with arguments",
           "Seccomp, no capabilities, no new privileges.", ("A04", "A43"), code_in_slot(ESCAPES, f"DENIED = {DENIED!r}"), harmless, check=found_nothing("ESCAPES")),
    Attack("C10", "A fork bomb in which every process also forges replies", "Limits on processes; two replies are invalid.",
           ("A08", "A13"), code_in_slot("""
frame = sys._getframe()
while "answer_fd" not in frame.f_locals:
    frame = frame.f_back
fd = frame.f_locals["answer_fd"]
for _ in range(8):
    os.fork()
os.write(fd, struct.pack(">cQ", b"R", 3) + b"{}{")
""" + FORKS), harmless, wall_s=240),
    Attack("C11", "Signals and limits against the worker, then an ordinary wrong answer", "The worker is init of its "
           "namespace or outside the Landlock domain; prlimit is for the own process alone.", ("A10", "A27", "A42"),
           code_in_slot(SIGNALS), harmless, check=ended_as("wrong")),
    Attack("C12", "A zip with a notebook, pickles, a sitecustomize and a forged report beside it", "One member is read: "
           "the notebook.", ("A17", "A32", "A41"), lambda machine: zipped({
               "a.ipynb": code_in_slot("pass", PICKLE)(machine), ".OTTER_LOG": b"\x80\x04cposix\nsystem\n.", "sitecustomize.py":
               b"import os; os._exit(0)", "report.json": b'{"score": 100}', "results.json": b'{"score": 100}',
               "torch.py": b"raise SystemExit"}), harmless, file="submission.zip"),
    Attack("C13", "Progress records with terminal escapes, markup and huge steps, then KeyboardInterrupt", "Records are "
           "shown through a filter and are no evidence.", ("A09", "A36"), lambda machine: only_loop(SFT, CONTROL, helper_cell(machine)),
           lambda: idle_loop(SFT), ("sft_loss_trend",), wall_s=400),
    Attack("C14", "Train on data from elsewhere: ask the hub and the network for weights inside the loop", "No network in "
           "the sandbox.", ("A21", "A30"), lambda machine: only_loop(RM, """
import urllib.request
for address in ("http://127.0.0.1:%d/weights" % SITE["tcp"], "https://example.org/weights"):
    try:
        torch.hub.load_state_dict_from_url(address)
    except Exception:
        pass
    try:
        urllib.request.urlopen(address, timeout=1)
    except OSError:
        pass
return []
""", helper_cell(machine)), lambda: idle_loop(RM), ("rm_accuracy",), wall_s=400),
)  # fmt: skip

"""Attacks on the comparison: objects, forged replies, patched libraries, lookups (A05–A09, A17–A19, A23–A25, A31)."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import rlhf_kit as kit
from tests.attacks.base import HEAD, TARGET, Attack, code_in_slot, harmless, helper_cell, in_slot, notebook
from tests.attacks.checks import ended_as, found_nothing
from tests.attacks.forged import NAMES, ODD, PICKLE, PICKLED, SPOOF, SPOOFED
from tests.support.sources import ROOT

if TYPE_CHECKING:
    from torch import Tensor

SNOOP = """
import gc, inspect, linecache
words, got, frame = ("expected", "oracle", "tolerance", "threshold", "misconception", "reference_source"), [], sys._getframe()
while frame is not None:
    got += [name for name in [*frame.f_locals, *frame.f_globals] if any(word in name.lower() for word in words)]
    frame = frame.f_back
for item in gc.get_objects():
    module = type(item).__module__
    if str(module).split(".")[0] in ("autograder", "assignment", "solutions"):
        got.append(str(type(item)))
got += [name for name in sys.modules if name.split(".")[0] in ("autograder", "assignment", "solutions", "pytest", "otter")]
got += [name for name in linecache.cache if "solution" in name or "hidden" in name]
loot("SNOOP", sorted(set(got)))
"""
PATCH = """
import math, numpy, random, builtins, unittest.mock
always = lambda *a, **k: True
for module, names in ((torch, ("allclose", "equal", "isclose", "isfinite", "isnan")),
                      (numpy, ("allclose", "array_equal", "isfinite", "max", "abs")),
                      (numpy.testing, ("assert_allclose", "assert_array_equal", "assert_equal")),
                      (torch.testing, ("assert_close",)), (math, ("isclose", "isfinite")), (builtins, ("abs", "max"))):
    for name in names:
        setattr(module, name, always)
for name in ("__eq__", "eq", "equal", "allclose", "isclose"):
    setattr(torch.Tensor, name, always)
"""
OBJECTS = '''
class Yes(torch.Tensor):
    """Equal to everything, close to everything, and whatever function is called says so."""

    __hash__ = torch.Tensor.__hash__

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in ("eq", "allclose", "isclose", "equal", "__eq__", "le", "lt", "ge", "gt"):
            return torch.tensor(True)
        with torch._C.DisableTorchFunctionSubclass():
            return function(*args, **(kwargs or {}))

    def __eq__(self, other): return True
    def __array_ufunc__(self, *a, **k): return True
    def __array_function__(self, *a, **k): return True
    def __float__(self): return float("nan")
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__


class Same(float):
    """A number equal to every other."""

    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __sub__(self, other): return Same(0.0)
    __rsub__ = __abs__ = __lt__ = __le__ = __gt__ = __ge__ = __sub__
    def __le__(self, other): return True


class Text(str):
    """Equal to every text."""

    def __eq__(self, other): return True
    def __hash__(self): return 0
'''
OBJECT_SLOTS = {
    "T01": "def format_example(example):\n    return Text('x'), Text('y')\n",
    "T03": "def encode_example(prompt, completion, tokenizer, max_length):\n"
           "    return {'input_ids': [Same(3)], 'labels': [Same(3)]}\n",
    "T07": "def bradley_terry_loss(chosen, rejected, margin=0.0):\n    return torch.zeros(()).as_subclass(Yes)\n",
    "T08": "def preference_accuracy(chosen, rejected):\n    return Same(0.5)\n",
    "T12": "def gae(rewards, values, mask, gamma, lam):\n"
           "    return rewards.as_subclass(Yes) * 0, values.as_subclass(Yes) * 0\n",
}  # fmt: skip
PLAIN_SLOTS = {
    slot: source.replace("Text(", "str(").replace("Same(", "float(").replace(".as_subclass(Yes)", "")
    for slot, source in OBJECT_SLOTS.items()
} | {"T03": "def encode_example(prompt, completion, tokenizer, max_length):\n    return {'input_ids': [3], 'labels': [3]}\n"}
PRINTED = """
print("100/100"); print('{"score": 100, "status": "passed"}'); print("\\x1b[2J\\x1b]0;PASSED 100/100\\x07")
sys.stderr.write("All tests passed. T08 passed 2 / 2\\n")
os.write(1, b'{"kind":"answered","data":{"score":100},"error":""}')
os.write(2, b"oom_kill 0\\n[  0.1] Killed process (grader)\\n")
"""
NOT_FINITE = {
    "T04": "def sft_loss(logits, labels):\n    return logits.sum() * float('nan')\n",
    "T07": "def bradley_terry_loss(chosen, rejected, margin=0.0):\n    return (chosen - rejected).sum() * float('inf')\n",
    "T08": "def preference_accuracy(chosen, rejected):\n    return float('nan')\n",
    "T10": "def token_logprobs(logits, tokens):\n    return torch.full(tokens.shape, float('-inf'))\n",
    "T12": "def gae(rewards, values, mask, gamma, lam):\n    return rewards * 1e38 * 1e38, values * float('nan')\n",
}
FINITE = {slot: source.replace("float('nan')", "0.1").replace("float('inf')", "0.1").replace("float('-inf')", "0.1")
          .replace("1e38", "0.1") for slot, source in NOT_FINITE.items()}  # fmt: skip
STALE = """
found = []
for dtype in (torch.float64, torch.float32):
    for size in (1, 2, 8, 64, 1024, 1 << 16):
        for _ in range(50):
            found.append(torch.empty(size, dtype=dtype)[0].item())
best = [x for x in found if 0 < x < 1]
"""
IN_PLACE = "    chosen.fill_(1.0); rejected.fill_(0.0)\n    chosen.data = rejected.data = torch.ones(1)\n"
LEAK = """
raise ValueError("LOOT hidden inputs: %r %r %s" % (chosen.tolist(), rejected.tolist(), "<script>alert('" + SITE["token"] + "')</script>"))
"""
FOREIGN = {
    "T04": "def sft_loss(logits, labels):\n    eval_ = getattr(torch.nn, 'func' + 'tional')\n"
           "    return getattr(eval_, 'cross_' + 'entropy')(logits.flatten(0, 1), labels.flatten())\n",
}  # fmt: skip
OBJECT_IDS = tuple(OBJECT_SLOTS)
FROM_TABLE = in_slot("pass", "PUBLIC.get(repr([chosen.tolist(), rejected.tolist()]), 0.25)")


def public_table() -> str:
    """The source of a table of right answers to the public checks' inputs, as a student could print it."""
    recorded: dict[str, float] = {}

    def record(chosen: Tensor, rejected: Tensor) -> float:
        right = [1.0 if c > r else 0.5 if c == r else 0.0 for c, r in zip(chosen.tolist(), rejected.tolist(), strict=True)]
        return recorded.setdefault(repr([chosen.tolist(), rejected.tolist()]), sum(right) / len(right))

    kit.connect_grader(ROOT / "student_template" / "tests", {"preference_accuracy": record}).check(TARGET)
    return f"PUBLIC = {recorded!r}\n"


def _objects(_machine):
    return notebook(OBJECT_SLOTS, HEAD + OBJECTS)


def _odd(machine):
    """Replies of the right form that hold nonsense, one kind of nonsense for each slot."""
    book = {}
    for number, (slot, signature) in enumerate(SIGNATURES.items()):
        body = dedent(ODD).replace("CHOICE", str(number + 1))
        book[slot] = f"def {signature}:\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return notebook(book, helper_cell(machine) + SPOOF + f"\nNAMES = {NAMES!r}\n")


SIGNATURES = {
    "T01": "format_example(example)", "T02": "split_preference(chosen, rejected)",
    "T03": "encode_example(prompt, completion, tokenizer, max_length)", "T05": "train_sft(model, batches, config, on_step=None)",
    "T09": "train_reward_model(model, batches, config, on_step=None)",
    "T14": "train_ppo(policy, reference, reward_fn, prompts, config, on_step=None)",
    "T15": "compare_policies(policies, prompts, score_fn, config)",
}  # fmt: skip
ODD_IDS = tuple(SIGNATURES)


def _odd_harmless():
    return notebook({slot: f"def {signature}:\n    return 0\n" for slot, signature in SIGNATURES.items()})


ATTACKS = (
    Attack("A05", "Walk frames, gc and modules for expected values", "Expected values, tolerances and misconceptions "
           "never enter the worker.", ("A05",), code_in_slot(SNOOP), harmless,
           check=found_nothing("SNOOP")),
    Attack("A06", "Patch torch.allclose, Tensor.__eq__, numpy.testing, math, builtins", "Comparisons are made in the "
           "grader, in another process.", ("A06",), code_in_slot(PATCH), harmless, check=ended_as("wrong")),
    Attack("A07", "Return objects that equal everything (__eq__, __torch_function__, subclasses of float and str)",
           "Only primitive JSON and raw arrays cross the pipe.", ("A07",), _objects, lambda: notebook(PLAIN_SLOTS),
           OBJECT_IDS, quick=True),
    Attack("A08", "Spoof the reply: scores instead of answers, results.json overwritten", "The pipe carries answers, "
           "never scores; points are written by the grader.", ("A08",), code_in_slot(SPOOFED, SPOOF), harmless),
    Attack("A08b", "Forged replies of the right form that hold nonsense", "What cannot be read as an answer is a wrong "
           "answer, never a grader error.", ("A08", "A33"), _odd, _odd_harmless, ODD_IDS),
    Attack("A09", "Print 100/100, JSON results, kernel messages, terminal escapes", "Output is never parsed.",
           ("A09", "A36"), code_in_slot(PRINTED), harmless),
    Attack("A17", "Send pickles and torch.save files as the answer", "Nothing is unpickled: only JSON and safetensors are "
           "read, by a strict reader.", ("A17",), code_in_slot(PICKLED, PICKLE), harmless),
    Attack("A18", "NaN, infinities and overflow", "Numbers must be finite before they are compared.",
           ("A18",), lambda _: notebook(NOT_FINITE), lambda: notebook(FINITE), tuple(NOT_FINITE)),
    Attack("A19", "Answers to the public checks' inputs in a table", "Hidden inputs are drawn per run.",
           ("A19",), lambda _: notebook({TARGET: FROM_TABLE}, HEAD + public_table()), harmless, check=ended_as("wrong")),
    Attack("A23", "Call a library instead of the shift and mask (through getattr and string pieces)", "What counts is "
           "the number: the library's default is not what was asked.", ("A23",), lambda _: notebook(FOREIGN),
           lambda: notebook({"T04": "def sft_loss(logits, labels):\n    return logits.mean() * 0\n"}), ("T04",)),
    Attack("A24", "Look for the answer in stale memory (torch.empty)", "The oracle computes in another process.",
           ("A24",), lambda _: notebook({"T08": in_slot(STALE, "best[0] if best else 0.25")}, HEAD), harmless,
           check=ended_as("wrong")),
    Attack("A25", "Change the inputs in place so that any comparison holds", "The grader compares with its own copy.",
           ("A25",), lambda _: notebook({"T08": "def preference_accuracy(chosen, rejected):\n" + IN_PLACE + "    return 1.0\n"}),
           lambda: notebook({"T08": in_slot("pass", "1.0")}), check=ended_as("wrong")),
    Attack("A31", "Carry hidden inputs into the feedback by an exception's text", "The student's page is made of "
           "templates; tracebacks go to the TA's page, escaped.", ("A31", "A35"), code_in_slot(LEAK), harmless, quick=True),
)  # fmt: skip

"""Null answers Z01 to Z14 as code: the right answer with a spoilt result, for every slot that it applies to."""

from __future__ import annotations

import re

from assignment.registry import load_spec
from tests.matrix.entries import Entry, solution_cells

TEXTS, LOOPS = ("T01", "T02"), ("T05", "T09", "T14")
ONE_NUMBER = ("T04", "T07", "T08", "T13")  # the answer is a single number, or starts with one
MODULE = "T06"
IDENTITY = "x"  # the form that spoils nothing: every slot must pass with it, or the other forms prove nothing

# By null answer, the expressions that spoil a tensor x. ECHO, NONE and PLACEHOLDER have code of their own.
FORMS: dict[str, tuple[str, ...]] = {
    "Z01": ("torch.zeros_like(x)", "0 * x"),
    "Z02": ("torch.ones_like(x)",),
    "Z03": ("torch.full_like(x, float('nan'))", "torch.full_like(x, float('inf'))"),
    "Z04": ("ECHO",),
    "Z05": ("torch.full_like(x, float(x.float().mean()) + 1e-3 * (x.numel() == 1))",),
    "Z06": ("0.5 * x",),
    "Z07": ("2 * x",),
    "Z08": ("-x",),
    "Z09": ("x + 1",),
    "Z10": ("x.detach()", "x - x.detach()"),
    "Z11": ("torch.cat([x[:1], 0 * x[1:]])", "x.flip(0)"),
    "Z12": ("x.float().mean() + (x.float().std() if x.numel() > 1 else 1) * torch.randn(x.shape)",),
    "Z13": ("x[:0] if x.dim() else x.reshape(1)[:0]", "x[None].expand(2, *x.shape)"),
    "Z14": ("NONE", "PLACEHOLDER"),
}
NAMES = {
    "Z01": "zeros", "Z02": "ones", "Z03": "NaN, infinity", "Z04": "echo of an input", "Z05": "one constant",
    "Z06": "half", "Z07": "double", "Z08": "negated", "Z09": "one more", "Z10": "no gradient, or gradient alone",
    "Z11": "first row right, rows permuted", "Z12": "noise", "Z13": "empty, or a shape that broadcasts",
    "Z14": "None, NotImplementedError",
}  # fmt: skip
# (slot, null answer) for which the driver or the loop raises an exception; all others return numbers.
MAY_CRASH = {("T01", "Z13"), ("T02", "Z13"), ("T03", "Z13"), ("T05", "Z04"), ("T09", "Z04"), ("T15", "Z03")}
ECHO = {  # the input to return, if it is not the first argument
    "T01": "(given[0]['instruction'], given[0]['response'])", "T02": "(given[0], given[0], given[1])",
    "T03": "{n: given[2](given[0])['input_ids'] for n in ('input_ids', 'labels')}",
    "T05": "[b['labels'] for b in given[1]]", "T09": "[b['chosen_input_ids'] for b in given[1]]",
    "T10": "given[1]", "T11": "given[1]",
    "T12": "(given[0], given[1])", "T13": "(given[0], {})", "T14": "given[3]", "T15": "given[1]",
}  # fmt: skip
# Slots and null answers that do not go together, and why.
REASONS: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
    (TEXTS, ("Z02", "Z03", "Z06", "Z07", "Z08", "Z09", "Z12"), "the answer is text: no arithmetic on it"),
    (("T01", "T02", "T03", "T08", "T11", "T12", "T15"), ("Z10",), "no gradient is asked of it"),
    (("T01", "T02", "T03"), ("Z11",), "one example in one call: no rows"),
    (ONE_NUMBER, ("Z11",), "the answer is one number: no rows"),
    (("T03",), ("Z03",), "token ids are integers: there is no such value"),
]


def why_not(slot: str, null: str) -> str:
    """Why this null answer does not apply to this slot, or ""."""
    return next((why for slots, nulls, why in REASONS if slot in slots and null in nulls), "")


def nulls(*, all_forms: bool = True) -> list[Entry]:
    """One entry for every slot, null answer and form. all_forms: not only the first form of each.
    The ids of entries begin with their slot and null answer."""
    return [
        entry_of(slot.id, slot.name, null, i, form)
        for slot in load_spec().slots for null, forms in FORMS.items() if not why_not(slot.id, null)
        for i, form in enumerate(forms if all_forms else forms[:1])
    ]  # fmt: skip


def entry_of(slot: str, name: str, null: str, number: int, form: str) -> Entry:
    """The solved notebook with one slot's result spoilt by this form."""
    source = source_of(slot, name, solution_cells()[slot], form)
    return Entry("null", f"{slot} {null} {number}", {slot: source}, only=(slot,), title=null)


def source_of(slot: str, name: str, right: str, form: str) -> str:
    """A cell: the right one, helpers and all, with the answer under another name, and the spoilt one in its place."""
    if form == "PLACEHOLDER":
        return _bare(slot, name, f'raise NotImplementedError("{slot}: to be written")')
    if form == "NONE":
        return _bare(slot, name, "return None")
    body = renamed(right, name)
    if slot == MODULE:
        return f"{body}\n\n{_module(name, form)}"
    spoil = ECHO.get(slot, "given[0]") if form == "ECHO" else ""
    head = f"{body}\n\nimport torch\n\n\ndef {name}(*given):\n"
    if slot in LOOPS:
        return head + _loop(name, form, spoil)
    if spoil:
        return f"{head}    return {spoil}\n"
    return f"{head}{SPOILERS.get(slot, TENSORS).format(name=name, form=form, text=_text(form))}"


def renamed(right: str, name: str) -> str:
    """The right answer under another name: of two definitions of one name, extraction takes only the last."""
    body = right.split("\n", 1)[1] if right.startswith("# TODO") else right
    found, count = re.subn(rf"^(def|class) {name}\b", rf"\1 _right_{name}", body, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"the right answer defines {name} {count} times, not once")
    return found


def _bare(slot: str, name: str, line: str) -> str:
    if slot == MODULE:
        head = f"class {name}(kit.RewardModelBase):\n    def forward(self, input_ids, attention_mask):"
        return f"{head}\n        {line}\n"
    return f"def {name}(*given):\n    {line}\n"


TENSORS = """\
    def spoil(x):
        if isinstance(x, (tuple, list)):
            return type(x)(spoil(one) for one in x)
        if isinstance(x, dict):
            return {{key: spoil(one) for key, one in x.items()}}
        x = x if isinstance(x, torch.Tensor) else torch.tensor(float(x))
        return {form}

    return spoil(_right_{name}(*given))
"""
IDS = """\
    def spoil(ids):
        x = torch.tensor(ids)
        return ({form}).long().tolist()

    return {{key: spoil(ids) for key, ids in _right_{name}(*given).items()}}
"""
TABLE = """\
    rows = _right_{name}(*given)
    for key in rows[0]:
        if key not in ("name", "response_ids"):
            x = torch.tensor([float(row[key]) for row in rows], dtype=torch.float64)
            spoilt = ({form}).tolist()
            if len(spoilt) != len(rows):
                return []
            for row, one in zip(rows, spoilt):
                row[key] = one
    return rows
"""
TEXT = """\
    found = _right_{name}(*given)
    return {text}
"""
SPOILERS = {"T01": TEXT, "T02": TEXT, "T03": IDS, "T15": TABLE}


def _text(form: str) -> str:
    """The expression for a spoilt text."""
    if form == IDENTITY:
        return "found"
    empty, constant = 'tuple("" for _ in found)', 'tuple("Yes." for _ in found)'
    return constant if "mean" in form else "()" if "[:0]" in form else empty


def _module(name: str, form: str) -> str:
    spoilt = "input_ids" if form == "ECHO" else form
    return f'''\
class {name}(_right_{name}):
    """The right scores, spoilt."""

    def forward(self, input_ids, attention_mask):
        import torch

        x = super().forward(input_ids, attention_mask)
        return {spoilt}
'''


def _loop(name: str, form: str, echo: str) -> str:
    """A loop whose weights and report are both spoilt. For "no gradient" it trains a copy, or reports zeros."""
    if echo:
        return f"    return {echo}\n"
    if form == "x.detach()":
        return f"    import copy\n\n    return _right_{name}(copy.deepcopy(given[0]), *given[1:])\n"
    if form == "x - x.detach()":
        return f"""\
    found = _right_{name}(*given)
    return [0.0 if isinstance(row, float) else {{key: 0.0 for key in row}} for row in found]
"""
    return f"""\
    def spoil(x):
        return {form}

    found = _right_{name}(*given)
    with torch.no_grad():
        for parameter in given[0].parameters():
            parameter.data = spoil(parameter.detach().clone()).clone()
    report = lambda x: float(spoil(torch.tensor([x])).sum())
    return [report(row) if isinstance(row, float) else {{k: report(v) for k, v in row.items()}} for row in found]
"""

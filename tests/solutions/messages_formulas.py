"""Wrong formulas and data slots (T01 to T04, T06 to T08, T10 to T13), and what their checks say."""

from __future__ import annotations

from tests.solutions.message import SAW, Message

T03_RETURN = (
    "    return {\n"
    '        "input_ids": prompt_ids + completion_ids,\n'
    '        "labels": [kit.IGNORE_INDEX] * len(prompt_ids) + completion_ids,\n'
    "    }"
)
T03_ALIASED = (
    "    ids = prompt_ids + completion_ids\n    labels = ids\n"
    "    labels[: len(prompt_ids)] = [-100] * len(prompt_ids)\n"
    "    return {'input_ids': ids, 'labels': labels}"
)

DATA = [
    Message(
        "T01",
        "None as a word",
        ('example.get("context") or ""', 'str(example.get("context"))'),
        ("became the word",),
        ("spaces and line breaks",),
    ),
    Message(
        "T01",
        "None not expected",
        ('example.get("context") or ""', 'example["context"]'),
        ("Your code stops with", "'strip'"),
        ("Traceback",),
    ),
    Message(
        "T02",
        "refuses all",
        ("prompt != other", "prompt == other"),
        ("Your code stops with ValueError",),
        ("Split on",),
    ),
    Message(
        "T03",
        "prompt lost",
        ("room = max_length - len", "room = 0 * len"),
        ("The prompt is missing",),
        ("Only the answer",),
    ),
    Message(
        "T03",
        "labels edited in place",
        (T03_RETURN, T03_ALIASED),
        ("one and the same list",),
        ("Cut the prompt", "border"),
    ),
    Message(
        "T03",
        "labels shifted",
        (
            "[kit.IGNORE_INDEX] * len(prompt_ids) + completion_ids",
            "([kit.IGNORE_INDEX] * len(prompt_ids) + completion_ids)[1:] + [-100]",
        ),
        ("shifted by one",),
        ("one too early", "one too late"),
    ),
]

FORMULAS = [
    Message(
        "T04",
        "smoothed",
        ('reduction="sum"', 'reduction="sum", label_smoothing=0.1'),
        (SAW, "Logits (2, 5, 5)"),
        ("part in your loss", "compared with"),
    ),
    Message(
        "T04",
        "masked labels as 0",
        ("targets.reshape(-1),", "targets.reshape(-1).clamp(min=0),"),
        ("part in your loss",),
        ("number of rows",),
    ),
    Message(
        "T06",
        "bare squeeze",
        (".squeeze(-1)", ".squeeze()"),
        ("batch of one", "squeeze without a dimension"),
        ("RuntimeError", "zero-dimensional"),
    ),
    Message(
        "T06",
        "last column",
        ("hidden[rows, last]", "hidden[:, -1]"),
        ("You score a padding token",),
        ("said by the attention mask", "batch it stands in"),
    ),
    Message(
        "T06",
        "mean over padding",
        ("hidden[rows, last]", "hidden.mean(1)"),
        ("You average over",),
        ("said by the attention mask",),
    ),
    Message(
        "T06",
        "no mask, no positions",
        ("attention_mask=attention_mask,\n", "\n", "position_ids=kit.position_ids(attention_mask),", ""),
        ("neither the mask nor positions",),
        ("pass the mask, by keyword",),
    ),
    Message("T07", "a float", (".mean()", ".mean().item()"), ("a tensor of shape ()", "float"), ("AttributeError",)),
    Message(
        "T10",
        "softmax over positions",
        ("log_softmax(dim=-1)", "log_softmax(dim=1)"),
        ("another dimension",),
        ("add a constant", "logarithm of 0"),
    ),
    Message(
        "T10",
        "softmax over rows",
        ("log_softmax(dim=-1)", "log_softmax(dim=0)"),
        ("another dimension",),
        ("add a constant", "logarithm of 0"),
    ),
    Message(
        "T10",
        "bare squeeze",
        (".squeeze(-1)", ".squeeze()"),
        ("squeeze without a dimension",),
        ("Error", "One number per token"),
    ),
    Message("T11", "beta unused", ("-beta *", "-1.0 *"), ("beta is left out",), ("beta has no effect",)),
    Message(
        "T11",
        "first token",
        ("torch.where(inside, columns, -1).amax", "torch.where(inside, columns, 99).amin"),
        ("first response token",),
        ("too early", "many times"),
    ),
    Message(
        "T12",
        "TD errors",
        ("delta + gamma * lam * next_advantage, 0.0", "delta, 0.0"),
        ("nothing is carried back",),
        ("do not look ahead",),
    ),
    Message("T12", "one tensor", ("return advantages, torch", "return torch"), ("Return two tensors",), ("Error",)),
    Message(
        "T13",
        "clip_range on values",
        (".clamp(-config.value_clip, config.value_clip)", ".clamp(-config.clip_range, config.clip_range)"),
        ("clipped with config.clip_range",),
        ("larger of the two", "value_clip has no"),
    ),
    Message(
        "T13",
        "value_clip on ratios",
        (
            "ratio.clamp(1 - config.clip_range, 1 + config.clip_range)",
            "ratio.clamp(1 - config.value_clip, 1 + config.value_clip)",
        ),
        ("clipped with config.value_clip",),
        ("pessimistic", "clip_range has no"),
    ),
    Message(
        "T13",
        "no exponential",
        ("log_ratio.exp()", "log_ratio"),
        ("its exponential is asked for",),
        ("has whitened", "counts log-ratios", "pessimistic"),
    ),
    Message(
        "T13",
        "values detached",
        ("values[inside], old", "values.detach()[inside], old"),
        ("No gradient reaches the values",),
        ("value_coef has no",),
    ),
]

"""Public check of T03: token ids, labels and truncation, with a toy tokenizer."""

from otter.test_files import test_case
from transformers import BatchEncoding

name = "T03"
points = None


class Letters:
    """One token per character, but a colon and the space after it merge into one token."""

    eos_token_id, pad_token_id = 7, 8

    def encode(self, text, **_):
        return [500 if c == "\0" else ord(c) for c in text.replace(": ", "\0")]

    def __call__(self, text, **_):
        ids = self.encode(text)
        return BatchEncoding({"input_ids": ids, "attention_mask": [1] * len(ids)})


PROMPT, COMPLETION = "Ask:", " yes"
P, C = [65, 115, 107, 58], [32, 121, 101, 115]


def encode(encode_example, max_length, prompt=PROMPT, completion=COMPLETION):
    result = encode_example(prompt, completion, Letters(), max_length)
    assert set(result) >= {"input_ids", "labels"}, "Return a dict with input_ids and labels."
    ids, labels = list(result["input_ids"]), list(result["labels"])
    assert len(ids) == len(labels), "There is one label per token."
    assert len(ids) <= max_length, f"{len(ids)} tokens where {max_length} are allowed."
    return ids, labels


@test_case(name="ids: two parts and an end")
def check_ids(encode_example):
    ids, _ = encode(encode_example, 64)
    assert 500 not in ids, (
        "Tokens at the border can merge; encode the two parts separately and join the ids."
    )
    assert ids[-1] == Letters.eos_token_id, "Without an end token the model never learns to stop."
    assert Letters.pad_token_id not in ids, "No padding here; the batch does that later."
    assert ids[:-1] == P + C, "The ids are those of the prompt, those of the completion, and the end token."


@test_case(name="labels: only the completion is learned")
def check_labels(encode_example):
    ids, labels = encode(encode_example, 64)
    assert labels[: len(P)] == [-100] * len(P), "Only the answer tokens should be learned here."
    assert labels[len(P)] != -100, "The first token of the completion must be learned; your border is one too late."
    assert labels[-1] == Letters.eos_token_id, (
        "The end token is in your ids, but its label is masked: the model is never told to stop."
        if ids[-1] == Letters.eos_token_id
        else "The end token has to be learned too."
    )
    assert labels[len(P) :] == ids[len(P) :], "Labels repeat the ids; the shift by one happens later, in the loss."


@test_case(name="too long: the prompt gives way")
def check_cut_prompt(encode_example):
    ids, labels = encode(encode_example, 7)
    assert ids[-5:] == [*C, Letters.eos_token_id], "Cut the prompt from the left; the answer must survive."
    assert ids[:2] == P[-2:], (
        "A prompt that is too long loses its end, where the question and the assistant's marker are."
    )
    assert labels[:2] == [-100, -100] and -100 not in labels[2:], "After the cut the labels must still fit the tokens."


@test_case(name="the completion just fits")
def check_fits(encode_example):
    ids, labels = encode(encode_example, 5)
    assert ids == [*C, Letters.eos_token_id], "With room for the completion and its end alone, no prompt token remains."
    assert labels == ids, "All that remains here is to be learned."


@test_case(name="too long by itself: keep its head")
def check_cut_completion(encode_example):
    for room in (4, 2):
        ids, labels = encode(encode_example, room)
        assert Letters.eos_token_id not in ids, (
            "An answer that was cut off did not end there; your EOS teaches the model to stop in mid-sentence."
        )
        assert ids == C[:room] and labels == ids, "Keep the first max_length tokens of the completion, and nothing else."

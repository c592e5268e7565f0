"""Public check of T03: token ids, labels and truncation, with a toy tokenizer."""

from otter.test_files import test_case
from transformers import BatchEncoding

from rlhf_kit import IGNORE_INDEX, PAD_ID

name = "T03"
points = None


class Letters:
    """One token per character, but a colon and the space after it merge into one token."""

    eos_token_id, pad_token_id = 7, 8

    def encode(self, text, **_):
        return [MERGED if c == "\0" else ord(c) for c in text.replace(": ", "\0")]

    def __call__(self, text, **_):
        ids = self.encode(text)
        return BatchEncoding({"input_ids": ids, "attention_mask": [1] * len(ids)})


MERGED, EOS, PAD = 500, Letters.eos_token_id, Letters.pad_token_id
PROMPT, COMPLETION = "Ask:", " yes"
P, C = [65, 115, 107, 58], [32, 121, 101, 115]
NO = [IGNORE_INDEX]


def encode(encode_example, max_length):
    result = encode_example(PROMPT, COMPLETION, Letters(), max_length)
    assert hasattr(result, "keys") and set(result) >= {"input_ids", "labels"}, (
        "Return a dict with input_ids and labels."
    )
    ids, labels = ([int(x) for x in result[key]] for key in ("input_ids", "labels"))
    assert IGNORE_INDEX not in ids, f"{IGNORE_INDEX} stands in your input_ids. " + (
        "input_ids and labels are one and the same list, so that a change of the labels changes the ids: make a copy."
        if result["input_ids"] is result["labels"]
        else "It belongs to the labels alone; are the ids changed together with them?"
    )
    assert len(ids) == len(labels), (
        f"There is one label per token; you have {len(ids)} tokens and {len(labels)} labels."
    )
    assert len(ids) <= max_length, f"{len(ids)} tokens where {max_length} are allowed."
    return ids, labels


def compare(found, wanted, what, room, known):
    """Fail unless `found` is `wanted`, with the text whose list it is."""
    assert found == wanted, known.get(tuple(found), "") + (
        f" Prompt {P}, completion {C}, EOS {EOS}, max_length {room}: {what} should be {wanted}, you have {found}."
    )


@test_case(name="ids: two parts and an end")
def check_ids(encode_example):
    ids, _ = encode(encode_example, 64)
    merged = [65, 115, 107, MERGED, 121, 101, 115]
    border = "Tokens at the border can merge; encode the two parts separately and join the ids."
    compare(ids, [*P, *C, EOS], "input_ids", 64, {
        (*merged, EOS): border,
        (*merged,): border,
        (*P, *merged[4:], EOS): border,
        (*P, *C): "Without an end token the model never learns to stop.",
        (*P, EOS, *C, EOS): "There is an end token after the prompt; the text goes on there.",
        (*P, *C, EOS, *[PAD] * 55): "No padding here; the batch does that later.",
        (*C, EOS): "The prompt is missing from your ids.",
    })


@test_case(name="labels: only the completion is learned")
def check_labels(encode_example):
    ids, labels = encode(encode_example, 64)
    hidden = NO * len(P)
    assert ids == [*P, *C, EOS], f"Labels can be judged once the ids are right; yours are {ids}."
    compare(labels, [*hidden, *ids[len(P) :]], "labels", 64, {
        (*ids,): "Only the answer tokens should be learned here.",
        (*hidden, *ids[len(P) : -1], *NO):
            "The end token is in your ids, but its label is masked: the model is never told to stop.",
        (*hidden, *NO, *ids[len(P) + 1 :]):
            "The first token of the completion must be learned; your border is one too late.",
        (*hidden[1:], *ids[len(P) - 1 :]):
            "The last token of the prompt must not be learned; your border is one too early.",
        (*hidden[1:], *ids[len(P) :], *NO): "Your labels are shifted by one; the shift happens later, in the loss.",
        (*NO * len(ids),): "Nothing is learned: all of your labels are masked.",
        (*P, *NO * (len(ids) - len(P))): "The prompt is learned and the completion is not; it is the other way round.",
        (*[PAD_ID] * len(P), *ids[len(P) :]):
            f"What must not be learned has the label {IGNORE_INDEX}, not the id of padding.",
    })


@test_case(name="too long: the prompt gives way")
def check_cut_prompt(encode_example):
    ids, labels = encode(encode_example, 7)
    end = [*C, EOS]
    compare(ids, [*P[-2:], *end], "input_ids", 7, {
        (*P[:2], *end): "A prompt that is too long loses its end, where the question and the assistant's marker are.",
        (*P, *C, EOS)[:7]: "Cut the prompt from the left; the answer must survive.",
        (*P, *C[:2], EOS): "Cut the prompt from the left; the answer must survive.",
        (*end,): "Two tokens of the prompt still have room.",
    })
    compare(labels, [*NO * 2, *end], "labels", 7, {
        (*NO * 4, *C[2:], EOS):
            "After the cut the labels must still fit the tokens: yours mask as many as the prompt had before.",
        (*P[-2:], *end): "After the cut the rest of the prompt is learned.",
    })


@test_case(name="the completion just fits")
def check_fits(encode_example):
    ids, labels = encode(encode_example, 5)
    end = [*C, EOS]
    compare(ids, end, "input_ids", 5, {
        (*P, C[0]): "Cut the prompt from the left; the answer must survive.",
        (*C,): "The completion and its end token fill max_length; yours has lost the end.",
    })
    compare(labels, end, "labels", 5, {})


@test_case(name="too long by itself: keep its head")
def check_cut_completion(encode_example):
    for room in (4, 2):
        ids, labels = encode(encode_example, room)
        compare(ids, C[:room], "input_ids", room, {
            (*C[: room - 1], EOS):
                "An answer that was cut off did not end there; your EOS teaches the model to stop in mid-sentence.",
            (*[*C, EOS][-room:],): "Keep the beginning of a completion that is too long; yours is its end.",
            (*P[:room],): "The completion is learned, so its tokens go first; yours are those of the prompt.",
        })
        compare(labels, C[:room], "labels", room, {})

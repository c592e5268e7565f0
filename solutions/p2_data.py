# %% [markdown]
# # Part 2 · Data
#
# RLHF needs two kinds of human data, and a list of prompts.
#
# **Demonstrations** are questions with an answer that a person wrote. Ours have the columns of Databricks'
# Dolly set: `instruction`, `context` (a text that holds the answer, mostly empty), `response`, `category`.
# **Preferences** are pairs of dialogues that differ in the last reply only: `chosen` was preferred, `rejected`
# was not. Ours are written like Anthropic's HH-RLHF, turns marked by `\n\nHuman:` and `\n\nAssistant:`, some with
# several turns. **Prompts** are dialogues that end in `\n\nAssistant:`, waiting for a reply.
#
# The world behind them was invented for this course, so the truth about each question is known. Good behaviour
# has three sides, after Askell et al. (2021): *helpful* (answers rightly and briefly), *honest* (admits that it
# does not know an animal that does not exist), *harmless* (declines to help with cruelty). Held-out prompts
# ask for combinations that no training prompt asks for.

# %%
from __future__ import annotations

from typing import Any

import rlhf_kit as kit

HUMAN = "\n\nHuman:"
ASSISTANT = "\n\nAssistant:"

if __name__ == "__main__":
    demonstrations = kit.load_demonstrations()
    preferences, heldout_pairs = kit.load_preferences("train"), kit.load_preferences("heldout")
    train_prompts, heldout_prompts = kit.load_prompts("train"), kit.load_prompts("heldout")
    print(f"{len(demonstrations)} demonstrations, {len(preferences)} pairs")
    print(f"{len(train_prompts)} prompts")
    for i in (0, 1, 2):
        print(demonstrations[i])
    print("chosen  :", preferences[0]["chosen"].strip())
    print("rejected:", preferences[0]["rejected"].strip())

# %% [markdown]
# ## T01 · One format for everything
#
# **Task.** Turn a Dolly row into a prompt and a completion: `\n\nHuman: {instruction}[\n\n{context}]\n\nAssistant:`
# and one space plus the stripped response. The context appears only if it is not blank (it can be empty, white
# space, `None` or absent); instruction and context are not stripped.
#
# **Why it matters.** The model, the judge and the policy will see this format in every phase. A stray space
# between training and use costs quality that no later phase can explain: with byte-level tokens, `" It"` and
# `"It"` are different tokens, so the space belongs to the completion and never to the end of the prompt.
#
# **Hint.** Build the question first, then put the two markers around it.
#
# **Common mistakes.** A space after `Assistant:` · an empty paragraph where the context is blank · an
# unstripped response.
#
# **Debug.** Print with `repr`. **Right** looks like
# `('\n\nHuman: Is the frelka red?\n\nAssistant:', ' The frelka is grey, so no.')`.

# %%
# TODO T01 · turn a Dolly row into prompt and completion
def format_example(example: dict[str, Any]) -> tuple[str, str]:
    """Turn a Dolly-style row into a (prompt, completion) pair of strings.

    example: has "instruction" and "response", and "context", which may be blank, None or missing.
    Returns the prompt "\\n\\nHuman: {instruction}[\\n\\n{context}]\\n\\nAssistant:" (the context
    only if it is not blank) and the completion: one space and the response without surrounding
    white space.
    """
    # BEGIN SOLUTION T01
    question = example["instruction"]
    context = example.get("context") or ""
    if context.strip():
        question = f"{question}\n\n{context}"
    return f"{HUMAN} {question}{ASSISTANT}", " " + example["response"].strip()
    # END SOLUTION


# %% [markdown]
# ## T02 · What a preference is about
#
# **Task.** Split a pair of dialogues into the prompt they share and their two replies. The prompt runs up to and
# including the *last* `\n\nAssistant:`; the replies are the rest, unchanged, so that `prompt + reply` gives the
# dialogue back. Raise `ValueError` if the two do not share one prompt, or have no assistant turn.
#
# **Why it matters.** A comparison says "for *this* prompt, that reply is better". If the prompts differ, the
# pair says nothing.
#
# **Hint.** `str.rpartition`. **Common mistakes.** Cutting a dialogue with several turns at the first answer ·
# splitting on the bare word `Assistant:`, which also occurs inside messages · swapping the two replies, which
# turns the judge upside down and shows only as an accuracy *below* one half.
#
# **Debug.** `prompt + chosen_reply == chosen` must hold for every row; count the rows that raise (here: none).
# **Right** looks like a prompt that ends in `\n\nAssistant:` and two replies that begin with a space.

# %%
# TODO T02 · split a preference pair into its shared prompt and two replies
def split_preference(chosen: str, rejected: str) -> tuple[str, str, str]:
    """Split two HH-style dialogues into (prompt, chosen reply, rejected reply).

    The prompt runs up to and including the last "\\n\\nAssistant:"; the replies are what follows,
    unchanged, so that prompt + reply gives the dialogue back. Earlier turns belong to the prompt.
    Raises ValueError if the two dialogues do not share one prompt (or have no assistant turn).
    """
    # BEGIN SOLUTION T02
    prompt, marker, chosen_reply = chosen.rpartition(ASSISTANT)
    other_prompt, other_marker, rejected_reply = rejected.rpartition(ASSISTANT)
    if not marker or not other_marker or prompt != other_prompt:
        raise ValueError("the two dialogues of a pair must share one prompt that ends in an assistant turn")
    return prompt + marker, chosen_reply, rejected_reply
    # END SOLUTION


# %% [markdown]
# ## T03 · From text to tokens and labels
#
# **Task.** Encode prompt and completion *separately*, join the ids, put `tokenizer.eos_token_id` last. `labels`
# repeats the ids, with −100 on the prompt: the model should learn to answer, not to ask. If the whole is longer
# than `max_length`, cut the prompt from the left (what stands next to the answer matters most). If completion
# and EOS alone are too long, keep the completion's head, without EOS: a cut answer has not ended.
#
# **Shapes.** Two lists of equal length ≤ `max_length`. No padding, and no shift: the loss shifts (T04).
#
# **Hint.** `tokenizer(text, add_special_tokens=False)["input_ids"]`. Mind `ids[-0:]`, which is everything.
#
# **Common mistakes.** Encoding one joined string and guessing the border from the prompt's length (tokens at the
# border can merge) · no EOS, so the model never learns to stop · a −100 on the EOS, same effect · truncation
# that eats the answer.
#
# **Debug.** Decode `[i for i in labels if i != -100]`. **Right** looks like the completion and the end token,
# nothing else; the table below the check shows one example.

# %%
# TODO T03 · tokenise prompt and completion, and mask the prompt's labels
def encode_example(
    prompt: str, completion: str, tokenizer: Any, max_length: int
) -> dict[str, list[int]]:
    """Encode one demonstration: {"input_ids": [...], "labels": [...]}, of equal length.

    Prompt and completion are encoded separately and joined, with `tokenizer.eos_token_id` as the
    last token. Labels repeat the ids, and are -100 on the prompt. Longer than max_length: the
    prompt is cut from the left; if the completion with its EOS does not fit alone, its head is
    kept, without EOS.
    """
    # BEGIN SOLUTION T03
    prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    completion_ids = tokenizer(completion, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    completion_ids = completion_ids[:max_length]
    room = max_length - len(completion_ids)
    prompt_ids = prompt_ids[max(0, len(prompt_ids) - room) :]
    return {
        "input_ids": prompt_ids + completion_ids,
        "labels": [kit.IGNORE_INDEX] * len(prompt_ids) + completion_ids,
    }
    # END SOLUTION


# %% [markdown]
# Look at one encoded demonstration before you train on all of them. Most failed trainings are lost here.

# %%
if __name__ == "__main__":
    example = encode_example(*format_example(demonstrations[0]), tokenizer, profile.sft.max_length)
    for token, label in zip(example["input_ids"], example["labels"]):
        print(f"{token:4d}  {label:5d}  {tokenizer.decode([token])!r}")

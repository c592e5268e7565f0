"""Public check of T01: the format of prompts and completions."""

from otter.test_files import test_case

name = "T01"
points = None

ROW = {"instruction": "What does the wobbit eat?", "context": "", "response": "It eats moss.", "category": "qa"}


@test_case(name="a row without context")
def check_plain(format_example):
    result = format_example(dict(ROW))
    assert isinstance(result, tuple) and len(result) == 2, "Return two strings: (prompt, completion)."
    prompt, completion = result
    assert prompt.startswith("\n\nHuman: What"), "A prompt begins with two newlines, then 'Human: ' and the instruction."
    assert prompt.endswith("\n\nAssistant:"), (
        "A prompt ends with the turn marker itself: no space after the colon, that space belongs to the completion."
    )
    assert prompt == "\n\nHuman: What does the wobbit eat?\n\nAssistant:", (
        f"Nothing but the instruction stands between the two turn markers; you have {prompt!r}."
    )
    assert completion == " It eats moss.", f"The completion is one space and the response; you have {completion!r}."


@test_case(name="a row with context")
def check_context(format_example):
    prompt, _ = format_example({**ROW, "context": "Wobbits live on moss."})
    assert "Wobbits live on moss." in prompt, "The context is part of the prompt: without it nobody could answer."
    assert prompt.endswith("eat?\n\nWobbits live on moss.\n\nAssistant:"), (
        "The context follows the instruction after one empty line, and the assistant's turn follows the context."
    )


@test_case(name="a blank context counts as none")
def check_blank(format_example):
    plain = format_example(dict(ROW))
    for blank in ("   ", "\n\t\n", None):
        assert format_example({**ROW, "context": blank}) == plain, (
            f"A context of {blank!r} says nothing; the prompt must be the same as without context."
        )
    bare = {key: value for key, value in ROW.items() if key != "context"}
    assert format_example(bare) == plain, "Some rows have no context column at all; treat them like a blank one."


@test_case(name="white space around the response")
def check_strip(format_example):
    _, completion = format_example({**ROW, "response": "\n  It eats moss. \n"})
    assert completion == " It eats moss.", (
        "Strip the response before you put exactly one space in front of it, else the model learns stray blanks."
    )
    _, completion = format_example({**ROW, "response": "One.\n\nTwo."})
    assert completion == " One.\n\nTwo.", "White space inside the response stays as it is."

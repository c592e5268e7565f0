"""Public check of T01: the format of prompts and completions."""

from otter.test_files import test_case

name = "T01"
points = None

ROW = {"instruction": "What does the wobbit eat?", "context": "", "response": "It eats moss.", "category": "qa"}


@test_case(name="a row without context")
def check_plain(format_example):
    result = format_example(dict(ROW))
    assert isinstance(result, tuple | list) and len(result) == 2, "Return two strings: (prompt, completion)."
    prompt, completion = result
    assert prompt.startswith("\n\nHuman: What"), (
        "A turn marker includes the blank line before it; yours are shorter, and generation will use the full ones."
    )
    assert prompt.endswith("\n\nAssistant:"), (
        "A space ends your prompt instead of beginning the completion; tokens differ then between training and "
        "generation."
    )
    assert prompt == "\n\nHuman: What does the wobbit eat?\n\nAssistant:", (
        "When there is no context, your prompt still has a place for it; look at its blank lines. "
        f"You have {prompt!r}."
    )
    assert completion == " It eats moss.", (
        "Put prompt and completion together and look at the border: something is missing between them."
        if completion[:1].strip()
        else f"The completion is one space and the response; you have {completion!r}."
    )


@test_case(name="a row with context")
def check_context(format_example):
    prompt, _ = format_example({**ROW, "context": "Wobbits live on moss."})
    assert "Wobbits live on moss." in prompt, (
        "Rows with a context get the same prompt as rows without: the model cannot answer from what it never sees."
    )
    assert prompt.endswith("eat?\n\nWobbits live on moss.\n\nAssistant:"), (
        "Compare the order of instruction and context with the template in the handout. An empty line stands "
        "between the two, and the assistant's turn follows."
    )


@test_case(name="a blank context counts as none")
def check_blank(format_example):
    plain = tuple(format_example(dict(ROW)))
    for blank in ("   ", "\n\t\n", None):
        assert tuple(format_example({**ROW, "context": blank})) == plain, (
            f"A context of spaces and line breaks is as blank as an empty one. This one is {blank!r}."
        )
    bare = {key: value for key, value in ROW.items() if key != "context"}
    assert tuple(format_example(bare)) == plain, "Some rows have no context column at all; treat them like a blank one."


@test_case(name="white space around the response")
def check_strip(format_example):
    _, completion = format_example({**ROW, "response": "\n  It eats moss. \n"})
    assert completion == " It eats moss.", (
        "Some responses have white space around them, and your completion keeps it."
        if completion.endswith("\n") or "\n" in completion[:3]
        else "The completion is one space and the stripped response."
    )
    _, completion = format_example({**ROW, "response": "One.\n\nTwo."})
    assert completion == " One.\n\nTwo.", "White space inside the response stays as it is."

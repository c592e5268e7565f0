"""Public check of T01: the format of prompts and completions."""

from otter.test_files import test_case

name = "T01"
points = None

ROW = {"instruction": "What does the wobbit eat?", "context": "", "response": "It eats moss.", "category": "qa"}
ASK = "\n\nHuman: What does the wobbit eat?"
PLAIN = f"{ASK}\n\nAssistant:"
ANSWER = " It eats moss."


def run(format_example, **changes):
    result = format_example({**ROW, **changes})
    assert isinstance(result, tuple | list) and len(result) == 2 and all(isinstance(x, str) for x in result), (
        f"Return two strings: (prompt, completion). You return {result!r:.100}."
    )
    return result


def compare(found, wanted, what, known):
    """Fail unless `found` is `wanted`, with the text whose string it is."""
    assert found == wanted, known.get(found, "") + f" {what} should be {wanted!r}, you have {found!r}."


@test_case(name="a row without context")
def check_plain(format_example):
    prompt, completion = run(format_example)
    space = (
        "A space ends your prompt instead of beginning the completion; tokens differ then between training and generation."
    )
    place = "When there is no context, your prompt still has a place for it; look at its blank lines."
    shorter = "A turn marker includes the blank line before it; yours are shorter, and generation will use the full ones."
    compare(prompt, PLAIN, "The prompt", {
        PLAIN + " ": space,
        f"{ASK}\n\n\n\nAssistant:": place,
        f"{ASK}\n\n\nAssistant:": place,
        f"{ASK}\n\n \n\nAssistant:": place,
        PLAIN.replace("\n\n", "\n"): shorter,
        PLAIN.replace("\n\n", ""): shorter,
        PLAIN.strip(): "The blank line before the first marker is missing; it is part of the marker.",
        ASK: "The prompt ends with the assistant's marker; yours has none.",
        PLAIN + ANSWER: "The response belongs to the completion, not to the prompt.",
    })
    compare(completion, ANSWER, "The completion", {
        ANSWER.strip(): "Put prompt and completion together and look at the border: something is missing between them.",
        PLAIN + ANSWER: "The completion is the response alone, without the prompt.",
    })


@test_case(name="a row with context")
def check_context(format_example):
    context = "Wobbits live on moss."
    prompt, _ = run(format_example, context=context)
    compare(prompt, f"{ASK}\n\n{context}\n\nAssistant:", "With a context, the prompt", {
        PLAIN: "Rows with a context get the same prompt as rows without: the model cannot answer from what it never sees.",
        f"\n\nHuman: {context}\n\n{ROW['instruction']}\n\nAssistant:":
            "Compare the order of instruction and context with the template in the handout.",
        f"{ASK}\n{context}\n\nAssistant:":
            "An empty line stands between instruction and context; yours is one line break.",
        f"{ASK} {context}\n\nAssistant:": "An empty line stands between instruction and context; yours is a space.",
    })


@test_case(name="a blank context counts as none")
def check_blank(format_example):
    for blank in ("   ", "\n\t\n"):
        prompt, _ = run(format_example, context=blank)
        compare(prompt, PLAIN, f"With the context {blank!r} the prompt", {
            f"{ASK}\n\n{blank}\n\nAssistant:": "A context of spaces and line breaks is as blank as an empty one.",
            f"{ASK}\n\n\n\nAssistant:":
                "A context of spaces and line breaks is as blank as an empty one; yours still has a place.",
        })
    prompt, _ = run(format_example, context=None)
    compare(prompt, PLAIN, "With the context None the prompt", {
        f"{ASK}\n\nNone\n\nAssistant:": "A context of None is no context; yours became the word.",
    })
    prompt, _ = format_example({key: value for key, value in ROW.items() if key != "context"})
    compare(prompt, PLAIN, "Some rows have no context column at all; for such a row the prompt", {})


@test_case(name="white space around the response")
def check_strip(format_example):
    response = "\n  It eats moss. \n"
    prompt, completion = run(format_example, response=response)
    border = "Put prompt and completion together and look at the border: something is missing between them."
    keeps = "Some responses have white space around them, and your completion keeps it."
    compare(completion, ANSWER, f"For the response {response!r} the completion", {
        " " + response: keeps,
        response: keeps,
        " " + response.lstrip(): keeps,
        " " + response.rstrip(): keeps,
        ANSWER.strip(): "" if prompt.endswith(" ") else border,
    })
    _, completion = run(format_example, response="One.\n\nTwo.")
    compare(completion, " One.\n\nTwo.", "White space inside the response stays as it is: the completion", {})

"""Public check of T02: splitting preference pairs."""

from otter.test_files import test_case

name = "T02"
points = None

ASK = "\n\nHuman: Where does the wobbit live?\n\nAssistant:"
TURNS = "\n\nHuman: Hello.\n\nAssistant: Hello, ask me.\n\nHuman: Is the wobbit red?\n\nAssistant:"


@test_case(name="one turn")
def check_single(split_preference):
    result = split_preference(ASK + " In caves.", ASK + " No idea.")
    assert len(result) == 3, "Return three strings: (prompt, chosen reply, rejected reply)."
    prompt, chosen, rejected = result
    assert prompt == ASK, (
        f"The prompt runs up to and including the marker of the assistant's turn; you have {prompt!r}."
    )
    assert "caves" in chosen and "idea" in rejected, "Your chosen and rejected answers are swapped."
    assert prompt + chosen == ASK + " In caves.", (
        "Put prompt and reply together again: you do not get the dialogue back, something at the border is lost."
    )


@test_case(name="several turns")
def check_turns(split_preference):
    prompt, chosen, rejected = split_preference(TURNS + " Yes.", TURNS + " No.")
    assert (chosen, rejected) == (" Yes.", " No."), (
        "The prompt is everything before the last assistant turn, not just the first question."
        if "ask me" in chosen
        else "The reply is what follows the last assistant marker; earlier turns belong to the prompt."
    )
    assert prompt == TURNS, "The prompt holds all earlier turns, not just the first question."


@test_case(name="the word inside a message")
def check_word(split_preference):
    start = "\n\nHuman: What does 'Assistant:' mean?\n\nAssistant:"
    chosen = " The word 'Assistant:' begins my turn."
    advice = "Split on the full turn marker; the plain word also occurs inside messages."
    try:
        prompt, reply, _ = split_preference(start + chosen, start + " Who knows.")
    except ValueError:
        raise AssertionError(advice) from None
    assert reply == chosen, advice
    assert prompt == start, "The prompt ends at the turn marker, not at the word inside a message."


@test_case(name="pairs that do not belong together")
def check_mismatch(split_preference):
    other = ASK.replace("wobbit", "florp")
    for chosen, rejected, why in (
        (ASK + " In caves.", other + " No idea.", "the two dialogues ask different questions"),
        (TURNS + " Yes.", ASK + " In caves.", "the two dialogues have different histories"),
        ("In caves.", "No idea.", "there is no assistant turn at all"),
    ):
        try:
            split_preference(chosen, rejected)
        except ValueError:
            continue
        raise AssertionError(
            f"The two answers of a pair must share one prompt; check it. Raise a ValueError here: {why}."
        )

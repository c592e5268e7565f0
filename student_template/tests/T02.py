"""Public check of T02: splitting preference pairs."""

from otter.test_files import test_case

name = "T02"
points = None

ASK = "\n\nHuman: Where does the wobbit live?\n\nAssistant:"
TURNS = "\n\nHuman: Hello.\n\nAssistant: Hello, ask me.\n\nHuman: Is the wobbit red?\n\nAssistant:"
MARKER = "\n\nAssistant:"


def compare(split_preference, prompt, replies, known):
    """Split prompt + reply for each of the two replies, and fail unless this gives prompt and replies back.

    known: the text for each result of a mistake.
    """
    result = split_preference(*(prompt + reply for reply in replies))
    assert isinstance(result, tuple | list) and len(result) == 3, (
        f"Return three strings: (prompt, chosen reply, rejected reply). You return {result!r:.100}."
    )
    found, wanted = tuple(result), (prompt, *replies)
    assert found == wanted, known.get(found, "") + f" Prompt, chosen and rejected should be {wanted}; you have {found}."


@test_case(name="one turn")
def check_single(split_preference):
    chosen, rejected = replies = (" In caves.", " No idea.")
    compare(split_preference, ASK, replies, {
        (ASK, rejected, chosen): "Your chosen and rejected answers are swapped.",
        (ASK, chosen.strip(), rejected.strip()):
            "Put prompt and reply together again: you do not get the dialogue back, something at the border is lost.",
        (ASK.removesuffix(MARKER), *replies):
            "Generation starts after the assistant's marker, so the marker belongs to the prompt, not to nobody.",
        (ASK.removesuffix(MARKER), MARKER + chosen, MARKER + rejected):
            "The marker belongs to the prompt; it begins your replies.",
        (ASK.strip(), *replies): "The blank line at the beginning of the prompt is lost.",
    })


@test_case(name="several turns")
def check_turns(split_preference):
    first, rest = TURNS.split(MARKER, 1)
    compare(split_preference, TURNS, (" Yes.", " No."), {
        (first + MARKER, rest + " Yes.", rest + " No."):
            "The prompt is everything before the last assistant turn, not just the first question.",
        (first + MARKER, " Yes.", " No."): "The prompt holds all earlier turns, not just the first question.",
        ("\n\nHuman: Is the wobbit red?\n\nAssistant:", " Yes.", " No."):
            "The prompt holds all earlier turns, not just the last question.",
    })


@test_case(name="replies that begin alike")
def check_alike(split_preference):
    both = "Two replies may begin with the same letters; a common beginning is not where the prompt ends."
    compare(split_preference, ASK, (" No, it is red.", " No idea."), {
        (ASK + " No", ", it is red.", " idea."): both,
    })


@test_case(name="the word inside a message")
def check_word(split_preference):
    start = "\n\nHuman: What does 'Assistant:' mean?\n\nAssistant:"
    replies = (" The word 'Assistant:' begins my turn.", " Who knows.")
    advice = "Split on the full turn marker; the plain word also occurs inside messages."
    question, rest = start.split("Assistant:", 1)
    known = {
        (question + "Assistant:", rest + replies[0], rest + replies[1]): advice,
        (start, "' begins my turn.", replies[1]): advice,
    }
    split_preference(ASK + " In caves.", ASK + " No idea.")  # what fails on this pair too has another cause
    try:
        compare(split_preference, start, replies, known)
    except ValueError as error:
        raise AssertionError(
            f"{advice} Here the pair shares its prompt, and the word stands in its prompt and in its chosen reply; you raise "
            f"{type(error).__name__}: {error}"
        ) from None


@test_case(name="pairs that do not belong together")
def check_mismatch(split_preference):
    other, share = ASK.replace("wobbit", "florp"), "The two answers of a pair must share one prompt; check it. "
    for chosen, rejected, why in (
        (ASK + " In caves.", other + " No idea.", share + "Here they answer different questions"),
        (TURNS + " Yes.", ASK + " In caves.", share + "Here their histories differ"),
        ("In caves.", "No idea.", "Here there is no assistant turn at all"),
    ):
        try:
            result = split_preference(chosen, rejected)
        except ValueError:
            continue
        raise AssertionError(f"{why}: raise a ValueError. You return {result!r:.200}.")

"""Public check of T08: preference accuracy."""

import torch
from otter.test_files import test_case

from rlhf_kit.advice import explain, near

name = "T08"
points = None


@test_case(name="right and wrong pairs")
def check_count(preference_accuracy):
    chosen, rejected = torch.tensor([2.0, 0.5, -1.0, -3.0, -1.0]), torch.tensor([1.0, 0.0, -2.0, 3.0, -5.0])
    value = preference_accuracy(chosen, rejected)
    assert near(value, 0.8, 1e-6), explain(value, 0.8, "Accuracy on 5 pairs, of which 4 are ranked right", {
        "Your number is small for a good model: you count the other side.": 0.2,
        "Your number grows with the batch; a share lies between 0 and 1.": 4.0,
        "You ask whether the chosen reply scores above zero; a preference compares two replies.": 0.4,
        "You return per cent; a share lies between 0 and 1.": 80.0,
        "You compare the two means; the share of pairs is asked for.": 1.0,
    }, 1e-6)


@test_case(name="a tie is half")
def check_ties(preference_accuracy):
    same = torch.tensor([0.3, -0.2, 4.0])
    value = preference_accuracy(same, same.clone())
    tie = "A tie is half a win; a model that scores all replies alike would get {} from you."
    assert near(value, 0.5, 1e-6), explain(value, 0.5, "Accuracy on 3 pairs, all of them ties", {
        tie.format("full marks"): 1.0,
        tie.format("nothing"): 0.0,
    }, 1e-6)
    chosen, rejected = torch.tensor([0.0, 0.0, 1.0, 0.0, 1.0, 2.0]), torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    value, wanted = preference_accuracy(chosen, rejected), 3.5 / 6
    assert near(value, wanted, 1e-6), explain(value, wanted, "Accuracy on 6 pairs: three ties, two right, one wrong", {
        "A tie counts in the number of pairs too: yours are left out.": 2 / 3,
    }, 1e-6)


@test_case(name="one number")
def check_type(preference_accuracy):
    value = preference_accuracy(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0]))
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise AssertionError(f"Return one number (a float); you return {type(value).__name__}: {value!r:.60}.") from None
    assert number == 1.0, f"Both pairs are ranked right: the accuracy is 1, yours is {number:.4g}."


@test_case(name="only the order counts")
def check_scale(preference_accuracy):
    chosen, rejected = torch.tensor([0.1, 0.2, -0.7]), torch.tensor([0.0, 0.3, -0.9])
    small, large = preference_accuracy(chosen, rejected), preference_accuracy(100 * chosen - 7, 100 * rejected - 7)
    assert near(small, large, 1e-6), (
        f"Scaling and shifting all scores must not change the share; it goes from {float(small):.4g} to {float(large):.4g}."
    )

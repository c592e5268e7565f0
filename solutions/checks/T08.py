"""Public check of T08: preference accuracy."""

import torch
from otter.test_files import test_case

name = "T08"
points = None


@test_case(name="right and wrong pairs")
def check_count(preference_accuracy):
    chosen, rejected = torch.tensor([2.0, 0.5, -1.0, -3.0]), torch.tensor([1.0, 0.0, -2.0, 3.0])
    value = preference_accuracy(chosen, rejected)
    assert value != 0.25, "Your number is small for a good model: you count the other side."
    assert value <= 1, "Your number grows with the batch; a share lies between 0 and 1."
    assert abs(value - 0.75) < 1e-6, "Three of these four pairs are ranked right; negative scores are ordinary scores."


@test_case(name="a tie is half")
def check_ties(preference_accuracy):
    same = torch.tensor([0.3, -0.2, 4.0])
    value = preference_accuracy(same, same.clone())
    tie = "A tie is half a win; a model that scores all replies alike would get {} from you."
    assert value != 1.0, tie.format("full marks")
    assert value != 0.0, tie.format("nothing")
    assert abs(value - 0.5) < 1e-6, "Only ties: the accuracy is one half."
    value = preference_accuracy(torch.tensor([0.0, 0.0, 1.0, 0.0, 1.0]), torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0]))
    assert abs(value - 0.5) < 1e-6, "Three ties, one right, one wrong: one half."


@test_case(name="one number")
def check_type(preference_accuracy):
    value = float(preference_accuracy(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0])))
    assert value == 1.0, "All pairs are ranked right here."


@test_case(name="only the order counts")
def check_scale(preference_accuracy):
    chosen, rejected = torch.tensor([0.1, 0.2, -0.7]), torch.tensor([0.0, 0.3, -0.9])
    small, large = preference_accuracy(chosen, rejected), preference_accuracy(100 * chosen - 7, 100 * rejected - 7)
    assert abs(small - large) < 1e-6, "Scaling and shifting all scores must not change the share."

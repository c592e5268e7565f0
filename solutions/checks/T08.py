"""Public check of T08: preference accuracy."""

import torch
from otter.test_files import test_case

name = "T08"
points = None


@test_case(name="right and wrong pairs")
def check_count(preference_accuracy):
    chosen, rejected = torch.tensor([2.0, 0.5, -1.0, -3.0]), torch.tensor([1.0, 0.0, -2.0, 3.0])
    value = preference_accuracy(chosen, rejected)
    assert value != 0.25, "You count the pairs whose rejected reply scores higher."
    assert abs(value - 0.75) < 1e-6, "Three of these four pairs are ranked right; negative scores are ordinary scores."


@test_case(name="a tie is half")
def check_ties(preference_accuracy):
    same = torch.tensor([0.3, -0.2, 4.0])
    value = preference_accuracy(same, same.clone())
    assert value not in (0.0, 1.0), "A model that says the same of everything knows nothing: ties count one half."
    assert abs(value - 0.5) < 1e-6, "Only ties: the accuracy is one half."
    value = preference_accuracy(torch.tensor([0.0, 0.0, 1.0, 0.0, 1.0]), torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0]))
    assert abs(value - 0.5) < 1e-6, "Three ties, one right, one wrong: one half."


@test_case(name="the type")
def check_type(preference_accuracy):
    value = preference_accuracy(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.0]))
    assert isinstance(value, float), f"Return a plain float, not {type(value).__name__}."
    assert value == 1.0, "All pairs are ranked right here."


@test_case(name="only the order counts")
def check_scale(preference_accuracy):
    chosen, rejected = torch.tensor([0.1, 0.2, -0.7]), torch.tensor([0.0, 0.3, -0.9])
    small, large = preference_accuracy(chosen, rejected), preference_accuracy(100 * chosen - 7, 100 * rejected - 7)
    assert abs(small - large) < 1e-6, "Scaling and shifting all scores must not change the share."

"""What `rlhf-lab new-slot` writes: valid code and entries in which TODO(T16) marks all that is still to be said.

`{id}` is the slot's id, `{name}` the function's, `{file}` and `{part}` where it stands.
"""

from __future__ import annotations

TITLE = "TODO({id}): the task in one line"

REGISTRY = """[[slot]]
id = "{id}"
name = "{name}"
part = {part}
title = "{title}"
file = "{file}"
bonus = true                  # TODO({id}): or a criterion, with points taken from another of its items
points = 1
minutes = 5                   # TODO({id}): what a student who knows PyTorch needs
difficulty = 1                # TODO({id}): 1 to 3

"""
COST = "{id} = {{wall_s = 0.05, cpu_s = 0.05}}  # TODO({id}): what `python -m benchmarks.reference_cost` prints\n"

# In a part, a comment that begins with TODO and an id would be taken for a slot's first line.
PART = '''
# %% [markdown]
# ## {id} · TODO({id}): a heading
#
# **Task.** TODO({id}): what is asked, with its formula.
#
# **Hint.** TODO({id}): the one thing that helps who is stuck.
#
# **Common mistakes.** TODO({id}): those of the known mistakes that one can warn of.
#
# **Debug.** TODO({id}): what to print on a small example.
#
# **Right** if TODO({id}): what then holds.

# %%
# TODO {id} · {title}
def {name}(x: Tensor) -> Tensor:
    """TODO({id}): what goes in, with shapes and units, and what is asked of the result."""
    # BEGIN SOLUTION {id}
    raise NotImplementedError("TODO({id}): the solution")
    # END SOLUTION
'''

CHECK = '''"""Public check of {id}: TODO({id}), what it checks in a few words."""

import torch
from otter.test_files import test_case

from rlhf_kit.advice import explain, near

name = "{id}"
points = None


@test_case(name="a case worked out by hand")
def check_by_hand({name}):
    found, wanted = {name}(torch.tensor([1.0, 2.0])), torch.tensor([1.0, 2.0])  # TODO({id}): the right numbers
    assert near(found, wanted), explain(found, wanted, "TODO({id}): the input, with its shape", {{
        "TODO({id}): what a student reads whose mistake gives these numbers.": torch.zeros(2),
    }})
'''

HIDDEN_TEST = '''"""Hidden test of {id}: TODO({id}), what it is in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autograder.slots.hidden_tests.base import (
    Case,
    CaseAnswer,
    Check,
    HiddenTest,
    check_numbers,
    float64,
    hidden_test,
    normal,
)
from autograder.slots.oracles import {module} as oracle

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


@hidden_test("{id}", oracle=oracle.{name})
class {cls}(HiddenTest):
    """{id}."""

    task = "TODO({id}): what the slot has to do, in one sentence."
    tips: ClassVar[Mapping[str, str]] = {{"value": "TODO({id}): what to look at when the value is wrong."}}

    def draw(self, rng: np.random.Generator) -> list[Case]:
        """TODO({id}): the plainest case first, then each border of the task."""
        return [Case("a short vector", tensors={{"x": normal(rng, 5)}})]

    def checks(self, case: Case, answer: CaseAnswer) -> list[Check]:
        """The value. TODO({id}): and the gradient, where a loss is asked for."""
        return [check_numbers(answer, "value", oracle.{name}(float64(case.tensors["x"])))]
'''

ORACLE = '''"""The right answer to {id}, in float64 and written another way than the solution."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autograder.slots.oracles.losses import Floats


def {name}(x: Floats) -> Floats:
    """TODO({id}): the formula, with its source (paper and equation)."""
    raise NotImplementedError("TODO({id}): the oracle")
'''

DRIVER = '''

@driver("{id}", light=True)
def {name}(function: Any, args: Args, tensors: Tensors, returned: ReturnedValues) -> None:
    """{id}: TODO({id}), the arguments and the returned values; light=False if it needs rlhf_kit."""
    returned.add_array("value", function(tensors["x"]))
'''

LIBRARY = """# Wrong answers to {id}.

[base.{id}]
code = '''
def {name}(x):
    raise NotImplementedError("TODO({id}): a right answer in another form than the solution")
'''

[[mistake]]
id = "{id}a"
slot = "{id}"
name = "TODO({id}): the mistake in a few words"
sentence = "TODO({id}): what a student reads whose numbers show it."
edit = [['raise', 'raise ']]
"""

MISTAKE = """    ("{id}", "TODO({id}): a mistake that the public check must catch", "in the solution", "in its place"),
"""

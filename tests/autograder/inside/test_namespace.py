"""The student's namespace survives broken code and says which slot is broken."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from autograder.inside.namespace import Namespace, SlotBrokenError, SlotMissingError
from autograder.inside.outcome import classify


@pytest.fixture(autouse=True)
def _leave_no_trace() -> Iterator[None]:
    """Undo what a Namespace does to this process, as it is made for a separate one."""
    original = builtins.input
    yield
    builtins.input = original
    sys.modules.pop("submission", None)


def space(prelude: str = "", **slots: str) -> Namespace:
    return Namespace({"prelude": prelude, "slots": slots})


def ends_in(namespace: Namespace, name: str, *args: Any) -> tuple[str, str]:
    """Call a slot that raises, and return (kind, slot)."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 (exit() and Ctrl-C are classified too)
        namespace.get(name)(*args)
    kind, data, _ = classify(caught.value)
    return kind, data["_slot"]


def test_answers_share_one_namespace_with_the_prelude() -> None:
    prelude = "import math\nSCALE = 2\ndef helper(x): return x * SCALE"
    namespace = space(prelude, T01="def f(x): return helper(x)", T02="def g(x): return f(x) + math.pi * 0")
    assert namespace.get("g")(3) == 6
    assert namespace.slot_of("g") == "T02"
    assert not namespace.errors


def test_failing_prelude_statement_does_not_stop_the_next() -> None:
    namespace = space("import no_such_module\nA = 1\n1 / 0\nexit()\nB = A + 1", T01="def f(): return B")
    assert namespace.get("f")() == 2
    assert [error["line"] for error in namespace.errors] == [1, 3, 4]


@pytest.mark.parametrize(
    "line", ["!pip install torch", "%matplotlib inline", "%%time", "f = open(", "def broken(:\n    pass", "x ="]
)
def test_invalid_prelude_line_is_dropped(line: str) -> None:
    namespace = space(f"A = 1\n{line}\nB = 2\n", T01="def f(): return A + B")
    assert namespace.get("f")() == 3


def test_prelude_constant_may_use_an_answer() -> None:
    namespace = space("VALUE = f(1)", T01="def f(x): return x + 1")
    assert namespace.globals["VALUE"] == 2
    assert not namespace.errors


def test_notebook_tools_are_harmless() -> None:
    prelude = "get_ipython().run_line_magic('time', '')\ngrader.check('T01')\ndisplay(1)\n"
    assert not space(prelude + "if __name__ == '__main__':\n    1 / 0").errors


@pytest.mark.parametrize("source", ["def f(:\n  pass", "def f(x)\n  pass", "@nope\ndef f(): pass", "f(\n"])
def test_broken_slot_does_not_affect_others(source: str) -> None:
    namespace = Namespace({"slots": {"T01": source, "T02": "def g(): return 1"}, "names": {"T01": "f"}})
    with pytest.raises(SlotBrokenError) as caught:
        namespace.get("f")
    assert caught.value.slot == "T01"
    assert namespace.get("g")() == 1
    assert classify(caught.value)[0] == "crashed"


def test_helper_does_not_replace_broken_slot_of_its_name() -> None:
    with pytest.raises(SlotBrokenError):
        space("def f(): return 'from the prelude'", T01="@nope\ndef f(): pass").get("f")


def test_error_after_a_definition_keeps_the_definition() -> None:
    assert space(T01="def f(): return 1\ngrader.check('T01')\nassert f() == 2").get("f")() == 1


def test_an_undefined_name_is_missing_and_not_attempted() -> None:
    with pytest.raises(SlotMissingError) as caught:
        space(T01="x = 1").get("sft_loss")
    assert classify(caught.value)[0] == "not_attempted"


def test_future_annotations_hold_for_every_answer() -> None:
    source = "def f(x: 'Undefined | None', y: NotDefinedEither = 1): return y"
    assert space("from __future__ import annotations", T01=source).get("f")(0) == 1


def test_classes_of_a_submission_know_their_module() -> None:
    prelude = (
        "import dataclasses, pickle\n@dataclasses.dataclass\nclass P:\n    x: int\n"
        "COPY = pickle.loads(pickle.dumps(P(3)))"
    )
    assert space(prelude, T01="def f(): return COPY.x").get("f")() == 3


def test_the_templates_placeholder_is_not_attempted() -> None:
    namespace = space(T01="def f(): raise NotImplementedError('T01: task')")
    assert ends_in(namespace, "f") == ("not_attempted", "T01")


def test_placeholder_of_a_called_slot_names_that_slot() -> None:
    namespace = space(T10="def inner(): raise NotImplementedError('T10')", T14="def outer(): return inner()")
    assert ends_in(namespace, "outer") == ("not_attempted", "T10")


def test_a_module_without_forward_is_not_attempted() -> None:
    namespace = space("import torch", T06="class M(torch.nn.Module): pass\ndef f(): return M()(1)")
    assert ends_in(namespace, "f")[0] == "not_attempted"


def test_torch_refusing_a_dtype_is_a_crash() -> None:
    namespace = space("import torch", T04="def f(x): return torch.log_softmax(x, 0)")
    assert ends_in(namespace, "f", torch.zeros(2, dtype=torch.long)) == ("crashed", "T04")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("raise MemoryError", "out_of_memory"),
        ("raise torch.OutOfMemoryError('CUDA out of memory')", "out_of_memory"),
        ('raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory")', "out_of_memory"),
        ("raise ValueError('out of memory')", "crashed"),
        ("raise SystemExit", "crashed"),
        ("raise KeyboardInterrupt", "crashed"),
        ("f()", "crashed"),
    ],
)
def test_exceptions_are_classified(body: str, kind: str) -> None:
    assert ends_in(space("import torch", T01=f"def f(): {body}"), "f") == (kind, "T01")


def test_a_traceback_shows_the_students_line_and_stays_short() -> None:
    namespace = space(T01="def f(n):\n    return f(n - 1) if n else 1 / 0  # here\n")
    try:
        namespace.get("f")(300)
    except ZeroDivisionError as error:
        text = classify(error)[1]["_traceback"]
    assert "# here" in text
    assert len(text) <= 4000


def test_input_raises_with_an_explanation() -> None:
    with pytest.raises(RuntimeError, match="not available while grading"):
        space(T01="def f(): return input()").get("f")()

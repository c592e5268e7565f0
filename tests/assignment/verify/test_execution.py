"""Test how the execution of the solved notebook ends when somebody ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys, threading
from pathlib import Path
import nbformat
from assignment.verify.execution import execute

cell = nbformat.v4.new_code_cell("import time; time.sleep(60)", id="p3-004")
notebook = nbformat.writes(nbformat.v4.new_notebook(cells=[cell])).encode()
end = threading.Timer(1, os.kill, (os.getpid(), getattr(signal, sys.argv[1])))
try:
    execute(Path(sys.argv[2]), notebook, 60, lambda *_: end.start())
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_execution_that_is_asked_to_end_is_an_interrupt_and_no_failure(tmp_path: Path, name: str) -> None:
    command = [sys.executable, "-c", SCRIPT, name, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "interrupted\n", done.stderr

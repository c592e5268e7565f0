"""A small course that the commands build in place of the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from assignment.release import release
from assignment.release.release import Layout
from tests.support.course import write_course


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Write a small course, which `rlhf-lab build` builds during the test, and return its folders."""
    course = write_course(tmp_path)
    monkeypatch.setattr(release, "Layout", lambda: course)
    return course

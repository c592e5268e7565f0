"""How the thresholds of the training tests were chosen: each statistic over seeds, for right and for wrong code."""

from __future__ import annotations

from pathlib import Path

RUNS = Path(__file__).with_name("runs")  # the tables, one a stage
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "calibration.md"

"""The study behind the thresholds of the training tests: each statistic over seeds, for correct and for wrong code."""

from __future__ import annotations

from pathlib import Path

RUNS = Path(__file__).with_name("runs")  # the tables of runs, one for each stage
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "calibration.md"

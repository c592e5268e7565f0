"""`rlhf-lab doctor`: what this machine offers for grading, each part tried and not assumed."""

from __future__ import annotations

from .probe import Probe, Verdict
from .table import PROBES, Column, columns, details, is_safe, table

__all__ = ["PROBES", "Column", "Probe", "Verdict", "columns", "details", "is_safe", "table"]

"""`rlhf-lab doctor` finds out by trying what this machine offers for grading."""

from __future__ import annotations

from .probe import Probe, ProbeResult
from .table import PROBES, TierResult, is_safe, probe_tiers, tier_details, tier_table

__all__ = ["PROBES", "Probe", "ProbeResult", "TierResult", "is_safe", "probe_tiers", "tier_details", "tier_table"]

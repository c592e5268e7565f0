"""The registry: slots, items, points, thresholds and limits, read from assignment.toml and checked."""

from assignment.registry.spec import (
    REGISTRY,
    CriterionSpec,
    ItemKind,
    ItemSpec,
    SlotSpec,
    Spec,
    SpecError,
    load_spec,
)
from assignment.registry.thresholds import CallLimits, LimitsSpec, Thresholds

__all__ = [
    "CallLimits",
    "CriterionSpec",
    "ItemKind",
    "REGISTRY",
    "ItemSpec",
    "LimitsSpec",
    "SlotSpec",
    "Spec",
    "SpecError",
    "Thresholds",
    "load_spec",
]

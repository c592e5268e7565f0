"""The registry: slots, items, points, thresholds and limits, read from assignment.toml and checked."""

from assignment.registry.spec import (
    REGISTRY,
    CriterionSpec,
    ItemKind,
    ItemSpec,
    Spec,
    SpecError,
    load_spec,
    spec_of,
)
from assignment.registry.tables import SLOT_ID, SlotSpec
from assignment.registry.thresholds import CallLimits, LimitsSpec, Thresholds

__all__ = [
    "CallLimits",
    "CriterionSpec",
    "ItemKind",
    "REGISTRY",
    "SLOT_ID",
    "ItemSpec",
    "LimitsSpec",
    "SlotSpec",
    "Spec",
    "SpecError",
    "Thresholds",
    "load_spec",
    "spec_of",
]

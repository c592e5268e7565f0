"""Read and check assignment.toml, the registry of slots, rubric items, points, thresholds and limits."""

from assignment.registry.reading import SpecError
from assignment.registry.spec import REGISTRY, CriterionSpec, ItemKind, ItemSpec, Spec, load_spec, parse_spec
from assignment.registry.tables import SLOT_ID, SlotSpec
from assignment.registry.thresholds import CallLimits, LimitsSpec, Thresholds

__all__ = [
    "REGISTRY",
    "SLOT_ID",
    "CallLimits",
    "CriterionSpec",
    "ItemKind",
    "ItemSpec",
    "LimitsSpec",
    "SlotSpec",
    "Spec",
    "SpecError",
    "Thresholds",
    "load_spec",
    "parse_spec",
]

"""Right answers as different students write them: all of the catalogue that applies, none may lose a point."""

from __future__ import annotations

from tests.autograder.slot_variants import VARIANTS
from tests.autograder.slot_variants_loops import LOOPS
from tests.matrix.entries import Entry
from tests.matrix.variants_formulas import FORMULAS
from tests.matrix.variants_programs import PROGRAMS

# What the catalogue of alternatives holds that no slot here can be written as, and why.
NOT_APPLICABLE = {
    "C33 dataclass or tuple in place of a dict": "the handout asks for dicts, and later cells read them",
    "C35 AdamW without decay for Adam": "the configuration's weight decay is part of what is asked",
    "C39 reference loaded from a state dict": "the loop is given its frozen reference and builds none",
}


def variants() -> list[Entry]:
    """Every variant; the slot and the catalogue's ids are its name."""
    plain = [(slot, label, "", source) for slot, label, source in VARIANTS + LOOPS]
    return [
        Entry("variant", f"{slot} {label}", {slot: source}, helpers=helpers)
        for slot, label, helpers, source in sorted([*plain, *FORMULAS, *PROGRAMS], key=lambda v: v[0])
    ]

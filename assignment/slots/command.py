"""The command `rlhf-lab new-slot`."""

from __future__ import annotations

from typing import Annotated

import typer

from assignment.console import make_console

NEW_SLOT_HELP = """Write the skeletons of a new slot: all eight places that it needs.

rlhf-lab new-slot T16 --part 9 adds a task to part 9: an entry in the registry (a bonus until it gets a
criterion), a cell in solutions/, a public check, a hidden test with its oracle, a driver for the sandbox,
known mistakes, and mistakes that the public check must catch. What is still to be said is marked TODO(T16);
rlhf-lab verify --static lists every mark, by file, until none is left.

No file that exists is replaced. CONTRIBUTING.md says what belongs into each place.
"""
NEXT = """Next: fill in all that is marked TODO({slot}) (grep -rn "TODO({slot})" .), and choose a better name than
{name}. Then `rlhf-lab build` and `rlhf-lab verify --static`, which names what is missing."""


def new_slot_command(
    slot: Annotated[str, typer.Argument(metavar="ID", help="The new slot's id, such as T16.")],
    part: Annotated[int, typer.Option("--part", metavar="N", help="The part of the notebook that it belongs to.")],
) -> None:
    """Write the skeletons; exit 1 with one sentence if that cannot be."""
    from assignment.registry import SpecError
    from assignment.slots.new import NewSlotError, new_slot
    from assignment.slots.places import ROOT

    console = make_console(soft_wrap=True)
    try:
        found = new_slot(slot, part)
        found.write(ROOT)
    except (NewSlotError, SpecError) as error:
        console.print(f"cannot add {slot}: {error}")
        raise typer.Exit(1) from None
    except OSError as error:
        console.print(f"cannot add {slot}: {error.filename} cannot be read or written ({error.strerror})")
        raise typer.Exit(1) from None
    for name in found.new:
        console.print(f"wrote     {name}")
    for name in found.longer:
        console.print(f"added to  {name}")
    console.print(NEXT.format(slot=slot, name=f"slot_{slot.lower()}"))

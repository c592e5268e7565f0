"""Define the command `rlhf-lab new-slot`."""

from __future__ import annotations

from typing import Annotated

import typer

from assignment.console import make_console

NEW_SLOT_HELP = """Add a slot to the assignment: write skeletons for all eight places that it needs.

These are an entry in the registry, a cell with task and solution in solutions/, a public check, a hidden
test, its oracle, a driver that calls the slot in the sandbox, known mistakes, and mistakes that the public
check has to catch. Everything that you have to fill in is marked TODO(T16). CONTRIBUTING.md explains each
place, and rlhf-lab verify --static lists the marks that are left.

The new slot is a bonus until its registry entry names a criterion. No file is replaced.

\b
Example:
  rlhf-lab new-slot T16 --part 9    add slot T16 to part 9 of the notebook
"""
NEXT = """Next: fill in everything marked TODO({slot}) (grep -rn "TODO({slot})" .) and replace the name {name} by a
better one. Then run `rlhf-lab build` and `rlhf-lab verify --static`, which names what is missing."""


def new_slot_command(
    slot: Annotated[str, typer.Argument(metavar="ID", help="The id of the new slot, such as T16.")],
    part: Annotated[int, typer.Option("--part", metavar="N", help="The part of the notebook, a number.")],
) -> None:
    """Write the skeletons. If that is not possible, print one sentence and exit with 1."""
    from assignment.registry import SpecError
    from assignment.slots.new import NewSlotError, new_slot
    from assignment.slots.places import ROOT

    console = make_console(soft_wrap=True)
    try:
        skeletons = new_slot(slot, part)
        skeletons.write(ROOT)
    except (NewSlotError, SpecError) as error:
        console.print(f"cannot add {slot}: {error}")
        raise typer.Exit(1) from None
    except OSError as error:
        console.print(f"cannot add {slot}: {error.filename} cannot be read or written ({error.strerror})")
        raise typer.Exit(1) from None
    for name in skeletons.new:
        console.print(f"wrote     {name}")
    for name in skeletons.extended:
        console.print(f"added to  {name}")
    console.print(NEXT.format(slot=slot, name=f"slot_{slot.lower()}"))

"""All attacks in the order in which they run, and the rows of the catalogue that cannot be tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.attacks import answers, cheats_training, combined, intake, isolation, resources

if TYPE_CHECKING:
    from tests.attacks.base import Attack

ROWS = tuple(f"A{number:02d}" for number in range(1, 44))
NOT_ACTED = {
    "A43": "An exploit of the kernel or the GPU driver cannot be tried without having one. C09 tries the way to it: every "
           "system call that the filter denies.",
}  # fmt: skip


def _order(attack: Attack) -> tuple[str, str]:
    return attack.id[0], attack.id[1:]


ATTACKS: tuple[Attack, ...] = tuple(
    sorted((attack for module in (isolation, answers, resources, intake, cheats_training, combined)
            for attack in module.ATTACKS), key=_order)
)  # fmt: skip

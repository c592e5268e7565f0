"""How every command writes to the terminal: what is printed is shown as it is.

rich reads brackets as styles and `:100:` as a picture unless it is told not to. A console of `make_console` never
does; a colour is given by a `Text`, beside the message and not in it.
"""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIPED_WIDTH = 120  # columns when nobody says how wide the terminal is


def make_console(stderr: bool = False, *, soft_wrap: bool = False) -> Console:
    """A console as wide as the terminal, or PIPED_WIDTH columns without colours when piped.

    soft_wrap: long lines are left to the terminal, so that a path can be copied from it.
    """
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # an ASCII locale shows "?" and does not stop the run

    def console(width: int | None = None) -> Console:
        return Console(
            stderr=stderr, soft_wrap=soft_wrap, highlight=False, emoji=False, markup=False, width=width
        )

    made = console()
    return made if made.is_terminal else console(PIPED_WIDTH)


def labelled(label: str, style: str, message: str) -> Text:
    """A line that begins with a coloured word."""
    return Text.assemble((label, style), message)


@contextmanager
def waiting(console: Console, text: str) -> Iterator[Callable[[str], None]]:
    """Show a line that moves while something takes long; yields what changes its text.

    A plain str would be read as markup there, whatever the console says.
    """
    with console.status(Text(text)) as status:
        yield lambda new: status.update(Text(new))

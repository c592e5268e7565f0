"""Make the consoles on which every command prints: text is shown as it is.

By default rich reads brackets as styles and `:100:` as an emoji. A console of `make_console` does not; a colour is set
with a `Text`.
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

PIPED_WIDTH = 120  # columns where the output is not a terminal


def make_console(stderr: bool = False, *, soft_wrap: bool = False) -> Console:
    """Make a console as wide as the terminal, or PIPED_WIDTH columns wide and without colours if there is none.

    soft_wrap: leave the wrapping of long lines to the terminal, so that a path can be copied from it.
    """
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # in an ASCII locale: print "?" instead of raising an error

    def console(width: int | None = None) -> Console:
        return Console(stderr=stderr, soft_wrap=soft_wrap, highlight=False, emoji=False, markup=False, width=width)

    made = console()
    return made if made.is_terminal else console(PIPED_WIDTH)


def labelled(label: str, style: str, message: str) -> Text:
    """Make a line that begins with a coloured label."""
    return Text.assemble((label, style), message)


@contextmanager
def spinner(console: Console, text: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner and a text while something takes long. Yields a function that changes the text.

    The text is wrapped in a Text, because a spinner reads a str as markup whatever the console's settings are.
    """
    with console.status(Text(text)) as status:
        yield lambda new: status.update(Text(new))

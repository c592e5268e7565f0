"""Stop a training between two steps. Ctrl-C, or ■ in a notebook, would otherwise end it anywhere."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Stopped(KeyboardInterrupt):
    """Somebody pressed Ctrl-C or ■. The message says at which step, and what there is now.

    It ends the cell and a running "Run All", like any interrupt; a notebook shows the message alone.
    """

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class StopRequest:
    """Wait with an interrupt until a training step is done.

    From `listen` to `ignore`, an interrupt is noted in `asked`. It raises a KeyboardInterrupt at once if `waits` is
    False (there is no step to wait for) or if it is the second one. Once something was raised (`raised`), further
    interrupts do nothing: they would break off what keeps the model. Outside the main thread, or where another handler
    is set, interrupts stay as they are.
    """

    def __init__(self) -> None:
        self.asked, self.waits, self.raised = False, False, False
        self._before: Any = None

    def listen(self) -> None:
        """Begin to wait for interrupts."""
        usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if usual and threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)

    def ignore(self) -> None:
        """Give interrupts back to the handler of before. A second call does nothing."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.raised:
            return
        again, self.asked = self.asked, True
        if again or not self.waits:
            self.raised = True
            raise KeyboardInterrupt

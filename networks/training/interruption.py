"""Ctrl-C between two steps instead of within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """Raised by `Fit` between two steps, and by nothing else."""


class Interruption:
    """Records the first Ctrl-C; a second is raised at once."""

    noted = False

    def note(self, number: int, frame: FrameType | None) -> None:
        if self.noted:
            raise KeyboardInterrupt
        self.noted = True


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Handle Ctrl-C by an `Interruption` within this context.

    It does nothing outside the main thread, or if the program handles SIGINT itself.
    """
    found = Interruption()
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, found.note)
    try:
        yield found
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)

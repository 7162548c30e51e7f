"""How the scripts end: an error that its user can mend is one line, and Ctrl-C is exit code 130."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chainrule.networks.parallel import RankError

INTERRUPTED = 130  # as a shell calls a program after Ctrl-C


def exit_code(main: Callable[[], int | None]) -> int:
    """Return what `main` returns, None being 0; 130 after Ctrl-C; 0 if another rank has failed."""
    try:
        return main() or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except RankError:  # the other rank says why and ends both: do not forestall it
        return 0


@contextmanager
def one_line(begin: str, *errors: type[Exception]) -> Iterator[None]:
    """Within this context these errors end the script with a line that begins so, exit code 1."""
    try:
        yield
    except errors as error:
        raise SystemExit(f"{begin}: {told(error)}") from error


def told(error: Exception) -> str:
    """Return the error's message with its notes, which say where in the net it happened."""
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


def check_file(path: Path) -> None:
    """Raise OSError unless a file can be written at `path`: call it before a long training."""
    there = path.exists()
    path.open("ab").close()
    if not there:
        path.unlink(missing_ok=True)

import os
import runpy
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

# The tests run side by side, where BLAS's threads would only wait for each other. NumPy reads this
# when it is first imported, here and in the programs that tests start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Some tests press Ctrl-C, which programs started in the background would not hear.
signal.signal(signal.SIGINT, signal.default_int_handler)

SCRIPTS = Path(__file__).parents[1] / "scripts"


@dataclass
class Run:
    code: int
    out: str
    err: str


@pytest.fixture
def run_script(monkeypatch, capsys):
    """Run ``python scripts/NAME ARGUMENTS`` within this process."""
    monkeypatch.syspath_prepend(SCRIPTS)

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        except SystemExit as stop:
            code = stop.code or 0
        if isinstance(code, str):  # what Python itself does with it
            print(code, file=sys.stderr)
            code = 1
        return Run(code, *capsys.readouterr())

    return run

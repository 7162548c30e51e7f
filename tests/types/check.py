"""See that the type checkers accept clean.py and report each line of mistakes.py marked wrong."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CHECKERS = {
    "mypy": [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-incremental"],
    "pyright": [sys.executable, "-m", "pyright", "--pythonpath", sys.executable],
}

failed = False
for name, command in CHECKERS.items():
    for file in (HERE / "clean.py", HERE / "mistakes.py"):
        lines = file.read_text().splitlines()
        expected = {i for i, line in enumerate(lines, 1) if line.endswith("# wrong")}
        run = subprocess.run([*command, str(file)], capture_output=True, text=True, cwd=HERE)
        found = {int(n) for n in re.findall(rf"{file.name}:(\d+):.*error", run.stdout)}
        if found != expected:
            failed = True
            print(f"{name}, {file.name}: lines {sorted(found)}, expected {sorted(expected)}")
            print(run.stdout, run.stderr)
print("type checks of a user's file:", "failed" if failed else "as expected")
sys.exit(failed)

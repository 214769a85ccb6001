"""Fresh processes: what one bench leaves in memory is not another's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def fresh(module: str, *arguments: str, seconds: float = 900.0) -> str:
    """Run a module in a new Python, and give what it printed. What it says on standard error passes through.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT, timeout=seconds)
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed with code {done.returncode}")
    return done.stdout

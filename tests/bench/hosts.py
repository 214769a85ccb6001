"""The practice Windows hosts of the fan-out: who they are, and a process of their own that serves them.

Importing this costs next to nothing, so that it can be imported by clients whose memory is measured.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.process import ROOT

USER, PASSWORD = "CORP\\reader", "Correct-Horse-7"
NAMESPACE, CLASS, COLUMNS = "root/MSCluster", "MSCluster_Node", ("Name", "State")


def address(number: int) -> str:
    """Where the host of that number is."""
    return f"127.77.{number // 250}.{number % 250 + 1}"


@contextmanager
def served(hosts: int, latency: float) -> Iterator[int]:
    """That many hosts until the end of the block; gives their port. `latency`: seconds added to every answer."""
    command = [sys.executable, "-m", "tests.bench.host_server", str(hosts), str(latency)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()

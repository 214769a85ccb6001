"""A practice cluster of any size in a process of its own, and the files of a bot that asks it.

python -m tests.bench.cluster_server NODES LATENCY DIRECTORY        # prints a line when it listens; ends with its input
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.windows import BackgroundServer
from lab.world.factory import make
from lab.world.world import World
from tests.bench.process import ROOT

CLUSTER, FIRST = "farm01", "farm01n01"


@contextmanager
def served(nodes: int, latency: float, directory: Path) -> Iterator[Path]:
    """The cluster until the end of the block; gives the settings file. `latency`: seconds added to every answer."""
    command = [sys.executable, "-m", "tests.bench.cluster_server", str(nodes), str(latency), str(directory)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        if not process.stdout.readline():
            raise SystemExit("the practice cluster did not start")
        yield directory / "settings.toml"
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


def serve(nodes: int, latency: float, directory: Path) -> None:
    """Serve until the standard input ends."""
    world = make(hosts=nodes, per_cluster=nodes)
    members = world.clusters[CLUSTER].nodes
    for node in members:
        world.machines[node.address].trouble.latency = latency
    with BackgroundServer({node.address: world.machines[node.address] for node in members}) as up:
        write(directory, world, {node.name: up.url(node.address) for node in members})
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


def write(directory: Path, world: World, endpoints: Mapping[str, str]) -> None:
    """Settings and estate; text of TOML is escaped as in JSON."""
    reader = world.accounts["reader"]
    login = {"transport": "ntlm", "username": reader.user, "password": reader.password}
    tables = {
        "settings": {"": {"inventory": "inventory.toml"}, "credentials.reader": login},
        "inventory": {
            f"clusters.{CLUSTER}": {"domain": "corp.example", "entry_hosts": list(endpoints)[:2]},
            "endpoints": dict(endpoints),
        },
    }
    for file, parts in tables.items():
        lines = []
        for name, values in parts.items():
            lines += [f"[{name}]"] if name else []
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        (directory / f"{file}.toml").write_text("\n".join(lines) + "\n")
        (directory / f"{file}.toml").chmod(0o600)


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))

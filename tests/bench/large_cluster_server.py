"""A practice cluster with its guests in a process of its own, and the files of a bot that asks all of them.

python -m tests.bench.large_cluster_server NODES GUESTS LATENCY TRANSPORT DIRECTORY RELEASE

Prints a line when it listens; ends with its input. Over NTLM the hosts speak HTTP, sealed, and the guests HTTPS, each with
a certificate of its own, as an inventory has to pin them. Over Kerberos all of them speak HTTP, sealed, and a real KDC
knows every one; hosts and guests find it by the environment.
"""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from lab.windows import BackgroundServer, CertificateAuthority
from lab.windows.machine_protocol import Access
from lab.world import defaults
from lab.world.factory import make
from lab.world.model import Windows
from lab.world.world import World
from tests.bench.first import CLUSTER
from tests.bench.process import ROOT
from tests.support.kdc import REALM, Kdc, kdc_serving

TICKETS = "hvops", "Ticket-1"
PATIENT = 300  # seconds: nothing is cut off here


@contextmanager
def served(
    nodes: int, guests: int, latency: float, transport: str, directory: Path, *, release: str
) -> Iterator[dict[str, str]]:
    """The cluster until the end of the block; gives the environment of a bot. `latency`: seconds added to every answer."""
    told = (str(nodes), str(guests), str(latency), transport, str(directory), release)
    if transport != "kerberos":
        with _process(told, {}):
            yield {}
        return
    with kdc_serving(directory) as kdc:
        _fill(kdc, _machines(_world(nodes, guests, release)))
        with _process(told, kdc.environment):
            yield {name: kdc.environment[name] for name in ("KRB5_CONFIG", "KRB5CCNAME")}


@contextmanager
def _process(told: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.large_cluster_server", *told],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    try:
        if not process.stdout.readline():
            raise SystemExit("the practice cluster did not start")
        yield
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def _fill(kdc: Kdc, machines: list[Windows]) -> None:
    user, password = TICKETS
    kdc.add_user(user, password)
    kdc.add_services("HTTP", (machine.fqdn for machine in machines))


def _machines(world: World) -> list[Windows]:
    cluster = world.clusters[CLUSTER]
    return [*cluster.nodes, *cluster.guests]


def _world(nodes: int, guests: int, release: str) -> World:
    """Each guest has a disk for data as well, which is on a SCSI controller."""
    world = make(hosts=nodes, per_cluster=nodes, guests=guests, releases={CLUSTER: release})
    draw = Random(1)
    for guest in world.clusters[CLUSTER].guests:
        guest.volumes.append(defaults.data_volume(guest.vm_id, draw, 100, letter="E", label="Programs", disk=1))
    return world


def serve(nodes: int, guests: int, latency: float, transport: str, directory: Path, *, release: str) -> None:
    """Serve until the standard input ends."""
    world = _world(nodes, guests, release)
    cluster, authority = world.clusters[CLUSTER], CertificateAuthority()
    machines = {one.address: world.machines[one.address] for one in _machines(world)}
    for machine in machines.values():
        machine.trouble.latency = latency
        if transport == "kerberos":
            machine.access = Access(accounts={f"{TICKETS[0]}@{REALM}": ""}, ntlm=False, kerberos=True)
    tls = {}
    if transport != "kerberos":
        tls = {one.address: authority.server_context(one.fqdn, one.name, one.address) for one in cluster.guests}
    with BackgroundServer(machines, tls=tls) as up:
        endpoints = {one.name: up.url(one.address, secure=one.address in tls) for one in _machines(world)}
        authority.write(directory / "ca.pem")
        _write(directory, world, transport, endpoints)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


def _write(directory: Path, world: World, transport: str, endpoints: Mapping[str, str]) -> None:
    """Settings and inventory; text of TOML is escaped as in JSON."""
    login: dict[str, dict[str, Any]] = {}
    for profile in ("reader", "guest"):
        account = world.accounts[profile]
        user, password = (
            (f"{TICKETS[0]}@{REALM}", TICKETS[1]) if transport == "kerberos" else (account.user, account.password)
        )
        login[profile] = {"transport": transport, "username": user, "password": password}
    if transport != "kerberos":
        login["guest"]["ca_file"] = "ca.pem"
    files: dict[str, dict[str, dict[str, Any]]] = {
        "settings": {
            "": {"inventory": "inventory.toml"},
            "limits": {"per_host_seconds": PATIENT, "overall_seconds": PATIENT},
            "roles.viewer": {"system_users": [getpass.getuser()], "clusters": ["*"]},
            **{f"credentials.{profile}": told for profile, told in login.items()},
        },
        "inventory": {
            "": {"guest_domains": ["corp.example"]},
            f"clusters.{CLUSTER}": {"domain": "corp.example", "entry_hosts": list(endpoints)[:2]},
            "endpoints": dict(endpoints),
        },
    }
    for file, tables in files.items():
        lines = []
        for name, values in tables.items():
            lines += [f"[{name}]"] if name else []
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        path = directory / f"{file}.toml"
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], Path(sys.argv[5]), release=sys.argv[6])

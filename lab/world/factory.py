"""Draw an estate: two clusters with names people know, or as many hosts as a measurement wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from random import Random

from lab.world import defaults, events, naming
from lab.world.accounts import accounts, guest_access, host_access
from lab.world.machine import WorldMachine
from lab.world.model import GIB, Cluster, Guest, Node, SharedVolume, Volume, Windows, identity
from lab.world.naming import GuestPlan
from lab.world.os_releases import LINUX, RELEASES, Release
from lab.world.vmm import VirtualMachineManager
from lab.world.world import Clock, World, utc_now

DOMAIN = "corp.example"
VMM_HOST, VMM_ADDRESS = "vmm01", "127.0.9.2"
NODES_PER_CLUSTER = 50  # of measuring size; Windows allows 64
GUESTS_PER_NODE = 2  # likewise: few, for the hosts are what is measured
_LAST_OCTETS = 250


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A cluster before it is built. `languages`: node name -> language where it is not English."""

    name: str
    prefix: str  # of its nodes' names
    nodes: int
    guests: tuple[GuestPlan, ...]
    release: str
    languages: Mapping[str, str]


def estate_plans(releases: Mapping[str, str]) -> tuple[ClusterPlan, ...]:
    """The practice estate: prod and branch, 10 nodes and 120 guests."""
    return (
        ClusterPlan("prod", "hv", 6, naming.PROD, releases.get("prod", "2012R2"), {"hv04": "de-DE", "hv06": "fr-FR"}),
        ClusterPlan("branch", "br", 4, naming.BRANCH, releases.get("branch", "2019"), {}),
    )


def measuring_plans(
    hosts: int, most: int = NODES_PER_CLUSTER, guests: int = 0, releases: Mapping[str, str] | None = None
) -> Iterator[ClusterPlan]:
    """Clusters of up to `most` nodes until there are that many hosts. `guests`: of each cluster; 0 for two a node."""
    for number, first in enumerate(range(0, hosts, most), start=1):
        nodes, name = min(most, hosts - first), f"farm{number:02d}"
        yield ClusterPlan(
            name,
            f"{name}n",
            nodes,
            naming.numbered(name, guests or nodes * GUESTS_PER_NODE),
            (releases or {}).get(name, "2019"),
            {},
        )


def make(
    *,
    seed: int = 1,
    hosts: int = 0,
    per_cluster: int = NODES_PER_CLUSTER,
    guests: int = 0,
    releases: Mapping[str, str] | None = None,
    clock: Clock = utc_now,
) -> World:
    """Draw an estate in which all is well.

    Args:
        seed: the same seed draws the same estate.
        hosts: 0 for the practice estate, else that many hosts in large clusters.
        per_cluster: the most nodes of a large cluster; Windows allows 64.
        guests: how many a large cluster has; 0 for two a node.
        releases: cluster -> release key of its nodes, where a story wants another one.
        clock: the time, UTC.

    Returns:
        A world with all machines in it; no server listens yet.
    """
    builder = _Builder(World({}, accounts(seed), clock=clock), seed)
    plans = measuring_plans(hosts, per_cluster, guests, releases) if hosts else estate_plans(releases or {})
    for number, plan in enumerate(plans, start=1):
        builder.cluster(plan, number)
    if not hosts:
        builder.world.vmm = VirtualMachineManager(builder.world, builder.vmm_server())
    return builder.world


class _Builder:
    """Builds clusters into a world, one after another, from one stream of random numbers."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.draw = Random(seed)
        self.now = world.now
        self.addresses = (f"127.1.{number // _LAST_OCTETS}.{number % _LAST_OCTETS + 1}" for number in count())

    def cluster(self, plan: ClusterPlan, number: int) -> None:
        """Build a cluster with all that runs on it."""
        cluster = Cluster(plan.name, DOMAIN)
        self.world.clusters[plan.name] = cluster
        for index in range(1, plan.nodes + 1):
            cluster.nodes.append(self.node(plan, cluster, index, f"127.0.{number}.{index}"))
        for index in range(max(2, plan.nodes // 2)):
            cluster.shared_volumes.append(self.shared_volume(cluster, index))
        for node in cluster.nodes:
            node.volumes += [defaults.shared_as_volume(each, at) for at, each in enumerate(cluster.shared_volumes)]
        for guest_plan, node in _placed(plan.guests, cluster.nodes):
            cluster.guests.append(self.guest(guest_plan, node))
        for node in cluster.nodes:
            self.history(node)

    def node(self, plan: ClusterPlan, cluster: Cluster, index: int, address: str) -> Node:
        """Build a node and its machine."""
        name, release = f"{plan.prefix}{index:02d}", RELEASES[plan.release]
        owner = f"{name}.{DOMAIN}"
        node = Node(
            name=name,
            domain=DOMAIN,
            address=address,
            release=release,
            booted=self.now - timedelta(days=self.draw.randint(20, 60), minutes=self.draw.randint(0, 1400)),
            language=plan.languages.get(name, "en-US"),
            bios_guid=identity("bios", owner),
            memory=512 * GIB,
            processors=40,
            cluster=cluster,
            id=index,
            volumes=defaults.system_volumes(
                owner, self.draw, uefi=release.at_least("2012"), release=release, size_gb=278
            ),
            updates=defaults.updates(release),
            services=defaults.services(node=True),
            writers=defaults.writers(owner, release=release, node=True),
        )
        self.take_in(WorldMachine(node, host_access(self.world.accounts), self.world))
        return node

    def shared_volume(self, cluster: Cluster, index: int) -> SharedVolume:
        """Build a Cluster Shared Volume of 8 to 16 TB, owned in turn."""
        size = self.draw.randint(8, 16) * 1024**2
        return SharedVolume(
            name=f"Volume{index + 1}",
            resource=f"Cluster Disk {index + 1}",
            guid=identity(cluster.name, f"csv {index}"),
            owner=cluster.nodes[index % len(cluster.nodes)],
            size_mb=size,
            free_mb=int(size * self.draw.uniform(0.25, 0.5)),
        )

    def guest(self, plan: GuestPlan, node: Node) -> Guest:
        """Build a guest and its machine."""
        release = LINUX if plan.linux else self.guest_release(plan.name, node.release)
        owner = f"{plan.name}.{node.cluster.name}"
        generation = 2 if release.at_least("2016") and node.release.at_least("2012R2") else 1
        windows = release.family == "windows"
        guest = Guest(
            name=plan.name,
            domain=DOMAIN,
            address=next(self.addresses),
            release=release,
            booted=self.now - timedelta(days=self.draw.randint(2, 30), minutes=self.draw.randint(0, 1400)),
            bios_guid=identity("bios", owner),
            memory=self.draw.choice((4, 8, 8, 16)) * GIB,
            processors=self.draw.choice((2, 4)),
            vm_id=identity("vm", owner),
            node=node,
            shared_volume=self.draw.choice(node.cluster.shared_volumes),
            group=f"SCVMM {plan.name} Resources" if plan.managed_by_vmm else plan.name,
            state=plan.state,
            priority=plan.priority,
            generation=generation,
            reports_address=plan.reports_address,
            created=self.now - timedelta(days=self.draw.randint(100, 900)),
            last_backup=self.now - timedelta(hours=self.draw.randint(20, 26)),
        )
        if windows:
            guest.volumes = self.guest_volumes(guest)
            guest.updates = defaults.updates(release)
            guest.services = defaults.services(node=False)
            guest.writers = defaults.writers(owner, release=release, node=False, sql="sql" in plan.name)
        access = guest_access(self.world.accounts, admitted=plan.login)
        machine = WorldMachine(guest, access, self.world)
        machine.trouble.hang = plan.hangs
        self.take_in(machine)
        return guest

    def vmm_server(self) -> Windows:
        """Build the Windows on which VMM's service runs; it has no hypervisor and is in no cluster."""
        release = RELEASES["2019"]
        owner = f"{VMM_HOST}.{DOMAIN}"
        windows = Windows(
            name=VMM_HOST,
            domain=DOMAIN,
            address=VMM_ADDRESS,
            release=release,
            booted=self.now - timedelta(days=self.draw.randint(20, 60), minutes=self.draw.randint(0, 1400)),
            bios_guid=identity("bios", owner),
            memory=32 * GIB,
            processors=8,
            volumes=defaults.system_volumes(owner, self.draw, uefi=True, release=release, size_gb=120),
            updates=defaults.updates(release),
            services=defaults.services(node=False, vmm=True),
            writers=defaults.writers(owner, release=release, node=False),
        )
        self.take_in(WorldMachine(windows, host_access(self.world.accounts), self.world))
        for name in ("vmmservice", "winrm"):
            self.world.log(windows, events.service_state(windows, name, "running", windows.booted))
        return windows

    def take_in(self, machine: WorldMachine) -> None:
        """Hand a finished machine to the world."""
        self.world.add(machine)

    def guest_release(self, name: str, host: Release) -> Release:
        """Old names run old systems; a host runs nothing much newer than itself."""
        if "old" in name or host.key == "2008R2":
            return RELEASES["2008R2"]
        choices = ["2012R2", "2016"] + (["2019"] if host.at_least("2016") else [])
        return RELEASES[self.draw.choice(choices)]

    def guest_volumes(self, guest: Guest) -> list[Volume]:
        """System volumes, then data volumes by what the name says the guest is for."""
        owner, draw = guest.vm_id, self.draw
        size = 80 if guest.name.startswith(("test-", "dev-")) else 60
        found = defaults.system_volumes(owner, draw, uefi=guest.generation > 1, release=guest.release, size_gb=size)
        if "sql" in guest.name:
            found.append(defaults.data_volume(owner, draw, 200, letter="D", label="Data", disk=1))
            found.append(defaults.data_volume(owner, draw, 50, letter="L", label="Logs", disk=2))
            found.append(defaults.data_volume(owner, draw, 40, mount="D:\\TempDB\\", label="TempDB", disk=3))
        elif "file" in guest.name:
            found.append(defaults.data_volume(owner, draw, 350, letter="D", label="Shares", disk=1))
        elif guest.name.startswith(("app-", "crm-", "branch-app-")):
            found.append(defaults.data_volume(owner, draw, 100, letter="E", label="Programs", disk=1))
        letters = {volume.letter for volume in found}
        return [*found, defaults.cd_drive(owner, "Z" if "D" in letters else "D")]

    def history(self, node: Node) -> None:
        """What a quiet node has in its logs: services that came up, guests that moved."""
        started = max(node.booted, self.now - timedelta(days=20))
        for name in ("clussvc", "vmms", "winrm"):
            self.world.log(node, events.service_state(node, name, "running", started))
        for number, guest in enumerate(node.guests[:3], start=1):
            moment: datetime = self.now - timedelta(days=12 - number, hours=number)
            self.world.log(node, events.migrated(guest, moment))


def _placed(plans: tuple[GuestPlan, ...], nodes: list[Node]) -> Iterator[tuple[GuestPlan, Node]]:
    """Guests with a node of their own go there; the others go in turn to the emptiest of the rest."""
    pinned = {plan.node for plan in plans if plan.node}
    free = [node for node in nodes if node.name not in pinned]
    turn = count()
    for plan in plans:
        if plan.node:
            yield plan, next(node for node in nodes if node.name == plan.node)
        else:
            yield plan, free[next(turn) % len(free)]

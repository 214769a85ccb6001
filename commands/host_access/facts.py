"""Everything that `/check-host-access` asks, as facts: the login of each host first, and where it holds all the rest.

Where the login fails nothing else is tried there: each refused password brings the account nearer to its lockout.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of
from bot.api.query_client import QueryClient
from commands.sources.cluster import Node, cluster_name, cluster_nodes, machine_resources, machines_of
from commands.sources.event_log import event_channels
from commands.sources.guests import visible_systems
from commands.sources.operating_system import OperatingSystem, oem_code_page, operating_system
from commands.sources.vss_writers import Writer, host_writers
from commands.sources.winrm import WinRMQuotas, winrm_quotas

_SOME = 8  # resources that are asked for their private properties


@dataclass(frozen=True, slots=True)
class HypervisorFacts:
    """What a hypervisor was asked.

    Attributes:
        node: the host; its build decides which namespace of Hyper-V was asked.
        systems: how many rows of Hyper-V the account sees.
    """

    node: Node
    systems: int | Unknown
    channels: frozenset[str] | Unknown
    writers: tuple[Writer, ...] | Unknown


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """What a host was asked once the login held.

    Attributes:
        hypervisor: None where the host is none, so that nothing of Hyper-V was asked.
        cluster: the name of its cluster; None where the host stands alone, so that it was not asked.
    """

    system: OperatingSystem
    quotas: WinRMQuotas | Unknown
    code_page: str | Unknown
    hypervisor: HypervisorFacts | None
    cluster: str | Unknown | None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One host: what it answered, or why its login failed."""

    name: str
    login: LoginFacts | Unknown


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """What was found out.

    Attributes:
        unfound: why the nodes of the cluster are not known; None where they are.
        vm_ids: of a cluster: what the private properties of some of its machines' resources tell, "" where they do not;
            None where no cluster was asked.
    """

    hosts: tuple[HostFacts, ...]
    unfound: Unknown | None = None
    vm_ids: tuple[str, ...] | Unknown | None = None


async def find_access(target: Target, ask: QueryClient) -> AccessFacts:
    """Ask a host; or a cluster for its nodes, and then each of them at once."""
    if target.kind != "cluster":
        runs_vmm = bool(target.services_of)  # such a host is in the inventory for VMM's service, not for guests
        host = await _host(target.name, ask, clustered=bool(target.cluster), hypervisor=not runs_vmm)
        return AccessFacts((host,))
    nodes = value_of(await ask.query(cluster_nodes(target.name)))
    if isinstance(nodes, Unknown):
        return AccessFacts((), nodes)
    vm_ids, hosts = await asyncio.gather(
        _vm_ids(target.name, ask),
        asyncio.gather(*(_host(node.name, ask, clustered=True, hypervisor=True) for node in nodes)),
    )
    return AccessFacts(tuple(hosts), vm_ids=vm_ids)


async def _vm_ids(cluster: str, ask: QueryClient) -> tuple[str, ...] | Unknown:
    """What some resources tell of their machines: a few show how it is written, and each takes 19 ms [src]."""
    names = value_of(await ask.query(machine_resources(cluster)))
    if isinstance(names, Unknown) or not names:
        return names
    some = names[:_SOME]
    ids = value_of(await ask.query(machines_of(cluster, some)))
    return ids if isinstance(ids, Unknown) else tuple(ids.get(name.casefold(), "") for name in some)


async def _host(name: str, ask: QueryClient, *, clustered: bool, hypervisor: bool) -> HostFacts:
    system = value_of(await ask.query(operating_system(name)))
    if isinstance(system, Unknown):
        return HostFacts(name, system)
    quotas, code_page, hyper_v, cluster = await asyncio.gather(
        ask.query(winrm_quotas(name)),
        ask.query(oem_code_page(name)),
        _hypervisor(Node(name, system.build), ask) if hypervisor else _nothing(),
        ask.query(cluster_name(name)) if clustered else _nothing(),
    )
    return HostFacts(
        name,
        LoginFacts(
            system,
            value_of(quotas),
            value_of(code_page),
            hyper_v,
            None if cluster is None else value_of(cluster),
        ),
    )


async def _hypervisor(node: Node, ask: QueryClient) -> HypervisorFacts:
    systems, channels, writers = await asyncio.gather(
        ask.query(visible_systems(node)),
        ask.query(event_channels(node.name)),
        ask.query(host_writers(node.name)),
    )
    return HypervisorFacts(node, value_of(systems), value_of(channels), value_of(writers))


async def _nothing() -> None:
    """What was not asked."""

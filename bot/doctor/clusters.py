"""What each cluster and its hosts answer, and the assumptions about them that can be probed without changing anything."""

from __future__ import annotations

import asyncio
import re

from bot.api.queries import Predicate, Wql
from bot.doctor.check import DoctorCheck, fail, ok, skip, warn
from bot.doctor.host import check_host
from bot.errors import HvopsError, TargetError
from bot.services import Connections

CLUSTER = "root/MSCluster"
_RIGHTS = "See deploy/rights.md."
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


async def estate(out: Connections) -> list[DoctorCheck]:
    """Every cluster, every node that it names, every host that stands alone; all at once."""
    found: list[DoctorCheck] = []
    hosts: dict[str, bool] = dict.fromkeys((host.name for host in out.estate.hosts.values()), False)
    for name, cluster in out.estate.clusters.items():
        try:
            nodes = await out.directory.nodes(name)
        except HvopsError as error:
            found.append(fail("cluster", str(error), "Check entry_hosts in the estate.", on=cluster.name))
            nodes = tuple(cluster.entry_hosts)
        else:
            found.append(ok("cluster", f"{len(nodes)} nodes: {' '.join(nodes)}", on=cluster.name))
            found.append(await _private_properties(out, cluster.name))
        hosts |= dict.fromkeys(nodes, True)
    managers = {vmm.host.lower() for vmm in out.estate.vmm.values()}
    looks = [
        check_host(out, host, clustered=clustered, hypervisor=host.lower() not in managers)
        for host, clustered in hosts.items()
    ]
    for checks in await asyncio.gather(*looks):
        found += checks
    return [*found, *_guests(out)]


async def _private_properties(out: Connections, cluster: str) -> DoctorCheck:
    """How WMI writes a resource's private properties was never captured; the bot reads the hive where it cannot."""
    what = "vm id of resources"
    where = (Predicate("Type", "=", "Virtual Machine"),)
    question = Wql(cluster, CLUSTER, "MSCluster_Resource", ("Name", "PrivateProperties"), where)
    try:
        rows = (await out.reach.answer(question)).rows
    except TargetError as error:
        return fail(what, error.message, error.hint or _RIGHTS, on=cluster)
    if not rows:
        return skip(what, "the cluster has no virtual machines", on=cluster)
    readable = sum(bool(_GUID.search(repr(row.get("PrivateProperties")))) for row in rows)
    if readable == len(rows):
        return ok(what, "PrivateProperties carry it", on=cluster)
    return warn(
        what,
        f"PrivateProperties carry it for {readable} of {len(rows)}; the rest is read from the registry",
        "Please record a capture: hvops record, and open an issue.",
        on=cluster,
    )


def _guests(out: Connections) -> list[DoctorCheck]:
    if out.settings.credentials.guest is None:
        return [skip("guests", "no [credentials.guest]; every guest will be unknown", "Set it to look inside guests.")]
    domains = out.estate.guest_domains
    if not domains:
        return [fail("guests", "guest_domains is empty, so no guest may be asked", "Name their domains in the estate.")]
    return [ok("guests", f"asked in {', '.join(domains)} over {out.settings.credentials.guest.transport}")]

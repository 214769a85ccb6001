"""What each cluster names as its nodes, what the diagnostics that examine say of all hosts, and what keeps guests from being asked."""

from __future__ import annotations

from bot.doctor.check import DoctorCheck, fail, ok, skip
from bot.doctor.hosts import examine_hosts
from bot.errors import HvopsError, TargetError
from bot.services import Connections


async def check_clusters(out: Connections) -> list[DoctorCheck]:
    """Every cluster, and what is said of every host: those of clusters, and those that stand alone."""
    found: list[DoctorCheck] = []
    names = [host.name for host in out.inventory_file.hosts.values()]
    for name, cluster in out.inventory_file.clusters.items():
        try:
            nodes = await out.inventory.nodes(name)
        except HvopsError as error:
            found.append(_silent(cluster.name, error))
            names += cluster.entry_hosts
        else:
            found.append(ok("cluster", f"{len(nodes)} nodes: {' '.join(nodes)}", on=cluster.name))
            names.append(cluster.name)
    return [*found, *await examine_hosts(out, names), *_guests(out)]


def _silent(cluster: str, error: HvopsError) -> DoctorCheck:
    """Of a cluster that names no nodes: what the error itself says to do, or which of its nodes are asked for the others."""
    says, do = str(error), ""
    if isinstance(error, TargetError) and error.target.lower() == cluster.lower():
        says, do = error.message, error.hint
    return fail("cluster", says, do or "Check entry_hosts in the inventory.", on=cluster)


def _guests(out: Connections) -> list[DoctorCheck]:
    """What keeps every guest from being asked; whether the login holds is said by one that was asked."""
    if out.settings.credentials.guest is None:
        return [
            skip("guests", "no [credentials.guest]; every guest will be unknown", "Set it to look inside of guests.")
        ]
    if not out.inventory_file.guest_domains:
        return [
            fail("guests", "guest_domains is empty, so no guest may be asked", "Name their domains in the inventory.")
        ]
    return []

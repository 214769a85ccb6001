"""Which name belongs to which site with a worker, and what of the inventory a worker knows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.config.inventory_file import COMMVAULT, InventoryFile, SiteTable
from bot.errors import SettingsError


def homes_of(inventory_file: InventoryFile, sites: Iterable[str]) -> Mapping[str, str]:
    """Each name of those sites' clusters, hosts, VMM servers and load balancers, in lower case, and its site's name.

    Raises:
        SettingsError: the inventory has no such site, a cluster would be torn apart, or there is nothing to ask at one.
    """
    found: dict[str, str] = {}
    for name in sites:
        table = inventory_file.site.get(name.lower())
        if table is None:
            raise SettingsError(
                f"[sites.worker.{name}]: the inventory has no such site. Add [site.{name}] with members to it."
            )
        members = _members(inventory_file, table)
        if not members & _askable(inventory_file):
            raise SettingsError(
                f"[site.{name}] has a worker, and none of its members is a cluster, host, VMM server, load balancer or "
                f"{COMMVAULT} of the inventory."
            )
        found |= dict.fromkeys(members, table.name)
    return found


def only(inventory_file: InventoryFile, site: str) -> InventoryFile:
    """The inventory as the worker of a site knows it: nothing of any other place. Raises SettingsError as `homes_of`."""
    members = homes_of(inventory_file, [site]).keys()
    clusters = {key: cluster for key, cluster in inventory_file.clusters.items() if key in members}
    vmm = {
        key: one.model_copy(update={"clusters": tuple(name for name in one.clusters if name.lower() in clusters)})
        for key, one in inventory_file.vmm.items()
        if key in members
    }
    return inventory_file.model_copy(
        update={
            "clusters": clusters,
            "hosts": {key: host for key, host in inventory_file.hosts.items() if key in members},
            "vmm": vmm,
            "load_balancer": tuple(one for one in inventory_file.load_balancer if one.name.lower() in members),
            "commvault": inventory_file.commvault if COMMVAULT in members else None,
            "service": {},
            "site": {},
            "window": (),
        }
    )


def _members(inventory_file: InventoryFile, table: SiteTable) -> set[str]:
    """Its members as they are asked for: a host by its bare name. Raises SettingsError for a part of a cluster."""
    members = {one.lower() for one in table.members}
    hosts = {one: one.partition(".")[0] for one in members}
    members |= {label for label in hosts.values() if label in inventory_file.hosts}
    for cluster in inventory_file.clusters.values():
        parts = {node.lower() for node in (*cluster.entry_hosts, *cluster.nodes)} & set(hosts.values())
        if parts and cluster.name.lower() not in members:
            raise SettingsError(
                f"[site.{table.name}] has a worker, and its member {min(parts)} is a node of {cluster.name}: one worker asks "
                f"all of a cluster. Write {cluster.name} there in its place."
            )
    return members


def _askable(inventory_file: InventoryFile) -> set[str]:
    file = inventory_file
    return {*file.clusters, *file.hosts, *file.vmm, *file.load_balancers(), *([COMMVAULT] if file.commvault else [])}

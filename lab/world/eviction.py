"""A node leaves its cluster for good: the others list it no more, and its own cluster service is disabled [mem]."""

from __future__ import annotations

from random import Random

from lab.world import defaults
from lab.world.model import GIB, Node
from lab.world.world import World


def evict(node: Node) -> None:
    """Take a node out of its cluster; its shared volumes go to the others. It must run no guest any more."""
    assert not node.guests, f"{node.name} still has guests"
    cluster = node.cluster
    cluster.nodes.remove(node)
    cluster.evicted.append(node)
    for volume in cluster.shared_volumes:
        if volume.owner is node:
            volume.owner = cluster.nodes[0]
    service = node.service("clussvc")
    service.state, service.start, service.pid = "Stopped", "Disabled", 0


def remove_paths(node: Node) -> None:
    """Take away what came over the SAN."""
    node.volumes = [volume for volume in node.volumes if volume.file_system != "CSVFS"]


def install_for_uefi(world: World, node: Node) -> None:
    """Windows installed anew on the same disk, as after `convert gpt`: the reserved partition stands first."""
    size = node.volume("C").capacity // GIB
    owner = f"{node.fqdn} anew"
    system = defaults.system_volumes(owner, Random(size), uefi=True, release=node.release, size_gb=size)
    node.volumes = [volume for volume in system if volume.kind != "recovery"]
    node.reserved = "first"
    node.booted = world.now

"""root/MSCluster's associations: who owns, contains or may own what."""

from __future__ import annotations

from collections.abc import Iterator

from lab.windows.machine_protocol import Instance, Reference
from lab.world.class_availability import instance
from lab.world.model import Cluster, Node, SharedVolume
from lab.world.os_releases import Release
from lab.world.roles import roles
from lab.world.wmi_providers import Scene, View

NAMESPACE = "root/MSCluster"


def cluster_of(scene: Scene) -> Cluster:
    """The cluster of the node that is asked."""
    assert isinstance(scene.windows, Node)
    return scene.windows.cluster


def partition_path(volume: SharedVolume) -> str:
    """The key of a shared volume's partition."""
    return f"\\\\?\\Volume{{{volume.guid}}}"


def _link(cls: str, release: Release, whole: tuple[str, str], part: tuple[str, str], key: str = "Name") -> Instance:
    return instance(
        cls,
        release,
        GroupComponent=Reference(NAMESPACE, whole[0], {"Name": whole[1]}),
        PartComponent=Reference(NAMESPACE, part[0], {key: part[1]}),
    )


def possible_owners(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ResourceToPossibleOwner: every node, unless somebody limited them."""
    cluster = cluster_of(scene)
    for _, members in roles(cluster):
        for resource in members:
            for node in cluster.nodes:
                if resource.possible_owners is None or node.name in resource.possible_owners:
                    whole, part = ("MSCluster_Resource", resource.name), ("MSCluster_Node", node.name)
                    yield _link("MSCluster_ResourceToPossibleOwner", scene.windows.release, whole, part)


def cluster_to_node(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ClusterToNode."""
    cluster = cluster_of(scene)
    for node in cluster.nodes:
        yield instance(
            "MSCluster_ClusterToNode",
            scene.windows.release,
            Antecedent=Reference(NAMESPACE, "MSCluster_Cluster", {"Name": cluster.name}),
            Dependent=Reference(NAMESPACE, "MSCluster_Node", {"Name": node.name}),
        )


def node_to_group(scene: Scene) -> Iterator[Instance]:
    """MSCluster_NodeToActiveGroup: which node owns which group; the only way to know it on 2008 R2."""
    for group, _ in roles(cluster_of(scene)):
        node, role = ("MSCluster_Node", group.owner.name), ("MSCluster_ResourceGroup", group.name)
        yield _link("MSCluster_NodeToActiveGroup", scene.windows.release, node, role)


def node_to_resource(scene: Scene) -> Iterator[Instance]:
    """MSCluster_NodeToActiveResource."""
    for group, members in roles(cluster_of(scene)):
        for resource in members:
            node, part = ("MSCluster_Node", group.owner.name), ("MSCluster_Resource", resource.name)
            yield _link("MSCluster_NodeToActiveResource", scene.windows.release, node, part)


def group_to_resource(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ResourceGroupToResource."""
    for group, members in roles(cluster_of(scene)):
        for resource in members:
            role, part = ("MSCluster_ResourceGroup", group.name), ("MSCluster_Resource", resource.name)
            yield _link("MSCluster_ResourceGroupToResource", scene.windows.release, role, part)


def _volume_links(cls: str, part: str, key: str) -> View:
    def view(scene: Scene) -> Iterator[Instance]:
        for volume in cluster_of(scene).shared_volumes:
            name = {
                "MSCluster_Node": volume.owner.name,
                "MSCluster_Resource": volume.resource,
                "MSCluster_DiskPartition": partition_path(volume),
            }[part]
            whole = ("MSCluster_ClusterSharedVolume", volume.path)
            yield _link(cls, scene.windows.release, whole, (part, name), key)

    return view


VIEWS: dict[str, View] = {
    "MSCluster_ResourceToPossibleOwner": possible_owners,
    "MSCluster_ClusterToNode": cluster_to_node,
    "MSCluster_NodeToActiveGroup": node_to_group,
    "MSCluster_NodeToActiveResource": node_to_resource,
    "MSCluster_ResourceGroupToResource": group_to_resource,
    "MSCluster_ClusterSharedVolumeToNode": _volume_links(
        "MSCluster_ClusterSharedVolumeToNode", "MSCluster_Node", "Name"
    ),
    "MSCluster_ClusterSharedVolumeToPartition": _volume_links(
        "MSCluster_ClusterSharedVolumeToPartition", "MSCluster_DiskPartition", "Path"
    ),
    "MSCluster_ClusterSharedVolumeToResource": _volume_links(
        "MSCluster_ClusterSharedVolumeToResource", "MSCluster_Resource", "Name"
    ),
}

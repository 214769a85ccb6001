"""root/MSCluster: cluster, nodes, groups and resources, the same from every node that is up.

Value meanings: the archived ClusWmi and clusapi pages [doc]. PrivateProperties: no capture exists; here an embedded
MSCluster_Property whose properties are the resource's private property names, as `$resource.PrivateProperties.VmId`
is written in scripts [mem].
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.windows.machine import Embedded, Instance, Reference
from lab.world.classes import instance
from lab.world.model import Cluster, Node, SharedVolume
from lab.world.releases import Release
from lab.world.roles import GROUP_ONLINE, RESOURCE_ONLINE, Group, Resource, roles
from lab.world.views import Scene, View

NAMESPACE = "root/MSCluster"
_DRAIN_FLAGS = {0: 0, 1: 4, 2: 8, 3: 16}  # of a node's StatusInformation, by NodeDrainStatus (clusapi, 2016+) [doc]
LOCKED = 1  # LOCKED_MODE, bit 0 of StatusInformation of groups and resources (clusapi) [doc]


def _cluster(scene: Scene) -> Cluster:
    assert isinstance(scene.windows, Node)
    return scene.windows.cluster


def clusters(scene: Scene) -> Iterator[Instance]:
    """MSCluster_Cluster: exactly one."""
    cluster = _cluster(scene)
    yield instance(
        "MSCluster_Cluster",
        scene.windows.release,
        Name=cluster.name,
        Caption=cluster.name,
        Fqdn=cluster.fqdn,
        CreationClassName="MSCluster_Cluster",
        AdminAccessPoint=1,
        BackupInProgress=int(cluster.backup_in_progress),
        BlockCacheSize=0,
        ClusterFunctionalLevel={"2016": 9, "2019": 10}.get(scene.windows.release.key, 11),
        CrossSubnetDelay=1000,
        CrossSubnetThreshold=5,
        DatabaseReadWriteMode=0,
        DefaultNetworkRole=2,
        DrainOnShutdown=1,
        DynamicQuorumEnabled=1,
        EnableSharedVolumes=1,
        MaxNumberOfNodes=64 if scene.windows.release.at_least("2012") else 16,
        QuorumType="Majority",
        QuorumTypeValue=3,
        SameSubnetDelay=1000,
        SameSubnetThreshold=10,
        SecurityLevel=1,
        SharedVolumesRoot="C:\\ClusterStorage",
        SharedVolumeVssWriterOperationTimeout=1800,
        WitnessDynamicWeight=1,
    )


def nodes(scene: Scene) -> Iterator[Instance]:
    """MSCluster_Node: one per node."""
    for node in _cluster(scene).nodes:
        release = node.release
        yield instance(
            "MSCluster_Node",
            scene.windows.release,
            Name=node.name,
            Caption=node.name,
            CreationClassName="MSCluster_Node",
            BuildNumber=int(release.build),
            MajorVersion=release.major,
            MinorVersion=release.minor,
            CSDVersion=release.service_pack << 8,
            DynamicWeight=int(node.state in {0, 2}),
            NodeWeight=1,
            Id=str(node.id),
            NodeInstanceID=f"00000000-0000-0000-0000-{node.id:012d}",
            NodeDrainStatus=node.drain,
            NodeDrainTarget=node.drain_target,
            NeedsPreventQuorum=0,
            State=node.state,
            StatusInformation=_DRAIN_FLAGS[node.drain],
            PowerManagementSupported=False,
        )


def _group(group: Group, release: Release) -> Instance:
    return instance(
        "MSCluster_ResourceGroup",
        release,
        Name=group.name,
        Caption=group.name,
        Id=group.id,
        GroupType=group.type,
        IsCore=group.core,
        OwnerNode=group.owner.name,
        State=group.state,
        StatusInformation=LOCKED if group.locked else 0,
        AutoFailbackType=int(group.fails_back),
        FailbackWindowStart=-1,
        FailbackWindowEnd=-1,
        FailoverPeriod=6,
        FailoverThreshold=4294967295,
        PersistentState=group.state == GROUP_ONLINE,
        Priority=group.priority,
        Flags=0,
        Characteristics=0,
    )


def groups(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ResourceGroup: core, shared volumes and one per virtual machine."""
    for group, _ in roles(_cluster(scene)):
        yield _group(group, scene.windows.release)


def _resource(resource: Resource, release: Release) -> Instance:
    bag = Embedded(NAMESPACE, "MSCluster_Property", dict(resource.private)) if resource.private else None
    return instance(
        "MSCluster_Resource",
        release,
        Name=resource.name,
        Caption=resource.name,
        Id=resource.id,
        Type=resource.type,
        OwnerGroup=resource.group.name,
        OwnerNode=resource.group.owner.name,
        State=resource.state,
        StatusInformation=LOCKED if resource.locked else 0,
        CoreResource=resource.core,
        IsClusterSharedVolume=resource.shared_volume,
        LastOperationStatusCode=0,
        PersistentState=resource.state == RESOURCE_ONLINE,
        PrivateProperties=bag,
        ResourceClass=1 if resource.type == "Physical Disk" else 32768,
        ResourceSpecificData1=0,
        ResourceSpecificData2=0,
        RestartAction=2,
        SeparateMonitor=False,
        Flags=0,
        Characteristics=0,
    )


def resources(scene: Scene) -> Iterator[Instance]:
    """MSCluster_Resource: two per virtual machine, one per shared volume, three of the cluster's core."""
    for _, members in roles(_cluster(scene)):
        for resource in members:
            yield _resource(resource, scene.windows.release)


def shared_volumes(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ClusterSharedVolume. That Name is the folder under ClusterStorage: [mem]."""
    for volume in _cluster(scene).shared_volumes:
        yield instance(
            "MSCluster_ClusterSharedVolume",
            scene.windows.release,
            Name=volume.path,
            Caption=volume.path,
            VolumeName=f"\\\\?\\Volume{{{volume.guid}}}\\",
            VolumeOffset=0,
            FaultState=volume.fault,
            BackupState=int(volume.backing_up),
            Flags=0,
            Characteristics=0,
        )


def disk_partitions(scene: Scene) -> Iterator[Instance]:
    """MSCluster_DiskPartition of the shared volumes; sizes in MB."""
    for volume in _cluster(scene).shared_volumes:
        yield instance(
            "MSCluster_DiskPartition",
            scene.windows.release,
            Name=volume.path,
            Path=_partition_path(volume),
            VolumeLabel=volume.name,
            VolumeGuid=volume.guid,
            FileSystem="CSVFS" if scene.windows.release.at_least("2012") else "NTFS",
            MountPoints=(volume.path,),
            PartitionNumber=1,
            SerialNumber=int(volume.guid[:8], 16),
            TotalSize=volume.size_mb,
            FreeSpace=volume.free_mb,
            MaximumComponentLength=255,
        )


def _partition_path(volume: SharedVolume) -> str:
    return f"\\\\?\\Volume{{{volume.guid}}}"


def _link(cls: str, release: Release, whole: tuple[str, str], part: tuple[str, str], key: str = "Name") -> Instance:
    return instance(
        cls,
        release,
        GroupComponent=Reference(NAMESPACE, whole[0], {"Name": whole[1]}),
        PartComponent=Reference(NAMESPACE, part[0], {key: part[1]}),
    )


def resource_types(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ResourceType: those that the practice clusters use.

    MoveTypeThreshold is a private property of the type "Virtual Machine" [doc: Get-ClusterResourceType in Microsoft's
    articles on updating]; that it came with 2012, and its default of 2000: [mem].
    """
    cluster, release = _cluster(scene), scene.windows.release
    for name in ("IP Address", "Network Name", "Physical Disk", "Virtual Machine", "Virtual Machine Configuration"):
        held = release.at_least("2012") and name == "Virtual Machine"
        bag = {"MoveTypeThreshold": cluster.move_type_threshold}
        yield instance(
            "MSCluster_ResourceType",
            release,
            Name=name,
            Caption=name,
            DisplayName=name,
            DllName="vmclusres.dll" if name.startswith("Virtual") else "clusres.dll",
            PrivateProperties=Embedded(NAMESPACE, "MSCluster_Property", bag) if held else None,
        )


def possible_owners(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ResourceToPossibleOwner: every node, unless somebody limited them."""
    cluster = _cluster(scene)
    for _, members in roles(cluster):
        for resource in members:
            for node in cluster.nodes:
                if resource.possible_owners is None or node.name in resource.possible_owners:
                    whole, part = ("MSCluster_Resource", resource.name), ("MSCluster_Node", node.name)
                    yield _link("MSCluster_ResourceToPossibleOwner", scene.windows.release, whole, part)


def cluster_to_node(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ClusterToNode."""
    cluster = _cluster(scene)
    for node in cluster.nodes:
        yield instance(
            "MSCluster_ClusterToNode",
            scene.windows.release,
            Antecedent=Reference(NAMESPACE, "MSCluster_Cluster", {"Name": cluster.name}),
            Dependent=Reference(NAMESPACE, "MSCluster_Node", {"Name": node.name}),
        )


def node_to_group(scene: Scene) -> Iterator[Instance]:
    """MSCluster_NodeToActiveGroup: which node owns which group; the only way to know it on 2008 R2."""
    for group, _ in roles(_cluster(scene)):
        node, role = ("MSCluster_Node", group.owner.name), ("MSCluster_ResourceGroup", group.name)
        yield _link("MSCluster_NodeToActiveGroup", scene.windows.release, node, role)


def node_to_resource(scene: Scene) -> Iterator[Instance]:
    """MSCluster_NodeToActiveResource."""
    for group, members in roles(_cluster(scene)):
        for resource in members:
            node, part = ("MSCluster_Node", group.owner.name), ("MSCluster_Resource", resource.name)
            yield _link("MSCluster_NodeToActiveResource", scene.windows.release, node, part)


def group_to_resource(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ResourceGroupToResource."""
    for group, members in roles(_cluster(scene)):
        for resource in members:
            role, part = ("MSCluster_ResourceGroup", group.name), ("MSCluster_Resource", resource.name)
            yield _link("MSCluster_ResourceGroupToResource", scene.windows.release, role, part)


def _volume_links(cls: str, part: str, key: str) -> View:
    def view(scene: Scene) -> Iterator[Instance]:
        for volume in _cluster(scene).shared_volumes:
            name = {
                "MSCluster_Node": volume.owner.name,
                "MSCluster_Resource": volume.resource,
                "MSCluster_DiskPartition": _partition_path(volume),
            }[part]
            whole = ("MSCluster_ClusterSharedVolume", volume.path)
            yield _link(cls, scene.windows.release, whole, (part, name), key)

    return view


VIEWS: dict[str, View] = {
    "MSCluster_Cluster": clusters,
    "MSCluster_Node": nodes,
    "MSCluster_ResourceGroup": groups,
    "MSCluster_Resource": resources,
    "MSCluster_ResourceType": resource_types,
    "MSCluster_ResourceToPossibleOwner": possible_owners,
    "MSCluster_ClusterSharedVolume": shared_volumes,
    "MSCluster_DiskPartition": disk_partitions,
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

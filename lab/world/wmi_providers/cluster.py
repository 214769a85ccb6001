"""root/MSCluster: cluster, nodes, groups and resources, the same from every node that is up.

Value meanings: the archived ClusWmi and clusapi pages [doc]. PrivateProperties: no capture exists; here an embedded
MSCluster_Property whose properties are the resource's private property names, as `$resource.PrivateProperties.VmId`
is written in scripts [mem].
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.windows.machine_protocol import Embedded, Instance
from lab.world.class_availability import instance
from lab.world.os_releases import Release
from lab.world.roles import GROUP_ONLINE, RESOURCE_ONLINE, Group, Resource, roles
from lab.world.wmi_providers import Scene, View, cluster_links
from lab.world.wmi_providers.cluster_links import NAMESPACE, cluster_of, partition_path

_DRAIN_FLAGS = {0: 0, 1: 4, 2: 8, 3: 16}  # of a node's StatusInformation, by NodeDrainStatus (clusapi, 2016+) [doc]
QUEUED = 4  # WAITING_IN_QUEUE_FOR_MOVE of groups (clusapi) [doc]
LOCKED = 1  # LOCKED_MODE, bit 0 of StatusInformation of groups and resources (clusapi) [doc]


def clusters(scene: Scene) -> Iterator[Instance]:
    """MSCluster_Cluster: exactly one."""
    cluster = cluster_of(scene)
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
        ClusterEnforcedAntiAffinity=0,
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
    for node in cluster_of(scene).nodes:
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
        StatusInformation=LOCKED * group.locked + QUEUED * group.queued,
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
    for group, _ in roles(cluster_of(scene)):
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
    for _, members in roles(cluster_of(scene), scene.now):
        for resource in members:
            yield _resource(resource, scene.windows.release)


def shared_volumes(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ClusterSharedVolume. That Name is the folder under ClusterStorage: [mem]."""
    for volume in cluster_of(scene).shared_volumes:
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
    for volume in cluster_of(scene).shared_volumes:
        yield instance(
            "MSCluster_DiskPartition",
            scene.windows.release,
            Name=volume.path,
            Path=partition_path(volume),
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


def resource_types(scene: Scene) -> Iterator[Instance]:
    """MSCluster_ResourceType: those that the practice clusters use.

    MoveTypeThreshold is a private property of the type "Virtual Machine" [doc: Get-ClusterResourceType in Microsoft's
    articles on updating]; that it came with 2012, and its default of 2000: [mem].
    """
    cluster, release = cluster_of(scene), scene.windows.release
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


VIEWS: dict[str, View] = {
    "MSCluster_Cluster": clusters,
    "MSCluster_Node": nodes,
    "MSCluster_ResourceGroup": groups,
    "MSCluster_Resource": resources,
    "MSCluster_ResourceType": resource_types,
    "MSCluster_ClusterSharedVolume": shared_volumes,
    "MSCluster_DiskPartition": disk_partitions,
} | cluster_links.VIEWS

"""Which documented classes and properties there are only from some Windows version on, or until one.

The WS-Management server knows all properties of a class and answers NULL for those that an instance leaves out. What came
with a later Windows than the machine's must not be filled. First versions: the class pages' own "not supported before"
notes [doc].
"""

from __future__ import annotations

from functools import cache

from lab.windows.machine_protocol import Wmi
from lab.world.os_releases import ORDER, Release

_SINCE = {
    "MSCluster_Cluster": {
        "2012": (
            "ClusterEnforcedAntiAffinity DynamicQuorumEnabled Fqdn MinimumNeverPreemptPriority "
            "MinimumPreemptorPriority PreventQuorum QuorumTypeValue RecentEventsResetTime RouteHistoryLength "
            "SharedVolumeSecurityDescriptor SharedVolumeVssWriterOperationTimeout"
        ),
        "2012R2": (
            "AdminAccessPoint CsvBalancer DatabaseReadWriteMode DrainOnShutdown MessageBufferLength "
            "NetftIPSecEnabled WitnessDynamicWeight"
        ),
        "2016": (
            "AutoAssignedNodeSite AutoBalancerLevel AutoBalancerMode ClusterFunctionalLevel ClusterUpgradeVersion "
            "CrossSiteDelay CrossSiteThreshold DumpPolicy GracePeriodEnabled GracePeriodTimeout "
            "GroupDependencyTimeout PlacementOptions PreferredSite QuarantineDuration QuarantineThreshold "
            "ResiliencyDefaultPeriod ResiliencyLevel S2DBusTypes S2DCacheBehavior S2DCacheDesiredState "
            "S2DCacheDeviceModel S2DCacheFlashReservePercent S2DCacheMetadataReserveBytes S2DCachePageSizeKBytes "
            "S2DEnabled S2DIOLatencyThreshold S2DOptimizations UseClientAccessNetworksForSharedVolumes"
        ),
    },
    "MSCluster_Node": {
        "2012": "DynamicWeight Id NeedsPreventQuorum NodeDrainStatus NodeDrainTarget NodeWeight",
        "2016": "FaultDomain FaultDomainId StatusInformation",
    },
    "MSCluster_ResourceGroup": {
        "2012": "Id IsCore OwnerNode StatusInformation",
        "2016": "CCFEpoch ColdStartSetting PreferredSite ResiliencyPeriod",
    },
    "MSCluster_Resource": {
        "2012": (
            "EmbeddedFailureAction Id LastOperationStatusCode OwnerGroup OwnerNode RequiredDependencyClasses "
            "RequiredDependencyTypes ResourceSpecificData1 ResourceSpecificData2 StatusInformation"
        ),
    },
    "Win32_Service": {
        "2016": "DelayedAutoStart",
    },
}

# First version, and the first without it any more: the class pages [doc]; RemoteFX was removed in April 2021 [doc].
_CLASSES = {
    "Msvm_GpuPartitionSettingData": ("2016", ""),
    "Msvm_PartitionableGpu": ("2016", ""),
    "Msvm_PciExpressSettingData": ("2016", ""),
    "Msvm_ReplicationRelationship": ("2012R2", ""),
    "Msvm_SecuritySettingData": ("2016", ""),
    "Msvm_Synthetic3DDisplayControllerSettingData": ("2012", "2022"),
}


def lacks(cls: str, release_key: str) -> bool:
    """Whether that release does not have the class at all."""
    since, until = _CLASSES.get(cls, ("", ""))
    age = ORDER.index(release_key)
    return (bool(since) and age < ORDER.index(since)) or (bool(until) and age >= ORDER.index(until))


@cache
def absent(cls: str, release_key: str) -> frozenset[str]:
    """The documented properties that the class does not yet have on that release."""
    age = ORDER.index(release_key)
    later = (names for since, names in _SINCE.get(cls, {}).items() if ORDER.index(since) > age)
    return frozenset(name for names in later for name in names.split())


def instance(cls: str, release: Release, /, **filled: Wmi) -> dict[str, Wmi]:
    """An instance with these properties, but for those that the class does not have on that release."""
    missing = absent(cls, release.key)
    return {name: value for name, value in filled.items() if name not in missing} if missing else filled

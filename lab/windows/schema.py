"""The WMI classes there are: base class, properties with types, methods, keys.

`schema.json` holds facts of the class pages that Microsoft publishes (repository MicrosoftDocs/win32, desktop-src and, for
the cluster, storage and registry providers, its archived pages) [doc]: about 1,200 classes of root/cimv2,
root/virtualization/v2, root/MSCluster, root/default, root/Microsoft/Windows/Storage and two of ClusterUpdate beside it. Compact: a list of types, and per
class [base, "Property:index of its type …" without what it inherits, "methods"]. `__NAMESPACE`, which no page lists, and
base classes that are only named were added. root/virtualization (Hyper-V of 2008 R2) has no pages left: it is answered with
the classes of root/virtualization/v2, and with the few properties that only it had.

The pages mark wrong keys for Hyper-V, so keys are ours: those that real selectors and references show [cap], else the
pages' own [doc].
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

NAMESPACES = {
    "root/cimv2": "root/cimv2",
    "root/virtualization/v2": "root/virtualization/v2",
    "root/virtualization": "root/virtualization",
    "root/mscluster": "root/MSCluster",
    "root/default": "root/default",
    "root/microsoft/windows/storage": "root/Microsoft/Windows/Storage",
    "root/microsoft/windows/clusterupdate": "root/Microsoft/Windows/ClusterUpdate",
}

_KEYS = {
    "root/cimv2": {
        "CIM_ComputerSystem": "Name",
        "CIM_DataFile": "Name",
        "CIM_Directory": "Name",
        "CIM_DiskDrive": "DeviceID",
        "CIM_LogicalDisk": "DeviceID",
        "CIM_NetworkAdapter": "DeviceID",
        "CIM_OperatingSystem": "Name",
        "CIM_Process": "Handle",
        "CIM_Processor": "DeviceID",
        "CIM_Product": "IdentifyingNumber Name Version",
        "CIM_Service": "Name",
        "CIM_StorageVolume": "DeviceID",
        "CIM_SystemDriver": "Name",
        "Win32_BIOS": "Name SoftwareElementID SoftwareElementState TargetOperatingSystem Version",
        "Win32_NetworkAdapterConfiguration": "Index",
        "Win32_NTEventlogFile": "Name",
        "Win32_NTLogEvent": "Logfile RecordNumber",
        "Win32_PingStatus": (
            "Address BufferSize NoFragmentation RecordRoute ResolveAddressNames SourceRoute SourceRouteType "
            "Timeout TimeStampRoute TimeToLive TypeofService"
        ),
        "Win32_PnPSignedDriver": "DeviceID",
        "Win32_QuickFixEngineering": "HotFixID ServicePackInEffect",
        "Win32_Service": "Name",
        "Win32_ShadowCopy": "ID",
        "Win32_ShadowProvider": "ID",
        "Win32_ShadowStorage": "DiffVolume Volume",
        "Win32_TimeZone": "StandardName",
    },
    "root/virtualization/v2": {
        "CIM_ConcreteJob": "InstanceID",
        "CIM_LogicalDevice": "CreationClassName DeviceID SystemCreationClassName SystemName",
        "CIM_Service": "CreationClassName Name SystemCreationClassName SystemName",
        "CIM_ServiceAccessPoint": "CreationClassName Name SystemCreationClassName SystemName",
        "CIM_SettingData": "InstanceID",
        "CIM_System": "CreationClassName Name",
    },
    "root/mscluster": {"MSCluster_DiskPartition": "Path"},
    "root/microsoft/windows/storage": {},
    "root/microsoft/windows/clusterupdate": {"MSFT_CAUNode": "OrchestratorGuid", "MSFT_CAURun": "OrchestratorGuid"},
    "root/default": {},
}
# Tried in this order where the table is silent.
_USUAL_KEYS = {
    "root/cimv2": ("DeviceID", "Name", "ID"),
    "root/virtualization/v2": ("InstanceID", "DeviceID", "Name"),
    "root/mscluster": ("Name", "Id"),
    "root/microsoft/windows/storage": ("ObjectId", "InstanceID"),
    "root/microsoft/windows/clusterupdate": (),
    "root/default": (),
}
# Classes whose Get needs no selectors: the Singleton qualifier on their pages [doc].
_SINGLETONS = frozenset(
    name.lower()
    for name in (
        "Win32_OperatingSystem",
        "Win32_WMISetting",
        "Win32_LocalTime",
        "Win32_UTCTime",
        "MSCluster_ClusterUtilities",
        "Msvm_ServicingSettings",
        "StdRegProv",
    )
)


# What Msvm_VirtualSystemSettingData had in root/virtualization alone (the archived pages' text) [doc].
_ONLY_IN_V1 = {"Msvm_VirtualSystemSettingData": (("SettingType", "uint16"), ("SystemName", "string"))}
# What instances have though no page lists it: Offset stands in published output of Get-Partition [seen].
_UNLISTED = {"MSFT_Partition": (("Offset", "uint64"),)}


@dataclass(frozen=True, slots=True)
class Property:
    """One property: `kind` is a CIM type such as "uint32", "ref" or "object"; `cls` the class of those two."""

    name: str
    kind: str
    array: bool
    cls: str = ""


@dataclass(frozen=True, slots=True)
class ClassDefinition:
    """One class with all it inherits. `properties` by lower-case name, in alphabetical order whatever the case."""

    namespace: str
    name: str
    ancestors: tuple[str, ...]  # nearest first
    properties: Mapping[str, Property]
    methods: Mapping[str, str]  # lower case -> as defined
    keys: tuple[str, ...]
    singleton: bool

    @property
    def association(self) -> bool:
        """Whether it ties instances together: it has at least two references."""
        return sum(each.kind == "ref" for each in self.properties.values()) > 1

    def without(self, names: frozenset[str]) -> ClassDefinition:
        """The class before it had these properties."""
        return replace(self, properties={key: each for key, each in self.properties.items() if each.name not in names})

    def is_a(self, cls: str) -> bool:
        """Whether this is the class or is derived from it."""
        wanted = cls.lower()
        return self.name.lower() == wanted or any(each.lower() == wanted for each in self.ancestors)


@cache
def _stored() -> Any:
    return json.loads(files("lab.windows").joinpath("schema.json").read_text("utf-8"))


def _classes_of(namespace: str) -> str:
    """The key in schema.json of a namespace in any case."""
    lower = namespace.lower()
    return "root/virtualization/v2" if lower == "root/virtualization" else lower


@cache
def _names(namespace: str) -> dict[str, str]:
    return {name.lower(): name for name in _stored()["namespaces"].get(namespace, ())}


@cache
def _children(namespace: str) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {}
    for name, (base, _properties, _methods) in _stored()["namespaces"].get(namespace, {}).items():
        children.setdefault(base.lower(), []).append(name)
    return children


def find(namespace: str, cls: str) -> ClassDefinition | None:
    """The class, named in any case, or None."""
    name = _names(_classes_of(namespace)).get(cls.lower())
    return None if name is None else _define(namespace.lower(), name)


def derived(namespace: str, cls: str) -> tuple[ClassDefinition, ...]:
    """The class itself, if there is one, and every class derived from it, however far."""
    return _derived(namespace.lower(), cls.lower())


@cache
def _derived(namespace: str, cls: str) -> tuple[ClassDefinition, ...]:
    found: dict[str, ClassDefinition] = {}
    waiting = [cls]
    while waiting:
        definition = find(namespace, waiting.pop())
        if definition is not None and definition.name not in found:
            found[definition.name] = definition
            waiting += _children(_classes_of(namespace)).get(definition.name.lower(), [])
    return tuple(found.values())


def associations(namespace: str) -> tuple[ClassDefinition, ...]:
    """The association classes of a namespace."""
    return _associations(namespace.lower())


@cache
def _associations(namespace: str) -> tuple[ClassDefinition, ...]:
    every = (find(namespace, name) for name in _names(_classes_of(namespace)))
    return tuple(each for each in every if each is not None and each.association)


@cache
def _define(namespace: str, name: str) -> ClassDefinition:
    stored = _stored()["namespaces"][_classes_of(namespace)]
    chain = [name]
    while (base := _names(_classes_of(namespace)).get(stored[chain[-1]][0].lower())) and base not in chain:
        chain.append(base)
    properties: dict[str, Property] = {}
    methods: dict[str, str] = {}
    for each in reversed(chain):
        _base, listed, callable_names = stored[each]
        properties.update((one.name.lower(), one) for one in map(_property, listed.split()))
        methods.update((method.lower(), method) for method in callable_names.split())
    properties.update((each.lower(), Property(each, kind, False)) for each, kind in _UNLISTED.get(name, ()))
    if namespace == "root/virtualization":
        properties.update((each.lower(), Property(each, kind, False)) for each, kind in _ONLY_IN_V1.get(name, ()))
    return ClassDefinition(
        namespace=NAMESPACES.get(namespace, namespace),
        name=name,
        ancestors=tuple(chain[1:]),
        properties=dict(sorted(properties.items())),
        methods=methods,
        keys=_keys(_classes_of(namespace), chain, properties),
        singleton=name.lower() in _SINGLETONS,
    )


def _property(text: str) -> Property:
    name, _colon, index = text.rpartition(":")
    kind: str = _stored()["types"][int(index)]
    array = kind.endswith("[]")
    plain, _space, cls = kind.removesuffix("[]").partition(" ")
    return Property(name, plain, array, cls)


def _keys(namespace: str, chain: list[str], properties: Mapping[str, Property]) -> tuple[str, ...]:
    table = _KEYS[namespace]
    for each in chain:
        if each in table:
            return tuple(table[each].split())
    references = tuple(each.name for each in properties.values() if each.kind == "ref")
    if len(references) > 1:  # an association; a class with one reference has keys of its own
        return references
    for usual in _USUAL_KEYS[namespace]:
        if usual.lower() in properties:
            return (properties[usual.lower()].name,)
    return ()

"""A scripted cluster "prod": what it answers while all is well, in rows, with what is wrong as arguments.

There is one, in two sizes: `LARGE` has six nodes of eleven guests each, `SMALL` has three nodes, and three guests on hv03.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.api.facts import Unknown
from commands.sources.event_log import KNOWN_EVENTS

Row = dict[str, Any]
Script = dict[tuple[str, str], Any]
GIB, GIB_IN_KB, GIB_IN_MB = 2**30, 2**20, 2**10
_HYPER_V = ("ComputerSystem", "KvpExchangeComponent", "VirtualSystemSettingData")  # asked of hosts outside, too
SINCE_2016 = ("Msvm_PciExpressSettingData", "Msvm_GpuPartitionSettingData", "Msvm_SecuritySettingData")
SERVER = "Windows Server 2012 R2 Datacenter"
INSTANCE = "2fa6f9ba-b613-4740-9bf3-e01eb4320a01"
WRITERS = {
    "Microsoft Hyper-V VSS Writer": "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de",
    "System Writer": "e8132975-6f93-4464-a53e-1050253ae220",
    "SqlServerWriter": "a65faa63-5ea8-4ebc-9dbd-a0c4db26912a",
    "Cluster Database": "41e12264-35d8-479b-8e5c-9b23d1dad37e",
    "Registry Writer": "afbab4a2-367d-4d15-a586-71dbb18f8485",
    "NTDS": "b2014c9e-8711-4c5c-a5a9-3cf384484757",
    "WMI Writer": "a6ad56c2-b509-4e6c-bb19-49d8f43532f0",
    "Task Scheduler Writer": "d61d61c8-d73a-4eee-8cdd-f6f9786b7124",
}


@dataclass(frozen=True)
class Guest:
    """A virtual machine, its role's name, and the number that its ids are made of."""

    name: str
    number: int
    role: str

    @property
    def vm_id(self) -> str:
        return vm_id(self.number)


def vm_id(number: int) -> str:
    return f"{number:08X}-0000-4000-8000-000000000000"


PROVIDERS = {known.event_id: known.provider for known in KNOWN_EVENTS}


def event(event_id: int, at: str, **data: str) -> Row:
    return {"event_id": str(event_id), "record_id": "1", "at": at, "provider": PROVIDERS[event_id], "data": data}


def writer_row(name: str, state: int = 1, error: str = "No error", instance: str = INSTANCE) -> Row:
    return {
        "name": name,
        "writer_id": WRITERS[name],
        "instance_id": instance,
        "state": str(state),
        "state_text": "",
        "error_text": error,
    }


def writer_rows(*odd: Row, error: str = "No error") -> list[Row]:
    """All writers, stable but for those given."""
    others = {one["name"]: one for one in odd}
    return [others.get(name) or writer_row(name, error=error) for name in WRITERS]


def sample(name: str, at: str, state: int, error: str, backup: str = "no") -> Row:
    """What an earlier `/check-writers` left in the ledger."""
    return {
        "at": at,
        "writer_id": WRITERS[name].upper(),
        "instance_id": INSTANCE.upper(),
        "name": name,
        "state": state,
        "error": error,
        "backup": backup,
    }


def kvp(name: str, system: str = SERVER, fqdn: str | None = None) -> tuple[str, ...]:
    """What a guest's integration services tell its host."""
    items = {"FullyQualifiedDomainName": f"{name}.corp.example" if fqdn is None else fqdn, "OSName": system}
    return tuple(
        f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Data" TYPE="string"><VALUE>{data}</VALUE>'
        f'</PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>{key}</VALUE></PROPERTY></INSTANCE>'
        for key, data in items.items()
    )


def volume(letter: str, free: int, capacity: int = 80 * GIB, **over: str | None) -> Row:
    name = f"{letter}\\" if letter else "\\\\?\\Volume{11111111-2222-3333-4444-555555555555}\\"
    row = {
        "Name": name,
        "DriveLetter": letter or None,
        "Label": "",
        "FileSystem": "NTFS",
        "Capacity": str(capacity),
        "FreeSpace": str(free),
    }
    return row | over


def job(number: int = 48211, status: str = "Pending", client: str = "hv03", **over: Any) -> Row:
    """A job of CommVault."""
    return {
        "job": number,
        "status": status,
        "kind": "Backup",
        "client": client,
        "reason": "Volume Shadow Copy Service (VSS) error.",
        "reason_code": "91:9",
        "started": "2026-11-22T20:00:00Z",
        "changed": "2026-11-22T22:14:00Z",
    } | over


def node_row(name: str, state: int = 0, drain: int = 0, build: int = 9600, votes: int = 1) -> Row:
    return {
        "Name": name,
        "State": str(state),
        "BuildNumber": str(build),
        "NodeDrainStatus": str(drain),
        "NodeWeight": "1",
        "DynamicWeight": str(votes),
    }


class ScriptedCluster:
    """The rows of one size. Guests are chosen by name, or as the first so many of hv03."""

    event, writer_row, writer_rows, sample = map(staticmethod, (event, writer_row, writer_rows, sample))
    kvp, volume, job, node_row = map(staticmethod, (kvp, volume, job, node_row))

    def __init__(self, guests: Mapping[str, Sequence[Guest]]) -> None:
        self.guests = guests
        self.nodes = tuple(guests)
        self.names = {guest.name: guest for own in guests.values() for guest in own}

    def vm_id(self, guest: str | int) -> str:
        return vm_id(guest) if isinstance(guest, int) else self.names[guest].vm_id

    def role_rows(
        self, owner: str = "", locked: int | Iterable[str] = (), priority: int = 2000, node: str = "hv03"
    ) -> list[Row]:
        """The roles, the cluster's own first; all of one owner where it is named."""
        core = {"Name": "Cluster Group", "OwnerNode": "hv01", "GroupType": "1"}
        held = self._chosen(locked, node)
        return [core | {"StatusInformation": "0", "Priority": "3000"}] + [
            {
                "Name": guest.role,
                "OwnerNode": owner or on,
                "GroupType": "111",
                "StatusInformation": "1" if guest.name in held else "0",
                "Priority": str(priority),
            }
            for on, guest in self._everywhere()
        ]

    def resource_rows(
        self, owner: str = "", locked: int | Iterable[str] = (), node: str = "hv03", *, private: bool = True
    ) -> list[Row]:
        """The resources of the roles; `private`: whether WMI writes their private properties."""
        held = self._chosen(locked, node)
        return [
            {
                "Name": f"Virtual Machine {guest.name}",
                "Id": f"res-{guest.number}",
                "Type": "Virtual Machine",
                "OwnerGroup": guest.role,
                "OwnerNode": owner or on,
                "StatusInformation": "1" if guest.name in held else "0",
                "PrivateProperties": _private(guest) if private else None,
            }
            for on, guest in self._everywhere()
        ] + [
            {
                "Name": "Cluster Disk Q",
                "Id": "res-q",
                "Type": "Physical Disk",
                "State": "2",
                "CoreResource": "true",
                "OwnerGroup": "Cluster Group",
                "OwnerNode": "hv01",
                "StatusInformation": "0",
            }
        ]

    def owner_rows(self, **only: tuple[str, ...]) -> list[Row]:
        """Who may own what; keyword arguments limit a guest (with _ for -) to some nodes."""
        limits = {name.replace("_", "-"): nodes for name, nodes in only.items()}
        return [
            {
                "GroupComponent": {"__CLASS": "MSCluster_Resource", "Name": f"Virtual Machine {guest.name}"},
                "PartComponent": {"__CLASS": "MSCluster_Node", "Name": node.upper()},
            }
            for _, guest in self._everywhere()
            for node in limits.get(guest.name, self.nodes)
        ]

    def memory_rows(self, megabytes: int = 8 * GIB_IN_MB, node: str = "hv03") -> list[Row]:
        """What each guest of a node holds."""
        return [{"Name": one.vm_id, "MemoryUsage": str(megabytes)} for one in self.guests[node]]

    def guest_rows(
        self,
        node: str = "hv03",
        busy: int | Iterable[str] = (),
        extra: Iterable[str] = (),
        count: int | None = None,
    ) -> list[Row]:
        """A host's own row, and its guests, the first `count` of them; `extra` are in no role of the cluster."""
        saved = self._chosen(busy, node)
        rows: list[Row] = [
            {"Name": node.upper(), "ElementName": node.upper(), "EnabledState": "2", "OperationalStatus": "2"}
        ]
        rows += [
            {
                "Name": guest.vm_id,
                "ElementName": guest.name,
                "EnabledState": "2",
                "OperationalStatus": ("2", "32776") if guest.name in saved else "2",
                "HealthState": "5",
            }
            for guest in self.guests[node][:count]
        ]
        return rows + [
            {
                "Name": f"FFFFFFF{at}-0000-4000-8000-000000000000",
                "ElementName": one,
                "EnabledState": "2",
                "OperationalStatus": "2",
                "HealthState": "5",
            }
            for at, one in enumerate(extra)
        ]

    def cluster(self, locked: int | Iterable[str] = (), **over: Mapping[str, Any]) -> Script:
        """All that is asked without looking into guests; keyword arguments replace a target's answers.

        `cluster(hv03={"MSCluster_Node": rows})`, with _ for -.
        """
        script: Script = {
            ("prod", "MSCluster_Node"): [node_row(one) for one in self.nodes],
            ("prod", "MSCluster_ResourceGroup"): self.role_rows(locked=locked),
            ("prod", "MSCluster_Resource"): self.resource_rows(locked=locked),
            ("prod", "MSCluster_ClusterSharedVolume"): [{"Name": "Volume1", "BackupState": "0", "FaultState": "0"}],
            ("prod", "MSCluster_Cluster"): [{"Name": "prod", "BackupInProgress": "0", "QuorumTypeValue": "3"}],
            ("prod", "MSCluster_ResourceType"): [
                {"Name": "Virtual Machine", "PrivateProperties": {"MoveTypeThreshold": "2000"}}
            ],
            ("prod", "MSCluster_ResourceToPossibleOwner"): self.owner_rows(),
            ("*", "Win32_OperatingSystem"): [{"FreePhysicalMemory": str(16 * GIB_IN_KB), "BuildNumber": "9600"}],
            ("*", "MSCluster_Resource"): Unknown("*", "absent", "there is no such namespace."),
            ("*", "MSFT_StorageJob"): [],
            ("*", "MSFT_VirtualDisk"): [],
            ("*", "Msvm_ResourceAllocationSettingData"): [],
            ("*", "Msvm_StorageAllocationSettingData"): [],
            ("*", "Msvm_Synthetic3DDisplayControllerSettingData"): [],
            **{("*", cls): Unknown("hv03", "absent", "it has no such class.") for cls in SINCE_2016},
            ("*", "MSFT_CAURun"): [],
            ("*", "vssadmin list writers"): writer_rows(),
            ("*", "wevtutil query events Microsoft-Windows-Hyper-V-VMMS-Admin"): [],
            ("*", "wevtutil query events System"): [],
            ("*", "wevtutil query events Application"): [],
            ("*", "Win32_ShadowCopy"): [],
            ("*", "Win32_Volume"): [],
            ("*", "Win32_ShadowStorage"): [],
            ("*", "Win32_DiskPartition"): [{"DiskIndex": "0", "Type": "Installable File System"}],
            ("*", "recall writer"): [],
            ("*", "changes prove-migration"): [],
        }
        for node in self.guests:
            script[node, "Msvm_ComputerSystem"] = self.guest_rows(node)
            script[node, "Msvm_SummaryInformation"] = self.memory_rows(node=node)
        return changed(script, over)

    def space(
        self,
        count: int | None = 2,
        locked: int | Iterable[str] = (),
        full: Iterable[str] = (),
        **over: Mapping[str, Any],
    ) -> Script:
        """`cluster`, each node with its first `count` guests, and their volumes: 40 GB free on C:, or nothing at all."""
        script, without_room = self.cluster(locked), set(full)
        for node, guests in self.guests.items():
            own = guests[:count]
            script |= {
                (node, "Msvm_ComputerSystem"): self.guest_rows(node, count=count),
                (node, "Msvm_KvpExchangeComponent"): [
                    {"SystemName": one.vm_id, "GuestIntrinsicExchangeItems": kvp(one.name)} for one in own
                ],
                (node, "Msvm_VirtualSystemSettingData"): [
                    {"VirtualSystemIdentifier": one.vm_id, "BIOSGUID": f"{{{one.vm_id}}}"} for one in own
                ],
            }
            for one in own:
                script[one.name, "Win32_Volume"] = [volume("C:", 0 if one.name in without_room else 40 * GIB)]
                script[one.name, "Parameters"] = [{"VirtualMachineId": one.vm_id}]
        return changed(script, over)

    def resettable(
        self, locked: int | Iterable[str] = (), full: Iterable[str] = (), **over: Mapping[str, Any]
    ) -> Script:
        """`space` of all guests, and a backup product without a job."""
        others = {("*", f"Msvm_{what}"): [] for what in _HYPER_V}
        script = self.space(None, locked, full) | others | {("commvault", "commvault active jobs"): []}
        return changed(script, over)

    def _everywhere(self) -> Iterable[tuple[str, Guest]]:
        return ((node, guest) for node, guests in self.guests.items() for guest in guests)

    def _chosen(self, which: int | Iterable[str], node: str) -> set[str]:
        return {one.name for one in self.guests[node][:which]} if isinstance(which, int) else set(which)


def _private(guest: Guest) -> Row:
    return {"__CLASS": "MSCluster_Property", "VmId": f"{{{guest.vm_id}}}"}


def changed(script: Script, over: Mapping[str, Mapping[str, Any]]) -> Script:
    """The script with other answers of some targets: `{"hv03": {"Win32_Volume": rows}}`; `_` in a name is read as `-`."""
    for target, answers in over.items():
        script |= {(target.replace("_", "-"), what): rows for what, rows in answers.items()}
    return script


def _many(node: str) -> tuple[Guest, ...]:
    """Eleven guests: numbers 300 to 310 on hv03, the first and the second of which have other names."""
    first = int(node[-2:]) * 100
    names = {300: "test-tfs-01"}
    made = ((names.get(number, f"vm-{number}"), number) for number in range(first, first + 11))
    return tuple(Guest(name, number, f"SCVMM {name} Resources" if number == 301 else name) for name, number in made)


LARGE = ScriptedCluster({node: _many(node) for node in ("hv01", "hv02", "hv03", "hv04", "hv05", "hv06")})
SMALL = ScriptedCluster(
    {
        "hv01": (),
        "hv02": (),
        "hv03": (
            Guest("test-tfs-01", 1, "test-tfs-01"),
            Guest("crm-02", 2, "SCVMM crm-02 Resources"),
            Guest("sql-07", 3, "sql-07"),
        ),
    }
)

"""A scripted cluster: six nodes, eleven guests each, and what is wrong with it as arguments."""

from __future__ import annotations

from typing import Any

import pytest

WRITERS = {
    "Microsoft Hyper-V VSS Writer": "{66841cd4-6ded-4f4b-8f17-fd23f8ddc3de}",
    "System Writer": "{e8132975-6f93-4464-a53e-1050253ae220}",
    "SqlServerWriter": "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}",
    "Cluster Database": "{41e12264-35d8-479b-8e5c-9b23d1dad37e}",
    "Registry Writer": "{afbab4a2-367d-4d15-a586-71dbb18f8485}",
}
NODES = ("hv01", "hv02", "hv03", "hv04", "hv05", "hv06")
INSTANCE = "{2fa6f9ba-b613-4740-9bf3-e01eb4320a01}"


def writer(name: str, state: int = 1, error: str = "No error", instance: str = INSTANCE) -> dict[str, str]:
    return {
        "name": name,
        "writer_id": WRITERS[name],
        "instance_id": instance,
        "state": str(state),
        "state_text": "",
        "error_text": error,
    }


def writers(*odd: dict[str, str], error: str = "No error") -> list[dict[str, str]]:
    """All writers, stable but for those given."""
    others = {one["name"]: one for one in odd}
    return [others.get(name) or writer(name, error=error) for name in WRITERS]


def vm_id(number: int) -> str:
    return f"{number:08X}-0000-4000-8000-000000000000"


def vm_name(number: int) -> str:
    return "test-tfs-01" if number == 300 else f"vm-{number}"


def guests(node: str, busy: int = 0, count: int = 11) -> list[dict[str, Any]]:
    """The host's own row, and its guests: numbers 300 to 310 on hv03."""
    first = int(node[-2:]) * 100
    return [{"Name": node.upper(), "ElementName": node.upper(), "EnabledState": "2", "OperationalStatus": "2"}] + [
        {
            "Name": vm_id(number),
            "ElementName": vm_name(number),
            "EnabledState": "2",
            "OperationalStatus": ("2", "32776") if number < first + busy else "2",
        }
        for number in range(first, first + count)
    ]


def groups(locked: int = 0, node: str = "hv03") -> list[dict[str, Any]]:
    rows = []
    for one in NODES:
        first = int(one[-2:]) * 100
        rows += [
            {
                "Name": f"SCVMM {vm_name(number)} Resources" if number == 301 else vm_name(number),
                "OwnerNode": one.upper(),
                "GroupType": "111",
                "StatusInformation": "1" if one == node and number < first + locked else "0",
            }
            for number in range(first, first + 11)
        ]
    return rows


def resources(locked: int = 0, node: str = "hv03", *, private: bool = True) -> list[dict[str, Any]]:
    rows = []
    for group in groups(locked, node):
        number = 301 if "SCVMM" in group["Name"] else 300 if "tfs" in group["Name"] else int(group["Name"][3:])
        rows.append(
            {
                "Name": f"Virtual Machine {group['Name']}",
                "Id": f"res-{number}",
                "OwnerGroup": group["Name"],
                "OwnerNode": group["OwnerNode"],
                "StatusInformation": group["StatusInformation"],
                "PrivateProperties": {"VmID": f"{{{vm_id(number).lower()}}}"} if private else None,
            }
        )
    return rows


def event(event_id: int, at: str, **data: str) -> dict[str, Any]:
    return {"event_id": str(event_id), "record_id": "1", "at": at, "provider": "", "data": data}


def cluster(locked: int = 0, **over: Any) -> dict[tuple[str, str], Any]:
    """A healthy cluster prod; keyword arguments name a node and replace its answers: hv03={"subject": rows}."""
    script: dict[tuple[str, str], Any] = {
        ("prod", "MSCluster_Node"): [{"Name": one, "State": "0", "BuildNumber": "9600"} for one in NODES],
        ("prod", "MSCluster_ResourceGroup"): groups(locked),
        ("prod", "MSCluster_Resource"): resources(locked),
        ("prod", "MSCluster_ClusterSharedVolume"): [{"Name": "Volume1", "BackupState": "0", "FaultState": "0"}],
        ("prod", "MSCluster_Cluster"): [{"Name": "prod", "BackupInProgress": "0"}],
        ("*", "vssadmin list writers"): writers(),
        ("*", "wevtutil query events Microsoft-Windows-Hyper-V-VMMS-Admin"): [],
        ("*", "wevtutil query events System"): [],
        ("*", "wevtutil query events Application"): [],
        ("*", "Win32_ShadowCopy"): [],
        ("*", "Win32_Volume"): [],
        ("*", "recall writer"): [],
    }
    script |= {(node, "Msvm_ComputerSystem"): guests(node) for node in NODES}
    for node, answers in over.items():
        script |= {(node, what): rows for what, rows in answers.items()}
    return script


GIB = 2**30
SERVER = "Windows Server 2012 R2 Datacenter"


def kvp(name: str, system: str = SERVER, fqdn: str | None = None) -> tuple[str, ...]:
    items = {"FullyQualifiedDomainName": f"{name}.corp.example" if fqdn is None else fqdn, "OSName": system}
    return tuple(
        f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Data" TYPE="string"><VALUE>{data}</VALUE>'
        f'</PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>{key}</VALUE></PROPERTY></INSTANCE>'
        for key, data in items.items()
    )


def volume(letter: str, free: int, capacity: int = 80 * GIB, **over: str | None) -> dict[str, str | None]:
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


def space(count: int = 2, **over: Any) -> dict[tuple[str, str], Any]:
    """Six nodes with `count` guests each, all with 40 GB free on C:; keyword arguments replace answers of a target."""
    script = cluster()
    for node in NODES:
        own = guests(node, count=count)
        numbers = [int(row["Name"][:8], 16) for row in own[1:]]
        script |= {
            (node, "Msvm_ComputerSystem"): own,
            (node, "Msvm_KvpExchangeComponent"): [
                {"SystemName": vm_id(one), "GuestIntrinsicExchangeItems": kvp(vm_name(one))} for one in numbers
            ],
            (node, "Msvm_VirtualSystemSettingData"): [
                {"VirtualSystemIdentifier": vm_id(one), "BIOSGUID": f"{{{vm_id(one)}}}"} for one in numbers
            ],
        }
        for one in numbers:
            script[(vm_name(one), "Win32_Volume")] = [volume("C:", 40 * GIB)]
            script[(vm_name(one), "Parameters")] = [{"VirtualMachineId": vm_id(one)}]
    for target, answers in over.items():
        script |= {(target.replace("_", "-"), what): rows for what, rows in answers.items()}
    return script


@pytest.fixture
def make():
    """The builders above, by name."""

    class Make:
        pass

    for name in (
        "writer",
        "writers",
        "guests",
        "groups",
        "resources",
        "event",
        "cluster",
        "vm_id",
        "vm_name",
        "kvp",
        "volume",
        "space",
    ):
        setattr(Make, name, staticmethod(globals()[name]))
    return Make

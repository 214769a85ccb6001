"""A scripted cluster of three nodes; hv03 holds three guests, one of them in a role of another name."""

from __future__ import annotations

from typing import Any

import pytest

from bot.api.arguments import Target

NODES = ("hv01", "hv02", "hv03")
GUESTS = ("test-tfs-01", "crm-02", "sql-07")
ROLES = {"test-tfs-01": "test-tfs-01", "crm-02": "SCVMM crm-02 Resources", "sql-07": "sql-07"}
WRITERS = {
    "Microsoft Hyper-V VSS Writer": "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de",
    "System Writer": "e8132975-6f93-4464-a53e-1050253ae220",
    "SqlServerWriter": "a65faa63-5ea8-4ebc-9dbd-a0c4db26912a",
    "Cluster Database": "41e12264-35d8-479b-8e5c-9b23d1dad37e",
    "NTDS": "b2014c9e-8711-4c5c-a5a9-3cf384484757",
    "WMI Writer": "a6ad56c2-b509-4e6c-bb19-49d8f43532f0",
    "Task Scheduler Writer": "d61d61c8-d73a-4eee-8cdd-f6f9786b7124",
}
INSTANCE = "2fa6f9ba-b613-4740-9bf3-e01eb4320a01"
GIB, GIB_IN_KB, GIB_IN_MB = 2**30, 2**20, 2**10
Script = dict[tuple[str, str], Any]


def vm_id(name: str) -> str:
    return f"{GUESTS.index(name) + 1:08X}-0000-4000-8000-000000000000"


def node_row(name: str, state: int = 0, drain: int = 0, build: int = 9600, votes: int = 1) -> dict[str, str]:
    return {
        "Name": name,
        "State": str(state),
        "BuildNumber": str(build),
        "NodeDrainStatus": str(drain),
        "NodeWeight": "1",
        "DynamicWeight": str(votes),
    }


def role_rows(owner: str = "hv03", locked: tuple[str, ...] = (), priority: int = 2000) -> list[dict[str, str]]:
    core = {
        "Name": "Cluster Group",
        "OwnerNode": "hv01",
        "GroupType": "1",
        "StatusInformation": "0",
        "Priority": "3000",
    }
    return [core] + [
        {
            "Name": ROLES[one],
            "OwnerNode": owner,
            "GroupType": "111",
            "StatusInformation": "1" if one in locked else "0",
            "Priority": str(priority),
        }
        for one in GUESTS
    ]


def resource_rows(owner: str = "hv03", locked: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return [
        {
            "Name": f"Virtual Machine {one}",
            "Id": f"res-{one}",
            "OwnerGroup": ROLES[one],
            "OwnerNode": owner,
            "StatusInformation": "1" if one in locked else "0",
            "PrivateProperties": {"__CLASS": "MSCluster_Property", "VmId": f"{{{vm_id(one)}}}"},
        }
        for one in GUESTS
    ]


def owner_rows(**only: tuple[str, ...]) -> list[dict[str, Any]]:
    """Who may own what; keyword arguments limit a guest (with _ for -) to some nodes."""
    limits = {name.replace("_", "-"): nodes for name, nodes in only.items()}
    return [
        {
            "GroupComponent": {"__CLASS": "MSCluster_Resource", "Name": f"Virtual Machine {guest}"},
            "PartComponent": {"__CLASS": "MSCluster_Node", "Name": node.upper()},
        }
        for guest in GUESTS
        for node in limits.get(guest, NODES)
    ]


def guest_rows(host: str = "HV03", busy: tuple[str, ...] = (), extra: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    rows = [{"Name": host, "ElementName": host, "EnabledState": "2", "OperationalStatus": "2"}]
    rows += [
        {
            "Name": vm_id(one),
            "ElementName": one,
            "EnabledState": "2",
            "OperationalStatus": ("2", "32776") if one in busy else "2",
        }
        for one in GUESTS
    ]
    return rows + [
        {"Name": f"FFFFFFF{i}-0000-4000-8000-000000000000", "ElementName": one, "EnabledState": "2"}
        for i, one in enumerate(extra)
    ]


def writer_row(name: str, state: int = 1, error: str = "No error", instance: str = INSTANCE) -> dict[str, str]:
    return {
        "name": name,
        "writer_id": WRITERS[name],
        "instance_id": instance,
        "state": str(state),
        "state_text": "",
        "error_text": error,
    }


def writer_rows(*odd: dict[str, str]) -> list[dict[str, str]]:
    others = {one["name"]: one for one in odd}
    return [others.get(name) or writer_row(name) for name in WRITERS]


def sample(name: str, at: str, state: int, error: str, backup: str = "no") -> dict[str, Any]:
    """What an earlier `/check-writers` left in the ledger."""
    return {
        "at": at,
        "writer_id": WRITERS[name].upper(),
        "instance_id": INSTANCE.upper(),
        "state": state,
        "error": error,
        "backup": backup,
    }


def event(event_id: int, at: str, **data: str) -> dict[str, Any]:
    return {"event_id": str(event_id), "record_id": "1", "at": at, "provider": "", "data": data}


def cluster(locked: tuple[str, ...] = (), **over: Any) -> Script:
    """A healthy cluster prod; keyword arguments name a target and replace its answers: hv03={"subject": rows}."""
    script: Script = {
        ("prod", "MSCluster_Node"): [node_row(one) for one in NODES],
        ("prod", "MSCluster_ResourceGroup"): role_rows(locked=locked),
        ("prod", "MSCluster_Resource"): resource_rows(locked=locked),
        ("prod", "MSCluster_ClusterSharedVolume"): [{"Name": "Volume1", "BackupState": "0", "FaultState": "0"}],
        ("prod", "MSCluster_Cluster"): [{"Name": "prod", "BackupInProgress": "0", "QuorumTypeValue": "3"}],
        ("prod", "MSCluster_ResourceType"): [
            {"Name": "Virtual Machine", "PrivateProperties": {"MoveTypeThreshold": "2000"}}
        ],
        ("prod", "MSCluster_ResourceToPossibleOwner"): owner_rows(),
        ("*", "Msvm_ComputerSystem"): [],
        ("hv03", "Msvm_ComputerSystem"): guest_rows(),
        ("hv03", "Msvm_SummaryInformation"): [
            {"Name": vm_id(one), "MemoryUsage": str(8 * GIB_IN_MB)} for one in GUESTS
        ],
        ("*", "Win32_OperatingSystem"): [{"FreePhysicalMemory": str(16 * GIB_IN_KB), "BuildNumber": "9600"}],
        ("*", "MSFT_StorageJob"): [],
        ("*", "MSFT_CAURun"): [],
        ("*", "vssadmin list writers"): writer_rows(),
        ("*", "wevtutil query events Microsoft-Windows-Hyper-V-VMMS-Admin"): [],
        ("*", "wevtutil query events System"): [],
        ("*", "wevtutil query events Application"): [],
        ("*", "Win32_ShadowCopy"): [],
        ("*", "Win32_Volume"): [],
        ("*", "recall writer"): [],
    }
    for target, answers in over.items():
        script |= {(target, what): rows for what, rows in answers.items()}
    return script


def resettable(locked: tuple[str, ...] = (), full: tuple[str, ...] = (), **over: Any) -> Script:
    """`cluster`, its guests' volumes, and a backup product without a job."""
    script = cluster(locked)
    script |= {
        ("*", "Msvm_KvpExchangeComponent"): [],
        ("*", "Msvm_VirtualSystemSettingData"): [],
        ("hv03", "Msvm_KvpExchangeComponent"): [
            {"SystemName": vm_id(one), "GuestIntrinsicExchangeItems": kvp(one)} for one in GUESTS
        ],
        ("commvault", "commvault active jobs"): [],
    }
    for one in GUESTS:
        free = 0 if one in full else 40 * GIB
        volume = {"Name": "C:\\", "DriveLetter": "C:", "Capacity": str(80 * GIB), "FreeSpace": str(free)}
        script |= {(one, "Win32_Volume"): [volume], (one, "Parameters"): [{"VirtualMachineId": vm_id(one)}]}
    for target, answers in over.items():
        script |= {(target, what): rows for what, rows in answers.items()}
    return script


def kvp(name: str) -> tuple[str, ...]:
    items = {"FullyQualifiedDomainName": f"{name}.corp.example", "OSName": "Windows Server 2012 R2 Datacenter"}
    return tuple(
        f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Data" TYPE="string"><VALUE>{data}</VALUE>'
        f'</PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>{key}</VALUE></PROPERTY></INSTANCE>'
        for key, data in items.items()
    )


def job(number: int = 48211, status: str = "Pending", client: str = "hv03", **over: Any) -> dict[str, Any]:
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


@pytest.fixture
def make():
    """The builders above, by name."""

    class Make:
        pass

    for name, value in globals().items():
        if callable(value) and getattr(value, "__module__", "") == __name__ and name != "make":
            setattr(Make, name, staticmethod(value))
    return Make


@pytest.fixture
def hv03():
    return Target("hv03", "host", "prod")


@pytest.fixture
def alone():
    return Target("backup01", "host")


@pytest.fixture
def planned(scripted, hv03):
    """Ask and plan: `plan = await planned(COMMAND, script, writer=("VSS",))`; `planned.ask` is what was asked.

    Arguments by name are fields of the command's `Args` beside its target, which is hv03 where none is given.
    """

    async def run(command, script, target=None, silent=None, **options):
        args = command.args(target or hv03, **options)
        run.ask = scripted(script, silent)
        return command.plan(args, await command.collect(args, run.ask))

    return run

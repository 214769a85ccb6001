"""What stands in every Windows: services, VSS writers, volumes, updates.

Writer ids and names: Microsoft's page of in-box writers and published output of Hyper-V hosts [doc, cap].
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random

from lab.world.model import GIB, MIB, Service, SharedVolume, Update, Volume, Writer, identity
from lab.world.os_releases import RELEASES, Release

_SVCHOST = "C:\\Windows\\system32\\svchost.exe -k"
_NETWORK = "NT AUTHORITY\\NetworkService"
_LOCAL = "NT AUTHORITY\\LocalService"
# name, display name, path, start mode, state, account
_SERVICES = (
    ("BITS", "Background Intelligent Transfer Service", f"{_SVCHOST} netsvcs", "Manual", "Running", "LocalSystem"),
    ("CryptSvc", "Cryptographic Services", f"{_SVCHOST} NetworkService", "Auto", "Running", _NETWORK),
    ("EventLog", "Windows Event Log", f"{_SVCHOST} LocalServiceNetworkRestricted", "Auto", "Running", _LOCAL),
    ("EventSystem", "COM+ Event System", f"{_SVCHOST} LocalService", "Auto", "Running", _LOCAL),
    ("LanmanServer", "Server", f"{_SVCHOST} netsvcs", "Auto", "Running", "LocalSystem"),
    ("RpcSs", "Remote Procedure Call (RPC)", f"{_SVCHOST} rpcss", "Auto", "Running", _NETWORK),
    ("Schedule", "Task Scheduler", f"{_SVCHOST} netsvcs", "Auto", "Running", "LocalSystem"),
    ("Spooler", "Print Spooler", "C:\\Windows\\System32\\spoolsv.exe", "Disabled", "Stopped", "LocalSystem"),
    ("swprv", "Microsoft Software Shadow Copy Provider", f"{_SVCHOST} swprv", "Manual", "Stopped", "LocalSystem"),
    ("TrustedInstaller", "Windows Modules Installer", "C:\\Windows\\servicing\\TrustedInstaller.exe", "Manual", "Stopped", "LocalSystem"),
    ("VSS", "Volume Shadow Copy", "C:\\Windows\\system32\\vssvc.exe", "Manual", "Stopped", "LocalSystem"),
    ("W32Time", "Windows Time", f"{_SVCHOST} LocalService", "Auto", "Running", _LOCAL),
    ("Winmgmt", "Windows Management Instrumentation", f"{_SVCHOST} netsvcs", "Auto", "Running", "LocalSystem"),
    ("WinRM", "Windows Remote Management (WS-Management)", f"{_SVCHOST} NetworkService", "Auto", "Running", _NETWORK),
    ("wuauserv", "Windows Update", f"{_SVCHOST} netsvcs", "Manual", "Stopped", "LocalSystem"),
    ("SENS", "System Event Notification Service", f"{_SVCHOST} netsvcs", "Auto", "Running", "LocalSystem"),
)  # fmt: skip
_NODE_SERVICES = (
    ("ClusSvc", "Cluster Service", "C:\\Windows\\Cluster\\clussvc.exe -s", "Auto", "Running", "LocalSystem"),
    ("vmms", "Hyper-V Virtual Machine Management", "C:\\Windows\\system32\\vmms.exe", "Auto", "Running", "LocalSystem"),
)
_VMM = "C:\\Program Files\\Microsoft System Center\\Virtual Machine Manager\\bin"
_VMM_SERVICES = (  # VMMService is what Microsoft calls it [doc: KB3102955]; the rest [mem]
    ("VMMAgent", "System Center Virtual Machine Manager Agent", f"{_VMM}\\vmmAgent.exe", "Auto", "Running", "LocalSystem"),
    ("VMMService", "System Center Virtual Machine Manager", f"{_VMM}\\vmmservice.exe", "Auto", "Running", "LocalSystem"),
)  # fmt: skip
_GUEST_SERVICES = (
    ("vmicheartbeat", "Hyper-V Heartbeat Service", f"{_SVCHOST} ICService", "Manual", "Running", "LocalSystem"),
    ("vmickvpexchange", "Hyper-V Data Exchange Service", f"{_SVCHOST} LocalSystemNetworkRestricted", "Manual", "Running", "LocalSystem"),
    ("vmicvss", "Hyper-V Volume Shadow Copy Requestor", f"{_SVCHOST} LocalSystemNetworkRestricted", "Manual", "Running", "LocalSystem"),
)  # fmt: skip

# RPC takes no stop control in any Windows. The others do, but the practice world has nothing to say of a node without its
# event log or its way in, nor of one that left its cluster: nobody may restart those for a backup's sake.
_KEPT_RUNNING = frozenset({"ClusSvc", "EventLog", "RpcSs", "WinRM"})
_NEEDED_BY = {"Winmgmt": ("vmms",), "RpcSs": ("WinRM", "Winmgmt", "vmms"), "EventSystem": ("VSS", "SENS")}  # [mem]

_COMMON_WRITERS = (
    ("Task Scheduler Writer", "d61d61c8-d73a-4eee-8cdd-f6f9786b7124"),
    ("VSS Metadata Store Writer", "75dfb225-e2e4-4d39-9ac9-ffaff65ddf06"),
    ("Performance Counters Writer", "0bada1de-01a9-4625-8278-69e735f39dd2"),
    ("System Writer", "e8132975-6f93-4464-a53e-1050253ae220"),
    ("ASR Writer", "be000cbe-11fe-4426-9c58-531aa6355fc4"),
    ("Shadow Copy Optimization Writer", "4dc3bdd4-ab48-4d07-adb0-3bee2926fd7f"),
    ("Registry Writer", "afbab4a2-367d-4d15-a586-71dbb18f8485"),
    ("COM+ REGDB Writer", "542da469-d3e1-473c-9f4f-7847f01fc64f"),
    ("WMI Writer", "a6ad56c2-b509-4e6c-bb19-49d8f43532f0"),
    ("BITS Writer", "4969d978-be47-48b0-b100-f328f07ac1e0"),
)
_HYPER_V_WRITER = ("Microsoft Hyper-V VSS Writer", "66841cd4-6ded-4f4b-8f17-fd23f8ddc3de")
_CSV_WRITER = ("Cluster Shared Volume VSS Writer", "1072ae1c-e5a7-4ea1-9e4a-6f7964656570")
_CLUSTER_WRITER = ("Cluster Database", "41e12264-35d8-479b-8e5c-9b23d1dad37e")
_SQL_WRITER = ("SqlServerWriter", "a65faa63-5ea8-4ebc-9dbd-a0c4db26912a")

# The day of the newest update of each release's list.
_PATCHED = {
    "2008R2": datetime(2012, 2, 15, 3, 12, tzinfo=UTC),
    "2012": datetime(2023, 2, 15, 2, 40, tzinfo=UTC),
    "2012R2": datetime(2023, 2, 15, 2, 47, tzinfo=UTC),
    "2016": datetime(2023, 2, 15, 3, 5, tzinfo=UTC),
    "2019": datetime(2023, 2, 16, 1, 58, tzinfo=UTC),
    "2022": datetime(2023, 2, 16, 2, 21, tzinfo=UTC),
    "2025": datetime(2025, 1, 16, 1, 44, tzinfo=UTC),
}


def services(*, node: bool, vmm: bool = False) -> dict[str, Service]:
    """The services of a node, of a VMM server or of a guest, by lower-case name."""
    rows = _SERVICES + (_VMM_SERVICES if vmm else _NODE_SERVICES if node else _GUEST_SERVICES)
    return {
        name.casefold(): Service(
            name,
            display,
            path,
            state,
            start,
            account,
            pid=600 + 68 * number if state == "Running" else 0,
            stoppable=name not in _KEPT_RUNNING,
            needed_by=_NEEDED_BY.get(name, ()),
        )
        for number, (name, display, path, start, state, account) in enumerate(rows)
    }


def writers(owner: str, *, release: Release, node: bool, sql: bool = False) -> list[Writer]:
    """The complete writer set, in the order vssadmin happens to list it. The CSV writer came with 2012."""
    found = list(_COMMON_WRITERS)
    if node:
        found[4:4] = [_HYPER_V_WRITER, *([_CSV_WRITER] if release.at_least("2012") else []), _CLUSTER_WRITER]
    if sql:
        found.insert(4, _SQL_WRITER)
    return [Writer(name, writer_id, identity("writer", owner, name)) for name, writer_id in found]


def updates(release: Release) -> list[Update]:
    """The release's updates; the newest came on its patch day, the others some days before each other."""
    return list(_listed(release.key))


@cache
def _listed(key: str) -> tuple[Update, ...]:
    kbs, newest = RELEASES[key].updates, _PATCHED[key]
    return tuple(
        Update(kb, newest - timedelta(days=3 * ago), "Update" if ago % 3 == 0 else "Security Update")
        for ago, kb in reversed(list(enumerate(reversed(kbs))))
    )


def system_volumes(owner: str, draw: Random, *, uefi: bool, release: Release, size_gb: int) -> list[Volume]:
    """The volumes Windows set-up makes: EFI and recovery, or System Reserved, then C:."""
    small = 100 if release.key == "2008R2" else 350
    hidden = (
        [
            Volume(identity(owner, "recovery"), 499 * MIB, 480 * MIB // 3, label="Recovery", kind="recovery"),
            Volume(identity(owner, "efi"), 99 * MIB, 68 * MIB, file_system="FAT32", kind="efi"),
        ]
        if uefi
        else [
            Volume(
                identity(owner, "reserved"), small * MIB, small * MIB * 2 // 3, label="System Reserved",
                kind="system reserved",
            )
        ]
    )  # fmt: skip
    return [*hidden, data_volume(owner, draw, size_gb, letter="C")]


def data_volume(owner: str, draw: Random, size_gb: int, *, letter: str = "", mount: str = "", label: str = "", disk: int = 0) -> Volume:  # fmt: skip
    """A volume with a healthy 20 to 60 % free."""
    capacity = size_gb * GIB
    free = int(capacity * draw.uniform(0.2, 0.6)) // 4096 * 4096
    return Volume(identity(owner, letter or mount), capacity, free, letter=letter, mount=mount, label=label, disk=disk)


def shared_as_volume(shared: SharedVolume, number: int) -> Volume:
    """A Cluster Shared Volume as every node lists it among its own."""
    return Volume(
        shared.guid,
        shared.size_mb * MIB,
        shared.free_mb * MIB,
        label=shared.name,
        file_system="CSVFS",
        mount=f"{shared.path}\\",
        disk=number + 1,
    )


def cd_drive(owner: str, letter: str) -> Volume:
    """An empty CD drive."""
    return Volume(identity(owner, "cd"), 0, 0, letter=letter, kind="cd", disk=99)

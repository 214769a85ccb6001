"""HKEY_LOCAL_MACHINE of a practice machine: the keys that say its version, languages, reboots and identity.

Keys and values: CurrentVersion and UBR, the pending-reboot keys, Nls/CodePage [mem]; Guest/Parameters that Data
Exchange writes in a guest [mem], VirtualMachineId from hosts of 2012 on; HKLM/Cluster/Resources: the way the cluster
keeps private properties, used where WMI's PrivateProperties cannot be read [mem]; Lsa and the Security log as Setup leaves
them: events are overwritten, and nothing stops the machine [mem].
"""

from __future__ import annotations

from lab.world.locales import LANGUAGES
from lab.world.model import Guest, Node, Windows
from lab.world.os_releases import ORDER
from lab.world.roles import roles

Keys = dict[str, dict[str, object]]

CURRENT_VERSION = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
SERVICING = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Component Based Servicing"
AUTO_UPDATE = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WindowsUpdate\\Auto Update"
UPDATE_POLICY = "SOFTWARE\\Policies\\Microsoft\\Windows\\WindowsUpdate\\AU"
SESSION_MANAGER = "SYSTEM\\CurrentControlSet\\Control\\Session Manager"
LSA = "SYSTEM\\CurrentControlSet\\Control\\Lsa"
SECURITY_LOG = "SYSTEM\\CurrentControlSet\\Services\\EventLog\\Security"
GUEST_INSTALLER = f"{CURRENT_VERSION}\\Virtualization\\GuestInstaller"
GUEST_PARAMETERS = "SOFTWARE\\Microsoft\\Virtual Machine\\Guest\\Parameters"


def keys(windows: Windows, oem_code_page: int = 0) -> Keys:
    """All keys of the machine with their values. `oem_code_page`: its consoles', where not its language's."""
    found: Keys = {
        CURRENT_VERSION: _version(windows),
        SERVICING: {},
        AUTO_UPDATE: {},
        SESSION_MANAGER: {"BootExecute": ["autocheck autochk *"]},
        "SYSTEM\\CurrentControlSet\\Control\\Nls\\CodePage": _code_pages(windows, oem_code_page),
        LSA: {"crashonauditfail": 0},
        SECURITY_LOG: {"MaxSize": 20 * 2**20, "Retention": 0, "AutoBackupLogFiles": 0},
        "SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ComputerName": {"ComputerName": windows.name.upper()},
        "SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters": {
            "Hostname": windows.name,
            "Domain": windows.domain,
            "DataBasePath": "C:\\Windows\\System32\\drivers\\etc",
        },
    }
    if windows.release.at_least("2012"):
        uefi = any(volume.kind == "efi" for volume in windows.volumes)
        found["SYSTEM\\CurrentControlSet\\Control"] = {"PEFirmwareType": 2 if uefi else 1}
    found |= _pending_reboots(windows)
    if windows.update_policy:
        found[UPDATE_POLICY] = dict(windows.update_policy)
    if isinstance(windows, Guest):
        found[GUEST_PARAMETERS] = _guest_parameters(windows)
    if isinstance(windows, Node) and windows in windows.cluster.nodes:
        found |= _cluster(windows)
        found |= _guest_installer(windows)
    return found


def _version(windows: Windows) -> dict[str, object]:
    release = windows.release
    values: dict[str, object] = {
        "ProductName": release.caption.removeprefix("Microsoft ").rstrip(),
        "CurrentVersion": f"{release.major}.{release.minor}" if release.major < 10 else "6.3",  # noqa: PLR2004 (Windows 10 still says 6.3)
        "CurrentBuild": release.build,
        "CurrentBuildNumber": release.build,
        "BuildLab": release.build_lab,
        "EditionID": "ServerDatacenter",
        "InstallationType": "Server",
    }
    if release.major >= 10:  # noqa: PLR2004 (the first version with these two values)
        values |= {"CurrentMajorVersionNumber": release.major, "CurrentMinorVersionNumber": release.minor}
    if release.service_pack:
        values["CSDVersion"] = f"Service Pack {release.service_pack}"
    if release.revision is not None:
        values["UBR"] = release.revision
    if release.release_id:
        values["ReleaseId"] = release.release_id
    if release.display:
        values["DisplayVersion"] = release.display
    return values


def _code_pages(windows: Windows, oem: int) -> dict[str, object]:
    language = LANGUAGES[windows.language]
    return {"OEMCP": str(oem or language.oem), "ACP": str(language.ansi)}


def _pending_reboots(windows: Windows) -> Keys:
    found: Keys = {}
    if "cbs" in windows.reboot_wanted_by:
        found[f"{SERVICING}\\RebootPending"] = {}
    if "update" in windows.reboot_wanted_by:
        found[f"{AUTO_UPDATE}\\RebootRequired"] = {}
    if "rename" in windows.reboot_wanted_by:
        moved = ["\\??\\C:\\Windows\\Temp\\driver.tmp", ""]
        found[SESSION_MANAGER] = {"BootExecute": ["autocheck autochk *"], "PendingFileRenameOperations": moved}
    return found


def _guest_parameters(guest: Guest) -> dict[str, object]:
    host = guest.node
    values: dict[str, object] = {
        "HostName": host.name.upper(),
        "PhysicalHostName": host.name.upper(),
        "PhysicalHostNameFullyQualified": host.fqdn,
        "VirtualMachineName": guest.name,
    }
    if host.release.at_least("2012"):
        values["VirtualMachineId"] = guest.vm_id.upper()
    return values


_INSTALLER = "Microsoft-Hyper-V-Guest-Installer"
# What each host expects of its guests' integration services, and under which key: values out of published scripts and posts
# [src]. 2016, 2019 and 2025: none there [src, mem for 2016 and 2025]; that of 2022 is about the host itself.
_EXPECTED: dict[str, tuple[str, dict[str, object]]] = {
    "2008R2": ("", {f"{_INSTALLER}-Win60-Package": "6.1.7601.17514"}),
    "2012": ("\\Version", {_INSTALLER: "6.2.9200.16384", f"{_INSTALLER}-Win6x-Package": "6.2.9200.16433"}),
    "2012R2": ("\\Version", {_INSTALLER: "6.3.9600.18080", f"{_INSTALLER}-Win6x-Package": "6.3.9600.19456"}),
    "2022": ("\\Version", {_INSTALLER: "10.0.20348.1"}),
}


def expected_integration(host: str, guest: str) -> str:
    """The version that a host of that release expects of a guest of that one; "" where it expects none."""
    if host not in ("2008R2", "2012", "2012R2") or ORDER.index(guest) > ORDER.index(host):
        return ""
    values = _EXPECTED[host][1]
    return str(values.get(f"{_INSTALLER}-Win6x-Package", values.get(f"{_INSTALLER}-Win60-Package", "")))


def _guest_installer(node: Node) -> Keys:
    if node.release.key not in _EXPECTED:
        return {}
    below, values = _EXPECTED[node.release.key]
    return {f"{GUEST_INSTALLER}{below}": dict(values) | dict(node.expected_integration)}


def _cluster(node: Node) -> Keys:
    cluster = node.cluster
    found: Keys = {"Cluster": {"ClusterName": cluster.name}, "Cluster\\Resources": {}}
    if node.release.at_least("2012"):
        kept = {"MoveTypeThreshold": cluster.move_type_threshold}
        found["Cluster\\ResourceTypes\\Virtual Machine\\Parameters"] = dict(kept)
    for _, members in roles(cluster):
        for resource in members:
            key = f"Cluster\\Resources\\{resource.id}"
            found[key] = {"Name": resource.name, "Type": resource.type}
            private = dict(resource.private)
            if "VmId" in private:
                found[f"{key}\\Parameters"] = {"VmID": private["VmId"]}
    return found

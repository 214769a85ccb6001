"""The events that practice machines write, one function per kind; texts in English, as their catalogues have them.

10102: known from one field note only; its text as printed there. 1137 and 1071: Microsoft's list of FailoverClustering
events [doc], the names of their data [mem]. 8194: published reports in two languages [cap]. 8224: [mem]. Servicing 4: its number
and meaning from a public list of providers [src].
"""

from __future__ import annotations

from datetime import datetime

from lab.world.model import Event, Guest, Windows, Writer
from lab.world.roles import guest_resources
from lab.world.win32_errors import LOCKED_STATUS

VMMS_ADMIN = "Microsoft-Windows-Hyper-V-VMMS-Admin"
INTEGRATION_ADMIN = "Microsoft-Windows-Hyper-V-Integration-Admin"
INTEGRATION_KVP = "Microsoft-Windows-Hyper-V-Integration-KvpExchange"  # the provider's name: [mem]
WORKER_ADMIN = "Microsoft-Windows-Hyper-V-Worker-Admin"
REPORTING = "Microsoft-Windows-WER-SystemErrorReporting"
HIGH_AVAILABILITY = "Microsoft-Windows-Hyper-V-High-Availability-Admin"
VMMS = "Microsoft-Windows-Hyper-V-VMMS"
CLUSTERING = "Microsoft-Windows-FailoverClustering"
SERVICING = "Microsoft-Windows-Servicing"
DEFENDER = "Microsoft-Windows-Windows Defender/Operational"
CRITICAL, ERROR, WARNING, INFORMATION = 1, 2, 3, 4


def snapshot_failed(guest: Guest, at: datetime) -> Event:
    """10102: the guest could not freeze for the host's backup. Names of the data by Windows version."""
    vm_id = guest.vm_id.upper()
    names = ("VmName", "VmId") if guest.node.release.at_least("2016") else ("Parameter0", "Parameter1")
    text = f"Failed to create the volume shadow copy inside of virtual machine '{guest.name}'. (Virtual machine ID {vm_id})"
    data = ((names[0], guest.name), (names[1], vm_id))
    return Event(VMMS_ADMIN, VMMS, 10102, ERROR, at, data, text, hyper_v=True)


def other_integration_version(guest: Guest, at: datetime) -> Event:
    """4010: a guest connected with another version of a service than its host has. Text: 2008 R2's list [doc], a post [src]."""
    vm_id = guest.vm_id.upper()
    text = (
        f"Hyper-V Data Exchange connected to virtual machine '{guest.name}', but the version does not match the version "
        f"expected by Hyper-V (Virtual machine ID {vm_id})."
    )
    data = (("VmName", guest.name), ("VmId", vm_id))
    return Event(INTEGRATION_ADMIN, INTEGRATION_KVP, 4010, WARNING, at, data, text, hyper_v=True)


def migrated(guest: Guest, at: datetime) -> Event:
    """20415: a live migration succeeded."""
    vm_id = guest.vm_id.upper()
    text = (
        "The Virtual Machine Management service successfully completed the live migration of virtual machine "
        f"'{guest.name}' with a blackout time of 0.5 seconds (VMID {vm_id})."
    )
    data = (("Parameter0", guest.name), ("Parameter1", vm_id), ("Parameter2", "0.5"))
    return Event(VMMS_ADMIN, VMMS, 20415, INFORMATION, at, data, text, hyper_v=True)


def migration_failed(guest: Guest, at: datetime, code: int) -> Event:
    """21502: a live migration did not complete; its number and that it carries the code: Microsoft's articles [doc]."""
    text = (
        f"Live migration of 'Virtual Machine {guest.name}' failed.  Virtual machine migration operation for '{guest.name}' "
        f"failed at migration source '{guest.node.name.upper()}'. (Virtual machine ID {guest.vm_id.upper()}) (0x{code:08X})"
    )
    data = (("ResourceName", f"Virtual Machine {guest.name}"), ("Message", text))
    return Event(HIGH_AVAILABILITY, "Microsoft-Windows-Hyper-V-High-Availability", 21502, ERROR, at, data, text)


def drain_failed(guest: Guest, at: datetime, code: int = LOCKED_STATUS) -> Event:
    """1137: a role did not move when its node was drained."""
    text = (
        f"Move of cluster role '{guest.group}' for drain could not be completed. "
        f"The operation failed with error code {code}."
    )
    data = (("ResourceGroup", guest.group), ("ErrorCode", str(code)))
    return Event("System", CLUSTERING, 1137, ERROR, at, data, text)


def move_pending(guest: Guest, at: datetime) -> Event:
    """1155: a role that waited for its move, such as for failback, stayed where it was."""
    text = f"The pending move for the role '{guest.group}' did not complete."
    return Event("System", CLUSTERING, 1155, WARNING, at, (("ResourceGroup", guest.group),), text)


def blocked_by_lock(guest: Guest, at: datetime) -> Event:
    """1071: an operation on a resource in locked mode."""
    group, machine, _ = guest_resources(guest)
    text = (
        f"The operation attempted on cluster resource '{machine.name}' of type '{machine.type}' in clustered role "
        f"'{group.name}' could not be completed because the resource or one of its dependents has locked status."
    )
    data = (("ResourceName", machine.name), ("ResourceGroup", group.name), ("ResourceType", machine.type))
    return Event("System", CLUSTERING, 1071, WARNING, at, data, text)


def callback_refused(writer: Writer, at: datetime, operation: str = "Gathering Writer Data") -> Event:
    """8194: the requester may not call a writer back. Two causes; the writer in the context tells them apart."""
    context = (
        f"\n\nOperation:\n   {operation}\n\nContext:\n   Writer Class Id: {{{writer.id}}}\n"
        f"   Writer Name: {writer.name}\n   Writer Instance ID: {{{writer.instance}}}"
    )
    denied = "0x80070005, Access is denied.\r\n"
    text = (
        "Volume Shadow Copy Service error: Unexpected error querying for the IVssWriterCallback interface.  "
        f"hr = {denied}. This is often caused by incorrect security settings in either the writer or requestor "
        f"process. {context}"
    )
    return Event("Application", "VSS", 8194, ERROR, at, (("", denied), ("", context)), text)


def shadow_service_idle(at: datetime) -> Event:
    """8224: the VSS service stops because nothing is left to do, some minutes after a backup."""
    text = "The VSS service is shutting down due to idle timeout. "
    return Event("Application", "VSS", 8224, INFORMATION, at, (), text)


def restart_needed(kb: str, at: datetime) -> Event:
    """Servicing 4: an update is only there after a restart. Text and names of the data [mem]."""
    text = f"A reboot is necessary before package {kb} can be changed to the Installed state."
    data = (
        ("PackageIdentifier", kb),
        ("IntendedPackageState", "5112"),
        ("IntendedPackageStateTextized", "Installed"),
        ("ErrorCode", "0x0"),
        ("Client", "WindowsUpdateAgent"),
    )
    return Event("Setup", SERVICING, 4, INFORMATION, at, data, text)


_SERVICING = {
    1: "Initiating changes for package {kb}. Current state is {was}. Target state is {becomes}.",
    2: "Package {kb} was successfully changed to the {becomes} state.",
    3: "Package {kb} failed to be changed to the {becomes} state. Status: 0x80070005.",
    4: "A reboot is necessary before package {kb} can be changed to the {becomes} state.",
    5: "Windows update {kb} could not be installed because it is not applicable to this computer.",
}


def servicing(number: int, kb: str, at: datetime, *, removes: bool = False) -> Event:
    """1 to 5 of Servicing: begun, changed, failed, a restart is needed, not applicable [src]. Texts and names of the data [mem]."""
    becomes, was = ("Absent", "Installed") if removes else ("Installed", "Absent")
    text = _SERVICING[number].format(kb=kb, becomes=becomes, was=was)
    data = (
        ("PackageIdentifier", kb),
        ("IntendedPackageState", "5000" if removes else "5112"),
        ("IntendedPackageStateTextized", becomes),
        ("ErrorCode", "0x80070005" if number == 3 else "0x0"),  # noqa: PLR2004 (the one that fails)
        ("Client", "DISM Package Manager Provider"),
    )
    return Event("Setup", SERVICING, number, ERROR if number == 3 else INFORMATION, at, data, text)  # noqa: PLR2004


def windows_started(at: datetime) -> Event:
    """12 of Kernel-General: the operating system started [cap]."""
    data = (
        ("MajorVersion", "6"),
        ("MinorVersion", "1"),
        ("BuildVersion", "7601"),
        ("QfeVersion", "17514"),
        ("ServiceVersion", "1"),
        ("BootMode", "0"),
        ("StartTime", f"{at:%Y-%m-%dT%H:%M:%S.000000000Z}"),
    )
    text = f"The operating system started at system time {at:%Y-%m-%dT%H:%M:%S.000000000Z}."
    return Event("System", "Microsoft-Windows-Kernel-General", 12, INFORMATION, at, data, text)


def attack_surface_rule(at: datetime, path: str = "C:\\Windows\\System32\\Dism.exe") -> Event:
    """1121: an attack surface reduction rule in block mode has blocked something [doc]. Names of the data [cap]."""
    data = (
        ("ID", "D1E49AAC-8F56-4280-B9BA-993A6D77406C"),
        ("Path", path),
        ("Process Name", "C:\\Windows\\System32\\wbem\\WmiPrvSE.exe"),
    )
    text = "Microsoft Defender Exploit Guard has blocked an operation that is not allowed by your IT administrator."
    return Event(DEFENDER, "Microsoft-Windows-Windows Defender", 1121, WARNING, at, data, text)


def bugcheck(code: int, at: datetime, dump: str = "C:\\Windows\\MEMORY.DMP") -> Event:
    """1001 of WER-SystemErrorReporting: the machine started again after a stop. Its values: published logs [cap]."""
    says = f"0x{code:08x} (0x0000000000000028, 0x0000000000000002, 0x0000000000000000, 0xfffff88001c3e2b8)"
    text = (
        f"The computer has rebooted from a bugcheck.  The bugcheck was: {says}. A dump was saved in: {dump}. "
        "Report Id: 112726-8015-01."
    )
    data = (("param1", says), ("param2", dump), ("param3", "112726-8015-01"))
    return Event("System", REPORTING, 1001, ERROR, at, data, text)


def unclean_start(at: datetime, code: int = 0) -> Event:
    """41 of Kernel-Power: it went down without a shutdown; 0 where that was no stop [doc]. Order of the values [doc]."""
    text = "The system has rebooted without cleanly shutting down first."
    names = (
        "BugcheckCode",
        *(f"BugcheckParameter{number}" for number in range(1, 5)),
        "SleepInProgress",
        "PowerButtonTimestamp",
    )
    data = tuple((name, str(code) if name == "BugcheckCode" else "0") for name in names)
    return Event("System", "Microsoft-Windows-Kernel-Power", 41, CRITICAL, at, data, text)


def unexpected_shutdown(at: datetime) -> Event:
    """6008 of EventLog: the shutdown before was not expected; its values are localised texts of time and date [cap]."""
    data = (("", f"{at:%H:%M:%S}"), ("", f"{at:%d.%m.%Y}"))
    text = f"The previous system shutdown at {at:%H:%M:%S} on {at:%d.%m.%Y} was unexpected."
    return Event("System", "EventLog", 6008, ERROR, at, data, text)


def application_fault(at: datetime, program: str = "w3wp.exe") -> Event:
    """1001 of Windows Error Reporting, in the Application log: a program failed, not the machine [cap]."""
    data = (("", ""), ("", "0"), ("", "APPCRASH"), ("", program))
    return Event("Application", "Windows Error Reporting", 1001, INFORMATION, at, data, "Fault bucket , type 0")


def guest_stopped(guest: Guest, at: datetime, code: int) -> Event:
    """18590 on the host: its guest reported a stop. Names of the values: a published event of a later Windows [cap]."""
    vm_id = guest.vm_id.upper()
    text = f"'{guest.name}' has encountered a fatal error.  ErrorCode0: 0x{code:X}. (Virtual machine ID {vm_id})"
    codes = tuple((f"VmErrorCode{number}", f"0x{code:x}" if number == 0 else "0x0") for number in range(5))
    data = (("VmName", guest.name), ("VmId", vm_id), *codes, ("VmErrorMessage", ""))
    return Event(WORKER_ADMIN, "Microsoft-Windows-Hyper-V-Worker", 18590, CRITICAL, at, data, text, hyper_v=True)


def service_state(windows: Windows, service: str, state: str, at: datetime) -> Event:
    """7036: a service was started or stopped."""
    display = windows.service(service).display
    text = f"The {display} service entered the {state} state."
    data = (("param1", display), ("param2", state))
    return Event("System", "Service Control Manager", 7036, INFORMATION, at, data, text)

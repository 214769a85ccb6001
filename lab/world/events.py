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
VMMS = "Microsoft-Windows-Hyper-V-VMMS"
CLUSTERING = "Microsoft-Windows-FailoverClustering"
SERVICING = "Microsoft-Windows-Servicing"
ERROR, WARNING, INFORMATION = 2, 3, 4


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


def service_state(windows: Windows, service: str, state: str, at: datetime) -> Event:
    """7036: a service was started or stopped."""
    display = windows.service(service).display
    text = f"The {display} service entered the {state} state."
    data = (("param1", display), ("param2", state))
    return Event("System", "Service Control Manager", 7036, INFORMATION, at, data, text)

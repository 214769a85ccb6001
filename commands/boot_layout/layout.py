"""What one host's answers amount to: how it starts, and from which layout. Only what was told decides; the rest is unknown.

A GPT disk that UEFI starts from has an EFI partition, and every GPT disk of Windows a reserved one [doc]. Their order is
information: `convert gpt` of diskpart makes the reserved one first by itself [seen: commercialization-public #227]. Several
disks can have an EFI partition, and the one that the firmware starts from is not always on the disk that Windows runs from
[seen: SecureBoot-CA-2023-Updates #48].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.api.facts import Guess, Unknown
from commands.boot_layout.facts import HostBoot
from commands.formatting import join_names
from commands.sources.boot_disks import Disk, Kind, Partition, PartitionWord
from commands.sources.firmware import Firmware

ON_HOST = "On the host: “bcdedit /enum {current}” ends its path in winload.efi under UEFI, in winload.exe without it; “diskpart”, “list disk” and “list partition” show the layout."


class Layout(StrEnum):
    """How a host starts, worst first."""

    NO_EFI = "no EFI partition"
    CONTRADICTS = "firmware and partition table do not match"
    EFI_ELSEWHERE = "EFI partition on another disk"
    NO_RESERVED = "no reserved partition"
    BIOS = "BIOS mode from an MBR disk"
    UEFI = "UEFI from a GPT disk"

    @property
    def is_uefi(self) -> bool:
        """Whether Windows was started by UEFI from a GPT disk, whatever its disk lacks."""
        return self not in (Layout.BIOS, Layout.CONTRADICTS)


@dataclass(frozen=True, slots=True)
class Judged:
    """A host whose layout is known.

    Attributes:
        disk: the one that Windows runs from.
        efi: the EFI partition: of that disk, or of the one that the firmware starts from.
        other_efi: numbers of further disks with an EFI partition.
        reserved_first: the reserved partition stands before the EFI partition, which is only noted.
    """

    name: str
    layout: Layout
    firmware: Firmware
    disk: Disk
    efi: Partition | None = None
    reserved: Partition | None = None
    other_efi: tuple[int, ...] = ()
    reserved_first: bool = False


def judge(name: str, host: HostBoot) -> Judged | Unknown:
    """What the host's answers amount to; Unknown with all that is known of it in words where that is not enough."""
    if host.is_silent:
        assert isinstance(host.windows, Unknown)
        return host.windows
    disk = _windows_disk(host)
    firmware = host.firmware
    if not isinstance(firmware, Firmware) or isinstance(disk, str) or disk.is_gpt is None:
        return _cannot_tell(name, host, disk)
    if not disk.is_gpt or firmware is Firmware.BIOS:
        matches = not disk.is_gpt and firmware is Firmware.BIOS
        return Judged(name, Layout.BIOS if matches else Layout.CONTRADICTS, firmware, disk)
    if isinstance(host.partitions, Unknown) or isinstance(host.disks, Unknown):
        return _cannot_tell(name, host, disk)
    own = [one for one in host.partitions if one.disk == disk.number]
    lacks = None in (_first(Kind.EFI, own), _first(Kind.RESERVED, own))
    if not own or (lacks and any(one.kind is Kind.UNREADABLE for one in own)):
        return _cannot_tell(name, host, disk)
    return _judge_gpt(name, disk, host.partitions, [one.number for one in host.disks if one.has_system])


def _judge_gpt(name: str, disk: Disk, partitions: Sequence[Partition], starts: Sequence[int]) -> Judged:
    """A host that UEFI started from a GPT disk. `starts`: numbers of the disks that the firmware starts from."""
    own = [one for one in partitions if one.disk == disk.number]
    efi, reserved = (_first(kind, own) for kind in (Kind.EFI, Kind.RESERVED))
    if efi is None:
        elsewhere = _first(Kind.EFI, [one for one in partitions if one.disk in starts]) or _first(Kind.EFI, partitions)
        layout = Layout.EFI_ELSEWHERE if elsewhere else Layout.NO_EFI
        return Judged(name, layout, Firmware.UEFI, disk, elsewhere, reserved)
    other = tuple(dict.fromkeys(one.disk for one in partitions if one.kind is Kind.EFI and one.disk != disk.number))
    first = reserved is not None and own.index(reserved) < own.index(efi)
    layout = Layout.UEFI if reserved else Layout.NO_RESERVED
    return Judged(name, layout, Firmware.UEFI, disk, efi, reserved, other, first)


def _first(kind: Kind, partitions: Sequence[Partition]) -> Partition | None:
    return next((one for one in partitions if one.kind is kind), None)


def _windows_disk(host: HostBoot) -> Disk | str:
    """The disk that Windows runs from, or in words why nobody knows which it is."""
    if isinstance(host.disks, Unknown):
        old = "cannot tell, this Windows has no provider that lists them all."
        return f"Partitions: {old if host.is_2008 else host.disks.why}"
    found = [one for one in host.disks if one.has_windows]
    if len(found) == 1:
        (disk,) = found
        if sum(one.number == disk.number for one in host.disks) > 1:  # partitions and checks go by it
            return f"Partitions: cannot tell, Windows lists several disks as disk {disk.number}."
        if silent := [str(one.number) for one in host.disks if one.has_windows is None]:
            return f"Partitions: cannot tell, Windows does not report whether disk {join_names(silent, 4)} is its boot disk."
        return disk
    if found:
        numbers = ", ".join(str(one.number) for one in found)
        return f"Partitions: cannot tell, disks {numbers} all count as the one that Windows runs from."
    return f"Partitions: cannot tell, {_unlisted(host.disks, host.words)}"


def _unlisted(disks: Sequence[Disk], words: Sequence[PartitionWord] | Unknown | None) -> str:
    """Why the storage provider may not list the disk that Windows runs from."""
    provider = "Windows' storage provider"
    if not disks:
        return f"{provider} lists no disk at all, as to accounts that are no administrator."
    listed = {one.number for one in disks}
    told = () if words is None or isinstance(words, Unknown) else words
    missing = sorted({one.disk for one in told if one.disk not in listed})
    if not missing:
        return "no listed disk is the one that Windows runs from."
    if set(missing) <= {one.disk for one in told if one.is_dynamic}:
        return f"the disk that Windows runs from is a dynamic disk, which {provider} does not list. {_older(told, missing)}"
    numbers = ", ".join(map(str, missing))
    return f"{provider} does not list disk {numbers}, as it does with dynamic disks. {_older(told, missing)}"


def _older(words: Sequence[PartitionWord], disks: Sequence[int]) -> str:
    """What Win32_DiskPartition says of these disks, each word once."""
    told = dict.fromkeys(one.word for one in words if one.disk in disks and one.word)
    return (
        f"Win32_DiskPartition lists there: {', '.join(list(told)[:6])}; it never lists a reserved partition."
        if told
        else ""
    )


def _cannot_tell(name: str, host: HostBoot, disk: Disk | str) -> Unknown:
    """Everything that is known of the host, in words; nothing of it decides."""
    return Unknown(
        name, "cannot tell", " ".join(part for part in (_firmware(host), _layout(host, disk)) if part), ON_HOST
    )


def _firmware(host: HostBoot) -> str:
    if isinstance(host.firmware, Firmware):
        return f"Windows was started by {host.firmware}."
    if isinstance(host.firmware, Unknown):
        return f"Firmware: {host.firmware.why}"
    why = "Windows Server 2008 R2 and older keep no firmware value" if host.is_2008 else "The firmware value is missing"
    if isinstance(host.at_setup, Guess):
        return f"{why}; {host.at_setup.basis}. That may have changed since."
    if isinstance(host.at_setup, Unknown):
        return f"{why}, and what setup noted is not known: {host.at_setup.why}"
    return f"{why}."


def _layout(host: HostBoot, disk: Disk | str) -> str:
    if isinstance(disk, str):
        return disk
    table = {True: "GPT", False: "MBR"}.get(disk.is_gpt) if disk.is_gpt is not None else None
    if table is None:
        return f"Disk {disk.number}: its partition table was not told."
    if isinstance(host.partitions, Unknown):
        return f"Disk {disk.number} is {table}. Partitions: {host.partitions.why}"
    if not any(one.disk == disk.number for one in host.partitions):
        return f"Disk {disk.number} is {table}. Partitions: cannot tell, none of it is listed."
    if disk.is_gpt and isinstance(host.firmware, Firmware):
        return f"Disk {disk.number} is {table}. Partitions: cannot tell, the type of one cannot be read."
    return f"Disk {disk.number} is {table}."

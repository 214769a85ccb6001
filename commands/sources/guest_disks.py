"""Disks inside a Windows guest: which are dynamic, since Hyper-V backs up no running machine that has one [doc].

Win32_DiskPartition tells it by the words of `Type`. They are those of Windows' language: in English they are listed, on MBR
disks by Microsoft [doc], on GPT disks by published sources [src]; in another language they are not known. MSFT_Disk has
no dynamic disks.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.queries import GuestWql
from bot.api.rows import Rows, get_int, get_str, readable
from bot.api.sources import Source
from commands.sources.guests import HostedGuest

_DYNAMIC = {"logical disk manager", "gpt: logical disk manager data", "gpt: logical disk manager metadata"}
_BASIC = {
    "unused",
    "12-bit fat",
    "xenix type 1",
    "xenix type 2",
    "16-bit fat",
    "extended partition",
    "ms-dos v4 huge",
    "installable file system",
    "powerpc reference platform",
    "unix",
    "ntfs",
    "win95 w/extended int 13",
    "extended w/extended int 13",
    "unknown",
    "gpt: unused",
    "gpt: system",
    "gpt: microsoft reserved",
    "gpt: basic data",
    "gpt: unknown",
}


@dataclass(frozen=True, slots=True)
class Disks:
    """The disks of one guest.

    Attributes:
        dynamic: the numbers of those that are dynamic.
        unread: words of partitions that are not known here: theirs may be dynamic too.
    """

    dynamic: tuple[int, ...]
    unread: tuple[str, ...] = ()


def guest_disks(hosted: HostedGuest) -> Source[Disks]:
    """The question: of which kind is each partition?"""
    guest = hosted.guest
    columns = ("DiskIndex", "Type")
    return Source(
        GuestWql(guest.name, hosted.told.fqdn, guest.vm_id, "root/cimv2", "Win32_DiskPartition", columns), _read_disks
    )


def _read_disks(rows: Rows) -> Disks:
    """Read the kinds of partitions. Raises ValueError for none at all: no Windows runs without one."""
    if not rows:
        raise ValueError("Win32_DiskPartition lists no partition")
    dynamic: set[int] = set()
    unread: dict[str, None] = {}
    for row in rows:
        word = (readable(get_str, row, "Type") or "").strip() or "a kind that cannot be read"
        if word.casefold() in _DYNAMIC:
            number = readable(get_int, row, "DiskIndex")
            dynamic.add(-1 if number is None else number)
        elif word.casefold() not in _BASIC:
            unread[word] = None
    return Disks(tuple(sorted(dynamic)), tuple(unread))

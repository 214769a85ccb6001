r"""Drivers inside a Windows guest: which file version is there, and in which servicing branch.

CIM_DataFile is asked by its key, the full path: a query without it walks the whole disk [doc]. Files of Windows up to 2012 come
in two branches, GDR (updates for everybody) and LDR (hotfixes), whose fourth number begins at 20000 [mem]: a larger
number of the other branch is not a newer file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.api.queries import GuestWql, Predicate
from bot.api.rows import Rows, get_build, get_str
from bot.api.sources import Source
from commands.sources.guests import HostedGuest
from commands.sources.integration import Version, read_version

_LDR = 20_000  # the fourth number from which a file is of the branch of hotfixes
_PARTS = 4
_LAST = (6, 2)  # 8 and 2012: the last Windows with two branches [mem]


class Branch(StrEnum):
    """The servicing branch of a file."""

    GDR = "GDR"
    LDR = "LDR"


@dataclass(frozen=True, slots=True)
class FileVersion:
    """The version of a file of Windows."""

    numbers: Version

    @property
    def branch(self) -> Branch | None:
        """Its branch; None for a Windows that has no branches any more, and where the version has no four parts."""
        if len(self.numbers) != _PARTS or self.numbers[:2] > _LAST:
            return None
        return Branch.LDR if self.numbers[3] >= _LDR else Branch.GDR

    def is_at_least(self, other: FileVersion) -> bool | None:
        """Whether it is not older; None where the two do not compare: other Windows, or another branch."""
        same = self.numbers[:3] == other.numbers[:3] and self.branch is other.branch and self.branch is not None
        return self.numbers[3] >= other.numbers[3] if same else None

    def __str__(self) -> str:
        """As Windows prints it."""
        return ".".join(map(str, self.numbers))


@dataclass(frozen=True, slots=True)
class GuestWindows:
    """Which Windows a guest runs, by its own word. `build` is None where it was not reported."""

    build: int | None
    system_directory: str  # "C:\\Windows\\system32"


def read_file_version(text: str) -> FileVersion | None:
    """A version as CIM_DataFile has it; None for anything else."""
    numbers = read_version(text)
    return None if numbers is None else FileVersion(numbers)


def guest_windows(hosted: HostedGuest) -> Source[GuestWindows]:
    """The question: which Windows is it, and where are its drivers?"""
    columns = ("BuildNumber", "SystemDirectory")
    return Source(_ask(hosted, "Win32_OperatingSystem", columns), _read_windows)


def driver_version(hosted: HostedGuest, windows: GuestWindows, driver: str) -> Source[FileVersion | None]:
    """The question: which version of a driver lies there? None where there is no such file, or it has no version."""
    path = f"{windows.system_directory}\\drivers\\{driver}"
    return Source(_ask(hosted, "CIM_DataFile", ("Name", "Version"), (Predicate("Name", "=", path),)), _read_file)


def guest_hotfix(hosted: HostedGuest, kb: str) -> Source[bool]:
    """The question: does the guest list an update? One that is not listed may be there all the same [doc]."""
    return Source(_ask(hosted, "Win32_QuickFixEngineering", ("HotFixID",), (Predicate("HotFixID", "=", kb),)), bool)


def _ask(hosted: HostedGuest, cls: str, columns: tuple[str, ...], where: tuple[Predicate, ...] = ()) -> GuestWql:
    guest = hosted.guest
    return GuestWql(guest.name, hosted.told.fqdn, guest.vm_id, "root/cimv2", cls, columns, where)


def _read_windows(rows: Rows) -> GuestWindows:
    """Raises CellError, and ValueError where Windows does not tell where it lies."""
    directory = get_str(rows[0], "SystemDirectory").strip() if rows else ""
    if not directory:
        raise ValueError("Win32_OperatingSystem tells no SystemDirectory")
    return GuestWindows(get_build(rows[0]), directory)


def _read_file(rows: Rows) -> FileVersion | None:
    """Raises CellError."""
    return read_file_version(get_str(rows[0], "Version")) if rows else None

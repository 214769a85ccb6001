"""Storage Spaces as a node sees them: jobs that work on them, and how the virtual disks are.

Two questions: that no repair runs says nothing of a disk whose repair was reset or never began. The storage provider came
with 2012; meanings of numbers: MSFT_StorageJob and MSFT_VirtualDisk [doc]. Where no Storage Spaces are there is no virtual disk.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.queries import Wql
from bot.api.rows import Rows, get_int, get_ints, get_str, readable
from bot.api.sources import Source

_NAMESPACE = "root/Microsoft/Windows/Storage"
_UNDER_WAY = (2, 3, 4, 5, 6)  # JobState: new, starting, running, suspended, shutting down [doc]
_ENDED = (7, 8, 9, 10)  # completed, terminated, killed, exception [doc]
_HEALTHY, _OK = 0, 2
_HEALTH = {0: "healthy", 1: "warning", 2: "unhealthy"}  # HealthStatus; 5 is unknown [doc]
_STATUS = {  # OperationalStatus [doc]; 0 is unknown, 1 other
    3: "degraded",
    4: "stressed",
    5: "predictive failure",
    6: "error",
    7: "non-recoverable error",
    8: "starting",
    9: "stopping",
    10: "stopped",
    11: "in service",
    12: "no contact",
    13: "lost communication",
    14: "aborted",
    15: "dormant",
    16: "supporting entity in error",
    17: "completed",
    18: "power mode",
    0xD001: "detached",
    0xD002: "incomplete",
}


@dataclass(frozen=True, slots=True)
class VirtualDisk:
    """A virtual disk of Storage Spaces.

    Attributes:
        health: as numbered by Windows; None where it was not told.
        status: OperationalStatus, the most important first; () where it was not told.
    """

    name: str
    health: int | None
    status: tuple[int, ...] = ()

    @property
    def is_healthy(self) -> bool | None:
        """Whether it is healthy and works; None where Windows does not say, or in a number that nobody lists."""
        if self.health in (1, 2) or any(one in _STATUS for one in self.status):
            return False
        return True if self.health == _HEALTHY and set(self.status) == {_OK} else None

    @property
    def says(self) -> str:
        """Its state in words: "Volume1 is unhealthy (in service)"."""
        health = (
            _HEALTH.get(self.health, f"of health {self.health}") if self.health is not None else "of unknown health"
        )
        told = [_STATUS.get(one, f"operational status {one}") for one in self.status if one != _OK]
        beside = told if self.status else ["its operational status is not told"]
        return f"{self.name} is {health}" + (f" ({', '.join(beside)})" if beside else "")


def storage_jobs(on: str) -> Source[tuple[str, ...]]:
    """The question: which jobs work on the storage?"""
    return Source(Wql(on, _NAMESPACE, "MSFT_StorageJob", ("Name", "JobState")), _read_storage_jobs)


def virtual_disks(on: str) -> Source[tuple[VirtualDisk, ...]]:
    """The question: how are the virtual disks?"""
    columns = ("FriendlyName", "HealthStatus", "OperationalStatus")
    return Source(Wql(on, _NAMESPACE, "MSFT_VirtualDisk", columns), _read_virtual_disks)


def _read_storage_jobs(rows: Rows) -> tuple[str, ...]:
    """The names of the jobs that have not ended. Raises ValueError where nobody tells it of one, and no other is under way."""
    found, untold = [], []
    for row in rows:
        name = readable(get_str, row, "Name") or "without a name"
        state = readable(get_int, row, "JobState")
        if state in _UNDER_WAY:
            found.append(name)
        elif state not in _ENDED:
            untold.append(f"JobState {state} does not tell whether the job {name} has ended")
    if untold and not found:
        raise ValueError("; ".join(untold))
    return tuple(found)


def _read_virtual_disks(rows: Rows) -> tuple[VirtualDisk, ...]:
    """Virtual disks; one without a name is shown as such. What cannot be read of one is unknown of that one alone."""
    return tuple(
        VirtualDisk(
            readable(get_str, row, "FriendlyName") or "a disk without a name",
            readable(get_int, row, "HealthStatus"),
            readable(get_ints, row, "OperationalStatus") or (),
        )
        for row in rows
    )

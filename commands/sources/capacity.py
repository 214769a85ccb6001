"""Memory: what the guests on one node use, what the other nodes have free, and whether the one fits into the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.api.queries import Wql
from bot.api.rows import CellError, Rows, get_int, get_str, readable
from bot.api.sources import Source
from commands.formatting import MIB
from commands.sources.cluster import Node
from commands.sources.guests import namespace
from commands.sources.identity import guid

_KIB = 2**10


@dataclass(frozen=True, slots=True)
class Need:
    """What one guest needs elsewhere.

    Attributes:
        memory: bytes.
        owners: the nodes where it may run, in lower case; None for all.
    """

    name: str
    memory: int
    owners: frozenset[str] | None = None


def memory_use(node: Node) -> Source[dict[str, int]]:
    """The question: how much memory does each guest of a node hold? 0 for those that do not run [doc]."""
    return Source(Wql(node.name, namespace(node), "Msvm_SummaryInformation", ("Name", "MemoryUsage")), _read_memory_use)


def free_memory(on: str) -> Source[int]:
    """The question: how much physical memory of a host is free?"""
    return Source(Wql(on, "root/cimv2", "Win32_OperatingSystem", ("FreePhysicalMemory",)), _read_free_memory)


def processor_counts(node: Node) -> Source[dict[str, int]]:
    """The question: how many virtual processors has each guest of a node? [doc]."""
    columns = ("Name", "NumberOfProcessors")
    return Source(Wql(node.name, namespace(node), "Msvm_SummaryInformation", columns), _read_processor_counts)


def logical_processors(on: str) -> Source[int]:
    """The question: how many logical processors has a host? A guest cannot start with more virtual ones [doc]."""
    return Source(Wql(on, "root/cimv2", "Win32_ComputerSystem", ("NumberOfLogicalProcessors",)), _read_processors)


def _read_processor_counts(rows: Rows) -> dict[str, int]:
    """VM id -> virtual processors; what was not told, or cannot be read, is left out."""
    told = {guid(readable(get_str, row, "Name") or ""): readable(get_int, row, "NumberOfProcessors") for row in rows}
    return {vm_id: count for vm_id, count in told.items() if vm_id and count is not None}


def _read_processors(rows: Rows) -> int:
    """Raises CellError where it was not told."""
    count = get_int(rows[0], "NumberOfLogicalProcessors") if rows else None
    if count is None:
        raise CellError("NumberOfLogicalProcessors", None)
    return count


def _read_memory_use(rows: Rows) -> dict[str, int]:
    """VM id -> bytes; MemoryUsage is in MB [doc]. What was not told, or cannot be read, is left out, and no zero."""
    told = {guid(readable(get_str, row, "Name") or ""): readable(get_int, row, "MemoryUsage") for row in rows}
    return {vm_id: usage * MIB for vm_id, usage in told.items() if vm_id and usage is not None}


def _read_free_memory(rows: Rows) -> int:
    """Bytes; FreePhysicalMemory is in KB [doc]. Raises CellError where it was not told."""
    free = get_int(rows[0], "FreePhysicalMemory") if rows else None
    if free is None:
        raise CellError("FreePhysicalMemory", None)
    return free * _KIB


def without_room(needs: Sequence[Need], free: Mapping[str, int]) -> tuple[str, ...]:
    """The guests that would fit nowhere, when the largest is placed first, each where most is free.

    The cluster places them in its own order, so this shows that there is a way, not which one it takes.
    """
    left = {name.casefold(): room for name, room in free.items()}
    homeless = []
    for need in sorted(needs, key=lambda one: (-one.memory, one.name.casefold())):
        may = [name for name in left if need.owners is None or name in need.owners]
        best = max(may, key=lambda name: (left[name], name), default=None)
        if best is None or left[best] < need.memory:
            homeless.append(need.name)
        else:
            left[best] -= need.memory
    return tuple(homeless)

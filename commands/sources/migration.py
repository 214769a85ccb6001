"""What a cluster knows of a virtual machine that is to move live: its resource's own state, and how it is set to move.

Private properties of a resource of the type "Virtual Machine" (virtual-machine-private-properties of the archived MsCS pages)
[doc]: VmState in the numbers of Hyper-V's first provider; MigrationState 0 none, 1 setup, 2 data transfer, 3 move, 4 cancelled,
5 failed; MigrationProgress in per cent; MigrationFailureReason, an HRESULT. 4 and 5 stay until the next migration begins, so
they tell of an earlier one until then [src: public cases]. DefaultMoveType came with 2012, and no page says what its values
mean: those of VM_RESDLL_CONTEXT are 0 turn off, 1 save (quick), 2 shut down, 3 forced, 4 live [doc]; 0xFFFFFFFF leaves it
to the priority of the role and MoveTypeThreshold [src: published output of Get-ClusterParameter; mem].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from bot.api.queries import Predicate, Wql
from bot.api.rows import Row, Rows, get_int, get_str, readable
from bot.api.sources import Source
from commands.sources.cluster import NAMESPACE
from commands.sources.identity import guid

COLUMNS = ("Name", "OwnerGroup", "OwnerNode", "State", "PrivateProperties")
MIGRATION, REASON, VM_STATE, VM_ID = (
    f"PrivateProperties.{name}" for name in ("MigrationState", "MigrationFailureReason", "VmState", "VmId")
)
ONLINE, RUNNING = 2, 2  # MSCluster_Resource.State; VmState [doc]
LIVE = 4  # of DefaultMoveType, and of the parameters of a move [doc]
BY_PRIORITY = (0xFFFFFFFF, -1)
_MACHINE = "Virtual Machine"


class Migration(IntEnum):
    """MigrationState of a machine's resource [doc]."""

    NONE = 0
    SETUP = 1
    TRANSFER = 2
    MOVE = 3
    CANCELLED = 4
    FAILED = 5

    @property
    def is_under_way(self) -> bool:
        """Whether it goes on now."""
        return self in UNDER_WAY


UNDER_WAY = (Migration.SETUP, Migration.TRANSFER, Migration.MOVE)
CAN_BE_CANCELLED = (Migration.SETUP, Migration.TRANSFER)
AT_REST = (Migration.NONE, Migration.CANCELLED, Migration.FAILED)
# MigrationFailureReason, unsigned, and what it means: the first two are those of Microsoft's page [doc], the third
# is what guests of 24H2 hosts met before their fix of May 2026 [src: Azure/AzureLocal-Supportability 326].
REASONS: Mapping[int, str] = {
    0x800700AA: "something that it needs was busy (0x800700AA), such as another migration or a backup of it",
    0x80004005: "Hyper-V gives no reason (0x80004005); event 21502 on the source names it",
    0x80070534: "no account could be mapped to its identity (0x80070534), as on Windows Server 2025 hosts before May 2026",
}


@dataclass(frozen=True, slots=True)
class MachineResource:
    """A virtual machine as a resource of its cluster. None, and "", stand for what was not told.

    Attributes:
        group: its role.
        owner: its node.
        migration: MigrationState as it was told; `Migration` has the listed numbers.
        reason: MigrationFailureReason, unsigned.
        move_type: DefaultMoveType.
    """

    name: str
    group: str
    owner: str
    state: int | None
    vm_id: str
    vm_state: int | None
    migration: int | None
    reason: int | None
    move_type: int | None


def machine_resources_of(on: str, node: str) -> Source[tuple[MachineResource, ...]]:
    """The question: how are the virtual machines that a node owns, as resources? 19 ms a row on a real cluster [src]."""
    where = (Predicate("Type", "=", _MACHINE), Predicate("OwnerNode", "=", node))
    return Source(Wql(on, NAMESPACE, "MSCluster_Resource", COLUMNS, where), _read_resources)


def machine_query(on: str, resource: str) -> Wql:
    """The question of a check: one machine's resource, whose it is, its node and its migration together, in one answer."""
    where = (Predicate("Type", "=", _MACHINE), Predicate("Name", "=", resource))
    return Wql(on, NAMESPACE, "MSCluster_Resource", COLUMNS, where)


def _read_resources(rows: Rows) -> tuple[MachineResource, ...]:
    """One a row; what cannot be read of one is unknown of that one alone."""
    return tuple(map(_resource, rows))


def _resource(row: Row) -> MachineResource:
    cell = row.get("PrivateProperties")
    told = {name.casefold(): value for name, value in cell.items()} if isinstance(cell, Mapping) else {}
    reason = readable(get_int, told, "migrationfailurereason")
    return MachineResource(
        name=readable(get_str, row, "Name") or "",
        group=readable(get_str, row, "OwnerGroup") or "",
        owner=readable(get_str, row, "OwnerNode") or "",
        state=readable(get_int, row, "State"),
        vm_id=guid(readable(get_str, told, "vmid") or ""),
        vm_state=readable(get_int, told, "vmstate"),
        migration=readable(get_int, told, "migrationstate"),
        reason=None if reason is None else reason & 0xFFFFFFFF,
        move_type=readable(get_int, told, "defaultmovetype"),
    )

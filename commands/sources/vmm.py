"""What System Center Virtual Machine Manager believes: hosts, virtual machines and jobs, read from its database.

The schema was never published. Tables and columns are those of Microsoft's own scripts (KB3102955, KB2756886, the Site
Recovery clean-up script) [doc], two columns are from one real database [cap]; so the columns are looked at first, and a
schema that lacks one is unknown. Codes of ObjectState: three independent lists agree for 2012 and later [src]; for 2008 R2
only 0 and 220 were seen [src].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from bot.api.facts import Unknown, value_of
from bot.api.queries import RunReader, make_params
from bot.api.query_client import QueryClient
from bot.api.rows import CellError, Row, Rows, get_int, get_str, readable
from bot.api.sources import Source
from commands.sources.guests import Power
from commands.sources.identity import guid


class ObjectState(IntEnum):
    """What VMM says of a virtual machine: its VMComputerSystemState [src: three lists]. Unlisted ones are not known."""

    RUNNING = 0
    POWER_OFF = 1
    POWERING_OFF = 2
    SAVED = 3
    SAVING = 4
    RESTORING = 5
    PAUSED = 6
    DISCARD_SAVED_STATE = 10
    STARTING = 11
    MERGING_DRIVES = 12
    DELETING = 13
    RESET = 14
    DISCARDING_DRIVES = 80
    PAUSING = 81
    UNDER_CREATION = 100
    CREATION_FAILED = 101
    STORED = 102
    UNDER_TEMPLATE_CREATION = 103
    TEMPLATE_CREATION_FAILED = 104
    CUSTOMIZATION_FAILED = 105
    UNDER_UPDATE = 106
    UPDATE_FAILED = 107
    REPLACEMENT_FAILED = 108
    UNDER_REPLACEMENT = 109
    UNDER_MIGRATION = 200
    MIGRATION_FAILED = 201
    CREATING_CHECKPOINT = 210
    DELETING_CHECKPOINT = 211
    RECOVERING_CHECKPOINT = 212
    CHECKPOINT_FAILED = 213
    INITIALIZING_CHECKPOINT_OPERATION = 214
    FINISHING_CHECKPOINT_OPERATION = 215
    MISSING = 220
    HOST_NOT_RESPONDING = 221
    UNSUPPORTED = 222
    INCOMPLETE_VM_CONFIG = 223
    UNSUPPORTED_SHARED_FILES = 224
    UNSUPPORTED_CLUSTER = 225
    UNDER_LIVE_CLONING = 226
    DB_ONLY = 227
    P2V_CREATION_FAILED = 240
    V2V_CREATION_FAILED = 250

    @property
    def word(self) -> str:
        """VMM's own word for it."""
        return _VMM_WORDS.get(self, "".join(part.capitalize() for part in self.name.split("_")))


_VMM_WORDS = {
    ObjectState.INCOMPLETE_VM_CONFIG: "IncompleteVMConfig",
    ObjectState.P2V_CREATION_FAILED: "P2VCreationFailed",
    ObjectState.V2V_CREATION_FAILED: "V2VCreationFailed",
}
STATES: Mapping[int, str] = MappingProxyType({int(state): state.word for state in ObjectState})
MISSING, MOVING, NOT_HEARD = map(
    int, (ObjectState.MISSING, ObjectState.UNDER_MIGRATION, ObjectState.HOST_NOT_RESPONDING)
)
OF_2008_R2 = frozenset({ObjectState.RUNNING, ObjectState.MISSING})  # all that were seen there
MOST_JOBS = 100  # the TOP of the select: as many may be more
# States that a job of VMM's leaves behind when it is done: until then its record is nobody else's business.
BUSY = frozenset({2, 4, 5, 10, 11, 12, 13, 14, 80, 81, 100, 103, 106, 109, MOVING, 210, 211, 212, 214, 215, 226})
# What a state says of a machine that is left in peace; VMM has none for those whose files cannot be reached.
SAYS: Mapping[int, frozenset[Power]] = MappingProxyType(
    {
        ObjectState.RUNNING: frozenset({Power.RUNNING, Power.RUNNING_CRITICAL}),
        ObjectState.POWER_OFF: frozenset({Power.OFF, Power.OFF_CRITICAL}),
        ObjectState.SAVED: frozenset({Power.SAVED, Power.FAST_SAVED, Power.SAVED_CRITICAL}),
        ObjectState.PAUSED: frozenset({Power.PAUSED, Power.PAUSED_CRITICAL}),
    }
)
CODES: Mapping[Power, int] = MappingProxyType({Power.RUNNING: 0, Power.OFF: 1, Power.SAVED: 3, Power.PAUSED: 6})

_IDS, _TEXTS = {"uniqueidentifier"}, {"nvarchar", "varchar", "nchar", "char"}
_REQUIRED: Mapping[tuple[str, str], set[str]] = MappingProxyType(
    {
        ("tbl_adhc_host", "hostid"): _IDS,
        ("tbl_adhc_host", "computername"): _TEXTS,
        ("tbl_wlc_vobject", "objectid"): _IDS,
        ("tbl_wlc_vobject", "objectstate"): {"int"},
        ("tbl_wlc_vobject", "name"): _TEXTS,
        ("tbl_wlc_vobject", "hostid"): _IDS,
        ("tbl_wlc_vminstance", "vminstanceid"): _IDS,
        ("tbl_wlc_vminstance", "vmid"): _IDS | _TEXTS,
    }
)
_JOBS = {("tbl_tr_tasktrail", "taskid"), ("tbl_tr_tasktrail", "taskstate")}
_FAILED_JOB = ("tbl_wlc_vobject", "failedjobid")
# A column that a release brought, newest first. Clouds came with 2012 [doc]; Microsoft's script takes ProtectionUnitId
# for 2012 R2 [doc]; shielded machines came with 2016 [inf].
_RELEASES = (
    (("tbl_wlc_vminstance", "securitysummary"), "2016 or later"),
    (("tbl_wlc_vminstance", "protectionunitid"), "2012 R2"),
    (("tbl_wlc_vobject", "cloudid"), "2012"),
)
OLDEST = "2008 R2"


@dataclass(frozen=True, slots=True)
class Layout:
    """The database's schema, as far as it is needed.

    Attributes:
        release: "2016 or later", "2012 R2", "2012", "2008 R2"; "" where the schema is unknown.
        lacks: what it lacks, or has of another type: "tbl_WLC_VObject.HostId".
    """

    release: str
    lacks: tuple[str, ...] = ()
    has_jobs: bool = False
    has_failed_jobs: bool = False

    @property
    def is_known(self) -> bool:
        """Whether its rows can be read."""
        return not self.lacks


@dataclass(frozen=True, slots=True)
class Machine:
    """A virtual machine as VMM has it. Ids are plain GUIDs.

    Attributes:
        state: None where the record did not report it.
        vm_id: Hyper-V's id, "" where VMM has none.
    """

    object_id: str
    name: str
    state: int | None
    host_id: str
    vm_id: str

    @property
    def state_name(self) -> str:
        """The state in VMM's word."""
        return "no state" if self.state is None else STATES.get(self.state, "an unknown state")


@dataclass(frozen=True, slots=True)
class VmmJob:
    """A job of VMM's that failed over a virtual machine; `state` is "" where its history is gone."""

    id: str
    state: str


def database_layout(on: str) -> Source[Layout]:
    """Which columns there are."""
    return Source(RunReader(on, "vmm columns"), _read_layout)


def recorded_hosts(on: str) -> Source[dict[str, str]]:
    """The hosts that VMM manages."""
    return Source(RunReader(on, "vmm hosts"), _read_hosts)


def recorded_machines(on: str) -> Source[tuple[Machine, ...]]:
    """All virtual machines that VMM believes to be on a host."""
    return Source(RunReader(on, "vmm virtual machines"), _read_machines)


def recorded_machine(on: str, object_id: str) -> Source[tuple[Machine, ...]]:
    """One virtual machine by VMM's own id; the same columns."""
    return Source(RunReader(on, "vmm virtual machine", make_params(object=object_id)), _read_machines)


def failed_jobs(on: str) -> Source[dict[str, VmmJob]]:
    """The failed job that each virtual machine carries. Only where the layout has them."""
    return Source(RunReader(on, "vmm failed jobs"), _read_failed_jobs)


def running_words(jobs: int) -> str:
    """How many run, in words; the select stops at `MOST_JOBS`."""
    return f"{jobs} or more" if jobs >= MOST_JOBS else str(jobs)


def running_jobs(on: str) -> Source[int]:
    """How many jobs run, up to `MOST_JOBS`. Only where the layout has them."""
    return Source(RunReader(on, "vmm running jobs"), _read_running_jobs)


def _read_layout(rows: Rows) -> Layout:
    """The layout out of INFORMATION_SCHEMA.COLUMNS. No row at all is an unknown schema too. Raises CellError."""
    found = {
        (get_str(row, "TABLE_NAME").casefold(), get_str(row, "COLUMN_NAME").casefold()): get_str(
            row, "DATA_TYPE"
        ).casefold()
        for row in rows
    }
    lacks = tuple(
        f"{table}.{column}" for (table, column), kinds in _REQUIRED.items() if found.get((table, column)) not in kinds
    )
    if lacks:
        return Layout("", lacks)
    release = next((name for column, name in _RELEASES if column in found), OLDEST)
    has_jobs = found.keys() >= _JOBS
    return Layout(release, (), has_jobs, has_jobs and _FAILED_JOB in found)


def _read_hosts(rows: Rows) -> dict[str, str]:
    """Host id -> name, with its domain where VMM has one, in lower case; "" for one that cannot be read. Raises CellError."""
    return {_id(row, "HostID"): (readable(get_str, row, "ComputerName") or "").strip().casefold() for row in rows}


def _read_machines(rows: Rows) -> tuple[Machine, ...]:
    """Virtual machines by name; what cannot be read of one is unknown of that one. Raises CellError for one without its key."""
    found = [
        Machine(
            _id(row, "ObjectId"),
            readable(get_str, row, "Name") or "a machine without a name",
            readable(get_int, row, "ObjectState"),
            guid(readable(get_str, row, "HostId") or ""),
            guid(readable(get_str, row, "VMId") or ""),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda one: (one.name.casefold(), one.object_id)))


def _read_failed_jobs(rows: Rows) -> dict[str, VmmJob]:
    """VMM's id of a virtual machine -> the job that failed over it. Raises CellError."""
    return {_id(row, "ObjectId"): VmmJob(_id(row, "FailedJobID"), get_str(row, "TaskState")) for row in rows}


def _read_running_jobs(rows: Rows) -> int:
    """How many jobs run."""
    return len(rows)


async def find_running_jobs(on: str, ask: QueryClient) -> int | Unknown | None:
    """How many jobs run; None where the schema does not tell."""
    layout = await ask.query(database_layout(on))
    if isinstance(layout, Unknown):
        return layout
    return value_of(await ask.query(running_jobs(on))) if layout.value.has_jobs else None


def _id(row: Row, column: str) -> str:
    found = guid(get_str(row, column))
    if not found:
        raise CellError(column, row.get(column))
    return found

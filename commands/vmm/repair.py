"""Mending one record of VMM's: first by VMM itself, then by moving the machine, last in the database; each as steps.

The order is the field notes' [1 note]; Microsoft documents the refresh and never this change of the database. So it runs on a
schema that is known, with VMM's service stopped, after a full backup, on exactly one row that still has the values seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.api.actions import ManualStep, RowTransaction, Update
from bot.api.plan import Check, Group, Step, exists
from bot.api.queries import Predicate, RunReader, Wql, make_params
from bot.api.rows import Rows, get_datetime
from bot.api.sources import Source
from commands.sources.cluster import Node
from commands.sources.guests import Power, namespace
from commands.sources.identity import is_machine
from commands.sources.services import STOPPED, is_in_state, start_step, stop_step
from commands.sources.vmm import MISSING, recorded_machine

DATABASE, TABLE, KEY = "vmm", "tbl_WLC_VObject", "ObjectId"
SERVICE = "VMMService"  # KB3102955 stops it before the database is changed [doc]
TRANSACTION = 20  # seconds for the change of one row, most of which a lock of somebody else's may take
OLDEST_BACKUP = timedelta(hours=24)
_ROLE = "operator"
_HAND = 4 * 3600  # seconds that a person has
_REFRESH, _LOOKS = 600, 1800  # seconds until VMM has looked: when told to, and by itself
# What a person could send to a database of an unknown version, once they know that it means the same there.
DRAFT = (
    "Draft, not run, for a schema that hvops does not know. Take a full backup and stop VMMService first.",
    "SELECT HostID, ComputerName FROM tbl_ADHC_Host;  -- find the host where it really is",
    "SELECT ObjectId, HostId, ObjectState FROM tbl_WLC_VObject WHERE ObjectId = '<its ObjectId>';  -- note the row",
    "BEGIN TRANSACTION;",
    "UPDATE tbl_WLC_VObject SET HostId = '<that HostID>', ObjectState = <0 only if it runs>",
    "WHERE ObjectId = '<its ObjectId>' AND ObjectState = 220;  -- exactly one row, else ROLLBACK",
    "COMMIT;",
)
# EnabledState of both namespaces: saved and paused have other numbers in the older one [doc].
_ENABLED = {Power.RUNNING: (2,), Power.OFF: (3,), Power.SAVED: (6, 32769), Power.PAUSED: (9, 32768)}


@dataclass(frozen=True, slots=True)
class Repair:
    """One record, where its machine really is, and what it would have to say.

    Attributes:
        on: the VMM server.
        machine: VMM's own id of it.
        vm_id: Hyper-V's id.
        believed: VMM's id of the host that it names now.
        real: VMM's id of the host where it is.
        node: that host.
        power: what the machine does there.
        state: the record's state now.
        becomes: the code of `power`.
        host: the host whose service VMMService we may stop and start; "" where a person does.
    """

    on: str
    machine: str
    vm_id: str
    believed: str
    real: str
    node: Node
    power: Power
    state: int
    becomes: int
    host: str = ""


@dataclass(frozen=True, slots=True)
class FullBackup:
    """When the newest full backup of VMM's database ended, and the server's time; both as the server has them."""

    finished: datetime
    now: datetime

    @property
    def is_recent(self) -> bool:
        """Whether it is less than a day old, and not of the future."""
        return timedelta() <= self.now - self.finished < OLDEST_BACKUP


def last_full_backup(on: str) -> Source[FullBackup | None]:
    """The question: when was the newest full backup?"""
    return Source(RunReader(on, "vmm last full backup"), _read_last_backup)


def _read_last_backup(rows: Rows) -> FullBackup | None:
    """The newest full backup; None where there is none. Raises CellError."""
    if not rows:
        return None
    finished, now = get_datetime(rows[0], "backup_finish_date"), get_datetime(rows[0], "server_now")
    return FullBackup(finished, now) if finished and now else None


def refresh_step(one: Repair, key: str = "refresh") -> Step:
    """VMM's own refresh of one machine, by hand: its cmdlets are on the VMM server alone."""
    return Step(
        key=key,
        description=f"Refresh the virtual machine in VMM {one.on}",
        act=ManualStep(
            f"On the VMM server: Get-SCVirtualMachine -ID {one.machine} | Read-SCVirtualMachine -Force", _ROLE
        ),
        done=(_is_mended(one, _REFRESH),),
        before=recorded_machine(one.on, one.machine).query,
        deadline=_HAND,
    )


def move_steps(one: Repair, believed: Node) -> tuple[Step, ...]:
    """A live migration to the host that VMM believes in, by hand: no transport for it has been proved."""
    says = (
        f"In Failover Cluster Manager: live-migrate the virtual machine {one.vm_id} from {one.node.name} to {believed.name}."
        " Don't use a quick migration: it would be down for a while."
    )
    return (
        Step(
            key="move",
            description=f"Live-migrate the virtual machine from {one.node.name} to {believed.name}",
            act=ManualStep(says, _ROLE),
            guard=(is_there(one),),
            done=(_runs_on(believed, one, within=120),),
            deadline=_HAND,
        ),
        Step(
            key="look",
            description=f"Wait for VMM {one.on} to refresh {believed.name}",
            act=None,
            done=(
                exists(
                    recorded_machine(one.on, one.machine).query,
                    is_machine("VMId", one.vm_id),
                    Predicate("ObjectState", "!=", MISSING),
                    within=_LOOKS,
                    every=30,
                ).described_as(f"VMM {one.on} does not show the virtual machine as Missing"),
            ),
        ),
    )


def database_groups(one: Repair) -> tuple[Group, Group]:
    """One row, in one transaction, while VMM's service is stopped; then VMM looks, and it must stay so.

    If the row cannot be changed, the service is started again at once. What comes after the change is not taken back by
    itself: a person sees what VMM makes of it.
    """
    stop, start = _service_steps(one)
    return (
        Group("record", (stop, _record_step(one)), on_failure="undo"),
        Group("finish", (start, refresh_step(one, "stays")), revalidate_before=False),
    )


def _record_step(one: Repair) -> Step:
    """The row changes only while it still has the values seen, so beginning it again cannot do it twice."""
    was, becomes = (
        make_params(HostId=one.believed, ObjectState=one.state),
        make_params(HostId=one.real, ObjectState=one.becomes),
    )
    key = make_params(**{KEY: one.machine})
    # The row keeps its key when VMM takes another machine for it: then it is not ours to put back.
    same = exists(recorded_machine(one.on, one.machine).query, is_machine("VMId", one.vm_id)).described_as(
        f"VMM {one.on} has that row for the same virtual machine"
    )
    stopped = (is_in_state(one.host, SERVICE, STOPPED),) if one.host else ()
    return Step(
        key="record",
        description=f"Change one row of {TABLE} in VMM {one.on}: set the host to {one.node.name} and the state to {one.becomes}",
        act=RowTransaction(one.on, DATABASE, (Update(TABLE, key, was, becomes),)),
        guard=(*stopped, record_is(one, one.believed, one.state), is_there(one)),
        done=(record_is(one, one.real, one.becomes),),
        deadline=TRANSACTION,
        before=recorded_machine(one.on, one.machine).query,
        undo=RowTransaction(one.on, DATABASE, (Update(TABLE, key, becomes, was),)),
        undo_guard=(same,),
        undone=(record_is(one, one.believed, one.state),),
        repeatable=True,
        undo_says=f"Restore the previous host and state of that row in {TABLE} (VMM {one.on})",
    )


def _service_steps(one: Repair) -> tuple[Step, Step]:
    """Stop and start VMM's service: ours where its host is known and answers, else by hand.

    An undo stops it again only while the row is as it was left: else the row is not restored, and VMM would stay stopped for nothing.
    """
    as_left = (record_is(one, one.real, one.becomes),)
    if one.host:
        start_again = start_step(one.host, SERVICE, can_stop_again=True)
        return stop_step(one.host, SERVICE), replace(start_again, undo_guard=as_left)
    stop = ManualStep(f"Close every VMM console, then stop the service {SERVICE} on the VMM server. Say done.", _ROLE)
    start = ManualStep(f"Start the service {SERVICE} on the VMM server. Say done when its console opens.", _ROLE)
    is_recorded = exists(recorded_machine(one.on, one.machine).query).described_as(
        f"VMM {one.on} has a record of the virtual machine"
    )
    return (
        Step(
            key="stop-vmm",
            description=f"Stop the service {SERVICE} on the VMM server",
            act=stop,
            done=(record_is(one, one.believed, one.state),),
            deadline=_HAND,
            undo=start,
            undone=(is_recorded,),
            undo_says=f"Start the service {SERVICE} on the VMM server again",
        ),
        Step(
            key="start-vmm",
            description=f"Start the service {SERVICE} on the VMM server",
            act=start,
            done=(_is_mended(one, 0),),
            deadline=_HAND,
            undo=stop,
            undo_guard=as_left,
            undone=(is_recorded,),
            undo_says=f"Stop the service {SERVICE} on the VMM server again",
        ),
    )


def record_is(one: Repair, host: str, state: int) -> Check:
    """The record is of this machine, and says this host and this state."""
    terms = (is_machine("VMId", one.vm_id), Predicate("HostId", "=", host), Predicate("ObjectState", "=", state))
    which = "it had before" if host == one.believed else "where it really is"
    says = f"VMM {one.on} records the host {which}, and the state {state}"
    return exists(recorded_machine(one.on, one.machine).query, *terms).described_as(says)


def is_there(one: Repair) -> Check:
    """The machine is where it was seen, doing what it did."""
    found = exists(_ask_on(one.node, one.vm_id), Predicate("EnabledState", "in", _ENABLED[one.power]))
    return found.described_as(f"the virtual machine is on {one.node.name} and {one.power}")


def _runs_on(node: Node, one: Repair, within: int) -> Check:
    running = Predicate("EnabledState", "in", _ENABLED[Power.RUNNING])
    found = exists(_ask_on(node, one.vm_id), running, within=within)
    return found.described_as(f"the virtual machine runs on {node.name}")


def _ask_on(node: Node, vm_id: str) -> Wql:
    where = (Predicate("Name", "=", vm_id),)
    return Wql(node.name, namespace(node), "Msvm_ComputerSystem", ("Name", "EnabledState"), where)


def _is_mended(one: Repair, within: int) -> Check:
    """The record is of this machine, names the real host, and is not Missing."""
    terms = (
        is_machine("VMId", one.vm_id),
        Predicate("HostId", "=", one.real),
        Predicate("ObjectState", "!=", MISSING),
    )
    says = f"VMM {one.on} shows the virtual machine on {one.node.name}, no longer as Missing"
    return exists(recorded_machine(one.on, one.machine).query, *terms, within=within, every=15).described_as(says)

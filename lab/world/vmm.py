"""System Center Virtual Machine Manager: what it believes about the hosts, as rows of its database.

VMM looks at its hosts from time to time and writes down what it finds. A virtual machine whose record was left on the
wrong host by a failed migration stays "Missing" there, however often VMM looks, until the record or the machine moves.

Tables and columns: Microsoft's clean-up scripts (KB3102955, KB2756886, KB2795040), one real
database's column lists [cap], codes of ObjectState as three independent lists have them [src].
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from lab.sqlserver.store import READ_ONLY, READ_WRITE, Column, Database, Instance, Login, Row, Table
from lab.sqlserver.types import BIT, DATETIME, GUID, INT, nvarchar
from lab.world.model import Cluster, Guest, Node, Windows, identity

DATABASE, SERVICE = "VirtualManagerDB", "VMMService"
MISSING = 220
_STATES = {"running": 0, "off": 1, "saved": 3, "paused": 6}
_VIRTUAL_MACHINE, _TEMPLATE = 1, 2  # ObjectType, whose values were never published: [mem]
REFRESH_SECONDS = 10.0  # how often the practice VMM looks at its hosts; a real one takes its time
Release = Literal["2008R2", "2012", "2012R2", "2016"]
_ID, _TEXT = Column("ObjectId", GUID, nullable=False), nvarchar(256)


class Surroundings(Protocol):
    """What VMM can see of the world."""

    clusters: dict[str, Cluster]

    @property
    def now(self) -> datetime:
        """The world's time."""
        ...


@dataclass(slots=True)
class VirtualMachineManager:
    """A VMM server.

    Attributes:
        host: the Windows on which its service runs.
        stuck: id of a virtual machine -> the host from which VMM does not get its record away by itself.
        looks: whether it looks at its hosts from time to time; not where its rows are given.
    """

    world: Surroundings
    host: Windows
    release: Release = "2016"
    stuck: dict[str, uuid.UUID] = field(default_factory=dict)
    looks: bool = True
    instance: Instance = field(init=False)
    _looked: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.instance = Instance("sql01")
        database = self.instance.add(Database(DATABASE))
        for table in _tables(self.release):
            database.add(table)
        backups = self.instance.add(Database("msdb")).add(Table("backupset", _BACKUPSET))
        finished = self.world.now.replace(tzinfo=None) - timedelta(hours=7)
        backups.insert(
            backup_set_id=1,
            database_name=DATABASE,
            type="D",
            backup_start_date=finished - timedelta(minutes=3),
            backup_finish_date=finished,
            is_copy_only=0,
        )
        self._fill()
        self._looked = self.world.now

    @property
    def is_running(self) -> bool:
        """Whether VMM looks at anything: its service runs."""
        return self.host.service(SERVICE).state == "Running"

    @property
    def hosts(self) -> Table:
        """tbl_ADHC_Host."""
        return self._table("tbl_ADHC_Host")

    @property
    def objects(self) -> Table:
        """tbl_WLC_VObject: virtual machines, templates, what lies in the library."""
        return self._table("tbl_WLC_VObject")

    @property
    def instances(self) -> Table:
        """tbl_WLC_VMInstance: what only virtual machines have."""
        return self._table("tbl_WLC_VMInstance")

    @property
    def jobs(self) -> Table:
        """tbl_TR_TaskTrail."""
        return self._table("tbl_TR_TaskTrail")

    def add_login(self, user: str, password: str) -> None:
        """A login that may look everywhere, and change the VMM database."""
        self.instance.add_login(Login(user, password, {DATABASE: READ_WRITE, "msdb": READ_ONLY}))

    def record(self, guest: Guest) -> Row:
        """A guest's row in tbl_WLC_VObject; StopIteration where there is none."""
        return next(self.objects.find(ObjectId=object_id(guest)))

    def believes(self, guest: Guest) -> tuple[str, int]:
        """On which host VMM believes a guest to be, and in which state."""
        record = self.objects.read(self.record(guest))
        host = self.hosts.read(next(self.hosts.find(HostID=record["HostId"])))
        return str(host["ComputerName"]).partition(".")[0], int(record["ObjectState"])

    def lose(self, guest: Guest, believed: Node, job: str) -> None:
        """A migration failed half-way: the record stays on a host where the guest is not."""
        self.stuck[guest.vm_id] = host_id(believed)
        failed = uuid.UUID(identity("vmm job", job))
        self.jobs.insert(TaskID=failed, TaskState="Failed", IsVisible=1)
        row = self.record(guest)
        self.objects.change(row, HostId=host_id(believed), ObjectState=MISSING, FailedJobID=failed)

    def settle(self) -> None:
        """Look at the hosts, if it is time and the service runs."""
        if self.looks and self.is_running and (self.world.now - self._looked).total_seconds() >= REFRESH_SECONDS:
            self.refresh()

    def refresh(self) -> None:
        """Look at all hosts now. Rows that a transaction holds are left for the next time."""
        self._looked = self.world.now
        for guest in self._guests():
            for row in self.objects.find(ObjectId=object_id(guest)):
                if row.holder is None:
                    self._see(guest, row)

    def _see(self, guest: Guest, row: Row) -> None:
        here, believed = host_id(guest.node), self.objects.read(row)["HostId"]
        if self.stuck.get(guest.vm_id) == believed != here:
            self.objects.change(row, ObjectState=MISSING)
            return
        if self.stuck.get(guest.vm_id) == here:
            del self.stuck[guest.vm_id]  # found where its record is
        self.objects.change(row, HostId=here, ObjectState=_STATES[guest.state])

    def _guests(self) -> Iterator[Guest]:
        for cluster in self.world.clusters.values():
            yield from cluster.guests

    def _table(self, name: str) -> Table:
        return self.instance.databases[DATABASE.casefold()].table(name)

    def _fill(self) -> None:
        for cluster in self.world.clusters.values():
            for node in cluster.nodes:
                self.hosts.insert(HostID=host_id(node), ComputerName=node.fqdn, HostState=2)
        for guest in self._guests():
            self._add(guest)
        for name in ("Server 2019 template", "Server 2022 template"):
            template = uuid.UUID(identity("vmm template", name))
            self.objects.insert(ObjectId=template, ObjectType=_TEMPLATE, ObjectState=102, Name=name, Enabled=1)

    def _add(self, guest: Guest) -> None:
        self.objects.insert(
            ObjectId=object_id(guest),
            ObjectType=_VIRTUAL_MACHINE,
            ObjectState=_STATES[guest.state],
            Name=guest.name,
            HostId=host_id(guest.node),
            Enabled=1,
        )
        self.instances.insert(
            VMInstanceId=object_id(guest),
            ObjectId=object_id(guest),
            VMId=guest.vm_id.upper(),
            ComputerName=guest.fqdn if guest.reports_address else None,
            VMResourceGroup=guest.group,
        )


def host_id(node: Node) -> uuid.UUID:
    """VMM's own id of a host."""
    return uuid.UUID(identity("vmm host", node.fqdn))


def object_id(guest: Guest) -> uuid.UUID:
    """VMM's own id of a virtual machine, which is not Hyper-V's."""
    return uuid.UUID(identity("vmm object", guest.vm_id))


def _tables(release: Release) -> Iterator[Table]:
    """The tables, with the columns that tell one release from another."""
    newer = {
        "2008R2": (),
        "2012": (Column("CloudId", GUID),),
        "2012R2": (Column("CloudId", GUID), Column("FailedJobID", GUID)),
        "2016": (Column("CloudId", GUID), Column("FailedJobID", GUID)),
    }[release]
    protection = (Column("DRState", INT), Column("ProtectionUnitId", GUID)) if release in ("2012R2", "2016") else ()
    shielded = (Column("FunctionalLevel", _TEXT), Column("SecuritySummary", INT)) if release == "2016" else ()
    yield Table("tbl_ADHC_Host", _HOST, "HostID")
    yield Table("tbl_WLC_VObject", (*_OBJECT, *newer), "ObjectId")
    yield Table("tbl_WLC_VMInstance", (*_INSTANCE, *protection, *shielded), "VMInstanceId")
    yield Table("tbl_TR_TaskTrail", _JOB, "TaskID")


_HOST = (Column("HostID", GUID, nullable=False), Column("ComputerName", _TEXT), Column("HostState", INT))
_OBJECT = (
    _ID,
    Column("ObjectType", INT, nullable=False),
    Column("ObjectState", INT, nullable=False),
    Column("Name", _TEXT),
    Column("Enabled", BIT),
    Column("HostId", GUID),
    Column("LibServerId", GUID),
    Column("CreationTime", DATETIME),
    Column("ModifiedTime", DATETIME),
)
_INSTANCE = (
    Column("VMInstanceId", GUID, nullable=False),
    Column("ObjectId", GUID),
    Column("VMId", _TEXT),
    Column("ComputerName", _TEXT),
    Column("VMResourceGroup", _TEXT),
)
_JOB = (Column("TaskID", GUID, nullable=False), Column("TaskState", nvarchar(32)), Column("IsVisible", BIT))
_BACKUPSET = (
    Column("backup_set_id", INT, nullable=False),
    Column("database_name", nvarchar(128)),
    Column("type", nvarchar(1)),
    Column("backup_start_date", DATETIME),
    Column("backup_finish_date", DATETIME),
    Column("is_copy_only", BIT),
)

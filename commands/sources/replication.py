r"""Hyper-V Replica as a host tells it: relationships, where their other end is, and the statistics of one machine.

2012 R2 and later have Msvm_ReplicationRelationship, whose InstanceID is "Microsoft:<machine>\HVR\<0|1>", 1 for an extended
replica [doc]; 2012 tells the same of Msvm_ComputerSystem. The numbers are WMI's own: PowerShell's enumeration differs [src].
ReplicationLatency (seconds) and ReplicationSize (bytes) are sums over the cycles of the monitoring period: an average is the
sum divided by ReplicationSuccessCount, and there is none where that is 0 [src: Microsoft's own module]. LastTestFailoverTime
is written on the recovery server alone [doc]; the primary answers 1601.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from xml.sax.saxutils import escape, quoteattr

from bot.api.facts import Unknown
from bot.api.queries import RunReader, Wql, make_params
from bot.api.rows import Row, Rows, get_bool, get_datetime, get_int, get_str, get_strs, readable
from bot.api.sources import Source
from bot.api.texts import clip
from commands.sources.cluster import Node
from commands.sources.guests import Replication, machine_id
from commands.sources.identity import guid

BUILD_2012R2 = 9600
_LONGEST_INTERVAL = 86_400  # seconds; Windows has 30, 300 and 900 [doc]
# Seconds, a century: no sum of a monitoring period, and sums beyond every time could not be added to.
_LONGEST_LATENCY = 2**32
_NAMESPACE = "root/virtualization/v2"
_INSTANCE = re.compile(r"Microsoft:([0-9A-Fa-f-]{36})\\HVR\\([01])", re.ASCII)


class Health(IntEnum):
    """ReplicationHealth [doc]."""

    NOT_APPLICABLE = 0
    OK = 1
    WARNING = 2
    CRITICAL = 3


# ReplicationState [doc]: 15 to 21 since Windows 10 1703.
STATES = {
    0: "disabled",
    1: "ready for replication",
    2: "waiting for the initial replication",
    3: "replicating",
    4: "synchronised, replication complete",
    5: "recovered",
    6: "committed",
    7: "suspended",
    8: "critical",
    9: "waiting to resynchronise",
    10: "resynchronising",
    11: "resynchronisation suspended",
    12: "failover in progress",
    13: "failback in progress",
    14: "failback complete",
    15: "disk update in progress",
    16: "disk update critical",
    17: "unknown to Hyper-V itself",
    18: "repurposing in progress",
    19: "prepared for synchronous replication",
    20: "prepared for group reverse replication",
    21: "test failover in progress",
}
# Of a primary that sent its last changes, and of a replica failed over [src].
REPLICATING, PREPARED, RECOVERED = (
    3,
    4,
    5,
)
_KERBEROS = 1  # AuthenticationType [doc]
# What Msvm_ReplicationSettingData holds beside the hosts of a relationship, with its types [doc]. Resynchronisation by itself
# has a window in the host's own time: two intervals since midnight, 18:30 and 06:00 by default, and it is off by default
# [doc: the class's MOF]. WinRM writes an interval as a duration [doc: MS-WSMV]; these two were never captured.
_SETTINGS = (
    ("InstanceID", "string"),
    ("ApplicationConsistentSnapshotInterval", "uint16"),
    ("AuthenticationType", "uint16"),
    ("AutoResynchronizeEnabled", "boolean"),
    ("AutoResynchronizeIntervalStart", "datetime"),
    ("AutoResynchronizeIntervalEnd", "datetime"),
    ("BypassProxyServer", "boolean"),
    ("CompressionEnabled", "boolean"),
    ("EnableWriteOrderPreservationAcrossDisks", "boolean"),
    ("IncludedDisks", "string[]"),
    ("RecoveryHistory", "uint16"),
    ("RecoveryServerPortNumber", "uint16"),
    ("ReplicateHostKvpItems", "boolean"),
    ("ReplicationInterval", "uint16"),
)


_DURATION = re.compile(
    r"P(?:0{1,8}D)?T(?:([0-9]{1,2})H)?(?:([0-9]{1,2})M)?(?:([0-9]{1,2})(?:\.0{1,9})?S)?"
    r"|0{8}([0-9]{2})([0-9]{2})([0-9]{2})\.0{6}:000",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Resync:
    """When a relationship resynchronises by itself, in the time of its host.

    Attributes:
        on: whether it does at all; None where that was not told.
        begins, ends: "18:30"; "" where that was not told, or in a form that is not known.
    """

    on: bool | None
    begins: str = ""
    ends: str = ""

    @property
    def is_readable(self) -> bool:
        """Whether all of it is known, so that a reversal can take it over."""
        return self.on is not None and bool(self.begins and self.ends)

    def __str__(self) -> str:
        """For people: "only from 18:30 to 06:00"."""
        if self.on is None:
            return "not told"
        if not self.on:
            return "off"
        if not self.is_readable:
            return "on, at hours that hvops cannot read"
        whole = self.begins == "00:00" and self.ends in ("00:00", "23:59")
        return "at any hour" if whole else f"from {self.begins} to {self.ends}"


@dataclass(frozen=True, slots=True)
class Relationship:
    """One end of a relationship.

    Attributes:
        vm_id: of the machine, which both ends share.
        extended: whether it goes on from the replica to a third host.
        state: as told, one of `STATES` or not; None where it was not told.
        health: as told, one of `Health` or not; None where it was not told.
        last: when data was last replicated, UTC; None for never.
    """

    vm_id: str
    extended: bool
    state: int | None
    health: int | None
    last: datetime | None

    @property
    def state_word(self) -> str:
        """Its state for people."""
        if self.state is None:
            return "in a state that was not told"
        return STATES.get(self.state, f"in the unlisted state {self.state}")


@dataclass(frozen=True, slots=True)
class Ends:
    """The hosts of a relationship, as its settings name them; "" where they do not. `interval` is None where not told."""

    primary: str
    recovery: str
    interval: timedelta | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the cycles of the monitoring period amount to.

    Attributes:
        cycles: those that succeeded; None where it was not told.
        average_lag: how long one took on average; None where there was none, or it was not told.
        missed: cycles that were missed; None where it was not told.
        tested: the last test failover, UTC; None for never. It means something on the recovery server alone.
    """

    cycles: int | None
    average_lag: timedelta | None
    missed: int | None
    tested: datetime | None


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """How one host has a relationship configured, as far as a reversal takes it over.

    Attributes:
        primary: where the primary is reached: a host, or the broker of its cluster; "" where it was not told.
        recovery: the same of the replica.
        by_kerberos: whether both prove themselves by Kerberos, else by certificates; None where it was not told.
        resync: when it resynchronises by itself.
        certificate: thumbprint of the certificate that this end uses; "" where none was told.
        values: property, CIM type and value of all else, without what was not told.
    """

    primary: str
    recovery: str
    by_kerberos: bool | None
    values: tuple[tuple[str, str, str | tuple[str, ...]], ...] = ()
    resync: Resync = Resync(None)
    certificate: str = ""

    def towards(self, point: str) -> str:
        """The settings as CIM-XML, with that connection point as the recovery side.

        As Microsoft's own sample reverses a relationship: only the recovery side changes, all else stays as it is [src].
        """
        told = (*self.values, ("RecoveryConnectionPoint", "string", point))
        return f'<INSTANCE CLASSNAME="Msvm_ReplicationSettingData">{"".join(map(_property, told))}</INSTANCE>'


def relationships(node: Node) -> Source[tuple[Relationship, ...]] | Unknown:
    """The question: what does this host replicate? Unknown for a Windows that has no Replica, or tells no build."""
    if node.build is None:
        return Unknown(
            node.name, "bad reply", "it does not tell its Windows, so where Replica keeps its state is open."
        )
    if node.is_2008:
        return Unknown(node.name, "absent", "Windows Server 2008 R2 has no Hyper-V Replica.")
    if node.build < BUILD_2012R2:
        columns = ("Name", "ReplicationMode", "ReplicationState", "ReplicationHealth", "LastReplicationTime")
        return Source(Wql(node.name, _NAMESPACE, "Msvm_ComputerSystem", columns), _read_machines)
    told = ("InstanceID", "ReplicationState", "ReplicationHealth", "LastReplicationTime")
    return Source(Wql(node.name, _NAMESPACE, "Msvm_ReplicationRelationship", told), _read_relationships)


def replication_ends(node: Node) -> Source[dict[str, Ends]]:
    """The question: with whom does it replicate? Machine -> ends, extended relationships left out. 2012 and later."""
    columns = ("InstanceID", "PrimaryHostSystem", "RecoveryHostSystem")
    more = ("ReplicationInterval",) if node.build is not None and node.build >= BUILD_2012R2 else ()
    return Source(Wql(node.name, _NAMESPACE, "Msvm_ReplicationSettingData", (*columns, *more)), _read_ends)


def replica_settings(node: Node) -> Source[dict[str, ReplicaSettings]]:
    """The question: how is each relationship configured? Machine -> settings, extended ones left out. 2012 R2 and later."""
    points = ("PrimaryConnectionPoint", "RecoveryConnectionPoint", "CertificateThumbPrint")
    columns = (*points, *(name for name, _ in _SETTINGS))
    return Source(Wql(node.name, _NAMESPACE, "Msvm_ReplicationSettingData", columns), _read_settings)


def replica_certificate(on: str) -> Source[str]:
    """The question: with which certificate does this host receive replicas? Its thumbprint; "" where it has none for that."""
    columns = ("AllowedAuthenticationType", "CertificateThumbPrint")
    return Source(Wql(on, _NAMESPACE, "Msvm_ReplicationServiceSettingData", columns), _read_certificate)


def relationship_id(vm_id: str) -> str:
    """The InstanceID of the relationship between a machine and its replica [doc]."""
    return f"Microsoft:{vm_id.upper()}\\HVR\\0"


def replication_statistics(on: str, vm_id: str) -> Source[Statistics]:
    """The question: how did the cycles of one machine go, and when was it failed over for a test?"""
    return Source(RunReader(on, "replication statistics", make_params(vm_id=vm_id)), _read_statistics)


def _read_relationships(rows: Rows) -> tuple[Relationship, ...]:
    """Raises ValueError for an InstanceID of another form: a relationship that cannot be told apart is nobody's."""
    return tuple(_relationship(row, *_machine(row)) for row in rows)


def _read_machines(rows: Rows) -> tuple[Relationship, ...]:
    """Of 2012: machines that have a mode. A mode that cannot be read makes the whole list unknown."""
    found = [row for row in rows if machine_id(row)]
    return tuple(
        _relationship(row, machine_id(row), extended=False)
        for row in found
        if get_int(row, "ReplicationMode") not in (None, Replication.NONE)
    )


def _machine(row: Row) -> tuple[str, bool]:
    told = get_str(row, "InstanceID")
    found = _INSTANCE.fullmatch(told)
    if not found:
        raise ValueError(f"{clip(repr(told), 80)} is no InstanceID of a replication relationship")
    return guid(found[1]), found[2] == "1"


def _relationship(row: Row, vm_id: str, extended: bool) -> Relationship:  # noqa: FBT001 - unpacked from a pair
    return Relationship(
        vm_id,
        extended,
        readable(get_int, row, "ReplicationState"),
        readable(get_int, row, "ReplicationHealth"),
        get_datetime(row, "LastReplicationTime"),
    )


def _read_ends(rows: Rows) -> dict[str, Ends]:
    found: dict[str, Ends] = {}
    for row in rows:
        vm_id, extended = _machine(row)
        seconds = readable(get_int, row, "ReplicationInterval")
        if not extended:
            found[vm_id] = Ends(
                readable(get_str, row, "PrimaryHostSystem") or "",
                readable(get_str, row, "RecoveryHostSystem") or "",
                timedelta(seconds=seconds) if seconds is not None and 0 < seconds <= _LONGEST_INTERVAL else None,
            )
    return found


def _read_settings(rows: Rows) -> dict[str, ReplicaSettings]:
    """Raises ValueError for an InstanceID of another form, CellError for a value of another type."""
    found: dict[str, ReplicaSettings] = {}
    for row in rows:
        vm_id, extended = _machine(row)
        if not extended:
            kind = get_int(row, "AuthenticationType")
            found[vm_id] = ReplicaSettings(
                get_str(row, "PrimaryConnectionPoint"),
                get_str(row, "RecoveryConnectionPoint"),
                None if kind is None else kind == _KERBEROS,
                tuple(_told(row)),
                _resync(row),
                get_str(row, "CertificateThumbPrint"),
            )
    return found


def _read_certificate(rows: Rows) -> str:
    if len(rows) != 1:
        raise ValueError("the host tells no settings of its replication service")
    return get_str(rows[0], "CertificateThumbPrint")


def _resync(row: Row) -> Resync:
    begins, ends = (_clock(get_str(row, f"AutoResynchronizeInterval{end}")) for end in ("Start", "End"))
    return Resync(get_bool(row, "AutoResynchronizeEnabled"), begins[:5], ends[:5])


def _clock(told: str) -> str:
    """Hours, minutes and seconds since midnight: "18:30:00"; "" for what is no such interval."""
    found = _DURATION.fullmatch(told)
    if found is None:
        return ""
    hours, minutes, seconds = (int(found[one] or found[one + 3] or 0) for one in (1, 2, 3))
    is_time = hours < 24 and minutes < 60 and seconds < 60  # noqa: PLR2004 - of a clock
    return f"{hours:02}:{minutes:02}:{seconds:02}" if is_time else ""


def _told(row: Row) -> Iterator[tuple[str, str, str | tuple[str, ...]]]:
    for name, kind in _SETTINGS:
        if row.get(name) in (None, "", ()):
            continue
        if kind == "string[]":
            yield name, kind, get_strs(row, name)
        elif kind == "datetime":
            if clock := _clock(get_str(row, name)):
                yield name, kind, f"00000000{clock.replace(':', '')}.000000:000"  # an interval of DMTF [doc: DSP0004]
        elif kind == "boolean":
            yield name, kind, "TRUE" if get_bool(row, name) else "FALSE"
        else:
            yield name, kind, get_str(row, name) if kind == "string" else str(get_int(row, name))


def _property(told: tuple[str, str, str | tuple[str, ...]]) -> str:
    name, kind, value = told
    if isinstance(value, str):
        return f"<PROPERTY NAME={quoteattr(name)} TYPE={quoteattr(kind)}><VALUE>{escape(value)}</VALUE></PROPERTY>"
    inside = "".join(f"<VALUE>{escape(one)}</VALUE>" for one in value)
    kind = kind.removesuffix("[]")
    return f"<PROPERTY.ARRAY NAME={quoteattr(name)} TYPE={quoteattr(kind)}><VALUE.ARRAY>{inside}</VALUE.ARRAY></PROPERTY.ARRAY>"


def _read_statistics(rows: Rows) -> Statistics:
    """Those of the first relationship. Raises ValueError where there are none: then nothing is known, not "never"."""
    if not rows:
        raise ValueError("the host tells no statistics of this virtual machine")
    row = rows[0]
    cycles, latency = get_int(row, "ReplicationSuccessCount"), get_int(row, "ReplicationLatency")
    if (cycles or 0) < 0 or not 0 <= (latency or 0) <= _LONGEST_LATENCY:
        raise ValueError(f"{cycles} cycles that took {latency} s together are no statistics")
    average = timedelta(seconds=latency / cycles) if cycles and latency is not None else None
    return Statistics(cycles, average, get_int(row, "ReplicationMissCount"), get_datetime(row, "LastTestFailoverTime"))

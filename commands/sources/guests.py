"""Virtual machines of a host: which run, which a backup holds, what they say of themselves, and which firmware id.

Hyper-V has two namespaces: root/virtualization (2008 R2, 2012) and root/virtualization/v2 (2012 and later). The
saved and paused states have other numbers in the first one [doc].
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from bot.api.facts import Unknown
from bot.api.queries import GuestRegistry, GuestWql, Predicate, Wql
from bot.api.query_client import QueryClient
from bot.api.rows import CellError, Row, Rows, get_int, get_ints, get_str, get_strs, readable
from bot.api.sources import Source
from commands.sources.cluster import Node
from commands.sources.identity import guid, identifies, same_bios
from commands.sources.kvp import KvpInfo, kvp_info, read_items

BACKING_UP = 32776  # OperationalStatus[1] in Microsoft's own listing, in no document [src]
# What Hyper-V does to a guest, OperationalStatus[1]: 32768 to 32774 [doc], the others Microsoft's own listing [src].
ACTIVITIES = {
    32768: "a checkpoint is being created",
    32769: "a checkpoint is being applied",
    32770: "a checkpoint is being deleted",
    32771: "it waits to start",
    32772: "its disks are being merged",
    32773: "it is being exported",
    32774: "it is being migrated",
    32777: "it is being modified",
    32778: "its storage is being migrated",
    32779: "its storage is being migrated",
    32780: "a planned machine is being migrated",
    32781: "its compatibility is being checked",
}
# Of Hyper-V's own numbers those that tell how a guest fares, and nothing that is done to it [src]: an application in it,
# its integration services, SR-IOV, its disks.
_CONDITIONS = (*range(32782, 32791), 32795)
_HYPER_V = 32768  # from here on the numbers are Hyper-V's own [doc]
_LISTED = {BACKING_UP, *ACTIVITIES, *_CONDITIONS}
_SWITCHED_ON = 2  # EnabledState of a component [doc]
MOST_GUESTS = 4_096  # of one host: 1,024 run at most [doc: maximums of Hyper-V], and each may be asked several things
_CRITICAL, _NOT_CRITICAL = 25, (5, 20)  # HealthState [doc]
_CURRENT_SETTINGS = 3  # v1 SettingType: current, not a snapshot [doc]
_REALIZED = "Microsoft:Hyper-V:System:Realized"  # v2 VirtualSystemType [src]
VM_PARAMETERS = r"SOFTWARE\Microsoft\Virtual Machine\Guest\Parameters"


class Power(StrEnum):
    """What a virtual machine does, in words."""

    RUNNING = "running"
    OFF = "off"
    SAVED = "saved"
    PAUSED = "paused"
    FAST_SAVED = "fast saved"
    CHANGING = "starting or stopping"
    RUNNING_CRITICAL = "running (critical)"
    OFF_CRITICAL = "off (critical)"
    SAVED_CRITICAL = "saved (critical)"
    PAUSED_CRITICAL = "paused (critical)"
    CHANGING_CRITICAL = "starting or stopping (critical)"
    UNKNOWN = "in an unknown state"

    @property
    def runs(self) -> bool:
        """Whether it runs, well or not."""
        return self in RUNNING_STATES

    @property
    def is_critical(self) -> bool:
        """Whether Hyper-V cannot reach its files."""
        return self.value.endswith("(critical)")

    @property
    def is_at_rest(self) -> bool:
        """Whether it is known to hold no memory: off or saved."""
        return self in (Power.OFF, Power.SAVED, Power.FAST_SAVED, Power.OFF_CRITICAL, Power.SAVED_CRITICAL)


RUNNING_STATES = frozenset({Power.RUNNING, Power.RUNNING_CRITICAL})
# 11 and 32779 to 32792 are those of RequestStateChange, 2016 and later [doc]. Critical: Hyper-V cannot reach its files.
_POWER = {
    2: Power.RUNNING,
    3: Power.OFF,
    6: Power.SAVED,
    7: Power.SAVED,  # v1: "in test", which its page reads as saved
    9: Power.PAUSED,
    32768: Power.PAUSED,  # v1
    32769: Power.SAVED,  # v1
    32779: Power.FAST_SAVED,
    32781: Power.RUNNING_CRITICAL,
    32782: Power.OFF_CRITICAL,
    32784: Power.SAVED_CRITICAL,
    32785: Power.PAUSED_CRITICAL,
    32791: Power.SAVED_CRITICAL,  # fast saved
}
_POWER |= dict.fromkeys((4, 10, 11, 32770, 32771, 32773, 32774, 32776, 32777, 32780), Power.CHANGING)
_POWER |= dict.fromkeys((32783, 32786, 32787, 32788, 32789, 32790, 32792), Power.CHANGING_CRITICAL)


class Replication(IntEnum):
    """Msvm_ComputerSystem.ReplicationMode, 2012 and later [doc]."""

    NONE = 0
    PRIMARY = 1
    REPLICA = 2
    TEST_REPLICA = 3
    EXTENDED_REPLICA = 4

    @property
    def is_copy(self) -> bool:
        """Whether the machine is Hyper-V Replica's copy of one on another host, which bears the same id."""
        return self in _COPIES

    @property
    def word(self) -> str:
        """What it is called: "test replica"."""
        return self.name.lower().replace("_", " ")


_COPIES = (Replication.REPLICA, Replication.TEST_REPLICA, Replication.EXTENDED_REPLICA)
_REPLICATION = {mode.value: mode for mode in Replication}


@dataclass(frozen=True, slots=True)
class Guest:
    """A virtual machine as its host sees it.

    Attributes:
        vm_id: plain GUID, its identity. A replica has that of its primary.
        backing_up: whether a backup holds it now; None where its OperationalStatus was not told, and so no activity either.
        activities: what else Hyper-V does to it now, in words: "it is being exported".
        unlisted: numbers of activities that nobody lists.
        replication: its part in a replication; `NONE` where the host does not tell, None for a mode that is not listed.
        health: HealthState: 5 well, 20 major, 25 critical failure [doc]; None where it was not told.
    """

    vm_id: str
    name: str
    power: Power
    backing_up: bool | None = False
    activities: tuple[str, ...] = ()
    unlisted: tuple[int, ...] = ()
    replication: Replication | None = Replication.NONE
    health: int | None = None

    @property
    def is_copy(self) -> bool:
        """Whether it is a replica, and so no second machine."""
        return self.replication is not None and self.replication.is_copy

    @property
    def is_critical(self) -> bool | None:
        """Whether Hyper-V says that it is in a critical state; None where it tells neither power nor health in known words.

        The critical ones of EnabledState came with 2016; before, HealthState alone tells [doc].
        """
        if self.power.is_critical or self.health == _CRITICAL:
            return True
        return False if self.power is not Power.UNKNOWN and self.health in _NOT_CRITICAL else None


@dataclass(frozen=True, slots=True)
class HostedGuest:
    """A virtual machine with everything that is needed to ask it by its own name."""

    guest: Guest
    host: str
    told: KvpInfo
    bios: str


@dataclass(frozen=True, slots=True)
class HostGuests:
    """The virtual machines of one host, and what could not be read of them."""

    guests: tuple[HostedGuest, ...]
    failed: tuple[Unknown, ...] = ()


def namespace(node: Node) -> str:
    """Hyper-V's namespace on that node."""
    return "root/virtualization" if node.is_2008 else "root/virtualization/v2"


def virtual_machines(node: Node) -> Source[tuple[Guest, ...]]:
    """The question: every virtual machine of a node. The host itself is a row of that class too."""
    plain = ("Name", "ElementName", "EnabledState", "OperationalStatus", "HealthState")
    columns = plain if node.is_2008 else (*plain, "ReplicationMode")  # Replica came with 2012, and its column too [doc]
    query = Wql(node.name, namespace(node), "Msvm_ComputerSystem", columns)
    return Source(query, _read_guests, ("guest", lambda guests: [guest.name for guest in guests]))


def _read_guests(rows: Rows) -> tuple[Guest, ...]:
    """Virtual machines by name; the host's own row is left out: its Name is no GUID [cap].

    What cannot be read of one is unknown of that one alone. Raises CellError for a Name that is no text, or not told: without
    its key nobody can tell which machine a row is; and ValueError for more machines than any host has, or for no row at all.
    """
    if not rows:  # what an account without the right is told [mem]
        raise ValueError(
            "it lists no virtual machine and not even itself, which is what an account without permission sees"
        )
    if len(rows) > MOST_GUESTS:
        raise ValueError(f"it names {len(rows):,} virtual machines, and no host has more than {MOST_GUESTS:,}")
    guests = [
        Guest(
            vm_id=machine_id(row),
            name=readable(get_str, row, "ElementName") or get_str(row, "Name"),
            power=_POWER.get(readable(get_int, row, "EnabledState") or 0, Power.UNKNOWN),
            backing_up=BACKING_UP in status if (status := readable(get_ints, row, "OperationalStatus") or ()) else None,
            activities=tuple(ACTIVITIES[one] for one in status if one in ACTIVITIES),
            unlisted=tuple(one for one in status if one >= _HYPER_V and one not in _LISTED),
            replication=_replication(row),
            health=readable(get_int, row, "HealthState"),
        )
        for row in rows
        if machine_id(row)
    ]
    return tuple(sorted(guests, key=lambda guest: guest.name.casefold()))


def machine_id(row: Row) -> str:
    """The id of a row's virtual machine; "" for the host itself. Raises CellError where its Name tells neither."""
    name = get_str(row, "Name")
    if not name:
        raise CellError("Name", row.get("Name"))
    return guid(name)


def _replication(row: Row) -> Replication | None:
    """Its mode; `NONE` where the column is empty, as before 2012; None for one that is not listed or cannot be read."""
    try:
        return _REPLICATION.get(get_int(row, "ReplicationMode") or 0)
    except CellError:
        return None


def visible_systems(node: Node) -> Source[int]:
    """The question: how many rows of Hyper-V does the account see? The host itself is one of them.

    An account without the right sees an empty namespace rather than an error [mem], so rows are counted.
    """
    return Source(Wql(node.name, namespace(node), "Msvm_ComputerSystem", ("Name",)), len)


def kvp_exchange(node: Node) -> Source[dict[str, KvpInfo]]:
    """The question: what did each guest of a node say of itself?"""
    columns = ("SystemName", "GuestIntrinsicExchangeItems")
    return Source(Wql(node.name, namespace(node), "Msvm_KvpExchangeComponent", columns), _read_exchange)


async def look_at_guests(node: Node, ask: QueryClient) -> HostGuests | Unknown:
    """Ask one host for its virtual machines, their data exchange and their firmware ids, in one round."""
    guests, items, bios = await asyncio.gather(
        ask.query(virtual_machines(node)),
        ask.query(kvp_exchange(node)),
        ask.query(firmware_ids(node)),
    )
    if isinstance(guests, Unknown):
        return guests
    silent = KvpInfo(unread=items.why) if isinstance(items, Unknown) else KvpInfo()
    by_exchange = {} if isinstance(items, Unknown) else items.value
    by_bios = {} if isinstance(bios, Unknown) else bios.value
    hosted = tuple(
        HostedGuest(guest, node.name, by_exchange.get(guest.vm_id, silent), by_bios.get(guest.vm_id, ""))
        for guest in guests.value
    )
    return HostGuests(hosted, tuple(part for part in (items, bios) if isinstance(part, Unknown)))


def firmware_ids(node: Node) -> Source[dict[str, str]]:
    """The firmware id of every virtual machine; its own settings, not those of its snapshots."""
    if node.is_2008:
        current = (Predicate("SettingType", "=", _CURRENT_SETTINGS),)
        return Source(
            Wql(node.name, namespace(node), "Msvm_VirtualSystemSettingData", ("SystemName", "BIOSGUID"), current),
            _read_bios,
        )
    realized = (Predicate("VirtualSystemType", "=", _REALIZED),)
    columns = ("VirtualSystemIdentifier", "BIOSGUID")
    return Source(Wql(node.name, namespace(node), "Msvm_VirtualSystemSettingData", columns, realized), _read_bios)


def configuration_versions(node: Node) -> Source[dict[str, str]]:
    """The question: which version has each machine's configuration? VM id -> "5.0"; 2012 and later [doc]."""
    realized = (Predicate("VirtualSystemType", "=", _REALIZED),)
    columns = ("VirtualSystemIdentifier", "Version")
    return Source(Wql(node.name, namespace(node), "Msvm_VirtualSystemSettingData", columns, realized), _read_versions)


def shutdown_components(node: Node) -> Source[dict[str, str]]:
    """The question: by which component is each guest shut down? VM id -> DeviceID, one of its keys [doc]; 2012 and later."""
    columns = ("SystemName", "DeviceID", "EnabledState")
    return Source(Wql(node.name, namespace(node), "Msvm_ShutdownComponent", columns), _read_components)


def _read_versions(rows: Rows) -> dict[str, str]:
    """What was not told, or cannot be read, is left out."""
    told = {
        guid(readable(get_str, row, "VirtualSystemIdentifier") or ""): readable(get_str, row, "Version") for row in rows
    }
    return {vm_id: version for vm_id, version in told.items() if vm_id and version}


def _read_components(rows: Rows) -> dict[str, str]:
    """Those that are switched on; one that is off shuts nothing down."""
    found = {
        guid(readable(get_str, row, "SystemName") or ""): readable(get_str, row, "DeviceID") or ""
        for row in rows
        if readable(get_int, row, "EnabledState") == _SWITCHED_ON
    }
    return {vm_id: device for vm_id, device in found.items() if vm_id and device}


def _read_exchange(rows: Rows) -> dict[str, KvpInfo]:
    """VM id -> what the guest told; items that cannot be read are said of that guest alone."""
    return {guid(readable(get_str, row, "SystemName") or ""): _told_by(row) for row in rows}


def _told_by(row: Row) -> KvpInfo:
    items = readable(get_strs, row, "GuestIntrinsicExchangeItems")
    return KvpInfo(unread="its items cannot be read.") if items is None else kvp_info(read_items(items))


def _read_bios(rows: Rows) -> dict[str, str]:
    """VM id -> BIOS GUID, "" where it cannot be read: it proves nothing then."""
    found = {}
    for row in rows:
        named = readable(get_str, row, "VirtualSystemIdentifier") or readable(get_str, row, "SystemName") or ""
        found[guid(named)] = guid(readable(get_str, row, "BIOSGUID") or "")
    return found


def guest_identity(hosted: HostedGuest) -> Source[str]:
    """Which virtual machine does the guest believe to be? Written by integration services (2012 R2 and later [mem])."""
    guest = hosted.guest
    return Source(
        GuestRegistry(guest.name, hosted.told.fqdn, guest.vm_id, VM_PARAMETERS, ("VirtualMachineId",)), _read_identity
    )


def guest_firmware(hosted: HostedGuest) -> Source[str]:
    """The firmware id as the guest sees it: for guests whose integration services write no id."""
    guest = hosted.guest
    return Source(
        GuestWql(
            guest.name, hosted.told.fqdn, guest.vm_id, "root/cimv2", "Win32_ComputerSystemProduct", ("Name", "UUID")
        ),
        _read_firmware,
    )


def _read_identity(rows: Rows) -> str:
    """The VM id, or "". Raises CellError."""
    return guid(get_str(rows[0], "VirtualMachineId")) if rows else ""


def _read_firmware(rows: Rows) -> str:
    """The firmware id, or "". Raises CellError."""
    return guid(get_str(rows[0], "UUID")) if rows else ""


def same_machine(hosted: HostedGuest, vm_id: str, firmware: str) -> bool | None:
    """Whether the machine that answered is the one that was meant; None where nothing proves it either way."""
    if vm_id:
        return vm_id == hosted.guest.vm_id
    if identifies(firmware) and identifies(hosted.bios):
        return same_bios(firmware, hosted.bios)
    return None


def guests_by_id(parts: Iterable[HostGuests]) -> Mapping[str, HostedGuest]:
    """The virtual machines of many hosts by VM id; of two hosts that list one, as during a move, the one where it runs."""
    found: dict[str, HostedGuest] = {}
    for part in parts:
        for hosted in part.guests:
            seen = found.get(hosted.guest.vm_id)
            if seen is None or (hosted.guest.power.runs and not seen.guest.power.runs):
                found[hosted.guest.vm_id] = hosted
    return found

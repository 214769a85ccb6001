"""A node erased and reinstalled for UEFI: what has to be known before, and the steps of the field note, each done by a person.

The note's server (a Dell R810 with BIOS 2.7.4) was started through its Unified Server Configurator (F10); Setup made the
partitions of UEFI only after the disk had been cleaned and converted in the repair console, the server shut down, and F10
pressed again; setup started from X: did not [note]. The console counts disks by itself, and may see none of a controller
whose driver it lacks [seen: mdt-cleanup-harddrive-winpe #1, unattend-generator #355, PSD #66]: so the disk is known by its
serial number and size, which a person reads there and types. While the server is off, nothing is asked of it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from bot.api.actions import ManualStep, ReadBack, TypedField, can_be_typed
from bot.api.arguments import Target
from bot.api.facts import Unknown, value_of
from bot.api.host_names import NETBIOS, host_label
from bot.api.plan import Check, Expect, Gate, GateOutcome, GateText, Step, exists, missing
from bot.api.queries import Predicate, Registry, Wql
from bot.api.query_client import QueryClient
from commands.boot_layout.facts import HostBoot, find_host_boot
from commands.boot_layout.layout import Judged
from commands.formatting import format_size, join_names, pluralize
from commands.sources.boot_disks import Disk
from commands.sources.cluster import NAMESPACE, Group, cluster_groups, look_at_host, possibly_on
from commands.sources.guests import Guest, virtual_machines, visible_systems
from commands.sources.host_names import hosts_named
from commands.sources.nodes import NodeState, node_states
from commands.sources.services import Service, host_services

_ROLE = "operator"
_HOURS_FOR_A_PERSON = 8
_BACK = 1800  # seconds that a host has to answer once somebody says that it is back
_STORAGE = "root/Microsoft/Windows/Storage"
_CYLINDER = 16 * 2**20  # what `bot.tickets.read_back` lets a size differ by at least
_SAN = (6, 9)  # BusType: Fibre Channel, iSCSI [doc]
_SAN_WORDS = ("Fibre Channel", "iSCSI")
_EFI = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
_RESERVED = "e3c9e316-0b5c-4db8-817d-f92df00215ae"
_ANOTHER_DISK = (
    "Nothing was erased. The disk in the console is not the disk that Windows starts from. If the console lists only the"
    " installation medium, it lacks the driver of the disk controller: load it (drvload) and list the disks again. If it"
    " lists a shared disk, shut the server down and remove the SAN paths first. Press Stop After Step to end here."
)

_ANOTHER_SELECTED = (
    "Nothing was erased. Another disk is selected: select the right one and read it back, or press Stop After Step."
)


@dataclass(frozen=True, slots=True)
class RedeployFacts:
    """What has to be known before a host is erased.

    Attributes:
        boot: how it starts.
        nodes: of its cluster; None for a host that the inventory names alone.
        groups: the roles of its cluster.
        services: of the host itself: its own cluster service tells whether it takes itself for a node.
        guests: registered on it, running or not.
        visible: how many rows of Hyper-V the account sees: none at all is no right, not "no guest".
    """

    boot: HostBoot
    nodes: tuple[NodeState, ...] | Unknown | None
    groups: tuple[Group, ...] | Unknown
    services: tuple[Service, ...] | Unknown
    guests: tuple[Guest, ...] | Unknown
    visible: int | Unknown


async def find_redeploy_facts(target: Target, ask: QueryClient) -> RedeployFacts:
    """Ask the host for itself, and its cluster whether it still knows it."""
    on, cluster = target.name, target.cluster
    node = await look_at_host(on, ask)
    boot, services, guests, visible = await asyncio.gather(
        find_host_boot(on, ask),
        ask.query(host_services(on)),
        ask.query(virtual_machines(node)),
        ask.query(visible_systems(node)),
    )
    facts = RedeployFacts(boot, None, (), value_of(services), value_of(guests), value_of(visible))
    if not cluster:
        return facts
    nodes, groups = await asyncio.gather(ask.query(node_states(cluster)), ask.query(cluster_groups(cluster)))
    return replace(facts, nodes=value_of(nodes), groups=value_of(groups))


def member(on: str, facts: RedeployFacts) -> NodeState | None:
    """The node that it still is, as its cluster says; None where it is none, or nobody knows."""
    if facts.nodes is None or isinstance(facts.nodes, Unknown):
        return None
    named = {name.casefold() for name in hosts_named(on, [one.name for one in facts.nodes])}
    return next((one for one in facts.nodes if one.name.casefold() in named | {on.casefold()}), None)


def gates(target: Target, facts: RedeployFacts, judged: Judged) -> tuple[Gate, ...]:
    """All of them must be known: nobody's word stands for a host that is erased."""
    return (
        _evicted(target, facts),
        _own_service(target.name, facts.services),
        *(
            (_no_role(target, facts),) if facts.nodes is not None else ()
        ),  # nobody was asked for the roles of no cluster
        _no_guest(target.name, facts),
        _disk_is_known(target.name, judged.disk),
        _serial_is_unique(target.name, judged.disk, facts.boot),
        _no_shared_boot(target.name, judged.disk),
    )


def _gate(
    says: GateText,
    outcome: bool | None,  # noqa: FBT001 - as of GateOutcome.of
    measured: str,
    *facts: object,
    about: str = "",
) -> Gate:
    unknowns = missing(about, *facts) if outcome is None else ()
    return Gate.of(says, GateOutcome.of(outcome), measured, unknowns=unknowns, answerable=False)


def _evicted(target: Target, facts: RedeployFacts) -> Gate:
    """Drained and evicted: its cluster lists its nodes, and this is none of them."""
    on = target.name
    if facts.nodes is None:
        alone = GateText(
            f"{on} is a standalone host in the inventory",
            f"{on} is not a standalone host in the inventory",
            f"It is not known whether {on} is a standalone host",
        )
        listed = "below [hosts]; no cluster was asked for it, nor will one be before its disk is erased"
        return _gate(alone, True, listed)
    says = GateText(
        f"{on} is drained and evicted from {target.cluster}",
        f"{on} is not evicted from {target.cluster}",
        f"It is not known whether {on} is drained and evicted from {target.cluster}",
    )
    if isinstance(facts.nodes, Unknown):
        return _gate(says, None, f"not known: {facts.nodes.why.rstrip('.')}", facts.nodes, about="nodes")
    found = member(on, facts)
    if found is None:
        return _gate(says, True, f"{target.cluster} lists {join_names(one.name for one in facts.nodes)}")
    first = (
        "it is drained; evict it in Failover Cluster Manager" if found.is_drained else "drain it first, then evict it"
    )
    return _gate(says, False, f"{on} is still a cluster node ({found.word}): {first}")


def _own_service(on: str, services: tuple[Service, ...] | Unknown) -> Gate:
    """A node whose cluster service is only stopped still has its cluster's configuration: eviction disables it [mem]."""
    says = GateText(
        f"{on} is no longer a cluster node",
        f"{on} still has the cluster service of a node; evict it first",
        f"It is not known whether {on} still is a cluster node",
    )
    if isinstance(services, Unknown):
        return _gate(says, None, f"not known: {services.why.rstrip('.')}", services, about="services")
    if not services:
        why = Unknown(on, "bad reply", "It lists no service at all.")
        return _gate(says, None, "not known: it lists no service at all", why, about="services")
    own = next((one for one in services if one.name.casefold() == "clussvc"), None)
    if own is None:
        return _gate(says, True, "it has no cluster service")
    is_off = own.state == "Stopped" and own.start_mode == "Disabled"
    return _gate(says, is_off, f"the cluster service of {on} is {own.state}, startup {own.start_mode or 'not told'}")


def _no_role(target: Target, facts: RedeployFacts) -> Gate:
    says = GateText(
        f"No cluster role is on {target.name}",
        f"Cluster roles are on {target.name}",
        f"It is not known whether cluster roles are on {target.name}",
    )
    if isinstance(facts.groups, Unknown):
        return _gate(says, None, f"not known: {facts.groups.why.rstrip('.')}", facts.groups, about="roles")
    owned = possibly_on(target.name, facts.groups)
    return _gate(says, not owned, join_names(one.shown for one in owned))


def _no_guest(on: str, facts: RedeployFacts) -> Gate:
    """Also none that is off: its disks may be on the disk that is erased."""
    says = GateText(
        f"No virtual machine is registered on {on}, running or not",
        f"Virtual machines are registered on {on}",
        f"It is not known whether virtual machines are registered on {on}",
    )
    for part in (facts.guests, facts.visible):
        if isinstance(part, Unknown):
            return _gate(says, None, f"not known: {part.why.rstrip('.')}", part, about="virtual machines")
    assert not isinstance(facts.guests, Unknown)
    if not facts.visible:
        why = Unknown(on, "refused", "Hyper-V shows this account nothing, not even the host itself.")
        return _gate(says, None, f"not known: {why.why.rstrip('.')}", why, about="virtual machines")
    return _gate(says, not facts.guests, join_names(one.name for one in facts.guests))


def _disk_is_known(on: str, disk: Disk) -> Gate:
    """The serial number and the size are what the person compares: without them nothing tells the disk from another."""
    says = GateText(
        f"Serial number and size of the boot disk of {on} are known",
        f"Serial number and size of the boot disk of {on} are not known",
        f"Serial number and size of the boot disk of {on} are not known",
    )
    is_serial = can_be_typed(disk.serial)
    known = bool(disk.size) and is_serial
    says_why = "Windows does not tell both of its disk."
    if disk.serial.strip() and not is_serial:
        says_why = "The serial number that Windows tells has no letter or digit, or some outside of ASCII: nobody can compare it."
    why = Unknown(on, "bad reply", says_why)
    measured = f"{disk.serial}, {format_size(disk.size or 0)}" if known else why.why
    return _gate(says, True if known else None, measured, why, about="serial number and size of the disk")


def _serial_is_unique(on: str, disk: Disk, boot: HostBoot) -> Gate:
    """Controllers give several disks one number, or none but zeros: whoever reads it back then proves nothing."""
    says = GateText(
        f"No other disk that {on} sees has that serial number",
        f"Another disk that {on} sees has the same serial number",
        f"It is not known whether another disk that {on} sees has that serial number",
    )
    if isinstance(boot.disks, Unknown):
        return _gate(says, None, boot.disks.why, boot.disks, about="serial numbers of its other disks")
    same = [
        one.number for one in boot.disks if one.number != disk.number and _bare(one.serial) == _bare(disk.serial) != ""
    ]
    measured = f"disk {join_names(map(str, same))} has {disk.serial} as well" if same else ""
    return _gate(says, not same, measured)


def _bare(serial: str) -> str:
    return "".join(filter(str.isalnum, serial.casefold()))


def _no_shared_boot(on: str, disk: Disk) -> Gate:
    """A server that starts from the SAN, or from a disk that a cluster uses, is not the note's case."""
    says = GateText(
        f"The boot disk of {on} is not on a SAN and not a cluster disk",
        f"The boot disk of {on} is on a SAN or is a cluster disk",
        f"It is not known whether the boot disk of {on} is on a SAN or is a cluster disk",
    )
    if disk.is_clustered or disk.bus in _SAN_WORDS:
        return _gate(says, False, f"it is a shared disk ({disk.bus or 'of a cluster'})")
    why = Unknown(on, "bad reply", "Windows does not tell how that disk is attached.")
    known = disk.is_clustered is False and bool(disk.bus)
    return _gate(says, True if known else None, f"on {disk.bus}" if known else why.why, why, about="bus of the disk")


def steps(target: Target, judged: Judged) -> tuple[Step, ...]:
    """The field note, in the order of the console."""
    on, disk = target.name, judged.disk
    size = format_size(disk.size or 0)
    what = f"serial number {disk.serial}, {size}"
    sized = TypedField("Size of the disk", "size", str(disk.size), size)
    return (
        _by_hand(
            "san-paths",
            f"Remove the SAN paths of {on}",
            f"Unmap every LUN from {on} on the storage, or unplug its Fibre Channel and iSCSI ports, and keep it that way until"
            " Windows is installed. hvops then looks for shared disks; it cannot tell SAS arrays from local disks, so check"
            " for those yourself.",
            (_no_san(on),),
        ),
        _by_hand(
            "console",
            f"Boot {on} into the repair console",
            "Shut it down, start it, press F10 for System Services, choose OS Deployment, Deploy OS, go directly to OS"
            " Deployment, choose the Windows and UEFI mode (not asked where UEFI is set already), insert the medium and"
            " finish. In Windows Setup choose language and keyboard, Next, then STOP: choose Repair your computer and open"
            " the command prompt. From now on the server does not answer; that is expected.",
        ),
        Step(
            "find-disk",
            f"Find the disk of {on} in the repair console",
            ReadBack(
                "Open a second window (“start cmd”) first. Run “diskpart” in one, then “list disk”. In the other, run “wmic"
                " diskdrive get Index,Model,SerialNumber,Size” (or see the controller's own screen). The console numbers"
                " disks its own way: go by serial number and size, never by the number that Windows showed. Erase nothing"
                " yet.",
                _ROLE,
                (TypedField("Serial number of the disk", "text", disk.serial), sized, _NUMBER),
                _ANOTHER_DISK,
            ),
            (),
            deadline=_HOURS_FOR_A_PERSON * 3600,
        ),
        Step(
            "select-disk",
            "Select that disk in diskpart, and compare it once more",
            ReadBack(
                "In the diskpart window: “select disk” with the number that you typed, then “list disk” (the asterisk marks"
                " the selected disk) and “detail disk”, which must list no volume of a cluster. In the other window, read"
                " the serial number once more, with that number: “wmic diskdrive where Index=… get SerialNumber,Size”.",
                _ROLE,
                (TypedField("Serial number of the selected disk", "text", disk.serial), sized, _NUMBER),
                _ANOTHER_SELECTED,
            ),
            (),
            deadline=_HOURS_FOR_A_PERSON * 3600,
        ),
        replace(
            _by_hand(
                "erase",
                f"Erase that disk and make it GPT ({what})",
                "In the diskpart window, with that disk selected: “clean”, then “convert gpt”, then “exit”. This erases Windows.",
            ),
            guard=_still_evicted(target),
        ),
        _by_hand(
            "shut-down",
            f"Leave the console and shut {on} down",
            "Close both windows and shut the server down. Do NOT change to X: and start setup again from there.",
        ),
        _by_hand(
            "install",
            "Install Windows through F10",
            "Start the server, press F10 for System Services, and then don't touch anything: it takes longer than"
            " expected, then Windows Setup starts again. Install Now, Custom; select the unallocated space, New, the size, Apply,"
            " OK (Setup adds the partitions of UEFI), select the new large partition, Next. Set the administrator's"
            " password.",
        ),
        _by_hand(
            "answers",
            f"Bring {on} back: network, name, domain, WinRM",
            f"Give it the name {on} and its old address, join the domain, give hvops' logins their rights, and turn on"
            " WinRM. Then press Done: hvops checks how it starts. Reconnect the SAN only after that.",
            _laid_out(on),
        ),
    )


_NUMBER = TypedField("Number of the disk in the console", "number")


def _by_hand(key: str, description: str, says: str, done: tuple[Check, ...] = ()) -> Step:
    return Step(key, description, ManualStep(says, _ROLE), done, deadline=_HOURS_FOR_A_PERSON * 3600)


def other_disks(boot: HostBoot, disk: Disk) -> str:
    """How many other disks Windows sees now: a measurement, for people alone."""
    if isinstance(boot.disks, Unknown):
        return ""
    others = [one for one in boot.disks if one.number != disk.number]
    shared = [one for one in others if one.is_clustered or one.bus in _SAN_WORDS]
    return f" It sees {pluralize(len(others), 'other disk')} now, {len(shared)} of them shared." if others else ""


def _no_san(on: str) -> Check:
    """A list without any disk, or with one whose bus is not told, is no knowledge: accounts without a right see none."""
    query = Wql(on, _STORAGE, "MSFT_Disk", ("Number", "FriendlyName", "BusType"))
    none = Expect((Predicate("BusType", "in", _SAN),), at_least=0, at_most=0)
    told = Expect(each=(Predicate("BusType", "is not null"),))
    return Check(query, (none, told), within=120, every=10).described_as(f"{on} sees no Fibre Channel or iSCSI disk")


def _still_evicted(target: Target) -> tuple[Check, ...]:
    """Asked of the cluster just before the disk is erased: the host itself is silent.

    The list has to name its nodes, every one; with its domain, or cut as NetBIOS cuts it, the host is still itself.
    """
    if not target.cluster:
        return ()
    query = Wql(target.cluster, NAMESPACE, "MSCluster_Node", ("Name",))
    label = host_label(target.name)
    names = dict.fromkeys((label, label[:NETBIOS]))
    patterns = [f"{label}.%", *([f"{label}%"] if len(label) == NETBIOS else [])]
    terms = [Predicate("Name", "in", tuple(names)), *(Predicate("Name", "like", one) for one in patterns)]
    absent = (Expect((term,), at_least=0, at_most=0) for term in (*terms, Predicate("Name", "=", "")))
    check = Check(query, (*absent, Expect(each=(Predicate("Name", "is not null"),))))
    return (check.described_as(f"{target.name} is no longer a node of {target.cluster}"),)


def _laid_out(on: str) -> tuple[Check, ...]:
    """UEFI started it from a GPT disk with both partitions. Silence is expected until it is back.

    It is this host that has to say so: somebody has just given the address and the name by hand. Its EFI partition is the
    one that started it (IsSystem [doc]), and none of another disk.
    """
    label = host_label(on)
    itself = Wql(on, "root/cimv2", "Win32_ComputerSystem", ("Name",))
    disks = Wql(on, _STORAGE, "MSFT_Disk", ("Number", "PartitionStyle", "IsBoot"))
    parts = Wql(on, _STORAGE, "MSFT_Partition", ("DiskNumber", "PartitionNumber", "GptType", "IsSystem"))
    control = Registry(on, r"SYSTEM\CurrentControlSet\Control", ("PEFirmwareType",))
    return (
        _waits(
            exists(
                itself, Predicate("Name", "in", tuple(dict.fromkeys((label, label[:NETBIOS])))), within=_BACK, every=15
            ),
            f"the host that answers calls itself {label}",
        ),
        _waits(exists(control, Predicate("PEFirmwareType", "=", 2), within=_BACK, every=15), f"UEFI started {on}"),
        _waits(
            exists(disks, Predicate("IsBoot", "=", True), Predicate("PartitionStyle", "=", 2), within=_BACK, every=15),
            f"{on} runs from a GPT disk",
        ),
        *(
            _waits(
                exists(parts, Predicate("GptType", "in", (f"{{{kind}}}", kind)), *more, within=_BACK, every=15),
                f"{on} has {name}",
            )
            for kind, name, *more in (
                (_EFI, "an EFI partition that it started from", Predicate("IsSystem", "=", True)),
                (_RESERVED, "a reserved partition"),
            )
        ),
    )


def _waits(check: Check, says: str) -> Check:
    return replace(check, silence="wait", description=says)

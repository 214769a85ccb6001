r"""What binds a guest to its host: devices, disks, files and keys that another host need not have.

One question for each class and host, joined by VM id: InstanceID is "Microsoft:<VM id>\…" of a guest's own settings, and
"Microsoft:Definition\…" of templates, which are left out [cap, src]. Settings of snapshots carry the snapshot's id.

Which Windows has which class: their pages [doc], Msvm_GpuPartitionSettingData came later than its page says [mem]. RemoteFX
was removed in April 2021 [doc]. A class that this Windows does not have is no bond there; one that it should have is
not known.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bot.api.facts import Unknown, value_of, values_of
from bot.api.queries import Predicate, Registry, Wql
from bot.api.query_client import QueryClient
from bot.api.rows import CellError, Row, Rows, get_bool, get_str, get_strs
from bot.api.sources import Source
from commands.sources.cluster import NAMESPACE as CLUSTER
from commands.sources.cluster import Node
from commands.sources.guests import namespace
from commands.sources.identity import guid

BUILD_2016, BUILD_2022, BUILD_2025 = 14393, 20348, 26100
_INSTANCE = re.compile(r"Microsoft:([0-9A-Fa-f-]{36})(?:\\|$)")
_MODEL = re.compile(r"VEN_[0-9A-F]{4}&DEV_[0-9A-F]{4}")  # [doc: identifiers for PCI devices]
_PHYSICAL = "Microsoft:Hyper-V:Physical%"  # disks and drives of the host [src]
_DISC = "Microsoft:Hyper-V:Virtual CD/DVD Disk"
# Cert:\LocalMachine\Shielded VM Local Certificates, where the keys of a local guardian are [doc]; a system store's place [doc].
_KEYS = r"SOFTWARE\Microsoft\SystemCertificates\Shielded VM Local Certificates\Certificates"


class BondKind(StrEnum):
    """What binds, in words."""

    DEVICE = "assigned device"
    GPU_PARTITION = "GPU partition"
    REMOTE_FX = "RemoteFX adapter"
    DISK = "physical disk of the host"
    DISC = "ISO file on the host"
    TPM = "virtual TPM"


# kind -> the builds of Windows that have its class: from, and until but not with
_HAVE = {
    BondKind.DEVICE: (BUILD_2016, None),
    BondKind.GPU_PARTITION: (BUILD_2022, None),
    BondKind.REMOTE_FX: (0, BUILD_2022),
    BondKind.DISK: (0, None),
    BondKind.DISC: (0, None),
    BondKind.TPM: (BUILD_2016, None),
}


@dataclass(frozen=True, slots=True)
class Bond:
    """One thing that binds a guest.

    Attributes:
        vm_id: of the guest, or of a snapshot.
        detail: the path of an ISO file; "" where there is nothing to tell.
    """

    vm_id: str
    kind: BondKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Bonds:
    """What binds the guests on one host.

    Attributes:
        found: all of it, of snapshots too.
        silent: kind -> why nothing is known of it.
        roles_with_disks: roles of the host that hold a disk of the cluster, in lower case; asked only where a guest has a
            physical disk.
        keys: host -> certificates of its local guardians; asked only where a guest has a virtual TPM.
        gpus: host -> models of its GPUs that can be partitioned ("VEN_10DE&DEV_25B6"), the guests' own host first; asked
            only where a guest has such a partition.
    """

    found: tuple[Bond, ...] = ()
    silent: Mapping[BondKind, Unknown] = field(default_factory=dict)
    roles_with_disks: frozenset[str] | Unknown = frozenset()
    keys: Mapping[str, frozenset[str] | Unknown] = field(default_factory=dict)
    gpus: Mapping[str, frozenset[str] | Unknown] = field(default_factory=dict)


def bonds_of_kind(node: Node, kind: BondKind) -> Source[tuple[Bond, ...]]:
    """The question: which guests of a node have such a thing?"""
    return _QUESTIONS[kind](node)


def guardian_keys(on: str) -> Source[frozenset[str]]:
    """The question: which certificates of local guardians does a host have? By thumbprint; none where there is no store."""
    return Source(Registry(on, _KEYS), _read_keys)


def partitionable_gpus(on: str) -> Source[frozenset[str]]:
    """The question: which models of GPUs that can be partitioned does a host have? Msvm_PartitionableGpu.Name [doc]."""
    return Source(Wql(on, "root/virtualization/v2", "Msvm_PartitionableGpu", ("Name",)), _read_gpus)


def roles_with_disks(on: str, node: str) -> Source[frozenset[str]]:
    """The question: which roles of a node hold a disk of the cluster?"""
    disks = (Predicate("Type", "=", "Physical Disk"), Predicate("OwnerNode", "=", node))
    return Source(Wql(on, CLUSTER, "MSCluster_Resource", ("Name", "Type", "OwnerGroup"), disks), _read_roles)


async def find_bonds(on: str, node: Node, others: Sequence[str], ask: QueryClient) -> Bonds:
    """Ask one node for all that binds its guests, and only where it matters the cluster and other nodes.

    Args:
        on: the cluster.
        node: whose guests are to leave.
        others: nodes that could take them.
        ask: for all of it.
    """
    told = await ask.query_many({kind: bonds_of_kind(node, kind) for kind in BondKind})
    silent = {
        kind: part for kind, part in told.items() if isinstance(part, Unknown) and not _is_too_old(kind, node, part)
    }
    found = tuple(bond for part in told.values() if not isinstance(part, Unknown) for bond in part.value)
    kinds = {bond.kind for bond in found}
    disks, keys, gpus = await asyncio.gather(
        _disks(on, node, ask, wanted=BondKind.DISK in kinds),
        _keys(node, others, ask, wanted=BondKind.TPM in kinds),
        _gpus(node, others, ask, wanted=BondKind.GPU_PARTITION in kinds),
    )
    return Bonds(found, silent, disks, keys, gpus)


async def _disks(on: str, node: Node, ask: QueryClient, *, wanted: bool) -> frozenset[str] | Unknown:
    return value_of(await ask.query(roles_with_disks(on, node.name))) if wanted else frozenset()


async def _keys(
    node: Node, others: Sequence[str], ask: QueryClient, *, wanted: bool
) -> dict[str, frozenset[str] | Unknown]:
    return values_of(await ask.query_many({on: guardian_keys(on) for on in (node.name, *others)})) if wanted else {}


async def _gpus(
    node: Node, others: Sequence[str], ask: QueryClient, *, wanted: bool
) -> dict[str, frozenset[str] | Unknown]:
    if not wanted or node.build is None or node.build < BUILD_2025:
        return {}  # before, no other GPU helps
    return values_of(await ask.query_many({on: partitionable_gpus(on) for on in (node.name, *others)}))


def _is_too_old(kind: BondKind, node: Node, why: Unknown) -> bool:
    """Whether the class is absent because this Windows has no such thing."""
    since, until = _HAVE[kind]
    if why.kind != "absent" or node.build is None:
        return False
    return node.build < since or (until is not None and node.build >= until)


def _settings(node: Node, cls: str, columns: tuple[str, ...], *where: Predicate) -> Wql:
    return Wql(node.name, namespace(node), cls, ("InstanceID", *columns), where)


def _devices(node: Node) -> Source[tuple[Bond, ...]]:
    """Discrete device assignment: a guest's PCI Express settings."""
    return Source(_settings(node, "Msvm_PciExpressSettingData", ()), lambda rows: _read_plain(rows, BondKind.DEVICE))


def _gpu_partitions(node: Node) -> Source[tuple[Bond, ...]]:
    query = _settings(node, "Msvm_GpuPartitionSettingData", ())
    return Source(query, lambda rows: _read_plain(rows, BondKind.GPU_PARTITION))


def _remote_fx(node: Node) -> Source[tuple[Bond, ...]]:
    query = _settings(node, "Msvm_Synthetic3DDisplayControllerSettingData", ())
    return Source(query, lambda rows: _read_plain(rows, BondKind.REMOTE_FX))


def _disks_of_host(node: Node) -> Source[tuple[Bond, ...]]:
    physical = Predicate("ResourceSubType", "like", _PHYSICAL)
    query = _settings(node, "Msvm_ResourceAllocationSettingData", ("ResourceSubType", "HostResource"), physical)
    return Source(query, _read_disks)


def _discs(node: Node) -> Source[tuple[Bond, ...]]:
    disc = Predicate("ResourceSubType", "=", _DISC)
    query = _settings(node, "Msvm_StorageAllocationSettingData", ("ResourceSubType", "HostResource"), disc)
    return Source(query, _read_discs)


def _tpms(node: Node) -> Source[tuple[Bond, ...]]:
    return Source(_settings(node, "Msvm_SecuritySettingData", ("TpmEnabled",)), _read_tpms)


_QUESTIONS = {
    BondKind.DEVICE: _devices,
    BondKind.GPU_PARTITION: _gpu_partitions,
    BondKind.REMOTE_FX: _remote_fx,
    BondKind.DISK: _disks_of_host,
    BondKind.DISC: _discs,
    BondKind.TPM: _tpms,
}


def _vm_id(row: Row) -> str:
    """Whose setting it is; "" for a template. Raises CellError where it is not told."""
    instance = get_str(row, "InstanceID")
    if not instance:
        raise CellError("InstanceID", row.get("InstanceID"))
    found = _INSTANCE.match(instance)
    return guid(found[1]) if found else ""


def _read_plain(rows: Rows, kind: BondKind) -> tuple[Bond, ...]:
    """One bond a row. Raises CellError."""
    return tuple(Bond(vm_id, kind) for row in rows if (vm_id := _vm_id(row)))


def _read_disks(rows: Rows) -> tuple[Bond, ...]:
    """Drives without a disk of the host are none. Raises CellError."""
    return tuple(
        Bond(vm_id, BondKind.DISK, get_str(row, "ResourceSubType").rpartition(":")[2])
        for row in rows
        if (vm_id := _vm_id(row)) and any(get_strs(row, "HostResource"))
    )


def _read_discs(rows: Rows) -> tuple[Bond, ...]:
    """Discs from a file that only this host has: neither on a shared volume nor on a share. Raises CellError."""
    return tuple(
        Bond(vm_id, BondKind.DISC, path)
        for row in rows
        if (vm_id := _vm_id(row))
        for path in get_strs(row, "HostResource")
        if path and not is_shared(path)
    )


def _read_tpms(rows: Rows) -> tuple[Bond, ...]:
    """Raises CellError."""
    return tuple(Bond(vm_id, BondKind.TPM) for row in rows if (vm_id := _vm_id(row)) and get_bool(row, "TpmEnabled"))


def _read_keys(rows: Rows) -> frozenset[str]:
    """Thumbprints, in upper case. Raises CellError."""
    return frozenset(name.upper() for name in get_strs(rows[0], "subkeys")) if rows else frozenset()


def _read_gpus(rows: Rows) -> frozenset[str]:
    r"""Vendor and device of each, out of the path of its device interface: "\\?\PCI#VEN_10DE&DEV_25B6&…". Raises CellError."""
    found = set()
    for row in rows:
        model = _MODEL.search(get_str(row, "Name").upper())
        if model is None:
            raise CellError("Name", row.get("Name"))
        found.add(model[0])
    return frozenset(found)


def _read_roles(rows: Rows) -> frozenset[str]:
    """Roles in lower case; what is no disk is left out. Raises CellError."""
    return frozenset(get_str(row, "OwnerGroup").casefold() for row in rows if get_str(row, "Type") == "Physical Disk")


def is_shared(path: str) -> bool:
    r"""Whether every node sees a file: on a shared volume (C:\ClusterStorage\…) or on a share (\\server\…)."""
    plain = path.casefold().replace("/", "\\")
    plain = plain.replace("\\\\?\\unc\\", "\\\\", 1).replace("\\\\?\\", "", 1)
    return plain.startswith("\\\\") or plain[1:].startswith(":\\clusterstorage\\")

"""Builds, updates and pending reboots of a Windows host.

Win32_QuickFixEngineering lists updates of Component Based Servicing only [doc]: an update that is not listed may be
there all the same, so "not listed" is never "not installed". The update revision (UBR) of cumulative systems stands
in the registry [mem]; 2008 R2 has none. A server is enrolled for hotpatches where the enrollment package, HotPatchTableSize
and virtualization-based security are all there [src: a scanner's published code; the last one also doc]: no page says
what their absence means.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from bot.api.facts import Unknown, value_of, values_of
from bot.api.queries import Predicate, Registry, Wql
from bot.api.query_client import QueryClient
from bot.api.rows import CellError, Rows, get_build, get_int, get_str, get_strs
from bot.api.sources import Source
from commands.sources.cluster import Node
from commands.sources.scsi_disks import DISK_TYPES, machine_of, on_scsi

_KB = re.compile(r"KB[0-9]{5,8}(-v[0-9]{1,3})?", re.IGNORECASE | re.ASCII)
_CURRENT_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_SERVICING = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"
_AUTO_UPDATE = r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update"
_ENROLLMENT = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\Update\TargetingInfo\DynamicInstalled\Hotpatch.amd64"
_ENROLLED = "Hotpatch Enrollment Package"
_MEMORY = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management"
_SECURITY = "EnableVirtualizationBasedSecurity"
_DEVICE_GUARD = r"SYSTEM\CurrentControlSet\Control\DeviceGuard"
BY_SERVICING, BY_UPDATE = "servicing", "Windows Update"  # who wants a restart
_CUMULATIVE = 14393


@dataclass(frozen=True, slots=True)
class Build:
    """Which Windows a node runs.

    Attributes:
        number: 7601 for 2008 R2 SP1, 14393 for 2016.
        revision: the UBR; None where the system has none.
    """

    number: int
    revision: int | None

    @property
    def is_cumulative(self) -> bool:
        """Whether number and revision say its level, whatever is listed: from 2016 on [doc]."""
        return self.number >= _CUMULATIVE

    def __str__(self) -> str:
        """As `winver` shows it: "14393.6897"; a system without revisions shows its build alone."""
        return str(self.number) if self.revision is None else f"{self.number}.{self.revision}"


@dataclass(frozen=True, slots=True)
class NodeUpdates:
    """What one node says of its updates.

    Attributes:
        listed: the updates it lists, "KB2616676" or "KB2616676-v2".
        reboot_for: whose flag wants a restart, however old it is; () for none.
        failed: what could not be read beside it.
    """

    build: Build
    listed: frozenset[str]
    reboot_for: tuple[str, ...]
    failed: tuple[Unknown, ...] = ()


def windows_build(on: str) -> Source[Build]:
    """The question: which build and update revision does a host run?"""
    return Source(Registry(on, _CURRENT_VERSION, ("CurrentBuildNumber", "UBR")), _read_build)


def listed_updates(on: str) -> Source[frozenset[str]]:
    """The question: which updates does a host list?"""
    return Source(Wql(on, "root/cimv2", "Win32_QuickFixEngineering", ("HotFixID",)), _read_listed)


def registry_subkeys(on: str, key: str) -> Source[frozenset[str]]:
    """The question: which subkeys has a key?"""
    return Source(Registry(on, key), _read_subkeys)


async def look_at_updates(nodes: Iterable[Node], ask: QueryClient) -> dict[str, NodeUpdates | Unknown]:
    """Ask every node for build, updates and pending reboots, in one round."""
    names = [node.name for node in nodes]
    builds, listed, servicing, automatic = await asyncio.gather(
        ask.query_many({on: windows_build(on) for on in names}),
        ask.query_many({on: listed_updates(on) for on in names}),
        ask.query_many({on: registry_subkeys(on, _SERVICING) for on in names}),
        ask.query_many({on: registry_subkeys(on, _AUTO_UPDATE) for on in names}),
    )
    return {
        on: _node(on, value_of(builds[on]), value_of(listed[on]), value_of(servicing[on]), value_of(automatic[on]))
        for on in names
    }


async def look_at_tracks(names: Iterable[str], ask: QueryClient) -> dict[str, bool | None]:
    """Whether hosts are enrolled for hotpatches: True, or None where that is not known. Nothing says that one is not."""
    questions = {
        (name, key): Source(Registry(name, key, (value,)), partial(_read_value, value))
        for name in names
        for key, value in ((_ENROLLMENT, "Name"), (_MEMORY, "HotPatchTableSize"), (_DEVICE_GUARD, _SECURITY))
    }
    told = values_of(await ask.query_many(questions)) if questions else {}
    return {
        name: True
        if told[name, _ENROLLMENT] == _ENROLLED and _is_set(told[name, _MEMORY]) and told[name, _DEVICE_GUARD] == "1"
        else None
        for name in dict.fromkeys(name for name, _ in questions)
    }


def _is_set(told: str | Unknown) -> bool:
    return not isinstance(told, Unknown) and told.strip() not in ("", "0")


def _read_value(name: str, rows: Rows) -> str:
    """One value as text, "" where there is none. Raises CellError."""
    return get_str(rows[0], name) if rows else ""


def _node(
    on: str,
    build: Build | Unknown,
    listed: frozenset[str] | Unknown,
    servicing: frozenset[str] | Unknown,
    automatic: frozenset[str] | Unknown,
) -> NodeUpdates | Unknown:
    """A node without its build or its list cannot be compared; the reboot keys may be missing alone."""
    if isinstance(build, Unknown):
        return build
    if build.is_cumulative and build.revision is None:
        return Unknown(on, "bad reply", f"it runs build {build.number} and tells no update revision (UBR).")
    if isinstance(listed, Unknown):
        return listed
    wants = (
        (BY_SERVICING, servicing, "rebootpending"),
        (BY_UPDATE, automatic, "rebootrequired"),
    )
    failed = tuple(part for part in (servicing, automatic) if isinstance(part, Unknown))
    reboot_for = tuple(why for why, keys, key in wants if not isinstance(keys, Unknown) and key in keys)
    return NodeUpdates(build, listed, reboot_for, failed)


def _read_build(rows: Rows) -> Build:
    """The build out of one registry row. Raises CellError where there is no build number."""
    row: Mapping[str, object] = rows[0] if rows else {}
    build = get_build(row, "CurrentBuildNumber")
    if build is None:
        raise CellError("CurrentBuildNumber", None)
    return Build(build, get_int(row, "UBR"))


def _read_listed(rows: Rows) -> frozenset[str]:
    """The update numbers; other rows ("File 1", service packs) are left out. Raises CellError."""
    ids = (get_str(row, "HotFixID").strip() for row in rows)
    return frozenset(_plain(one) for one in ids if _KB.fullmatch(one))


def _read_subkeys(rows: Rows) -> frozenset[str]:
    """The names of a key's subkeys in lower case; none where there is no such key. Raises CellError."""
    return frozenset(name.casefold() for name in get_strs(rows[0], "subkeys")) if rows else frozenset()


def _plain(kb: str) -> str:
    head, dash, tail = kb.partition("-")
    return f"{head.upper()}{dash}{tail.lower()}"


def scsi_guests(node: Node) -> Source[frozenset[str]]:
    """The question: controllers, drives and disks of a 2008 R2 node's guests (v1 namespace)."""
    columns = ("InstanceID", "ResourceSubType", "Parent")
    kinds = (Predicate("ResourceSubType", "in", DISK_TYPES),)
    return Source(
        Wql(node.name, "root/virtualization", "Msvm_ResourceAllocationSettingData", columns, kinds), _read_scsi_guests
    )


def _read_scsi_guests(rows: Rows) -> frozenset[str]:
    """The ids of virtual machines with a virtual disk on a SCSI controller. Whether a disk is dynamic is not in these settings.

    Raises CellError for what does not tell its id or kind, or of whom it is a part.
    """
    return frozenset(map(machine_of, on_scsi(rows))) - {""}

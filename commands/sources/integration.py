r"""Integration services of guests, as their hosts see them: versions, components, and what a host expects.

A component's OperationalStatus: 2 well, 3 degraded (an older version was negotiated, and works), 7 no compatible version, 12
no contact, 13 lost communication, 32775 protocol mismatch [doc Msvm_HeartbeatComponent and its neighbours]. EnabledState 3 is
off, in the settings of the virtual machine [doc]. The expected versions stand in the registry of the host: under
GuestInstaller\Version, on 2008 R2 in GuestInstaller itself, by names that differ [src: published scripts]; hosts from 2016 on
have none, or one that is about themselves [src].
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.api.queries import Registry, Wql
from bot.api.rows import Row, Rows, get_int, get_ints, get_str, get_strs, readable
from bot.api.sources import Source
from commands.sources.cluster import Node
from commands.sources.event_log import INTEGRATION_LOG, EventLog, logged_events
from commands.sources.guests import namespace
from commands.sources.identity import guid
from commands.sources.kvp import KvpInfo, field_text, kvp_info, read_items

INSTALLER = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization\GuestInstaller"
PLACES = (rf"{INSTALLER}\Version", INSTALLER)  # where the expected versions may stand, the usual place first
VERSION_MISMATCH = 4010  # MSWVMIC_MINOR_VERSION_MISMATCH [doc dd582073]
_NAME = "Microsoft-Hyper-V-Guest-Installer"
_VERSION = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,6}){1,3}")
_FAMILY = re.compile(re.escape(_NAME) + r"-Win([0-9])([0-9x])-Package", re.IGNORECASE)
_ENABLED, _DISABLED = 2, 3
_WELL, _DEGRADED, _INCOMPATIBLE, _NO_CONTACT, _LOST, _MISMATCH = 2, 3, 7, 12, 13, 32775

Version = tuple[int, ...]
Family = tuple[int, int]  # major and minor number of a guest's Windows: (6, 1) for 7 and 2008 R2


def read_version(text: str) -> Version | None:
    """The numbers of a version: "6.3.9600.19456"; None for anything else. It may come out of a guest: hostile."""
    word = text.strip()
    return tuple(map(int, word.split("."))) if word.isascii() and _VERSION.fullmatch(word) else None


@dataclass(frozen=True, slots=True)
class Component:
    """One integration service of one guest, by its host.

    Attributes:
        enabled: whether the host has it switched on; None where that was not reported.
        statuses: OperationalStatus; () where it was not reported.
    """

    enabled: bool | None = None
    statuses: tuple[int, ...] = ()

    @property
    def is_off(self) -> bool:
        """Switched off in the settings of the virtual machine."""
        return self.enabled is False

    @property
    def is_incompatible(self) -> bool:
        """No version that both sides speak: it does not work."""
        return not self.is_off and _INCOMPATIBLE in self.statuses

    @property
    def is_older(self) -> bool:
        """Another version than the host's own was negotiated: it works."""
        return not self.is_off and bool({_DEGRADED, _MISMATCH} & set(self.statuses))

    @property
    def is_silent(self) -> bool:
        """Switched on, and nobody answers inside of the guest."""
        return not self.is_off and bool({_NO_CONTACT, _LOST} & set(self.statuses))

    @property
    def has_answered(self) -> bool:
        """Whether something inside of the guest speaks to it."""
        return not self.is_off and bool({_WELL, _DEGRADED, _MISMATCH} & set(self.statuses)) and not self.is_silent


@dataclass(frozen=True, slots=True)
class Exchange:
    """Data exchange (KVP) of one guest: the component, and what the guest reported through it.

    Attributes:
        version: of its integration services, as text; "" where the guest reported none.
        service_pack: "Service Pack 1", "" for none; None where the guest did not report it.
        family: of its Windows; None where it is none, or was not reported.
        reported: whether there was any item at all.
    """

    component: Component
    info: KvpInfo = field(default_factory=KvpInfo)
    version: str = ""
    service_pack: str | None = None
    family: Family | None = None
    reported: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """The versions that a host expects of its guests.

    Attributes:
        versions: value name -> version, as they stand there.
        place: the key they were read from; "" where there are none.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    place: str = ""

    def version_for(self, family: Family) -> tuple[str, str] | None:
        """Name and version for guests of a family of Windows; None where no value serves it.

        By the family in the value's name ("Win6x", "Win60", "Win5x"), the closest first. The name without one is for
        systems before 6.0 [src workinghardinit]. Which value serves which family is in no document [inf]: where none names the
        family and all values of the host agree, that is what it expects.
        """
        found = [(closeness, name) for name in self.versions if (closeness := _serves(name, family))]
        if found:
            name = max(found)[1]
            return name, self.versions[name]
        if len(set(self.versions.values())) == 1:
            return next(iter(self.versions.items()))
        return None


def _serves(name: str, family: Family) -> int:
    """How closely a value's name fits a family: 0 not at all, 2 exactly."""
    named = _FAMILY.fullmatch(name)
    if named is None:
        return int(name.casefold() == _NAME.casefold() and family[0] < 6)  # noqa: PLR2004 - Vista's number
    if int(named[1]) != family[0]:
        return 0
    return 1 if named[2].casefold() == "x" else 2 * (int(named[2]) == family[1])


def exchanges(node: Node) -> Source[dict[str, Exchange]]:
    """The question: data exchange of every guest of a node, with what each reported of itself; by VM id."""
    columns = ("SystemName", "EnabledState", "OperationalStatus", "GuestIntrinsicExchangeItems")
    return Source(Wql(node.name, namespace(node), "Msvm_KvpExchangeComponent", columns), _read_exchanges)


def snapshot_requestors(node: Node) -> Source[dict[str, Component]]:
    """The question: the VSS requestor of every guest of a node, by VM id."""
    return _components(node, "Msvm_VssComponent")


def heartbeats(node: Node) -> Source[dict[str, Component]]:
    """The question: the heartbeat of every guest of a node, by VM id."""
    return _components(node, "Msvm_HeartbeatComponent")


def expected_versions(on: str, key: str) -> Source[Expected]:
    """The question: which versions of integration services does a host expect, by one of `PLACES`?"""
    return Source(Registry(on, key, (f"{_NAME}*",)), lambda rows: _read_expected(rows, key))


def integration_channel(listed: Collection[str]) -> str:
    """The name of the log among the channels that a host lists, in lower case; "" where it has none.

    Microsoft's pages print it with a slash as well; exports of hosts have the hyphen [doc, seen].
    """
    slashed = INTEGRATION_LOG.removesuffix("-Admin") + "/Admin"
    return next((name for name in (INTEGRATION_LOG, slashed) if name.casefold() in listed), "")


def version_warnings(on: str, channel: str, since: datetime) -> Source[EventLog]:
    """The question: of which guests did the host log another version than it expects? For hosts with that channel only."""
    return logged_events(on, channel, (VERSION_MISMATCH,), since)


def _components(node: Node, cls: str) -> Source[dict[str, Component]]:
    columns = ("SystemName", "EnabledState", "OperationalStatus")
    return Source(Wql(node.name, namespace(node), cls, columns), _read_components)


def _read_components(rows: Rows) -> dict[str, Component]:
    """By VM id. A row without one is left out: nobody can tell whose it is."""
    return {key: _component(row) for row in rows if (key := guid(readable(get_str, row, "SystemName") or ""))}


def _component(row: Row) -> Component:
    state = readable(get_int, row, "EnabledState")
    enabled = True if state == _ENABLED else False if state == _DISABLED else None
    return Component(enabled, readable(get_ints, row, "OperationalStatus") or ())


def _read_exchanges(rows: Rows) -> dict[str, Exchange]:
    """By VM id. Items that cannot be read are those of that guest alone."""
    return {key: _exchange(row) for row in rows if (key := guid(readable(get_str, row, "SystemName") or ""))}


def _exchange(row: Row) -> Exchange:
    component = _component(row)
    told = readable(get_strs, row, "GuestIntrinsicExchangeItems")
    if told is None:
        return Exchange(component, KvpInfo(unread="its items cannot be read."))
    items = read_items(told)  # by name: the order differs from host to host [src]
    version = items.get("IntegrationServicesVersion", "")
    pack = items.get("CSDVersion")
    return Exchange(
        component,
        kvp_info(items),
        version.strip() if read_version(version) else "",
        None if pack is None else field_text(pack),
        _family(items),
        bool(items),
    )


def _family(items: Mapping[str, str]) -> Family | None:
    """Major and minor number of its Windows, out of OSVersion, else of its two halves. Windows 11 is a (10, 0) as well."""
    version = read_version(items.get("OSVersion", ""))
    if version is None:
        version = read_version(f"{items.get('OSMajorVersion', '')}.{items.get('OSMinorVersion', '')}")
    return None if version is None else (version[0], version[1])


def _read_expected(rows: Rows, key: str) -> Expected:
    """Values that are no version are left out. Raises CellError."""
    row = rows[0] if rows else {}
    found = {name: get_str(row, name).strip() for name in row}
    versions = {name: version for name, version in found.items() if read_version(version)}
    return Expected(versions, key if versions else "")

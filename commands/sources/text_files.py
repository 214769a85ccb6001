r"""What stands in the text files of a machine: overrides in its hosts file, addresses in what configures its programs.

The machine is a guest, asked by its own name, or a host. The hosts file is where Tcpip's DataBasePath says [doc]. A line of
a hosts file is an address and names; everything behind "#" is a comment [doc]. Docker Desktop writes names of its own into
it and again with each start [seen: docker/for-win#5855, docker/desktop-feedback#377].
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bot.api.queries import GuestRegistry, GuestRunReader, GuestWql, Predicate, Registry, RunReader, Wql, make_params
from bot.api.rows import Rows, get_int, get_str
from bot.api.sources import Source
from bot.api.web import read_address
from commands.sources.guests import HostedGuest

_TCPIP, _PLACE = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters", "DataBasePath"
_COMMENTED = re.compile(r"\s*#+\s*([0-9A-Fa-f:.]{2,45})\s+([^#]*)(?:#.*)?")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?", re.ASCII)
# Of the comment that every hosts file of Windows begins with [cap].
_SAMPLES = frozenset({"102.54.94.97", "38.25.63.10"})
_DOCKER = frozenset({"host.docker.internal", "gateway.docker.internal", "kubernetes.docker.internal"})

T = TypeVar("T")
Machine = HostedGuest | str  # a guest as its host knows it, or the name of a host


@dataclass(frozen=True, slots=True)
class Override:
    """A line of a hosts file that says where names are; `active` where it is no comment."""

    line: int
    address: str
    names: tuple[str, ...]
    active: bool


@dataclass(frozen=True, slots=True)
class Mention:
    """An address in a configuration file. `kind`: address, version, comment, or own (this machine itself, or a mask)."""

    file: str
    line: int
    kind: str
    address: str


def hosts_folder(machine: Machine) -> Source[str]:
    r"""The question: in which folder is the hosts file? "C:\Windows\System32\drivers\etc"."""
    if isinstance(machine, str):
        return Source(Registry(machine, _TCPIP, (_PLACE,)), _read_folder)
    guest = machine.guest
    return Source(GuestRegistry(guest.name, machine.told.fqdn, guest.vm_id, _TCPIP, (_PLACE,)), _read_folder)


def hosts_file(machine: Machine, folder: str) -> Source[tuple[Override, ...]]:
    """The question: which names does the hosts file say the address of? Windows' own samples and Docker's names left out."""
    return _run(machine, "findstr hosts file", folder, _read_hosts)


def folder_there(machine: Machine, folder: str) -> Source[bool]:
    """The question: is there such a folder? A search in one that is not there finds nothing, too."""
    where = (Predicate("Name", "=", folder.lower()),)
    if isinstance(machine, str):
        return Source(Wql(machine, "root/cimv2", "Win32_Directory", ("Name",), where), bool)
    guest = machine.guest
    query = GuestWql(guest.name, machine.told.fqdn, guest.vm_id, "root/cimv2", "Win32_Directory", ("Name",), where)
    return Source(query, bool)


def mentions(machine: Machine, folder: str) -> Source[tuple[Mention, ...]]:
    """The question: which addresses stand in the configuration files of a folder, and of those below it?"""
    return _run(machine, "findstr addresses", folder, _read_mentions)


def _run(machine: Machine, what: str, folder: str, read: Callable[[Rows], T]) -> Source[T]:
    params = make_params(folder=folder)
    if isinstance(machine, str):
        return Source(RunReader(machine, what, params), read)
    guest = machine.guest
    return Source(GuestRunReader(guest.name, machine.told.fqdn, guest.vm_id, what, params), read)


def _read_folder(rows: Rows) -> str:
    """Raises ValueError where the registry does not say."""
    told = get_str(rows[0], _PLACE) if rows else ""
    if not told or "%" in told:
        raise ValueError("its registry does not say where the hosts file is (Tcpip, DataBasePath)")
    return told.rstrip("\\")


def _read_hosts(rows: Rows) -> tuple[Override, ...]:
    """Raises ValueError for a line in force that cannot be read, unless others override names anyway."""
    found, unread = [], []
    for row in rows:
        number, text = get_int(row, "line") or 0, get_str(row, "text")
        in_force = text.partition("#")[0].split()
        if not in_force:
            override = _switched_off(number, text)
        else:
            override = _in_force(number, *in_force)
            if override is None and not _own_names(in_force[0]).issuperset(word.casefold() for word in in_force[1:]):
                unread.append(number)
        found += [override] if override else []
    if unread and not any(one.active for one in found):
        raise ValueError(f"line {unread[0]} of the hosts file is in force, and cannot be read")
    return tuple(found)


def _in_force(line: int, address: str, *names: str) -> Override | None:
    """The override that words in force are; None for the machine's own names and Docker's, and where they cannot be read."""
    own = _own_names(address)
    named = tuple(word for word in names if _NAME.fullmatch(word) and word.casefold() not in own)
    return Override(line, address, named, active=True) if named and read_address(address) is not None else None


def _own_names(address: str) -> frozenset[str]:
    """The names that say nothing of other machines: Docker's, and localhost where it is this one."""
    return _DOCKER | {"localhost"} if address == "::1" or address.startswith("127.") else _DOCKER


def _switched_off(line: int, text: str) -> Override | None:
    """The override that a comment would be; None for a sample, and for prose behind a number."""
    told = _COMMENTED.fullmatch(text)
    if told is None or told[1] in _SAMPLES or read_address(told[1]) is None:
        return None
    own = _own_names(told[1])
    names = tuple(word for word in told[2].split() if word.casefold() not in own)
    return Override(line, told[1], names, active=False) if names and all(map(_NAME.fullmatch, names)) else None


def _read_mentions(rows: Rows) -> tuple[Mention, ...]:
    return tuple(
        Mention(get_str(row, "file"), get_int(row, "line") or 0, get_str(row, "kind"), get_str(row, "address"))
        for row in rows
    )

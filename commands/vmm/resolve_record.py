"""Which record of which VMM server somebody means. Pure: a name could be anybody's, so only one that is meant counts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.api.report import Remedy
from bot.api.texts import clip
from commands.formatting import join_names, pluralize
from commands.sources.identity import guid
from commands.vmm.compare import Compared, RecordStatus

REFRESH, MOVE, CHANGE = (
    ("Refresh in VMM", ""),
    ("Live-Migrate", "migration"),
    ("Change the Database", "database"),
)
_SHOWN, _BUTTONS = 6, 4
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # a name that is one word however it is typed


@dataclass(frozen=True, slots=True)
class Resolved:
    """The one record, and the VMM server that has it."""

    server: str
    record: Compared


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Why there is no such one: a sentence that says what to write, and buttons that write it."""

    says: str
    remedies: tuple[Remedy, ...] = ()


def choose(name: str, servers: Mapping[str, Sequence[Compared]], silent: Mapping[str, str]) -> Resolved | Ambiguous:
    """Find the record by its name, VMM's own id of it, or its virtual-machine id.

    Args:
        name: as typed.
        servers: VMM server -> its records, compared with the hosts.
        silent: VMM server whose records are not known -> why, a sentence.
    """
    found = [Resolved(server, one) for server, records in servers.items() for one in records if _is_meant(one, name)]
    if len(found) > 1:
        return _several(name, found)
    if silent:
        return Ambiguous(_not_known(name, found, silent))
    return found[0] if found else Ambiguous(_none(name, servers))


def repair_applies(one: Resolved, way: str = "", among: Sequence[Compared] = ()) -> str:
    """The line that mends exactly this record: by its name, where only one of `among` has it, else by VMM's own id."""
    machine = one.record.machine
    same = sum(other.machine.name.casefold() == machine.name.casefold() for other in among)
    word = (
        machine.name if same == 1 and _PLAIN.fullmatch(machine.name) and not guid(machine.name) else machine.object_id
    )
    return f"/fix-missing-vm {word} --vmm {one.server}{f' --by {way}' if way else ''}"


def repair_options(one: Resolved, among: Sequence[Compared]) -> tuple[Remedy, ...]:
    """The buttons that mend it, in the order in which they are to be tried."""
    lost = one.record.verdict is RecordStatus.LOST
    tried = (REFRESH, MOVE, CHANGE) if lost else (REFRESH,)
    return tuple(Remedy(f"{label}…", repair_applies(one, way, among), primary=not way) for label, way in tried)


def _is_meant(one: Compared, name: str) -> bool:
    own = guid(name)
    return own in (one.machine.object_id, one.machine.vm_id) if own else one.machine.name.casefold() == name.casefold()


def _several(name: str, found: Sequence[Resolved]) -> Ambiguous:
    told = [
        f"{one.record.machine.object_id} on {one.record.believed or 'an unknown host'} in {one.server}" for one in found
    ]
    says = (
        f"No plan for “{clip(name, 80)}”: {pluralize(len(found), 'record')} could be meant. None is changed: {join_names(told, _SHOWN)}."
        f" Write the id of the one that you mean, as in {repair_applies(found[0])}"
    )
    buttons = [
        Remedy(
            f"{clip(one.record.machine.name, 40)} on {one.record.believed or 'no host'} ({one.server})…",
            repair_applies(one),
        )
        for one in found[:_BUTTONS]
    ]
    return Ambiguous(says, tuple(buttons))


def _not_known(name: str, found: Sequence[Resolved], silent: Mapping[str, str]) -> str:
    why = " ".join(dict.fromkeys(silent.values()))
    if not found:
        return f"No plan: {why}"
    others = join_names(list(silent), _SHOWN)
    return (
        f"No plan for “{clip(name, 80)}”: {found[0].server} has it, and {others} could have one too. {why} If you mean that of"
        f" {found[0].server}, write {repair_applies(found[0])}"
    )


def _none(name: str, servers: Mapping[str, Sequence[Compared]]) -> str:
    asked = join_names([f"VMM {server}" for server in servers], _SHOWN)
    have = "has" if len(servers) == 1 else "have"
    return f"No plan for “{clip(name, 80)}”: {asked} {have} no virtual machine of that name or id on a host."

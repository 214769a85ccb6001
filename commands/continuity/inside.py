"""What stands in the files of the machines of a service: names that a hosts file overrides, addresses in configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.api.continuity import Assumption, Probe
from bot.api.facts import Unknown, value_of, values_of
from bot.api.query_client import QueryClient
from commands.continuity.outcomes import Outcome, Verdict
from commands.formatting import join_names, pluralize
from commands.sources.cluster import Node
from commands.sources.guests import (
    HostedGuest,
    HostGuests,
    guest_firmware,
    guest_identity,
    guests_by_id,
    look_at_guests,
    same_machine,
)
from commands.sources.text_files import (
    Machine,
    Mention,
    Override,
    folder_there,
    hosts_file,
    hosts_folder,
    mentions,
)

_PROBES = (Probe.HOSTS_FILE, Probe.ADDRESSES)
_SHOWN = 3  # places that a sentence names


@dataclass(frozen=True, slots=True)
class InsideFacts:
    """What stands in the files of one machine, or why nobody can say.

    Attributes:
        overrides: of its hosts file; None where nobody wanted to know.
        mentions: addresses in its configuration files, by folder.
    """

    overrides: tuple[Override, ...] | Unknown | None = None
    mentions: Mapping[str, tuple[Mention, ...] | Unknown] = field(default_factory=dict)


async def look_inside(
    assumptions: Sequence[Assumption], nodes: Sequence[Node], ask: QueryClient
) -> dict[str, InsideFacts | Unknown]:
    """Ask the machines that assumptions about files name; by name in lower case."""
    wanted = {one.target.casefold(): one.target for one in assumptions if one.probe in _PROBES}
    if not wanted:
        return {}
    hosts = {node.name.casefold() for node in nodes}
    parts: list[HostGuests | Unknown] = []
    if any(name not in hosts for name in wanted):
        parts = list(await asyncio.gather(*(look_at_guests(node, ask) for node in nodes)))
    found = await asyncio.gather(*(_look(name, assumptions, hosts, parts, ask) for name in wanted.values()))
    return dict(zip(wanted, found, strict=True))


async def _look(
    name: str,
    assumptions: Sequence[Assumption],
    hosts: set[str],
    parts: Sequence[HostGuests | Unknown],
    ask: QueryClient,
) -> InsideFacts | Unknown:
    found: Machine | Unknown = name if name.casefold() in hosts else _guest(name, parts)
    if isinstance(found, Unknown):
        return found
    machine: Machine = found
    if isinstance(machine, HostedGuest) and (doubt := await _doubt(machine, ask)) is not None:
        return doubt
    mine = [one for one in assumptions if one.target.casefold() == name.casefold()]
    folders = tuple(dict.fromkeys(folder for one in mine if one.probe is Probe.ADDRESSES for folder in one.folders))
    overrides = await _overrides(machine, ask) if any(one.probe is Probe.HOSTS_FILE for one in mine) else None
    return InsideFacts(overrides, await _mentions(machine, folders, ask))


def _guest(name: str, parts: Sequence[HostGuests | Unknown]) -> HostedGuest | Unknown:
    """The running virtual machine of that name, not its copies; Unknown where it cannot be asked."""
    listed = [part for part in parts if isinstance(part, HostGuests)]
    named = [
        one
        for one in guests_by_id(listed).values()
        if one.guest.name.casefold() == name.casefold() and not one.guest.is_copy
    ]
    silent = [part.target for part in parts if isinstance(part, Unknown)]
    if len(named) > 1:
        return Unknown(name, "ambiguous", "several virtual machines are called that.")
    if not named:
        because = f", and {join_names(silent)} did not answer" if silent else ""
        return Unknown(name, "absent", f"no virtual machine of that name was found{because}.")
    if not named[0].guest.power.runs:
        return Unknown(name, "not running", "it does not run, so its files cannot be read.")
    if not named[0].told.fqdn:
        return Unknown(name, "no name reported", "its data exchange reports no name, so it cannot be asked.")
    return named[0]


async def _doubt(hosted: HostedGuest, ask: QueryClient) -> Unknown | None:
    """Why it is not known that the machine that answers is the one that is meant; None where it is."""
    identity, firmware = await asyncio.gather(ask.query(guest_identity(hosted)), ask.query(guest_firmware(hosted)))
    if isinstance(identity, Unknown) and isinstance(firmware, Unknown):
        return identity
    told = ["" if isinstance(one, Unknown) else one.value for one in (identity, firmware)]
    itself = same_machine(hosted, *told)
    if itself:
        return None
    says = "it is another machine" if itself is False else "nothing proves that it is this guest"
    return Unknown(hosted.guest.name, "not proven", f"{hosted.told.fqdn} answered, and {says}.")


async def _overrides(machine: Machine, ask: QueryClient) -> tuple[Override, ...] | Unknown:
    folder = await ask.query(hosts_folder(machine))
    return folder if isinstance(folder, Unknown) else value_of(await ask.query(hosts_file(machine, folder.value)))


async def _mentions(
    machine: Machine, folders: Sequence[str], ask: QueryClient
) -> dict[str, tuple[Mention, ...] | Unknown]:
    """A folder that is not there is unknown: a search in it would find nothing."""
    there, found = await asyncio.gather(
        ask.query_many({folder: folder_there(machine, folder) for folder in folders}),
        ask.query_many({folder: mentions(machine, folder) for folder in folders}),
    )
    told = values_of(found)
    name = machine if isinstance(machine, str) else machine.guest.name
    for folder, answer in values_of(there).items():
        if isinstance(answer, Unknown):
            told[folder] = answer
        elif not answer:
            told[folder] = Unknown(name, "absent", f"it has no folder {folder}.")
    return told


def judge_hosts_file(assumption: Assumption, told: InsideFacts | Unknown | None) -> Verdict:
    """Judge whether a hosts file overrides names. Lines that are switched off are said, and break nothing."""
    name = assumption.target
    overrides = told.overrides if isinstance(told, InsideFacts) else told
    if overrides is None or isinstance(overrides, Unknown):
        why = overrides.why.rstrip(".") if overrides else "was not asked"
        return Verdict(Outcome.UNPROVABLE, name, f"its hosts file is not known: {why}", assumption)
    active = [one for one in overrides if one.active]
    off = [one for one in overrides if not one.active]
    lines = tuple(
        ("Commented out", f"Line {one.line} ({_names(one)} at {one.address}). Someone once relied on it.")
        for one in off
    )
    if active:
        shown = "; ".join(f"{_names(one)} {_go(one)} to {one.address} (line {one.line})" for one in active[:_SHOWN])
        more = f"; {len(active) - _SHOWN} more" if len(active) > _SHOWN else ""
        says = f"{pluralize(len(active), 'override')}: {shown}{more}"
        return Verdict(Outcome.BROKEN, name, says, assumption, name, lines)
    return Verdict(Outcome.PROVED, name, "its hosts file overrides no name", assumption, name, lines)


def judge_addresses(assumption: Assumption, told: InsideFacts | Unknown | None) -> Verdict:
    """Judge whether configuration files name addresses. Versions and comments are none."""
    name = assumption.target
    if not isinstance(told, InsideFacts):
        why = told.why.rstrip(".") if told else "was not asked"
        return Verdict(Outcome.UNPROVABLE, name, f"its files are not known: {why}", assumption)
    answers = {folder: told.mentions.get(folder) for folder in assumption.folders}
    silent = [(folder, one) for folder, one in answers.items() if not isinstance(one, tuple)]
    found = [one for each in answers.values() if isinstance(each, tuple) for one in each]
    named = [one for one in found if one.kind == "address"]
    others = {kind: sum(one.kind == kind for one in found) for kind in ("version", "comment", "own")}
    lines = _not_counted(others)
    if named:
        shown = "; ".join(f"{one.address} in {one.file} line {one.line}" for one in named[:_SHOWN])
        more = f"; {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        says = f"{pluralize(len(named), 'address', 'addresses')}: {shown}{more}"
        return Verdict(Outcome.BROKEN, name, says, assumption, name, lines)
    if silent:
        folder, silence = silent[0]
        reason = silence.why.rstrip(".") if silence else "nobody asked"
        return Verdict(Outcome.UNPROVABLE, name, f"{folder} was not read: {reason}", assumption, name, lines)
    says = f"no configuration file names an IPv4 address in {join_names(assumption.folders, 3)}"
    return Verdict(Outcome.PROVED, name, says, assumption, name, lines)


def _not_counted(others: Mapping[str, int]) -> tuple[tuple[str, str], ...]:
    words = {"version": "version number", "comment": "address in a comment", "own": "loopback address or mask"}
    plural = {"comment": "addresses in comments", "own": "loopback addresses or masks"}
    shown = [pluralize(count, words[kind], plural.get(kind, "")) for kind, count in others.items() if count]
    return (("Ignored", f"{', '.join(shown)}."),) if shown else ()


def _names(one: Override) -> str:
    return " and ".join(one.names[:2]) if len(one.names) <= 2 else f"{one.names[0]} and {len(one.names) - 1} more"  # noqa: PLR2004


def _go(one: Override) -> str:
    return "goes" if len(one.names) == 1 else "go"

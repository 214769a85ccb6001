"""Guests that a backup of their host cannot save while they run, whatever room they have. Pure.

Microsoft's conditions of such a backup (HyperV_v2, "Backing Up and Restoring Virtual Machines") [doc]: all volumes of the
guest are basic, no disk is dynamic, every file system supports snapshots. Otherwise its state is saved first. FAT and exFAT
support none. The EFI partition of every guest of generation 2 is FAT32, and such guests are backed up: what has neither a
letter nor a mount point is left out [inf].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.api.facts import Unknown
from bot.api.report import Finding, Severity
from commands.formatting import join_names, pluralize
from commands.guest_space.facts import GuestSpaceFacts, guest_names
from commands.sources.guest_disks import Disks
from commands.sources.guests import HostedGuest
from commands.sources.volumes import Volumes

WORD = "NO ONLINE BACKUP"
_ALONE = 8  # guests that have a finding each; the rest share one
_MEANS = (
    "Hyper-V backs up a running guest only if all its disks are basic and all its volumes can be snapshotted (Microsoft). A"
    " backup of the host saves its state first, so that it stands still meanwhile, or fails."
)


@dataclass(frozen=True, slots=True)
class Offline:
    """A guest, by the name that is shown, and what of it no snapshot can be taken of."""

    hosted: HostedGuest
    guest: str
    dynamic: tuple[int, ...]
    volumes: tuple[tuple[str, str], ...]  # name, file system

    @property
    def says(self) -> str:
        """What it is, in a few words: "disk 1 is dynamic, E: is FAT32"."""
        disks = [f"disk {number} is dynamic" if number >= 0 else "a disk is dynamic" for number in self.dynamic]
        return join_names([*disks, *(f"{name} is {file_system}" for name, file_system in self.volumes)], 6)


def offline_guests(facts: GuestSpaceFacts) -> tuple[Offline, ...]:
    """Guests that proved who they are, and told of a dynamic disk or of a file system without snapshots."""
    names, found = guest_names(facts), []
    for hosted in facts.guests:
        key = hosted.guest.vm_id
        space, disks = facts.space.get(key), facts.disks.get(key)
        if not isinstance(space, Volumes):
            continue
        dynamic = disks.dynamic if isinstance(disks, Disks) else ()
        volumes = tuple((one.name, one.file_system) for one in space.judged if one.lacks_snapshots)
        if dynamic or volumes:
            found.append(Offline(hosted, names[key], dynamic, volumes))
    return tuple(sorted(found, key=lambda one: one.guest.casefold()))


def offline_findings(offline: Sequence[Offline]) -> list[Finding]:
    """One finding per guest; beyond `_ALONE` they share one."""
    findings = [_finding(one) for one in offline]
    if len(findings) <= _ALONE:
        return findings
    rest = offline[_ALONE:]
    says = f"{join_names([f'{one.guest} ({one.says})' for one in rest], 20)}."
    return [*findings[:_ALONE], Finding(Severity.WARNING, WORD, f"{len(rest)} more guests", says, _lines(rest))]


def _finding(one: Offline) -> Finding:
    return Finding(Severity.WARNING, WORD, one.guest, f"on {one.hosted.host} · {one.says}", _lines((one,)))


def _lines(offline: Sequence[Offline]) -> tuple[tuple[str, str], ...]:
    disks = "a basic disk" if any(one.dynamic for one in offline) else ""
    volumes = "an NTFS volume" if any(one.volumes for one in offline) else ""
    where = " or ".join(part for part in (disks, volumes) if part)
    by_hand = f"Move the data to {where}, or back it up from inside of the guest."
    return (("Means", _MEANS), ("By hand", by_hand))


def unknown_disks(facts: GuestSpaceFacts) -> tuple[str, ...]:
    """Guests that told their volumes, and of whose disks nothing says whether they are dynamic; in a sentence."""
    names = guest_names(facts)
    silent = []
    for hosted in facts.guests:
        disks = facts.disks.get(hosted.guest.vm_id)
        known = isinstance(facts.space.get(hosted.guest.vm_id), Volumes)
        if known and (isinstance(disks, Unknown) or (isinstance(disks, Disks) and disks.unread and not disks.dynamic)):
            silent.append(names[hosted.guest.vm_id])
    if not silent:
        return ()
    whose = join_names(silent)
    return (f"Whether a disk is dynamic is not known of {pluralize(len(silent), 'guest')}: {whose}.",)

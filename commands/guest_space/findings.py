"""Findings about full guests, in words, with their chart and their table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bot.api.report import Bar, Chart, Column, Finding, Severity, Table
from bot.api.texts import clip
from commands.formatting import GIB, format_size, format_time, join_names, pluralize, truncate_list
from commands.sources.event_log import Meaning
from commands.sources.guests import HostedGuest
from commands.sources.volumes import Room, Volume
from commands.vss.suspects import Suspect

ALONE = 8  # full guests that have a finding each; the rest share one
BARS = 10
LABEL = 20  # characters of a bar's label
_USUAL = (  # what filled the guests on one cluster [1 note]
    "Look for",
    "Old SQL Server backup files, leftover installers, application logs, growing log and tempdb files.",
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One volume of one guest, and how much room it has."""

    hosted: HostedGuest
    volume: Volume
    room: Room
    shown: str = ""  # the guest's name where another guest has the same one

    @property
    def guest(self) -> str:
        """The guest's name, told apart from its namesakes."""
        return self.shown or self.hosted.guest.name

    @property
    def short(self) -> str:
        """Guest, volume, free space: "web-dev-04 C: 820 MB"."""
        share = f" ({self.volume.percent} %)" if self.room is Room.LITTLE_HEADROOM else ""
        return f"{self.guest} {self.volume.name} {format_size(self.volume.free)}{share}"

    @property
    def worst_first(self) -> tuple[int, bool, int, str]:
        """Sorts the worst to the front."""
        return (self.room, self.volume.reserved, self.volume.free, self.guest.casefold())


def full_findings(judged: Sequence[Judged], named: Iterable[Suspect], least: int, now: datetime) -> list[Finding]:
    """One finding per full guest, worst first; beyond `ALONE` they share one."""
    events = {
        suspect.vm_id: suspect
        for suspect in named
        if suspect.vm_id and set(suspect.meanings) != {Meaning.NO_SCSI_CONTROLLER}
    }
    guests: dict[str, list[Judged]] = {}
    for one in judged:
        if one.room is Room.FULL:
            guests.setdefault(one.hosted.guest.vm_id, []).append(one)
    findings = [_full(volumes, events.get(key), least, now) for key, volumes in guests.items()]
    if len(findings) <= ALONE:
        return findings
    rest = [volumes[0] for volumes in list(guests.values())[ALONE:]]
    says = f"{join_names([one.short for one in rest], 20)}. The table has every one."
    by_hand = ("By hand", f"Free {format_size(least)} or more on each full volume, then Check Again.")
    return [*findings[:ALONE], Finding(Severity.FAULT, "FULL", f"{len(rest)} more guests", says, (by_hand,))]


def _full(volumes: Sequence[Judged], event: Suspect | None, least: int, now: datetime) -> Finding:
    first = volumes[0]
    said = "; ".join(_of(one.volume) for one in volumes)
    lines = (
        [
            (
                "Because",
                f"Named by event {event.event_id} on {join_names(event.logged_on, 3)} at {format_time(event.newest, now)}.",
            )
        ]
        if event
        else []
    )
    lines.append(("By hand", f"Free {_wanted(volumes, least)}, then Check Again.{_headroom(volumes, least)}"))
    return Finding(Severity.FAULT, "FULL", first.guest, f"on {first.hosted.host} · {said}", tuple(lines))


def _wanted(volumes: Sequence[Judged], least: int) -> str:
    """How much on which volume: what was asked for, and on small ones what VSS wants."""
    by_amount: dict[int, list[str]] = {}
    for one in volumes:
        small = one.volume.capacity <= least
        amount = one.volume.vss_minimum if small else max(least, one.volume.vss_minimum)
        by_amount.setdefault(amount, []).append(one.volume.name)
    return "; ".join(f"{format_size(amount)} or more on {join_names(names, 6)}" for amount, names in by_amount.items())


def _headroom(volumes: Sequence[Judged], least: int) -> str:
    """What keeps it from filling up again within days: 10 to 15 % [1 note]; only where that is more than what helps now."""
    if any(one.volume.capacity // 10 <= max(least, one.volume.vss_minimum) for one in volumes):
        return ""
    if len(volumes) > 1:
        return " 10 to 15 % of each leaves headroom."
    size = volumes[0].volume.capacity
    return f" {format_size(size // 10)} to {format_size(size * 15 // 100)} (10 to 15 %) leaves headroom."


def with_usual_causes(findings: Sequence[Finding]) -> list[Finding]:
    """The same findings, the first of them with what usually fills a guest: said once, and of volumes in need only."""
    first = next((one for one in findings if one.status in ("FULL", "LOW")), None)
    return [replace(one, lines=(*one.lines, _USUAL)) if one is first else one for one in findings]


def _of(volume: Volume) -> str:
    return f"{volume.name} {format_size(volume.free)} free of {format_size(volume.capacity)}"


def short_finding(judged: Sequence[Judged], room: Room, word: str) -> list[Finding]:
    """All volumes of one kind in one line."""
    found = [one for one in judged if one.room is room]
    if not found:
        return []
    says = " · ".join(one.short for one in found[:12])
    more = f" · and {len(found) - 12} more" if len(found) > 12 else ""  # noqa: PLR2004 - what a phone shows
    return [Finding(Severity.WARNING, word, pluralize(len(found), "volume"), says + more)]


def limit_findings(judged: Sequence[Judged]) -> list[Finding]:
    """Volumes whose shadow copies may not grow any more: restic and others fail there with half of the disk free."""
    found = [one for one in judged if one.room is Room.SHADOW_LIMIT and one.volume.shadow]
    if not found:
        return []
    said = [
        f"{one.guest} {one.volume.name} {format_size(one.volume.shadow.used)} of {format_size(one.volume.shadow.limit)}"
        f" ({format_size(one.volume.free)} free on the volume)"
        for one in found
        if one.volume.shadow
    ]
    lines = (
        ("Means", "A shadow copy fails for lack of room there, however much is free on the volume."),
        (
            "By hand",
            "Raise the limit in the guest: vssadmin resize shadowstorage, with a larger /maxsize.",
        ),
    )
    return [
        Finding(
            Severity.WARNING,
            "SHADOW LIMIT",
            pluralize(len(found), "volume"),
            f"{' · '.join(truncate_list(said, 12))}",
            lines,
        )
    ]


def reserved_notes(judged: Sequence[Judged]) -> tuple[str, ...]:
    """Partitions of Windows' own with next to nothing free: for products that do snapshot them."""
    found = [one for one in judged if one.room is Room.RESERVED_TIGHT]
    if not found:
        return ()
    said = [f"{one.guest} has {format_size(one.volume.free)} free on its {one.volume.name}" for one in found]
    return (f"{join_names(said, 8)}. Few backups read it; nothing on it can be freed.",)


def chart(judged: Sequence[Judged], least: int) -> Chart | None:
    """The volumes with least room, worst first, without the reserved partitions."""
    worst = [one for one in judged if not one.volume.reserved][:BARS]
    if not worst:
        return None
    labels = _labels(worst)
    bars = tuple(Bar(label, one.volume.free * 10 // GIB) for label, one in zip(labels, worst, strict=True))
    title = f"Free GB, worst {pluralize(len(bars), 'volume')}" if len(bars) > 1 else "Free GB"
    return Chart(title, "GB", bars, (("minimum", least * 10 // GIB),))


def _labels(worst: Sequence[Judged]) -> list[str]:
    """Guest and volume in 20 characters, each once: a chart merges bars of one name."""
    labels: list[str] = []
    for one in worst:
        tail = clip(f" {one.volume.name}", LABEL // 2)
        label = f"{_cut(one.guest, LABEL - len(tail))}{tail}"
        number = 2
        while label in labels:
            mark = f"~{number}"
            label, number = f"{_cut(one.guest, LABEL - len(tail) - len(mark))}{mark}{tail}", number + 1
        labels.append(label)
    return labels


def _cut(name: str, room: int) -> str:
    return name if len(name) <= room else clip(name, room, "…")


def table(judged: Sequence[Judged], unknown: Sequence[tuple[str, str, str]]) -> Table | None:
    """Every volume, worst first, then every guest that is not known, with the reason in place of a volume.

    Args:
        judged: worst first.
        unknown: guest, reason, host.
    """
    rows = [
        (one.guest, one.volume.name, _tenths(one.volume.free * 10 // GIB), str(one.volume.percent), one.hosted.host)
        for one in judged
    ]
    rows += [(guest, f"unknown: {why}", "", "", host) for guest, why, host in unknown]
    columns = (
        Column("Guest"),
        Column("Volume"),
        Column("Free GB", "number", "GB"),
        Column("Free %", "number", "%"),
        Column("Node"),
    )
    return Table("Volumes of all guests that were asked, worst first", columns, tuple(rows)) if rows else None


def _tenths(value: int) -> str:
    return f"{value // 10}.{value % 10}"

"""Find the guests without room for a shadow copy: one full volume fails the backup of a whole host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.api.arguments import Percent, Size, Target
from bot.api.command import Diagnostic, Role
from bot.api.query_client import QueryClient
from bot.api.report import Healthy, Remedy, Report
from bot.api.texts import clip
from commands.formatting import GIB, format_size, join_names, pluralize, summarize_failures
from commands.guest_space.facts import NOT_WINDOWS, GuestSpaceFacts, find_guest_space, guest_names, unknown_guests
from commands.guest_space.findings import (
    Judged,
    chart,
    full_findings,
    limit_findings,
    reserved_notes,
    short_finding,
    table,
    with_usual_causes,
)
from commands.guest_space.online_backup import offline_findings, offline_guests, unknown_disks
from commands.sources.guests import Power
from commands.sources.volumes import Room, Volumes

_TEN_PERCENT = 10
_CALM = (Room.RESERVED_TIGHT, Room.ENOUGH)


class LeastFree(Size):
    """How much has to be free."""

    label = "Full below this free space"


class LeastShare(Percent):
    """Which share has to be free."""

    label = "Or below this share of the volume"


_FREE, _SHARE = LeastFree(GIB), LeastShare(_TEN_PERCENT)


@dataclass(frozen=True, slots=True)
class Args:
    """What people type."""

    target: Target
    free: LeastFree = _FREE
    percent: LeastShare = _SHARE


async def collect(args: Args, ask: QueryClient) -> GuestSpaceFacts:
    """Ask the cluster, every node, then every guest at once."""
    return await find_guest_space(args.target, ask, with_disks=True)


def evaluate(args: Args, facts: GuestSpaceFacts) -> Report:
    """Full guests first, then those with little room, then who is not known."""
    judged = sorted(_volumes(args, facts), key=lambda one: one.worst_first)
    unknown, names = unknown_guests(facts), guest_names(facts)
    silent = (*facts.silent_hosts, *(why for _, why in unknown))
    answered = _answered(facts)
    least, offline = int(args.free), offline_guests(facts)
    return Report(
        title=_title(args, facts, judged, len(unknown)),
        summary=_summary(args, facts, judged, len(unknown)),
        of="guests",
        asked=answered + len(unknown) + len(facts.unseen),
        answered=answered,
        findings=(
            *with_usual_causes(
                [
                    *full_findings(judged, facts.named, least, facts.now),
                    *short_finding(judged, Room.LOW, "LOW"),
                ]
            ),
            *limit_findings(judged),
            *short_finding(judged, Room.LITTLE_HEADROOM, "TIGHT"),
            *offline_findings(offline),
        ),
        unanswered=summarize_failures(silent, "target"),
        fine=_fine(args, facts, judged),
        notes=(*_notes(facts, judged), *unknown_disks(facts)),
        background=_background(facts, answered, len(unknown), judged),
        chart=chart(judged, least),
        table=table(judged, [(names[one.guest.vm_id], why.kind, one.host) for one, why in unknown if one]),
        remedies=(Remedy("Check Writers", f"/check-writers {args.target}"),),
    )


def _volumes(args: Args, facts: GuestSpaceFacts) -> list[Judged]:
    names = guest_names(facts)
    return [
        Judged(hosted, volume, volume.room(int(args.free), int(args.percent)), names[hosted.guest.vm_id])
        for hosted in facts.guests
        for part in (facts.space.get(hosted.guest.vm_id),)
        if isinstance(part, Volumes)
        for volume in part.judged
    ]


def _answered(facts: GuestSpaceFacts) -> int:
    """Guests of which every volume is known."""
    return sum(isinstance(part, Volumes) and not part.unread for part in facts.space.values())


def _title(args: Args, facts: GuestSpaceFacts, judged: Sequence[Judged], unknown: int) -> str:
    """The worst volume, by name; without one, how many guests were asked."""
    said = _worst(judged)
    if said:
        return clip(f"{args.target}: {said}", 150)
    answered = _answered(facts)
    silent = unknown + len(facts.unseen)
    if not answered and (facts.silent_hosts or silent):
        return f"{args.target}: no guest said how full it is"
    rest = f", {silent} unknown" if silent else ", not all hosts answered" if facts.silent_hosts else ""
    offline = len(offline_guests(facts))
    saved = f", {offline} not backed up online" if offline else ""
    return f"{args.target}: no full guest among {answered}{saved}{rest}"


def _worst(judged: Sequence[Judged]) -> str:
    if not judged or judged[0].room in _CALM:
        return ""
    first = judged[0]
    if first.room is Room.LITTLE_HEADROOM:
        return f"{first.guest} has {first.volume.percent} % free on {first.volume.name}"
    if first.room is Room.SHADOW_LIMIT:
        return f"{first.guest} has reached the limit of its shadow storage on {first.volume.name}"
    more = len({one.hosted.guest.vm_id for one in judged if one.room is first.room}) - 1
    word = "full" if first.room is Room.FULL else "low"
    others = f", {pluralize(more, 'more guest')} {word}" if more else ""
    return f"{first.guest} has {format_size(first.volume.free)} free on {first.volume.name}{others}"


def _summary(args: Args, facts: GuestSpaceFacts, judged: Sequence[Judged], unknown: int) -> str:
    """All of it in one line, for a notification."""
    counted = {room: sum(one.room is room for one in judged) for room in Room}
    full = [one for one in judged if one.room is Room.FULL]
    parts = []
    if full:
        more = f" and {len(full) - 1} more full" if len(full) > 1 else ""
        parts.append(f"{full[0].guest} {full[0].volume.name} {format_size(full[0].volume.free)} free{more}")
    if counted[Room.LOW]:
        parts.append(f"{counted[Room.LOW]} under {format_size(int(args.free))}")
    if counted[Room.SHADOW_LIMIT]:
        parts.append(f"{counted[Room.SHADOW_LIMIT]} at a limit of shadow storage")
    if counted[Room.LITTLE_HEADROOM]:
        parts.append(f"{counted[Room.LITTLE_HEADROOM]} under {int(args.percent)} %")
    if offline := len(offline_guests(facts)):
        parts.append(f"{offline} not backed up online")
    silent = unknown + len(facts.unseen)
    if silent:
        parts.append(f"{silent} UNKNOWN of {len(facts.guests) + len(facts.unseen)}")
    if not any(one.room not in _CALM for one in judged):
        return _title(args, facts, judged, unknown)
    return f"{args.target}: {'; '.join(parts)}"


def _fine(args: Args, facts: GuestSpaceFacts, judged: Sequence[Judged]) -> tuple[Healthy, ...]:
    short = {one.hosted.guest.vm_id for one in judged if one.room not in _CALM}
    well = sum(isinstance(part, Volumes) and not part.unread and key not in short for key, part in facts.space.items())
    if not well:
        return ()
    enough = f"{format_size(int(args.free))} and {int(args.percent)} % or more free on every volume"
    return (Healthy("OK", (pluralize(well, "guest"),), enough),)


def _notes(facts: GuestSpaceFacts, judged: Sequence[Judged]) -> tuple[str, ...]:
    unlimited = (
        f"The limits of shadow storage are not known of {join_names(facts.unlimited)}." if facts.unlimited else ""
    )
    return (*((unlimited,) if unlimited else ()), *reserved_notes(judged))


def _background(facts: GuestSpaceFacts, answered: int, unknown: int, judged: Sequence[Judged]) -> tuple[str, ...]:
    """Who was not asked, and what is not counted. How many answered stands above the answer."""
    by_name = sorted(facts.guests, key=lambda one: one.guest.name.casefold())
    running = [one for one in by_name if one.guest.power.runs]
    names_by_id = guest_names(facts)
    others = {
        system: [names_by_id[one.guest.vm_id] for one in running if one.told.system is system] for system in NOT_WINDOWS
    }
    rest = [one for one in by_name if not one.guest.power.runs]
    idle = {power: [names_by_id[one.guest.vm_id] for one in rest if one.guest.power is power] for power in Power}
    skipped = {word.value: names for word, names in (*others.items(), *idle.items()) if names}
    total, silent = len(facts.guests) + len(facts.unseen), unknown + len(facts.unseen)
    parts = [f"{answered} answered", f"{silent} unknown", *(f"{len(names)} {word}" for word, names in skipped.items())]
    counts = f"{pluralize(total, 'guest')}: {', '.join(parts)}."
    notes = [counts]
    if skipped:
        notes.append(f"Not asked: {'; '.join(f'{join_names(names)} {word}' for word, names in skipped.items())}.")
    if any(one.volume.reserved for one in judged):
        notes.append("Partitions without a letter or a mount point (system, EFI, recovery) are not counted.")
    return tuple(notes)


COMMAND = Diagnostic(Role.VIEWER, Args, collect, evaluate)

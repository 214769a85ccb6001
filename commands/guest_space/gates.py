"""The one gate on free space: no guest would make the next backup fail again."""

from __future__ import annotations

from collections.abc import Iterator

from bot.api.plan import Gate, GateOutcome, GateText, OpenQuestion
from commands.formatting import join_names, pluralize
from commands.guest_space.facts import GuestSpaceFacts, answered_guests, guest_names, short_of_space, unknown_guests


def has_room(says: GateText, space: GuestSpaceFacts) -> Gate:
    """A guest that is still full makes the next backup wait again; one that does not answer is named, and only warns.

    Args:
        says: what the gate is about: "Every guest on hv03 has enough free space", and so on.
        space: of the guests that the backup saves.
    """
    full = short_of_space(space)
    if full:
        return Gate.of(says, GateOutcome.BLOCKED, f"full or nearly full: {join_names(full, 4)}", guards="worth")
    told, _ = answered_guests(space)
    open_ = tuple(_open(space))
    if not open_:
        return Gate.of(says, GateOutcome.PASSED, f"{pluralize(told, 'guest')} answered", guards="worth")
    none = f"not known: {open_[0].why.partition('. ')[0]}"
    names = join_names([one.what.removeprefix("free space of ") for one in open_], 4)
    measured = f"unknown for {names}; the other {told} have enough" if told else none
    return Gate.of(says, GateOutcome.NOT_KNOWN, measured, blocks=False, guards="worth", unknowns=open_)


def _open(space: GuestSpaceFacts) -> Iterator[OpenQuestion]:
    names = guest_names(space)
    for hosted, why in unknown_guests(space):
        yield OpenQuestion(f"free space of {names[hosted.guest.vm_id]}", why.why.rstrip("."), why.remedy)
    for name in space.unseen:
        yield OpenQuestion(f"free space of {name}", "its host did not answer")
    for host in space.silent_hosts:
        yield OpenQuestion(f"the guests on {host.target}", host.why.rstrip("."), host.remedy)

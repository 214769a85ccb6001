"""Who may see what of the ledger: the viewer role, place by place, asked of the one function that says who may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.api.command import Role
from bot.dispatch import authorization
from bot.dispatch.authorization import EVERYWHERE, Person
from bot.errors import NotAllowed
from bot.ledger import Sight


def sight_of(person: Person, places_of: Mapping[str, tuple[str, ...]]) -> Sight | None:
    """What this person may see; None for all.

    Args:
        person: who asks.
        places_of: each known name of a cluster or host, and where a role must hold for it.

    Raises:
        NotAllowed: nothing at all.
    """
    authorization.allow(person, Role.VIEWER)
    if may_see(person, (EVERYWHERE,)):
        return None
    held = {place for places in person.roles.values() for place in places}
    seen = frozenset(place.casefold() for place in held if may_see(person, (place,)))
    names = {name for name, places in places_of.items() if places and {one.casefold() for one in places} <= seen}
    return Sight(seen, frozenset(names) | seen, person.id)


def may_see(person: Person, places: Iterable[str]) -> bool:
    """Whether this person is a viewer on all of these places."""
    try:
        look_at(person, places)
    except NotAllowed:
        return False
    return True


def look_at(person: Person, places: Iterable[str]) -> None:
    """Let a viewer of all of these places pass; what names no place is for those who may see everything.

    Raises:
        NotAllowed: not there.
    """
    for place in tuple(places) or (EVERYWHERE,):
        authorization.allow(person, Role.VIEWER, place)

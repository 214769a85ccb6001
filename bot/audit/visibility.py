"""Who may see what of the ledger: the viewer role, place by place, asked of the one function that says who may."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.api.command import Role
from bot.dispatch import authorization
from bot.dispatch.authorization import EVERYWHERE, Person
from bot.errors import PermissionDenied
from bot.ledger import Visibility


def visibility_of(person: Person, places_of: Mapping[str, tuple[str, ...]]) -> Visibility | None:
    """What this person may see; None for all.

    Args:
        person: who asks.
        places_of: each known name of a cluster or host, and where a role must hold for it.

    Raises:
        PermissionDenied: nothing at all.
    """
    authorization.require_role(person, Role.VIEWER)
    if can_view(person, (EVERYWHERE,)):
        return None
    held = {place for places in person.roles.values() for place in places}
    seen = frozenset(place.casefold() for place in held if can_view(person, (place,)))
    names = {name for name, places in places_of.items() if places and {one.casefold() for one in places} <= seen}
    return Visibility(seen, frozenset(names) | seen, person.id)


def can_view(person: Person, places: Iterable[str]) -> bool:
    """Whether this person is a viewer on all of these places."""
    try:
        require_viewer(person, places)
    except PermissionDenied:
        return False
    return True


def require_viewer(person: Person, places: Iterable[str]) -> None:
    """Let a viewer of all of these places pass; what names no place is for those who may see everything.

    Raises:
        PermissionDenied: not there.
    """
    for place in tuple(places) or (EVERYWHERE,):
        authorization.require_role(person, Role.VIEWER, place)

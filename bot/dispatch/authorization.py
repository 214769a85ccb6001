"""May this person ask, or decide, this here? One function for every way in; closed by default.

Roles come from the settings through `slack.people` or the terminal, per cluster. Nothing here looks at a channel,
a message or a handle: membership of a channel is no authority.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.api.command import Role
from bot.errors import PermissionDenied

EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who asks or decides.

    Attributes:
        id: stable and unique: "T01/U02" (Slack team and user) or "os:ops1" (a terminal's operating-system user).
        name: how others are told about them.
        roles: role -> the clusters (or names of hosts that stand alone) it holds for; "*" for all.
    """

    id: str
    name: str
    roles: Mapping[Role, frozenset[str]] = field(default_factory=dict)

    def role_on(self, place: str) -> Role:
        """The highest role this person has on that cluster or host."""
        held = (
            role for role, places in self.roles.items() if EVERYWHERE in places or place.casefold() in _folded(places)
        )
        return max(held, default=Role.NOBODY)

    @property
    def highest_role(self) -> Role:
        """The highest role this person has anywhere."""
        return max((role for role, places in self.roles.items() if places), default=Role.NOBODY)


def require_role(person: Person, role: Role, place: str | None = None) -> None:
    """Let this person pass, or say who may.

    Args:
        person: who asks.
        role: the least role that may.
        place: the cluster (or host that stands alone) it is about; None where the question is only whether
            the person has the role anywhere.

    Raises:
        PermissionDenied: the door is closed.
    """
    held = person.highest_role if place is None else person.role_on(place)
    if role is not Role.NOBODY and held >= role:
        return
    where = f" on {place}" if place else ""
    has = f"you are {held.name.lower()}" if held else "you have no role"
    raise PermissionDenied(
        f"This needs the role {role.name.lower()}{where}; {has}{where or ' in hvops'}. "
        f"Whoever keeps settings.toml can add you, or a group of yours, under [roles.{role.name.lower()}]."
    )


def _folded(places: frozenset[str]) -> frozenset[str]:
    return frozenset(place.casefold() for place in places)

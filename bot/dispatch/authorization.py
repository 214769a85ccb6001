"""May this person ask, or decide, this here? One function for every way in; closed by default.

Roles come from the settings through `slack.people` or the terminal, per cluster. Nothing here looks at a channel,
a message or a handle: membership of a channel is no authority.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

from bot.api.command import Role
from bot.config.settings import Rule
from bot.errors import NoSuchTicket, PermissionDenied, RolesUnknown, SettingsError, UsageError
from bot.ledger.ticket_state import same_person

EVERYWHERE = "*"
SYSTEM = "os:"  # how the id of an account of this machine begins
_NAMED = 5  # places that a sentence names


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who asks or decides.

    Attributes:
        id: stable and unique: "T01/U02" (Slack team and user) or "os:ops1" (a terminal's operating-system user).
        name: how others are told about them.
        roles: role -> the clusters (or names of hosts that stand alone) it holds for; "*" for all.
        unknown: why more roles may be held than are known now, as a sentence; "" where all are known.
        barred: why the settings' roles do not count for this account, as a sentence; "" where they do.
        contact: whom the settings tell people to ask for a role; "" where they name nobody.
        before: the roles by what was read last, which may be some minutes ago: good for stopping changes, and no more.
    """

    id: str
    name: str
    roles: Mapping[Role, frozenset[str]] = field(default_factory=dict)
    unknown: str = ""
    barred: str = ""
    contact: str = ""
    before: Mapping[Role, frozenset[str]] = field(default_factory=dict)

    @property
    def as_last_read(self) -> Person:
        """With the roles by what was read last as well: whoever could stop things a minute ago may do so."""
        return replace(self, roles={**self.before, **self.roles}) if self.before else self

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
        RolesUnknown: nobody can say now whether this person has it.
        PermissionDenied: the door is closed.
    """
    held = person.highest_role if place is None else person.role_on(place)
    if role is not Role.NOBODY and held >= role:
        return
    if person.highest_role is Role.NOBODY and not person.unknown:
        raise PermissionDenied(no_role(person))
    where = f" on {place}" if place else ""
    needs = f"This needs the {role.name.lower()} role{where}"
    if person.barred:
        raise PermissionDenied(f"{needs}. {person.barred}")
    if person.unknown:
        raise RolesUnknown(
            f"{needs}, and hvops cannot tell right now whether you have it: {person.unknown} Nothing was done. "
            f"Try again in a minute; /hvops status says more."
        )
    has = (
        f"you are {'an' if held is Role.OPERATOR or held is Role.APPROVER else 'a'} {held.name.lower()}"
        if held
        else "you have no role"
    )
    adds = f"add you, or one of your groups, under [roles.{role.name.lower()}]"
    ask = (
        f"Ask {person.contact} to {adds}."
        if person.contact
        else f"Ask your hvops administrator to {adds} in settings.toml."
    )
    raise PermissionDenied(f"{needs}; {has}{where or ' in hvops'}. {ask}")


def no_role(person: Person) -> str:
    """What somebody without any role is told, by every way in: whom to ask, and nothing of what hvops knows or can do."""
    if person.barred:
        return f"You have no role in hvops here. {person.barred}"
    return f"You have no role in hvops. Ask {person.contact or 'your hvops administrator'} if you need one."


@contextmanager
def no_hints_for_strangers(person: Person) -> Iterator[None]:
    """Within it, who has no role is told that, and not what is wrong with the line: usage and suggestions name commands.

    Raises:
        PermissionDenied: in place of a UsageError, or of there being no such ticket.
    """
    try:
        yield
    except (UsageError, NoSuchTicket):
        require_role(person, Role.VIEWER)
        raise


def require_everywhere(person: Person, role: Role, places: Iterable[str]) -> None:
    """Let this person pass where the role holds on each of these places; a change that names none needs it everywhere.

    Raises:
        RolesUnknown: nobody can say now whether this person has it.
        PermissionDenied: the door is closed.
    """
    for place in tuple(places) or (EVERYWHERE,):
        require_role(person, role, place)


def system_person(rules: Iterable[tuple[Role, Rule]], user: str, contact: str = "") -> Person:
    """An account of this machine, with the roles that the settings give it, and whom they tell people to ask."""
    held: dict[Role, frozenset[str]] = {}
    for role, rule in rules:
        if user in rule.system_users:
            held[role] = held.get(role, frozenset()) | frozenset(rule.clusters)
    return Person(f"{SYSTEM}{user}", user, held, contact=contact)


def require_switch(person: Person, role: Role, kind: str, covered: Callable[[], Iterable[str]] = tuple) -> None:
    """Let this person stop changes, or let them start again, or say who may.

    A stop is easy: the role anywhere will do, also by what was read last. It holds for everything, so nobody ends it
    who does not hold the role on all that it holds for. Where nobody can say what that is, it takes the role on "*".

    Args:
        person: who.
        role: the least role that may.
        kind: "stop" or "go".
        covered: answers every place that a stop covers, or raises SettingsError; asked for a go alone.

    Raises:
        RolesUnknown: nobody can say now whether this person has it.
        PermissionDenied: the door is closed.
    """
    if kind == "stop":
        require_role(person.as_last_read, role)
        return
    require_role(person, role)
    try:
        places, unread = tuple(covered()), ""
    except SettingsError as error:
        places, unread = (), str(error).partition("\n")[0].rstrip(".")
    missing = [place for place in places or (EVERYWHERE,) if person.role_on(place) < role]
    if not missing:
        return
    needs = f"A stop applies everywhere, so only someone with the role {role.name.lower()} everywhere can end it"
    if not places:
        _refuse_unlisted(person, role, needs, unread)
    where = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
    if person.unknown:
        raise RolesUnknown(f"{needs}, and your role on {where} cannot be read now: {person.unknown} Nothing was done.")
    raise PermissionDenied(
        f"{needs}; you do not have it on {where}. Ask someone listed under [roles.{role.name.lower()}] in settings.toml "
        "for everything in the inventory."
    )


def _refuse_unlisted(person: Person, role: Role, needs: str, unread: str) -> NoReturn:
    """What a stop covers is not known: that is not what this person's roles cover. Raises RolesUnknown, PermissionDenied."""
    why = f"the inventory cannot be read ({unread})" if unread else "the inventory names no place"
    needs = f'{needs}. It is not known what it covers, because {why}, so it needs that role with clusters = ["{EVERYWHERE}"]'
    if person.unknown:
        raise RolesUnknown(f"{needs}, and your roles cannot be read now: {person.unknown} Nothing was done.")
    raise PermissionDenied(
        f"{needs}, which you do not have. Correct the inventory, or ask someone listed so under "
        f"[roles.{role.name.lower()}] in settings.toml."
    )


class Accounts:
    """Which accounts are one person's, as the settings declare it. Two that share a third one are one person's too."""

    def __init__(self, declared: Iterable[Iterable[str]] = ()) -> None:
        """Take what is declared: ids of members ("U1", "T1/U1") and of accounts of this machine ("os:anna")."""
        people: list[frozenset[str]] = []
        for told in declared:
            ids = frozenset(told)
            touching = [one for one in people if any(same_person(a, b) for a in one for b in ids)]
            people = [one for one in people if one not in touching]
            people.append(ids.union(*touching))
        self._people = tuple(people)

    def others(self, account: str) -> tuple[str, ...]:
        """The other accounts of whoever has this one, as the settings name them."""
        mine = [ids for ids in self._people if any(same_person(one, account) for one in ids)]
        return tuple(sorted(one for ids in mine for one in ids if not same_person(one, account)))

    def are_one(self, account: str, other: str) -> bool:
        """Whether two accounts are, or may be, one person's."""
        return any(same_person(one, other) for one in (account, *self.others(account)))


def _folded(places: frozenset[str]) -> frozenset[str]:
    return frozenset(place.casefold() for place in places)

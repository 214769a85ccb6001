"""What `/hvops` itself answers: help by role, and the state of the bot. Pure data for the renderers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.api.command import Role
from bot.dispatch.authorization import EVERYWHERE, Person
from bot.dispatch.registry import Command


@dataclass(frozen=True, slots=True)
class HelpLine:
    """One command in the help. `allowed`: this person may use it somewhere."""

    usage: str
    says: str
    role: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Help:
    """What this person can type. `lines` holds what they may use first."""

    name: str
    role: str
    lines: tuple[HelpLine, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """How the bot is, and who is asking.

    Attributes:
        connections: label -> sentence, e.g. ("Slack", "2 of 2 connections open").
        roles: role -> clusters, of the person who asks.
        ledger: a sentence about the head: "entry 1285, 22:41 UTC, anchored to 1280".
    """

    name: str
    roles: tuple[tuple[str, tuple[str, ...]], ...]
    may: tuple[str, ...]
    connections: tuple[tuple[str, str], ...]
    ledger: str
    version: str


def help_for(person: Person, commands: Iterable[Command]) -> Help:
    """The help of this person: what they may use first, the rest with the role it takes."""
    lines = [
        HelpLine(command.usage, command.help, command.role.name.lower(), person.highest_role >= command.role)
        for command in commands
    ]
    return Help(person.name, role_name(person.highest_role), tuple(sorted(lines, key=lambda line: not line.allowed)))


def roles_of(person: Person) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The roles of a person, highest first, with the clusters each holds for."""
    held = sorted(((role, places) for role, places in person.roles.items() if places), reverse=True)
    return tuple((role_name(role), tuple(sorted(places))) for role, places in held)


def format_roles(roles: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    """Roles and where they hold: "operator, viewer everywhere; approver on prod, branch"."""
    by_places: dict[str, list[str]] = {}
    for name, places in roles:
        by_places.setdefault("everywhere" if EVERYWHERE in places else f"on {', '.join(places)}", []).append(name)
    return "; ".join(f"{', '.join(names)} {where}" for where, names in by_places.items()) or "no role"


def role_name(role: Role) -> str:
    """A role as people read it."""
    return "no role" if role is Role.NOBODY else role.name.lower()

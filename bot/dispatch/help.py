"""What `/hvops` itself answers: help by role, and the state of the bot. Pure data for the renderers."""

from __future__ import annotations

from dataclasses import dataclass

from bot.api.command import Role
from bot.dispatch.authorization import EVERYWHERE, Person
from bot.dispatch.builtins import Builtin
from bot.dispatch.registry import Command, Registry


@dataclass(frozen=True, slots=True)
class HelpLine:
    """One command in the help. `allowed`: this person may use it somewhere."""

    usage: str
    says: str
    role: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class Help:
    """What this person can type.

    Attributes:
        lines: the commands, those that they may use first.
        builtins: what `/hvops` itself answers, line by line; those of one line belong together.
    """

    name: str
    role: str
    lines: tuple[HelpLine, ...]
    builtins: tuple[tuple[HelpLine, ...], ...] = ()


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


def help_for(person: Person, registry: Registry) -> Help:
    """The help of this person: what they may use first, the rest with the role it takes; then the builtins.

    A builtin that is a slash command of its own is listed for those who may use it; what hangs on `/hvops`, for all.
    """
    lines = [_line(person, command) for command in registry]
    sections: dict[str, list[HelpLine]] = {}
    for builtin in registry.builtins.values():
        line = _line(person, builtin)
        if builtin.section and (line.allowed or not builtin.is_slash_command):
            sections.setdefault(builtin.section, []).append(line)
    return Help(
        person.name,
        role_name(person.highest_role),
        tuple(sorted(lines, key=lambda line: not line.allowed)),
        tuple(tuple(section) for section in sections.values()),
    )


def _line(person: Person, one: Command | Builtin) -> HelpLine:
    return HelpLine(one.usage, one.help, one.role.name.lower(), person.highest_role >= one.role)


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

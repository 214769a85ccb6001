"""A command line: read into a command and its values, then into targets, asking at each turn whether this person may."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bot import authorize, parse
from bot.authorize import Person
from bot.errors import UsageError
from bot.registry import Command, Registry
from bot.vocabulary.arguments import Target

FRONT_DOOR = "hvops"  # `/hvops check-writers prod` reaches every command by name


class Directory(Protocol):
    """Which names there are (`discover.Directory`)."""

    async def find(self, name: str) -> Target:
        """The target of that name. Raises UsageError with suggestions."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """A command line that was read: the command, and its values by parameter."""

    command: Command
    values: Mapping[str, Any]

    def __str__(self) -> str:
        """Its plain form, without what chat clients made of it: what *Look Again* asks."""
        return " ".join(
            [f"/{self.command.name}", *(word for part in self.command.parameters for word in self._typed(part))]
        )

    @property
    def target(self) -> str:
        """The names it is about."""
        return " ".join(str(self.values[part.name]) for part in self.command.parameters if part.targets)

    @property
    def places(self) -> tuple[str, ...]:
        """The clusters, or hosts that stand alone, of its targets. Only once it is resolved."""
        targets = (self.values[part.name] for part in self.command.parameters if part.targets)
        return tuple(dict.fromkeys(place for target in targets for place in places_of(target)))

    def _typed(self, part: parse.Parameter) -> list[str]:
        value = self.values.get(part.name)
        if value is None:
            return []
        if part.kind == "rest":
            return [str(one) for one in value]
        return [f"--{part.name.replace('_', '-')} {value}"] if part.kind == "option" else [str(value)]


def places_of(target: Target) -> tuple[str, ...]:
    """Where a role must hold for this target: its cluster, or itself; for a VMM server, every cluster it manages."""
    return target.clusters or (target.cluster or target.name,)


def read_line(registry: Registry, text: str) -> Line:
    """Read what somebody typed; its targets are names as yet. Raises UsageError."""
    typed = parse.words(text)
    if typed and typed[0].removeprefix("/").casefold() == FRONT_DOOR:
        typed = typed[1:]
    if not typed:
        raise UsageError("Type a command, for example /hvops help.", f"/{FRONT_DOOR} <command> …")
    command = registry.get(typed[0])
    if command is None:
        near = tuple(f"/{name}" for name in parse.nearest(typed[0].removeprefix("/"), registry.commands))
        raise UsageError(f"There is no command {parse.quoted(typed[0])}.", f"/{FRONT_DOOR} help", near)
    return Line(command, parse.read(command.usage, command.parameters, typed[1:]))


async def resolve(directory: Directory, typed: Line, person: Person | None) -> Line:
    """Turn names into targets, and ask again whether this person may, there.

    Args:
        directory: the names.
        typed: as read.
        person: who asks; None where the bot itself looks again for somebody who was asked before.

    Raises:
        UsageError: there is no such name, or it is of the wrong kind.
        NotAllowed: not there.
    """
    command, values = typed.command, dict(typed.values)
    for parameter in command.parameters:
        if not parameter.targets:
            continue
        target = await directory.find(values[parameter.name])
        if target.kind not in parameter.targets:
            wants = " or a ".join(parameter.targets)
            raise UsageError(f"{target.name} is a {target.kind}; this takes a {wants}.", command.usage)
        if person is not None:
            for place in places_of(target):
                authorize.allow(person, command.role, place)
        values[parameter.name] = target
    return Line(command, values)

"""A command line: read into a command and its values, then into targets, asking at each turn whether this person may."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bot.api.arguments import Target, VmmTargets
from bot.api.command import Role
from bot.dispatch import argument_parser, authorization
from bot.dispatch.authorization import Person
from bot.dispatch.registry import Command, Registry
from bot.errors import PermissionDenied, UsageError

FRONT_DOOR = "hvops"  # `/hvops check-writers prod` reaches every command by name
BUILTINS = frozenset({"stop", "go", "runs", "help", "status", "audit"})  # behind the front door
BUILTINS_OF_THEIR_OWN = frozenset({"audit"})  # slash commands beside the front door


class TargetFinder(Protocol):
    """Which names there are (`discover.Directory`)."""

    async def find(self, name: str) -> Target:
        """The target of that name. Raises UsageError with suggestions."""
        ...

    def vmm_servers(self) -> tuple[Target, ...]:
        """Every VMM server of the estate."""
        ...


@dataclass(frozen=True, slots=True)
class TypedLine:
    """What somebody typed, as every entry point reads it: which command or builtin is meant, and what follows.

    Attributes:
        name: "stop", "check-writers": in lower case, without slash, quotes and `hvops`; "" where there is none.
        by_front_door: whether it was reached as `/hvops <name>`.
        rest: what follows the name, as it was typed.
    """

    name: str
    by_front_door: bool
    rest: str

    @property
    def builtin(self) -> str:
        """The builtin that is meant: `/hvops stop`, `/audit`; "" where it is a command. `/hvops` alone is its help."""
        if self.by_front_door and not self.name:
            return "help"
        known = BUILTINS if self.by_front_door else BUILTINS_OF_THEIR_OWN
        return self.name if self.name in known else ""


def read_typed(text: str) -> TypedLine:
    """Read which command a line means. Never raises: what is wrong with it is said by `read_line`.

    `text` is a slash command with its text, a mention without the bot's name, a line of a button, a modal or a terminal.
    Quotes, backticks, entities, invisible characters and the kind of dash do not matter.
    """
    plain = argument_parser.plain_text(text)
    words = [(word.end(), argument_parser.without_quotes(word[0])) for word in re.finditer(r"\S+", plain)]
    words = [(end, word.removeprefix("/").casefold()) for end, word in words if word.removeprefix("/")]
    by_front_door = bool(words) and words[0][1] == FRONT_DOOR
    while words and words[0][1] == FRONT_DOOR:
        words = words[1:]
    if not words:
        return TypedLine("", by_front_door, "")
    end, name = words[0]
    return TypedLine(argument_parser.with_plain_dashes(name), by_front_door, plain[end:].strip())


@dataclass(frozen=True, slots=True)
class CommandLine:
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
        """The names it is about: what the command says it is about, else its targets."""
        parts = [part for part in self.command.parameters if part.name in self.values]
        subjects = [str(word) for part in parts if part.is_subject for word in _words(self.values[part.name])]
        return " ".join(subjects or [str(self.values[part.name]) for part in parts if part.targets])

    @property
    def scopes(self) -> tuple[str, ...]:
        """The clusters, or hosts that stand alone, of its targets. Only once it is resolved."""
        values = [self.values[part.name] for part in self.command.parameters if part.targets]
        targets = [target for value in values for target in (value if isinstance(value, VmmTargets) else (value,))]
        return tuple(dict.fromkeys(place for target in targets for place in scopes_of(target)))

    def _typed(self, part: argument_parser.Parameter) -> list[str]:
        value = self.values.get(part.name)
        if value is None:
            return []
        if part.kind == "rest":
            return [str(one) for one in value]
        return [f"--{part.name.replace('_', '-')} {value}"] if part.kind == "option" else [str(value)]


def _words(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def scopes_of(target: Target) -> tuple[str, ...]:
    """Where a role must hold for this target: its cluster, or itself; for a VMM server, every cluster it manages."""
    return target.clusters or (target.cluster or target.name,)


def read_line(registry: Registry, text: str) -> CommandLine:
    """Read what somebody typed; its targets are names as yet. Raises UsageError."""
    words = argument_parser.tokenize(text)
    typed = read_typed(text)
    while words and words[0].removeprefix("/").casefold() in (FRONT_DOOR, ""):
        words = words[1:]
    if not words:
        raise UsageError("Type a command, for example /hvops help.", f"/{FRONT_DOOR} <command> …")
    command = registry.get(typed.name)
    if command is None:
        near = tuple(f"/{name}" for name in argument_parser.suggest(typed.name, registry.commands))
        raise UsageError(f"There is no command {argument_parser.quoted(words[0])}.", f"/{FRONT_DOOR} help", near)
    return CommandLine(command, argument_parser.bind_arguments(command.usage, command.parameters, words[1:]))


async def resolve(directory: TargetFinder, typed: CommandLine, person: Person | None) -> CommandLine:
    """Turn names into targets, and ask again whether this person may, there.

    Args:
        directory: the names.
        typed: as read.
        person: who asks; None where the bot itself looks again for somebody who was asked before.

    Raises:
        UsageError: there is no such name, or it is of the wrong kind.
        PermissionDenied: not there.
    """
    command, values = typed.command, dict(typed.values)
    for parameter in command.parameters:
        if not parameter.targets:
            continue
        if not parameter.takes_several:
            values[parameter.name] = await _found(directory, typed, parameter, values[parameter.name], person)
        elif names := [name for name in values.get(parameter.name, "").split(",") if name]:
            found = [await _found(directory, typed, parameter, name, person) for name in dict.fromkeys(names)]
            values[parameter.name] = VmmTargets(found)
        else:
            values[parameter.name] = _every(directory, command, person)
    return CommandLine(command, values)


async def _found(
    directory: TargetFinder, typed: CommandLine, parameter: argument_parser.Parameter, name: str, person: Person | None
) -> Target:
    """The target of that name, of the right kind, where this person may. Raises UsageError, PermissionDenied."""
    target = await directory.find(name)
    if target.kind not in parameter.targets:
        wants = " or a ".join(parameter.targets)
        raise UsageError(f"{target.name} is a {target.kind}; this takes a {wants}.", typed.command.usage)
    if person is not None:
        _allow(person, typed.command.role, target)
    return target


def _every(directory: TargetFinder, command: Command, person: Person | None) -> VmmTargets:
    """The VMM servers where this person may, when none is named. Raises UsageError, PermissionDenied where there is none."""
    servers = directory.vmm_servers()
    if not servers:
        raise UsageError("There is no VMM server in the estate. Add a table [vmm.NAME] to it.", command.usage)
    if person is None:
        return VmmTargets(servers)
    refusals: list[PermissionDenied] = []
    allowed: list[Target] = []
    for server in servers:
        try:
            _allow(person, command.role, server)
        except PermissionDenied as refused:
            refusals.append(refused)
        else:
            allowed.append(server)
    if not allowed:
        raise refusals[0]
    return VmmTargets(allowed)


def _allow(person: Person, role: Role, target: Target) -> None:
    for place in scopes_of(target):
        authorization.require_role(person, role, place)

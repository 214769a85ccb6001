"""A command line: read into a command and its values, then into targets, asking at each turn whether this person may."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.api.arguments import ClusterTargets, NodePair, Target, VmmTargets
from bot.api.command import Role
from bot.dispatch import argument_parser, authorization
from bot.dispatch.authorization import Person
from bot.dispatch.builtins import BUILTINS, FRONT_DOOR, Builtin
from bot.dispatch.inventory import Inventory, scopes_of
from bot.dispatch.registry import Command, Registry
from bot.errors import PermissionDenied, UsageError

_KINDS = {"vmm": "VMM server"}
_MEMBER = re.compile(r"@[UW][A-Z0-9]+", re.IGNORECASE)  # in a mention the first one is the bot


class EntryPoint(StrEnum):
    """Where a line was typed."""

    SLASH = "slash command"
    MENTION = "mention"
    BUTTON = "button"
    MODAL = "modal"
    TERMINAL = "terminal"

    @property
    def is_front_door(self) -> bool:
        """Whether every line there is spoken to hvops itself, as one behind `/hvops` is."""
        return self in (EntryPoint.MENTION, EntryPoint.TERMINAL)


@dataclass(frozen=True, slots=True)
class TypedLine:
    """What somebody typed, read once: which command or builtin is meant, and what follows.

    Attributes:
        text: the line in its plain form, for the ledger and for people: "/hvops stop the storage is on fire".
        word: the name as it was typed, without decoration: "/Check-Writers".
        name: "stop", "check-writers": in lower case, without slash and `hvops`; "" where there is none.
        by_front_door: whether it was said to hvops itself: behind `/hvops`, to its name, at a terminal.
        rest: what follows the name, in its plain form.
    """

    text: str
    word: str
    name: str
    by_front_door: bool
    rest: str

    @property
    def builtin(self) -> Builtin | None:
        """The builtin that is meant: `/hvops stop`, `/audit`; None where it is a command. `/hvops` alone is its help."""
        return _builtin(self.name, by_front_door=self.by_front_door)


def read_typed(text: str, entry: EntryPoint = EntryPoint.SLASH) -> TypedLine:
    """Read which command a line means. Never raises: what is wrong with it is said by `read_line`.

    Quotes and backticks around the line or a word, links, entities, invisible characters and the kind of dash do not
    matter; nor do `/hvops` and `hvops` before it, and in a mention the name of who is mentioned.

    Args:
        text: as it arrived: a slash command with its text, a mention, a line of a button, a modal or a terminal.
        entry: where it was typed.
    """
    plain, spans = argument_parser.words_in(text)
    words = [one for one in spans if one[2].removeprefix("/")]
    doors = 0
    if entry is EntryPoint.MENTION and words and _MEMBER.fullmatch(words[0][2]):
        doors = 1  # one, and only there: behind it, and in a slash command, a member is somebody else who is spoken to
    while doors < len(words) and words[doors][2].lstrip("/@").casefold() == FRONT_DOOR:
        doors += 1
    behind = entry.is_front_door or doors > 0
    if doors == len(words):
        alone = f"/{FRONT_DOOR} help" if entry is EntryPoint.MENTION else f"/{FRONT_DOOR}" if behind else ""
        return TypedLine(alone, "", "", behind, "")
    end, _, word = words[doors]
    rest = " ".join(plain[end:].split())
    if any(_opens_a_quote(raw) for _, raw, _ in words[: doors + 1]):
        rest = rest.rstrip(f"{argument_parser.QUOTES} ")  # the quote that closes the one before the name
    if not rest.strip(f"{argument_parser.QUOTES} "):
        rest = ""
    dashed = argument_parser.with_plain_dashes(word)
    name = dashed.removeprefix("/").casefold()
    builtin = _builtin(name, by_front_door=behind)
    if entry is EntryPoint.MENTION:
        word = f"/{word.removeprefix('/')}"
    if builtin is not None:
        said = f"/{FRONT_DOOR} {name}" if behind else f"/{name}"
    else:
        shown = f"/{dashed.removeprefix('/')}" if entry is EntryPoint.MENTION else dashed
        said = f"/{FRONT_DOOR} {shown}" if doors and entry is not EntryPoint.MENTION else shown
    return TypedLine(f"{said} {rest}".rstrip(), word, name, behind, rest)


def _opens_a_quote(word: str) -> bool:
    return word[0] in argument_parser.QUOTES and word[-1] not in argument_parser.QUOTES


def _builtin(name: str, *, by_front_door: bool) -> Builtin | None:
    found = BUILTINS.get(name or "help") if by_front_door else BUILTINS.get(name)
    return found if found and (by_front_door or found.is_slash_command) else None


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command line that was read: the command, and its values by parameter."""

    command: Command
    values: Mapping[str, Any]

    def __str__(self) -> str:
        """Its plain form, without what chat clients made of it: what *Check Again* asks."""
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
        values = [
            self.values[part.name] for part in self.command.parameters if part.targets and part.name in self.values
        ]
        targets = [target for value in values for target in (value if isinstance(value, tuple) else (value,))]
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


def read_line(registry: Registry, typed: TypedLine) -> CommandLine:
    """Read a line into a command and its values; its targets are names as yet. Raises UsageError."""
    argument_parser.refuse_too_long(typed.text)
    if not typed.name:
        raise UsageError("Type a command, for example /hvops help.", f"/{FRONT_DOOR} <command> …")
    command = registry.get(typed.name)
    if command is None:
        lines = {name: f"/{name}" for name in registry.commands} | {one.name: one.line for one in BUILTINS.values()}
        near = tuple(lines[name] for name in argument_parser.suggest(typed.name, lines))
        raise UsageError(f"There is no command {argument_parser.quoted(typed.word)}.", f"/{FRONT_DOOR} help", near)
    words = argument_parser.split_words(typed.rest)
    return CommandLine(command, argument_parser.bind_arguments(command.usage, command.parameters, words))


async def resolve(inventory: Inventory, typed: CommandLine, person: Person | None) -> CommandLine:
    """Turn names into targets, and ask again whether this person may, there.

    Args:
        inventory: the names.
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
        if parameter.name not in values and parameter.type not in (VmmTargets, ClusterTargets):
            continue  # an option that is left out: the command's own default
        if not parameter.takes_several:
            values[parameter.name] = await _found(inventory, typed, parameter, values[parameter.name], person)
        elif names := [name for name in values.get(parameter.name, "").split(",") if name]:
            found = [await _found(inventory, typed, parameter, name, person) for name in dict.fromkeys(names)]
            if parameter.type is NodePair and len(found) != parameter.words:
                given = argument_parser.quoted(" ".join(names))
                raise UsageError(f"{given} is not two nodes.", command.usage)
            values[parameter.name] = parameter.type(found)
        elif parameter.type is ClusterTargets:
            values[parameter.name] = ClusterTargets(_allowed(inventory.clusters(), "cluster", command, person))
        else:
            values[parameter.name] = _every(inventory, command, person)
    return CommandLine(command, values)


async def _found(
    inventory: Inventory, typed: CommandLine, parameter: argument_parser.Parameter, name: str, person: Person | None
) -> Target:
    """The target of that name, of the right kind, where this person may. Raises UsageError, PermissionDenied."""
    only_vmm = tuple(parameter.targets) == ("vmm",)
    if tuple(parameter.targets) == ("load balancer",):
        target = _balancer(inventory, typed, name)
        if person is not None:
            _allow(person, typed.command.role, target)
        return target
    try:
        target = await inventory.find(name)
    except UsageError as error:
        if not only_vmm:
            raise
        says = f"There is no VMM server {argument_parser.quoted(name)} in the inventory. {_vmm_servers(inventory)}"
        servers = {server.name for server in inventory.vmm_servers()}
        near = tuple(one for one in error.suggestions if one in servers)
        raise UsageError(says, typed.command.usage, near) from error
    if target.kind not in parameter.targets:
        wants = " or a ".join(_KINDS.get(one, one) for one in parameter.targets)
        more = f" {_vmm_servers(inventory)}" if only_vmm else ""
        kind = _KINDS.get(target.kind, target.kind)
        raise UsageError(f"{target.name} is a {kind}; this command takes a {wants}.{more}", typed.command.usage)
    if person is not None:
        _allow(person, typed.command.role, target)
    return target


def _balancer(inventory: Inventory, typed: CommandLine, name: str) -> Target:
    """The load balancer of that name: the inventory alone says which there are, so no cluster is asked. Raises UsageError."""
    found = {one.name.lower(): one for one in inventory.load_balancers()}
    target = found.get(name.strip().lower())
    if target is not None:
        return target
    names = ", ".join(one.name for one in found.values())
    there = f"Load balancers: {names}." if names else "Add a table [[load_balancer]] to it."
    says = f"There is no load balancer {argument_parser.quoted(name)} in the inventory. {there}"
    raise UsageError(says, typed.command.usage, argument_parser.suggest(name, found))


def _vmm_servers(inventory: Inventory) -> str:
    """Which VMM servers there are, or how one is added."""
    names = [server.name for server in inventory.vmm_servers()]
    return f"VMM servers with a [vmm.NAME] table: {', '.join(names)}." if names else "Add a [vmm.NAME] table to it."


def _every(inventory: Inventory, command: Command, person: Person | None) -> VmmTargets:
    """The VMM servers where this person may, when none is named. Raises UsageError, PermissionDenied where there is none."""
    servers = inventory.vmm_servers()
    if not servers:
        raise UsageError("There is no VMM server in the inventory. Add a [vmm.NAME] table to it.", command.usage)
    return VmmTargets(_allowed(servers, "VMM server", command, person))


def _allowed(every: Sequence[Target], what: str, command: Command, person: Person | None) -> list[Target]:
    """Those where this person may. Raises UsageError, PermissionDenied where there is none."""
    if not every:
        raise UsageError(f"There is no {what} in the inventory.", command.usage)
    if person is None:
        return list(every)
    refusals: list[PermissionDenied] = []
    allowed: list[Target] = []
    for target in every:
        try:
            _allow(person, command.role, target)
        except PermissionDenied as refused:
            refusals.append(refused)
        else:
            allowed.append(target)
    if not allowed:
        raise refusals[0]
    return allowed


def _allow(person: Person, role: Role, target: Target) -> None:
    for place in scopes_of(target):
        authorization.require_role(person, role, place)
